/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Checks the node sets of slices. The set of a slice bounds all units in the slice; the fence leaves slices
 * open and sets no slice. But a slice whose set contains none of the ordinary nodes that its ancestors allow
 * opens every unit in it: if a cgroup has no node in common with its parent, the kernel gives it the nodes
 * of the parent. No set of a unit prevents that, so the slice gets these ordinary nodes in addition to its
 * own nodes.
 *
 * A slice with some ordinary nodes stays as it is. A unit in it whose own set contains none of these nodes
 * gets them.
 *
 * The children of a slice, or of the root, that does not enable the cpuset controller have no sets of their
 * own. A check of all control groups shows whether one of the children is open; closing the fence enables
 * the controller again. If somebody disables it and enables it again, the children have lost their sets: one
 * child without a set is a sign of that, unless it is an exempt unit. (With DisableControllers= systemd sets
 * no nodes for the children, so cdmd closes each new child after it has checked it.) */

#include "daemon/keeper/drift-slice.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "daemon/fence/fence-scan.h"
#include "daemon/fence/fence-way.h"
#include "daemon/fence/fence.h"
#include "daemon/keeper/drift-reason.h"
#include "daemon/keeper/fights.h"
#include "daemon/kernel/cgroup.h"
#include "daemon/kernel/owner.h"
#include "daemon/loop/clock.h"
#include "daemon/loop/log.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "policy/conf-text.h"
#include "policy/word.h"

typedef struct SliceLook SliceLook;

struct SliceLooks {
        Book *book;
        Fence *fence;
        Fights *fights;
        void (*look_at_all)(void *userdata);
        void *userdata;
        SliceLook *all; /* by key */
};

/* It outlives its SliceLooks if that is freed during the job; set is NULL then. */
struct SliceLook {
        SliceLooks *set;
        Job *job;
        char *key; /* the leaf, else the slice with a '/' at its end */
        char *slice;
        char *leaf; /* may be NULL; a leaf in the slice that is open although its own set does not say so */
        NodeSet cdm;
        char **exempt; /* copied from the configuration */
        FenceWay way;
        NodeSet mems;
        bool off; /* the slice does not enable the cpuset controller, or a unit in it has no set */
        bool running, again;
        UT_hash_handle hh;
};

static void slice_look_free(SliceLook *l)
{
        if (l->set)
                HASH_DEL(l->set->all, l);
        fence_way_clear(&l->way);
        conf_words_free(l->exempt);
        free(l->key);
        free(l->slice);
        free(l->leaf);
        free(l);
}

int slice_looks_new(Book *book, Fence *fence, Fights *fights, void (*look_at_all)(void *userdata),
                    void *userdata, SliceLooks **ret)
{
        SliceLooks *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        *s = (SliceLooks){ .book = book,
                           .fence = fence,
                           .fights = fights,
                           .look_at_all = look_at_all,
                           .userdata = userdata };
        *ret = s;
        return 0;
}

SliceLooks *slice_looks_free(SliceLooks *s)
{
        SliceLook *l, *next;

        if (!s)
                return NULL;
        HASH_ITER (hh, s->all, l, next) {
                HASH_DEL(s->all, l);
                l->set = NULL;
                job_cancel(l->job);
        }
        free(s);
        return NULL;
}

static bool slice_accepts_fenced(const char *name, void *userdata)
{
        char *const *exempt = userdata;

        return owner_name_is_unit(name, strlen(name)) &&
               !fence_unit_is_exempt(word_unit_of_name(name), exempt);
}

static bool slice_has_lost_sets(const char *slice, int fd, char **exempt)
{
        _cleanup_free_ char *name = NULL, *path = NULL;
        NodeSet mems;

        if (cgroup_find_child(fd, slice_accepts_fenced, exempt, &name) < 0)
                return false;
        if (asprintf(&path, "%s/%s", slice[1] ? slice : "", name) < 0) {
                path = NULL;
                return false;
        }
        int child = cgroup_open(path, NULL);
        if (child < 0)
                return false;
        bool lost = cgroup_read_mems(child, &mems) >= 0 && nodeset_is_empty(&mems);
        close(child);
        return lost;
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
        l->off = !cgroup_enables_cpuset(fd) || slice_has_lost_sets(l->slice, fd, l->exempt);
        r = cgroup_read_mems(fd, &l->mems);
        close(fd);
        return r == -ENOENT && (l->off || !l->slice[1]) ? 0 : r;
}

static void slice_repair(SliceLooks *s, const char *path, char *reason)
{
        if (!reason) {
                log_error("cannot close %s: %s; `cdmctl reload` tries again", path, strerror(ENOMEM));
                return;
        }
        if (fights_judge(s->fights, PLACE_LEAF, path, reason) == FIGHT_REPAIR) {
                int r = fence_check(s->fence, path, clock_monotonic_usec(), false);

                if (r < 0) {
                        log_error("cannot close %s: %s; `cdmctl reload` tries again", path, strerror(-r));
                        fights_note_failed(s->fights, path);
                }
        }
        free(reason);
}

static char *slice_leaf_reason(const SliceLook *l)
{
        char list[NODESET_STR_MAX], *text;

        if (asprintf(&text, "it has none of the ordinary nodes (%s) that %s allows",
                     nodeset_format(&l->way.room, list), word_unit_of_path(l->slice)) < 0)
                return NULL;
        return text;
}

static void slice_judge(SliceLook *l)
{
        SliceLooks *s = l->set;
        const NodeSet *ordinary = &s->book->pools->ordinary;

        if (l->way.cgroup) {
                slice_repair(s, l->way.cgroup,
                             drift_slice_reason(s->book, word_unit_of_path(l->way.cgroup), &l->way.mems));
                return;
        }
        if (l->off)
                s->look_at_all(s->userdata);
        (void)fights_judge(s->fights, PLACE_LEAF, l->slice, NULL);
        if (l->leaf)
                slice_repair(s, l->leaf, slice_leaf_reason(l));
        else if (!nodeset_is_empty(&l->mems) && !nodeset_is_subset(ordinary, &l->mems))
                s->look_at_all(s->userdata); /* a unit's set may contain none of the slice's nodes */
}

static void slice_look_start(SliceLooks *s, SliceLook *l);

static void slice_look_done(int result, void *userdata)
{
        SliceLook *l = userdata;
        SliceLooks *s = l->set;

        l->running = false;
        if (s && l->again) {
                l->again = false;
                slice_look_start(s, l);
                return;
        }
        if (s && result == -ENOENT)
                fights_forget(s->fights, l->slice);
        else if (s && result < 0)
                log_error("cannot check %s: %s; `cdmctl reload` checks all control groups", l->slice,
                          strerror(-result));
        else if (s && drift_can_look(s->book))
                slice_judge(l);
        else if (s)
                s->look_at_all(s->userdata);
        slice_look_free(l);
}

/* The configuration may change during the job. */
static int slice_copy_exempt(SliceLook *l, char *const *exempt)
{
        size_t n = 0;

        while (exempt && exempt[n])
                n++;
        l->exempt = conf_words_free(l->exempt);
        l->exempt = calloc(n + 1, sizeof(*l->exempt));
        for (size_t i = 0; l->exempt && i < n; i++)
                if (!(l->exempt[i] = strdup(exempt[i])))
                        return -ENOMEM;
        return l->exempt ? 0 : -ENOMEM;
}

static void slice_look_start(SliceLooks *s, SliceLook *l)
{
        int r = slice_copy_exempt(l, s->book->config->exempt);

        fence_way_clear(&l->way);
        l->cdm = s->book->pools->cdm;
        l->mems = NODESET_EMPTY;
        l->off = false;
        if (r >= 0)
                r = worker_submit(s->book->core->worker, slice_look_run, slice_look_done, NULL, l, &l->job);
        if (r < 0) {
                log_error("cannot check %s: %s; `cdmctl reload` checks all control groups", l->slice,
                          strerror(-r));
                slice_look_free(l);
                return;
        }
        l->running = true;
}

/* The leaf alone is a sufficient key, because a leaf is in one slice only. */
static char *slice_key(const char *slice, const char *leaf)
{
        char *key;

        if (leaf)
                return strdup(leaf);
        return slice && asprintf(&key, "%s/", slice) >= 0 ? key : NULL;
}

static void slice_look(SliceLooks *s, char *slice, const char *leaf)
{
        _cleanup_free_ char *key = slice_key(slice, leaf), *owned = slice;
        SliceLook *l = NULL;

        if (key)
                HASH_FIND_STR(s->all, key, l);
        if (l) {
                l->again = true;
                return;
        }
        if (key && slice)
                l = calloc(1, sizeof(*l));
        if (!l) {
                log_error("cannot check a slice: %s; `cdmctl reload` checks all control groups",
                          strerror(ENOMEM));
                return;
        }
        *l = (SliceLook){
                .set = s, .key = TAKE_PTR(key), .slice = TAKE_PTR(owned), .leaf = leaf ? strdup(leaf) : NULL
        };
        HASH_ADD_KEYPTR(hh, s->all, l->key, strlen(l->key), l);
        slice_look_start(s, l);
}

void slice_looks_add(SliceLooks *s, const char *path)
{
        slice_look(s, strdup(path), NULL);
}

void slice_looks_above(SliceLooks *s, const char *leaf)
{
        const char *slash = strrchr(leaf, '/');

        slice_look(s, slash > leaf ? strndup(leaf, (size_t)(slash - leaf)) : strdup("/"), leaf);
}

/* --- CONTROLLERS -------------------------------------------------------------------------------------- */

#define OFF_REASON "it does not enable the cpuset controller"

static void slice_tell_off(Book *book, const char *file, const NodeSet *open)
{
        _cleanup_free_ char *cgroup = strndup(file, (size_t)(strrchr(file, '/') - file));
        bool is_root = file == strrchr(file, '/');
        char nodes[NODESET_STR_MAX];
        Event e = { .kind = EVENT_DRIFT,
                    .cgroup = is_root ? "/" : cgroup,
                    .unit = cgroup && !is_root ? word_unit_of_path(cgroup) : NULL,
                    .nodes = nodeset_format(open, nodes),
                    .reason = OFF_REASON };

        event_emit(book->core->notify, &e,
                   "the nodes %s were open to units in %s: " OFF_REASON
                   "; it is enabled, and the fence closed",
                   nodes, e.unit ? e.unit : "/");
}

bool slice_looks_off(SliceLooks *s, const FenceNames *off)
{
        bool repair = false;

        fights_settle(s->fights, PLACE_CONTROLLERS, off);
        for (size_t i = 0; i < off->n; i++) {
                const char *file = off->names[i];

                if (fights_judge(s->fights, PLACE_CONTROLLERS, file, OFF_REASON) != FIGHT_REPAIR)
                        continue;
                fights_count_repair(s->fights);
                slice_tell_off(s->book, file, &off->sets[i]);
                repair = true;
        }
        return repair;
}
