/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Has a tenant's cgroup the nodes that the ledger says? It is looked at within the tenant's turn: a grant or
 * release that is under way has ended by then, and none begins before a repair has.
 *
 * Drift is a reserved node that is gone, or a CDM node that is open and not reserved. A tenant that has
 * fewer ordinary nodes than before is respected: somebody restricts it, and the repair leaves it so. Pages
 * that left a node with it do not come back by themselves. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "daemon/loop/log.h"
#include "daemon/tenant/manager.h"

struct TenantLook {
        Manager *manager;
        char *tenant;
        char *reason;
        Turn *turn;
        bool due; /* in looks_due */
        TenantRead *read;
        Change *change;
        TenantLook *prev, *next;
        UT_hash_handle hh;
};

static void look_is_not_due(TenantLook *l)
{
        if (l->due)
                HASH_DEL(l->manager->looks_due, l);
        l->due = false;
}

static void look_free(TenantLook *l)
{
        look_is_not_due(l);
        DL_DELETE(l->manager->looks, l);
        tenant_read_free(l->read);
        change_free(l->change);
        turn_free(l->turn);
        free(l->tenant);
        free(l->reason);
        free(l);
}

void manager_tenant_looks_free(Manager *m)
{
        while (m->looks)
                look_free(m->looks);
}

/* What the tenant must have, and what it may have: a reservation that is not granted yet, or that drains, is
 * only the latter. */
typedef struct Terms {
        Manager *manager;
        const Reservation *first;
        NodeSet must, may;
} Terms;

static int add_terms(Reservation *r, void *userdata)
{
        Terms *t = userdata;
        Entry *e = manager_find(t->manager, r->id);
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

static void tell(TenantLook *l, int error, const char *message)
{
        Event e = { .kind = error < 0 ? EVENT_FAILED : EVENT_DRIFT,
                    .unit = l->tenant[0] == '/' ? NULL : l->tenant,
                    .cgroup = l->tenant[0] == '/' ? l->tenant : NULL,
                    .reason = error < 0 ? message : l->reason };

        if (error < 0)
                event_emit(l->manager->notify, &e, "the nodes of %s could not be set as reserved: %s",
                           l->tenant, message ? message : strerror(-error));
        else
                event_emit(l->manager->notify, &e, "the nodes of %s are set as reserved again: %s",
                           l->tenant, l->reason);
}

static void on_repaired(const ApplyResult *result, bool changed, void *userdata)
{
        TenantLook *l = userdata;
        Manager *m = l->manager;

        /* Its end is told of by PID 1. */
        if (result->error < 0 && result->error != -ENOENT && result->error != -ESTALE) {
                tell(l, result->error, result->message);
                manager_place_failed(m, l->tenant);
        } else if (result->error == 0 && changed) {
                m->n_drift_repaired++;
                tell(l, 0, NULL);
        }
        look_free(l);
}

/* NULL: it has what it shall have. */
static char *find_drift(TenantLook *l, const Terms *t, const NodeSet *found)
{
        Manager *m = l->manager;
        NodeSet open = nodeset_intersect(found, &m->pools->cdm),
                now = ledger_tenant_nodes(m->ledger, l->tenant), must = nodeset_intersect(&t->must, &now);

        open = nodeset_subtract(&open, &t->may);
        if (!nodeset_is_empty(found) && nodeset_is_empty(&open) && nodeset_is_subset(&must, found))
                return NULL;
        return manager_drift_reason(m, t->first->target->unit, found);
}

typedef struct Base {
        Manager *manager;
        NodeSet nodes;
} Base;

static int set_base(Reservation *r, void *userdata)
{
        Base *b = userdata;
        Entry *e = manager_find(b->manager, r->id);

        if (!e || nodeset_equal(&r->base, &b->nodes))
                return 0;
        r->base = b->nodes;
        int k = manager_store(e);
        return k < 0 ? k : 0;
}

/* Of the ordinary nodes that it had before its first grant somebody has taken a part since, or has given it
 * more: that is not cdmd's, and stays so. */
static void adopt_ordinary(TenantLook *l, const NodeSet *found)
{
        Base b = { l->manager, nodeset_intersect(found, &l->manager->pools->ordinary) };

        if (nodeset_is_empty(&b.nodes))
                return;
        int r = ledger_foreach_of_tenant(l->manager->ledger, l->tenant, set_base, &b);
        if (r < 0)
                log_error("cannot store the ordinary nodes of %s: %s", l->tenant, strerror(-r));
}

/* True: a repair is under way, and frees it. */
static bool judge(TenantLook *l, const NodeSet *found)
{
        Terms t = { .manager = l->manager };
        ChangeTerms as_reserved = { .migrate = false };
        Manager *m = l->manager;

        ledger_foreach_of_tenant(m->ledger, l->tenant, add_terms, &t);
        if (!t.first || m->config->mode != FENCE_MODE_ENFORCE) {
                manager_place_forget(m, l->tenant);
                return false;
        }
        l->reason = find_drift(l, &t, found);
        if (manager_place_look(m, PLACE_TENANT, l->tenant, l->reason) != FIGHT_REPAIR)
                return false;
        adopt_ordinary(l, found);
        int r = change_start(m, t.first, &as_reserved, on_repaired, l, &l->change);
        if (r < 0) {
                tell(l, r, NULL);
                manager_place_failed(m, l->tenant);
        }
        return r >= 0;
}

static void on_read(const TenantReading *now, void *userdata)
{
        TenantLook *l = userdata;

        l->read = tenant_read_free(l->read);
        /* It restarted or ended, which PID 1 tells of. */
        if (now->error < 0 || !judge(l, &now->mems))
                look_free(l);
}

static bool look(TenantLook *l)
{
        Terms t = { .manager = l->manager };
        Manager *m = l->manager;

        ledger_foreach_of_tenant(m->ledger, l->tenant, add_terms, &t);
        if (!t.first || m->config->mode != FENCE_MODE_ENFORCE) {
                manager_place_forget(m, l->tenant);
                return false;
        }
        const Subject *target = t.first->target;
        return tenant_read_start(m->worker, target->cgroup, target->cgroup_id, &NODESET_EMPTY, on_read, l,
                                 &l->read) >= 0;
}

static void on_turn(Turn *t, void *userdata)
{
        TenantLook *l = userdata;

        look_is_not_due(l);
        if (!look(l))
                look_free(l);
}

void manager_drift_tenant(Manager *m, const char *tenant)
{
        TenantLook *l;

        HASH_FIND_STR(m->looks_due, tenant, l);
        if (l)
                return;
        l = calloc(1, sizeof(*l));
        if (!l)
                return;
        *l = (TenantLook){ .manager = m, .tenant = strdup(tenant) };
        DL_APPEND(m->looks, l);
        if (l->tenant) {
                HASH_ADD_KEYPTR(hh, m->looks_due, l->tenant, strlen(l->tenant), l);
                l->due = true;
        }
        int r = l->tenant ? turn_take(m->turns, tenant, on_turn, l, &l->turn) : -ENOMEM;
        if (r < 0) {
                log_error("cannot look at %s: %s; `cdmctl reload` looks", tenant, strerror(-r));
                look_free(l);
        }
}
