/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Closing and lifting the fence over a machine that runs. Everything is a step of one sequence; a step is
 * either a job on a worker (reading or writing cgroups, moving pages) or a call to PID 1, and starts the
 * next when it has ended:
 *
 *   close:  SCAN - ASK (whose it is) - DRAIN (leaf by leaf) - RESET (property by property) - INSTALL - RELOAD - READ
 *             READ: all fenced: closed
 *                   else POKE (slice by slice) - READ, as long as that fences more leaves,
 *                   then NARROW what systemd thinks is narrow already - TELL - READ, once,
 *                   then what is left is reported
 *             the first READ fences what systemd does not own before (daemon/fence/foreign.c)
 *   lift:   RESET - REMOVE - RELOAD - READ - POKE (as above), NARROW (which widens here) - READ, once
 *
 * Why READ and POKE: systemd 257 knows after a reload what its units shall have, and applies it to none of
 * them until somebody touches their slice. Why NARROW: where the set changes while the controller is enabled
 * already, a poke finds nothing to do; systemd's own idea of the unit is right then, and only the kernel has
 * to be told. Why TELL: it is not right where a drop-in names CDM nodes after ours does. What a worker wrote
 * would then last until systemd looks at the unit again, so systemd gets the same value.
 *
 * Between these, single cgroups are checked (fence-check.c), each by itself; a sequence begins when no check
 * is at work, and checks that come meanwhile wait.
 *
 * Here: the object, its jobs, beginning and end. fence-read.c: SCAN, READ, POKE and what follows from them;
 * fence-owner.c: ASK; fence-leaf.c: DRAIN, NARROW, TELL; fence-install.c: RESET, INSTALL, RELOAD. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "daemon/fence/fence-internal.h"
#include "policy/cdm-names.h"

static const char *const state_names[_FENCE_STATE_MAX] = {
        [FENCE_OPEN] = "open",
        [FENCE_CLOSING] = "closing",
        [FENCE_CLOSED] = "closed",
        [FENCE_LEAKY] = "leaky",
};

const char *fence_state_to_string(FenceState v)
{
        return v >= 0 && v < _FENCE_STATE_MAX ? state_names[v] : NULL;
}

/* Says that a name is there; it is owned by `names`. */
typedef struct FenceName {
        char *name;
        UT_hash_handle hh;
} FenceName;

void fence_names_clear(FenceNames *names)
{
        FenceName *x, *next;

        HASH_ITER (hh, names->by_name, x, next) {
                HASH_DEL(names->by_name, x);
                free(x);
        }
        for (size_t i = 0; i < names->n; i++)
                free(names->names[i]);
        free(names->names);
        free(names->sets);
        *names = (FenceNames){ 0 };
}

static int names_grow(FenceNames *names)
{
        size_t n = names->n_allocated ? 2 * names->n_allocated : 16;
        NodeSet *sets;
        char **array;

        array = reallocarray(names->names, n, sizeof(*array));
        if (!array)
                return -ENOMEM;
        names->names = array;
        sets = reallocarray(names->sets, n, sizeof(*sets));
        if (!sets)
                return -ENOMEM;
        names->sets = sets;
        names->n_allocated = n;
        return 0;
}

int fence_names_add(FenceNames *names, const char *name, const NodeSet *set)
{
        FenceName *x;

        HASH_FIND_STR(names->by_name, name, x);
        if (x)
                return 0;
        if (names->n == names->n_allocated && names_grow(names) < 0)
                return -ENOMEM;
        x = calloc(1, sizeof(*x));
        if (!x)
                return -ENOMEM;
        x->name = strdup(name);
        if (!x->name) {
                free(x);
                return -ENOMEM;
        }
        HASH_ADD_KEYPTR(hh, names->by_name, x->name, strlen(x->name), x);
        names->names[names->n] = x->name;
        names->sets[names->n++] = set ? *set : NODESET_EMPTY;
        return 0;
}

bool fence_names_has(const FenceNames *names, const char *name)
{
        FenceName *x;

        HASH_FIND_STR(names->by_name, name, x);
        return x;
}

void fence_note_told(Fence *f, int error)
{
        if (unit_error_is_passing(error) && f->untold_error == 0)
                f->untold_error = error;
}

void fence_finish(Fence *f, int error)
{
        fence_done_t done = f->done;

        f->untold = error >= 0 && f->untold_error < 0;
        if (f->untold)
                error = f->untold_error;
        f->untold_error = 0;
        if (error < 0)
                (void)fence_report(f, error);
        else
                fence_before_forget(f);
        f->phase = PHASE_IDLE;
        f->call = unit_call_free(f->call);
        fence_names_clear(&f->names);
        fence_names_clear(&f->startups);
        fence_names_clear(&f->written);
        fence_scan_clear(&f->scan);
        if (error < 0 || f->n_unfenced > 0)
                f->state = FENCE_LEAKY;
        else
                f->state = f->lifting ? FENCE_OPEN : FENCE_CLOSED;
        f->done = NULL;
        if (f->lifting) {
                f->config = NULL;
                f->pools = NULL;
        }
        fence_checks_release(f);
        /* last: the callee may free the Fence or start it again */
        if (done)
                done(f, error, f->userdata);
}

FenceJob *fence_job_free(FenceJob *j)
{
        if (!j)
                return NULL;
        fence_scan_clear(&j->scan);
        drain_move_free(j->drain.move);
        foreign_sweep_free(j->sweep);
        free(j->found.cgroup);
        free(j->path);
        free(j->unit_path);
        free(j);
        return NULL;
}

void fence_job_start(Fence *f, FenceJob *j, bool moves, job_run_t run, job_done_t done)
{
        int r;

        j->fence = f;
        /* What is moved here is in somebody's way who may not have it: before what tenants give back. */
        if (moves)
                r = worker_submit_first(f->context.mover, run, done, NULL, j, &f->job);
        else
                r = worker_submit(f->context.worker, run, done, NULL, j, &f->job);
        if (r < 0) {
                fence_job_free(j);
                fence_finish(f, r);
                return;
        }
        f->job_data = j;
}

Fence *fence_job_ended(FenceJob *j)
{
        if (j->fence) {
                j->fence->job = NULL;
                j->fence->job_data = NULL;
        }
        return j->fence;
}

int fence_new(const FenceContext *context, Fence **ret)
{
        Fence *f = calloc(1, sizeof(*f));

        if (!f)
                return -ENOMEM;
        f->context = *context;
        if (!f->context.root)
                f->context.root = "";
        *ret = f;
        return 0;
}

Fence *fence_free(Fence *f)
{
        if (!f)
                return NULL;
        fence_checks_free(f);
        if (f->job_data) {
                f->job_data->fence = NULL;
                job_cancel(f->job);
        }
        unit_call_free(f->call);
        fence_names_clear(&f->names);
        fence_names_clear(&f->startups);
        fence_names_clear(&f->written);
        fence_scan_clear(&f->scan);
        fence_unfenced_clear(f);
        free(f);
        return NULL;
}

/* All memory nodes are in pools, as ordinary or as CDM. */
static void remember_before(Fence *f)
{
        NodeSet all = nodeset_union(&f->pools->ordinary, &f->pools->cdm);

        f->interrupted = fence_before_read(f, &f->before);
        if (!f->interrupted)
                f->before = fence_ordinary_in_force(f);
        f->kept_off = nodeset_subtract(&all, &f->before);
        if (nodeset_is_empty(&f->before) || nodeset_is_empty(&f->kept_off))
                f->kept_off = f->pools->cdm;
}

void fence_go_on(Fence *f)
{
        if (f->phase != PHASE_WAIT || !fence_checks_are_idle(f))
                return;
        if (f->lifting)
                fence_step_reset(f);
        else
                fence_step_scan(f);
}

static int start(Fence *f, bool lifting, const Config *config, const PoolSet *pools, fence_done_t done,
                 void *userdata)
{
        if (f->phase != PHASE_IDLE)
                return -EBUSY;
        f->lifting = lifting;
        f->reloaded = f->narrowed = f->foreign_done = false;
        f->config = config;
        f->pools = pools;
        f->n_todo = SIZE_MAX;
        f->done = done;
        f->userdata = userdata;
        f->phase = PHASE_WAIT;
        remember_before(f);
        foreign_set_policy(f->context.foreign, &pools->ordinary, lifting ? &(NodeSet){ 0 } : &pools->cdm);
        fence_checks_hold(f);
        return 0;
}

int fence_close(Fence *f, const Config *config, const PoolSet *pools, fence_done_t done, void *userdata)
{
        int r;

        if (nodeset_is_empty(&pools->ordinary))
                return -ENOSPC;
        r = start(f, false, config, pools, done, userdata);
        if (r < 0)
                return r;
        f->state = FENCE_CLOSING;
        fence_go_on(f);
        return 0;
}

void fence_use(Fence *f, const Config *config, const PoolSet *pools)
{
        if (!f->pools)
                return;
        f->config = config;
        f->pools = pools;
}

int fence_lift(Fence *f, const PoolSet *pools, fence_done_t done, void *userdata)
{
        int r = start(f, true, NULL, pools, done, userdata);

        if (r < 0)
                return r;
        fence_go_on(f);
        return 0;
}

bool fence_is_there(const Fence *f)
{
        NodeSet ordinary = fence_ordinary_in_force(f);

        return f->state != FENCE_OPEN || !nodeset_is_empty(&ordinary);
}

FenceState fence_state(const Fence *f)
{
        return f->state;
}

bool fence_enabled_cpuset(const Fence *f)
{
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s" CDM_FLAG_CPUSET, f->context.root) < 0) {
                path = NULL;
                return false;
        }
        return access(path, F_OK) == 0;
}

const Unfenced *fence_unfenced(const Fence *f, size_t *ret_n)
{
        *ret_n = f->n_unfenced;
        return f->unfenced;
}

bool fence_is_untold(const Fence *f)
{
        return f->untold;
}

uint64_t fence_intruder_bytes_drained(const Fence *f)
{
        return f->drained_bytes;
}
