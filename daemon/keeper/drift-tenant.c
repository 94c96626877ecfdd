/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Compares the nodes of a tenant's cgroup with the ledger. The check runs within the tenant's turn: a grant
 * or release in flight has completed before the check, and no other one begins before a repair has
 * completed.
 *
 * Drift is a reserved node that is missing, or a CDM node that is open and not reserved. If a tenant has
 * fewer ordinary nodes than before, another program restricts it, and the repair keeps that restriction. The
 * repair does not bring back pages that were moved off a node when the tenant lost the node. */

#include "daemon/keeper/drift-tenant.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "daemon/keeper/drift-reason.h"
#include "daemon/keeper/fights.h"
#include "daemon/kernel/tenant-read.h"
#include "daemon/loop/log.h"
#include "daemon/loop/turn.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/change.h"
#include "daemon/tenant/core.h"
#include "policy/config.h"

typedef struct TenantLook TenantLook;

struct TenantLooks {
        Book *book;
        const ChangeContext *changes;
        Fights *fights;
        TenantLook *all;
        TenantLook *due; /* by tenant: the checks that still wait for their turn */
};

struct TenantLook {
        TenantLooks *set;
        char *tenant;
        char *reason;
        Turn *turn;
        bool due; /* in set->due */
        TenantRead *read;
        Change *change;
        TenantLook *prev, *next;
        UT_hash_handle hh;
};

static void tenant_look_is_not_due(TenantLook *l)
{
        if (l->due)
                HASH_DEL(l->set->due, l);
        l->due = false;
}

static void tenant_look_free(TenantLook *l)
{
        tenant_look_is_not_due(l);
        DL_DELETE(l->set->all, l);
        tenant_read_free(l->read);
        change_free(l->change);
        turn_free(l->turn);
        free(l->tenant);
        free(l->reason);
        free(l);
}

int tenant_looks_new(Book *book, const ChangeContext *changes, Fights *fights, TenantLooks **ret)
{
        TenantLooks *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        *s = (TenantLooks){ .book = book, .changes = changes, .fights = fights };
        *ret = s;
        return 0;
}

TenantLooks *tenant_looks_free(TenantLooks *s)
{
        if (!s)
                return NULL;
        while (s->all)
                tenant_look_free(s->all);
        free(s);
        return NULL;
}

/* The nodes that the tenant must have, and those that it may have. The nodes of a reservation that is not
 * granted yet, or that is draining, only count as allowed. */
typedef struct Terms {
        Book *book;
        const Reservation *first;
        NodeSet must, may;
} Terms;

static int tenant_look_add_terms(Reservation *r, void *userdata)
{
        Terms *t = userdata;
        Entry *e = book_find(t->book, r->id);
        NodeSet nodes = reservation_nodes(r);

        t->may = nodeset_union(&t->may, &nodes);
        if (!e || e->phase != STORE_GRANTED ||
            (r->state != RESERVATION_ACTIVE && r->state != RESERVATION_DEGRADED))
                return 0;
        t->must = nodeset_union(&t->must, &nodes);
        if (!t->first && r->target->cgroup)
                t->first = r;
        return 0;
}

static void tenant_look_tell(TenantLook *l, int error, const char *message)
{
        Event e = { .kind = error < 0 ? EVENT_FAILED : EVENT_DRIFT,
                    .unit = l->tenant[0] == '/' ? NULL : l->tenant,
                    .cgroup = l->tenant[0] == '/' ? l->tenant : NULL,
                    .reason = error < 0 ? message : l->reason };

        if (error < 0)
                event_emit(l->set->book->core->notify, &e,
                           "the nodes of %s could not be set as reserved: %s", l->tenant,
                           message ? message : strerror(-error));
        else
                event_emit(l->set->book->core->notify, &e, "the nodes of %s are set as reserved again: %s",
                           l->tenant, l->reason);
}

static void tenant_look_on_repaired(const ApplyResult *result, bool changed, void *userdata)
{
        TenantLook *l = userdata;
        /* If the tenant has ended, PID 1 reports that. */
        if (result->error < 0 && result->error != -ENOENT && result->error != -ESTALE) {
                tenant_look_tell(l, result->error, result->message);
                fights_note_failed(l->set->fights, l->tenant);
        } else if (result->error == 0 && changed) {
                fights_count_repair(l->set->fights);
                tenant_look_tell(l, 0, NULL);
        }
        tenant_look_free(l);
}

/* NULL: the tenant has the desired nodes. */
static char *tenant_look_find_drift(TenantLook *l, const Terms *t, const NodeSet *found)
{
        Book *book = l->set->book;
        NodeSet open = nodeset_intersect(found, &book->pools->cdm),
                now = ledger_tenant_nodes(book->ledger, l->tenant), must = nodeset_intersect(&t->must, &now);

        open = nodeset_subtract(&open, &t->may);
        if (!nodeset_is_empty(found) && nodeset_is_empty(&open) && nodeset_is_subset(&must, found))
                return NULL;
        return drift_reason(book, t->first->target->unit, found);
}

typedef struct Base {
        Book *book;
        NodeSet nodes;
} Base;

static int tenant_look_set_base(Reservation *r, void *userdata)
{
        Base *b = userdata;
        Entry *e = book_find(b->book, r->id);

        if (!e || nodeset_equal(&r->base, &b->nodes))
                return 0;
        r->base = b->nodes;
        int k = book_store(e);
        return k < 0 ? k : 0;
}

/* Another program may have changed the tenant's ordinary nodes since its first grant; keep that change. */
static void tenant_look_adopt_ordinary(TenantLook *l, const NodeSet *found)
{
        Base b = { l->set->book, nodeset_intersect(found, &l->set->book->pools->ordinary) };

        if (nodeset_is_empty(&b.nodes))
                return;
        int r = ledger_foreach_of_tenant(l->set->book->ledger, l->tenant, tenant_look_set_base, &b);
        if (r < 0)
                log_error("cannot store the ordinary nodes of %s: %s", l->tenant, strerror(-r));
}

/* True: a repair is in flight; its callback frees the TenantLook. */
static bool tenant_look_judge(TenantLook *l, const NodeSet *found)
{
        Terms t = { .book = l->set->book };
        ChangeTerms as_reserved = { .migrate = false };
        Book *book = l->set->book;

        ledger_foreach_of_tenant(book->ledger, l->tenant, tenant_look_add_terms, &t);
        if (!t.first || book->config->mode != FENCE_MODE_ENFORCE) {
                fights_forget(l->set->fights, l->tenant);
                return false;
        }
        l->reason = tenant_look_find_drift(l, &t, found);
        if (fights_judge(l->set->fights, PLACE_TENANT, l->tenant, l->reason) != FIGHT_REPAIR)
                return false;
        tenant_look_adopt_ordinary(l, found);
        int r = change_start(l->set->changes, t.first, &as_reserved, tenant_look_on_repaired, l, &l->change);
        if (r < 0) {
                tenant_look_tell(l, r, NULL);
                fights_note_failed(l->set->fights, l->tenant);
        }
        return r >= 0;
}

static void tenant_look_on_read(const TenantReading *now, void *userdata)
{
        TenantLook *l = userdata;

        l->read = tenant_read_free(l->read);
        /* On error the tenant has restarted or ended, which PID 1 reports. */
        if (now->error < 0 || !tenant_look_judge(l, &now->mems))
                tenant_look_free(l);
}

static bool tenant_look_read(TenantLook *l)
{
        Terms t = { .book = l->set->book };
        Book *book = l->set->book;

        ledger_foreach_of_tenant(book->ledger, l->tenant, tenant_look_add_terms, &t);
        if (!t.first || book->config->mode != FENCE_MODE_ENFORCE) {
                fights_forget(l->set->fights, l->tenant);
                return false;
        }
        const Subject *target = t.first->target;
        return tenant_read_start(book->core->worker, target->cgroup, target->cgroup_id, &NODESET_EMPTY,
                                 tenant_look_on_read, l, &l->read) >= 0;
}

static void tenant_look_on_turn(int result _unused_, void *userdata)
{
        TenantLook *l = userdata;

        tenant_look_is_not_due(l);
        if (!tenant_look_read(l))
                tenant_look_free(l);
}

void tenant_looks_add(TenantLooks *s, const char *tenant)
{
        TenantLook *l;

        HASH_FIND_STR(s->due, tenant, l);
        if (l)
                return;
        l = calloc(1, sizeof(*l));
        if (!l)
                return;
        *l = (TenantLook){ .set = s, .tenant = strdup(tenant) };
        DL_APPEND(s->all, l);
        if (l->tenant) {
                HASH_ADD_KEYPTR(hh, s->due, l->tenant, strlen(l->tenant), l);
                l->due = true;
        }
        int r = l->tenant ? turn_take(s->book->core->turns, tenant, tenant_look_on_turn, l, &l->turn)
                          : -ENOMEM;
        if (r < 0) {
                log_error("cannot check %s: %s; `cdmctl reload` checks it", tenant, strerror(-r));
                tenant_look_free(l);
        }
}
