/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What decide() is told about the nodes: how many bytes of each are used although no reservation explains
 * them (`foreign`). Those count against what is available, so that the ledger never promises them twice.
 *
 *   used  = MemTotal - MemFree of the node
 *   T     = what the tenants' cgroups account for there (memory.numa_stat), and their exact buffers, which
 * are charged to cdmd's own; R = what is reserved for them A     = what all cgroups account for (the root's
 * memory.numa_stat) U     = used - A: unattributed (driver, hugetlb, kernel)
 *
 * One tenant:   foreign = used - min(R, T + U). The driver's allocations for the only tenant are its own, up
 *               to what it reserved; A - T are intruders and always foreign.
 * Several:      foreign = used - sum of min(R_i, T_i). U has no owner.
 * None:         foreign = used.
 *
 * Buffers of huge pages are charged to nobody: they are a part of U, and of T where U has no owner.
 *
 * Bytes above a reservation (T > R) are foreign as well: a tenant may use spare room, but nobody else is
 * promised it until it is empty. Where the root's numbers cannot be read, A = T is assumed.
 *
 * The cost is that of a few small reads a node; with many tenants their sum is read at most once a second,
 * and `used` is always fresh, and again when a reservation went or shrank: what it explained would hide as
 * many bytes of strangers. What they allocate meanwhile counts as foreign (a refusal too early, never a
 * promise too many); what they free and a stranger takes meanwhile could hide for that second, but the fence
 * lets no stranger in. */

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/cgroup.h"
#include "daemon/manager-buffer.h"
#include "daemon/manager.h"
#include "daemon/topology-read.h"

#define FEW_TENANTS    8
#define EXPLAINED_USEC (UINT64_C(1000) * 1000)

static uint64_t min_u64(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

static uint64_t subtract(uint64_t a, uint64_t b)
{
        return a > b ? a - b : 0;
}

/* Bytes of one cgroup on one node; negative errno when it cannot be read. */
static int cgroup_bytes(const char *cgroup, int node, uint64_t *ret)
{
        _cleanup_free_ NumaBytes *b = NULL;
        NodeSet set = nodeset_of(node);
        uint64_t id, sum = 0;
        size_t n = 0;

        int fd = cgroup_open(cgroup, &id);
        if (fd < 0)
                return fd;
        int r = cgroup_read_numa(fd, &set, &b, &n);
        close(fd);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                sum += numa_bytes_sum(&b[i]);
        *ret = sum;
        return 0;
}

typedef struct TenantSum {
        Manager *manager;
        int node;
        uint64_t used_bytes;      /* T */
        uint64_t explained_bytes; /* sum of min(R_i, T_i) */
} TenantSum;

static int first_cgroup(Reservation *r, void *userdata)
{
        *(const char **)userdata = r->target->cgroup;
        return 1;
}

static int add_tenant(const char *tenant, uint64_t reserved, void *userdata)
{
        TenantSum *s = userdata;
        const char *cgroup = NULL;
        uint64_t bytes;

        ledger_foreach_of_tenant(s->manager->ledger, tenant, first_cgroup, &cgroup);
        /* Its buffers may outlive the cgroup. */
        if (!cgroup || cgroup_bytes(cgroup, s->node, &bytes) < 0)
                bytes = 0;
        s->used_bytes += bytes + buffers_tenant_bytes(s->manager->buffers, tenant, s->node, false);
        bytes += buffers_tenant_bytes(s->manager->buffers, tenant, s->node, true);
        s->explained_bytes += min_u64(bytes, reserved);
        return 0;
}

static uint64_t explained_by_one(Manager *m, int node, uint64_t used)
{
        TenantSum s = { m, node, 0, 0 };
        uint64_t all;

        ledger_foreach_tenant_of_node(m->ledger, node, add_tenant, &s);
        if (cgroup_bytes("/", node, &all) < 0 || all < s.used_bytes)
                all = s.used_bytes;
        return min_u64(ledger_node_reserved(m->ledger, node), s.used_bytes + subtract(used, all));
}

static uint64_t explained_by_several(Manager *m, int node, Explained *cache, size_t n_tenants)
{
        TenantSum s = { m, node, 0, 0 };
        uint64_t now = manager_monotonic_usec();

        if (n_tenants > FEW_TENANTS && cache->read_usec && now - cache->read_usec < EXPLAINED_USEC)
                return cache->bytes;
        ledger_foreach_tenant_of_node(m->ledger, node, add_tenant, &s);
        *cache = (Explained){ s.explained_bytes, now };
        return s.explained_bytes;
}

void manager_explain_anew(Manager *m)
{
        size_t n = nodeset_count(&m->pools->cdm);

        for (size_t i = 0; i < n; i++)
                m->explained[i].read_usec = 0;
}

static NodeUse read_use(Manager *m, int node, Explained *cache)
{
        size_t n_tenants = ledger_node_tenants(m->ledger, node);
        uint64_t size, free_bytes, explained = 0;

        if (nodeset_contains(&m->drained, node) ||
            topology_read_meminfo(m->root, node, &size, &free_bytes) < 0)
                return (NodeUse){ .node = node, .closed = true };
        uint64_t used = subtract(size, free_bytes);
        if (n_tenants == 1)
                explained = explained_by_one(m, node, used);
        else if (n_tenants > 1)
                explained = explained_by_several(m, node, cache, n_tenants);
        return (NodeUse){ .node = node, .foreign_bytes = subtract(used, explained) };
}

Snapshot manager_snapshot(Manager *m, const Pool *pool)
{
        const NodeSet *nodes = pool ? &pool->nodes : &m->pools->cdm;
        size_t n = 0, row = 0;

        NODESET_FOREACH (node, &m->pools->cdm) {
                if (nodeset_contains(nodes, node))
                        m->use[n++] = read_use(m, node, &m->explained[row]);
                row++;
        }
        return (Snapshot){
                .topology = m->topology,
                .pools = m->pools,
                .config = m->config,
                .ledger = m->ledger,
                .queue = m->queue,
                .use = m->use,
                .n_use = n,
                .page_bytes = m->page_bytes,
                .now_usec = manager_boottime_usec(),
        };
}

uint64_t manager_node_used(Manager *m, int node)
{
        uint64_t size, free_bytes;

        if (topology_read_meminfo(m->root, node, &size, &free_bytes) < 0)
                return 0;
        return subtract(size, free_bytes);
}

uint64_t manager_node_unattributed(Manager *m, int node)
{
        uint64_t used = manager_node_used(m, node), all = 0;

        return cgroup_bytes("/", node, &all) < 0 ? used : subtract(used, all);
}

uint64_t manager_reservation_used(Manager *m, const Reservation *r)
{
        uint64_t sum = buffers_bytes(m->buffers, r->id, -1, true), bytes;

        for (size_t i = 0; i < r->n_shares; i++)
                if (r->target->cgroup && cgroup_bytes(r->target->cgroup, r->shares[i].node, &bytes) >= 0)
                        sum += bytes;
        return sum;
}
