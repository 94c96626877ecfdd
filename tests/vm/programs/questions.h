/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The questions that any daemon must ask before it decides about a request for a unit, asked by a client itself:
 * the least time that such a daemon needs. All functions return a negative errno on failure. */

#include <stdlib.h>
#include <systemd/sd-bus.h>

#define QUESTIONS_PID1 "org.freedesktop.systemd1"

/* The bus: whose call it is. */
static inline int ask_who_calls(sd_bus *connection)
{
        const char *name;
        int r = sd_bus_get_unique_name(connection, &name);

        return r < 0 ? r
                     : sd_bus_call_method(connection, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                          "org.freedesktop.DBus", "GetConnectionCredentials", NULL, NULL,
                                          "s", name);
}

typedef struct Answers {
        unsigned n_pending;
        int error; /* the first one */
} Answers;

static inline int on_question_answered(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Answers *a = userdata;

        if (sd_bus_message_is_method_error(m, NULL) && a->error == 0)
                a->error = -sd_bus_message_get_errno(m);
        a->n_pending--;
        return 0;
}

static inline int send_unit_questions(sd_bus *connection, const char *unit, const char *path, Answers *a)
{
        static const char *const properties[] = { "ControlGroup", "User", "Delegate", "AllowedMemoryNodes" };
        int r = sd_bus_call_method_async(connection, NULL, QUESTIONS_PID1, "/org/freedesktop/systemd1",
                                         "org.freedesktop.systemd1.Manager", "ListUnitsByNames",
                                         on_question_answered, a, "as", 1, unit);

        a->n_pending += r >= 0;
        for (size_t i = 0; r >= 0 && i < sizeof(properties) / sizeof(*properties); i++) {
                r = sd_bus_call_method_async(connection, NULL, QUESTIONS_PID1, path,
                                             "org.freedesktop.DBus.Properties", "Get", on_question_answered,
                                             a, "ss", "org.freedesktop.systemd1.Service", properties[i]);
                a->n_pending += r >= 0;
        }
        return r;
}

/* PID 1: what the unit is, a service. All questions are sent before the first answer is read. */
static inline int ask_what_unit_is(sd_bus *connection, const char *unit)
{
        Answers a = { 0 };
        char *path;
        int r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path);

        if (r < 0)
                return r;
        r = send_unit_questions(connection, unit, path, &a);
        free(path);
        while (r >= 0 && a.n_pending > 0) {
                r = sd_bus_process(connection, NULL);
                if (r == 0)
                        r = sd_bus_wait(connection, UINT64_MAX);
        }
        return r < 0 ? r : a.error;
}
