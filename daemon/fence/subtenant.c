/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The model. As long as no tenant of a unit has a promise, the unit is fenced like any other, and confines
 * its descendants. With a promise the unit is open. Then every child of the unit carries a fence of its own,
 * and so does every child of a tenant: the *levels*. All of this is one procedure, the pass over a unit:
 *
 *   set each child of the unit and of a tenant to the ordinary nodes plus the nodes promised to it
 *   then widen the unit to the union of the promises
 *
 * If the manager of the unit has narrowed a cgroup below a level, that cgroup is widened too. Every pass
 * checks through the opened directory that only root can write there: otherwise a cgroup gets no promised
 * nodes.
 *
 * Why two levels: Slurm writes the set of the unit into job_N each time a step begins, and never writes
 * step_X (measured with 22.05). So job_N is opened again, and step_X is not.
 *
 * A cgroup that is created while the unit is open is open until the next pass. Each pass watches a cgroup
 * before reading it; the owner of the inotify instance starts a pass when an event arrives. */

#include "daemon/fence/subtenant-internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "daemon/fence/subtenant-settle.h"
#include "daemon/kernel/cgroup.h"
#include "daemon/kernel/owner.h"
#include "policy/word.h"

/* `data` protects `table`, and is never held while a call blocks. `writing` serializes passes. */
static pthread_mutex_t data = PTHREAD_MUTEX_INITIALIZER, writing = PTHREAD_MUTEX_INITIALIZER;
static struct {
        Subtree *subtrees;
        size_t n_subtrees;
        Subtree *before; /* the previous configuration: subtenant_lift() includes its units */
        size_t n_before;
        NodeSet ordinary, cdm;
        PromiseTable promises;
        int watch;
        int *wds; /* protected by `writing` */
        size_t n_wds;
} table = { .watch = -EBADF };

/* --- words -------------------------------------------------------------------------------------------- */

static void subtrees_free(Subtree *subtrees, size_t n)
{
        for (size_t i = 0; i < n; i++)
                subtree_clear(&subtrees[i]);
        free(subtrees);
}

static int subtrees_copy(const Subtree *from, size_t n, Subtree **ret)
{
        Subtree *to = calloc(n + 1, sizeof(*to));
        bool failed = !to;

        for (size_t i = 0; !failed && i < n; i++) {
                to[i].unit = strdup(from[i].unit);
                to[i].tenant = strdup(from[i].tenant);
                to[i].level = from[i].level ? strdup(from[i].level) : NULL;
                failed = !to[i].unit || !to[i].tenant || (from[i].level && !to[i].level);
        }
        if (failed) {
                subtrees_free(to, to ? n : 0);
                return -ENOMEM;
        }
        *ret = to;
        return 0;
}

/* --- the table ---------------------------------------------------------------------------------------- */

int subtenant_configure(const Subtree *subtrees, size_t n, const NodeSet *ordinary, const NodeSet *cdm)
{
        Subtree *copy;
        int r = subtrees_copy(subtrees, n, &copy);

        if (r < 0)
                return r;
        pthread_mutex_lock(&data);
        if (table.n_subtrees > 0) {
                subtrees_free(table.before, table.n_before);
                table.before = table.subtrees;
                table.n_before = table.n_subtrees;
        } else
                subtrees_free(table.subtrees, 0);
        table.subtrees = copy;
        table.n_subtrees = n;
        table.ordinary = *ordinary;
        table.cdm = *cdm;
        pthread_mutex_unlock(&data);
        return 0;
}

void subtenant_watch(int fd)
{
        pthread_mutex_lock(&writing);
        table.watch = fd;
        free(table.wds);
        table.wds = NULL;
        table.n_wds = 0;
        pthread_mutex_unlock(&writing);
}

void subtenant_forget(void)
{
        subtenant_watch(-EBADF);
        pthread_mutex_lock(&data);
        subtrees_free(table.subtrees, table.n_subtrees);
        subtrees_free(table.before, table.n_before);
        promise_clear(&table.promises);
        table.subtrees = table.before = NULL;
        table.n_subtrees = table.n_before = 0;
        table.ordinary = table.cdm = NODESET_EMPTY;
        pthread_mutex_unlock(&data);
}

int subtenant_hold(const char *path, uint64_t id, const NodeSet *nodes)
{
        pthread_mutex_lock(&data);
        int r = promise_set(&table.promises, path, id, nodes, true);
        pthread_mutex_unlock(&data);
        return r;
}

NodeSet subtenant_nodes(const char *unit_path)
{
        pthread_mutex_lock(&data);
        NodeSet nodes = promise_unit_nodes(promise_unit(&table.promises, unit_path));
        pthread_mutex_unlock(&data);
        return nodes;
}

NodeSet subtenant_unit_nodes(const char *unit)
{
        NodeSet nodes = NODESET_EMPTY, more;

        pthread_mutex_lock(&data);
        for (const PromiseUnit *u = table.promises; u; u = u->hh.next)
                if (strcmp(word_unit_of_path(u->path), unit) == 0) {
                        more = promise_unit_nodes(u);
                        nodes = nodeset_union(&nodes, &more);
                }
        pthread_mutex_unlock(&data);
        return nodes;
}

NodeSet subtenant_unit_written(const char *unit, const NodeSet *otherwise)
{
        NodeSet nodes = *otherwise;

        pthread_mutex_lock(&data);
        for (const PromiseUnit *u = table.promises; u; u = u->hh.next)
                if (strcmp(word_unit_of_path(u->path), unit) == 0 && !nodeset_is_empty(&u->written))
                        nodes = u->written;
        pthread_mutex_unlock(&data);
        return nodes;
}

bool subtenant_promised(const char *path, NodeSet *ret)
{
        pthread_mutex_lock(&data);
        bool is_split = promise_above(&table.promises, path, ret) != NULL;
        pthread_mutex_unlock(&data);
        return is_split;
}

bool subtenant_is_split(const char *unit_path)
{
        pthread_mutex_lock(&data);
        bool is_split = promise_unit(&table.promises, unit_path) != NULL;
        pthread_mutex_unlock(&data);
        return is_split;
}

/* Decides by the name alone, because the cgroup may be gone. */
bool subtenant_is_one(const char *path)
{
        size_t n = owner_unit_length(path);
        bool is;

        if (!is_child(path, n))
                return false;
        _cleanup_free_ char *unit_path = strndup(path, n);
        pthread_mutex_lock(&data);
        is = promise_find(&table.promises, path) ||
             (unit_path && subtree_has_tenant(table.subtrees, table.n_subtrees, word_unit_of_path(unit_path),
                                              name_of(path)));
        pthread_mutex_unlock(&data);
        return is;
}

int subtenant_find(const char *unit, const char *unit_path, const char *path, char **ret, uint64_t *ret_id)
{
        size_t n = strlen(unit_path);
        uint64_t id;
        bool is;

        if (strncmp(path, unit_path, n) != 0 || path[n] != '/')
                return -ENOENT;
        _cleanup_free_ char *tenant = strndup(path, n + 1 + strcspn(path + n + 1, "/"));
        if (!tenant)
                return -ENOMEM;
        pthread_mutex_lock(&data);
        is = subtree_has_tenant(table.subtrees, table.n_subtrees, unit, name_of(tenant));
        pthread_mutex_unlock(&data);
        if (!is || owner_unit_length(tenant) != n)
                return -ENOENT;
        int unit_fd = cgroup_open(unit_path, NULL);
        if (unit_fd < 0)
                return unit_fd == -ENOENT ? -ESRCH : unit_fd;
        int fd = cgroup_open(tenant, &id), r = fd == -ENOENT ? -ESRCH : fd < 0 ? fd : 0;
        if (r == 0 && !(cgroup_is_roots(unit_fd, true) && cgroup_is_roots(fd, false)))
                r = -EACCES;
        if (r == 0 && !cgroup_is_populated(fd))
                r = -ESRCH;
        if (fd >= 0)
                close(fd);
        close(unit_fd);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(tenant);
        *ret_id = id;
        return 0;
}

/* --- a pass ------------------------------------------------------------------------------------------- */

static void pass_clear(Pass *p)
{
        subtrees_free(p->subtrees, p->n_subtrees);
        promise_unit_free(p->unit);
        free(p->message);
        free(p->wds);
}

/* Called with `writing` held. */
static int pass_init(Pass *p, SubtenantFound *found)
{
        *p = (Pass){ .found = found, .watch = table.watch };
        pthread_mutex_lock(&data);
        int r = subtrees_copy(table.subtrees, table.n_subtrees, &p->subtrees);
        p->n_subtrees = r < 0 ? 0 : table.n_subtrees;
        p->ordinary = table.ordinary;
        p->cdm = table.cdm;
        pthread_mutex_unlock(&data);
        return r;
}

static int pass_run(Pass *p, const char *unit_path, const NodeSet *given_up, SubtenantUnit *ret)
{
        p->unit = promise_unit_free(p->unit);
        p->error = 0;
        p->written = NODESET_EMPTY;
        free(p->message);
        p->message = NULL;
        pthread_mutex_lock(&data);
        int r = promise_unit_copy(promise_unit(&table.promises, unit_path), &p->unit);
        pthread_mutex_unlock(&data);
        if (r >= 0)
                r = subtenant_pass_unit(p, unit_path, given_up, ret);
        if (r >= 0 && !nodeset_is_empty(&p->written)) {
                pthread_mutex_lock(&data);
                promise_unit_note(&table.promises, unit_path, &p->written);
                pthread_mutex_unlock(&data);
        }
        return r;
}

static int compare_ints(const void *a, const void *b)
{
        int x = *(const int *)a, y = *(const int *)b;

        return (x > y) - (x < y);
}

/* all: this was a pass over all units, so watches that it has not renewed are removed: the cgroup is gone,
 * or its unit is closed. (On 6.1 the watch of a removed cgroup stays.) */
static void pass_keep_watches(Pass *p, bool all)
{
        if (!all) {
                int *larger = reallocarray(table.wds, table.n_wds + p->n_wds + 1, sizeof(*larger));

                if (larger && p->n_wds > 0)
                        memcpy(larger + table.n_wds, p->wds, p->n_wds * sizeof(*larger));
                if (larger) {
                        table.wds = larger;
                        table.n_wds += p->n_wds;
                }
                return;
        }
        if (p->n_wds > 0)
                qsort(p->wds, p->n_wds, sizeof(*p->wds), compare_ints);
        for (size_t i = 0; i < table.n_wds; i++)
                if (p->n_wds == 0 || !bsearch(&table.wds[i], p->wds, p->n_wds, sizeof(int), compare_ints))
                        (void)inotify_rm_watch(table.watch, table.wds[i]);
        free(table.wds);
        table.wds = TAKE_PTR(p->wds);
        table.n_wds = p->n_wds;
}

/* --- open and close ----------------------------------------------------------------------------------- */

static char *unit_path_of(const char *path)
{
        size_t n = owner_unit_length(path);

        return is_child(path, n) ? strndup(path, n) : NULL;
}

static int subtenant_promise(const char *path, uint64_t id, const NodeSet *nodes, bool add,
                             NodeSet *ret_before)
{
        pthread_mutex_lock(&data);
        const Promise *p = promise_find(&table.promises, path);
        *ret_before = p && (id == 0 || p->id == id) ? p->nodes : NODESET_EMPTY;
        int r = promise_set(&table.promises, path, id, nodes, add);
        pthread_mutex_unlock(&data);
        return r;
}

/* Called with `writing` held. */
static int subtenant_follow(const char *unit_path, const NodeSet *given_up, bool opens, SubtenantUnit *ret,
                            char **ret_message)
{
        SubtenantFound found = { 0 };
        Pass p;
        int r = pass_init(&p, &found);

        if (r >= 0 && !nodeset_is_empty(&p.cdm)) {
                r = pass_run(&p, unit_path, given_up, ret);
                if (opens && r >= 0)
                        r = p.error;
                if (opens && r < 0)
                        *ret_message = TAKE_PTR(p.message);
                pass_keep_watches(&p, false);
        }
        subtenant_found_clear(&found);
        pass_clear(&p);
        return r;
}

int subtenant_open(const char *path, uint64_t id, const NodeSet *nodes, SubtenantUnit *ret,
                   char **ret_message)
{
        _cleanup_free_ char *unit_path = unit_path_of(path);
        NodeSet before, unused;

        if (!unit_path)
                return -ENOENT;
        pthread_mutex_lock(&writing);
        int r = subtenant_promise(path, id, nodes, true, &before);
        if (r >= 0)
                r = subtenant_follow(unit_path, &NODESET_EMPTY, true, ret, ret_message);
        if (r < 0) {
                NodeSet added = nodeset_subtract(nodes, &before);
                SubtenantUnit none = { 0 };

                (void)subtenant_promise(path, id, &before, false, &unused);
                (void)subtenant_follow(unit_path, &added, false, &none, NULL);
                free(none.name);
        }
        pthread_mutex_unlock(&writing);
        return r;
}

/* The cgroup of the unit is gone, but systemd keeps the unit's set for the next start. */
static void subtenant_unit_is_gone(const char *unit_path, const NodeSet *had, const NodeSet *given_up,
                                   SubtenantUnit *ret)
{
        NodeSet needed = subtenant_nodes(unit_path), nodes = nodeset_subtract(had, given_up);

        pthread_mutex_lock(&data);
        if (!nodeset_intersects(&nodes, &table.ordinary))
                nodes = table.ordinary;
        nodes = nodeset_union(&nodes, &needed);
        promise_unit_note(&table.promises, unit_path, &nodes);
        pthread_mutex_unlock(&data);
        free(ret->name);
        *ret = (SubtenantUnit){ strdup(word_unit_of_path(unit_path)), nodes };
}

int subtenant_close(const char *path, uint64_t id, const NodeSet *nodes, SubtenantUnit *ret)
{
        _cleanup_free_ char *unit_path = unit_path_of(path);
        NodeSet before, given_up;

        if (!unit_path)
                return -ENOENT;
        pthread_mutex_lock(&writing);
        subtenant_settles(word_unit_of_path(unit_path));
        NodeSet had = subtenant_unit_written(word_unit_of_path(unit_path), &NODESET_EMPTY);
        int r = subtenant_promise(path, id, nodes, false, &before);
        given_up = nodeset_subtract(&before, nodes);
        if (r >= 0)
                r = subtenant_follow(unit_path, &given_up, false, ret, NULL);
        if (r == -ENOENT && !nodeset_is_empty(&given_up))
                subtenant_unit_is_gone(unit_path, &had, &given_up, ret);
        pthread_mutex_unlock(&writing);
        return r == -ENOENT ? 0 : r;
}

int subtenant_write_unit(const char *unit_path, const NodeSet *nodes)
{
        pthread_mutex_lock(&writing);
        NodeSet promised = subtenant_nodes(unit_path), target = nodeset_union(nodes, &promised);
        int r = cgroup_write_mems(unit_path, &target);
        pthread_mutex_lock(&data);
        if (r >= 0)
                promise_unit_note(&table.promises, unit_path, &target);
        pthread_mutex_unlock(&data);
        pthread_mutex_unlock(&writing);
        return r;
}

/* --- all of them -------------------------------------------------------------------------------------- */

void subtenant_found_clear(SubtenantFound *found)
{
        for (size_t i = 0; i < found->n_ended; i++)
                free(found->ended[i]);
        free(found->ended);
        free(found->cgroup);
        free(found->message);
        *found = (SubtenantFound){ 0 };
}

static int pass_note_ended(Pass *p)
{
        SubtenantFound *f = p->found;

        for (const Promise *t = p->unit ? p->unit->tenants : NULL; t; t = t->hh.next) {
                if (t->is_alive)
                        continue;
                char **larger = reallocarray(f->ended, f->n_ended + 1, sizeof(*larger));
                if (!larger)
                        return -ENOMEM;
                f->ended = larger;
                if (asprintf(&larger[f->n_ended], "%s/%s", p->unit->path, t->name) < 0)
                        return -ENOMEM;
                f->n_ended++;
        }
        return 0;
}

/* The paths of the units that have tenants with promises. */
static int units_list(char ***ret, size_t *ret_n)
{
        size_t n = 0;

        pthread_mutex_lock(&data);
        char **paths = calloc(HASH_COUNT(table.promises) + 1, sizeof(*paths));
        for (const PromiseUnit *u = table.promises; paths && u; u = u->hh.next)
                if ((paths[n] = strdup(u->path)))
                        n++;
        pthread_mutex_unlock(&data);
        *ret = paths;
        *ret_n = n;
        return paths ? 0 : -ENOMEM;
}

static int pass_all_units(Pass *p)
{
        char **paths;
        size_t n;
        int r = units_list(&paths, &n);

        for (size_t i = 0; r >= 0 && i < n; i++) {
                (void)pass_run(p, paths[i], &NODESET_EMPTY, NULL);
                if (!p->found->message)
                        p->found->message = TAKE_PTR(p->message);
                r = pass_note_ended(p);
        }
        if (r >= 0)
                pass_keep_watches(p, true);
        for (size_t i = 0; i < n; i++)
                free(paths[i]);
        free(paths);
        return r;
}

int subtenant_fence(SubtenantFound *found)
{
        Pass p;

        pthread_mutex_lock(&writing);
        int r = pass_init(&p, found);
        if (r >= 0 && !nodeset_is_empty(&p.cdm))
                r = pass_all_units(&p);
        pass_clear(&p);
        pthread_mutex_unlock(&writing);
        return r;
}

typedef struct Lift {
        Pass *pass;
        const NodeSet *all;
        Subtree *before;
        size_t n_before;
} Lift;

static int lift_unit(const char *path, int fd, void *userdata)
{
        const Lift *l = userdata;

        if (path[1] && owner_unit_length(path) == strlen(path) &&
            (subtree_has_unit(l->pass->subtrees, l->pass->n_subtrees, word_unit_of_path(path)) ||
             subtree_has_unit(l->before, l->n_before, word_unit_of_path(path))))
                subtenant_pass_lift(l->pass, path, fd, l->all);
        return 0;
}

int subtenant_lift(const NodeSet *all)
{
        SubtenantFound found = { 0 };
        Pass p;

        pthread_mutex_lock(&writing);
        int r = pass_init(&p, &found);
        if (r >= 0) {
                Lift l = { .pass = &p, .all = all };

                pthread_mutex_lock(&data);
                r = subtrees_copy(table.before, table.n_before, &l.before);
                l.n_before = r < 0 ? 0 : table.n_before;
                pthread_mutex_unlock(&data);
                if (r >= 0)
                        r = cgroup_foreach_leaf(lift_unit, &l);
                subtrees_free(l.before, l.n_before);
        }
        pass_clear(&p);
        pthread_mutex_unlock(&writing);
        return r;
}
