/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Admit: parse → polkit → limit → wait. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/bus/bus-internal.h"
#include "daemon/bus/bus-options.h"
#include "daemon/keeper/admit.h"
#include "policy/cdm-names.h"

#define OPEN_MAX         64 /* of one caller */
#define TIMEOUT_USEC     (UINT64_C(10) * 1000 * 1000)
#define TIMEOUT_MAX_USEC (UINT64_C(60) * 1000 * 1000)

struct BusAdmit {
        Bus *bus;
        BusCall *call;
        uid_t uid; /* UID_NONE: not remembered; all of these count as one user */
        Admit *admit;
        BusAdmit *prev, *next;
};

/* Hands back the call. */
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

static int admit_read_option(sd_bus_message *m, AdmitArgs *args, BadLabel *bad, const char **ret_text)
{
        RequestArgs *q = &args->request;
        const char *key, *type, *text;
        char kind;
        int r = sd_bus_message_read(m, "s", &key);

        if (r >= 0)
                r = sd_bus_message_peek_type(m, &kind, &type);
        if (r < 0)
                return r;
        if (strcmp(key, CDM_OPTION_CGROUP) == 0 && strcmp(type, "s") == 0 && !q->cgroup) {
                r = sd_bus_message_read(m, "v", "s", &text);
                return r < 0 ? r : string_copy(text, &q->cgroup);
        }
        if (strcmp(key, CDM_OPTION_PIDFD) == 0 && strcmp(type, "h") == 0 && q->target.pidfd < 0)
                return sd_bus_message_read(m, "v", "h", &q->target.pidfd);
        if (strcmp(key, CDM_OPTION_TIMEOUT) == 0 && strcmp(type, "t") == 0)
                return sd_bus_message_read(m, "v", "t", &args->timeout_usec);
        if (strcmp(key, CDM_OPTION_FOR_UID) == 0 && strcmp(type, "u") == 0) {
                q->words.has_for_uid = true;
                return sd_bus_message_read(m, "v", "u", &q->words.for_uid);
        }
        if (strcmp(key, CDM_OPTION_LABELS) == 0 && strcmp(type, "a{ss}") == 0) {
                r = sd_bus_message_enter_container(m, 'v', "a{ss}");
                if (r >= 0)
                        r = bus_options_read_labels(m, &q->words.labels, bad);
                return r < 0 ? r : sd_bus_message_exit_container(m);
        }
        *ret_text = "the options are cgroup (s) or pidfd (h), timeout (t), labels (a{ss}) and for-uid (u), "
                    "each once";
        return -EINVAL;
}

static const char *admit_check_args(const AdmitArgs *args)
{
        const RequestArgs *q = &args->request;

        if ((q->cgroup != NULL) == (q->target.pidfd >= 0))
                return "name the control group, by cgroup or by pidfd";
        if (q->cgroup && !cgroup_path_is_normal(q->cgroup))
                return "cgroup is not a path such as /system.slice/a.service";
        if (args->timeout_usec == 0 || args->timeout_usec > TIMEOUT_MAX_USEC)
                return "timeout is more than 0 and at most 60 seconds, in microseconds";
        if (q->words.for_uid == UID_NONE)
                return "for-uid is no user's number";
        return NULL;
}

/* Negative errno with *error set, or to be set from it. The pidfd is the message's, all else the caller's to free, also
 * on failure. */
static int read_args(sd_bus_message *m, AdmitArgs *args, sd_bus_error *error)
{
        const char *text = NULL;
        BadLabel bad = { 0 };

        *args = (AdmitArgs){ .request.target.pidfd = -EBADF, .timeout_usec = TIMEOUT_USEC };
        int r = sd_bus_message_rewind(m, true);
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = admit_read_option(m, args, &bad, &text);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                text = admit_check_args(args);
        if (r >= 0 && !text)
                r = string_copy(sd_bus_message_get_sender(m), &args->request.client);
        args->request.interactive = sd_bus_message_get_allow_interactive_authorization(m) > 0;
        if (text)
                r = sd_bus_error_set(error, CDM_ERROR_INVALID, text);
        else if (r >= 0 && bad.key)
                r = sd_bus_error_setf(error, CDM_ERROR_INVALID, "the label %s %s", bad.key, bad.reason);
        free(bad.key);
        return r;
}

/* Root's calls are of many programs, so each connection counts by itself; those of another user add up. */
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
        const Sender *known = sender_cached(b->manager->senders, sender);
        uid_t uid = known ? known->uid : UID_NONE;
        _cleanup_(admit_args_clear) AdmitArgs args;
        int r = read_args(bus_call_message(call), &args, error);

        if (r < 0)
                return r;
        if (admits_are_full(b, sender, uid))
                return sd_bus_error_set(
                        error, CDM_ERROR_BUSY,
                        "too many of your calls of Admit wait; try again when some are answered");
        BusAdmit *a = calloc(1, sizeof(*a));
        r = a ? admit_start(b->manager, &args, bus_admit_on_done, a, &a->admit) : -ENOMEM;
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

/* Nonsense is refused before polkit is asked. */
int bus_admit(Bus *b, sd_bus_message *message, sd_bus_error *error)
{
        _cleanup_(admit_args_clear) AdmitArgs args;
        int r = read_args(message, &args, error);

        return r < 0 ? r : bus_guard(b, message, AUTHORIZE_REQUEST_AS, UID_NONE, 0, do_admit);
}
