/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* All of cdmd but its surface on the bus, in the process of the test, over a made-up machine below a
 * temporary root: two ordinary nodes, and nodes 2 and 3 of pool cdm. PID 1 has no time for questions, and all
 * clients are root. */

#include "daemon/assembly.h"
#include "daemon/keeper/reload.h"
#include "daemon/keeper/start.h"
#include "daemon/kernel/cgroup.h"
#include "policy/macro.h"
#include "policy/timespan.h"
#include "tests/unit/bus-pair.h"
#include "tests/unit/check-main.h"
#include "tests/unit/tree.h"

typedef struct WholeCdmd {
        char *root;
        sd_event *event;
        sd_bus *server, *client;
        Assembly *assembly;
} WholeCdmd;

static inline int whole_on_call(sd_bus_message *message, void *userdata _unused_,
                                sd_bus_error *error _unused_)
{
        if (!sd_bus_message_is_method_call(message, NULL, NULL))
                return 0;
        if (sd_bus_message_is_method_call(message, NULL, "Reload") ||
            sd_bus_message_is_method_call(message, NULL, "Subscribe"))
                MUST(sd_bus_reply_method_return(message, NULL) >= 0);
        else if (sd_bus_message_is_method_call(message, NULL, "GetConnectionCredentials"))
                MUST(sd_bus_reply_method_return(message, "a{sv}", 1, "UnixUserID", "u", 0) >= 0);
        else
                MUST(sd_bus_reply_method_errorf(message, SD_BUS_ERROR_TIMEOUT, "not now") >= 0);
        return 1;
}

/* Services NAME-1 to NAME-n, fenced. */
static inline void whole_put_leaves(const WholeCdmd *w, const char *name, unsigned n)
{
        char path[128];

        for (unsigned i = 1; i <= n; i++) {
                snprintf(path, sizeof(path), "sys/fs/cgroup/system.slice/%s-%u.service/cpuset.mems", name,
                         i);
                tree_write(w->root, path, "0-1\n");
                strcat(path, ".effective");
                tree_write(w->root, path, "0-1\n");
        }
}

/* With n services u-1, u-2, ... and one file of policy; rule NULL: none. It does not run yet. */
static inline void whole_prepare(WholeCdmd *w, unsigned n, const char *rule)
{
        char command[512], *error = NULL;

        w->root = tree_new();
        snprintf(command, sizeof(command), "cp -r '%s/machine/hbm4/.' '%s' && chmod -R u+w '%s'",
                 TEST_DATA_DIR, w->root, w->root);
        ck_assert_int_eq(system(command), 0);
        tree_write(w->root, "sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n");
        tree_write(w->root, "sys/fs/cgroup/cgroup.subtree_control", "cpuset cpu io memory pids\n");
        tree_write(w->root, "run/systemd/system/.keep", "");
        if (rule)
                tree_write(w->root, "etc/cdm/policy.d/10-all.conf", rule);
        whole_put_leaves(w, "u", n);
        ck_assert_int_eq(cgroup_setup(w->root, &error), 0);
        ck_assert_int_ge(sd_event_new(&w->event), 0);
        bus_pair_new(w->event, whole_on_call, &w->server, &w->client);
        ck_assert_int_eq(assembly_new(w->root, w->event, w->client, &w->assembly), 0);
        ck_assert_int_eq(reloads_load(w->assembly->reloads), 0);
}

static inline void whole_start(WholeCdmd *w)
{
        ck_assert_int_eq(start_run(w->assembly->start), 0);
}

static inline void whole_stop(WholeCdmd *w)
{
        assembly_free(w->assembly);
        sd_bus_close_unref(w->client);
        sd_bus_close_unref(w->server);
        sd_event_unref(w->event);
        tree_remove(w->root);
}

/* The tenant, a unit or the path of a control group, has so many bytes of node 2. */
static inline Entry *whole_add_reservation(WholeCdmd *w, uint32_t id, const char *tenant, uint64_t bytes)
{
        Reservation *r;
        Entry *e;

        MUST(reservation_new(&r) == 0);
        r->id = id;
        r->state = RESERVATION_ACTIVE;
        r->pool = strdup("cdm");
        r->size_bytes = bytes;
        r->lease_usec = r->term_usec = r->expires_usec = TIMESPAN_INFINITY;
        if (!r->target)
                r->target = calloc(1, sizeof(*r->target));
        MUST(r->target);
        char **key = tenant[0] == '/' ? &r->target->cgroup : &r->target->unit;
        MUST((*key = strdup(tenant)));
        MUST(reservation_set_shares(r, &(Share){ 2, bytes }, 1) == 0);
        MUST(book_add(&w->assembly->book, r, STORE_GRANTED, &e) == 0);
        return e;
}

/* u-ID.service has so many bytes of node 2. */
static inline Entry *whole_add_tenant(WholeCdmd *w, uint32_t id, uint64_t bytes)
{
        char unit[32];

        snprintf(unit, sizeof(unit), "u-%u.service", id);
        return whole_add_reservation(w, id, unit, bytes);
}

/* One more node, with memory and CPUs. */
static inline void whole_put_node4(const WholeCdmd *w)
{
        tree_write(w->root, "sys/devices/system/node/node4/meminfo", "Node 4 MemTotal: 2097152 kB\n");
        tree_write(w->root, "sys/devices/system/node/node4/cpulist", "8-11\n");
        tree_write(w->root, "sys/devices/system/node/online", "0-4\n");
        tree_write(w->root, "sys/devices/system/node/possible", "0-4\n");
        tree_write(w->root, "sys/devices/system/node/has_memory", "0-4\n");
        tree_write(w->root, "sys/devices/system/node/has_cpu", "0-1,4\n");
}
