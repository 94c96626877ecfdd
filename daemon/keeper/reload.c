/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Configuration and fence. A new configuration is read completely into fresh objects, and then either
 * swapped in completely or discarded. The fence uses the configuration in force while it is being changed,
 * so a reload waits until the fence has settled.
 *
 *   reload  read the files → look up users and groups (rule-names.h) → read the nodes → swap in → fence
 *   start   read the files and nodes → use them → fence; users and groups are looked up in parallel
 *
 * A reload reads on a worker (reload-read.h). Requests are meanwhile judged by the configuration in force. A
 * reload that is requested after the reading began reads everything once more, because a file may have
 * changed after it was read.
 *
 * A request is denied if the decision depends on a name that could not be looked up: rule_may_match(). */

#include "daemon/keeper/reload.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <utlist.h>

#include "daemon/fence/fence.h"
#include "daemon/fence/subtenant.h"
#include "daemon/keeper/node-drain.h"
#include "daemon/keeper/reload-read.h"
#include "daemon/loop/answer.h"
#include "daemon/loop/log.h"
#include "daemon/machine/rule-names.h"
#include "daemon/tenant/bases.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/degrade.h"
#include "daemon/tenant/leases.h"
#include "daemon/tenant/machine-facts.h"
#include "daemon/tenant/record.h"
#include "daemon/tenant/warnings.h"
#include "policy/cdm-names.h"
#include "policy/conf-read.h"
#include "policy/conf-start.h"
#include "policy/size.h"
#include "policy/warning.h"

typedef struct Reload {
        answer_done_t done; /* NULL: no caller waits */
        void *userdata;
        bool read;   /* the Load in progress began after this call */
        bool loaded; /* waits for the fence */
        struct Reload *prev, *next;
} Reload;

/* A new configuration: it is read, its users and groups are looked up, the nodes are read. */
typedef struct Load {
        ReloadReading *reading; /* NULL: nothing is being read */
        Config *config;         /* NULL: not read yet */
        char *warnings;
        RuleNames *names;
        Topology *topology; /* NULL: not read yet */
        bool nodes_changed; /* after their reading began */
} Load;

struct Reloads {
        ReloadContext context;
        ReloadListener listener;
        void *userdata; /* of the listener */
        Reload *all;
        Load *load;            /* NULL: no configuration is being loaded */
        RuleNames *rule_names; /* of the configuration in force */
        char *name_warnings;   /* lines about rule_names */
};

static Load *reload_load_free(Load *l)
{
        if (!l)
                return NULL;
        reload_reading_free(l->reading);
        rule_names_free(l->names);
        config_free(l->config);
        free(l->warnings);
        topology_free(l->topology);
        free(l);
        return NULL;
}

void adoption_clear(Adoption *a)
{
        topology_free(a->topology);
        config_free(a->config);
        pool_set_free(a->pools);
        free(a->faults);
        free(a->warnings);
        *a = (Adoption){ 0 };
}

static void reload_warn_lines(Warnings *warnings, const char *name, char *lines)
{
        char *save = NULL;

        for (char *l = lines ? strtok_r(lines, "\n", &save) : NULL; l; l = strtok_r(NULL, "\n", &save))
                warnings_add(warnings, name, "%s", l);
}

static void reload_swap_in(Reloads *s, Adoption *a)
{
        Book *book = s->context.book;
        Adoption had = { .topology = book->topology, .pools = book->pools };

        book->topology = a->topology;
        book->pools = a->pools;
        if (a->config) {
                had.config = book->config;
                book->config = a->config;
                /* The others are found again if they still apply; nodes are watched from the start on. */
                warnings_clear(s->context.warnings, WARNING_NODES_UNWATCHED);
                free(s->name_warnings);
                s->name_warnings = NULL;
                reload_warn_lines(s->context.warnings, WARNING_CONFIGURATION, a->faults);
                reload_warn_lines(s->context.warnings, WARNING_CONFIGURATION_HINT, a->warnings);
                free(a->faults);
                free(a->warnings);
        }
        *a = had;
}

int reloads_adopt(Reloads *s, Adoption *a)
{
        Book *book = s->context.book;
        /* With a reload, the administrator accepts the pools as they are now. */
        bool accepted = a->config && book->serving;
        reload_swap_in(s, a);
        _cleanup_free_ char *unread = book->topology->unread ? strdup(book->topology->unread) : NULL;
        reload_warn_lines(s->context.warnings, WARNING_NODES_UNREAD, unread);
        fence_use(s->context.fence, book->config, book->pools);
        int r = subtenant_configure(book->config->subtrees, book->config->n_subtrees, &book->pools->ordinary,
                                    book->config->mode == FENCE_MODE_ENFORCE ? &book->pools->cdm
                                                                             : &NODESET_EMPTY);
        if (r < 0)
                log_error("Subtree= cannot be put in force: %s; `cdmctl reload` tries again", strerror(-r));
        record_keep(s->context.record, book->topology, book->pools, accepted);
        machine_facts_judge(s->context.facts);
        degrade_shut_nodes(book);
        if (a->pools) {
                bases_follow(s->context.bases, &a->pools->ordinary);
                notify_tell(book->core->notify, &(Notice){ .kind = NOTICE_NODES,
                                                           .topology_before = a->topology,
                                                           .pools_before = a->pools });
        }
        if (book->serving) {
                leases_arm(s->context.leases); /* GracePeriod= */
                notify_room(book->core->notify);
        }
        return 0;
}

#define RELOAD_HINT "correct them, check them with `cdmctl check`, then run `cdmctl reload`"

/* Only pools that would take all memory leave the machine open, as at boot; other mistakes do not.
 * *ret_trouble: the error in the pools; NULL: none. */
static int reload_resolve_at_start(Adoption *f, char **ret_trouble)
{
        _cleanup_free_ char *error = NULL;
        const Config *c = f->config;
        const char *remedy;

        int r = pool_set_resolve_at_start(f->topology, (const PoolConfig *const *)c->pools, c->n_pools,
                                          &NODESET_EMPTY, &f->pools, &error);
        if (r == -ENOSPC) {
                remedy = "nothing is fenced: every process may use every node; " RELOAD_HINT;
                f->pools = calloc(1, sizeof(*f->pools));
                if (!f->pools)
                        return -ENOMEM;
                f->pools->ordinary = topology_memory_nodes(f->topology);
        } else if (r == 0 && error) {
                remedy = "the pools contradict each other, so every request is denied, and what Nodes=auto "
                         "finds is fenced as well; " RELOAD_HINT;
                r = config_deny_all(f->config, "/etc/" CDM_CONFIG_DIR "/pools.d", 0, error);
        } else
                return r;
        if (r < 0 && r != -ENOSPC)
                return r;
        return asprintf(ret_trouble, "%s\n%s", error ? error : "", remedy) < 0 ? -ENOMEM : 0;
}

/* --- names -------------------------------------------------------------------------------------------- */

static void reload_warn_of_names(Reloads *s, char *lines)
{
        char *save = NULL, *had = s->name_warnings;

        if (had && lines && strcmp(had, lines) == 0) {
                free(lines);
                return;
        }
        s->name_warnings = lines ? strdup(lines) : NULL;
        for (char *l = had ? strtok_r(had, "\n", &save) : NULL; l; l = strtok_r(NULL, "\n", &save))
                warnings_remove(s->context.warnings, l);
        reload_warn_lines(s->context.warnings, WARNING_CONFIGURATION_HINT, lines);
        free(had);
        free(lines);
}

/* Resolves the names that have been looked up so far. *ret_warnings is owned by the caller. */
static int reload_resolve_names(Config *config, RuleNames *names, char **ret_warnings)
{
        _cleanup_(conf_messages_clear) ConfMessages messages = { 0 };

        int r = config_resolve_names(config, rule_names_find, names, &messages);
        if (r >= 0)
                *ret_warnings = reload_read_messages(&messages, CONF_WARNING);
        return r;
}

/* Called when names of the configuration in force, or of the new one, have been looked up. */
static void reload_on_names(void *userdata)
{
        Reloads *s = userdata;
        Book *book = s->context.book;
        char *warnings = NULL;

        if (s->rule_names && rule_names_is_ready(s->rule_names)) {
                int r = reload_resolve_names(book->config, s->rule_names, &warnings);
                if (r < 0)
                        log_error("users and groups of rules cannot be used: %s", strerror(-r));
                else
                        reload_warn_of_names(s, warnings);
                s->listener.names_settled(s->userdata);
        }
        reloads_serve(s);
}

/* A start has no older policy that could stay in force, so a refused configuration is replaced by one that
 * grants nothing. */
int reloads_load(Reloads *s)
{
        Book *book = s->context.book;
        _cleanup_(conf_messages_clear) ConfMessages messages = { 0 };
        _cleanup_(reload_result_clear) ReloadResult nodes = { 0 };
        _cleanup_(adoption_clear) Adoption f = { 0 };
        _cleanup_free_ char *trouble = NULL;

        int r = reload_read(book->core->root, RELOAD_NODES, &nodes);
        f.topology = TAKE_PTR(nodes.topology);
        if (r >= 0)
                r = config_load_at_start(book->core->root, &f.config, &messages);
        if (r >= 0)
                r = reload_resolve_at_start(&f, &trouble);
        if (r < 0) {
                log_error("%s", nodes.error ? nodes.error : strerror(-r));
                return r;
        }
        _cleanup_free_ char *errors = reload_read_messages(&messages, CONF_ERROR);
        f.warnings = reload_read_messages(&messages, CONF_WARNING);
        if (asprintf(&f.faults, "%s\n%s", trouble ? trouble : "", errors ? errors : "") < 0)
                f.faults = NULL;
        r = reloads_adopt(s, &f);
        return r < 0 ? r
                     : rule_names_new(book->core->names, book->core->event, book->config, reload_on_names, s,
                                      &s->rule_names);
}

static void reload_tell_fence(Reloads *s, int error)
{
        Book *book = s->context.book;
        FenceState state = fence_state(s->context.fence);
        char nodes[NODESET_STR_MAX];
        size_t n = 0;
        Event e = { .nodes = nodeset_format(&book->pools->cdm, nodes) };

        (void)fence_unfenced(s->context.fence, &n);
        if (state == FENCE_CLOSED && error >= 0) {
                e.kind = EVENT_FENCE_CLOSED;
                if (*e.nodes)
                        event_emit(book->core->notify, &e, "the fence around the CDM nodes (%s) is closed",
                                   e.nodes);
                else
                        event_emit(book->core->notify, &e,
                                   "the fence around CDM nodes that may come is closed");
        } else if (error < 0) {
                e.kind = EVENT_FENCE_LEAKY;
                e.reason = strerror(-error);
                event_emit(book->core->notify, &e,
                           "the fence around the CDM nodes (%s) could not be changed: %s", e.nodes,
                           e.reason);
        } else if (state == FENCE_LEAKY) {
                e.kind = EVENT_FENCE_LEAKY;
                event_emit(book->core->notify, &e,
                           "the fence around the CDM nodes (%s) is closed, but for %zu control %s", e.nodes,
                           n, n == 1 ? "group" : "groups");
        } else if (!pool_set_needs_fence(book->pools)) {
                e.kind = EVENT_FENCE_LIFTED;
                event_emit(book->core->notify, &e, "the fence is lifted: no pool has a node any more");
        } else if (book->config->mode != FENCE_MODE_ENFORCE) {
                e.kind = EVENT_FENCE_LIFTED;
                event_emit(book->core->notify, &e, "there is no fence around the CDM nodes (%s): Mode=%s",
                           e.nodes, fence_mode_to_string(book->config->mode));
        }
        uint64_t drained = fence_intruder_bytes_untold(s->context.fence);
        if (drained > 0) {
                char size[SIZE_STR_MAX];
                e.kind = EVENT_INTRUDER_DRAINED;
                e.reason = NULL;
                e.has = EVENT_HAS_MOVED;
                e.moved_bytes = drained;
                event_emit(book->core->notify, &e,
                           "%s of processes without a reservation were moved off the CDM nodes (%s)",
                           size_format(e.moved_bytes, size), e.nodes);
                fence_intruders_were_told(s->context.fence, drained);
        }
}

static void reload_end(Reloads *s, Reload *r, const Answer *a)
{
        DL_DELETE(s->all, r);
        if (r->done)
                r->done(a, r->userdata);
        free(r);
}

static void reload_answer_loaded(Reloads *s)
{
        Reload *r, *next;

        DL_FOREACH_SAFE (s->all, r, next) {
                if (r->loaded)
                        reload_end(s, r, &(Answer){ 0 });
        }
}

static void reload_on_fence(Fence *f, int error, void *userdata)
{
        Reloads *s = userdata;
        Book *book = s->context.book;

        book->fence_busy = false;
        if (error < 0)
                warnings_add(s->context.warnings, WARNING_FENCE,
                             "the fence could not be changed: %s; `cdmctl status` shows its state; `cdmctl "
                             "reload` "
                             "tries again",
                             strerror(-error));
        reload_tell_fence(s, error);
        if (fence_enabled_cpuset(f))
                warnings_add(
                        s->context.warnings, WARNING_CPUSET_ENABLED,
                        "the cpuset controller had to be enabled on a running system, which can reset CPU "
                        "affinities that services had set for themselves; restart such services");
        notify_tell(book->core->notify, &(Notice){ .kind = NOTICE_FENCE_STATE });
        /* Answer first: the listener may start the next load, for callers that must wait for the next
         * fence. */
        reload_answer_loaded(s);
        s->listener.fence_settled(true, s->userdata);
}

void reloads_fence(Reloads *s)
{
        Book *book = s->context.book;
        int r;

        bool wanted = book->config->mode == FENCE_MODE_ENFORCE && pool_set_needs_fence(book->pools);
        /* Without CDM nodes there is nothing to do, unless an older configuration has left a fence. */
        if (!pool_set_needs_fence(book->pools) && !fence_is_there(s->context.fence)) {
                reload_answer_loaded(s);
                s->listener.fence_settled(false, s->userdata);
                return;
        }
        notify_tell(book->core->notify, &(Notice){ .kind = NOTICE_FENCE_BEGINS, .wanted = wanted });
        book->fence_busy = true;
        (void)sd_notifyf(0, "STATUS=%s the fence.", wanted ? "Closing" : "Lifting");
        if (wanted)
                r = fence_close(s->context.fence, book->config, book->pools, reload_on_fence, s);
        else
                r = fence_lift(s->context.fence, book->pools, reload_on_fence, s);
        if (r < 0)
                reload_on_fence(s->context.fence, r, s);
}

static void reload_refuse_pending(Reloads *s, const char *error)
{
        Book *book = s->context.book;
        Event e = { .kind = EVENT_RELOAD_FAILED, .reason = error };
        Answer a = { CDM_ERROR_BAD_CONFIG, error };
        Reload *r, *next;

        event_emit(book->core->notify, &e, "the new configuration was refused; the one in force stays:\n%s",
                   error);
        DL_FOREACH_SAFE (s->all, r, next) {
                if (!r->loaded && r->read)
                        reload_end(s, r, &a);
        }
}

static void reload_load_fail(Reloads *s, int r, const char *error)
{
        s->load = reload_load_free(s->load);
        reload_refuse_pending(s, error && *error ? error : strerror(-r));
}

static void reload_on_config(int result, ReloadResult *read, void *userdata)
{
        Reloads *s = userdata;
        Names *names = s->context.book->core->names;
        Load *l = s->load;

        l->reading = NULL;
        l->config = TAKE_PTR(read->config);
        l->warnings = TAKE_PTR(read->warnings);
        names_forget(names);
        if (result >= 0)
                result = rule_names_new(names, s->context.book->core->event, l->config, reload_on_names, s,
                                        &l->names);
        if (result < 0)
                reload_load_fail(s, result, read->error);
        reloads_serve(s);
}

static void reload_on_nodes(int result, ReloadResult *read, void *userdata)
{
        Reloads *s = userdata;
        Load *l = s->load;

        l->reading = NULL;
        if (!l->nodes_changed) {
                l->topology = TAKE_PTR(read->topology);
                if (result < 0)
                        reload_load_fail(s, result, read->error);
        }
        reloads_serve(s);
}

static int reload_begin_reading(Reloads *s, ReloadPart part, reload_read_done_t done)
{
        const Core *core = s->context.book->core;

        return reload_reading_new(core->reader, core->root, part, done, s, &s->load->reading);
}

/* One load serves all reloads that are waiting now. */
static int reload_load_begin(Reloads *s)
{
        Reload *i;

        DL_FOREACH (s->all, i)
                i->read = true;
        s->load = calloc(1, sizeof(*s->load));
        return s->load ? reload_begin_reading(s, RELOAD_CONFIG, reload_on_config) : -ENOMEM;
}

static int reload_load_finish(Reloads *s, char **ret_error)
{
        _cleanup_(adoption_clear) Adoption f = { 0 };
        _cleanup_free_ char *names = NULL;
        Load *l = s->load;

        f.config = TAKE_PTR(l->config);
        f.warnings = TAKE_PTR(l->warnings);
        f.topology = TAKE_PTR(l->topology);
        int r = pool_set_resolve(f.topology, (const PoolConfig *const *)f.config->pools, f.config->n_pools,
                                 &f.pools, ret_error);
        if (r >= 0)
                r = reload_resolve_names(f.config, l->names, &names);
        if (r >= 0)
                r = reloads_adopt(s, &f);
        if (r < 0)
                return r;
        rule_names_free(s->rule_names);
        s->rule_names = TAKE_PTR(l->names);
        reload_warn_of_names(s, TAKE_PTR(names));
        s->load = reload_load_free(l);
        return 0;
}

/* 1: the new configuration is in force; 0: something is being read or looked up. */
static int reload_load_step(Reloads *s, char **ret_error)
{
        Load *l = s->load;

        if (!l)
                return reload_load_begin(s);
        if (l->reading || !rule_names_is_ready(l->names))
                return 0;
        if (!l->topology) {
                l->nodes_changed = false;
                return reload_begin_reading(s, RELOAD_NODES, reload_on_nodes);
        }
        int r = reload_load_finish(s, ret_error);
        return r < 0 ? r : 1;
}

void reloads_nodes_changed(Reloads *s)
{
        Load *l = s->load;

        if (!l)
                return;
        l->nodes_changed = true;
        l->topology = topology_free(l->topology);
}

static void reload_tell(Reloads *s)
{
        Book *book = s->context.book;
        Event e = { .kind = EVENT_RELOADED };
        Reload *i;

        DL_FOREACH (s->all, i)
                i->loaded = i->loaded || i->read;
        event_emit(book->core->notify, &e, "the configuration was read again: %zu %s, %zu %s",
                   book->pools->n_pools, book->pools->n_pools == 1 ? "pool" : "pools", book->config->n_rules,
                   book->config->n_rules == 1 ? "rule" : "rules");
        notify_tell(book->core->notify, &(Notice){ .kind = NOTICE_MODE });
        node_drains_judge(s->context.node_drains);
        reloads_fence(s);
}

void reloads_serve(Reloads *s)
{
        Book *book = s->context.book;

        while (!book->fence_busy && book->serving && (s->load || s->all)) {
                _cleanup_free_ char *error = NULL;
                int r = reload_load_step(s, &error);

                if (r == 0)
                        return;
                if (r < 0)
                        reload_load_fail(s, r, error);
                else
                        reload_tell(s);
        }
}

void reloads_add(Reloads *s, answer_done_t done, void *userdata)
{
        Reload *r = calloc(1, sizeof(*r));

        if (!r) {
                log_error("out of memory: the configuration is not read again");
                if (done)
                        done(&(Answer){ SD_BUS_ERROR_NO_MEMORY, strerror(ENOMEM) }, userdata);
                return;
        }
        r->done = done;
        r->userdata = userdata;
        DL_APPEND(s->all, r);
        reloads_serve(s);
}

void reloads_listen(Reloads *s, const ReloadListener *listener, void *userdata)
{
        s->listener = *listener;
        s->userdata = userdata;
}

bool reloads_names_are_ready(const Reloads *s)
{
        return rule_names_is_ready(s->rule_names);
}

int reloads_new(const ReloadContext *context, Reloads **ret)
{
        Reloads *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->context = *context;
        *ret = s;
        return 0;
}

Reloads *reloads_free(Reloads *s)
{
        Reload *r, *next;

        if (!s)
                return NULL;
        reload_load_free(s->load);
        rule_names_free(s->rule_names);
        free(s->name_warnings);
        DL_FOREACH_SAFE (s->all, r, next) {
                DL_DELETE(s->all, r);
                free(r);
        }
        free(s);
        return NULL;
}
