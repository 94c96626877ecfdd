/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Watches the cgroup tree with inotify: cgroups that are created or removed, and writes to their files.
 * There is one watch per cgroup. Cgroups below a cgroup that another user owns, or that systemd delegated,
 * are not watched. Without events there are no wake-ups. */

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "policy/macro.h"

typedef enum WatchEvent {
        WATCH_CREATED,
        WATCH_REMOVED,
        WATCH_MEMS_WRITTEN,        /* cpuset.mems was written, perhaps by cdmd itself */
        WATCH_CONTROLLERS_WRITTEN, /* cgroup.subtree_control was written: the controllers of the children */
        /* Events were lost: scan everything. Creations and removals are still reported, writes are not. path
         * is "/". */
        WATCH_LOST,
        _WATCH_EVENT_MAX,
} WatchEvent;

const char *watch_event_to_string(WatchEvent v);

typedef struct Watch Watch;

/* path: below the cgroup root, starts with '/'. A removed cgroup may exist again with the same name, and a
 * created cgroup may be gone. Must not free the Watch. */
typedef void (*watch_event_cb)(WatchEvent event, const char *path, void *userdata);

/* Existing cgroups are not reported. A small tree is scanned before this returns, so a caller that reads the
 * tree afterwards misses nothing. The rest of a large tree is scanned by the event loop in portions. After
 * that, WATCH_LOST is reported once, because earlier events were not reported. -EMFILE:
 * fs.inotify.max_user_instances is used up. */
int watch_new(sd_event *event, watch_event_cb cb, void *userdata, Watch **ret);
Watch *watch_free(Watch *w);
DEFINE_CLEANUP(Watch, watch_free);

/* The number of watched cgroups. */
size_t watch_count(const Watch *w);
/* True if a cgroup could not be watched: there are too many, or fs.inotify.max_user_watches is used up. */
bool watch_is_incomplete(const Watch *w);
