/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Closes and lifts the fence on a running machine. All work is divided into the steps of one sequence. A
 * step is a job on a worker (reading or writing cgroups, moving pages) or a call to PID 1; the next step
 * starts when it has ended:
 *
 *   close:  SCAN - ASK (whose it is) - DRAIN (leaf by leaf) - PROPERTIES - RESET (one by one) - INSTALL - RELOAD
 *             - READ - JUDGE
 *             JUDGE: all fenced: closed
 *                    else POKE (slice by slice) - READ - JUDGE, as long as that fences more leaves,
 *                    then NARROW leaves that systemd believes to be narrow - TELL - READ - JUDGE, once
 *             - REPORT the leaves that are still open
 *             the first READ begins by fencing foreign cgroups (daemon/fence/foreign.c)
 *   lift:   PROPERTIES - RESET - REMOVE - RELOAD - READ - JUDGE - POKE (as above), NARROW (which widens here)
 *             - READ - JUDGE, once - REPORT
 *
 * If a step fails, REPORT is next.
 *
 * Why READ and POKE: after a reload, systemd 257 knows the new sets of its units, but applies none of them
 * until a unit in the same slice changes. Why NARROW: if the set changes while the controller is already
 * enabled, a poke has no effect; systemd's own set of the unit is then correct, and only the kernel needs
 * the write. Why TELL: systemd's own set is not correct if a drop-in that sorts after cdmd's names CDM
 * nodes. The write of a worker would only last until systemd applies the settings of the unit again, so
 * systemd gets the same value.
 *
 * Between sequences, single cgroups are checked independently (fence-check.c). A sequence starts when no
 * check is at work, and checks that are requested meanwhile wait.
 *
 * A function fence_step_*() starts a step, and the step calls step_ended() at its end. Only
 * fence_phase_after() decides which step is next; no step knows another one.
 *
 * Leaves and properties are judged in slices, a limited number per turn of the event loop. Changes between
 * two slices are not lost: a cgroup that is created or written meanwhile is checked after the sequence,
 * configuration and pools do not change, and each leaf is judged by the ledger of that moment.
 *
 * A step that changes a unit (DRAIN, RESET, NARROW, TELL) takes the turn of that tenant, computes the set when
 * the turn begins, and keeps the turn until the change is made. So a grant or a release of the unit is either
 * in that set, or comes later and has the last word. A step holds one turn at a time. No holder of a turn waits
 * for the fence, but a drain holds the turn for as long as Bandwidth= says. So the steps of a sequence wait
 * FENCE_PATIENCE_USEC in all, and then pass over the units whose turns are taken: such a change ends with a set
 * of its own, and what is open until then is reported. While the fence is lifted, no unit is passed over.
 *
 * This file contains the object, the sequence, its start and its end. fence-read.c: SCAN, READ, POKE;
 * fence-judge.c: JUDGE, REPORT; fence-owner.c: ASK; fence-leaf.c: DRAIN, NARROW, TELL; fence-install.c:
 * PROPERTIES, RESET, INSTALL, RELOAD; fence-job.c: shared functions. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/fence/fence-internal.h"
#include "policy/cdm-names.h"

static const char *const fence_state_names[_FENCE_STATE_MAX] = {
        [FENCE_OPEN] = "open",
        [FENCE_CLOSING] = "closing",
        [FENCE_CLOSED] = "closed",
        [FENCE_LEAKY] = "leaky",
};

const char *fence_state_to_string(FenceState v)
{
        return v >= 0 && v < _FENCE_STATE_MAX ? fence_state_names[v] : NULL;
}

static void fence_clear_sequence(Fence *f)
{
        f->call = unit_call_free(f->call);
        f->turn = turn_free(f->turn);
        if (f->impatience)
                (void)sd_event_source_set_enabled(f->impatience, SD_EVENT_OFF);
        fence_names_clear(&f->names);
        fence_names_clear(&f->written);
        fence_properties_clear(&f->properties);
        fence_scan_clear(&f->scan);
        fence_report_clear(&f->next_report);
}

static void fence_finish(Fence *f)
{
        fence_done_t done = f->done;
        int error = f->error;

        if (error >= 0)
                fence_before_forget(f);
        f->phase = PHASE_IDLE;
        fence_report_clear(&f->report);
        f->report = f->next_report;
        f->next_report = (FenceReport){ 0 };
        fence_scan_clear_later(&f->scan, f->context.worker);
        fence_clear_sequence(f);
        if (error < 0 || f->report.n > 0)
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

/* --- THE SEQUENCE ------------------------------------------------------------------------------------- */

static void (*const fence_steps[_PHASE_MAX])(Fence *f) = {
        [PHASE_SCAN] = fence_step_scan,     [PHASE_ASK] = fence_step_ask,
        [PHASE_DRAIN] = fence_step_drain,   [PHASE_PROPERTIES] = fence_step_properties,
        [PHASE_RESET] = fence_step_reset,   [PHASE_INSTALL] = fence_step_install,
        [PHASE_RELOAD] = fence_step_reload, [PHASE_READ] = fence_step_read,
        [PHASE_JUDGE] = fence_step_judge,   [PHASE_POKE] = fence_step_poke,
        [PHASE_NARROW] = fence_step_narrow, [PHASE_TELL] = fence_step_tell,
        [PHASE_REPORT] = fence_step_report,
};

static FencePhase fence_phase_after_judging(Fence *f)
{
        if (f->n_todo > 0 && f->n_todo < f->poke_below && f->names.n > 0) {
                f->poke_below = f->n_todo;
                return PHASE_POKE;
        }
        /* The files existed already, but systemd has never read them: cdmd was killed before the reload. */
        if (f->n_todo > 0 && !f->reloaded) {
                f->poke_below = SIZE_MAX;
                return PHASE_RELOAD;
        }
        if ((f->n_todo > 0 || f->written.n > 0) && !f->narrowed) {
                f->narrowed = true;
                return PHASE_NARROW;
        }
        return PHASE_REPORT;
}

/* Returns the step after the one that has ended; PHASE_IDLE: none. */
static FencePhase fence_phase_after(Fence *f)
{
        if (f->error < 0 && f->phase != PHASE_REPORT)
                return PHASE_REPORT;
        switch (f->phase) {
        case PHASE_WAIT:
                return f->lifting ? PHASE_PROPERTIES : PHASE_SCAN;
        case PHASE_SCAN:
                return PHASE_ASK;
        case PHASE_ASK:
                return PHASE_DRAIN;
        case PHASE_DRAIN:
                return PHASE_PROPERTIES;
        case PHASE_PROPERTIES:
                return PHASE_RESET;
        case PHASE_RESET:
                return PHASE_INSTALL;
        case PHASE_INSTALL:
                return f->to_reload ? PHASE_RELOAD : PHASE_READ;
        case PHASE_RELOAD:
        case PHASE_POKE:
                return PHASE_READ;
        case PHASE_NARROW:
                return PHASE_TELL;
        case PHASE_TELL:
                f->poke_below = 0; /* no poke after this */
                return PHASE_READ;
        case PHASE_READ:
                return PHASE_JUDGE;
        case PHASE_JUDGE:
                return fence_phase_after_judging(f);
        default:
                return PHASE_IDLE;
        }
}

static void fence_on_step_ended(Fence *f, int error)
{
        if (error < 0)
                f->error = error;
        f->turn = turn_free(f->turn);
        f->phase = fence_phase_after(f);
        f->next = 0;
        if (f->phase == PHASE_IDLE)
                fence_finish(f);
        else
                fence_steps[f->phase](f);
}

static void fence_on_slice(void *userdata)
{
        Fence *f = userdata;

        slice_set(f->slice, false);
        f->n_in_turn = 0;
        fence_steps[f->phase](f);
}

static void fence_on_check_ended(Fence *f)
{
        if (f->phase == PHASE_WAIT && fence_checks_are_idle(f))
                fence_on_step_ended(f, 0);
}

/* --- BEGINNING AND END -------------------------------------------------------------------------------- */

int fence_new(const FenceContext *context, Fence **ret)
{
        Fence *f = calloc(1, sizeof(*f));

        if (!f)
                return -ENOMEM;
        f->context = *context;
        if (!f->context.root)
                f->context.root = "";
        f->step_ended = fence_on_step_ended;
        f->check_ended = fence_on_check_ended;
        int r = slice_new(context->event, fence_on_slice, f, &f->slice);
        if (r >= 0)
                r = slice_new(context->event, fence_checks_on_slice, f, &f->release_slice);
        if (r >= 0)
                r = fence_turns_new(f);
        if (r < 0) {
                fence_free(f);
                return r;
        }
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
        fence_clear_sequence(f);
        fence_report_clear(&f->report);
        slice_free(f->slice);
        slice_free(f->release_slice);
        sd_event_source_disable_unref(f->impatience);
        free(f);
        return NULL;
}

/* Every memory node is in a pool, as an ordinary or a CDM node. */
static void fence_remember_before(Fence *f)
{
        NodeSet all = nodeset_union(&f->pools->ordinary, &f->pools->cdm);

        f->interrupted = fence_before_read(f, &f->before);
        if (!f->interrupted)
                f->before = fence_ordinary_in_force(f);
        f->kept_off = nodeset_subtract(&all, &f->before);
        if (nodeset_is_empty(&f->before) || nodeset_is_empty(&f->kept_off))
                f->kept_off = f->pools->cdm;
}

static int fence_start(Fence *f, bool lifting, const Config *config, const PoolSet *pools, fence_done_t done,
                       void *userdata)
{
        if (f->phase != PHASE_IDLE)
                return -EBUSY;
        f->lifting = lifting;
        f->reloaded = f->narrowed = f->foreign_done = false;
        f->patience_usec = FENCE_PATIENCE_USEC;
        f->config = config;
        f->pools = pools;
        f->n_todo = 0;
        f->error = f->untold_error = 0;
        f->poke_below = SIZE_MAX;
        f->done = done;
        f->userdata = userdata;
        f->phase = PHASE_WAIT;
        fence_remember_before(f);
        foreign_set_policy(f->context.foreign, &pools->ordinary, lifting ? &(NodeSet){ 0 } : &pools->cdm);
        fence_checks_hold(f);
        return 0;
}

int fence_close(Fence *f, const Config *config, const PoolSet *pools, fence_done_t done, void *userdata)
{
        int r;

        if (nodeset_is_empty(&pools->ordinary))
                return -ENOSPC;
        r = fence_start(f, false, config, pools, done, userdata);
        if (r < 0)
                return r;
        f->state = FENCE_CLOSING;
        fence_on_check_ended(f);
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
        int r = fence_start(f, true, NULL, pools, done, userdata);

        if (r < 0)
                return r;
        fence_on_check_ended(f);
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
        *ret_n = f->report.n;
        return f->report.unfenced;
}

bool fence_is_untold(const Fence *f)
{
        return f->untold;
}

uint64_t fence_intruder_bytes_drained(const Fence *f)
{
        return f->drained_bytes;
}

void fence_count_drained(Fence *f, uint64_t bytes)
{
        f->drained_bytes += bytes;
}

uint64_t fence_intruder_bytes_untold(const Fence *f)
{
        return f->drained_bytes > f->told_bytes ? f->drained_bytes - f->told_bytes : 0;
}

void fence_intruders_were_told(Fence *f, uint64_t bytes)
{
        f->told_bytes += bytes;
}
