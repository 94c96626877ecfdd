/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Makes the rows of the reply to ListHolders(), node by node: one for each control group that has bytes on
 * the node, one for the bytes that cdmd holds, and some for bytes that are not charged to any control group.
 * The rows for exact buffers follow. The rows of a node add up to its used bytes. A row costs a few
 * look-ups, independent of the number of reservations. */

#include "daemon/keeper/holder-rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/fence/fence-scan.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/buffers.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/holds.h"
#include "policy/cdm-names.h"
#include "policy/size.h"

#define HOLDERS_SLICE 64
/* A tenant may create any number of control groups, and the bus would disconnect cdmd for a message above 32
 * MiB. Beyond this many bytes the remaining control groups of a node get one row for each kind. */
#define TEXT_BYTES_MAX (UINT64_C(8) << 20)

typedef enum Kind { RESERVED, INTRUDER, RESIDUE, HELD, EXEMPT, UNATTRIBUTED, _KIND_MAX } Kind;

static const char *const kind_names[_KIND_MAX] = {
        "reserved", "intruder", "residue", "held", "exempt", "unattributed",
};

/* The bytes that cdmd keeps on a node, in exact buffers and for pools with Hold=yes, less those that were
 * already subtracted from a holder. They are charged to cdmd's cgroup, or to an ancestor of it if they are
 * older than this process; without a hugetlb controller, huge pages are not charged at all. They get rows of
 * their own. */
typedef struct OwnBytes {
        uint64_t shmem, hugetlb;
} OwnBytes;

/* Control groups that have no row of their own. */
typedef struct Rest {
        NumaBytes bytes;
        size_t n;
} Rest;

struct HolderRows {
        Book *book;
        const BufferSet *buffers;
        const HoldSet *holds;
        Observation *observation;
        char *const *units;
        const Unattributed *unattributed;
        HolderRow *rows;
        size_t n, size;
        uint64_t text_bytes;
        /* where the next slice continues */
        size_t node, holder;
        bool node_begun;
        OwnBytes left;
        Rest rest[_KIND_MAX];
        int error; /* set when a row for a buffer failed */
};

HolderRows *holder_rows_free(HolderRows *rows)
{
        if (!rows)
                return NULL;
        for (size_t i = 0; i < rows->n; i++) {
                free(rows->rows[i].unit);
                free(rows->rows[i].name);
        }
        free(rows->rows);
        free(rows);
        return NULL;
}

int holder_rows_new(Book *book, const BufferSet *buffers, const HoldSet *holds, Observation *o,
                    char *const *units, const Unattributed *unattributed, HolderRows **ret)
{
        HolderRows *rows = calloc(1, sizeof(*rows));

        if (!rows)
                return -ENOMEM;
        *rows = (HolderRows){ .book = book,
                              .buffers = buffers,
                              .holds = holds,
                              .observation = o,
                              .units = units,
                              .unattributed = unattributed };
        *ret = rows;
        return 0;
}

const HolderRow *holder_rows(const HolderRows *rows, size_t *ret_n)
{
        *ret_n = rows->n;
        return rows->rows;
}

static int add_row(HolderRows *rows, const NumaBytes *b, const char *cgroup, const char *unit, Kind kind,
                   const char *name)
{
        if (rows->n == rows->size) {
                size_t size = rows->size ? 2 * rows->size : 64;
                HolderRow *larger = reallocarray(rows->rows, size, sizeof(*larger));

                if (!larger)
                        return -ENOMEM;
                rows->rows = larger;
                rows->size = size;
        }
        HolderRow *row = &rows->rows[rows->n++];
        *row = (HolderRow){ .bytes = *b, .cgroup = cgroup, .kind = kind_names[kind] };
        row->unit = unit ? strdup(unit) : NULL;
        row->name = name ? strdup(name) : NULL;
        rows->text_bytes += sizeof(*row) + strlen(cgroup) + (unit ? strlen(unit) : 0);
        return (unit && !row->unit) || (name && !row->name) ? -ENOMEM : 0;
}

/* The kernel allocates slab, page tables and similar memory regardless of a fence, and they cannot be moved.
 * So a cgroup with only such memory is no intruder. */
static bool is_kernel_memory_only(const NumaBytes *b)
{
        return b->anon == 0 && b->file == 0 && b->shmem == 0 && b->hugetlb == 0;
}

static Kind kind_of(Book *book, const Holder *h, const Reservation *r, const char *unit)
{
        if (h->inner)
                return RESIDUE;
        /* The root cgroup: only kernel threads, with memory of the kernel. */
        if (h->cgroup[1] == '\0' && is_kernel_memory_only(&h->bytes))
                return UNATTRIBUTED;
        if (r && ledger_tenant_bytes(book->ledger, ledger_tenant_key(r->target), h->bytes.node) > 0) {
                NodeSet open = ledger_tenant_nodes(book->ledger, ledger_tenant_key(r->target));
                return nodeset_contains(&open, h->bytes.node) ? RESERVED : RESIDUE;
        }
        if (fence_unit_is_exempt(unit, book->config->exempt))
                return EXEMPT;
        return is_kernel_memory_only(&h->bytes) ? RESIDUE : INTRUDER;
}

static uint64_t holder_rows_lesser(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

static OwnBytes buffer_bytes(const BufferSet *s, uint32_t id, int node)
{
        uint64_t shmem = id ? buffers_bytes(s, id, node, false) : buffers_node_bytes(s, node, false);
        uint64_t all = id ? buffers_bytes(s, id, node, true) : buffers_node_bytes(s, node, true);

        return (OwnBytes){ shmem, all - shmem };
}

static int compare_holder(const void *key, const void *holder)
{
        const Holder *x = key, *y = holder;

        if (x->bytes.node != y->bytes.node)
                return x->bytes.node < y->bytes.node ? -1 : 1;
        return strcmp(x->cgroup, y->cgroup);
}

static void subtract_own(HolderRows *rows, char *cgroup, int node)
{
        Observation *o = rows->observation;
        const Holder key = { .cgroup = cgroup, .bytes = { .node = node } };

        if (o->n_holders == 0)
                return;
        Holder *h = bsearch(&key, o->holders, o->n_holders, sizeof(key), compare_holder);
        if (!h)
                return;
        uint64_t shmem = holder_rows_lesser(h->bytes.shmem, rows->left.shmem);
        uint64_t hugetlb = holder_rows_lesser(h->bytes.hugetlb, rows->left.hugetlb);
        h->bytes.shmem -= shmem;
        h->bytes.hugetlb -= hugetlb;
        rows->left = (OwnBytes){ rows->left.shmem - shmem, rows->left.hugetlb - hugetlb };
}

/* Subtracts cdmd's bytes first from its own control group, then from the ancestors. */
static void begin_node(HolderRows *rows, int node)
{
        char path[] = CDM_UNIT_CGROUP;

        rows->left = buffer_bytes(rows->buffers, 0, node);
        rows->left.shmem += holds_bytes(rows->holds, node);
        do {
                subtract_own(rows, path, node);
                *strrchr(path, '/') = '\0';
        } while (path[0]);
        subtract_own(rows, strcpy(path, "/"), node);
        rows->node_begun = true;
}

static void add_to_rest(Rest *rest, const NumaBytes *b)
{
        rest->bytes.node = b->node;
        rest->bytes.anon += b->anon;
        rest->bytes.file += b->file;
        rest->bytes.shmem += b->shmem;
        rest->bytes.hugetlb += b->hugetlb;
        rest->bytes.other += b->other;
        rest->n++;
}

static int add_holder(HolderRows *rows, size_t i)
{
        const Holder *h = &rows->observation->holders[i];

        if (numa_bytes_all(&h->bytes) == 0)
                return 0;
        const Reservation *r = ledger_find_above(rows->book->ledger, h->cgroup);
        const char *unit = r && r->target->unit ? r->target->unit : rows->units[i];
        Kind kind = kind_of(rows->book, h, r, unit);
        if (rows->text_bytes < TEXT_BYTES_MAX)
                return add_row(rows, &h->bytes, h->cgroup, unit, kind, NULL);
        add_to_rest(&rows->rest[kind], &h->bytes);
        return 0;
}

static int add_rests(HolderRows *rows)
{
        char name[64];
        int r = 0;

        for (Kind k = 0; r >= 0 && k < _KIND_MAX; k++) {
                if (rows->rest[k].n == 0)
                        continue;
                snprintf(name, sizeof(name), "other: %zu more control groups", rows->rest[k].n);
                r = add_row(rows, &rows->rest[k].bytes, "", NULL, k, name);
                rows->rest[k] = (Rest){ 0 };
        }
        return r;
}

static int add_unattributed_row(HolderRows *rows, const NumaBytes *b, const char *name)
{
        return numa_bytes_all(b) > 0 ? add_row(rows, b, "", NULL, UNATTRIBUTED, name) : 0;
}

/* Adds one row each for huge pages, for memory of the kernel, for per-CPU lists, and for the rest. */
static int add_unattributed(HolderRows *rows, const NodeObservation *n, const Unattributed *u)
{
        char unused[SIZE_STR_MAX], slab[SIZE_STR_MAX], tables[SIZE_STR_MAX], stacks[SIZE_STR_MAX], name[256];
        NumaBytes b = { .node = n->node,
                        .hugetlb = u->hugetlb_bytes -
                                   holder_rows_lesser(u->hugetlb_bytes, rows->left.hugetlb) };

        snprintf(name, sizeof(name), "hugetlb: %s of the node's pool are free",
                 size_format(n->hugetlb_free_bytes, unused));
        int r = add_unattributed_row(rows, &b, name);
        snprintf(name, sizeof(name), "kernel: of %s slab, %s page tables, %s stacks on the node",
                 size_format(n->slab_bytes, slab), size_format(n->page_table_bytes, tables),
                 size_format(n->stack_bytes, stacks));
        b = (NumaBytes){ .node = n->node, .other = u->kernel_bytes };
        if (r >= 0)
                r = add_unattributed_row(rows, &b, name);
        b.other = u->cpu_list_bytes;
        if (r >= 0)
                r = add_unattributed_row(rows, &b, "free: in per-CPU page lists");
        b.other = u->other_bytes;
        return r < 0 ? r : add_unattributed_row(rows, &b, "other: drivers, struct page");
}

static int end_node(HolderRows *rows)
{
        const NodeObservation *n = &rows->observation->nodes[rows->node];
        NumaBytes held = { .node = n->node, .shmem = holds_bytes(rows->holds, n->node) };

        int r = add_rests(rows);
        if (r >= 0 && held.shmem > 0)
                r = add_row(rows, &held, CDM_UNIT_CGROUP, CDM_UNIT, HELD, NULL);
        if (r >= 0)
                r = add_unattributed(rows, n, &rows->unattributed[rows->node]);
        rows->node++;
        rows->node_begun = false;
        return r;
}

static void rows_add_buffers(uint32_t id, void *userdata)
{
        HolderRows *rows = userdata;
        const Reservation *r = ledger_find(rows->book->ledger, id);
        Share shares[SHARES_MAX];
        size_t n = buffers_shares(rows->buffers, id, shares);

        for (size_t i = 0; r && rows->error >= 0 && i < n; i++) {
                OwnBytes b = buffer_bytes(rows->buffers, id, shares[i].node);
                const NumaBytes row = { .node = shares[i].node, .shmem = b.shmem, .hugetlb = b.hugetlb };
                rows->error =
                        add_row(rows, &row, r->target->cgroup ? r->target->cgroup : "", r->target->unit,
                                r->state == RESERVATION_DRAINING ? RESIDUE : RESERVED, "exact buffers");
        }
}

int holder_rows_make(HolderRows *rows)
{
        const Observation *o = rows->observation;
        int r = 0;

        if (rows->node == o->n_nodes) {
                buffers_foreach_owner(rows->buffers, rows_add_buffers, rows);
                return rows->error < 0 ? rows->error : 1;
        }
        int node = o->nodes[rows->node].node;
        if (!rows->node_begun)
                begin_node(rows, node);
        for (size_t n = 0; r >= 0 && n < HOLDERS_SLICE && rows->holder < o->n_holders &&
                           o->holders[rows->holder].bytes.node == node;
             n++)
                r = add_holder(rows, rows->holder++);
        if (r >= 0 && (rows->holder == o->n_holders || o->holders[rows->holder].bytes.node != node))
                r = end_node(rows);
        return r;
}
