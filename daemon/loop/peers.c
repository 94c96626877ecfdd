/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "daemon/loop/match.h"
#include "daemon/loop/peers.h"

/* arg2 is the new owner; it is empty when a name is lost. */
#define MATCH_NAME_LOST                                                                                     \
        "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"                         \
        "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg2=''"

typedef struct Peer {
        Peers *peers; /* NULL: the peer has left, and is no longer in the table */
        char *name;
        PeerWatch *watches;
        UT_hash_handle hh;
} Peer;

struct PeerWatch {
        Peer *peer; /* NULL: its callback has been called */
        peer_gone_t gone;
        void *userdata;
        PeerWatch *prev, *next;
};

struct Peers {
        sd_bus_slot *match;
        Peer *table;
};

static void peer_free(Peer *p)
{
        free(p->name);
        free(p);
}

/* Each watch leaves the list before its callback runs, so callbacks may free the others in any order. */
static void peers_left(Peers *peers, const char *name)
{
        Peer *p;

        HASH_FIND_STR(peers->table, name, p);
        if (!p)
                return;
        HASH_DEL(peers->table, p);
        p->peers = NULL;
        while (p->watches) {
                PeerWatch *w = p->watches;
                DL_DELETE(p->watches, w);
                w->peer = NULL;
                w->gone(w->userdata);
        }
        peer_free(p);
}

static int peers_on_name_lost(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *name;

        if (sd_bus_message_read(m, "s", &name) >= 0)
                peers_left(userdata, name);
        return 0;
}

int peers_new(sd_bus *bus, Peers **ret)
{
        _cleanup_(peers_free_p) Peers *p = calloc(1, sizeof(*p));

        if (!p)
                return -ENOMEM;
        int r = match_add(bus, &p->match, MATCH_NAME_LOST, peers_on_name_lost, p);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(p);
        return 0;
}

Peers *peers_free(Peers *p)
{
        if (!p)
                return NULL;
        sd_bus_slot_unref(p->match);
        free(p);
        return NULL;
}

static int peer_get(Peers *peers, const char *name, Peer **ret)
{
        Peer *p;

        HASH_FIND_STR(peers->table, name, p);
        if (!p) {
                p = calloc(1, sizeof(*p));
                if (!p)
                        return -ENOMEM;
                p->peers = peers;
                p->name = strdup(name);
                if (!p->name) {
                        free(p);
                        return -ENOMEM;
                }
                HASH_ADD_KEYPTR(hh, peers->table, p->name, strlen(p->name), p);
        }
        *ret = p;
        return 0;
}

int peers_watch(Peers *p, const char *name, peer_gone_t gone, void *userdata, PeerWatch **ret)
{
        PeerWatch *w = calloc(1, sizeof(*w));

        if (!w)
                return -ENOMEM;
        *w = (PeerWatch){ .gone = gone, .userdata = userdata };
        int r = peer_get(p, name, &w->peer);
        if (r < 0) {
                free(w);
                return r;
        }
        DL_APPEND(w->peer->watches, w);
        *ret = w;
        return 0;
}

PeerWatch *peer_watch_free(PeerWatch *w)
{
        if (!w)
                return NULL;
        Peer *p = w->peer;
        if (p) {
                DL_DELETE(p->watches, w);
                if (!p->watches && p->peers) {
                        HASH_DEL(p->peers->table, p);
                        peer_free(p);
                }
        }
        free(w);
        return NULL;
}
