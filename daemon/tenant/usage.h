/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The used bytes of the nodes, for decide(). The worker reads the files, never the event loop. A caller
 * requests a look, and its callback runs after an observation that began after the request. Looks are
 * merged: one job runs at a time, and all requests made while it runs are served by the next job.
 *
 * Bytes that are used but not explained by a reservation are `foreign`. They reduce what is available, so
 * that the ledger never promises them twice.
 *
 *   used = MemTotal - MemFree of the node, without the bytes that cdmd itself holds there
 *   T    = what the tenants' cgroups account for there (memory.numa_stat), and their exact buffers, which
 *          are charged to cdmd's own cgroup
 *   R    = what is reserved for them
 *   A    = what all cgroups account for (the root's memory.numa_stat)
 *   U    = used - A: unattributed (driver, hugetlb, kernel)
 *
 *   no tenant:  foreign = used
 *   one:        foreign = used - min(R, T + U). The driver's allocations for the only tenant are its own, up
 *               to what it reserved; A - T are intruders and always foreign.
 *   several:    foreign = used - sum of min(R_i, T_i). U has no owner.
 *
 * Buffers of huge pages are charged to no cgroup: they are a part of U, and of T where U has no owner. Bytes
 * above a reservation (T > R) are foreign as well: a tenant may use spare room, but it is promised to others
 * only when it is empty. If the root's numbers cannot be read, A = T is assumed.
 *
 * The ledger keeps each T and the sum (ledger_observe()), so R is always current: when a reservation leaves,
 * the bytes that it explained become foreign, and a new tenant explains nothing until it was observed. Both
 * err to "less is available". A node that was never observed has nothing available.
 *
 * On a node with many tenants, all are read at most once a second. New tenants and `used` are read each
 * time. Bytes that a tenant allocates in between count as foreign. Bytes that a tenant frees and another
 * cgroup takes in between would stay hidden for that second, but the fence keeps other cgroups out. */

#include "daemon/loop/worker.h"
#include "policy/decide.h"

typedef struct Usage Usage;
typedef struct UsageLook UsageLook;

/* Access to exact buffers, which are charged to cdmd's own cgroup: buffers_mark() and buffers_foreach(). */
typedef void (*usage_buffer_t)(const char *tenant, int node, uint64_t bytes, bool huge, void *userdata);
typedef struct UsageBuffers {
        uint32_t (*mark)(const void *set);
        void (*foreach)(const void *set, uint32_t mark, usage_buffer_t fn, void *userdata);
        const void *set;
} UsageBuffers;

typedef struct UsageContext {
        const char *root;
        sd_event *event;
        Worker *worker;
        Ledger *ledger;
        const UsageBuffers *buffers; /* NULL: there are none */
} UsageContext;

int usage_new(const UsageContext *context, Usage **ret);
/* Pending looks are dropped without a callback. */
Usage *usage_free(Usage *u);
DEFINE_CLEANUP(Usage, usage_free);

/* A control group that is read in the same job. */
typedef struct UsageTarget {
        NodeSet near; /* nodes whose CPUs it may use, when that is not all of them; else empty */
        NodeSet mems; /* its own cpuset.mems; empty: it inherits */
} UsageTarget;

/* Called from the event loop, once; the callback may free the look. error < 0: the observation failed. */
typedef void (*usage_done_t)(int error, const UsageTarget *target, void *userdata);

/* nodes: the nodes to observe. cgroup: the target to read; may be NULL. with_cpu: the nodes that have
 * CPUs. */
int usage_look(Usage *u, const NodeSet *nodes, const char *cgroup, const NodeSet *with_cpu,
               usage_done_t done, void *userdata, UsageLook **ret);
UsageLook *usage_look_free(UsageLook *l);
/* The caller does not keep the look. dropped frees userdata if the callback is never called. */
void usage_look_leave(UsageLook *l, void (*dropped)(void *userdata));

/* The last observation, combined with the current ledger. Valid until the next call. closed: nodes on which
 * nothing is available. show: as for usage_show_node(). */
const NodeUse *usage_of_nodes(Usage *u, const NodeSet *nodes, const NodeSet *closed, bool show,
                              size_t *ret_n);
/* The same for display: MemFree is read again, and a new observation is started if the last one is older
 * than a second, so that the next answer is right. */
typedef struct UsageNumbers {
        uint64_t used_bytes, unattributed_bytes;
        NodeUse use;
} UsageNumbers;
UsageNumbers usage_show_node(Usage *u, int node);

/* The number of observations so far. */
uint64_t usage_count(const Usage *u);
