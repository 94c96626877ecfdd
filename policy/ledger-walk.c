/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How entries are found and walked.
 *
 * All entries are in one array in order of id, so that a reader can continue with the next page. Ids grow,
 * so appending keeps the order. Only a ledger that is loaded from a directory gets its entries out of order;
 * the first walk sorts it. A removed entry leaves an empty slot. The array is compacted when more than half
 * of the slots are empty. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "policy/ledger-data.h"
#include "policy/ledger-walk.h"

static LedgerPath *ledger_path_find(const Ledger *l, const char *name, size_t length)
{
        LedgerPath *p;

        HASH_FIND(hh, l->paths, name, length, p);
        return p;
}

LedgerPath *ledger_path_get(Ledger *l, const char *name)
{
        size_t length = strlen(name);
        LedgerPath *p = ledger_path_find(l, name, length);

        if (p)
                return p;
        p = calloc(1, sizeof(LedgerPath));
        if (!p)
                return NULL;
        p->name = strdup(name);
        if (p->name)
                HASH_ADD_KEYPTR(hh, l->paths, p->name, length, p);
        if (!p->name || !p->hh.tbl) {
                free(p->name);
                free(p);
                return NULL;
        }
        return p;
}

void ledger_path_prune(Ledger *l, LedgerPath *p)
{
        if (!p || p->entries)
                return;
        HASH_DEL(l->paths, p);
        free(p->name);
        free(p);
}

void ledger_path_leave(Ledger *l, LedgerEntry *e)
{
        if (!e->path)
                return;
        DL_DELETE2(e->path->entries, e, path_prev, path_next);
        ledger_path_prune(l, e->path);
        e->path = NULL;
}

void ledger_path_enter(LedgerEntry *e, LedgerPath *p)
{
        e->path = p;
        DL_APPEND2(p->entries, e, path_prev, path_next);
}

static int ledger_slot_compare(const void *a, const void *b)
{
        const LedgerSlot *x = a, *y = b;

        return (x->id > y->id) - (x->id < y->id);
}

static void ledger_slots_number(Ledger *l)
{
        for (size_t i = 0; i < l->n_slots; i++)
                if (l->slots[i].entry)
                        l->slots[i].entry->slot = i;
}

int ledger_slots_reserve(Ledger *l)
{
        if (l->n_slots < l->slots_size)
                return 0;
        size_t size = l->slots_size ? 2 * l->slots_size : 64;
        LedgerSlot *larger = reallocarray(l->slots, size, sizeof(*larger));
        if (!larger)
                return -ENOMEM;
        l->slots = larger;
        l->slots_size = size;
        return 0;
}

void ledger_slots_add(Ledger *l, LedgerEntry *e)
{
        uint32_t id = e->r->id;

        e->slot = l->n_slots;
        l->slots[l->n_slots++] = (LedgerSlot){ id, e };
        if (id < l->last_id)
                l->unsorted = e->tenant->unsorted = true;
        else
                l->last_id = id;
}

/* Compacting costs O(1) per removal on average. */
void ledger_slots_remove(Ledger *l, const LedgerEntry *e)
{
        size_t n = 0;

        l->slots[e->slot].entry = NULL;
        if (++l->n_gone <= l->n_slots / 2)
                return;
        for (size_t i = 0; i < l->n_slots; i++)
                if (l->slots[i].entry)
                        l->slots[n++] = l->slots[i];
        l->n_slots = n;
        l->n_gone = 0;
        ledger_slots_number(l);
}

LedgerTenant *ledger_tenant_find(const Ledger *l, const char *key)
{
        LedgerTenant *t;

        HASH_FIND_STR(l->tenants, key, t);
        return t;
}

LedgerHolding *ledger_holding(const Ledger *l, const char *tenant, int node)
{
        const LedgerTenant *t = ledger_tenant_find(l, tenant);

        return t ? holding_find(t, node) : NULL;
}

/* Sorting and counting visits do not change the contents of the ledger, so they are allowed on a const
 * ledger. */
static void ledger_slots_sort(const Ledger *l)
{
        Ledger *m = (Ledger *)l;

        if (!m->unsorted)
                return;
        qsort(m->slots, m->n_slots, sizeof(*m->slots), ledger_slot_compare);
        ledger_slots_number(m);
        m->unsorted = false;
}

static void ledger_count_visit(const Ledger *l)
{
        ((Ledger *)l)->n_visited++;
}

size_t ledger_visited(const Ledger *l)
{
        return l->n_visited;
}

static size_t ledger_slots_find_after(const Ledger *l, uint32_t id)
{
        size_t low = 0, high = l->n_slots;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (l->slots[middle].id <= id)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

int ledger_foreach_after(const Ledger *l, uint32_t id, int (*fn)(Reservation *r, void *userdata),
                         void *userdata)
{
        ledger_slots_sort(l);
        for (size_t i = ledger_slots_find_after(l, id); i < l->n_slots; i++) {
                if (!l->slots[i].entry)
                        continue;
                ledger_count_visit(l);
                int r = fn(l->slots[i].entry->r, userdata);
                if (r != 0)
                        return r;
        }
        return 0;
}

/* Tenants are units and cgroups below units. None is nested this deeply. */
#define LEVELS_MAX 64

const Reservation *ledger_find_above(const Ledger *l, const char *cgroup)
{
        const LedgerPath *nearest = NULL;
        const char *end = cgroup;

        for (unsigned level = 0; *end && level < LEVELS_MAX; level++) {
                const LedgerPath *p;

                end += strcspn(end + 1, "/") + 1;
                p = ledger_path_find(l, cgroup, (size_t)(end - cgroup));
                if (p)
                        nearest = p;
        }
        if (!nearest)
                return NULL;
        ledger_count_visit(l);
        return nearest->entries->r;
}

bool ledger_has_unit_at(const Ledger *l, const char *cgroup)
{
        const Reservation *r = ledger_find_above(l, cgroup);

        return r && r->target->unit && strcmp(r->target->cgroup, cgroup) == 0;
}

static int ledger_entry_compare(const LedgerEntry *a, const LedgerEntry *b)
{
        return (a->r->id > b->r->id) - (a->r->id < b->r->id);
}

/* The oldest one comes first. */
static LedgerEntry *ledger_entries_of_tenant(const Ledger *l, const char *tenant)
{
        LedgerTenant *t = ledger_tenant_find(l, tenant);

        if (!t)
                return NULL;
        if (t->unsorted)
                DL_SORT(t->entries, ledger_entry_compare);
        t->unsorted = false;
        return t->entries;
}

int ledger_foreach_of_tenant(const Ledger *l, const char *tenant, int (*fn)(Reservation *r, void *userdata),
                             void *userdata)
{
        LedgerEntry *entries = ledger_entries_of_tenant(l, tenant), *e;

        DL_FOREACH (entries, e) {
                ledger_count_visit(l);
                int r = fn(e->r, userdata);
                if (r != 0)
                        return r;
        }
        return 0;
}

Reservation *ledger_first_of_tenant(const Ledger *l, const char *tenant)
{
        LedgerEntry *e = ledger_entries_of_tenant(l, tenant);

        ledger_count_visit(l);
        return e ? e->r : NULL;
}

NodeSet ledger_base_of_tenant(const Ledger *l, const char *tenant)
{
        LedgerEntry *entries = ledger_entries_of_tenant(l, tenant), *e;

        DL_FOREACH (entries, e) {
                ledger_count_visit(l);
                if (!nodeset_is_empty(&e->r->base))
                        return e->r->base;
        }
        return NODESET_EMPTY;
}

int ledger_foreach_tenant_of_node(const Ledger *l, int node,
                                  int (*fn)(const char *tenant, uint64_t bytes, void *userdata),
                                  void *userdata)
{
        LedgerHolding *h;

        if (node < 0 || node >= NODE_MAX)
                return 0;
        DL_FOREACH2 (l->nodes[node].holdings, h, node_next) {
                ledger_count_visit(l);
                int r = fn(h->tenant->key, sum_saturate(h->bytes), userdata);

                if (r != 0)
                        return r;
        }
        return 0;
}

void ledger_walk_begin(Ledger *l, int node)
{
        if (node >= 0 && node < NODE_MAX)
                l->nodes[node].walk = l->nodes[node].holdings;
}

int ledger_walk_tenants_of_node(Ledger *l, int node, bool all, size_t max,
                                int (*fn)(const char *tenant, uint64_t bytes, void *userdata),
                                void *userdata)
{
        NodeSum *n = node >= 0 && node < NODE_MAX ? &l->nodes[node] : NULL;

        if (!n)
                return 0;
        for (size_t i = 0; n->walk && (all || !n->walk->observed); i++) {
                LedgerHolding *h = n->walk;

                if (i >= max)
                        return 1;
                n->walk = h->node_next;
                ledger_count_visit(l);
                int r = fn(h->tenant->key, sum_saturate(h->bytes), userdata);
                if (r < 0)
                        return r;
        }
        n->walk = NULL;
        return 0;
}
