/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What happens in the cgroup tree, by inotify: cgroups that come and go, and who writes to their files. One
 * watch a cgroup; below those that others own, or systemd delegated,
 * nothing is watched. While nothing happens, nothing
 * wakes up. */

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "policy/macro.h"

typedef enum WatchEvent {
        WATCH_CREATED,
        WATCH_REMOVED,
        WATCH_MEMS_WRITTEN,        /* somebody, perhaps cdmd itself, wrote its cpuset.mems */
        WATCH_CONTROLLERS_WRITTEN, /* likewise cgroup.subtree_control: what its children have */
        WATCH_LOST, /* too much happened at once: look at everything. What came or went is told all the same,
                     * what was written is not. path is "/". */
        _WATCH_EVENT_MAX,
} WatchEvent;

const char *watch_event_to_string(WatchEvent v);

typedef struct Watch Watch;

/* path: below the cgroup root, starts with '/'. A cgroup that was removed may be there again under the same
 * name, and one that was created may be gone. Must not free the Watch. */
typedef void (*watch_event_cb)(WatchEvent event, const char *path, void *userdata);

/* Nothing is told of the tree as it is now. A small one is looked at before this returns: whoever reads the tree
 * afterwards misses nothing. Of a large one the rest is looked at by the event loop, in portions; then
 * WATCH_LOST is told once, because until then nothing was. -EMFILE: fs.inotify.max_user_instances is used up. */
int watch_new(sd_event *event, watch_event_cb cb, void *userdata, Watch **ret);
Watch *watch_free(Watch *w);
DEFINE_CLEANUP(Watch, watch_free);

/* How many cgroups are watched. */
size_t watch_count(const Watch *w);
/* Some cgroup could not be watched: there are too many, or fs.inotify.max_user_watches is used up. */
bool watch_is_incomplete(const Watch *w);
