/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is heard of the cgroup tree, and who is told. Where not all of it can be watched, everything is
 * looked at from time to time instead; else nothing wakes up while nothing happens. */

#include <errno.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/manager.h"
#include "daemon/watch.h"

#define RECHECK_USEC (UINT64_C(60) * 1000 * 1000)

static void on_watch(WatchEvent event, const char *path, void *userdata)
{
        Manager *m = userdata;

        switch (event) {
        case WATCH_MEMS_WRITTEN:
                manager_drift_leaf(m, path);
                break;
        case WATCH_LOST:
                manager_drift_look(m);
                break;
        default:
                break;
        }
}

static int on_recheck(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;

        m->recheck = sd_event_source_disable_unref(m->recheck);
        manager_drift_look(m);
        return 0;
}

void manager_watch_recheck(Manager *m)
{
        if (m->recheck || !m->watch_wanted || (m->watch && !watch_is_incomplete(m->watch)))
                return;
        int r = sd_event_add_time_relative(m->event, &m->recheck, CLOCK_MONOTONIC, RECHECK_USEC,
                                           RECHECK_USEC / 4, on_recheck, m);
        if (r < 0)
                log_error("Cannot set a timer to look at all control groups: %s.", strerror(-r));
}

void manager_watch_cgroups(Manager *m, bool wanted)
{
        m->watch_wanted = wanted;
        if (!wanted) {
                manager_watch_free(m);
                return;
        }
        if (m->watch)
                return;
        int r = watch_new(m->event, on_watch, m, &m->watch);
        if (r < 0)
                manager_warn(
                        m,
                        "Changes to control groups cannot be watched: %s. They are looked at every minute "
                        "instead; more inotify instances (`sysctl fs.inotify.max_user_instances`) and a "
                        "restart of cdmd help.",
                        strerror(-r));
}

void manager_watch_free(Manager *m)
{
        m->watch = watch_free(m->watch);
        m->recheck = sd_event_source_disable_unref(m->recheck);
}
