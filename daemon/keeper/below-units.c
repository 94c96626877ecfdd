/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A worker runs the passes, and adds an inotify watch for everything that it reads. Any event triggers one
 * pass over everything; an event during a pass triggers one more pass after it. The writes of a pass trigger
 * another pass, which finds nothing to do. Users cannot cause events, because root owns the directories. */

#include "daemon/keeper/below-units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>
#include <utlist.h>

#include "daemon/fence/subtenant.h"
#include "daemon/keeper/drift.h"
#include "daemon/loop/clock.h"
#include "daemon/loop/log.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/unit-check.h"

#define EVENT_BYTES 4096

/* One pass. It outlives the BelowUnits if that is freed during the pass; owner is NULL then. */
typedef struct Look {
        BelowUnits *owner;
        SubtenantFound found;
} Look;

struct BelowUnits {
        Book *book;
        Fence *fence;
        UnitChecks *unit_checks;
        void (*repaired)(const FenceRepair *repair, void *userdata);
        void *userdata;
        int fd;
        sd_event_source *io;
        Job *job;
        Look *look; /* NULL: no pass is running */
        bool again;
        uint64_t n_looks; /* passes that have begun */
        uint64_t since_usec;
        char *told; /* the error of the last pass; NULL: none */
        BelowWait *waits;
};

struct BelowWait {
        BelowUnits *owner; /* NULL: already freed */
        uint64_t look;     /* number of the first pass whose end completes the wait */
        void (*done)(void *userdata);
        void *userdata;
        BelowWait *prev, *next;
};

static int below_run_look(Job *job _unused_, void *userdata)
{
        Look *l = userdata;

        return subtenant_fence(&l->found);
}

/* Does not log the same error again after each pass. */
static void tell_wrong(BelowUnits *b, SubtenantFound *found)
{
        if (found->message && (!b->told || strcmp(b->told, found->message) != 0))
                log_error("control groups below a unit cannot be fenced: %s", found->message);
        free(b->told);
        b->told = TAKE_PTR(found->message);
}

static void below_units_report(BelowUnits *b, SubtenantFound *found)
{
        Book *book = b->book;
        FenceRepair repair = { .cgroup = found->cgroup,
                               .nodes = found->nodes,
                               .drained_bytes = found->drained_bytes,
                               .usec = clock_monotonic_usec() - b->since_usec,
                               .is_new = true,
                               .is_open = found->is_open };

        tell_wrong(b, found);
        fence_count_drained(b->fence, found->drained_bytes);
        if (found->cgroup)
                b->repaired(&repair, b->userdata);
        for (size_t i = 0; i < found->n_ended; i++) {
                const char *tenant = found->ended[i];
                int r = ledger_tenant_count(book->ledger, tenant) > 0
                                ? unit_checks_add(b->unit_checks, tenant, false, NULL, NULL)
                                : 0;

                if (r < 0)
                        log_error("cannot check %s after its end: %s", tenant, strerror(-r));
        }
}

/* The list is ordered by pass number. A callback may add a wait, which is then for a later pass. */
static void tell_waits(BelowUnits *b, uint64_t look)
{
        while (b->waits && b->waits->look <= look) {
                BelowWait *w = b->waits;
                void (*done)(void *userdata) = w->done;
                void *data = w->userdata;

                below_wait_free(w);
                done(data);
        }
}

static void below_on_look(int result, void *userdata)
{
        Look *l = userdata;
        BelowUnits *b = l->owner;

        if (b) {
                b->job = NULL;
                b->look = NULL;
                if (result < 0)
                        log_error(
                                "cannot check the control groups below units: %s; `cdmctl reload` tries again",
                                strerror(-result));
                below_units_report(b, &l->found);
                uint64_t ended = b->n_looks;
                if (b->again)
                        below_units_look(b);
                tell_waits(b, ended);
        }
        subtenant_found_clear(&l->found);
        free(l);
}

void below_units_look(BelowUnits *b)
{
        b->again = b->look != NULL;
        if (b->look)
                return;
        Look *l = calloc(1, sizeof(*l));
        int r = l ? 0 : -ENOMEM;

        b->since_usec = clock_monotonic_usec();
        if (l) {
                l->owner = b;
                /* A pass closes nodes, so it goes ahead of all queued drains. */
                r = worker_submit_first(b->book->core->mover, below_run_look, below_on_look, NULL, l,
                                        &b->job);
        }
        if (r >= 0) {
                b->look = l;
                b->n_looks++;
                return;
        }
        free(l);
        log_error("cannot check the control groups below units: %s; `cdmctl reload` tries again",
                  strerror(-r));
}

int below_units_wait(BelowUnits *b, void (*done)(void *userdata), void *userdata, BelowWait **ret)
{
        BelowWait *w = calloc(1, sizeof(*w));

        if (!w)
                return -ENOMEM;
        *w = (BelowWait){ .owner = b, .look = b->n_looks + 1, .done = done, .userdata = userdata };
        DL_APPEND(b->waits, w);
        below_units_look(b);
        *ret = w;
        return 0;
}

BelowWait *below_wait_free(BelowWait *w)
{
        if (w && w->owner)
                DL_DELETE(w->owner->waits, w);
        free(w);
        return NULL;
}

static bool is_of_interest(const struct inotify_event *e)
{
        return e->mask & (IN_ISDIR | IN_Q_OVERFLOW | IN_MODIFY | IN_IGNORED) ||
               (e->len > 0 &&
                (strcmp(e->name, "cpuset.mems") == 0 || strcmp(e->name, "cgroup.subtree_control") == 0));
}

static int below_units_on_io(sd_event_source *source _unused_, int fd, uint32_t revents _unused_,
                             void *userdata)
{
        _Alignas(struct inotify_event) char buffer[EVENT_BYTES];
        BelowUnits *b = userdata;
        ssize_t n = read(fd, buffer, sizeof(buffer));
        bool look = false;

        for (const char *p = buffer; n > 0 && p < buffer + n;) {
                const struct inotify_event *e = (const void *)p;

                p += sizeof(*e) + e->len;
                look |= is_of_interest(e);
        }
        if (look)
                below_units_look(b);
        return 0;
}

int below_units_new(Book *book, Fence *fence, UnitChecks *unit_checks,
                    void (*repaired)(const FenceRepair *repair, void *userdata), void *userdata,
                    BelowUnits **ret)
{
        BelowUnits *b = calloc(1, sizeof(*b));

        if (!b)
                return -ENOMEM;
        *b = (BelowUnits){ .book = book,
                           .fence = fence,
                           .unit_checks = unit_checks,
                           .repaired = repaired,
                           .userdata = userdata,
                           .fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK) };
        int r = b->fd < 0 ? -errno
                          : sd_event_add_io(book->core->event, &b->io, b->fd, EPOLLIN, below_units_on_io, b);
        if (r < 0) {
                below_units_free(b);
                return r;
        }
        subtenant_watch(b->fd);
        *ret = b;
        return 0;
}

BelowUnits *below_units_free(BelowUnits *b)
{
        if (!b)
                return NULL;
        if (b->look) {
                b->look->owner = NULL;
                job_cancel(b->job);
        }
        BelowWait *w, *next;
        DL_FOREACH_SAFE (b->waits, w, next) {
                DL_DELETE(b->waits, w);
                w->owner = NULL;
        }
        sd_event_source_disable_unref(b->io);
        free(b->told);
        subtenant_forget();
        if (b->fd >= 0)
                close(b->fd);
        free(b);
        return NULL;
}
