/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Checks one cgroup after an event about it. In most cases nothing is open, and the check is one read of a
 * few files on a worker:
 *
 *   READ - nothing is open: done
 *          else TURN - READ - DRAIN and narrow - READ - TELL systemd - report
 *
 * If systemd does not answer, the check backs off and retries: systemd would open the cgroup again the next
 * time it applies the settings of the unit. The turn is given back during the pause and taken again
 * afterwards.
 *
 * The turn is the tenant's: a grant or a release in flight goes first, and its result is read again. Nodes
 * of a reservation that is still draining are not open by mistake: the release closes them.
 *
 * Foreign cgroups, which systemd does not own, are handled by daemon/fence/foreign.c, which reads, drains
 * and narrows in one pass; the check of a slice covers the foreign cgroups in it. The first pass skips
 * cgroups with many pages to move; if there are any, a second pass follows and moves the pages.
 *
 * If a check of the same cgroup is already waiting, a new request joins it. If that check is already at
 * work, it is repeated once more. */

#include <errno.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "daemon/fence/fence-internal.h"
#include "daemon/loop/clock.h"
#include "daemon/loop/log.h"
#include "policy/word.h"

#define TELL_AGAIN_FIRST_USEC (UINT64_C(500) * 1000)
#define TELL_AGAIN_DOUBLES    7 /* the longest pause is about a minute */
/* The number of checks that resume per turn of the event loop after the fence has changed. */
#define RELEASED_AT_ONCE 64

typedef enum CheckState {
        CHECK_WAITING, /* until the fence is idle */
        CHECK_READING,
        CHECK_IN_LINE, /* until it is the tenant's turn */
        CHECK_READING_IN_TURN,
        CHECK_DRAINING,
        CHECK_READING_BACK,
        CHECK_TELLING,
        CHECK_PAUSING, /* systemd did not answer */
        CHECK_WAY,     /* reads the sets of a slice and of its ancestors */
        CHECK_WIDENING,
        CHECK_FOREIGN,
        CHECK_FOREIGN_MOVING,
} CheckState;

typedef struct CheckJob CheckJob;

struct FenceCheck {
        Fence *fence;
        CheckState state;
        char *path;
        char *unit;
        char *found;               /* the open cgroup, if not path itself */
        uid_t owner;               /* of the cpuset.mems of a foreign cgroup that was open */
        bool is_foreign, is_slice; /* is_slice: check the foreign cgroups in the slice */
        bool is_new, again, widened;
        uint64_t since_usec;
        NodeSet open, target;
        uint64_t drained_bytes, usec;
        Turn *turn;
        Job *job;
        CheckJob *job_data;
        UnitCall *call;
        bool untold; /* the kernel has the target set, but systemd was not notified */
        unsigned n_pauses;
        sd_event_source *pause;
        FenceCheck *prev, *next;
        UT_hash_handle hh;
};

/* The data that the worker touches; it outlives a check that is freed meanwhile. */
struct CheckJob {
        FenceCheck *check; /* NULL: orphaned */
        char *path;
        NodeSet cdm;
        bool drain;
        FenceDrain what;
        Foreign *foreign;
        bool is_slice;
        ForeignSweep *sweep;
        ForeignFound found;
        char *unit_path;
        FenceLeaf leaf; /* the result of a read */
        CheckState state;
        FenceWay way;
};

static void check_begin(FenceCheck *c);

/* False also while the fence is being lifted: then there is no set to compare a leaf with. */
static bool check_is_in_force(const Fence *f)
{
        return f->config && f->pools && !f->lifting && !nodeset_is_empty(&f->pools->cdm) &&
               !nodeset_is_empty(&f->pools->ordinary);
}

static void check_job_free(CheckJob *j)
{
        fence_leaf_clear(&j->leaf);
        fence_way_clear(&j->way);
        free(j->found.cgroup);
        foreign_sweep_free(j->sweep);
        drain_move_free(j->what.move);
        free(j->path);
        free(j->unit_path);
        free(j);
}

static bool check_is_at_work(const FenceCheck *c)
{
        return c->state != CHECK_WAITING && c->state != CHECK_PAUSING;
}

static void check_set_state(FenceCheck *c, CheckState state)
{
        c->fence->n_checks_at_work -= check_is_at_work(c);
        c->state = state;
        c->fence->n_checks_at_work += check_is_at_work(c);
}

static void check_free(FenceCheck *c)
{
        check_set_state(c, CHECK_WAITING);
        if (c->fence->release == c)
                c->fence->release = c->next;
        DL_DELETE(c->fence->checks, c);
        HASH_DEL(c->fence->checks_by_path, c);
        if (c->job_data) {
                c->job_data->check = NULL;
                job_cancel(c->job);
        }
        unit_call_free(c->call);
        sd_event_source_disable_unref(c->pause);
        turn_free(c->turn);
        free(c->path);
        free(c->unit);
        free(c->found);
        free(c);
}

void fence_checks_free(Fence *f)
{
        while (f->checks)
                check_free(f->checks);
}

static void check_finish(FenceCheck *c)
{
        Fence *f = c->fence;

        if (c->again) {
                c->again = false;
                c->turn = turn_free(c->turn);
                check_set_state(c, CHECK_WAITING);
                if (f->phase == PHASE_IDLE) {
                        check_begin(c);
                        return;
                }
        } else {
                check_free(c);
        }
        f->check_ended(f);
}

static void check_report(FenceCheck *c, bool is_open)
{
        Fence *f = c->fence;
        FenceRepair r = {
                .cgroup = c->found ? c->found : c->path,
                .unit = c->unit,
                .nodes = c->open,
                .drained_bytes = c->drained_bytes,
                .usec = c->usec,
                .owner = c->owner,
                .is_new = c->is_new,
                .is_open = is_open,
                .is_widened = c->widened,
        };

        c->widened = false;
        f->drained_bytes += c->drained_bytes;
        if (f->context.repaired)
                f->context.repaired(&r, f->context.userdata);
        c->is_new = false;
        check_finish(c);
}

static NodeSet check_open_of(const Fence *f, const FenceLeaf *leaf)
{
        return fence_leaf_open(leaf, f->config, f->pools, f->context.ledger);
}

/* --- on the worker ------------------------------------------------------------------------------------ */

static int check_run(Job *job, void *userdata)
{
        CheckJob *j = userdata;
        ForeignSweep **sweep = j->drain ? &j->sweep : NULL;

        if (j->state == CHECK_WIDENING)
                return cgroup_write_mems(j->unit_path, &j->what.target);
        if (j->state == CHECK_WAY)
                return fence_way_read(j->path, true, &j->cdm, &j->way);
        if (j->foreign && j->is_slice)
                return foreign_fence_slice(j->foreign, j->path, j->what.bandwidth, job, sweep, &j->found);
        if (j->foreign)
                return foreign_fence(j->foreign, j->path, j->what.bandwidth, job, sweep, &j->found);
        return j->drain ? fence_leaf_drain(job, &j->what) : fence_leaf_read(j->path, &j->cdm, &j->leaf);
}

static void check_on_job(int result, void *userdata);

/* A drain goes ahead of the drains of releases, because its cgroup uses the nodes without a promise. */
static int check_submit(FenceCheck *c, CheckJob *j)
{
        const FenceContext *x = &c->fence->context;

        return j->drain ? worker_submit_first(x->mover, check_run, check_on_job, NULL, j, &c->job)
                        : worker_submit(x->worker, check_run, check_on_job, NULL, j, &c->job);
}

static void check_job(FenceCheck *c, CheckState state, const FenceLeaf *leaf)
{
        const char *unit_path = !leaf ? c->found : leaf->unit_path ? leaf->unit_path : leaf->path;
        Fence *f = c->fence;
        CheckJob *j = calloc(1, sizeof(*j));

        check_set_state(c, state);
        if (j) {
                j->check = c;
                j->path = strdup(c->path);
                j->cdm = f->pools->cdm;
                j->what.bandwidth = f->config->drain_bandwidth;
                j->is_slice = c->is_slice;
                j->foreign = c->is_foreign ? f->context.foreign : NULL;
                j->state = state;
                j->drain = state == CHECK_FOREIGN_MOVING || state == CHECK_WIDENING;
                j->what.target = c->target;
                j->unit_path = unit_path ? strdup(unit_path) : NULL;
        }
        if (j && leaf) {
                j->drain = true;
                j->what = (FenceDrain){ .path = j->path,
                                        .unit_path = j->unit_path,
                                        .id = leaf->id,
                                        .from = c->open,
                                        .to = f->pools->ordinary,
                                        .target = c->target,
                                        .bandwidth = f->config->drain_bandwidth };
                fence_drain_note(f, leaf, &j->what);
        }
        if (!j || !j->path || ((leaf || state == CHECK_WIDENING) && !j->unit_path) ||
            check_submit(c, j) < 0) {
                if (j)
                        check_job_free(j);
                check_finish(c);
                return;
        }
        c->job_data = j;
}

static void check_read(FenceCheck *c, CheckState state)
{
        check_job(c, state, NULL);
}

static void check_begin(FenceCheck *c)
{
        c->open = NODESET_EMPTY;
        free(c->found);
        c->found = NULL;
        c->owner = 0;
        c->drained_bytes = 0;
        check_read(c, c->is_slice ? CHECK_WAY : c->is_foreign ? CHECK_FOREIGN : CHECK_READING);
}

/* --- on the event loop -------------------------------------------------------------------------------- */

static void check_tell(FenceCheck *c);

static void check_on_turn(int result _unused_, void *userdata)
{
        FenceCheck *c = userdata;

        if (c->is_slice)
                check_tell(c);
        else
                check_read(c, CHECK_READING_IN_TURN);
}

static void check_take_turn(FenceCheck *c, const char *tenant)
{
        check_set_state(c, CHECK_IN_LINE);
        if (turn_take(c->fence->context.turns, tenant, check_on_turn, c, &c->turn) < 0)
                check_finish(c);
}

static int check_on_pause_over(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
        FenceCheck *c = userdata;

        c->pause = sd_event_source_disable_unref(c->pause);
        check_take_turn(c, c->unit);
        return 0;
}

static int check_pause(FenceCheck *c)
{
        unsigned doubles = c->n_pauses < TELL_AGAIN_DOUBLES ? c->n_pauses : TELL_AGAIN_DOUBLES;
        uint64_t pause_usec = TELL_AGAIN_FIRST_USEC << doubles;

        c->n_pauses++;
        check_set_state(c, CHECK_PAUSING);
        return sd_event_add_time_relative(c->fence->context.event, &c->pause, CLOCK_MONOTONIC, pause_usec,
                                          pause_usec / 4, check_on_pause_over, c);
}

/* If a sequence of the fence is waiting for this check, the check resumes when the sequence has ended. */
static void check_tell_later(FenceCheck *c, int error)
{
        Fence *f = c->fence;

        c->turn = turn_free(c->turn);
        c->untold = true;
        log_warning("cannot notify systemd of the memory nodes of %s, will retry: %s", c->unit,
                    strerror(-error));
        if (f->phase != PHASE_IDLE)
                check_set_state(c, CHECK_WAITING);
        else if (check_pause(c) < 0) {
                check_report(c, true);
                return;
        }
        f->check_ended(f);
}

/* systemd was notified, or cannot be: it does not know the unit, or refuses permanently. */
static void check_telling_ended(FenceCheck *c, int error)
{
        if (unit_error_is_passing(error) && check_is_in_force(c->fence)) {
                check_tell_later(c, error);
                return;
        }
        c->untold = false;
        check_report(c, false);
}

static void check_on_told(int error, const char *message _unused_, void *userdata)
{
        FenceCheck *c = userdata;

        c->call = unit_call_free(c->call);
        check_telling_ended(c, error);
}

static void check_on_info(int error, UnitInfo *info, void *userdata)
{
        _cleanup_(unit_info_free_p) UnitInfo *owned = info;
        FenceCheck *c = userdata;
        Fence *f = c->fence;
        int r = error;

        c->call = unit_call_free(c->call);
        if (owned && check_is_in_force(f))
                c->target = fence_unit_target(f, owned, &c->target);
        if (owned && check_is_in_force(f) && fence_unit_is_to_be_told(owned, &c->target, f->pools)) {
                r = unit_set_mems(f->context.gate, c->unit, &c->target, check_on_told, c, &c->call);
                if (r >= 0)
                        return;
        }
        check_telling_ended(c, r);
}

static void check_tell(FenceCheck *c)
{
        check_set_state(c, CHECK_TELLING);
        if (!c->unit) {
                check_report(c, false);
                return;
        }
        int r = unit_get(c->fence->context.gate, GATE_OWN, c->unit, check_on_info, c, &c->call);
        if (r < 0)
                check_telling_ended(c, r);
}

static void check_judge(FenceCheck *c, const FenceLeaf *leaf)
{
        Fence *f = c->fence;
        NodeSet open = check_open_of(f, leaf);

        if (nodeset_is_empty(&open) && !c->untold) {
                check_finish(c);
                return;
        }
        if (leaf->way.cgroup) { /* narrowing the leaf would not close it: check the ancestor */
                (void)fence_check(f, leaf->way.cgroup, c->since_usec, false);
                check_finish(c);
                return;
        }
        if (c->state == CHECK_READING) {
                check_take_turn(c, leaf->unit ? leaf->unit : leaf->path);
                return;
        }
        c->target = fence_leaf_closed(f, leaf, &open);
        if (nodeset_is_empty(&open)) {
                check_tell(c);
                return;
        }
        c->open = open;
        check_job(c, CHECK_DRAINING, leaf);
}

static void check_judge_again(FenceCheck *c, const FenceLeaf *leaf)
{
        Fence *f = c->fence;
        NodeSet open = check_open_of(f, leaf);

        if (nodeset_is_empty(&open))
                check_tell(c);
        else
                check_report(c, true);
}

/* A slice that leaves no ordinary node to its descendants is set to a target with ordinary nodes. This
 * closes the whole subtree, and the kernel moves the pages. */
static void check_judge_way(FenceCheck *c, CheckJob *j)
{
        if (!j->way.cgroup) {
                check_read(c, CHECK_FOREIGN);
                return;
        }
        free(c->unit);
        c->unit = strdup(word_unit_of_path(j->way.cgroup));
        c->found = TAKE_PTR(j->way.cgroup);
        c->target = j->way.target;
        c->open = nodeset_intersect(&j->way.mems, &c->fence->pools->cdm);
        c->widened = true;
        check_read(c, CHECK_WIDENING);
}

/* Adds up the results of both passes. */
static void check_collect_foreign(FenceCheck *c, CheckJob *j)
{
        c->open = nodeset_union(&c->open, &j->found.nodes);
        if (!c->found) {
                c->found = TAKE_PTR(j->found.cgroup);
                c->owner = j->found.owner;
        }
        c->drained_bytes += j->found.drained_bytes;
}

static void check_on_job(int result, void *userdata)
{
        CheckJob *j = userdata;
        FenceCheck *c = j->check;

        if (!c) {
                check_job_free(j);
                return;
        }
        c->job = NULL;
        c->job_data = NULL;
        c->usec = clock_monotonic_usec() - c->since_usec;
        if (!check_is_in_force(c->fence)) {
                check_finish(c);
        } else if (c->state == CHECK_FOREIGN || c->state == CHECK_FOREIGN_MOVING) {
                check_collect_foreign(c, j);
                if (result == -EAGAIN && c->state == CHECK_FOREIGN)
                        check_read(c, CHECK_FOREIGN_MOVING);
                else if (nodeset_is_empty(&c->open))
                        check_finish(c);
                else
                        check_report(c, j->found.is_open);
        } else if (c->state == CHECK_WAY) {
                check_judge_way(c, j);
        } else if (c->state == CHECK_WIDENING && result == 0) {
                check_tell(c);
        } else if (c->state == CHECK_WIDENING && result != -ENOENT) {
                check_report(c, true);
        } else if (c->state == CHECK_DRAINING) {
                c->drained_bytes = j->what.drained_bytes;
                if (result < 0)
                        check_finish(c);
                else
                        check_read(c, CHECK_READING_BACK);
        } else if (result < 0) { /* the cgroup is gone */
                check_finish(c);
        } else if (c->state == CHECK_READING_BACK) {
                check_judge_again(c, &j->leaf);
        } else {
                check_judge(c, &j->leaf);
        }
        check_job_free(j);
}

/* --- beginning and end -------------------------------------------------------------------------------- */

bool fence_checks_are_idle(const Fence *f)
{
        return f->n_checks_at_work == 0;
}

void fence_checks_hold(Fence *f)
{
        FenceCheck *c;

        f->release = NULL;
        slice_set(f->release_slice, false);
        DL_FOREACH (f->checks, c) {
                if (c->state == CHECK_IN_LINE || c->state == CHECK_PAUSING) {
                        c->turn = turn_free(c->turn);
                        c->pause = sd_event_source_disable_unref(c->pause);
                        check_set_state(c, CHECK_WAITING);
                }
                /* Lifting the fence would allow the pages back that this job moves. */
                if (f->lifting && c->job)
                        job_cancel(c->job);
        }
}

void fence_checks_release(Fence *f)
{
        f->release = f->checks;
        slice_set(f->release_slice, f->release != NULL);
}

/* Resumes the waiting checks. Checks that were added since are already at work. */
void fence_checks_on_slice(void *userdata)
{
        Fence *f = userdata;

        for (size_t n = 0; f->release && n < RELEASED_AT_ONCE; n++) {
                FenceCheck *c = f->release;

                f->release = c->next;
                if (c->state != CHECK_WAITING)
                        continue;
                if (check_is_in_force(f))
                        check_begin(c);
                else
                        check_free(c);
        }
        slice_set(f->release_slice, f->release != NULL);
}

static int check_new(Fence *f, FenceLeaf *leaf, FenceCheck **ret)
{
        FenceCheck *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        c->fence = f;
        c->is_slice = fence_leaf_is_slice(leaf) || strcmp(leaf->unit_path, "/") == 0;
        c->is_foreign = c->is_slice || !leaf->unit;
        c->path = TAKE_PTR(leaf->unit_path);
        c->unit = TAKE_PTR(leaf->unit);
        DL_APPEND(f->checks, c);
        HASH_ADD_KEYPTR(hh, f->checks_by_path, c->path, strlen(c->path), c);
        *ret = c;
        return 0;
}

int fence_check(Fence *f, const char *path, uint64_t since_usec, bool is_new)
{
        FenceLeaf leaf = { 0 };
        FenceCheck *c;
        int r;

        if (!check_is_in_force(f))
                return 0;
        r = fence_leaf_of_path(path, &leaf);
        if (r < 0)
                return r;
        HASH_FIND_STR(f->checks_by_path, leaf.unit_path, c);
        if (c) {
                c->is_new |= is_new;
                c->again |= c->state != CHECK_WAITING && c->state != CHECK_IN_LINE;
        } else {
                r = check_new(f, &leaf, &c);
                if (r >= 0) {
                        c->since_usec = since_usec;
                        c->is_new = is_new;
                        if (f->phase == PHASE_IDLE)
                                check_begin(c);
                }
        }
        fence_leaf_clear(&leaf);
        return r;
}
