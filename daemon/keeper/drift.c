/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Drift: the kernel's state is no longer what cdmd decided. These events trigger a check:
 *
 *   a write to a cpuset.mems (cgroup-watch.c)     of that cgroup
 *   systemd's signal Reloading (reload, reexec)   of everything
 *   a change of the fence's drop-ins (inotify)    of the drop-ins, once systemd is not writing them itself
 *   lost events                                   of everything
 *
 * A check does not ask which program wrote. It compares the actual nodes with the desired nodes, so cdmd's
 * own writes, and systemd's repetition of them, are no drift. A check of one cgroup reads one or two of its
 * files (leaf-reader.c). Only one check of everything runs at a time; a reload during the check triggers one
 * more. A worker reads the files of both kinds of check; the results of a check of everything are judged in
 * slices. */

#include "daemon/keeper/drift.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/fence/fence-names.h"
#include "daemon/fence/fence-scan.h"
#include "daemon/fence/leaf-reader.h"
#include "daemon/fence/subtenant-settle.h"
#include "daemon/keeper/drift-reason.h"
#include "daemon/keeper/drift-slice.h"
#include "daemon/keeper/drift-tenant.h"
#include "daemon/keeper/drop-in-watch.h"
#include "daemon/keeper/fights.h"
#include "daemon/keeper/reload.h"
#include "daemon/kernel/cgroup-watch.h"
#include "daemon/loop/clock.h"
#include "daemon/loop/log.h"
#include "daemon/loop/slice.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/warnings.h"
#include "policy/warning.h"

/* Reloads come in bursts: a package manager makes one for each package. */
#define LOOK_SOON_USEC     (UINT64_C(200) * 1000)
#define LOOK_ACCURACY_USEC (UINT64_C(50) * 1000)
/* Interval between checks of everything while some cgroups are not watched. */
#define RECHECK_USEC   (UINT64_C(60) * 1000 * 1000)

#define LEAVES_A_SLICE 64

typedef struct LeafLook LeafLook;

struct Drift {
        DriftContext context;
        Fights *fights;
        TenantLooks *tenants;
        SliceLooks *slices;
        DropInWatch *drop_ins;
        sd_event_source *soon;   /* timer for a check of everything */
        LeafLook *look;          /* the check of everything that is running */
        LeafReader *leaf_reader; /* NULL: no event for a cgroup yet */
        bool wanted;             /* a check of everything, once that is possible again */
        bool systemd_reloading;
        /* the tree */
        bool watch_wanted;
        const Watch *watch;
        sd_event_source *recheck; /* timer, if not everything is watched */
};

Fights *drift_fights(Drift *d)
{
        return d->fights;
}

const DriftContext *drift_context(const Drift *d)
{
        return &d->context;
}

/* False: a check of everything follows once that is possible. */
static bool drift_can_look_now(Drift *d)
{
        if (drift_can_look(d->context.book))
                return true;
        d->wanted = true;
        return false;
}

/* --- ONE LEAF ----------------------------------------------------------------------------------------- */

static const char *drift_key_of(const FenceLeaf *leaf)
{
        return leaf->unit_path ? leaf->unit_path : leaf->path;
}

/* NULL: the leaf has no reservation. */
static const char *drift_tenant_of(Book *book, const FenceLeaf *leaf)
{
        if (leaf->unit && ledger_tenant_count(book->ledger, leaf->unit) > 0)
                return leaf->unit;
        return ledger_tenant_count(book->ledger, drift_key_of(leaf)) > 0 ? drift_key_of(leaf) : NULL;
}

/* Closes an open leaf through fence_check(), unless the leaf is fought over. */
static void drift_judge_untenanted(Drift *d, const FenceLeaf *leaf)
{
        Book *book = d->context.book;
        _cleanup_free_ char *reason = NULL;
        NodeSet open = fence_leaf_open(leaf, book->config, book->pools, book->ledger);
        int r;

        /* The set of a unit with subtenants follows theirs, and is no drift until it has settled. */
        if (!nodeset_is_empty(&open) && leaf->unit && subtenant_is_settling(leaf->unit)) {
                drift_look(d);
                return;
        }
        if (!nodeset_is_empty(&open))
                reason = drift_reason(book, leaf->unit, &leaf->mems);
        if (!nodeset_is_empty(&open) && !reason)
                return;
        if (fights_judge(d->fights, PLACE_LEAF, drift_key_of(leaf), reason) != FIGHT_REPAIR)
                return;
        r = fence_check(d->context.fence, drift_key_of(leaf), clock_monotonic_usec(), false);
        if (r < 0) {
                log_error("cannot close %s: %s; `cdmctl reload` tries again", drift_key_of(leaf),
                          strerror(-r));
                fights_note_failed(d->fights, drift_key_of(leaf));
        }
}

/* True if a unit has CDM nodes that it has not reserved and that are not in its own set either. */
static bool drift_is_opened_above(Book *book, const FenceLeaf *leaf)
{
        NodeSet open = fence_leaf_open(leaf, book->config, book->pools, book->ledger);

        return leaf->unit && leaf->has_cpuset && !nodeset_is_empty(&leaf->mems) &&
               !nodeset_is_subset(&open, &leaf->mems);
}

static void drift_check_leaf(Drift *d, const char *path)
{
        int r = fence_check(d->context.fence, path, clock_monotonic_usec(), false);

        if (r < 0)
                log_error("cannot check %s: %s; `cdmctl reload` checks all control groups", path,
                          strerror(-r));
}

/* A leaf with a reservation is checked within its tenant's turn. False: it has no reservation. */
static bool drift_look_as_tenant(Drift *d, const FenceLeaf *leaf)
{
        const char *tenant = drift_tenant_of(d->context.book, leaf);

        if (tenant) {
                fights_forget(d->fights, drift_key_of(leaf));
                tenant_looks_add(d->tenants, tenant);
        }
        return tenant;
}

static void drift_judge_reading(Drift *d, LeafReading *reading)
{
        Book *book = d->context.book;
        FenceLeaf *leaf = &reading->leaf;

        if (reading->error == -ENOMEM)
                log_error("cannot check %s: %s; `cdmctl reload` checks all control groups", leaf->path,
                          strerror(ENOMEM));
        if (reading->error < 0) {
                fights_forget(d->fights, drift_key_of(leaf));
                return;
        }
        if (!leaf->has_cpuset) {
                drift_look(d);
                return;
        }
        if (drift_is_opened_above(book, leaf)) {
                slice_looks_above(d->slices, drift_key_of(leaf));
                return;
        }
        if (!leaf->unit)
                leaf->promised = foreign_nodes(d->context.foreign, leaf->path);
        if (!drift_look_as_tenant(d, leaf))
                drift_judge_untenanted(d, leaf);
}

static void drift_on_leaf_read(LeafReading *reading, void *userdata)
{
        const char *path = reading->leaf.path;
        Drift *d = userdata;

        /* The reading is older than the last repair: read again. */
        if (reading->usec <= fights_repaired_usec(d->fights, drift_key_of(&reading->leaf))) {
                drift_leaf(d, path, reading->check);
                return;
        }
        if (drift_can_look_now(d))
                drift_judge_reading(d, reading);
        if (reading->check && (reading->error < 0 || reading->leaf.has_cpuset))
                drift_check_leaf(d, path);
}

/* If the name shows that the cgroup is a slice, requests a check of the slice (drift-slice.c) and returns
 * true. */
static bool drift_is_known_by_name(Drift *d, const char *path)
{
        _cleanup_(fence_leaf_clear) FenceLeaf leaf = { .path = strdup(path) };

        if (!leaf.path || fence_leaf_name(&leaf) < 0)
                return false;
        if (!fence_leaf_is_slice(&leaf))
                return false;
        slice_looks_add(d->slices, path);
        return true;
}

void drift_leaf(Drift *d, const char *path, bool check)
{
        int r = 0;

        if (drift_can_look_now(d) && !drift_is_known_by_name(d, path)) {
                if (!d->leaf_reader)
                        r = leaf_reader_new(d->context.book->core->worker, drift_on_leaf_read, d,
                                            &d->leaf_reader);
                if (r >= 0)
                        r = leaf_reader_add(d->leaf_reader, path, check);
                if (r >= 0)
                        return;
                log_debug("cannot check %s alone (%s), checking all control groups", path, strerror(-r));
                drift_look(d);
        }
        if (check)
                drift_check_leaf(d, path);
}

/* --- EVERYTHING --------------------------------------------------------------------------------------- */

/* It outlives the Drift if that is freed during the job; drift is NULL then. */
struct LeafLook {
        Drift *drift;
        Job *job;     /* reads */
        Slice *slice; /* judges the leaves that were read */
        NodeSet cdm;
        FenceScan scan;
        size_t next;     /* leaf to judge */
        FenceNames open; /* cgroups */
        FenceNames off;  /* where the controller is off, each with the nodes that are open as a result */
};

static int leaf_look_run(Job *job, void *userdata)
{
        LeafLook *l = userdata;

        return fence_scan_read(&l->cdm, false, &l->scan);
}

static NodeSet leaf_look_open_nodes(Drift *d, const FenceLeaf *leaf)
{
        Book *book = d->context.book;
        NodeSet open = fence_leaf_open(leaf, book->config, book->pools, book->ledger);

        if (!leaf->unit) {
                NodeSet promised = foreign_nodes(d->context.foreign, leaf->path);
                open = nodeset_subtract(&open, &promised);
        }
        return open;
}

/* True if closing the fence again may make it tighter: a cgroup that the fence could not close is not open
 * any more, or the failure was transient, as when systemd was too busy. */
static bool leaf_look_is_tighter(LeafLook *l)
{
        const Drift *d = l->drift;
        size_t n;
        const Unfenced *u = fence_unfenced(d->context.fence, &n);

        if (fence_is_untold(d->context.fence))
                return true;
        for (size_t i = 0; i < n; i++)
                if (u[i].cgroup[1] && !fence_names_has(&l->open, u[i].cgroup))
                        return true;
        return false;
}

/* The scan may be outdated by now, so a leaf that seems wrong is read again before it is repaired. */
static void leaf_look_judge(LeafLook *l, const FenceLeaf *leaf)
{
        Drift *d = l->drift;
        Book *book = d->context.book;
        const char *tenant = drift_tenant_of(book, leaf);
        NodeSet open = leaf_look_open_nodes(d, leaf), missing;

        if (!nodeset_is_empty(&open) && fence_names_add(&l->open, leaf->path, NULL) < 0)
                log_error("cannot note that %s is open: %s", leaf->path, strerror(ENOMEM));
        if (leaf->off && !nodeset_is_empty(&open)) {
                (void)fence_names_add(&l->off, leaf->off, &open);
                return;
        }
        if (drift_is_opened_above(book, leaf)) {
                slice_looks_above(d->slices, drift_key_of(leaf));
                return;
        }
        missing = fence_leaf_reserved(leaf, book->ledger);
        missing = nodeset_subtract(&missing, &leaf->mems);
        if (tenant && (!nodeset_is_empty(&missing) || !nodeset_is_empty(&open)))
                tenant_looks_add(d->tenants, tenant);
        else if (!tenant && !nodeset_is_empty(&open) && leaf->has_cpuset)
                drift_leaf(d, drift_key_of(leaf), false);
}

static int drift_on_recheck(sd_event_source *source, uint64_t usec, void *userdata)
{
        Drift *d = userdata;

        d->recheck = sd_event_source_disable_unref(d->recheck);
        drift_look(d);
        return 0;
}

/* Called after a check of everything; sets the timer for the next one if some cgroups are not watched. */
static void drift_recheck_later(Drift *d)
{
        Book *book = d->context.book;
        bool leaky = fence_state(d->context.fence) == FENCE_LEAKY;

        if (d->recheck || !d->watch_wanted || (d->watch && !watch_is_incomplete(d->watch) && !leaky))
                return;
        if (d->watch && watch_is_incomplete(d->watch))
                warnings_add(d->context.warnings, WARNING_CGROUPS_UNWATCHED,
                             "there are too many control groups to watch them all; those that are not "
                             "watched are looked at every minute; more inotify watches (`sysctl "
                             "fs.inotify.max_user_watches`) may help");
        int r = sd_event_add_time_relative(book->core->event, &d->recheck, CLOCK_MONOTONIC, RECHECK_USEC,
                                           RECHECK_USEC / 4, drift_on_recheck, d);
        if (r < 0)
                log_error("cannot set a timer to check all control groups: %s", strerror(-r));
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
        Drift *d = l->drift;

        fence_scan_clear_later(&l->scan, d->context.book->core->worker);
        leaf_look_free(l);
        d->look = NULL;
        if (d->wanted)
                drift_look(d);
        else
                drift_recheck_later(d);
}

static void leaf_look_on_slice(void *userdata)
{
        LeafLook *l = userdata;
        Drift *d = l->drift;

        if (!drift_can_look_now(d)) {
                d->wanted = true;
                leaf_look_end(l);
                return;
        }
        for (size_t n = 0; l->next < l->scan.n_leaves && n < LEAVES_A_SLICE; n++)
                leaf_look_judge(l, &l->scan.leaves[l->next++]);
        if (l->next < l->scan.n_leaves)
                return;
        if (slice_looks_off(d->slices, &l->off) || leaf_look_is_tighter(l))
                reloads_fence(d->context.reloads);
        leaf_look_end(l);
}

static void leaf_look_done(int result, void *userdata)
{
        LeafLook *l = userdata;
        Drift *d = l->drift;

        l->job = NULL;
        if (!d) {
                leaf_look_free(l);
                return;
        }
        if (result >= 0)
                result = slice_new(d->context.book->core->event, leaf_look_on_slice, l, &l->slice);
        if (result >= 0) {
                slice_set(l->slice, true);
                return;
        }
        log_error("cannot check all control groups: %s; `cdmctl reload` tries again", strerror(-result));
        leaf_look_end(l);
}

static int leaf_look_start(Drift *d)
{
        LeafLook *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        *l = (LeafLook){ .drift = d, .cdm = d->context.book->pools->cdm };
        int r = worker_submit(d->context.book->core->worker, leaf_look_run, leaf_look_done, NULL, l,
                              &l->job);
        if (r < 0) {
                free(l);
                return r;
        }
        d->look = l;
        return 0;
}

static int drift_on_look_soon(sd_event_source *source, uint64_t usec, void *userdata)
{
        Drift *d = userdata;

        d->soon = sd_event_source_disable_unref(d->soon);
        if (d->look || d->systemd_reloading || !drift_can_look_now(d)) {
                d->wanted = true;
                return 0;
        }
        d->wanted = false;
        drop_in_watch_look(d->drop_ins);
        int r = leaf_look_start(d);
        if (r < 0)
                log_error("cannot check all control groups: %s; `cdmctl reload` tries again", strerror(-r));
        return 0;
}

void drift_look(Drift *d)
{
        int r;

        d->wanted = true;
        if (d->soon || d->look || !drift_can_look_now(d) || d->systemd_reloading)
                return;
        r = sd_event_add_time_relative(d->context.book->core->event, &d->soon, CLOCK_MONOTONIC,
                                       LOOK_SOON_USEC, LOOK_ACCURACY_USEC, drift_on_look_soon, d);
        if (r < 0)
                log_error("cannot set a timer: %s; `cdmctl reload` checks all control groups", strerror(-r));
}

void drift_systemd(Drift *d, const char *state)
{
        d->systemd_reloading = strcmp(state, "reloading") == 0;
        drop_in_watch_systemd(d->drop_ins, d->systemd_reloading);
        /* Calls to PID 1 may have been lost in a daemon-reexec; a check of everything replaces them. */
        if (!d->systemd_reloading)
                drift_look(d);
}

/* --- THE FENCE AND THE TREE --------------------------------------------------------------------------- */

void drift_settled(Drift *d)
{
        if (!drift_is_fenced(d->context.book))
                return;
        if (d->wanted)
                drift_look(d);
        else {
                drop_in_watch_start(d->drop_ins);
                drift_recheck_later(d);
        }
}

void drift_watched(Drift *d, bool wanted, const Watch *watch)
{
        d->watch_wanted = wanted;
        d->watch = watch;
        if (wanted)
                return;
        d->recheck = sd_event_source_disable_unref(d->recheck);
        fights_forget_fence(d->fights);
}

/* --- BEGINNING AND END -------------------------------------------------------------------------------- */

static void drift_on_look_wanted(void *userdata)
{
        drift_look(userdata);
}

static void drift_on_place(PlaceKind kind, const char *key, void *userdata)
{
        Drift *d = userdata;

        switch (kind) {
        case PLACE_TENANT:
                tenant_looks_add(d->tenants, key);
                break;
        case PLACE_LEAF:
                drift_leaf(d, key, false);
                break;
        case PLACE_CONTROLLERS:
                drift_look(d);
                break;
        case PLACE_DROPINS:
                drop_in_watch_look(d->drop_ins);
                break;
        }
}

void drift_slice(Drift *d, const char *path)
{
        slice_looks_add(d->slices, path);
}

int drift_new(const DriftContext *context, Drift **ret)
{
        _cleanup_(drift_free_p) Drift *d = calloc(1, sizeof(*d));

        if (!d)
                return -ENOMEM;
        d->context = *context;
        int r = fights_new(d->context.book, context->degrades, drift_on_place, d, &d->fights);
        if (r >= 0)
                r = tenant_looks_new(d->context.book, context->changes, d->fights, &d->tenants);
        if (r >= 0)
                r = slice_looks_new(d->context.book, context->fence, d->fights, drift_on_look_wanted, d,
                                    &d->slices);
        if (r >= 0)
                r = drop_in_watch_new(d->context.book, context->reloads, d->fights, drift_on_look_wanted, d,
                                      &d->drop_ins);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(d);
        return 0;
}

Drift *drift_free(Drift *d)
{
        if (!d)
                return NULL;
        drop_in_watch_free(d->drop_ins);
        sd_event_source_disable_unref(d->soon);
        sd_event_source_disable_unref(d->recheck);
        if (d->look && d->look->job) {
                d->look->drift = NULL;
                job_cancel(d->look->job);
        } else if (d->look) {
                leaf_look_free(d->look);
        }
        leaf_reader_free(d->leaf_reader);
        tenant_looks_free(d->tenants);
        slice_looks_free(d->slices);
        fights_free(d->fights);
        free(d);
        return NULL;
}
