/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Drift: the kernel's state is no longer what cdmd decided. It is noticed by
 *
 *   a write to some cpuset.mems (watch.c)         that cgroup is looked at
 *   systemd's signal Reloading (reload, reexec)   everything is
 *   a change of the fence's drop-ins (inotify)    they are, when systemd does not write them itself just now
 *   events that were lost                         everything is
 *
 * Who wrote is never asked, what is there is compared with what shall be there: so cdmd's own writes, and
 * systemd's echo of them, are no drift. A look at one cgroup reads one or two files of it, and is
 * leaf-reader.c's. Everything is looked at once at a time; a reload that comes meanwhile makes it happen once
 * more. Both are read on a worker; what was read of everything is judged in slices. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "daemon/fence/fence-scan.h"
#include "daemon/kernel/cgroup-watch.h"
#include "daemon/kernel/cgroup.h"
#include "daemon/loop/log.h"
#include "daemon/loop/slice.h"
#include "daemon/pid1/fence-files.h"
#include "daemon/pid1/unit.h"
#include "daemon/tenant/manager.h"
#include "policy/cdm-names.h"
#include "policy/warning.h"

/* Reloads come in bursts: a package manager makes one for each package. */
#define LOOK_SOON_USEC     (UINT64_C(200) * 1000)
#define LOOK_ACCURACY_USEC (UINT64_C(50) * 1000)
/* Where not all is watched. */
#define RECHECK_USEC   (UINT64_C(60) * 1000 * 1000)

#define LEAVES_A_SLICE 64

#define DROP_INS_KEY   "drop-ins of the fence"

/* --- ONE LEAF ----------------------------------------------------------------------------------------- */

static const char *key_of(const FenceLeaf *leaf)
{
        return leaf->unit_path ? leaf->unit_path : leaf->path;
}

/* NULL: it has no reservation. */
static const char *tenant_of(Manager *m, const FenceLeaf *leaf)
{
        if (leaf->unit && ledger_tenant_count(m->ledger, leaf->unit) > 0)
                return leaf->unit;
        return ledger_tenant_count(m->ledger, key_of(leaf)) > 0 ? key_of(leaf) : NULL;
}

/* An open leaf is drained, narrowed, and systemd is told, unless that is a fight. */
static void look_at_leaf(Manager *m, const FenceLeaf *leaf)
{
        _cleanup_free_ char *reason = NULL;
        NodeSet open = fence_leaf_open(leaf, m->config, m->pools, m->ledger);
        int r;

        if (!nodeset_is_empty(&open))
                reason = manager_drift_reason(m, leaf->unit, &leaf->mems);
        if (!nodeset_is_empty(&open) && !reason)
                return;
        if (manager_place_look(m, PLACE_LEAF, key_of(leaf), reason) != FIGHT_REPAIR)
                return;
        r = fence_check(m->fence, key_of(leaf), manager_monotonic_usec(), false);
        if (r < 0) {
                log_error("cannot close %s: %s; `cdmctl reload` tries again", key_of(leaf), strerror(-r));
                manager_place_failed(m, key_of(leaf));
        }
}

/* Has a unit CDM nodes that it has not reserved, and of which its own set says nothing? */
static bool is_opened_above(Manager *m, const FenceLeaf *leaf)
{
        NodeSet open = fence_leaf_open(leaf, m->config, m->pools, m->ledger);

        return leaf->unit && leaf->has_cpuset && !nodeset_is_empty(&leaf->mems) &&
               !nodeset_is_subset(&open, &leaf->mems);
}

static void check_leaf(Manager *m, const char *path)
{
        int r = fence_check(m->fence, path, manager_monotonic_usec(), false);

        if (r < 0)
                log_error("cannot look at %s: %s; `cdmctl reload` looks at all control groups", path,
                          strerror(-r));
}

/* What has a reservation is looked at within its tenant's turn. */
static bool look_as_tenant(Manager *m, const FenceLeaf *leaf)
{
        const char *tenant = tenant_of(m, leaf);

        if (tenant) {
                manager_place_forget(m, key_of(leaf));
                manager_drift_tenant(m, tenant);
        }
        return tenant;
}

static void judge_reading(Manager *m, LeafReading *reading)
{
        FenceLeaf *leaf = &reading->leaf;

        if (reading->error == -ENOMEM)
                log_error("cannot look at %s: %s; `cdmctl reload` looks at all control groups", leaf->path,
                          strerror(ENOMEM));
        if (reading->error < 0) {
                manager_place_forget(m, key_of(leaf));
                return;
        }
        if (!leaf->has_cpuset) {
                manager_drift_look(m);
                return;
        }
        if (is_opened_above(m, leaf)) {
                manager_drift_above(m, key_of(leaf));
                return;
        }
        if (!leaf->unit)
                leaf->promised = foreign_nodes(m->foreign, leaf->path);
        if (!look_as_tenant(m, leaf))
                look_at_leaf(m, leaf);
}

static void on_leaf_read(LeafReading *reading, void *userdata)
{
        const char *path = reading->leaf.path;
        Manager *m = userdata;

        /* It shows what has been repaired meanwhile. */
        if (reading->usec <= manager_place_repaired_usec(m, key_of(&reading->leaf))) {
                manager_drift_leaf(m, path, reading->check);
                return;
        }
        if (manager_drift_can_look(m))
                judge_reading(m, reading);
        if (reading->check && (reading->error < 0 || reading->leaf.has_cpuset))
                check_leaf(m, path);
}

/* Does its name say that nothing is to be read of it? */
static bool is_known_by_name(Manager *m, const char *path)
{
        _cleanup_(fence_leaf_clear) FenceLeaf leaf = { .path = strdup(path) };

        if (!leaf.path || fence_leaf_name(&leaf) < 0)
                return false;
        if (!fence_leaf_is_slice(&leaf))
                return false;
        manager_drift_slice(m, path);
        return true;
}

void manager_drift_leaf(Manager *m, const char *path, bool check)
{
        int r = 0;

        if (manager_drift_can_look(m) && !is_known_by_name(m, path)) {
                if (!m->leaf_reader)
                        r = leaf_reader_new(m->worker, on_leaf_read, m, &m->leaf_reader);
                if (r >= 0)
                        r = leaf_reader_add(m->leaf_reader, path, check);
                if (r >= 0)
                        return;
                log_debug("cannot look at %s alone (%s), looking at all control groups", path, strerror(-r));
                manager_drift_look(m);
        }
        if (check)
                check_leaf(m, path);
}

/* --- EVERYTHING --------------------------------------------------------------------------------------- */

/* It outlives the Manager when that ends during the job: then manager is NULL. */
struct LeafLook {
        Manager *manager;
        Job *job;     /* reads */
        Slice *slice; /* judges what was read */
        NodeSet cdm;
        FenceScan scan;
        size_t next;     /* leaf */
        FenceNames open; /* cgroups */
        FenceNames off;  /* where the controller is off, each with what is open by that */
};

static int run_look(Job *job, void *userdata)
{
        LeafLook *l = userdata;

        return fence_scan_read(&l->cdm, false, &l->scan);
}

static NodeSet open_nodes(Manager *m, const FenceLeaf *leaf)
{
        NodeSet open = fence_leaf_open(leaf, m->config, m->pools, m->ledger);

        if (!leaf->unit) {
                NodeSet promised = foreign_nodes(m->foreign, leaf->path);
                open = nodeset_subtract(&open, &promised);
        }
        return open;
}

/* Is one of those that the fence could not close not open any more? Then it is not as leaky as it says. Nor
 * is it when systemd only did not answer. */
static bool is_tighter(LeafLook *l)
{
        Manager *m = l->manager;
        size_t n;
        const Unfenced *u = fence_unfenced(m->fence, &n);

        if (fence_is_untold(m->fence))
                return true;
        for (size_t i = 0; i < n; i++)
                if (u[i].cgroup[1] && !fence_names_has(&l->open, u[i].cgroup))
                        return true;
        return false;
}

/* What it shows may be old by now, so whatever looks wrong is looked at again. */
static void judge_leaf(LeafLook *l, const FenceLeaf *leaf)
{
        Manager *m = l->manager;
        const char *tenant = tenant_of(m, leaf);
        NodeSet open = open_nodes(m, leaf), missing;

        if (!nodeset_is_empty(&open) && fence_names_add(&l->open, leaf->path, NULL) < 0)
                log_error("cannot note that %s is open: %s", leaf->path, strerror(ENOMEM));
        if (leaf->off && !nodeset_is_empty(&open)) {
                (void)fence_names_add(&l->off, leaf->off, &open);
                return;
        }
        if (is_opened_above(m, leaf)) {
                manager_drift_above(m, key_of(leaf));
                return;
        }
        if (tenant && leaf->unit_path && strcmp(leaf->path, leaf->unit_path) != 0)
                return;
        missing = fence_leaf_reserved(leaf, m->ledger);
        missing = nodeset_subtract(&missing, &leaf->mems);
        if (tenant && (!nodeset_is_empty(&missing) || !nodeset_is_empty(&open)))
                manager_drift_tenant(m, tenant);
        else if (!tenant && !nodeset_is_empty(&open) && leaf->has_cpuset)
                manager_drift_leaf(m, leaf->path, false);
}

static int drift_on_recheck(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;

        m->recheck = sd_event_source_disable_unref(m->recheck);
        manager_drift_look(m);
        return 0;
}

/* After everything was looked at: when to do so again, if ever. */
static void drift_recheck_later(Manager *m)
{
        bool leaky = fence_state(m->fence) == FENCE_LEAKY;

        if (m->recheck || !m->watch_wanted || (m->watch && !watch_is_incomplete(m->watch) && !leaky))
                return;
        if (m->watch && watch_is_incomplete(m->watch))
                manager_warn(m, WARNING_CGROUPS_UNWATCHED,
                             "there are too many control groups to watch them all; those that are not "
                             "watched are looked at every minute; more inotify watches (`sysctl "
                             "fs.inotify.max_user_watches`) may help");
        int r = sd_event_add_time_relative(m->event, &m->recheck, CLOCK_MONOTONIC, RECHECK_USEC,
                                           RECHECK_USEC / 4, drift_on_recheck, m);
        if (r < 0)
                log_error("cannot set a timer to look at all control groups: %s", strerror(-r));
}

static void leaf_look_free(LeafLook *l)
{
        slice_free(l->slice);
        fence_scan_clear(&l->scan);
        fence_names_clear(&l->open);
        fence_names_clear(&l->off);
        free(l);
}

static void leaf_look_end(LeafLook *l)
{
        Manager *m = l->manager;

        leaf_look_free(l);
        m->leaf_look = NULL;
        if (m->look_wanted)
                manager_drift_look(m);
        else
                drift_recheck_later(m);
}

static void leaf_look_on_slice(void *userdata)
{
        LeafLook *l = userdata;
        Manager *m = l->manager;

        if (!manager_drift_can_look(m)) {
                m->look_wanted = true;
                leaf_look_end(l);
                return;
        }
        for (size_t n = 0; l->next < l->scan.n_leaves && n < LEAVES_A_SLICE; n++) {
                judge_leaf(l, &l->scan.leaves[l->next]);
                fence_leaf_clear(&l->scan.leaves[l->next++]);
        }
        if (l->next < l->scan.n_leaves)
                return;
        if (manager_drift_off(m, &l->off) || is_tighter(l))
                manager_fence(m);
        leaf_look_end(l);
}

static void look_done(int result, void *userdata)
{
        LeafLook *l = userdata;
        Manager *m = l->manager;

        l->job = NULL;
        if (!m) {
                leaf_look_free(l);
                return;
        }
        if (result >= 0)
                result = slice_new(m->event, leaf_look_on_slice, l, &l->slice);
        if (result >= 0) {
                slice_set(l->slice, true);
                return;
        }
        log_error("cannot look at all control groups: %s; `cdmctl reload` tries again", strerror(-result));
        leaf_look_end(l);
}

static int look_start(Manager *m)
{
        LeafLook *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        *l = (LeafLook){ .manager = m, .cdm = m->pools->cdm };
        int r = worker_submit(m->worker, run_look, look_done, NULL, l, &l->job);
        if (r < 0) {
                free(l);
                return r;
        }
        m->leaf_look = l;
        return 0;
}

static int on_look_soon(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;

        m->look_soon = sd_event_source_disable_unref(m->look_soon);
        if (m->leaf_look || m->systemd_reloading || !manager_drift_can_look(m)) {
                m->look_wanted = true;
                return 0;
        }
        m->look_wanted = false;
        manager_drift_drop_ins(m);
        int r = look_start(m);
        if (r < 0)
                log_error("cannot look at all control groups: %s; `cdmctl reload` tries again",
                          strerror(-r));
        return 0;
}

void manager_drift_look(Manager *m)
{
        int r;

        m->look_wanted = true;
        if (m->look_soon || m->leaf_look || !manager_drift_can_look(m) || m->systemd_reloading)
                return;
        r = sd_event_add_time_relative(m->event, &m->look_soon, CLOCK_MONOTONIC, LOOK_SOON_USEC,
                                       LOOK_ACCURACY_USEC, on_look_soon, m);
        if (r < 0)
                log_error("cannot set a timer: %s; `cdmctl reload` looks at all control groups",
                          strerror(-r));
}

void manager_drift_systemd(Manager *m, const char *state)
{
        m->systemd_reloading = strcmp(state, "reloading") == 0;
        if (m->systemd_reloading)
                return;
        /* What was asked meanwhile may have been lost with a daemon-reexec, and this looks at it all. */
        m->drop_ins_asked = unit_call_free(m->drop_ins_asked);
        m->drop_ins_missed = false;
        manager_drift_look(m);
}

/* --- DROP-INS ----------------------------------------------------------------------------------------- */

static bool is_present(Manager *m, const char *dir)
{
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s%s", m->root, dir) < 0) {
                path = NULL;
                return true;
        }
        return fence_files_present(path, m->config, m->pools);
}

static int on_drop_ins(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
        manager_drift_drop_ins(userdata);
        return 0;
}

static void unwatch_drop_ins(Manager *m)
{
        for (size_t i = 0; i < ARRAY_SIZE(m->drop_ins); i++)
                m->drop_ins[i] = sd_event_source_disable_unref(m->drop_ins[i]);
}

/* The generator's folders are new ones after each reload, so this is done again. */
static void watch_drop_ins(Manager *m)
{
        static const char *const types[] = { "service.d", "scope.d", "socket.d",
                                             "mount.d",   "swap.d",  "slice.d" };
        static const char *const dirs[] = { "/run/systemd/system", "/run/systemd/generator",
                                            CDM_DIR_DECIDED };
        size_t n = 0;

        unwatch_drop_ins(m);
        for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
                for (size_t k = 0; k < ARRAY_SIZE(types) && n < ARRAY_SIZE(m->drop_ins); k++) {
                        _cleanup_free_ char *path = NULL;

                        if (asprintf(&path, "%s%s/%s", m->root, dirs[i], types[k]) < 0) {
                                path = NULL;
                                return;
                        }
                        if (sd_event_add_inotify(m->event, &m->drop_ins[n], path,
                                                 IN_CLOSE_WRITE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                                                         IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR,
                                                 on_drop_ins, m) >= 0)
                                n++;
                }
}

static bool drop_ins_are_there(Manager *m)
{
        return (is_present(m, "/run/systemd/generator") || is_present(m, "/run/systemd/system")) &&
               is_present(m, CDM_DIR_DECIDED);
}

static void judge_drop_ins(Manager *m, bool there)
{
        const char *reason = there ? NULL : "files of cdmd below /run were removed or changed";
        Event e = { .kind = EVENT_DRIFT, .reason = reason };

        if (manager_place_look(m, PLACE_DROPINS, DROP_INS_KEY, reason) != FIGHT_REPAIR)
                return;
        m->n_drift_repaired++;
        event_emit(m->notify, &e, "the %s are written again: %s", DROP_INS_KEY, reason);
        manager_fence(m);
}

/* After an answer it may have begun to reload: so what is missing then has to be missing after the next
 * answer as well, which it does not give before it has ended. */
static void on_systemd_quiet(int error, const char *message, void *userdata)
{
        Manager *m = userdata;
        bool missed = m->drop_ins_missed;

        m->drop_ins_asked = unit_call_free(m->drop_ins_asked);
        m->drop_ins_missed = false;
        if (m->systemd_reloading || !manager_drift_can_look(m))
                return;
        /* Before they are read: what changes after that is told. */
        watch_drop_ins(m);
        bool there = drop_ins_are_there(m);
        if (there || missed) {
                judge_drop_ins(m, there);
                return;
        }
        m->drop_ins_missed = true;
        manager_drift_drop_ins(m);
}

/* systemd itself removes the generator's files, and makes them again, while it reloads; it answers nobody
 * meanwhile. */
void manager_drift_drop_ins(Manager *m)
{
        if (m->drop_ins_asked || !manager_drift_can_look(m))
                return;
        int r = unit_ping(m->gate, on_systemd_quiet, m, &m->drop_ins_asked);
        if (r < 0)
                log_error("cannot look at the %s: %s; `cdmctl reload` looks", DROP_INS_KEY, strerror(-r));
}

void manager_drift_settled(Manager *m)
{
        if (!manager_drift_is_fenced(m))
                return;
        if (m->look_wanted)
                manager_drift_look(m);
        else {
                watch_drop_ins(m);
                drift_recheck_later(m);
        }
}

void manager_drift_free(Manager *m)
{
        unwatch_drop_ins(m);
        m->drop_ins_asked = unit_call_free(m->drop_ins_asked);
        m->look_soon = sd_event_source_disable_unref(m->look_soon);
        if (m->leaf_look && m->leaf_look->job) {
                m->leaf_look->manager = NULL;
                job_cancel(m->leaf_look->job);
        } else if (m->leaf_look) {
                leaf_look_free(m->leaf_look);
        }
        m->leaf_look = NULL;
        m->leaf_reader = leaf_reader_free(m->leaf_reader);
        manager_tenant_looks_free(m);
        manager_slice_looks_free(m);
        manager_places_free(m);
}
