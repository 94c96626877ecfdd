/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/caller/authorize.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "policy/cdm-names.h"

typedef struct Question Question;
typedef struct AuthorizeUser AuthorizeUser;

#define POLKIT_NAME             "org.freedesktop.PolicyKit1"
#define POLKIT_PATH             "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE        "org.freedesktop.PolicyKit1.Authority"

#define POLKIT_FLAG_INTERACTIVE UINT32_C(1)

/* A user needs time to type a password. A polkit that hangs must not block an operation for ever, and the
 * caller must get the error before its own timeout, which is 25 s with most libraries. */
#define ANSWER_USEC      (UINT64_C(20) * 1000 * 1000)
#define INTERACTIVE_USEC (UINT64_C(150) * 1000 * 1000)

/* The bus limits cdmd to 128 pending calls, and counts a call until the reply, even if cdmd has stopped
 * waiting for it. polkit may be stopped, and a password dialog may be open for minutes. Calls to PID 1 must
 * remain possible, and questions that polkit answers without a dialog must not wait for dialogs. */
#define OPEN_MAX             24
#define OPEN_INTERACTIVE_MAX 16
#define OPEN_USER_MAX        4

/* All actions and their defaults; an action that is not listed is denied. */
static const struct {
        const char *polkit;
        bool without_polkit; /* allowed if polkit is not installed: the policy files still decide */
        const char *what;
        const char *next; /* advice to the user; "": the caller of authorize_start() adds it */
} actions[_AUTHORIZE_ACTION_MAX] = {
        [AUTHORIZE_REQUEST] = { CDM_ACTION_REQUEST, true, "reserve memory for your own unit", "" },
        [AUTHORIZE_REQUEST_FOR_OTHERS] = { CDM_ACTION_REQUEST_FOR_OTHERS, false,
                                           "reserve memory for a unit that is not your own", "" },
        [AUTHORIZE_REQUEST_AS] = { CDM_ACTION_REQUEST_AS, false, "say for whom a reservation is",
                                   "; ask an administrator" },
        [AUTHORIZE_RELEASE_OTHERS] = { CDM_ACTION_RELEASE_OTHERS, false,
                                       "change the reservation of another user",
                                       "; ask its owner or an administrator" },
        [AUTHORIZE_MANAGE] = { CDM_ACTION_MANAGE, false, "manage cdmd", "; ask an administrator" },
};

/* One call of CheckAuthorization. The call counts against the limits until polkit has replied or has left
 * the bus, even if the answer is no longer wanted. */
struct Question {
        AuthorizeUser *user;
        Authorize *authorize; /* NULL: the answer is no longer wanted */
        bool interactive;
        char cancellation_id[32];
        sd_bus_slot *slot;
        Question *prev, *next;
};

struct AuthorizeUser {
        Authorizer *authorizer;
        uid_t uid;
        size_t n_refs; /* the number of Authorize and Question objects */
        size_t n_open;
        Authorize *waiting[2]; /* [interactive], in order of arrival */
        AuthorizeUser *prev, *next;
        UT_hash_handle hh;
};

struct Authorizer {
        sd_bus *bus;
        sd_event *event;
        sd_event_source *send; /* enabled: a waiting question may fit within the limits */
        AuthorizeUser *users;
        AuthorizeUser *rotation; /* users with a waiting question; the first is next */
        Question *questions;
        size_t n_open, n_interactive;
        uint64_t last_id;
};

struct Authorize {
        AuthorizeUser *user;
        char *sender; /* unique name on the bus */
        bool interactive;
        Question *question; /* NULL: not sent yet */
        bool waits;
        sd_event_source *patience;
        AuthorizeAction action;
        answer_done_t done;
        void *userdata;
        Authorize *prev, *next;
};

bool authorize_is_needed(AuthorizeAction action, uid_t uid)
{
        return uid != 0;
}

/* True if polkit is absent, as opposed to broken: the name has no owner and cannot be activated. */
static bool authorize_is_absent(const sd_bus_error *e)
{
        return sd_bus_error_has_name(e, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
               sd_bus_error_has_name(e, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ||
               sd_bus_error_has_name(e, "org.freedesktop.systemd1.NoSuchUnit") ||
               sd_bus_error_has_name(e, "org.freedesktop.systemd1.UnitMasked");
}

/* --- users ------------------------------------------------------------------------------------------------
 */

static bool authorize_user_waits(const AuthorizeUser *u)
{
        return u->waiting[false] || u->waiting[true];
}

static int authorize_user_ref(Authorizer *z, uid_t uid, AuthorizeUser **ret)
{
        AuthorizeUser *u;

        HASH_FIND(hh, z->users, &uid, sizeof(uid), u);
        if (!u) {
                u = calloc(1, sizeof(*u));
                if (!u)
                        return -ENOMEM;
                u->authorizer = z;
                u->uid = uid;
                HASH_ADD(hh, z->users, uid, sizeof(u->uid), u);
        }
        u->n_refs++;
        *ret = u;
        return 0;
}

static void authorize_user_unref(AuthorizeUser *u)
{
        if (!u || --u->n_refs > 0)
                return;
        HASH_DEL(u->authorizer->users, u);
        free(u);
}

static void authorize_user_enqueue(Authorize *a)
{
        AuthorizeUser *u = a->user;

        if (!authorize_user_waits(u))
                DL_APPEND(u->authorizer->rotation, u);
        DL_APPEND(u->waiting[a->interactive], a);
        a->waits = true;
}

static void authorize_user_dequeue(Authorize *a)
{
        AuthorizeUser *u = a->user;

        DL_DELETE(u->waiting[a->interactive], a);
        a->waits = false;
        if (!authorize_user_waits(u))
                DL_DELETE(u->authorizer->rotation, u);
}

/* --- answers ----------------------------------------------------------------------------------------------
 */

static void authorize_answer(Authorize *a, bool allowed, const char *why)
{
        _cleanup_free_ char *message = NULL;

        a->patience = sd_event_source_disable_unref(a->patience);
        if (!allowed &&
            asprintf(&message, "not authorized to %s (polkit action %s: %s)%s", actions[a->action].what,
                     actions[a->action].polkit, why, actions[a->action].next) < 0)
                message = NULL;
        Answer denial = { CDM_ERROR_DENIED, message ? message : "not authorized" };
        a->done(allowed ? &(Answer){ NULL, NULL } : &denial, a->userdata);
}

static void authorize_answer_error(Authorize *a, const sd_bus_error *e)
{
        if (authorize_is_absent(e))
                authorize_answer(a, actions[a->action].without_polkit,
                                 "polkit is not running, so only root may");
        else if (sd_bus_error_has_name(e, SD_BUS_ERROR_NO_REPLY) ||
                 sd_bus_error_has_name(e, SD_BUS_ERROR_TIMEOUT))
                authorize_answer(a, false,
                                 "polkit did not answer in time; look at `systemctl status polkit`");
        else
                authorize_answer(a, false, "polkit refused the question; look at `journalctl -u polkit`");
}

static void authorize_answer_reply(Authorize *a, sd_bus_message *m)
{
        int authorized, challenge;

        if (sd_bus_message_is_method_error(m, NULL))
                authorize_answer_error(a, sd_bus_message_get_error(m));
        else if (sd_bus_message_enter_container(m, 'r', "bba{ss}") < 0 ||
                 sd_bus_message_read(m, "bb", &authorized, &challenge) < 0)
                authorize_answer(a, false,
                                 "polkit sent an unexpected reply; look at `journalctl -u polkit`");
        else if (!authorized && challenge)
                authorize_answer(a, false,
                                 "authentication is needed, but the client does not allow a dialog");
        else
                authorize_answer(a, authorized, "polkit says no");
}

static void authorizer_send_soon(Authorizer *z)
{
        if (z->rotation)
                (void)sd_event_source_set_enabled(z->send, SD_EVENT_ONESHOT);
}

static void authorize_question_free(Question *q)
{
        Authorizer *z = q->user->authorizer;

        DL_DELETE(z->questions, q);
        z->n_open--;
        z->n_interactive -= q->interactive;
        q->user->n_open--;
        authorize_user_unref(q->user);
        sd_bus_slot_unref(q->slot);
        free(q);
        authorizer_send_soon(z);
}

/* polkit closes its dialog and then replies to the question. The reply to this call is ignored. */
static void question_abandon(Question *q)
{
        q->authorize = NULL;
        (void)sd_bus_call_method_async(q->user->authorizer->bus, NULL, POLKIT_NAME, POLKIT_PATH,
                                       POLKIT_INTERFACE, "CancelCheckAuthorization", NULL, NULL, "s",
                                       q->cancellation_id);
}

static int question_on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Question *q = userdata;
        Authorize *a = q->authorize;

        authorize_question_free(q);
        if (a) {
                a->question = NULL;
                authorize_answer_reply(a, m);
        }
        return 0;
}

static int authorize_on_patience(sd_event_source *source, uint64_t usec, void *userdata)
{
        Authorize *a = userdata;

        if (a->question) {
                question_abandon(a->question);
                a->question = NULL;
                authorize_answer(a, false,
                                 "polkit did not answer in time; look at `systemctl status polkit`");
        } else {
                authorize_user_dequeue(a);
                authorize_answer(
                        a, false,
                        "too many questions to polkit are open; try again, or look at `systemctl status "
                        "polkit`");
        }
        return 0;
}

/* --- asking -----------------------------------------------------------------------------------------------
 */

static int authorize_set_patience(Authorize *a)
{
        uint64_t usec = a->interactive ? INTERACTIVE_USEC : ANSWER_USEC;

        a->patience = sd_event_source_disable_unref(a->patience);
        return sd_event_add_time_relative(a->user->authorizer->event, &a->patience, CLOCK_MONOTONIC, usec,
                                          usec / 16, authorize_on_patience, a);
}

/* Disables the timeout of sd-bus: sd-bus would drop the call while the bus still counts it. */
static int question_send(Question *q, const Authorize *a)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        sd_bus *bus = q->user->authorizer->bus;

        int r = sd_bus_message_new_method_call(bus, &m, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE,
                                               "CheckAuthorization");
        /* The subject is the connection: a PID may have been reused by the time polkit looks it up. */
        if (r >= 0)
                r = sd_bus_message_append(m, "(sa{sv})s", "system-bus-name", 1, "name", "s", a->sender,
                                          actions[a->action].polkit);
        if (r >= 0)
                r = sd_bus_message_append(m, "a{ss}us", 0, q->interactive ? POLKIT_FLAG_INTERACTIVE : 0,
                                          q->cancellation_id);
        if (r >= 0)
                r = sd_bus_call_async(bus, &q->slot, m, question_on_reply, q, UINT64_MAX);
        return r;
}

static int authorize_ask(Authorize *a)
{
        Authorizer *z = a->user->authorizer;
        Question *q = calloc(1, sizeof(*q));

        if (!q)
                return -ENOMEM;
        *q = (Question){ .user = a->user, .authorize = a, .interactive = a->interactive };
        snprintf(q->cancellation_id, sizeof(q->cancellation_id), "cdmd-%" PRIu64, ++z->last_id);
        DL_APPEND(z->questions, q);
        z->n_open++;
        z->n_interactive += q->interactive;
        q->user->n_open++;
        q->user->n_refs++;
        int r = authorize_set_patience(a);
        if (r >= 0)
                r = question_send(q, a);
        if (r < 0) {
                authorize_question_free(q);
                return r;
        }
        a->question = q;
        return 0;
}

/* Returns the next question of the first user in the rotation who is below the limits. */
static Authorize *authorizer_pick(Authorizer *z)
{
        AuthorizeUser *u;

        if (z->n_open >= OPEN_MAX)
                return NULL;
        DL_FOREACH (z->rotation, u) {
                if (u->n_open >= OPEN_USER_MAX)
                        continue;
                if (u->waiting[false])
                        return u->waiting[false];
                if (z->n_interactive < OPEN_INTERACTIVE_MAX)
                        return u->waiting[true];
        }
        return NULL;
}

static int authorizer_on_send(sd_event_source *source, void *userdata)
{
        Authorizer *z = userdata;
        Authorize *a;

        while ((a = authorizer_pick(z))) {
                AuthorizeUser *u = a->user;
                authorize_user_dequeue(a);
                if (authorize_user_waits(u)) { /* the other users are next */
                        DL_DELETE(z->rotation, u);
                        DL_APPEND(z->rotation, u);
                }
                if (authorize_ask(a) < 0)
                        authorize_answer(a, false, "polkit could not be asked");
        }
        return 0;
}

int authorizer_new(sd_bus *bus, sd_event *event, Authorizer **ret)
{
        _cleanup_(authorizer_free_p) Authorizer *z = calloc(1, sizeof(*z));

        if (!z)
                return -ENOMEM;
        z->bus = sd_bus_ref(bus);
        z->event = sd_event_ref(event);
        int r = sd_event_add_defer(event, &z->send, authorizer_on_send, z);
        if (r >= 0)
                r = sd_event_source_set_enabled(z->send, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(z);
        return 0;
}

Authorizer *authorizer_free(Authorizer *z)
{
        if (!z)
                return NULL;
        while (z->questions)
                authorize_question_free(z->questions);
        sd_event_source_disable_unref(z->send);
        sd_event_unref(z->event);
        sd_bus_unref(z->bus);
        free(z);
        return NULL;
}

int authorize_start(Authorizer *z, const char *sender, bool interactive, uid_t uid, AuthorizeAction action,
                    answer_done_t done, void *userdata, Authorize **ret)
{
        Authorize *a = calloc(1, sizeof(*a));

        if (!a)
                return -ENOMEM;
        *a = (Authorize){ .sender = strdup(sender),
                          .interactive = interactive,
                          .action = action,
                          .done = done,
                          .userdata = userdata };
        int r = a->sender ? authorize_user_ref(z, uid, &a->user) : -ENOMEM;
        if (r >= 0)
                r = authorize_set_patience(a);
        if (r < 0) {
                authorize_free(a);
                return r;
        }
        authorize_user_enqueue(a);
        authorizer_send_soon(z);
        *ret = a;
        return 0;
}

Authorize *authorize_free(Authorize *a)
{
        if (!a)
                return NULL;
        if (a->waits)
                authorize_user_dequeue(a);
        if (a->question)
                question_abandon(a->question);
        sd_event_source_disable_unref(a->patience);
        authorize_user_unref(a->user);
        free(a->sender);
        free(a);
        return NULL;
}
