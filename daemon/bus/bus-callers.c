/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*   bus_callers_add ── uid not known yet ── asked of the bus ──┐
 *        │                                                │
 *        └────────── uid known ───────────────────────────┴── waits in its user's list ── bus_callers_next
 *
 * The users with waiting calls form a queue: the first user is served, and then moves to the end. */

#include "daemon/bus/bus-callers.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "policy/cdm-names.h"

const BusLimits bus_limits_lists = { .connection = 4, .user = 16 };

typedef struct User User;
typedef struct Caller Caller;

struct Caller {
        BusCallers *set;
        sd_bus_message *call;
        const char *what;
        bus_begin_t begin;
        PeerWatch *client;
        sd_bus_slot *slot; /* while the bus is asked for the user */
        User *user;        /* NULL: not known yet */
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
        Peers *peers;
        BusLimits limits;
        size_t n;
        sd_bus_slot *pause; /* a call to the bus, answered after the bus has read everything sent before */
        bus_callers_ready_t ready;
        void *userdata;
        Caller *unknown;
        User *users, *users_by_uid;
};

int bus_callers_new(SenderCache *senders, Peers *peers, const BusLimits *limits, bus_callers_ready_t ready,
                    void *userdata, BusCallers **ret)
{
        BusCallers *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        *c = (BusCallers){
                .senders = senders, .peers = peers, .limits = *limits, .ready = ready, .userdata = userdata
        };
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

/* Removes the Caller from its list and frees it, but not the message. */
static void caller_free(Caller *i)
{
        BusCallers *c = i->set;

        if (i->user) {
                DL_DELETE(i->user->callers, i);
                i->user->n--;
                user_prune(c, i->user);
        } else
                DL_DELETE(c->unknown, i);
        c->n--;
        peer_watch_free(i->client);
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
        sd_bus_slot_unref(c->pause);
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

static void caller_on_gone(void *userdata)
{
        caller_drop(userdata);
}

static size_t callers_count_connection(const Caller *list, const char *sender)
{
        const Caller *i;
        size_t n = 0;

        DL_FOREACH (list, i)
                n += strcmp(sd_bus_message_get_sender(i->call), sender) == 0;
        return n;
}

static bool callers_are_too_many(const BusCallers *c, const User *u, const char *sender)
{
        return u->n >= c->limits.user ||
               (c->limits.connection > 0 &&
                callers_count_connection(u->callers, sender) >= c->limits.connection);
}

static void caller_set_user(Caller *i, uid_t uid)
{
        BusCallers *c = i->set;
        User *u = user_get(c, uid);

        if (!u || callers_are_too_many(c, u, sd_bus_message_get_sender(i->call))) {
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
                caller_drop(i); /* the client has left the bus */
        else
                caller_set_user(i, s->uid);
}

/* While a call waits for its user, later calls of the same connection wait too, so that they stay in
 * order. */
static int caller_find_user(Caller *i)
{
        BusCallers *c = i->set;
        const char *name = sd_bus_message_get_sender(i->call);
        const Sender *s = sender_cached(c->senders, name);
        size_t n_unknown = callers_count_connection(c->unknown, name); /* including this one */

        if (c->limits.all > 0 && c->n > c->limits.all)
                caller_refuse(i);
        else if (s && n_unknown == 1)
                caller_set_user(i, s->uid);
        else if (c->limits.connection > 0 && n_unknown > c->limits.connection)
                caller_refuse(i);
        else
                return sender_fetch(c->senders, name, callers_on_sender, i, &i->slot);
        return 0;
}

int bus_callers_add(BusCallers *c, sd_bus_message *call, const char *what, bus_begin_t begin)
{
        Caller *i = calloc(1, sizeof(*i));

        if (!i)
                return -ENOMEM;
        *i = (Caller){ .set = c, .call = sd_bus_message_ref(call), .what = what, .begin = begin };
        DL_APPEND(c->unknown, i);
        c->n++;
        int r = peers_watch(c->peers, sd_bus_message_get_sender(call), caller_on_gone, i, &i->client);
        if (r >= 0)
                r = caller_find_user(i);
        if (r < 0) {
                caller_drop(i);
                return r;
        }
        return 1;
}

static int callers_on_resume(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        BusCallers *c = userdata;

        c->pause = sd_bus_slot_unref(c->pause);
        if (c->users)
                c->ready(c->userdata);
        return 0;
}

/* An error is ignored: without the pause other clients only wait longer. */
void bus_callers_pause(BusCallers *c, sd_bus *bus)
{
        if (!c->pause)
                (void)sd_bus_call_method_async(bus, &c->pause, "org.freedesktop.DBus",
                                               "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId",
                                               callers_on_resume, c, NULL);
}

sd_bus_message *bus_callers_next(BusCallers *c, uid_t *ret_uid, bus_begin_t *ret_begin)
{
        User *u = c->users;

        if (!u || c->pause)
                return NULL;
        sd_bus_message *call = u->callers->call;
        if (ret_uid)
                *ret_uid = u->uid;
        if (ret_begin)
                *ret_begin = u->callers->begin;
        DL_DELETE(c->users, u);
        DL_APPEND(c->users, u);
        caller_free(u->callers);
        return call;
}
