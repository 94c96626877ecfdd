/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads one cgroup on the worker: files of the cgroup tree are never read on the event loop. */

#include <stdbool.h>

#include "daemon/kernel/cgroup.h"
#include "daemon/loop/worker.h"

typedef struct TenantRead TenantRead;

typedef struct TenantReading {
        int error;      /* -ENOENT: there is no such cgroup; -ESTALE: another cgroup has the name now */
        uint64_t id;    /* of the cgroup that has the name now; 0: none */
        bool populated; /* the cgroup or a descendant has a process */
        NodeSet above; /* with -ENOENT, or not populated: what the nearest ancestor allows; empty: unknown */
        NodeSet mems;  /* cpuset.mems; empty: inherited, or no cpuset controller */
        NumaBytes *bytes;
        size_t n_bytes;
} TenantReading;

/* Called from the event loop; the TenantRead may be freed there. */
typedef void (*tenant_read_done_t)(const TenantReading *reading, void *userdata);

/* id: inode of the expected cgroup; 0: any cgroup of that name. nodes: the nodes whose bytes are read. */
int tenant_read_start(Worker *worker, const char *cgroup, uint64_t id, const NodeSet *nodes,
                      tenant_read_done_t done, void *userdata, TenantRead **ret);
/* May be called at any time; done is not called afterwards. */
TenantRead *tenant_read_free(TenantRead *t);
