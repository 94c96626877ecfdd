/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/authorize.h"
#include "policy/cdm-names.h"

#define POLKIT_NAME             "org.freedesktop.PolicyKit1"
#define POLKIT_PATH             "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE        "org.freedesktop.PolicyKit1.Authority"

#define POLKIT_FLAG_INTERACTIVE UINT32_C(1)

/* A person needs time to find the password; a polkit that hangs must not keep an operation for ever. */
#define ANSWER_USEC      (UINT64_C(25) * 1000 * 1000)
#define INTERACTIVE_USEC (UINT64_C(150) * 1000 * 1000)

/* Each open question takes one of the 128 calls that the bus lets cdmd have open, for as long as a hostile
 * client's password dialog stands there. They must not use up what is needed to talk to PID 1. */
#define OPEN_USER_MAX 4

/* The whole of what is allowed to whom; anything that is not in here is denied. */
static const struct {
        const char *polkit;
        bool without_polkit; /* to everyone, where polkit is not installed: the policy files still decide */
        const char *what;
} actions[_AUTHORIZE_ACTION_MAX] = {
        [AUTHORIZE_REQUEST] = { CDM_ACTION_REQUEST, true, "ask for a reservation of your own unit" },
        [AUTHORIZE_REQUEST_FOR_OTHERS] = { CDM_ACTION_REQUEST_FOR_OTHERS, false,
                                           "ask for a reservation of a unit that is not your own" },
        [AUTHORIZE_RELEASE_OTHERS] = { CDM_ACTION_RELEASE_OTHERS, false,
                                       "change a reservation that is not yours" },
        [AUTHORIZE_MANAGE] = { CDM_ACTION_MANAGE, false, "manage cdmd" },
};

struct Authorize {
        sd_bus *bus;
        sd_bus_message *call;
        Turn *turn;
        sd_bus_slot *slot;
        AuthorizeAction action;
        char cancellation_id[32];
        bool asked;
        authorize_done_t done;
        void *userdata;
};

const char *authorize_action_to_string(AuthorizeAction v)
{
        return v < _AUTHORIZE_ACTION_MAX ? actions[v].polkit : NULL;
}

bool authorize_is_needed(AuthorizeAction action, uid_t uid)
{
        return uid != 0;
}

/* polkit is not there, as opposed to there and broken: nobody owns the name and nobody can be started. */
static bool is_absent(const sd_bus_error *e)
{
        return sd_bus_error_has_name(e, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
               sd_bus_error_has_name(e, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ||
               sd_bus_error_has_name(e, "org.freedesktop.systemd1.NoSuchUnit") ||
               sd_bus_error_has_name(e, "org.freedesktop.systemd1.UnitMasked");
}

static void answer(Authorize *a, bool allowed, const char *why)
{
        _cleanup_free_ char *message = NULL;

        a->asked = false;
        if (!allowed && asprintf(&message, "You may not %s (polkit action %s): %s.", actions[a->action].what,
                                 actions[a->action].polkit, why) < 0)
                message = NULL;
        a->done(allowed, message, a->userdata);
}

static void answer_error(Authorize *a, const sd_bus_error *e)
{
        if (is_absent(e))
                answer(a, actions[a->action].without_polkit, "polkit is not running, so only root may");
        else if (sd_bus_error_has_name(e, SD_BUS_ERROR_NO_REPLY) ||
                 sd_bus_error_has_name(e, SD_BUS_ERROR_TIMEOUT))
                answer(a, false, "polkit did not answer in time; look at `systemctl status polkit`");
        else
                answer(a, false, "polkit refused the question; look at `journalctl -u polkit`");
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Authorize *a = userdata;
        int authorized, challenge;

        if (sd_bus_message_is_method_error(m, NULL)) {
                answer_error(a, sd_bus_message_get_error(m));
                return 0;
        }
        if (sd_bus_message_enter_container(m, 'r', "bba{ss}") < 0 ||
            sd_bus_message_read(m, "bb", &authorized, &challenge) < 0)
                answer(a, false, "polkit's answer is garbled");
        else if (!authorized && challenge)
                answer(a, false, "it needs authentication, and the client did not allow to ask for it");
        else
                answer(a, authorized, "polkit says no");
        return 0;
}

static int send_question(Authorize *a)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *q = NULL;
        bool interactive = sd_bus_message_get_allow_interactive_authorization(a->call) > 0;

        int r = sd_bus_message_new_method_call(a->bus, &q, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE,
                                               "CheckAuthorization");
        /* The subject is the connection, not a PID that may be somebody else's by the time polkit looks. */
        if (r >= 0)
                r = sd_bus_message_append(q, "(sa{sv})s", "system-bus-name", 1, "name", "s",
                                          sd_bus_message_get_sender(a->call), actions[a->action].polkit);
        if (r >= 0)
                r = sd_bus_message_append(q, "a{ss}us", 0, interactive ? POLKIT_FLAG_INTERACTIVE : 0,
                                          a->cancellation_id);
        if (r >= 0)
                r = sd_bus_call_async(a->bus, &a->slot, q, on_answer, a,
                                      interactive ? INTERACTIVE_USEC : ANSWER_USEC);
        return r;
}

static void on_turn(Turn *t, void *userdata)
{
        Authorize *a = userdata;

        if (send_question(a) < 0)
                answer(a, false, "polkit could not be asked");
        else
                a->asked = true;
}

int authorize_start(sd_bus *bus, TurnQueue *turns, sd_bus_message *m, uid_t uid, AuthorizeAction action,
                    authorize_done_t done, void *userdata, Authorize **ret)
{
        static uint64_t counter;
        _cleanup_(authorize_free_p) Authorize *a = calloc(1, sizeof(*a));
        char line[48]; /* no unit's name has a blank in it */

        if (!a)
                return -ENOMEM;
        *a = (Authorize){ .bus = sd_bus_ref(bus),
                          .call = sd_bus_message_ref(m),
                          .action = action,
                          .done = done,
                          .userdata = userdata };
        snprintf(a->cancellation_id, sizeof(a->cancellation_id), "cdmd-%" PRIu64, ++counter);
        snprintf(line, sizeof(line), "polkit %u %u", uid, (unsigned)(counter % OPEN_USER_MAX));
        int r = turn_take(turns, line, on_turn, a, &a->turn);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(a);
        return 0;
}

Authorize *authorize_free(Authorize *a)
{
        if (!a)
                return NULL;
        sd_bus_slot_unref(a->slot);
        if (a->asked)
                (void)sd_bus_call_method_async(a->bus, NULL, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE,
                                               "CancelCheckAuthorization", NULL, NULL, "s",
                                               a->cancellation_id);
        turn_free(a->turn);
        sd_bus_message_unref(a->call);
        sd_bus_unref(a->bus);
        free(a);
        return NULL;
}
