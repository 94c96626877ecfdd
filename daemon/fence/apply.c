/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/fence/apply.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/fence/step.h"
#include "daemon/fence/subtenant-settle.h"
#include "daemon/fence/way.h"
#include "daemon/kernel/evict.h"
#include "daemon/kernel/settle.h"
#include "daemon/pid1/unit.h"

/* One step is in flight at any time: a job on a worker, or a call to systemd. A step on a worker is a
 * StepJob, which owns all data that the thread touches. If the Apply is freed meanwhile, the job is
 * cancelled and orphaned, and the StepJob is freed when the job ends. So apply_free() never waits, and no
 * data in use is freed.
 *
 * The inode of a cgroup is checked before a step and also after a write by path: a unit that was restarted
 * meanwhile has another cgroup with the same name, which must not get the grant of the old one. */

typedef enum ApplyState {
        APPLY_STEPS,   /* steps[at] is in flight */
        APPLY_UNDOING, /* a step failed; the inverse of steps[at] is in flight */
        APPLY_DONE,    /* done was called */
} ApplyState;

typedef struct StepJob {
        Apply *apply; /* NULL: orphaned */
        Step step;
        NodeSet needed; /* STEP_VERIFY: the nodes that this plan opened */
        char *cgroup;
        uint64_t cgroup_id;
        Foreign *foreign;
        uint64_t bandwidth;
        uint64_t limit_bytes;
        bool usable;

        /* the results */
        char *message;
        DrainMove *move; /* STEP_MIGRATE, STEP_DRAIN: in progress */
        MoveResult moved;
        Evict evict;
        NumaBytes *residue;
        size_t n_residue;
        Settle settle;      /* STEP_MEASURE */
        SubtenantUnit host; /* the unit above, if the step has changed its set; no name: it has not */
} StepJob;

struct Apply {
        Gate *gate;
        Worker *worker, *mover;
        char *unit;
        char *cgroup;
        uint64_t cgroup_id;
        Foreign *foreign;
        uint64_t limit_bytes;
        bool usable;
        Step *steps; /* of the plan */
        size_t n_steps;
        uint64_t bandwidth;
        ApplyState state;
        size_t at;
        size_t n_due;       /* APPLY_UNDOING: inverses of the steps before this one are due */
        bool writes_undone; /* APPLY_UNDOING: all inverses of writes have run */
        char *host;         /* name of the unit above, while systemd is notified of its set */
        Step step;          /* in flight: the plan's, or an inverse */
        Job *job;
        StepJob *step_job;
        UnitCall *call;
        ApplyResult result;
        apply_done_t done;
        apply_progress_t progress;
        void *userdata;
};

static void apply_next(Apply *a);

static StepJob *step_job_free(StepJob *j)
{
        if (!j)
                return NULL;
        free(j->cgroup);
        free(j->message);
        free(j->residue);
        free(j->host.name);
        drain_move_free(j->move);
        free(j);
        return NULL;
}
DEFINE_CLEANUP(StepJob, step_job_free);

/* -- on the worker ------------------------------------------------------------------------------------ */

static int do_way(StepJob *j)
{
        if (!j->foreign)
                return 0;
        return way_change(j->foreign, j->cgroup, j->cgroup_id, j->step.kind == STEP_OPEN_WAY, &j->step.nodes,
                          &j->host, &j->message);
}

/* systemd answers before it writes a set, so an earlier set of the unit above may come back for a moment,
 * until systemd writes the one of this plan. So the way is opened once more before the verification fails. */
static int do_verify(StepJob *j, int fd)
{
        int r = step_verify(fd, j->cgroup, &j->step.nodes, &j->needed, &j->message);

        if (r != -EPERM || !j->foreign || !subtenant_is_one(j->cgroup))
                return r;
        free(j->message);
        j->message = NULL;
        r = way_change(j->foreign, j->cgroup, j->cgroup_id, true, &j->needed, &j->host, &j->message);
        return r < 0 ? r : step_verify(fd, j->cgroup, &j->step.nodes, &j->needed, &j->message);
}

/* memory.numa_stat may lag behind: settle_wait() decides whether to measure again. Nodes that stay open to
 * the cgroup do not count, because memory is always left there. */
static int do_measure(StepJob *j, int fd, Job *job)
{
        NodeSet effective = NODESET_EMPTY;
        uint64_t left = 0;

        free(j->residue);
        j->residue = NULL;
        int r = cgroup_read_numa(fd, &j->step.from, &j->residue, &j->n_residue);
        if (r < 0)
                return r;
        (void)cgroup_read_effective(fd, &effective);
        for (size_t i = 0; i < j->n_residue; i++)
                if (!nodeset_contains(&effective, j->residue[i].node))
                        left += numa_bytes_movable(&j->residue[i]);
        return settle_wait(&j->settle, job, left);
}

static int do_move(StepJob *j, int fd, Job *job)
{
        uint64_t limit = j->step.kind == STEP_MIGRATE ? j->limit_bytes : j->step.bytes;
        bool cold_first = limit > 0 && j->step.kind == STEP_DRAIN;
        int r = 0;

        if (!j->move)
                r = drain_move_new(&j->step.from, &j->step.nodes, limit > 0 ? limit : UINT64_MAX, cold_first,
                                   j->bandwidth, &j->move);
        if (r >= 0)
                r = drain_move_run(j->move, fd, job);
        if (r == 0)
                j->moved = drain_move_result(j->move);
        if (r < 0 && r != -ECANCELED)
                j->message = step_message("cannot move pages of %s: %s", j->cgroup, strerror(-r));
        return r;
}

static int run_step(Job *job, void *userdata)
{
        StepJob *j = userdata;
        int fd, r;

        fd = step_open(j->cgroup, j->cgroup_id);
        if (fd < 0)
                return j->step.kind == STEP_CLOSE_WAY ? do_way(j) : fd;
        switch (j->step.kind) {
        case STEP_OPEN_WAY:
        case STEP_CLOSE_WAY:
                r = do_way(j);
                break;
        case STEP_WRITE:
                r = step_write(j->cgroup, j->cgroup_id, &j->step.nodes,
                               j->step.has_inverse ? &j->step.inverse_nodes : NULL, &j->message);
                break;
        case STEP_VERIFY:
                r = do_verify(j, fd);
                if (r >= 0 && j->usable && !nodeset_is_empty(&j->needed))
                        r = step_verify_use(fd, j->cgroup, &j->needed, &j->message);
                break;
        case STEP_MIGRATE:
        case STEP_DRAIN:
                r = do_move(j, fd, job);
                break;
        case STEP_EVICT:
                r = evict_run(fd, &j->step.from, j->step.bytes > 0 ? j->step.bytes : UINT64_MAX, job,
                              &j->evict);
                break;
        case STEP_MEASURE:
                r = do_measure(j, fd, job);
                break;
        default:
                r = -EINVAL;
        }
        close(fd);
        /* Without the memory controller, the memory of the cgroup is charged to an ancestor and counted
         * there. */
        if (r == -ENOENT && (j->step.kind == STEP_EVICT || j->step.kind == STEP_MEASURE)) {
                fd = step_open(j->cgroup, j->cgroup_id);
                r = fd < 0 ? fd : 0;
                if (fd >= 0)
                        close(fd);
        }
        return r;
}

/* -- on the event loop -------------------------------------------------------------------------------- */

static void apply_finish(Apply *a)
{
        a->state = APPLY_DONE;
        a->done(a, &a->result, a->userdata); /* may free a */
}

/* The cgroup or the unit is gone, so nothing is left to undo. */
static bool is_gone(int error)
{
        return error == -ENOENT || error == -ESTALE || error == -ESRCH;
}

static const char *explain_gone(int error)
{
        return error == -ESTALE ? "was meanwhile replaced by another one of the same name"
                                : "ended meanwhile";
}

static void apply_fail(Apply *a, int error, const char *message)
{
        const char *whom = a->step.kind == STEP_PROPERTY ? a->unit : a->cgroup;

        a->result.error = error;
        a->result.failed = a->step.kind;
        if (message)
                a->result.message = strdup(message);
        else if (is_gone(error))
                a->result.message = step_message("%s %s", whom, explain_gone(error));
        else
                a->result.message = step_message("%s: %s", whom, strerror(-error));
        a->state = APPLY_UNDOING;
        /* After a timeout the step may have happened or may still happen, so its own inverse must run
         * too. */
        if (error == -ETIMEDOUT)
                a->at++;
        a->n_due = a->at;
}

static void step_ended(Apply *a, int error, const char *message)
{
        if (a->state == APPLY_UNDOING) {
                if (error < 0 && !is_gone(error) && a->result.undo_error == 0)
                        a->result.undo_error = error;
        } else if (error < 0) {
                apply_fail(a, error, message);
        } else {
                a->at++;
        }
        apply_next(a);
}

static void apply_collect(Apply *a, StepJob *j)
{
        a->result.moved_bytes += j->moved.moved_bytes;
        a->result.failed_bytes += j->moved.failed_bytes;
        a->result.evicted_bytes += j->evict.evicted_bytes;
        if (j->step.kind == STEP_MEASURE) {
                free(a->result.residue);
                a->result.residue = TAKE_PTR(j->residue);
                a->result.n_residue = j->n_residue;
        }
}

/* Ends the step after systemd was notified of the set of the unit above, or could not be (error < 0). It is
 * no error if that unit is gone. */
static void host_told(Apply *a, int error, const char *message)
{
        _cleanup_free_ char *text = NULL;

        subtenant_settles(a->host);
        free(a->host);
        a->host = NULL;
        if (error >= 0 || is_gone(error)) {
                step_ended(a, 0, NULL);
                return;
        }
        text = step_message("systemd did not set AllowedMemoryNodes= of the unit above %s: %s", a->cgroup,
                            message ? message : strerror(-error));
        /* The step itself has changed the unit, so its own inverse must run too. */
        if (a->state == APPLY_STEPS && error != -ETIMEDOUT)
                a->at++;
        step_ended(a, error, text);
}

static void apply_on_host_told(int error, const char *message, void *userdata)
{
        Apply *a = userdata;

        a->call = unit_call_free(a->call);
        host_told(a, error, message);
}

/* Notifies systemd of the set of the unit above. Uses the set that the unit has now, not the set that this
 * step wrote: systemd writes it to the kernel, and another tenant of the unit may have been given nodes
 * since. systemd handles notifications in order, so once it has answered this one, no earlier set can come
 * back. Returns 1 if there is nothing to notify. */
static int tell_host(Apply *a, SubtenantUnit *host)
{
        if (!host->name || !a->gate)
                return 1;
        a->host = TAKE_PTR(host->name);
        NodeSet nodes = subtenant_unit_written(a->host, &host->nodes);
        return unit_set_mems(a->gate, a->host, &nodes, apply_on_host_told, a, &a->call);
}

static void apply_on_job_done(int result, void *userdata)
{
        _cleanup_(step_job_free_p) StepJob *j = userdata;
        Apply *a = j->apply;

        if (!a)
                return;
        a->job = NULL;
        a->step_job = NULL;
        apply_collect(a, j);
        int r = result < 0 ? 1 : tell_host(a, &j->host);
        if (r == 1)
                step_ended(a, result < 0 ? result : 0, j->message);
        else if (r < 0)
                host_told(a, r, NULL);
}

static void apply_on_job_progress(uint64_t value, void *userdata)
{
        StepJob *j = userdata;

        if (j->apply && j->apply->progress)
                j->apply->progress(j->apply, j->step.kind, value, j->apply->userdata);
}

static void apply_on_property_set(int error, const char *message, void *userdata)
{
        Apply *a = userdata;
        _cleanup_free_ char *text = NULL;

        a->call = unit_call_free(a->call);
        if (error < 0)
                text = step_message("systemd did not set AllowedMemoryNodes= of %s: %s", a->unit,
                                    message ? message : strerror(-error));
        step_ended(a, error, text);
}

/* Returns the nodes that earlier steps opened and that this step must find: for STEP_VERIFY. */
static NodeSet opened_nodes(const Apply *a)
{
        NodeSet opened = NODESET_EMPTY;

        for (size_t i = 0; i < a->at && a->state == APPLY_STEPS; i++) {
                const Step *s = &a->steps[i];

                if ((s->kind == STEP_WRITE || s->kind == STEP_PROPERTY) && s->has_inverse) {
                        NodeSet more = nodeset_subtract(&s->nodes, &s->inverse_nodes);

                        opened = nodeset_union(&opened, &more);
                }
        }
        return nodeset_intersect(&opened, &a->step.nodes);
}

/* True if the write takes nodes away. An inverse has no previous set to compare with, and usually takes
 * nodes away. */
static bool apply_narrows(const Step *s)
{
        return !s->has_inverse || !nodeset_is_subset(&s->inverse_nodes, &s->nodes);
}

/* Steps that move pages run in a separate thread pool and pause there (daemon/kernel/drain.h), so that
 * nothing else waits for them. A narrowing write may move up to 64 MiB that a drain has left, and blocks its
 * thread for seconds if the cgroup has many threads. It also runs in that pool, so that reads and widening
 * writes do not wait for it. It runs before all drains, because it revokes access; a drain yields its thread
 * after 0.1 s. */
static int submit_step(Apply *a, StepJob *j)
{
        switch (j->step.kind) {
        case STEP_MIGRATE:
        case STEP_DRAIN:
        case STEP_EVICT:
                return worker_submit(a->mover, run_step, apply_on_job_done, apply_on_job_progress, j,
                                     &a->job);
        case STEP_WRITE:
                if (apply_narrows(&j->step))
                        return worker_submit_first(a->mover, run_step, apply_on_job_done,
                                                   apply_on_job_progress, j, &a->job);
                /* fall through */
        default:
                return worker_submit(a->worker, run_step, apply_on_job_done, apply_on_job_progress, j,
                                     &a->job);
        }
}

static int start_job(Apply *a)
{
        _cleanup_(step_job_free_p) StepJob *j = calloc(1, sizeof(*j));
        int r;

        if (!j)
                return -ENOMEM;
        j->apply = a;
        j->step = a->step;
        j->needed = opened_nodes(a);
        j->cgroup_id = a->cgroup_id;
        j->foreign = a->foreign;
        j->bandwidth = a->bandwidth;
        j->limit_bytes = a->limit_bytes;
        j->usable = a->usable;
        j->cgroup = strdup(a->cgroup);
        if (!j->cgroup)
                return -ENOMEM;
        r = submit_step(a, j);
        if (r < 0)
                return r;
        a->step_job = TAKE_PTR(j);
        return 0;
}

/* Returns 1 if this step has nothing to do for this target. */
static int start_step(Apply *a)
{
        if (a->step.kind != STEP_PROPERTY)
                return a->cgroup ? start_job(a) : 1;
        if (!a->unit)
                return 1;
        if (!a->gate)
                return -ENOTCONN;
        return unit_set_mems(a->gate, a->unit, &a->step.nodes, apply_on_property_set, a, &a->call);
}

/* Returns the inverses in reverse order, but all inverses of writes first. In strictly reverse order,
 * systemd would be notified first and would narrow the leaf itself: with many threads this blocks PID 1 for
 * seconds. So the worker writes first, and the later write by systemd is not a change for the kernel. NULL:
 * all steps are undone. */
static const Step *next_undone(Apply *a)
{
        for (;;) {
                while (a->at > 0) {
                        const Step *s = &a->steps[--a->at];

                        /* moved pages and evicted cache cannot be restored */
                        if (s->has_inverse && (s->inverse_kind == STEP_WRITE) != a->writes_undone)
                                return s;
                }
                if (a->writes_undone)
                        return NULL;
                a->writes_undone = true;
                a->at = a->n_due;
        }
}

/* The only transition function: starts the next step, until a step is in flight or all steps are done. */
static void apply_next(Apply *a)
{
        for (;;) {
                int r;

                if (a->state == APPLY_STEPS) {
                        if (a->at == a->n_steps)
                                break;
                        a->step = a->steps[a->at];
                } else {
                        const Step *s = next_undone(a);

                        if (!s)
                                break;
                        a->step = (Step){ .kind = s->inverse_kind, .nodes = s->inverse_nodes };
                }
                r = start_step(a);
                if (r == 0) /* in flight: step_ended() calls apply_next() again */
                        return;
                if (r < 0 && a->state == APPLY_UNDOING) {
                        if (a->result.undo_error == 0)
                                a->result.undo_error = r;
                } else if (r < 0) {
                        apply_fail(a, r, NULL);
                } else if (a->state == APPLY_STEPS) {
                        a->at++;
                }
        }
        apply_finish(a);
}

/* If the first step is not asynchronous, an empty job runs first, so that done is never called from within
 * apply_start(). */
static int run_nothing(Job *job _unused_, void *userdata _unused_)
{
        return 0;
}

static void apply_on_started(int result _unused_, void *userdata)
{
        _cleanup_(step_job_free_p) StepJob *j = userdata;
        Apply *a = j->apply;

        if (!a)
                return;
        a->job = NULL;
        a->step_job = NULL;
        apply_next(a);
}

static int start_plan(Apply *a)
{
        _cleanup_(step_job_free_p) StepJob *j = NULL;
        int r;

        /* The first step is usually asynchronous anyway. */
        if (a->n_steps > 0) {
                a->step = a->steps[0];
                r = start_step(a);
                if (r <= 0)
                        return r;
        }
        j = calloc(1, sizeof(*j));
        if (!j)
                return -ENOMEM;
        j->apply = a;
        r = worker_submit(a->worker, run_nothing, apply_on_started, NULL, j, &a->job);
        if (r < 0)
                return r;
        a->step_job = TAKE_PTR(j);
        return 0;
}

int apply_start(Gate *gate, Worker *worker, Worker *mover, const ApplyTarget *target, const Plan *plan,
                uint64_t bandwidth, apply_done_t done, apply_progress_t progress, void *userdata,
                Apply **ret)
{
        _cleanup_(apply_free_p) Apply *a = calloc(1, sizeof(*a));
        int r;

        if (!a)
                return -ENOMEM;
        a->gate = gate;
        a->worker = worker;
        a->mover = mover;
        a->cgroup_id = target->cgroup_id;
        a->foreign = target->foreign;
        a->limit_bytes = target->migrate_max_bytes;
        a->usable = target->usable;
        /* Copy only the used steps: a Plan has room for many, and thousands of Apply objects exist during
         * startup. */
        a->steps = calloc(plan->n_steps + 1, sizeof(*a->steps));
        a->n_steps = plan->n_steps;
        a->bandwidth = bandwidth;
        a->done = done;
        a->progress = progress;
        a->userdata = userdata;
        if (!a->steps || (target->unit && !(a->unit = strdup(target->unit))) ||
            (target->cgroup && !(a->cgroup = strdup(target->cgroup))))
                return -ENOMEM;
        memcpy(a->steps, plan->steps, a->n_steps * sizeof(*a->steps));
        r = start_plan(a);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(a);
        return 0;
}

Apply *apply_free(Apply *a)
{
        if (!a)
                return NULL;
        if (a->step_job)
                a->step_job->apply = NULL;
        if (a->job)
                job_cancel(a->job);
        unit_call_free(a->call);
        free(a->host);
        free(a->steps);
        free(a->unit);
        free(a->cgroup);
        free(a->result.message);
        free(a->result.residue);
        free(a);
        return NULL;
}
