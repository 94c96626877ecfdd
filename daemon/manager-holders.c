/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who has pages on CDM nodes: every cgroup is read on a worker, then each holder gets a name. One look at a
 * time, which serves all that had asked when it began: many callers keep no more than one worker busy, and
 * none waits for more than two looks. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/fence-scan.h"
#include "daemon/manager-buffer.h"
#include "daemon/manager-hold.h"
#include "daemon/manager.h"
#include "daemon/observe.h"
#include "policy/cdm-names.h"
#include "policy/size.h"

/* Of holders without a reservation, so many are looked up at PID 1, one after the other; the rest are shown
 * by their cgroup. */
#define LOOKUPS_MAX 128

/* Calls of one connection that wait. Nobody has use for more, and the bus limits the connections of a user.
 */
#define CALLS_CONNECTION_MAX 4

struct HoldersCall {
        Manager *manager;
        sd_bus_message *call;
        bool running; /* the one whose observation is under way */
        HoldersCall
                *leader; /* the running one that answers this too; NULL for itself, and those that wait */
        char *root;
        NodeSet nodes;
        Observation *observation; /* written by the worker until it is done */
        Job *job;
        char **units; /* one a holder, NULL where not known */
        size_t n_lookups, looking_at;
        UnitCall *lookup;
        bool stopped; /* cdmd stops: nobody is answered */
        HoldersCall *prev, *next;
};

static void start_next(Manager *m);

static void call_free(HoldersCall *c)
{
        size_t n = c->observation ? c->observation->n_holders : 0;

        DL_DELETE(c->manager->holders, c);
        unit_call_free(c->lookup);
        for (size_t i = 0; c->units && i < n; i++)
                free(c->units[i]);
        free(c->units);
        observation_free(c->observation);
        sd_bus_message_unref(c->call);
        free(c->root);
        free(c);
}

/* The worker still writes to a call that runs; worker_free() waits for it, and its done frees the call. */
void manager_holders_free(Manager *m)
{
        HoldersCall *c, *next;

        DL_FOREACH_SAFE (m->holders, c, next)
                if (c->job)
                        c->stopped = true;
                else
                        call_free(c);
}

/* c and all that it answers. */
static void free_all(HoldersCall *c)
{
        HoldersCall *i, *next;

        DL_FOREACH_SAFE (c->manager->holders, i, next)
                if (i->leader == c)
                        call_free(i);
        call_free(c);
}

static void finish(HoldersCall *c)
{
        Manager *m = c->manager;

        free_all(c);
        start_next(m);
}

static void finish_error(HoldersCall *c, int error)
{
        HoldersCall *i;

        DL_FOREACH (c->manager->holders, i)
                if (i == c || i->leader == c)
                        (void)sd_bus_reply_method_errno(i->call, error, NULL);
        finish(c);
}

typedef struct TenantOf {
        const char *cgroup;
        const Reservation *found;
} TenantOf;

static bool is_below(const char *path, const char *cgroup)
{
        size_t n = strlen(cgroup);

        return strncmp(path, cgroup, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static int match_tenant(Reservation *r, void *userdata)
{
        TenantOf *t = userdata;

        if (!r->target->cgroup || !is_below(t->cgroup, r->target->cgroup))
                return 0;
        t->found = r;
        return 1;
}

static const Reservation *reservation_of(Manager *m, const char *cgroup)
{
        TenantOf t = { cgroup, NULL };

        ledger_foreach(m->ledger, match_tenant, &t);
        return t.found;
}

/* Slab, page tables and the like belong to who made them and move nowhere, and no fence is in the way of the
 * kernel: nobody intrudes with these. */
static bool is_kernel_memory_only(const NumaBytes *b)
{
        return b->anon == 0 && b->file == 0 && b->shmem == 0 && b->hugetlb == 0;
}

static bool is_root(const Holder *h)
{
        return h->cgroup[1] == '\0';
}

static const char *kind_of(Manager *m, const Holder *h, const Reservation *r, const char *unit)
{
        if (h->inner)
                return "residue";
        /* Kernel threads: what they have besides is the kernel's. */
        if (is_root(h) && is_kernel_memory_only(&h->bytes))
                return "unattributed";
        if (r && ledger_tenant_bytes(m->ledger, ledger_tenant_key(r->target), h->bytes.node) > 0) {
                NodeSet open = ledger_tenant_nodes(m->ledger, ledger_tenant_key(r->target));
                return nodeset_contains(&open, h->bytes.node) ? "reserved" : "residue";
        }
        if (fence_unit_is_exempt(unit, m->config))
                return "exempt";
        return is_kernel_memory_only(&h->bytes) ? "residue" : "intruder";
}

static int append_row(sd_bus_message *m, const NumaBytes *b, const char *cgroup, const char *unit,
                      const char *kind, const char *name)
{
        return sd_bus_message_append(m, CDM_HOLDER, (uint32_t)b->node, cgroup, unit, numa_bytes_all(b),
                                     b->anon, b->file, b->shmem, b->hugetlb, kind, name);
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

/* What cdmd itself keeps of a node, in exact buffers and for pools with Hold=yes, and what of it was not
 * found in a holder yet. It is charged to cdmd's cgroup, and what is older than this cdmd to what is above
 * it; huge pages to nobody, where there is no hugetlb controller. Here it has rows of its own. */
typedef struct OwnBytes {
        uint64_t shmem, hugetlb;
} OwnBytes;

static NumaBytes without_own(const Holder *h, OwnBytes *left)
{
        NumaBytes b = h->bytes;

        if (!is_below(CDM_UNIT_CGROUP, h->cgroup))
                return b;
        uint64_t shmem = lesser(b.shmem, left->shmem), hugetlb = lesser(b.hugetlb, left->hugetlb);
        b.shmem -= shmem;
        b.hugetlb -= hugetlb;
        *left = (OwnBytes){ left->shmem - shmem, left->hugetlb - hugetlb };
        return b;
}

static OwnBytes buffer_bytes(const BufferSet *s, uint32_t id, int node)
{
        uint64_t shmem = id ? buffers_bytes(s, id, node, false) : buffers_node_bytes(s, node, false);
        uint64_t all = id ? buffers_bytes(s, id, node, true) : buffers_node_bytes(s, node, true);

        return (OwnBytes){ shmem, all - shmem };
}

typedef struct BufferRows {
        const BufferSet *set;
        sd_bus_message *m;
} BufferRows;

static int append_buffers(Reservation *r, void *userdata)
{
        BufferRows *rows = userdata;
        Share shares[SHARES_MAX];
        size_t n = buffers_shares(rows->set, r->id, shares);
        int k = 0;

        for (size_t i = 0; k >= 0 && i < n; i++) {
                OwnBytes b = buffer_bytes(rows->set, r->id, shares[i].node);
                const NumaBytes row = { .node = shares[i].node, .shmem = b.shmem, .hugetlb = b.hugetlb };
                k = append_row(rows->m, &row, r->target->cgroup ? r->target->cgroup : "",
                               r->target->unit ? r->target->unit : "",
                               r->state == RESERVATION_DRAINING ? "residue" : "reserved", "exact buffers");
        }
        return k < 0 ? k : 0;
}

/* A row each for what is known to be in huge pages, what is the kernel's, and the rest. */
static int append_unattributed(const Observation *o, const NodeObservation *n, uint64_t buffers_huge,
                               sd_bus_message *m)
{
        char unused[SIZE_STR_MAX], slab[SIZE_STR_MAX], tables[SIZE_STR_MAX], stacks[SIZE_STR_MAX], name[256];
        Unattributed u;
        int r = 0;

        observation_unattributed(o, n->node, &u);
        u.hugetlb_bytes -= lesser(u.hugetlb_bytes, buffers_huge);
        if (u.hugetlb_bytes > 0) {
                snprintf(name, sizeof(name), "hugetlb: %s of the node's pool are free",
                         size_format(n->hugetlb_free_bytes, unused));
                r = append_row(m, &(NumaBytes){ .node = n->node, .hugetlb = u.hugetlb_bytes }, "", "",
                               "unattributed", name);
        }
        if (r >= 0 && u.kernel_bytes > 0) {
                snprintf(name, sizeof(name), "kernel: of %s slab, %s page tables, %s stacks on the node",
                         size_format(n->slab_bytes, slab), size_format(n->page_table_bytes, tables),
                         size_format(n->stack_bytes, stacks));
                r = append_row(m, &(NumaBytes){ .node = n->node, .other = u.kernel_bytes }, "", "",
                               "unattributed", name);
        }
        if (r >= 0 && u.cpu_list_bytes > 0)
                r = append_row(m, &(NumaBytes){ .node = n->node, .other = u.cpu_list_bytes }, "", "",
                               "unattributed", "free: at hand for single CPUs");
        if (r >= 0 && u.other_bytes > 0)
                r = append_row(m, &(NumaBytes){ .node = n->node, .other = u.other_bytes }, "", "",
                               "unattributed", "other: drivers, and the kernel's tables of pages");
        return r;
}

static int append_held(const HoldersCall *c, int node, sd_bus_message *m)
{
        const NumaBytes row = { .node = node, .shmem = holds_bytes(c->manager->holds, node) };

        return row.shmem > 0 ? append_row(m, &row, CDM_UNIT_CGROUP, CDM_UNIT, "held", "") : 0;
}

/* One node's rows: holders first to last (not included). What is below comes after what is above it, and is
 * where cdmd's own are charged to first. */
static int append_node(HoldersCall *c, size_t first, size_t last, const NodeObservation *n,
                       sd_bus_message *m)
{
        _cleanup_free_ NumaBytes *rows = calloc(last - first + 1, sizeof(*rows));
        OwnBytes left = buffer_bytes(c->manager->buffers, 0, n->node);
        int r = rows ? 0 : -ENOMEM;

        left.shmem += holds_bytes(c->manager->holds, n->node);
        for (size_t i = last; rows && i > first; i--)
                rows[i - 1 - first] = without_own(&c->observation->holders[i - 1], &left);
        for (size_t i = first; r >= 0 && i < last; i++) {
                const Holder *h = &c->observation->holders[i];
                const Reservation *res = reservation_of(c->manager, h->cgroup);
                const char *unit = res && res->target->unit ? res->target->unit : c->units[i];
                if (numa_bytes_all(&rows[i - first]) > 0)
                        r = append_row(m, &rows[i - first], h->cgroup, unit ? unit : "",
                                       kind_of(c->manager, h, res, unit), "");
        }
        if (r >= 0)
                r = append_held(c, n->node, m);
        return r < 0 ? r : append_unattributed(c->observation, n, left.hugetlb, m);
}

static int append_holders(HoldersCall *c, sd_bus_message *m)
{
        const Observation *o = c->observation;
        BufferRows rows = { c->manager->buffers, m };
        size_t first = 0, last;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < o->n_nodes; i++, first = last) {
                for (last = first; last < o->n_holders && o->holders[last].bytes.node == o->nodes[i].node;)
                        last++;
                r = append_node(c, first, last, &o->nodes[i], m);
        }
        if (r >= 0 && buffers_node_bytes(rows.set, -1, true) > 0)
                r = ledger_foreach(c->manager->ledger, append_buffers, &rows);
        return r;
}

static void reply_one(HoldersCall *c, sd_bus_message *call)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        int r = sd_bus_message_new_method_return(call, &m);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', CDM_HOLDER);
        if (r >= 0)
                r = append_holders(c, m);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_send(NULL, m, NULL);
        if (r < 0)
                (void)sd_bus_reply_method_errno(call, r, NULL);
}

static void reply(HoldersCall *c)
{
        HoldersCall *i;

        DL_FOREACH (c->manager->holders, i)
                if (i == c || i->leader == c)
                        reply_one(c, i->call);
        finish(c);
}

static void look_up_next(HoldersCall *c);

static void on_unit(int error, UnitInfo *info, void *userdata)
{
        HoldersCall *c = userdata;

        c->lookup = unit_call_free(c->lookup);
        if (info) {
                c->units[c->looking_at] = TAKE_PTR(info->name);
                unit_info_free(info);
        }
        c->looking_at++;
        look_up_next(c);
}

static void look_up_next(HoldersCall *c)
{
        const Observation *o = c->observation;

        while (c->looking_at < o->n_holders &&
               (o->holders[c->looking_at].inner || is_root(&o->holders[c->looking_at]) ||
                reservation_of(c->manager, o->holders[c->looking_at].cgroup)))
                c->looking_at++;
        if (c->looking_at == o->n_holders || c->n_lookups++ == LOOKUPS_MAX ||
            unit_get_by_cgroup(c->manager->gate, GATE_HOLDERS, o->holders[c->looking_at].cgroup, on_unit, c,
                               &c->lookup) < 0)
                reply(c);
}

static int on_worker(Job *job, void *userdata)
{
        HoldersCall *c = userdata;

        return observe_all(c->root, &c->nodes, &c->observation);
}

static void on_observed(int result, void *userdata)
{
        HoldersCall *c = userdata;

        c->job = NULL;
        if (c->stopped) {
                call_free(c);
                return;
        }
        if (result >= 0) {
                c->units = calloc(c->observation->n_holders + 1, sizeof(*c->units));
                if (!c->units)
                        result = -ENOMEM;
        }
        if (result < 0)
                finish_error(c, result);
        else
                look_up_next(c);
}

static void start_next(Manager *m)
{
        HoldersCall *c = m->holders, *i;

        if (!c || c->running)
                return;
        c->running = true;
        DL_FOREACH (c->next, i)
                i->leader = c;
        c->nodes = m->pools->cdm;
        int r = worker_submit(m->reader, on_worker, on_observed, NULL, c, &c->job);
        if (r < 0)
                finish_error(c, r);
}

static size_t count_connection(Manager *m, const char *sender)
{
        HoldersCall *c;
        size_t n = 0;

        DL_FOREACH (m->holders, c)
                n += strcmp(sd_bus_message_get_sender(c->call), sender) == 0;
        return n;
}

int manager_list_holders(Manager *m, sd_bus_message *call)
{
        if (count_connection(m, sd_bus_message_get_sender(call)) >= CALLS_CONNECTION_MAX) {
                (void)sd_bus_reply_method_errorf(
                        call, CDM_ERROR_BUSY,
                        "You asked who holds memory several times already; wait for an answer first.");
                return 1;
        }
        HoldersCall *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        *c = (HoldersCall){ .manager = m, .call = sd_bus_message_ref(call), .root = strdup(m->root) };
        DL_APPEND(m->holders, c);
        if (!c->root) {
                call_free(c);
                return -ENOMEM;
        }
        start_next(m);
        return 1;
}
