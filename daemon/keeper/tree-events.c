/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is heard of the cgroup tree, and who is told. Where not all of it can be watched, drift.c looks at
 * everything from time to time instead; else nothing wakes up while nothing happens. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/keeper/drift.h"
#include "daemon/kernel/cgroup-watch.h"
#include "daemon/kernel/owner.h"
#include "daemon/loop/log.h"
#include "daemon/tenant/manager.h"
#include "policy/warning.h"

#define GRACE_USEC (UINT64_C(2) * 1000 * 1000)
#define PORTION    64 /* cgroups that are looked at before the event loop goes on */

/* A cgroup that appeared, and is looked at when systemd has fenced it. */
struct FreshCgroup {
        Manager *manager;
        uint64_t due_usec;
        FreshCgroup *prev, *next;
        char path[];
};

static void start_grace(Manager *m);

static void check(Manager *m, const char *path, bool is_new)
{
        int r = fence_check(m->fence, path, manager_monotonic_usec(), is_new);

        if (r < 0)
                log_error("cannot look at %s: %s; `cdmctl reload` looks at all control groups", path,
                          strerror(-r));
}

static void fresh_free(FreshCgroup *f)
{
        DL_DELETE(f->manager->fresh, f);
        free(f);
}

/* As after a write, which tells why; then what that leaves alone, as slices. */
static void fresh_look(Manager *m)
{
        uint64_t now = manager_monotonic_usec();

        for (size_t n = 0; m->fresh && m->fresh->due_usec <= now && n < PORTION; n++) {
                FreshCgroup *f = m->fresh;

                drift_leaf(m->drift, f->path, true);
                fresh_free(f);
        }
}

static int on_grace(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;

        m->grace = sd_event_source_disable_unref(m->grace);
        fresh_look(m);
        if (m->fresh)
                start_grace(m);
        return 0;
}

static void start_grace(Manager *m)
{
        if (m->grace)
                return;
        int r = sd_event_add_time(m->event, &m->grace, CLOCK_MONOTONIC, m->fresh->due_usec, GRACE_USEC / 2,
                                  on_grace, m);
        if (r < 0)
                log_error("cannot set a timer: %s; `cdmctl reload` looks at all control groups",
                          strerror(-r));
}

static void fresh_add(Manager *m, const char *path)
{
        size_t n = strlen(path);
        FreshCgroup *f = calloc(1, sizeof(*f) + n + 1);

        if (!f) {
                log_error("cannot look at %s: %s; `cdmctl reload` looks at all control groups", path,
                          strerror(ENOMEM));
                return;
        }
        f->manager = m;
        f->due_usec = manager_monotonic_usec() + GRACE_USEC;
        memcpy(f->path, path, n + 1);
        DL_APPEND(m->fresh, f);
        start_grace(m);
}

/* systemd makes a cgroup, and fences it before it puts anybody in: that must be done when it is looked at. Not
 * all that has the name of a unit is systemd's, of which it is asked. */
static void on_created(Manager *m, const char *path)
{
        if (owner_top(path) > 0) {
                check(m, path, true);
                return;
        }
        manager_owner_ask(m, path);
        fresh_add(m, path);
}

static void on_removed(Manager *m, const char *path)
{
        int r = 0;

        owner_forget(path);
        if (ledger_tenant_count(m->ledger, path) > 0)
                r = manager_check_unit(m, path, false, NULL);
        if (r < 0)
                log_error("cannot look at %s, which was removed: %s", path, strerror(-r));
}

static void on_watch(WatchEvent event, const char *path, void *userdata)
{
        Manager *m = userdata;

        switch (event) {
        case WATCH_CREATED:
                on_created(m, path);
                break;
        case WATCH_REMOVED:
                on_removed(m, path);
                break;
        case WATCH_MEMS_WRITTEN:
                /* What a foreign cgroup shall have depends on those below it as well. */
                if (owner_top(path) > 0 && ledger_tenant_count(m->ledger, path) == 0)
                        check(m, path, false);
                else
                        drift_leaf(m->drift, path, false);
                break;
        case WATCH_LOST:
                drift_look(m->drift);
                break;
        case WATCH_CONTROLLERS_WRITTEN:
                if (owner_top(path) > 0)
                        break;
                if (foreign_is_in_slices(m->foreign))
                        check(m, path, false);
                if (!path[1] || owner_name_is_slice(path, strlen(path)))
                        drift_slice(m->drift, path);
                break;
        default:
                break;
        }
}

void manager_watch_cgroups(Manager *m, bool wanted)
{
        if (!wanted) {
                manager_watch_free(m);
                return;
        }
        if (m->watch)
                return;
        int r = watch_new(m->event, on_watch, m, &m->watch);
        drift_watched(m->drift, true, m->watch);
        if (r < 0)
                manager_warn(
                        m, WARNING_CGROUPS_UNWATCHED,
                        "changes to control groups cannot be watched: %s; they are looked at every minute "
                        "instead; more inotify instances (`sysctl fs.inotify.max_user_instances`) and a "
                        "restart of cdmd help",
                        strerror(-r));
}

void manager_watch_free(Manager *m)
{
        drift_watched(m->drift, false, NULL);
        m->watch = watch_free(m->watch);
        m->grace = sd_event_source_disable_unref(m->grace);
        manager_owner_free(m);
        while (m->fresh)
                fresh_free(m->fresh);
}
