/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A tenant that comes to a node of one other, or leaves a node to one other, changes the strength of the
 * other's reservations there: `exclusive` becomes `watched`, or the reverse. A further reservation of a tenant
 * that is on the node already, and a third tenant, change nothing for anybody.
 *
 * The other may have very many reservations there. They are remembered, and their clients told from the event
 * loop, SLICE in a turn. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/log.h"
#include "daemon/manager.h"

#define SLICE 32

typedef struct Told {
        uint32_t *ids;
        size_t n, n_allocated, next;
        struct Told *prev_list, *next_list;
} Told;

struct Neighbours {
        Told *list;
        sd_event_source *source;
};

static void told_free(Neighbours *n, Told *t)
{
        DL_DELETE2(n->list, t, prev_list, next_list);
        free(t->ids);
        free(t);
}

void manager_neighbours_free(Manager *m)
{
        Neighbours *n = m->neighbours;

        if (!n)
                return;
        while (n->list)
                told_free(n, n->list);
        sd_event_source_disable_unref(n->source);
        free(n);
        m->neighbours = NULL;
}

static int neighbours_on_turn(sd_event_source *source, void *userdata)
{
        Manager *m = userdata;
        Neighbours *n = m->neighbours;

        for (unsigned i = 0; i < SLICE && n->list; i++) {
                Told *t = n->list;
                Entry *e = t->next < t->n ? manager_find(m, t->ids[t->next]) : NULL;

                if (e && e->known)
                        notify_reservation_changed(m->notify, e->id, RESERVATION_CHANGED_STRENGTH);
                if (++t->next >= t->n)
                        told_free(n, t);
        }
        if (n->list)
                (void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        else
                manager_neighbours_free(m);
        return 0;
}

static int remember(Reservation *r, void *userdata)
{
        Told *t = userdata;

        if (t->n == t->n_allocated) {
                size_t n = t->n_allocated ? 2 * t->n_allocated : 16;
                uint32_t *ids = reallocarray(t->ids, n, sizeof(*ids));

                if (!ids)
                        return -ENOMEM;
                t->ids = ids;
                t->n_allocated = n;
        }
        t->ids[t->n++] = r->id;
        return 0;
}

static int neighbours_arm(Manager *m)
{
        if (m->neighbours)
                return 0;
        m->neighbours = calloc(1, sizeof(*m->neighbours));
        if (!m->neighbours)
                return -ENOMEM;
        return sd_event_add_defer(m->event, &m->neighbours->source, neighbours_on_turn, m);
}

static void tell_tenant(Manager *m, const char *tenant)
{
        Told *t = calloc(1, sizeof(*t));
        int r = t ? neighbours_arm(m) : -ENOMEM;

        if (r >= 0)
                r = ledger_foreach_of_tenant(m->ledger, tenant, remember, t);
        if (r >= 0) {
                DL_APPEND2(m->neighbours->list, t, prev_list, next_list);
                return;
        }
        log_error("Clients of %s are not told that its strength changed: out of memory.", tenant);
        if (t)
                free(t->ids);
        free(t);
}

typedef struct Other {
        const char *not_this;
        const char *tenant;
} Other;

static int find_other(const char *tenant, uint64_t bytes, void *userdata)
{
        Other *o = userdata;

        if (strcmp(tenant, o->not_this) == 0)
                return 0;
        o->tenant = tenant;
        return 1;
}

void manager_tell_neighbours(Manager *m, const Reservation *r)
{
        const char *tenant = ledger_tenant_key(r->target);
        bool is_in_ledger = ledger_find(m->ledger, r->id) == r;
        size_t n_before = is_in_ledger ? 1 : 0;
        const char *told = NULL;

        for (size_t i = 0; i < r->n_shares; i++) {
                int node = r->shares[i].node;
                Other o = { .not_this = tenant };

                /* The tenant has come with this reservation, or gone with it, and there is one other. */
                if (ledger_tenant_shares(m->ledger, tenant, node) != n_before ||
                    ledger_node_tenants(m->ledger, node) != 1 + n_before)
                        continue;
                ledger_foreach_tenant_of_node(m->ledger, node, find_other, &o);
                if (o.tenant && (!told || strcmp(told, o.tenant) != 0))
                        tell_tenant(m, o.tenant);
                told = o.tenant ? o.tenant : told;
        }
        manager_overrun_arm(m);
}
