/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Admit: parse → polkit → limit → wait. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/bus/bus-internal.h"
#include "daemon/bus/bus-options.h"
#include "daemon/keeper/admit.h"
#include "daemon/kernel/cgroup.h"
#include "daemon/loop/answer.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "policy/cdm-names.h"

#define OPEN_MAX         64 /* pending calls of one caller */
#define TIMEOUT_USEC     (UINT64_C(10) * 1000 * 1000)
#define TIMEOUT_MAX_USEC (UINT64_C(60) * 1000 * 1000)

struct BusAdmit {
        Bus *bus;
        BusCall *call;
        uid_t uid; /* UID_NONE: not known; all such calls count as one user */
        Admit *admit;
        BusAdmit *prev, *next;
};

/* Frees the BusAdmit and returns the call. */
static BusCall *bus_admit_end(BusAdmit *a)
{
        BusCall *call = a->call;

        DL_DELETE(a->bus->admits, a);
        bus_call_on_gone(call, NULL, NULL);
        admit_free(a->admit);
        free(a);
        return call;
}

void bus_admits_free(Bus *b)
{
        while (b->admits)
                bus_call_free(bus_admit_end(b->admits));
}

static void bus_admit_on_gone(BusCall *call _unused_, void *userdata)
{
        bus_call_free(bus_admit_end(userdata));
}

static void bus_admit_on_done(const Answer *answer, uint64_t id, const NodeSet *nodes, void *userdata)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        BusCall *call = ((BusAdmit *)userdata)->call;

        if (answer->error) {
                bus_call_answer(bus_admit_end(userdata), answer);
                return;
        }
        int r = sd_bus_message_new_method_return(bus_call_message(call), &reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "t", id);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "u");
        NODESET_FOREACH (node, nodes)
                if (r >= 0)
                        r = sd_bus_message_append(reply, "u", (uint32_t)node);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        bus_call_send(bus_admit_end(userdata), reply, r);
}

static void admit_args_clear(AdmitArgs *args)
{
        request_args_clear(&args->request);
}

/* On failure, *args is unchanged; returns a negative errno, and sets *error if there is a more specific
 * message. The message owns the pidfd; the caller must free everything else. */
static int read_args(sd_bus_message *m, AdmitArgs *args, sd_bus_error *error)
{
        _cleanup_(admit_args_clear)
                AdmitArgs a = { .request.target.pidfd = -EBADF, .timeout_usec = TIMEOUT_USEC };
        int r = sd_bus_message_rewind(m, true);

        if (r >= 0)
                r = bus_options_read_admit(m, &a.request, &a.timeout_usec, error);
        if (r < 0)
                return r;
        if (a.request.cgroup && !cgroup_path_is_normal(a.request.cgroup))
                return sd_bus_error_set(error, CDM_ERROR_INVALID,
                                        "cgroup is not a path such as /system.slice/a.service");
        if (a.timeout_usec == 0 || a.timeout_usec > TIMEOUT_MAX_USEC)
                return sd_bus_error_set(error, CDM_ERROR_INVALID,
                                        "timeout is more than 0 and at most 60 seconds, in microseconds");
        r = string_copy(sd_bus_message_get_sender(m), &a.request.client);
        if (r < 0)
                return r;
        a.request.interactive = sd_bus_message_get_allow_interactive_authorization(m) > 0;
        *args = a;
        a = (AdmitArgs){ .request.target.pidfd = -EBADF };
        return 0;
}

/* Many programs run as root, so the limit applies to each connection of root, but to all connections of any
 * other user together. */
static bool admits_are_full(Bus *b, const char *sender, uid_t uid)
{
        const BusAdmit *a;
        size_t n = 0;

        DL_FOREACH (b->admits, a)
                n += uid == 0 ? strcmp(sd_bus_message_get_sender(bus_call_message(a->call)), sender) == 0
                              : a->uid == uid;
        return n >= OPEN_MAX;
}

static int admit_begin(Bus *b, BusCall *call, sd_bus_error *error)
{
        const char *sender = sd_bus_message_get_sender(bus_call_message(call));
        const Sender *known = sender_cached(b->book->core->senders, sender);
        uid_t uid = known ? known->uid : UID_NONE;
        _cleanup_(admit_args_clear) AdmitArgs args = { .request.target.pidfd = -EBADF };
        int r = read_args(bus_call_message(call), &args, error);

        if (r < 0)
                return r;
        if (admits_are_full(b, sender, uid))
                return sd_bus_error_set(
                        error, CDM_ERROR_BUSY,
                        "too many of your calls of Admit wait; try again when some are answered");
        BusAdmit *a = calloc(1, sizeof(*a));
        r = a ? admit_start(b->context.admit, &args, bus_admit_on_done, a, &a->admit) : -ENOMEM;
        if (r < 0) {
                free(a);
                return r;
        }
        a->bus = b;
        a->call = call;
        a->uid = uid;
        DL_APPEND(b->admits, a);
        bus_call_on_gone(call, bus_admit_on_gone, a);
        return 0;
}

static void do_admit(Bus *b, uint32_t id _unused_, BusCall *call)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = admit_begin(b, call, &error);

        if (r < 0 && error.name)
                bus_call_refuse(call, error.name, error.message);
        else if (r < 0)
                bus_call_refuse_errno(call, r);
}

/* Invalid arguments are refused before polkit is asked. */
int bus_admit(Bus *b, sd_bus_message *message, sd_bus_error *error)
{
        _cleanup_(admit_args_clear) AdmitArgs args = { .request.target.pidfd = -EBADF };
        int r = read_args(message, &args, error);

        return r < 0 ? r : bus_guard(b, message, AUTHORIZE_REQUEST_AS, UID_NONE, 0, do_admit);
}
