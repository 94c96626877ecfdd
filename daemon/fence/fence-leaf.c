/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The steps for single leaves: drain and narrow intruders, write sets that systemd does not apply, and
 * notify systemd if its own set differs. Each change is computed and made within the turn of the unit, so
 * that no grant and no release of the unit comes in between. Tenants below the unit (Subtree=) have turns of
 * their own: subtenant_write_unit() adds their nodes as it writes. */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/fence/fence-internal.h"
#include "daemon/fence/subtenant.h"
#include "daemon/kernel/cgroup.h"
#include "daemon/kernel/drain.h"
#include "daemon/kernel/evict.h"
#include "daemon/kernel/owner.h"
#include "daemon/pid1/unit.h"
#include "policy/word.h"

/* --- DRAIN and NARROW --------------------------------------------------------------------------------- */

static uint64_t leaf_bytes_on(int fd, const NodeSet *nodes)
{
        uint64_t bytes;

        return cgroup_sum_numa(fd, nodes, numa_bytes_sum, &bytes) < 0 ? 0 : bytes;
}

static NodeSet leaf_mems_of(const char *path)
{
        NodeSet mems;
        int fd = cgroup_open(path, NULL), r = fd < 0 ? fd : cgroup_read_mems(fd, &mems);

        if (fd >= 0)
                close(fd);
        return r < 0 ? NODESET_EMPTY : mems;
}

static void leaf_narrow(const FenceDrain *d)
{
        NodeSet mems = leaf_mems_of(d->unit_path), kept = nodeset_intersect(&d->kept, &mems),
                target = nodeset_union(&d->target, &kept);

        if (d->foreign)
                foreign_note(d->foreign, d->path, d->id, &d->was, &target);
        if (d->enable)
                (void)cgroup_enable_cpuset_above(d->unit_path);
        (void)subtenant_write_unit(d->unit_path, &target);
}

void fence_drain_note(const Fence *f, const FenceLeaf *leaf, FenceDrain *d)
{
        if (!leaf->doubtful || !d->path || !d->unit_path || strcmp(d->path, d->unit_path) != 0)
                return;
        d->foreign = f->context.foreign;
        d->was = leaf->mems;
}

/* Pages are moved first, so that the narrowing write has little left to move. Page cache is evicted last,
 * when it cannot come back. A failure shows in the last reading. */
static int leaf_drain_and_narrow(Job *job, FenceDrain *d, int fd)
{
        int r = 0;

        if (!d->move) {
                d->before_bytes = leaf_bytes_on(fd, &d->from);
                r = drain_move_new(&d->from, &d->to, UINT64_MAX, false, d->bandwidth, &d->move);
        }
        if (r >= 0 && !d->narrowed)
                r = drain_move_run(d->move, fd, job);
        if (r == -ECANCELED || r == JOB_PAUSED)
                return r;
        if (!d->narrowed)
                leaf_narrow(d);
        d->narrowed = true;
        return evict_run(fd, &d->from, UINT64_MAX, job, &d->evict);
}

int fence_leaf_drain(Job *job, FenceDrain *d)
{
        uint64_t after, id;
        int fd, r;

        fd = cgroup_open(d->path, &id);
        if (fd < 0)
                return 0;
        if (id != d->id) {
                close(fd);
                return 0;
        }
        r = leaf_drain_and_narrow(job, d, fd);
        after = leaf_bytes_on(fd, &d->from);
        d->drained_bytes = d->before_bytes > after ? d->before_bytes - after : 0;
        close(fd);
        return r == -ECANCELED || r == JOB_PAUSED ? r : 0;
}

static int leaf_run_drain(Job *job, void *userdata)
{
        FenceJob *j = userdata;

        return fence_leaf_drain(job, &j->drain);
}

static int leaf_run_narrow(Job *job _unused_, void *userdata)
{
        FenceJob *j = userdata;

        leaf_narrow(&j->drain);
        return 0;
}

static void leaf_job_done(int result, void *userdata)
{
        FenceJob *j = userdata;
        Fence *f = fence_job_ended(j);

        if (f)
                f->drained_bytes += j->drain.drained_bytes;
        fence_job_free(j);
        if (!f)
                return;
        if (result < 0)
                f->step_ended(f, result);
        else if (f->phase == PHASE_DRAIN)
                fence_step_drain(f);
        else
                fence_step_narrow(f);
}

/* The name of the unit or slice whose cgroup is written to close the leaf. */
static const char *leaf_written_unit(const FenceLeaf *leaf)
{
        return leaf->way.cgroup ? word_unit_of_path(leaf->way.cgroup) : leaf->unit;
}

/* The leaf whose turn has begun. Tenants below its unit may have changed since it was read. */
static const FenceLeaf *leaf_in_turn(Fence *f)
{
        FenceLeaf *leaf = &f->scan.leaves[f->next - 1];

        leaf->promised = subtenant_nodes(leaf->unit_path);
        return leaf;
}

/* The leaf as if it were its unit, without the tenants below. */
static FenceLeaf leaf_as_unit(const FenceLeaf *leaf)
{
        FenceLeaf own = *leaf;

        own.path = leaf->unit_path;
        own.promised = NODESET_EMPTY;
        return own;
}

/* The set for the unit of the leaf, but for the nodes of releases and of tenants below it: leaf_narrow() adds
 * those. */
static NodeSet leaf_target(const Fence *f, const FenceLeaf *leaf)
{
        FenceLeaf own = leaf_as_unit(leaf);
        NodeSet reserved = fence_leaf_reserved(&own, f->context.ledger),
                ordinary = fence_unit_ordinary(leaf->unit, f->config, f->pools);

        ordinary = fence_leaf_allowed(leaf, &ordinary);
        if (fence_leaf_is_free(f, leaf))
                return nodeset_union(&f->pools->ordinary, &f->pools->cdm);
        if (fence_leaf_is_outdated(f, leaf))
                return nodeset_union(&ordinary, &reserved);
        return fence_target(&leaf->mems, &reserved, &ordinary);
}

/* Within the turn of the unit. */
static void leaf_job_start(Fence *f, const FenceLeaf *leaf, const NodeSet *from, job_run_t run)
{
        FenceJob *j = calloc(1, sizeof(*j));
        FenceLeaf own = leaf_as_unit(leaf);
        const char *above = leaf->way.cgroup;

        if (j) {
                j->path = strdup(leaf->path);
                j->unit_path = strdup(above ? above : leaf->unit_path);
                j->target = above ? leaf->way.target : leaf_target(f, leaf);
        }
        if (!j || !j->path || !j->unit_path ||
            (!fence_leaf_is_free(f, leaf) &&
             fence_names_add(&f->written, leaf_written_unit(leaf), &j->target) < 0)) {
                fence_job_free(j);
                f->step_ended(f, -ENOMEM);
                return;
        }
        j->id = leaf->id;
        j->from = *from;
        j->to = f->pools->ordinary;
        j->bandwidth = f->config ? f->config->drain_bandwidth : 0; /* lifting drains nothing */
        j->drain = (FenceDrain){ .path = j->path,
                                 .unit_path = j->unit_path,
                                 .id = j->id,
                                 .from = j->from,
                                 .to = j->to,
                                 .target = j->target,
                                 .bandwidth = j->bandwidth,
                                 .enable = run == leaf_run_narrow && leaf->off };
        if (!above)
                j->drain.kept = fence_leaf_promised(&own, &f->pools->cdm, f->context.ledger);
        if (!fence_leaf_is_free(f, leaf))
                fence_drain_note(f, leaf, &j->drain);
        fence_job_start(f, j, run == leaf_run_drain, run, leaf_job_done);
}

/* Nodes on which the leaf has pages but no promise. A draining reservation still counts as a promise: its
 * release drains the node. */
static NodeSet leaf_intruding(const Fence *f, const FenceLeaf *leaf)
{
        NodeSet promised;

        if (!leaf->unit || fence_leaf_is_empty_slice(leaf) ||
            fence_unit_is_exempt(leaf->unit, f->config->exempt))
                return NODESET_EMPTY;
        promised = fence_leaf_promised(leaf, &leaf->held, f->context.ledger);
        return nodeset_subtract(&leaf->held, &promised);
}

static void leaf_on_drain_turn(int result _unused_, void *userdata)
{
        Fence *f = userdata;
        const FenceLeaf *leaf = leaf_in_turn(f);
        NodeSet from = leaf_intruding(f, leaf);

        if (nodeset_is_empty(&from))
                fence_step_drain(f);
        else
                leaf_job_start(f, leaf, &from, leaf_run_drain);
}

void fence_step_drain(Fence *f)
{
        f->turn = turn_free(f->turn);
        while (f->next < f->scan.n_leaves) {
                if (!fence_go_on(f))
                        return;
                const FenceLeaf *leaf = &f->scan.leaves[f->next++];
                NodeSet from = leaf_intruding(f, leaf);

                if (nodeset_is_empty(&from))
                        continue;
                fence_take_turn(f, leaf_written_unit(leaf), leaf_on_drain_turn);
                return;
        }
        f->step_ended(f, 0);
}

/* If a leaf is closed but too narrow, systemd's own set of the unit decides, because the narrow set may be
 * the unit's own setting. systemd 252 does not touch the value in the kernel when the set of a unit becomes
 * empty, as long as another unit in the slice needs the controller: then all nodes are written
 * explicitly. */
static void leaf_on_widen_info(int error _unused_, UnitInfo *info, void *userdata)
{
        _cleanup_(unit_info_free_p) UnitInfo *owned = info;
        Fence *f = userdata;
        const FenceLeaf *leaf = &f->scan.leaves[f->next - 1];
        NodeSet target = leaf_target(f, leaf), none = NODESET_EMPTY;

        f->call = unit_call_free(f->call);
        if (owned && (nodeset_is_subset(&target, &owned->allowed) ||
                      (fence_leaf_is_free(f, leaf) && nodeset_is_empty(&owned->allowed))))
                leaf_job_start(f, leaf, &none, leaf_run_narrow);
        else
                fence_step_narrow(f);
}

/* True if the leaf is still restricted to the set of the previous fence. */
static bool leaf_is_too_narrow(const Fence *f, const FenceLeaf *leaf)
{
        return fence_leaf_is_free(f, leaf) ? fence_leaf_is_held_back(f, leaf)
                                           : fence_leaf_is_outdated(f, leaf);
}

static NodeSet leaf_open(const Fence *f, const FenceLeaf *leaf)
{
        return fence_leaf_is_free(f, leaf) ? NODESET_EMPTY
                                           : fence_leaf_open(leaf, f->config, f->pools, f->context.ledger);
}

static void leaf_on_narrow_turn(int result _unused_, void *userdata)
{
        Fence *f = userdata;
        const FenceLeaf *leaf = leaf_in_turn(f);
        NodeSet open = leaf_open(f, leaf);

        if (!nodeset_is_empty(&open))
                leaf_job_start(f, leaf, &open, leaf_run_narrow);
        else if (!leaf_is_too_narrow(f, leaf) ||
                 unit_get(f->context.gate, GATE_OWN, leaf->unit, leaf_on_widen_info, f, &f->call) < 0)
                fence_step_narrow(f);
}

void fence_step_narrow(Fence *f)
{
        f->turn = turn_free(f->turn);
        while (f->next < f->scan.n_leaves) {
                if (!fence_go_on(f))
                        return;
                const FenceLeaf *leaf = &f->scan.leaves[f->next++];

                if (!leaf->unit || (!leaf->has_cpuset && !leaf->off))
                        continue;
                NodeSet open = leaf_open(f, leaf);
                if (nodeset_is_empty(&open) && !leaf_is_too_narrow(f, leaf))
                        continue;
                fence_take_turn(f, leaf_written_unit(leaf), leaf_on_narrow_turn);
                return;
        }
        f->step_ended(f, 0);
}

/* --- TELL --------------------------------------------------------------------------------------------- */

static void leaf_on_told(int error, const char *message _unused_, void *userdata)
{
        Fence *f = userdata;

        f->call = unit_call_free(f->call);
        fence_note_told(f, error);
        fence_step_tell(f);
}

/* If systemd's own set of the unit is confined, the set stays: it may be narrower than target. The set of a
 * slice is only widened, never narrowed. */
bool fence_unit_is_to_be_told(const UnitInfo *info, const NodeSet *target, const PoolSet *pools)
{
        NodeSet open = nodeset_intersect(&info->allowed, &pools->cdm);

        const char *dot = strrchr(info->name, '.');

        if (strcmp(dot ? dot : "", ".slice") == 0)
                return !nodeset_is_empty(&info->allowed) && !nodeset_is_subset(target, &info->allowed);
        return nodeset_is_empty(&info->allowed) || !nodeset_is_subset(&open, target) ||
               !nodeset_intersects(&info->allowed, target);
}

NodeSet fence_unit_target(const Fence *f, const UnitInfo *info, const NodeSet *written)
{
        NodeSet target = nodeset_subtract(written, &f->pools->cdm),
                reserved =
                        fence_unit_reserved(info->name, &info->allowed, &f->pools->cdm, f->context.ledger);

        return owner_name_is_slice(info->name, strlen(info->name)) ? *written
                                                                   : nodeset_union(&target, &reserved);
}

static void leaf_on_tell_info(int error, UnitInfo *info, void *userdata)
{
        _cleanup_(unit_info_free_p) UnitInfo *owned = info;
        Fence *f = userdata;
        const char *unit = f->written.names[f->next - 1];
        NodeSet target = f->written.sets[f->next - 1];

        f->call = unit_call_free(f->call);
        if (owned)
                target = fence_unit_target(f, owned, &target);
        if (owned && fence_unit_is_to_be_told(owned, &target, f->pools)) {
                error = unit_set_mems(f->context.gate, unit, &target, leaf_on_told, f, &f->call);
                if (error >= 0)
                        return;
        }
        fence_note_told(f, error);
        fence_step_tell(f);
}

static void leaf_on_tell_turn(int result _unused_, void *userdata)
{
        Fence *f = userdata;
        const char *unit = f->written.names[f->next - 1];
        int r = unit_get(f->context.gate, GATE_OWN, unit, leaf_on_tell_info, f, &f->call);

        if (r >= 0)
                return;
        fence_note_told(f, r);
        fence_step_tell(f);
}

/* A unit that PID 1 no longer knows needs no notification: the last READ checks the kernel. */
void fence_step_tell(Fence *f)
{
        f->turn = turn_free(f->turn);
        if (f->next == f->written.n)
                f->step_ended(f, 0);
        else if (fence_go_on(f))
                fence_take_turn(f, f->written.names[f->next++], leaf_on_tell_turn);
}
