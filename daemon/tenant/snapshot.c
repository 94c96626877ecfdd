/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A snapshot for decide() contains the last observation of the nodes (usage.h), and the current state of
 * everything else. To decide, no file is read here, so the caller must request a look first. */

#include "daemon/tenant/snapshot.h"

#include "daemon/loop/clock.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/usage.h"

static Snapshot snapshot_snapshot(Book *book, const NodeSet *nodes, bool show)
{
        size_t n;
        const NodeUse *use = usage_of_nodes(book->usage, nodes, &book->drained, show, &n);

        return (Snapshot){
                .topology = book->topology,
                .pools = book->pools,
                .config = book->config,
                .ledger = book->ledger,
                .queue = book->queue,
                .use = use,
                .n_use = n,
                .page_bytes = book->core->page_bytes,
                .now_usec = clock_boottime_usec(),
        };
}

Snapshot snapshot_take(Book *book, const Pool *pool)
{
        return snapshot_snapshot(book, pool ? &pool->nodes : &book->pools->cdm, false);
}

Snapshot snapshot_take_to_show(Book *book, const Pool *pool)
{
        return snapshot_snapshot(book, &pool->nodes, true);
}

int snapshot_look(Book *book, const char *cgroup, usage_done_t done, void *userdata, UsageLook **ret)
{
        NodeSet with_cpu = topology_cpu_nodes(book->topology);

        return usage_look(book->usage, &book->pools->cdm, cgroup, &with_cpu, done, userdata, ret);
}
