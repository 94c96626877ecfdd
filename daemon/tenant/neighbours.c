/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* If a second tenant is added to a node, or the last but one leaves it, the strength of the other tenant's
 * reservations on the node changes: `exclusive` becomes `watched`, or the reverse. Another reservation of a
 * tenant that is already on the node, and a third tenant, change no strength.
 *
 * The other tenant may have very many reservations. They are collected, and their clients are notified from
 * the event loop, SLICE reservations in each iteration. */

#include "daemon/tenant/neighbours.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/loop/log.h"

#define SLICE 32

typedef struct Told {
        uint32_t *ids;
        size_t n, n_allocated, next;
        struct Told *prev_list, *next_list;
} Told;

struct Neighbours {
        sd_event *event;
        const Ledger *ledger;
        const Notify *notify;
        Told *list;
        sd_event_source *source; /* NULL: the list is empty */
};

static void told_free(Neighbours *n, Told *t)
{
        DL_DELETE2(n->list, t, prev_list, next_list);
        free(t->ids);
        free(t);
}

Neighbours *neighbours_free(Neighbours *n)
{
        if (!n)
                return NULL;
        while (n->list)
                told_free(n, n->list);
        sd_event_source_disable_unref(n->source);
        free(n);
        return NULL;
}

int neighbours_new(sd_event *event, const Ledger *ledger, const Notify *notify, Neighbours **ret)
{
        Neighbours *n = calloc(1, sizeof(*n));

        if (!n)
                return -ENOMEM;
        *n = (Neighbours){ .event = event, .ledger = ledger, .notify = notify };
        *ret = n;
        return 0;
}

static int neighbours_on_turn(sd_event_source *source, void *userdata)
{
        Neighbours *n = userdata;

        for (unsigned i = 0; i < SLICE && n->list; i++) {
                Told *t = n->list;

                if (t->next < t->n)
                        notify_reservation_changed(n->notify, t->ids[t->next], RESERVATION_CHANGED_STRENGTH);
                if (++t->next >= t->n)
                        told_free(n, t);
        }
        if (n->list)
                (void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        else
                n->source = sd_event_source_disable_unref(n->source);
        return 0;
}

static int neighbours_remember(Reservation *r, void *userdata)
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

static int neighbours_arm(Neighbours *n)
{
        return n->source ? 0 : sd_event_add_defer(n->event, &n->source, neighbours_on_turn, n);
}

static void tell_tenant(Neighbours *n, const char *tenant)
{
        Told *t = calloc(1, sizeof(*t));
        int r = t ? neighbours_arm(n) : -ENOMEM;

        if (r >= 0)
                r = ledger_foreach_of_tenant(n->ledger, tenant, neighbours_remember, t);
        if (r >= 0) {
                DL_APPEND2(n->list, t, prev_list, next_list);
                return;
        }
        log_error("clients of %s are not notified that its strength changed: out of memory", tenant);
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

void neighbours_tell(Neighbours *n, const Reservation *r)
{
        const char *tenant = ledger_tenant_key(r->target);
        bool is_in_ledger = ledger_find(n->ledger, r->id) == r;
        size_t n_before = is_in_ledger ? 1 : 0;
        const char *told = NULL;

        for (size_t i = 0; i < r->n_shares; i++) {
                int node = r->shares[i].node;
                Other o = { .not_this = tenant };

                /* Is this the tenant's only reservation on the node, and is there exactly one other
                 * tenant? */
                if (ledger_tenant_shares(n->ledger, tenant, node) != n_before ||
                    ledger_node_tenants(n->ledger, node) != 1 + n_before)
                        continue;
                ledger_foreach_tenant_of_node(n->ledger, node, find_other, &o);
                if (o.tenant && (!told || strcmp(told, o.tenant) != 0))
                        tell_tenant(n, o.tenant);
                told = o.tenant ? o.tenant : told;
        }
}
