/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*   bus_callers_add ── uid not known yet ── asked of the bus ──┐
 *        │                                                │
 *        └────────── uid known ───────────────────────────┴── waits in its user's list ── bus_callers_next
 *
 * Users with calls that wait stand in a ring: the first one is served, and goes to the end. */

#include "daemon/bus/bus-callers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "policy/cdm-names.h"

#define CONNECTION_MAX 4
#define USER_MAX       16

typedef struct User User;
typedef struct Caller Caller;

struct Caller {
        BusCallers *set;
        sd_bus_message *call;
        const char *what;
        sd_bus_slot *slot; /* while the bus is asked for the user */
        User *user;        /* NULL until it is known */
        Caller *prev, *next;
};

struct User {
        uid_t uid;
        Caller *callers;
        size_t n;
        User *prev, *next;
        UT_hash_handle hh;
};

struct BusCallers {
        SenderCache *senders;
        bus_callers_ready_t ready;
        void *userdata;
        Caller *unknown;
        User *users, *users_by_uid;
};

int bus_callers_new(SenderCache *senders, bus_callers_ready_t ready, void *userdata, BusCallers **ret)
{
        BusCallers *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        *c = (BusCallers){ .senders = senders, .ready = ready, .userdata = userdata };
        *ret = c;
        return 0;
}

static void user_prune(BusCallers *c, User *u)
{
        if (u->callers)
                return;
        DL_DELETE(c->users, u);
        HASH_DEL(c->users_by_uid, u);
        free(u);
}

/* Takes it out of its list; the message stays the caller's. */
static void caller_free(Caller *i)
{
        BusCallers *c = i->set;

        if (i->user) {
                DL_DELETE(i->user->callers, i);
                i->user->n--;
                user_prune(c, i->user);
        } else
                DL_DELETE(c->unknown, i);
        sd_bus_slot_unref(i->slot);
        free(i);
}

static void caller_drop(Caller *i)
{
        sd_bus_message_unref(i->call);
        caller_free(i);
}

BusCallers *bus_callers_free(BusCallers *c)
{
        if (!c)
                return NULL;
        while (c->unknown)
                caller_drop(c->unknown);
        while (c->users)
                caller_drop(c->users->callers);
        free(c);
        return NULL;
}

static void caller_refuse(Caller *i)
{
        (void)sd_bus_reply_method_errorf(i->call, CDM_ERROR_BUSY,
                                         "too many of your %s wait; wait for an answer first", i->what);
        caller_drop(i);
}

static User *user_get(BusCallers *c, uid_t uid)
{
        User *u;

        HASH_FIND(hh, c->users_by_uid, &uid, sizeof(uid), u);
        if (u)
                return u;
        u = calloc(1, sizeof(*u));
        if (u) {
                u->uid = uid;
                HASH_ADD(hh, c->users_by_uid, uid, sizeof(u->uid), u);
                DL_APPEND(c->users, u);
        }
        return u;
}

static size_t callers_count_connection(const Caller *list, const char *sender)
{
        const Caller *i;
        size_t n = 0;

        DL_FOREACH (list, i)
                n += strcmp(sd_bus_message_get_sender(i->call), sender) == 0;
        return n;
}

static void caller_set_user(Caller *i, uid_t uid)
{
        BusCallers *c = i->set;
        User *u = user_get(c, uid);

        if (!u || u->n >= USER_MAX ||
            callers_count_connection(u->callers, sd_bus_message_get_sender(i->call)) >= CONNECTION_MAX) {
                if (u)
                        user_prune(c, u);
                caller_refuse(i);
                return;
        }
        DL_DELETE(c->unknown, i);
        DL_APPEND(u->callers, i);
        u->n++;
        i->user = u;
        c->ready(c->userdata);
}

static void callers_on_sender(int error, const Sender *s, void *userdata)
{
        Caller *i = userdata;

        i->slot = sd_bus_slot_unref(i->slot);
        if (error < 0)
                caller_drop(i); /* it is gone */
        else
                caller_set_user(i, s->uid);
}

int bus_callers_add(BusCallers *c, sd_bus_message *call, const char *what)
{
        const char *name = sd_bus_message_get_sender(call);
        Caller *i = calloc(1, sizeof(*i));

        if (!i)
                return -ENOMEM;
        *i = (Caller){ .set = c, .call = sd_bus_message_ref(call), .what = what };
        DL_APPEND(c->unknown, i);
        const Sender *s = sender_cached(c->senders, name);
        if (s)
                caller_set_user(i, s->uid);
        else if (callers_count_connection(c->unknown, name) > CONNECTION_MAX)
                caller_refuse(i);
        else {
                int r = sender_fetch(c->senders, name, callers_on_sender, i, &i->slot);
                if (r < 0) {
                        caller_drop(i);
                        return r;
                }
        }
        return 1;
}

sd_bus_message *bus_callers_next(BusCallers *c, uid_t *ret_uid)
{
        User *u = c->users;

        if (!u)
                return NULL;
        sd_bus_message *call = u->callers->call;
        if (ret_uid)
                *ret_uid = u->uid;
        DL_DELETE(c->users, u);
        DL_APPEND(c->users, u);
        caller_free(u->callers);
        return call;
}
