/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Clients of a made-up bus. Calls come through a socket, whose other end writes the sender's name into them:
 * ":UID.CONNECTION". */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/caller/sender.h"
#include "daemon/loop/peers.h"
#include "tests/unit/check-main.h"

#define ALICE 1000
#define BOB   1001
#define CAROL 1002

/* In place of daemon/caller/sender.c. Of UIDs from 2000 on the bus has to be asked, which answers in
 * answer_all(). */

typedef struct Fetch {
        char name[32];
        sender_cb cb;
        void *userdata;
} Fetch;

static bool all_are_cached;
static Fetch fetches[64];
static unsigned n_fetches;

static inline Sender sender_of(const char *name)
{
        unsigned uid;

        MUST(sscanf(name, ":%u.", &uid) == 1);
        return (Sender){ .name = (char *)name, .uid = uid };
}

const Sender *sender_cached(const SenderCache *c _unused_, const char *name)
{
        static Sender s;

        s = sender_of(name);
        return s.uid < 2000 || all_are_cached ? &s : NULL;
}

int sender_fetch(SenderCache *c _unused_, const char *name, sender_cb cb, void *userdata,
                 sd_bus_slot **ret_slot)
{
        Fetch *f = &fetches[n_fetches++];

        MUST(n_fetches <= sizeof(fetches) / sizeof(fetches[0]));
        snprintf(f->name, sizeof(f->name), "%s", name);
        f->cb = cb;
        f->userdata = userdata;
        *ret_slot = NULL;
        return 0;
}

/* In place of daemon/loop/peers.c. */

struct PeerWatch {
        char name[32];
        peer_gone_t gone;
        void *userdata;
};

#define WATCHES 4096
static PeerWatch *watches[WATCHES];

int peers_watch(Peers *p _unused_, const char *name, peer_gone_t gone, void *userdata, PeerWatch **ret)
{
        for (size_t i = 0; i < WATCHES; i++) {
                if (watches[i])
                        continue;
                watches[i] = calloc(1, sizeof(PeerWatch));
                MUST(watches[i]);
                snprintf(watches[i]->name, sizeof(watches[i]->name), "%s", name);
                watches[i]->gone = gone;
                watches[i]->userdata = userdata;
                *ret = watches[i];
                return 0;
        }
        return -ENOMEM;
}

PeerWatch *peer_watch_free(PeerWatch *w)
{
        for (size_t i = 0; w && i < WATCHES; i++)
                if (watches[i] == w)
                        watches[i] = NULL;
        free(w);
        return NULL;
}

static inline void leave(unsigned uid, unsigned connection)
{
        char name[32];

        snprintf(name, sizeof(name), ":%u.%u", uid, connection);
        for (size_t i = 0; i < WATCHES; i++)
                if (watches[i] && strcmp(watches[i]->name, name) == 0)
                        watches[i]->gone(watches[i]->userdata);
}

static inline void answer_all(int error)
{
        for (unsigned i = 0; i < n_fetches; i++) {
                Sender s = sender_of(fetches[i].name);

                fetches[i].cb(error, error < 0 ? NULL : &s, fetches[i].userdata);
        }
        n_fetches = 0;
}

static inline sd_bus_message *fake_call(sd_bus *client, unsigned uid, unsigned connection,
                                        const char *member)
{
        sd_bus_message *m = NULL;
        char name[32];

        snprintf(name, sizeof(name), ":%u.%u", uid, connection);
        MUST(sd_bus_message_new_method_call(client, &m, NULL, "/", "org.example.Test", member) >= 0);
        MUST(sd_bus_message_set_sender(m, name) >= 0);
        return m;
}
