/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who has pages on CDM nodes: every cgroup is read on a worker, then each holder gets a name. One look at a
 * time: callers wait for each other, so that many of them keep no more than one worker busy. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/fence-scan.h"
#include "daemon/manager.h"
#include "daemon/observe.h"
#include "policy/cdm-names.h"

/* Of holders without a reservation, so many are looked up at PID 1; the rest are shown by their cgroup. */
#define LOOKUPS_MAX 256

typedef struct Lookup {
        HoldersCall *call;
        size_t holder;
        char *unit;
        sd_bus_slot *slot;
} Lookup;

struct HoldersCall {
        Manager *manager;
        sd_bus_message *call;
        bool running; /* the one whose observation is under way */
        char *root;
        NodeSet nodes;
        Observation *observation; /* written by the worker until it is done */
        Job *job;
        Lookup *lookups; /* one a holder */
        size_t n_pending;
        HoldersCall *prev, *next;
};

static void start_next(Manager *m);

static void call_free(HoldersCall *c)
{
        size_t n = c->observation ? c->observation->n_holders : 0;

        DL_DELETE(c->manager->holders, c);
        for (size_t i = 0; c->lookups && i < n; i++) {
                sd_bus_slot_unref(c->lookups[i].slot);
                free(c->lookups[i].unit);
        }
        free(c->lookups);
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
                if (!c->job)
                        call_free(c);
}

static void finish(HoldersCall *c)
{
        Manager *m = c->manager;

        call_free(c);
        start_next(m);
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
        return b->anon == 0 && b->file == 0 && b->shmem == 0;
}

static const char *kind_of(Manager *m, const Holder *h, const Reservation *r, const char *unit)
{
        if (h->inner)
                return "residue";
        if (r && ledger_tenant_bytes(m->ledger, ledger_tenant_key(r->target), h->bytes.node) > 0) {
                NodeSet open = ledger_tenant_nodes(m->ledger, ledger_tenant_key(r->target));
                return nodeset_contains(&open, h->bytes.node) ? "reserved" : "residue";
        }
        if (fence_unit_is_exempt(unit, m->config))
                return "exempt";
        return is_kernel_memory_only(&h->bytes) ? "residue" : "intruder";
}

static int append_holders(HoldersCall *c, sd_bus_message *m)
{
        const Observation *o = c->observation;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < o->n_holders; i++) {
                const Holder *h = &o->holders[i];
                const Reservation *res = reservation_of(c->manager, h->cgroup);
                const char *unit = res && res->target->unit ? res->target->unit : c->lookups[i].unit;
                r = sd_bus_message_append(m, "(ussttts)", (uint32_t)h->bytes.node, h->cgroup,
                                          unit ? unit : "", numa_bytes_sum(&h->bytes), h->bytes.anon,
                                          h->bytes.file, kind_of(c->manager, h, res, unit));
        }
        for (size_t i = 0; r >= 0 && i < o->n_nodes; i++) {
                uint64_t bytes = observation_unattributed(o, o->nodes[i].node);
                if (bytes > 0)
                        r = sd_bus_message_append(m, "(ussttts)", (uint32_t)o->nodes[i].node, "", "", bytes,
                                                  UINT64_C(0), UINT64_C(0), "unattributed");
        }
        return r;
}

static void reply(HoldersCall *c)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        int r = sd_bus_message_new_method_return(c->call, &m);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(ussttts)");
        if (r >= 0)
                r = append_holders(c, m);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_send(NULL, m, NULL);
        if (r < 0)
                (void)sd_bus_reply_method_errno(c->call, r, NULL);
        finish(c);
}

static void on_unit(int error, UnitInfo *info, void *userdata)
{
        Lookup *l = userdata;
        HoldersCall *c = l->call;

        l->slot = sd_bus_slot_unref(l->slot);
        if (info) {
                l->unit = TAKE_PTR(info->name);
                unit_info_free(info);
        }
        if (--c->n_pending == 0)
                reply(c);
}

static void look_up_units(HoldersCall *c)
{
        size_t n_lookups = 0;

        c->n_pending = 1;
        for (size_t i = 0; i < c->observation->n_holders && n_lookups < LOOKUPS_MAX; i++) {
                const Holder *h = &c->observation->holders[i];
                c->lookups[i] = (Lookup){ .call = c, .holder = i };
                if (h->inner || reservation_of(c->manager, h->cgroup))
                        continue;
                if (unit_get_by_cgroup(c->manager->bus, h->cgroup, on_unit, &c->lookups[i],
                                       &c->lookups[i].slot) >= 0) {
                        c->n_pending++;
                        n_lookups++;
                }
        }
        if (--c->n_pending == 0)
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
        if (result == -ECANCELED) { /* cdmd stops */
                call_free(c);
                return;
        }
        if (result >= 0) {
                c->lookups = calloc(c->observation->n_holders + 1, sizeof(*c->lookups));
                if (!c->lookups)
                        result = -ENOMEM;
        }
        if (result < 0) {
                (void)sd_bus_reply_method_errno(c->call, result, NULL);
                finish(c);
                return;
        }
        look_up_units(c);
}

static void start_next(Manager *m)
{
        HoldersCall *c = m->holders;

        if (!c || c->running)
                return;
        c->running = true;
        c->nodes = m->pools->cdm;
        int r = worker_submit(m->worker, on_worker, on_observed, NULL, c, &c->job);
        if (r < 0) {
                (void)sd_bus_reply_method_errno(c->call, r, NULL);
                call_free(c);
        }
}

int manager_list_holders(Manager *m, sd_bus_message *call)
{
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
