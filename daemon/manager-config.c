/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Configuration and fence. A new configuration is read whole into fresh objects and swapped in whole, or not
 * at all. The fence works with the one in force for as long as it takes, so a reload that comes meanwhile
 * waits. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <utlist.h>

#include "daemon/bus.h"
#include "daemon/log.h"
#include "daemon/manager.h"
#include "daemon/topology-read.h"
#include "policy/cdm-names.h"
#include "policy/size.h"

struct Reload {
        sd_bus_message *call; /* NULL: SIGHUP */
        bool loaded;          /* waits for the fence */
        Reload *prev, *next;
};

void adoption_clear(Adoption *a)
{
        topology_free(a->topology);
        config_free(a->config);
        pool_set_free(a->pools);
        free(a->warnings);
        *a = (Adoption){ 0 };
}

static void messages_clear(ConfMessages *m)
{
        conf_messages_clear(m);
}

/* The lines of one severity, owned by the caller; "" when there are none. */
static char *join_messages(const ConfMessages *m, ConfSeverity severity)
{
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return NULL;
        for (size_t i = 0; i < m->n_messages; i++) {
                _cleanup_free_ char *line = NULL;
                if (m->messages[i].severity != severity)
                        continue;
                line = conf_message_format(&m->messages[i]);
                fprintf(f, "%s%s", ftell(f) > 0 ? "\n" : "", line ? line : "Out of memory.");
        }
        fclose(f);
        return text;
}

static int resolve(Adoption *f, char **ret_error)
{
        return pool_set_resolve(f->topology, (const PoolConfig *const *)f->config->pools, f->config->n_pools,
                                &f->pools, ret_error);
}

/* -EBADMSG: *ret_error has a FILE:LINE line for everything that is wrong. */
static int load(Manager *m, Adoption *ret, char **ret_error)
{
        _cleanup_(messages_clear) ConfMessages messages = { 0 };
        _cleanup_(adoption_clear) Adoption f = { 0 };

        int r = topology_read(m->root, &f.topology);
        if (r < 0) {
                if (asprintf(ret_error, "The machine's nodes cannot be read: %s.", strerror(-r)) < 0)
                        *ret_error = NULL;
                return r;
        }
        r = config_load(m->root, &f.config, &messages);
        if (r < 0) {
                *ret_error = join_messages(&messages, CONF_ERROR);
                return r;
        }
        r = resolve(&f, ret_error);
        if (r < 0)
                return r;
        f.warnings = join_messages(&messages, CONF_WARNING);
        *ret = f;
        f = (Adoption){ 0 };
        return 0;
}

static void warn_lines(Manager *m, char *lines)
{
        char *save = NULL;

        for (char *l = lines ? strtok_r(lines, "\n", &save) : NULL; l; l = strtok_r(NULL, "\n", &save))
                manager_warn(m, "%s", l);
}

/* A unit that could use all ordinary nodes before its first grant goes on to have all there are. */
static void rebase(Manager *m, const NodeSet *before)
{
        Entry *e, *next;

        if (nodeset_equal(before, &m->pools->ordinary))
                return;
        HASH_ITER (hh, m->entries, e, next) {
                if (!nodeset_equal(&e->r->base, before))
                        continue;
                e->r->base = m->pools->ordinary;
                int r = manager_store(e);
                if (r < 0)
                        log_error("Cannot store reservation %" PRIu32 ": %s.", e->id, strerror(-r));
        }
}

static void swap_in(Manager *m, Adoption *a)
{
        Adoption had = { m->topology, NULL, m->pools, NULL };

        m->topology = a->topology;
        m->pools = a->pools;
        if (a->config) {
                had.config = m->config;
                m->config = a->config;
                manager_clear_warnings(m);
                warn_lines(m, a->warnings);
                free(a->warnings);
        }
        *a = had;
}

int manager_adopt(Manager *m, Adoption *a)
{
        swap_in(m, a);
        fence_use(m->fence, m->config, m->pools);
        manager_look_at_machine(m);
        manager_shut_nodes(m);
        m->nodes_stale = m->nodes_stale || m->reading;
        if (a->pools) {
                rebase(m, &a->pools->ordinary);
                bus_tell_nodes(m, a->topology, a->pools);
        }
        if (m->serving) {
                manager_leases_arm(m); /* GracePeriod= */
                manager_queue_look(m);
        }
        return 0;
}

/* Nothing that the admin wrote is usable: no rules, and the default pools, if they leave ordinary memory. */
static int load_defaults(Manager *m, bool fence, Adoption *ret)
{
        _cleanup_(adoption_clear) Adoption f = { 0 };
        _cleanup_free_ char *error = NULL;

        int r = topology_read(m->root, &f.topology);
        if (r >= 0)
                r = config_new(&f.config);
        if (r >= 0 && (!fence || resolve(&f, &error) < 0)) {
                f.pools = calloc(1, sizeof(*f.pools));
                if (!f.pools)
                        return -ENOMEM;
                f.pools->ordinary = topology_memory_nodes(f.topology);
        }
        if (r < 0)
                return r;
        *ret = f;
        f = (Adoption){ 0 };
        return 0;
}

static int refused_warnings(int refused, const char *error, char **ret)
{
        return asprintf(
                ret,
                "%s%sThe configuration was refused, so no rule is in force and every request is denied. "
                "Correct it, check it with `cdmctl check`, then run `cdmctl reload`.%s",
                error ? error : "", error ? "\n" : "",
                refused == -ENOSPC ? "\nNothing is fenced: every process may use every node." : "");
}

int manager_load(Manager *m)
{
        _cleanup_(adoption_clear) Adoption f = { 0 };
        _cleanup_free_ char *error = NULL;

        int r = load(m, &f, &error);
        if (r >= 0)
                return manager_adopt(m, &f);
        /* Pools that would take all memory are the one mistake that leaves the machine open, as at boot. */
        int refused = r;
        r = load_defaults(m, refused != -ENOSPC, &f);
        if (r < 0) {
                log_error("%s", error ? error : strerror(-r));
                return r;
        }
        if (refused_warnings(refused, error, &f.warnings) < 0)
                f.warnings = NULL;
        return manager_adopt(m, &f);
}

static void tell_fence(Manager *m, int error)
{
        FenceState state = fence_state(m->fence);
        char nodes[NODESET_STR_MAX];
        size_t n = 0;
        Event e = { .nodes = nodeset_format(&m->pools->cdm, nodes) };

        (void)fence_unfenced(m->fence, &n);
        if (state == FENCE_CLOSED && error >= 0) {
                e.kind = EVENT_FENCE_CLOSED;
                if (*e.nodes)
                        event_emit(m->bus, &e, "The fence around the CDM nodes (%s) is closed.", e.nodes);
                else
                        event_emit(m->bus, &e, "The fence around CDM nodes that may come is closed.");
        } else if (error < 0) {
                e.kind = EVENT_FENCE_LEAKY;
                e.reason = strerror(-error);
                event_emit(m->bus, &e, "The fence around the CDM nodes (%s) could not be changed: %s.",
                           e.nodes, e.reason);
        } else if (state == FENCE_LEAKY) {
                e.kind = EVENT_FENCE_LEAKY;
                event_emit(m->bus, &e,
                           "The fence around the CDM nodes (%s) is closed, but for %zu control %s.", e.nodes,
                           n, n == 1 ? "group" : "groups");
        } else if (!pool_set_needs_fence(m->pools)) {
                e.kind = EVENT_FENCE_LIFTED;
                event_emit(m->bus, &e, "The fence is lifted: no pool has a node any more.");
        } else if (m->config->mode != FENCE_MODE_ENFORCE) {
                e.kind = EVENT_FENCE_LIFTED;
                event_emit(m->bus, &e, "There is no fence around the CDM nodes (%s): Mode=%s.", e.nodes,
                           fence_mode_to_string(m->config->mode));
        }
        uint64_t drained = fence_intruder_bytes_drained(m->fence);
        if (drained > m->intruder_bytes) {
                char size[SIZE_STR_MAX];
                e.kind = EVENT_INTRUDER_DRAINED;
                e.reason = NULL;
                e.has = EVENT_HAS_MOVED;
                e.moved_bytes = drained - m->intruder_bytes;
                event_emit(m->bus, &e,
                           "%s of processes without a reservation were moved off the CDM nodes (%s).",
                           size_format(e.moved_bytes, size), e.nodes);
                m->intruder_bytes = drained;
        }
}

static void answer_loaded(Manager *m)
{
        Reload *r, *next;

        DL_FOREACH_SAFE (m->reloads, r, next) {
                if (!r->loaded)
                        continue;
                if (r->call)
                        (void)sd_bus_reply_method_return(r->call, NULL);
                DL_DELETE(m->reloads, r);
                sd_bus_message_unref(r->call);
                free(r);
        }
}

static void on_fence(Fence *f, int error, void *userdata)
{
        Manager *m = userdata;

        m->fence_busy = false;
        if (error < 0)
                manager_warn(m,
                             "The fence could not be changed: %s. `cdmctl status` shows its state; `cdmctl "
                             "reload` "
                             "tries again.",
                             strerror(-error));
        tell_fence(m, error);
        if (fence_enabled_cpuset(f))
                manager_warn(
                        m,
                        "The cpuset controller had to be enabled on a running system, which can reset CPU "
                        "affinities that services had set for themselves; restart such services.");
        bus_manager_changed(m, "FenceState");
        /* Before what follows can load for those that wait, whose fence comes only then. */
        answer_loaded(m);
        manager_fence_settled(m);
        manager_overrun_arm(m);
        manager_reloads_serve(m);
        manager_nodes_serve(m);
}

void manager_fence(Manager *m)
{
        int r;

        bool wanted = m->config->mode == FENCE_MODE_ENFORCE && pool_set_needs_fence(m->pools);
        /* A machine without CDM nodes costs nothing, unless it had some before this configuration. */
        if (!pool_set_needs_fence(m->pools) && !fence_is_there(m->fence)) {
                answer_loaded(m);
                manager_fence_settled(m);
                return;
        }
        manager_watch_cgroups(m, wanted);
        m->fence_busy = true;
        (void)sd_notifyf(0, "STATUS=%s the fence.", wanted ? "Closing" : "Lifting");
        if (wanted)
                r = fence_close(m->fence, m->config, m->pools, on_fence, m);
        else
                r = fence_lift(m->fence, m->pools, on_fence, m);
        if (r < 0)
                on_fence(m->fence, r, m);
}

static void refuse_pending(Manager *m, const char *error)
{
        Event e = { .kind = EVENT_RELOAD_FAILED, .reason = error };
        Answer a = { CDM_ERROR_BAD_CONFIG, error };
        Reload *r, *next;

        event_emit(m->bus, &e, "The new configuration was refused; the one in force stays.\n%s", error);
        DL_FOREACH_SAFE (m->reloads, r, next) {
                if (r->loaded)
                        continue;
                if (r->call)
                        (void)bus_answer(r->call, &a);
                DL_DELETE(m->reloads, r);
                sd_bus_message_unref(r->call);
                free(r);
        }
}

/* All that wait are served by one load. */
void manager_reloads_serve(Manager *m)
{
        _cleanup_(adoption_clear) Adoption f = { 0 };
        _cleanup_free_ char *error = NULL;
        Event e = { .kind = EVENT_RELOADED };
        Reload *i;

        if (m->fence_busy || !m->serving || !m->reloads)
                return;
        int r = load(m, &f, &error);
        if (r >= 0)
                r = manager_adopt(m, &f);
        if (r < 0) {
                refuse_pending(m, error && *error ? error : strerror(-r));
                return;
        }
        DL_FOREACH (m->reloads, i)
                i->loaded = true;
        event_emit(m->bus, &e, "The configuration was read again: %zu %s, %zu %s.", m->pools->n_pools,
                   m->pools->n_pools == 1 ? "pool" : "pools", m->config->n_rules,
                   m->config->n_rules == 1 ? "rule" : "rules");
        bus_manager_changed(m, "Mode");
        manager_judge_all(m, true);
        manager_fence(m);
}

void manager_reload(Manager *m, sd_bus_message *call)
{
        Reload *r = calloc(1, sizeof(*r));

        if (!r) {
                log_error("Out of memory: the configuration is not read again.");
                if (call)
                        (void)sd_bus_reply_method_errno(call, -ENOMEM, NULL);
                return;
        }
        r->call = sd_bus_message_ref(call);
        DL_APPEND(m->reloads, r);
        manager_reloads_serve(m);
}

void manager_reloads_free(Manager *m)
{
        Reload *r, *next;

        DL_FOREACH_SAFE (m->reloads, r, next) {
                DL_DELETE(m->reloads, r);
                sd_bus_message_unref(r->call);
                free(r);
        }
}
