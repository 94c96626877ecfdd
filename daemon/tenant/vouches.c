/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A vouch is found by the path of its cgroup. The inode shows whether it is still the same cgroup, because
 * the kernel does not use an inode twice before the next boot. So a vouch for a cgroup that was removed
 * never counts. It is forgotten when an event reports the removal, when another cgroup is found at the path,
 * or in a sweep over all vouches, which runs if there are many.
 *
 * A worker checks whether cgroups still exist. */

#include "daemon/tenant/vouches.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>
#include <utlist.h>

#include "daemon/kernel/cgroup.h"
#include "daemon/loop/log.h"

/* A new sweep starts when the number of vouches has grown by this since the last sweep. */
#define SWEEP_STEP 256

typedef struct Kept {
        Vouch *vouch;
        UT_hash_handle hh; /* by path */
} Kept;

typedef struct Place {
        char *cgroup;
        uint64_t id;
        bool is_gone;
} Place;

/* A check by the worker whether cgroups still exist. The job owns places while it runs. If the look is freed
 * during the job, it becomes an orphan, which the job's callback frees. */
struct VouchLook {
        VouchSet *set; /* NULL: an orphan */
        Place *places;
        size_t n;
        bool all;
        char *rest; /* the ancestor of the target that is being checked */
        vouch_found_t done;
        void *userdata;
        VouchLook *prev, *next;
};

struct VouchSet {
        Store *store;
        Worker *worker;
        Kept *kept;
        size_t n_of_users; /* vouches by other users than root */
        VouchLook *looks;
        bool sweeping;
        size_t sweep_at; /* number of vouches at which the next sweep starts */
};

int vouches_new(Store *store, Worker *worker, VouchSet **ret)
{
        VouchSet *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        *s = (VouchSet){ .store = store, .worker = worker, .sweep_at = SWEEP_STEP };
        *ret = s;
        return 0;
}

static size_t vouches_count(const VouchSet *s)
{
        return HASH_COUNT(s->kept);
}

static void kept_free(VouchSet *s, Kept *k)
{
        s->n_of_users -= k->vouch->speaker != 0;
        HASH_DEL(s->kept, k);
        vouch_free(k->vouch);
        free(k);
}

static void kept_forget(VouchSet *s, Kept *k)
{
        int r = store_remove_vouch(s->store, k->vouch->cgroup_id);

        if (r < 0)
                log_error("cannot remove the vouch for %s: %s", k->vouch->cgroup, strerror(-r));
        kept_free(s, k);
}

static Kept *kept_find(const VouchSet *s, const char *cgroup)
{
        Kept *k;

        HASH_FIND_STR(s->kept, cgroup, k);
        return k;
}

static int kept_new(VouchSet *s, Vouch *v)
{
        Kept *k = calloc(1, sizeof(*k));

        if (!k)
                return -ENOMEM;
        k->vouch = v;
        s->n_of_users += v->speaker != 0;
        HASH_ADD_KEYPTR(hh, s->kept, v->cgroup, strlen(v->cgroup), k);
        return 0;
}

/* Of two vouches for the same path, the one with the higher inode is newer and stays. */
int vouches_restore(VouchSet *s, Vouch *v)
{
        Kept *k = kept_find(s, v->cgroup);

        if (k && k->vouch->cgroup_id > v->cgroup_id) {
                int r = store_remove_vouch(s->store, v->cgroup_id);

                vouch_free(v);
                return r;
        }
        if (k)
                kept_forget(s, k);
        int r = kept_new(s, v);
        if (r < 0)
                vouch_free(v);
        return r;
}

/* --- checking ----------------------------------------------------------------------------------------- */

static void look_destroy(VouchLook *l)
{
        for (size_t i = 0; i < l->n; i++)
                free(l->places[i].cgroup);
        free(l->places);
        free(l->rest);
        free(l);
}

static void look_detach(VouchLook *l)
{
        DL_DELETE(l->set->looks, l);
        l->set = NULL;
}

VouchLook *vouch_look_free(VouchLook *l)
{
        if (l)
                look_detach(l);
        return NULL;
}

VouchSet *vouches_free(VouchSet *s)
{
        Kept *k, *next;

        if (!s)
                return NULL;
        while (s->looks)
                look_detach(s->looks);
        HASH_ITER (hh, s->kept, k, next)
                kept_free(s, k);
        free(s);
        return NULL;
}

static int look_run(Job *job, void *userdata)
{
        VouchLook *l = userdata;

        for (size_t i = 0; i < l->n && !job_is_cancelled(job); i++) {
                uint64_t id;
                int fd = cgroup_open(l->places[i].cgroup, &id);

                l->places[i].is_gone = fd == -ENOENT || (fd >= 0 && id != l->places[i].id);
                if (fd >= 0)
                        close(fd);
        }
        return 0;
}

static void look_forget_gone(VouchSet *s, const VouchLook *l)
{
        for (size_t i = 0; i < l->n; i++) {
                Kept *k = l->places[i].is_gone ? kept_find(s, l->places[i].cgroup) : NULL;

                if (k && k->vouch->cgroup_id == l->places[i].id)
                        kept_forget(s, k);
        }
}

static void look_answer(VouchLook *l, int error);

static void look_on_done(int result, void *userdata)
{
        VouchLook *l = userdata;
        VouchSet *s = l->set;

        if (!s) {
                look_destroy(l);
                return;
        }
        if (result >= 0)
                look_forget_gone(s, l);
        if (l->all) {
                s->sweeping = false;
                s->sweep_at = vouches_count(s) + SWEEP_STEP;
        }
        if (l->done) {
                look_answer(l, result);
                return;
        }
        look_detach(l);
        look_destroy(l);
}

static int look_add(VouchLook *l, const Vouch *v)
{
        l->places[l->n] = (Place){ .cgroup = strdup(v->cgroup), .id = v->cgroup_id };
        return l->places[l->n++].cgroup ? 0 : -ENOMEM;
}

static int look_submit(VouchSet *s, VouchLook *l)
{
        Job *job;

        return worker_submit(s->worker, look_run, look_on_done, NULL, l, &job);
}

/* n: the capacity for places. */
static int look_new(VouchSet *s, size_t n, VouchLook **ret)
{
        VouchLook *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        l->places = calloc(n + 1, sizeof(*l->places));
        if (!l->places) {
                free(l);
                return -ENOMEM;
        }
        l->set = s;
        DL_APPEND(s->looks, l);
        *ret = l;
        return 0;
}

static void look_undo(VouchLook *l)
{
        look_detach(l);
        look_destroy(l);
}

/* Starts a check without a callback, of one vouch or (NULL) of all. */
static void look_at(VouchSet *s, const Kept *only)
{
        VouchLook *l = NULL;
        Kept *k, *next;

        int r = look_new(s, only ? 1 : vouches_count(s), &l);
        if (r >= 0 && only)
                r = look_add(l, only->vouch);
        if (r >= 0 && !only)
                HASH_ITER (hh, s->kept, k, next)
                        if (r >= 0)
                                r = look_add(l, k->vouch);
        if (r >= 0) {
                l->all = !only;
                r = look_submit(s, l);
        }
        if (r >= 0)
                s->sweeping = s->sweeping || !only;
        else if (l)
                look_undo(l);
}

void vouches_sweep(VouchSet *s)
{
        if (!s->sweeping && s->kept)
                look_at(s, NULL);
}

void vouches_removed(VouchSet *s, const char *cgroup)
{
        Kept *k = kept_find(s, cgroup);

        if (k)
                look_at(s, k);
}

/* --- finding ------------------------------------------------------------------------------------------ */

/* Shortens path to the parent; false: the parent is the root. */
static bool path_cut(char *path)
{
        char *slash = strrchr(path, '/');

        if (!slash || slash == path)
                return false;
        *slash = '\0';
        return true;
}

/* Finds the nearest ancestor with a vouch; rest becomes the path of the ancestor. */
static Kept *find_above(VouchSet *s, char *rest)
{
        Kept *k = NULL;

        while (!k && path_cut(rest))
                k = kept_find(s, rest);
        return k;
}

/* Answers with the vouch if its cgroup still exists, else checks the next ancestor. */
static void look_answer(VouchLook *l, int error)
{
        VouchSet *s = l->set;
        Kept *k = error < 0 ? NULL : kept_find(s, l->rest);
        vouch_found_t done = l->done;
        void *userdata = l->userdata;

        if (!k && error >= 0 && (k = find_above(s, l->rest))) {
                free(l->places[0].cgroup);
                l->n = 0;
                error = look_add(l, k->vouch);
                if (error >= 0)
                        error = look_submit(s, l);
                if (error >= 0)
                        return;
                k = NULL;
        }
        look_detach(l);
        done(error < 0 ? error : 0, k ? k->vouch : NULL, userdata);
        look_destroy(l);
}

int vouches_find(VouchSet *s, const Subject *target, vouch_found_t done, void *userdata, VouchLook **ret)
{
        Kept *k = target->cgroup ? kept_find(s, target->cgroup) : NULL;
        _cleanup_free_ char *rest = NULL;
        VouchLook *l = NULL;

        if (k && k->vouch->cgroup_id != target->cgroup_id) {
                if (target->cgroup_id != 0)
                        kept_forget(s, k);
                k = NULL;
        }
        int r = string_copy(target->cgroup, &rest);
        if (r < 0)
                return r;
        Kept *above = !k && rest ? find_above(s, rest) : NULL;
        if (!above) {
                done(0, k ? k->vouch : NULL, userdata);
                return 1;
        }
        r = look_new(s, 1, &l);
        if (r < 0)
                return r;
        l->done = done;
        l->userdata = userdata;
        l->rest = TAKE_PTR(rest);
        r = look_add(l, above->vouch);
        if (r >= 0)
                r = look_submit(s, l);
        if (r < 0)
                look_undo(l);
        else
                *ret = l;
        return r < 0 ? r : 0;
}

/* --- keeping ------------------------------------------------------------------------------------------ */

static bool is_full(const VouchSet *s, uid_t speaker)
{
        return vouches_count(s) >= VOUCHES_MAX || (speaker != 0 && s->n_of_users >= VOUCHES_USERS_MAX);
}

int vouches_keep(VouchSet *s, const Subject *target, const VouchWords *words, uid_t speaker,
                 const Vouch **ret)
{
        _cleanup_(vouch_free_p) Vouch *v = calloc(1, sizeof(*v));

        if (!target->cgroup || target->cgroup_id == 0)
                return -ENOENT;
        if (vouches_count(s) >= s->sweep_at || is_full(s, speaker))
                vouches_sweep(s);
        if (is_full(s, speaker))
                return -EBUSY;
        if (!v || string_copy(target->cgroup, &v->cgroup) < 0 || labels_copy(&words->labels, &v->labels) < 0)
                return -ENOMEM;
        v->cgroup_id = target->cgroup_id;
        v->speaker = speaker;
        v->for_uid = words->has_for_uid ? words->for_uid : UID_NONE;
        Kept *before = kept_find(s, v->cgroup);
        if (before)
                return -EEXIST;
        int r = store_write_vouch(s->store, v);
        if (r >= 0)
                r = kept_new(s, v);
        if (r < 0) {
                (void)store_remove_vouch(s->store, v->cgroup_id);
                return r;
        }
        *ret = TAKE_PTR(v);
        return 0;
}
