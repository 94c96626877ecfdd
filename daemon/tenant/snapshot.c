/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The moment at which decide() judges: what was observed of the nodes last (usage.h), and everything else as
 * it is now. No file is read here, so a look has to be asked for before. */

#include "daemon/tenant/snapshot.h"

#include "daemon/tenant/manager.h"
#include "daemon/tenant/usage.h"

static Snapshot snapshot_snapshot(Manager *m, const NodeSet *nodes, bool show)
{
        size_t n;
        const NodeUse *use = usage_of_nodes(m->usage, nodes, &m->drained, show, &n);

        return (Snapshot){
                .topology = m->topology,
                .pools = m->pools,
                .config = m->config,
                .ledger = m->ledger,
                .queue = m->queue,
                .use = use,
                .n_use = n,
                .page_bytes = m->page_bytes,
                .now_usec = manager_boottime_usec(),
        };
}

Snapshot manager_snapshot(Manager *m, const Pool *pool)
{
        return snapshot_snapshot(m, pool ? &pool->nodes : &m->pools->cdm, false);
}

Snapshot manager_snapshot_to_show(Manager *m, const Pool *pool)
{
        return snapshot_snapshot(m, &pool->nodes, true);
}

int manager_look(Manager *m, const char *cgroup, usage_done_t done, void *userdata, UsageLook **ret)
{
        NodeSet with_cpu = topology_cpu_nodes(m->topology);

        return usage_look(m->usage, &m->pools->cdm, cgroup, &with_cpu, done, userdata, ret);
}
