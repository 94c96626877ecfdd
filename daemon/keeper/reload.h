/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Loads the configuration, and makes the fence follow it. */

#include <stdbool.h>

#include "daemon/loop/answer.h"
#include "policy/config.h"
#include "policy/pool.h"
#include "policy/topology.h"

typedef struct Bases Bases;
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
        Bases *bases;
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
        void (*fence_settled)(bool worked, void *userdata); /* worked: the fence was changed */
        void (*names_settled)(void *userdata);
} ReloadListener;
void reloads_listen(Reloads *s, const ReloadListener *listener, void *userdata);
/* True if the users and groups of the rules in force have been looked up. */
bool reloads_names_are_ready(const Reloads *s);

/* Loads the configuration at start, when there is no older policy to keep. A configuration that does not
 * parse is replaced by one without any rule, whose fence covers the nodes that Nodes=auto finds. */
int reloads_load(Reloads *s);
/* done is called when the new configuration is in force and the fence follows it, or when the configuration
 * was refused. done may be NULL. */
void reloads_add(Reloads *s, answer_done_t done, void *userdata);
void reloads_serve(Reloads *s);
/* Nodes came or went: a reload that has read the nodes, or is reading them, reads them again. */
void reloads_nodes_changed(Reloads *s);
/* Closes or lifts the fence as the configuration requires; calls the listener's fence_settled() at the
 * end. */
void reloads_fence(Reloads *s);

/* Swaps in topology and pools, and config if it is not NULL; *a then has the previous ones. Notifies the bus
 * of objects that came and went. Must not be called while the fence is busy. */
typedef struct Adoption {
        Topology *topology;
        Config *config; /* NULL: the one in force stays */
        PoolSet *pools;
        char *faults;   /* with config: lines about files that were refused; may be NULL */
        char *warnings; /* with config: lines about questionable settings; may be NULL */
} Adoption;
int reloads_adopt(Reloads *s, Adoption *a);
void adoption_clear(Adoption *a);
