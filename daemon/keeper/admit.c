/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*   READ the cgroup, on a worker
 *     the call vouches for the tenant: once, IDENTIFY the tenant, SPEAK (speaker.h), and READ again
 *     below a unit with subtenants: once, WAIT for a pass over everything below such units, and READ again
 *     only promised nodes are open: done
 *     else: trigger the fence for this cgroup, and after a PAUSE, which grows, READ again
 *
 * Below such a unit it is not enough that no node is open: the next write of the unit's manager to the
 * parent could open a cgroup that has no set of its own. A separate timer enforces the caller's timeout. */

#include "daemon/keeper/admit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/fence/fence-scan.h"
#include "daemon/fence/fence.h"
#include "daemon/fence/subtenant.h"
#include "daemon/keeper/below-units.h"
#include "daemon/loop/answer.h"
#include "daemon/loop/clock.h"
#include "daemon/machine/process.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/request.h"
#include "daemon/tenant/speaker.h"
#include "policy/cdm-names.h"

#define PAUSE_FIRST_USEC (UINT64_C(5) * 1000)
#define PAUSE_MAX_USEC   (UINT64_C(80) * 1000)

/* The data that the worker uses. It outlives the Admit if the Admit is freed during the read; owner is NULL
 * then. */
typedef struct AdmitRead {
        Admit *owner;
        char *root, *path;
        int pidfd; /* -EBADF: path is given */
        NodeSet cdm;
        FenceLeaf leaf;
        bool is_below_unit;
        NodeSet promised; /* if is_below_unit */
} AdmitRead;

struct Admit {
        const AdmitContext *context;
        RequestArgs args;
        bool has_spoken; /* or the call does not vouch for anything */
        IdentityLookup *lookup;
        Identity *identity;
        Speaking *speaking;
        char *path; /* NULL: not known yet */
        int pidfd;
        uint64_t id; /* 0: not known yet */
        Job *job;
        AdmitRead *read;
        BelowWait *wait;
        bool was_looked_at; /* a pass has ended since the call began, or since the cgroup was found open */
        sd_event_source *pause, *deadline;
        uint64_t pause_usec;
        admit_done_t done;
        void *userdata;
};

static void admit_read_free(AdmitRead *l)
{
        fence_leaf_clear(&l->leaf);
        if (l->pidfd >= 0)
                close(l->pidfd);
        free(l->root);
        free(l->path);
        free(l);
}

Admit *admit_free(Admit *a)
{
        if (!a)
                return NULL;
        if (a->read) {
                a->read->owner = NULL;
                job_cancel(a->job);
        }
        identity_lookup_free(a->lookup);
        speaking_free(a->speaking);
        identity_free(a->identity);
        request_args_clear(&a->args);
        below_wait_free(a->wait);
        sd_event_source_disable_unref(a->pause);
        sd_event_source_disable_unref(a->deadline);
        if (a->pidfd >= 0)
                close(a->pidfd);
        free(a->path);
        free(a);
        return NULL;
}

static int admit_run_read(Job *job _unused_, void *userdata)
{
        AdmitRead *l = userdata;
        pid_t pid;
        int r = 0;

        if (!l->path) {
                r = process_of_pidfd(l->pidfd, &pid);
                if (r >= 0)
                        r = process_cgroup(l->root, pid, &l->path);
                if (r >= 0 && !process_is_alive(l->pidfd))
                        r = -ESRCH;
        }
        if (r >= 0 && !l->path[1])
                r = -ENOENT;
        if (r < 0)
                return r;
        l->is_below_unit = subtenant_promised(l->path, &l->promised);
        return fence_leaf_read(l->path, &l->cdm, &l->leaf);
}

static void admit_refuse(Admit *a, const char *error, const char *text)
{
        Answer answer = { error, text };

        a->done(&answer, 0, &NODESET_EMPTY, a->userdata);
}

static void admit_fail(Admit *a, int error)
{
        if (error == -EINVAL)
                admit_refuse(a, CDM_ERROR_INVALID, "neither the path of a control group nor a pidfd");
        else if ((error == -ENOENT || error == -ESRCH || error == -ENODATA) && a->id != 0)
                admit_refuse(a, CDM_ERROR_STALE,
                             "the control group was removed; call again for the one that replaced it");
        else if (error == -ENOENT || error == -ESRCH || error == -ENODATA)
                admit_refuse(
                        a, CDM_ERROR_NO_SUCH_TARGET,
                        "there is no such control group or process, or it is the root control group, which "
                        "cannot be fenced");
        else
                admit_refuse(a, SD_BUS_ERROR_FAILED, strerror(-error));
}

static void admit_look(Admit *a);

static int admit_on_pause_over(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
        Admit *a = userdata;

        a->pause = sd_event_source_disable_unref(a->pause);
        admit_look(a);
        return 0;
}

static int admit_on_time_over(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
        admit_refuse(
                userdata, CDM_ERROR_TIMEOUT,
                "the control group was not fenced in that time; `cdmctl status` shows what is in the way");
        return 0;
}

static void admit_on_looked_below(void *userdata)
{
        Admit *a = userdata;

        a->wait = NULL;
        admit_look(a);
}

static void admit_on_spoken(const Answer *said, void *userdata)
{
        Admit *a = userdata;

        if (said->error) {
                admit_refuse(a, said->error, said->text);
                return;
        }
        a->speaking = speaking_free(a->speaking);
        a->identity = identity_free(a->identity);
        admit_look(a);
}

static void admit_on_identity(IdentityVerdict verdict, const char *message, Identity *identity,
                              void *userdata)
{
        Admit *a = userdata;

        if (verdict != IDENTITY_OK) {
                admit_refuse(a, request_identity_error(verdict), message);
                return;
        }
        a->lookup = identity_lookup_free(a->lookup);
        a->identity = identity;
        int r = speaking_start(a->context->book->core, a->context->vouches, identity, &a->args, false,
                               admit_on_spoken, a, &a->speaking);
        if (r < 0)
                admit_fail(a, r);
}

/* Identifies the tenant by the path that was read, because the process may belong to any user. */
static int admit_speak(Admit *a)
{
        IdentityQuery query = { .kind = TARGET_CGROUP, .cgroup = a->path, .pidfd = -EBADF };

        a->has_spoken = true;
        return identity_start(a->context->book->core->identity_context, a->args.client, &query,
                              admit_on_identity, a, &a->lookup);
}

/* Triggers the fence, and sets the timer for the next read. Below a unit, admit_judge() triggers the
 * pass. */
static int admit_pause(Admit *a, bool is_below_unit)
{
        Book *book = a->context->book;
        int r = is_below_unit ? 0 : fence_check(a->context->fence, a->path, clock_monotonic_usec(), true);

        a->was_looked_at = false;
        if (r >= 0)
                r = sd_event_add_time_relative(book->core->event, &a->pause, CLOCK_MONOTONIC, a->pause_usec,
                                               1000, admit_on_pause_over, a);
        if (a->pause_usec < PAUSE_MAX_USEC)
                a->pause_usec *= 2;
        return r;
}

/* The CDM nodes that are open to the cgroup but not promised to it. */
static NodeSet admit_open(const Admit *a, const AdmitRead *l)
{
        const Book *book = a->context->book;
        NodeSet promised = l->promised, open;

        if (l->is_below_unit) {
                open = nodeset_intersect(&l->leaf.effective, &book->pools->cdm);
                return nodeset_subtract(&open, &promised);
        }
        open = fence_leaf_open(&l->leaf, book->config, book->pools, book->ledger);
        if (l->leaf.unit)
                return open;
        promised = foreign_nodes(a->context->foreign, a->path);
        return nodeset_subtract(&open, &promised);
}

static void admit_judge(Admit *a, const AdmitRead *l)
{
        Book *book = a->context->book;
        NodeSet nodes = nodeset_intersect(&l->leaf.effective, &book->pools->cdm), open = admit_open(a, l);
        bool is_enforced = book->config->mode == FENCE_MODE_ENFORCE;
        const Answer good = { 0 };
        int r = 0;

        if (a->id != 0 && l->leaf.id != a->id) {
                admit_refuse(a, CDM_ERROR_STALE,
                             "another control group has that path now; call again for that one");
                return;
        }
        a->id = l->leaf.id;
        if (is_enforced && fence_leaf_is_slice(&l->leaf))
                admit_refuse(a, CDM_ERROR_NO_SUCH_TARGET,
                             "slices carry no fence: name a unit in it, or a control group below it");
        else if (!a->has_spoken)
                r = admit_speak(a);
        else if (is_enforced && l->is_below_unit && !a->was_looked_at) {
                a->was_looked_at = true;
                r = below_units_wait(a->context->below_units, admit_on_looked_below, a, &a->wait);
        } else if (is_enforced && !nodeset_is_empty(&open))
                r = admit_pause(a, l->is_below_unit);
        else
                a->done(&good, a->id, &nodes, a->userdata);
        if (r < 0)
                admit_fail(a, r);
}

static void admit_on_read(int result, void *userdata)
{
        AdmitRead *l = userdata;
        Admit *a = l->owner;

        if (a) {
                a->job = NULL;
                a->read = NULL;
                if (!a->path)
                        a->path = TAKE_PTR(l->path);
                if (result < 0)
                        admit_fail(a, result);
                else
                        admit_judge(a, l);
        }
        admit_read_free(l);
}

static int admit_read_start(Admit *a)
{
        Book *book = a->context->book;
        AdmitRead *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return -ENOMEM;
        *l = (AdmitRead){ .owner = a, .pidfd = -EBADF, .cdm = book->pools->cdm };
        r = string_copy(book->core->root, &l->root);
        if (r >= 0)
                r = string_copy(a->path, &l->path);
        if (r >= 0 && !a->path && (l->pidfd = fcntl(a->pidfd, F_DUPFD_CLOEXEC, 3)) < 0)
                r = -errno;
        if (r >= 0)
                r = worker_submit(book->core->worker, admit_run_read, admit_on_read, NULL, l, &a->job);
        if (r < 0)
                admit_read_free(l);
        else
                a->read = l;
        return r;
}

static void admit_look(Admit *a)
{
        int r = admit_read_start(a);

        if (r < 0)
                admit_fail(a, r);
}

int admit_start(const AdmitContext *context, AdmitArgs *args, admit_done_t done, void *userdata, Admit **ret)
{
        Admit *a = calloc(1, sizeof(*a));

        if (!a)
                return -ENOMEM;
        *a = (Admit){ .context = context,
                      .args = args->request,
                      .has_spoken = !vouch_words_need_permission(&args->request.words),
                      .pidfd = -EBADF,
                      .pause_usec = PAUSE_FIRST_USEC,
                      .done = done,
                      .userdata = userdata };
        args->request = (RequestArgs){ .target.pidfd = -EBADF };
        int r = string_copy(a->args.cgroup, &a->path);
        if (r >= 0 && !a->path && (a->pidfd = fcntl(a->args.target.pidfd, F_DUPFD_CLOEXEC, 3)) < 0)
                r = -errno;
        if (r >= 0)
                r = sd_event_add_time_relative(a->context->book->core->event, &a->deadline, CLOCK_MONOTONIC,
                                               args->timeout_usec, 1000, admit_on_time_over, a);
        if (r >= 0)
                r = admit_read_start(a);
        if (r < 0)
                admit_free(a);
        else
                *ret = a;
        return r;
}
