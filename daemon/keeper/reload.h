/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Configuration and fence. */

#include <stdbool.h>

#include "policy/config.h"
#include "policy/pool.h"
#include "policy/topology.h"

typedef struct Answer Answer;
typedef struct Book Book;
typedef struct Fence Fence;
typedef struct Leases Leases;
typedef struct MachineFacts MachineFacts;
typedef struct NodeDrains NodeDrains;
typedef struct Record Record;
typedef struct Reloads Reloads;
typedef struct Warnings Warnings;

typedef struct ReloadContext {
        Book *book;
        Fence *fence;
        Leases *leases;
        MachineFacts *facts;
        NodeDrains *node_drains;
        Record *record;
        Warnings *warnings;
} ReloadContext;

int reloads_new(const ReloadContext *context, Reloads **ret);
Reloads *reloads_free(Reloads *s);

typedef struct ReloadListener {
        void (*fence_settled)(bool worked, void *userdata); /* worked: the fence was not left as it is */
        void (*names_settled)(void *userdata);
} ReloadListener;
void reloads_listen(Reloads *s, const ReloadListener *listener, void *userdata);
/* Have the names of the rules in force been looked up? */
bool reloads_names_are_ready(const Reloads *s);

/* At start there is no policy to keep: a configuration that does not parse leaves one
 * without any rule, whose fence takes what Nodes=auto finds. */
int reloads_load(Reloads *s);
/* done is called when the new configuration is in force and the fence follows it, or when it was refused;
 * perhaps at once. It may be NULL. */
typedef void (*reload_done_t)(const Answer *answer, void *userdata);
void reloads_add(Reloads *s, reload_done_t done, void *userdata);
void reloads_serve(Reloads *s);
/* Makes the fence what the configuration says; the listener's fence_settled() is called when it is. */
void reloads_fence(Reloads *s);

/* Topology and pools are swapped in, and config if there is one: what was in force is handed back. Tells the
 * bus which objects came and went. Not while the fence is busy. */
typedef struct Adoption {
        Topology *topology;
        Config *config; /* NULL: stays */
        PoolSet *pools;
        char *faults;   /* with config: lines about files that were refused; may be NULL */
        char *warnings; /* likewise about what is odd */
} Adoption;
int reloads_adopt(Reloads *s, Adoption *a);
void adoption_clear(Adoption *a);
