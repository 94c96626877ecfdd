/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Dispatches events of the cgroup tree. If the tree cannot be watched completely, drift.c also checks
 * everything periodically; otherwise an idle machine causes no wakeups. */

#include "daemon/keeper/tree-events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/keeper/drift.h"
#include "daemon/kernel/cgroup-watch.h"
#include "daemon/kernel/owner.h"
#include "daemon/loop/clock.h"
#include "daemon/loop/log.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/owner-ask.h"
#include "daemon/tenant/unit-check.h"
#include "daemon/tenant/vouches.h"
#include "daemon/tenant/warnings.h"
#include "policy/warning.h"

#define GRACE_USEC (UINT64_C(2) * 1000 * 1000)
#define PORTION    64 /* cgroups that are checked in one iteration of the event loop */

/* A new cgroup, which is checked after a grace period in which systemd fences it. */
typedef struct FreshCgroup FreshCgroup;
struct FreshCgroup {
        uint64_t due_usec;
        FreshCgroup *prev, *next;
        char path[];
};

struct TreeEvents {
        TreeEventsContext context;
        Watch *watch;
        FreshCgroup *fresh; /* ordered by due_usec */
        sd_event_source *grace;
};

static void fresh_start_grace(TreeEvents *t);

static void tree_check(TreeEvents *t, const char *path, bool is_new)
{
        int r = fence_check(t->context.fence, path, clock_monotonic_usec(), is_new);

        if (r < 0)
                log_error("cannot check %s: %s; `cdmctl reload` checks all control groups", path,
                          strerror(-r));
}

static void fresh_free(TreeEvents *t, FreshCgroup *f)
{
        DL_DELETE(t->fresh, f);
        free(f);
}

/* First checks for drift, as for a write, which finds the cause; fence_check() then handles the rest. */
static void fresh_look(TreeEvents *t)
{
        uint64_t now = clock_monotonic_usec();

        for (size_t n = 0; t->fresh && t->fresh->due_usec <= now && n < PORTION; n++) {
                FreshCgroup *f = t->fresh;

                drift_leaf(t->context.drift, f->path, true);
                fresh_free(t, f);
        }
}

static int fresh_on_grace(sd_event_source *source, uint64_t usec, void *userdata)
{
        TreeEvents *t = userdata;

        t->grace = sd_event_source_disable_unref(t->grace);
        fresh_look(t);
        if (t->fresh)
                fresh_start_grace(t);
        return 0;
}

static void fresh_start_grace(TreeEvents *t)
{
        if (t->grace)
                return;
        int r = sd_event_add_time(t->context.book->core->event, &t->grace, CLOCK_MONOTONIC,
                                  t->fresh->due_usec, GRACE_USEC / 2, fresh_on_grace, t);
        if (r < 0)
                log_error("cannot set a timer: %s; `cdmctl reload` checks all control groups", strerror(-r));
}

static void fresh_add(TreeEvents *t, const char *path)
{
        size_t n = strlen(path);
        FreshCgroup *f = calloc(1, sizeof(*f) + n + 1);

        if (!f) {
                log_error("cannot check %s: %s; `cdmctl reload` checks all control groups", path,
                          strerror(ENOMEM));
                return;
        }
        f->due_usec = clock_monotonic_usec() + GRACE_USEC;
        memcpy(f->path, path, n + 1);
        DL_APPEND(t->fresh, f);
        fresh_start_grace(t);
}

/* systemd creates a cgroup, and fences it before it moves a process there, so a unit's cgroup is checked
 * only after a grace period. A cgroup with the name of a unit may still be foreign, so systemd is asked for
 * its owner. */
static void tree_on_created(TreeEvents *t, const char *path)
{
        if (owner_top(path) > 0) {
                tree_check(t, path, true);
                return;
        }
        owner_asks_add(t->context.owner_asks, path);
        fresh_add(t, path);
}

static void tree_on_removed(TreeEvents *t, const char *path)
{
        const Book *book = t->context.book;
        int r = 0;

        owner_forget(path);
        vouches_removed(t->context.vouches, path);
        if (ledger_tenant_count(book->ledger, path) > 0)
                r = unit_checks_add(t->context.unit_checks, path, false, NULL, NULL);
        if (r < 0)
                log_error("cannot check %s, which was removed: %s", path, strerror(-r));
}

static void tree_on_watch(WatchEvent event, const char *path, void *userdata)
{
        TreeEvents *t = userdata;
        const Book *book = t->context.book;

        switch (event) {
        case WATCH_CREATED:
                tree_on_created(t, path);
                break;
        case WATCH_REMOVED:
                tree_on_removed(t, path);
                break;
        case WATCH_MEMS_WRITTEN:
                /* The desired nodes of a foreign cgroup also depend on its descendants. */
                if (owner_top(path) > 0 && ledger_tenant_count(book->ledger, path) == 0)
                        tree_check(t, path, false);
                else
                        drift_leaf(t->context.drift, path, false);
                break;
        case WATCH_LOST:
                drift_look(t->context.drift);
                break;
        case WATCH_CONTROLLERS_WRITTEN:
                /* Without the controller for a moment, all sets below are gone. */
                if (owner_top(path) > 0) {
                        tree_check(t, path, false);
                        break;
                }
                if (foreign_is_in_slices(t->context.foreign))
                        tree_check(t, path, false);
                if (!path[1] || owner_name_is_slice(path, strlen(path)))
                        drift_slice(t->context.drift, path);
                break;
        default:
                break;
        }
}

static void tree_events_stop(TreeEvents *t)
{
        drift_watched(t->context.drift, false, NULL);
        t->watch = watch_free(t->watch);
        t->grace = sd_event_source_disable_unref(t->grace);
        owner_asks_clear(t->context.owner_asks);
        while (t->fresh)
                fresh_free(t, t->fresh);
}

void tree_events_watch(TreeEvents *t, bool wanted)
{
        if (!wanted) {
                tree_events_stop(t);
                return;
        }
        if (t->watch)
                return;
        int r = watch_new(t->context.book->core->event, tree_on_watch, t, &t->watch);
        drift_watched(t->context.drift, true, t->watch);
        if (r < 0)
                warnings_add(
                        t->context.warnings, WARNING_CGROUPS_UNWATCHED,
                        "changes to control groups cannot be watched: %s; they are looked at every minute "
                        "instead; more inotify instances (`sysctl fs.inotify.max_user_instances`) and a "
                        "restart of cdmd help",
                        strerror(-r));
}

int tree_events_new(const TreeEventsContext *context, TreeEvents **ret)
{
        TreeEvents *t = calloc(1, sizeof(*t));

        if (!t)
                return -ENOMEM;
        t->context = *context;
        *ret = t;
        return 0;
}

TreeEvents *tree_events_free(TreeEvents *t)
{
        if (!t)
                return NULL;
        tree_events_stop(t);
        free(t);
        return NULL;
}
