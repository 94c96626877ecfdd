/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What slices allow. The set of a slice bounds all units in it; the fence leaves slices open and sets none. But
 * a slice whose set has none of the ordinary nodes that those above it allow opens every unit in it: the
 * kernel gives a cgroup the nodes of its parent where it has none in common with it. No set of a unit closes
 * that, so the slice gets these ordinary nodes as well, and keeps those that it was given.
 *
 * A slice with some ordinary nodes stays as it is. A unit whose own set has none of them gets them.
 *
 * A slice, or the root, that does not enable the cpuset controller leaves those in it without sets of their
 * own. Whether somebody in it is open then shows in a look at everything; closing the fence enables it
 * again. (With DisableControllers= systemd sets nothing for those in it: each new one is closed when it has
 * been looked at.) */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "daemon/fence/fence-way.h"
#include "daemon/kernel/cgroup.h"
#include "daemon/loop/log.h"
#include "daemon/tenant/manager.h"

/* It outlives the Manager when that ends meanwhile: then manager is NULL. */
struct SliceLook {
        Manager *manager;
        Job *job;
        char *key; /* the leaf, else the slice with a '/' at its end */
        char *slice;
        char *leaf; /* NULL; or that is open, and its own set does not say so */
        NodeSet cdm;
        FenceWay way;
        NodeSet mems;
        bool off; /* it does not enable the controller */
        bool running, again;
        UT_hash_handle hh;
};

static void slice_look_free(SliceLook *l)
{
        if (l->manager)
                HASH_DEL(l->manager->slice_looks, l);
        fence_way_clear(&l->way);
        free(l->key);
        free(l->slice);
        free(l->leaf);
        free(l);
}

static int slice_look_run(Job *job, void *userdata)
{
        SliceLook *l = userdata;
        int r = fence_way_read(l->slice, true, &l->cdm, &l->way), fd;

        if (r < 0 || l->way.cgroup)
                return r;
        fd = cgroup_open(l->slice, NULL);
        if (fd < 0)
                return fd;
        l->off = !cgroup_enables_cpuset(fd);
        r = cgroup_read_mems(fd, &l->mems);
        close(fd);
        return r == -ENOENT && (l->off || !l->slice[1]) ? 0 : r;
}

static void slice_repair(Manager *m, const char *path, char *reason)
{
        if (!reason) {
                log_error("cannot close %s: %s; `cdmctl reload` tries again", path, strerror(ENOMEM));
                return;
        }
        if (manager_place_look(m, PLACE_LEAF, path, reason) == FIGHT_REPAIR) {
                int r = fence_check(m->fence, path, manager_monotonic_usec(), false);

                if (r < 0) {
                        log_error("cannot close %s: %s; `cdmctl reload` tries again", path, strerror(-r));
                        manager_place_failed(m, path);
                }
        }
        free(reason);
}

static char *slice_reason(Manager *m, const FenceWay *way)
{
        _cleanup_free_ char *what = manager_drift_reason(m, strrchr(way->cgroup, '/') + 1, &way->mems);
        char *text;

        if (!what || asprintf(&text, "it leaves no ordinary node to what is in it: %s", what) < 0)
                return NULL;
        return text;
}

static char *leaf_reason(const SliceLook *l)
{
        char list[NODESET_STR_MAX], *text;

        if (asprintf(&text, "it has none of the ordinary nodes (%s) that %s allows",
                     nodeset_format(&l->way.room, list), strrchr(l->slice, '/') + 1) < 0)
                return NULL;
        return text;
}

static void slice_judge(SliceLook *l)
{
        Manager *m = l->manager;

        if (l->way.cgroup) {
                slice_repair(m, l->way.cgroup, slice_reason(m, &l->way));
                return;
        }
        if (l->off)
                manager_drift_look(m);
        (void)manager_place_look(m, PLACE_LEAF, l->slice, NULL);
        if (l->leaf)
                slice_repair(m, l->leaf, leaf_reason(l));
        else if (!nodeset_is_empty(&l->mems) && !nodeset_is_subset(&m->pools->ordinary, &l->mems))
                manager_drift_look(m); /* units in it may have none of these */
}

static void slice_look_start(Manager *m, SliceLook *l);

static void slice_look_done(int result, void *userdata)
{
        SliceLook *l = userdata;
        Manager *m = l->manager;

        l->running = false;
        if (m && l->again) {
                l->again = false;
                slice_look_start(m, l);
                return;
        }
        if (m && result == -ENOENT)
                manager_place_forget(m, l->slice);
        else if (m && result < 0)
                log_error("cannot look at %s: %s; `cdmctl reload` looks at all control groups", l->slice,
                          strerror(-result));
        else if (m && manager_drift_can_look(m))
                slice_judge(l);
        slice_look_free(l);
}

static void slice_look_start(Manager *m, SliceLook *l)
{
        fence_way_clear(&l->way);
        l->cdm = m->pools->cdm;
        l->mems = NODESET_EMPTY;
        l->off = false;
        int r = worker_submit(m->worker, slice_look_run, slice_look_done, NULL, l, &l->job);
        if (r < 0) {
                log_error("cannot look at %s: %s; `cdmctl reload` looks at all control groups", l->slice,
                          strerror(-r));
                slice_look_free(l);
                return;
        }
        l->running = true;
}

/* A leaf is in one slice. */
static char *slice_key(const char *slice, const char *leaf)
{
        char *key;

        if (leaf)
                return strdup(leaf);
        return slice && asprintf(&key, "%s/", slice) >= 0 ? key : NULL;
}

static void slice_look(Manager *m, char *slice, const char *leaf)
{
        _cleanup_free_ char *key = slice_key(slice, leaf), *owned = slice;
        SliceLook *l = NULL;

        if (key)
                HASH_FIND_STR(m->slice_looks, key, l);
        if (l) {
                l->again = true;
                return;
        }
        if (key && slice)
                l = calloc(1, sizeof(*l));
        if (!l) {
                log_error("cannot look at a slice: %s; `cdmctl reload` looks at all control groups",
                          strerror(ENOMEM));
                return;
        }
        *l = (SliceLook){ .manager = m,
                          .key = TAKE_PTR(key),
                          .slice = TAKE_PTR(owned),
                          .leaf = leaf ? strdup(leaf) : NULL };
        HASH_ADD_KEYPTR(hh, m->slice_looks, l->key, strlen(l->key), l);
        slice_look_start(m, l);
}

void manager_drift_slice(Manager *m, const char *path)
{
        slice_look(m, strdup(path), NULL);
}

void manager_drift_above(Manager *m, const char *leaf)
{
        const char *slash = strrchr(leaf, '/');

        slice_look(m, slash > leaf ? strndup(leaf, (size_t)(slash - leaf)) : strdup("/"), leaf);
}

/* --- CONTROLLERS -------------------------------------------------------------------------------------- */

#define OFF_REASON "it does not enable the cpuset controller"

static void tell_off(Manager *m, const char *file, const NodeSet *open)
{
        _cleanup_free_ char *cgroup = strndup(file, (size_t)(strrchr(file, '/') - file));
        bool is_root = file == strrchr(file, '/');
        char nodes[NODESET_STR_MAX];
        Event e = { .kind = EVENT_DRIFT,
                    .cgroup = is_root ? "/" : cgroup,
                    .unit = cgroup && !is_root ? strrchr(cgroup, '/') + 1 : NULL,
                    .nodes = nodeset_format(open, nodes),
                    .reason = OFF_REASON };

        event_emit(m->notify, &e,
                   "the nodes %s were open to units in %s: " OFF_REASON
                   "; it is enabled, and the fence closed",
                   nodes, e.unit ? e.unit : "/");
}

bool manager_drift_off(Manager *m, const FenceNames *off)
{
        bool repair = false;

        manager_places_settle(m, PLACE_CONTROLLERS, off);
        for (size_t i = 0; i < off->n; i++) {
                const char *file = off->names[i];

                if (manager_place_look(m, PLACE_CONTROLLERS, file, OFF_REASON) != FIGHT_REPAIR)
                        continue;
                m->n_drift_repaired++;
                tell_off(m, file, &off->sets[i]);
                repair = true;
        }
        return repair;
}

void manager_slice_looks_free(Manager *m)
{
        SliceLook *l, *next;

        HASH_ITER (hh, m->slice_looks, l, next) {
                HASH_DEL(m->slice_looks, l);
                l->manager = NULL;
                job_cancel(l->job);
        }
}
