/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The model. The fence is on *top* cgroups: a top cgroup is the first component of a path that is neither a
 * slice nor a unit. A cgroup that is created below a fenced one inherits the nodes of its parent, so only a
 * new top cgroup is open for a moment.
 *
 * Therefore a grant below a top cgroup takes several writes, because a set is never wider than the parent's:
 *
 *   open   fence each sibling of the cgroup and its ancestors - widen the ancestors, top down - the cgroup
 *   close  the cgroup - narrow the ancestors to the nodes that other descendants need, bottom up
 *
 * A sibling that is created later is open until it is fenced, like a new top cgroup.
 *
 * All of this is one procedure: read the affected cgroups, let foreign_decide() compute the desired set of
 * each, write the narrowing changes (bottom up), then the widening changes (top down). The promised nodes
 * come from `holds`, which are updated with each step: the ledger is ahead of the kernel, and belongs to the
 * event loop.
 *
 * If the cpuset controller is not enabled for a cgroup, its ancestors confine it. A slice does not, because
 * the fence leaves slices open: there the controller is enabled. systemd may disable the controller when
 * none of its units needs it; cdmd notices this, and enables it again.
 *
 * Nothing is written below a delegated cgroup, which confines its descendants.
 *
 * The sets before the first write of cdmd are kept in /run/cdmd/foreign: see foreign-mark.h. Older versions
 * kept them in an extended attribute (user.cdmd.mems) of the cgroup, which is no longer read: a set written
 * by such a version counts as the cgroup's own set. So the cgroup stays fenced, and keeps that set when the
 * fence is lifted. */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/fence/foreign-internal.h"
#include "daemon/kernel/cgroup.h"
#include "daemon/kernel/owner.h"
#include "policy/word.h"

int foreign_new(const char *directory, Foreign **ret)
{
        Foreign *f = calloc(1, sizeof(*f));

        if (!f)
                return -ENOMEM;
        int r = marks_new(directory, &f->marks);
        if (r < 0) {
                free(f);
                return r;
        }
        pthread_mutex_init(&f->data, NULL);
        pthread_mutex_init(&f->writing, NULL);
        *ret = f;
        return 0;
}

static void foreign_holds_free(ForeignHold *holds, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free(holds[i].path);
        free(holds);
}

Foreign *foreign_free(Foreign *f)
{
        if (!f)
                return NULL;
        foreign_holds_free(f->holds, f->n_holds);
        marks_free(f->marks);
        pthread_mutex_destroy(&f->data);
        pthread_mutex_destroy(&f->writing);
        free(f);
        return NULL;
}

void foreign_set_policy(Foreign *f, const NodeSet *ordinary, const NodeSet *cdm)
{
        pthread_mutex_lock(&f->data);
        f->ordinary = *ordinary;
        f->cdm = *cdm;
        pthread_mutex_unlock(&f->data);
}

/* Sorts '/' before all other characters, so that a cgroup is directly followed by its descendants. */
static int compare_paths(const char *a, const char *b)
{
        while (*a && *a == *b) {
                a++;
                b++;
        }
        int x = *a == '/' ? 1 : (unsigned char)*a, y = *b == '/' ? 1 : (unsigned char)*b;

        return x - y;
}

/* Returns the index of the first hold that is not sorted before path. */
static size_t place_of(const Foreign *f, const char *path)
{
        size_t low = 0, high = f->n_holds;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (compare_paths(f->holds[middle].path, path) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static ForeignHold *find_hold(const Foreign *f, const char *path)
{
        size_t i = place_of(f, path);

        return i < f->n_holds && strcmp(f->holds[i].path, path) == 0 ? &f->holds[i] : NULL;
}

static int add_hold(Foreign *f, const char *path, const NodeSet *nodes)
{
        ForeignHold new = { strdup(path), *nodes }, *larger;
        size_t i = place_of(f, path);

        if (f->n_holds == f->n_allocated) {
                size_t n = f->n_allocated ? 2 * f->n_allocated : 16;

                larger = reallocarray(f->holds, n, sizeof(*larger));
                if (larger) {
                        f->holds = larger;
                        f->n_allocated = n;
                }
        }
        if (!new.path || f->n_holds == f->n_allocated) {
                free(new.path);
                return -ENOMEM;
        }
        memmove(&f->holds[i + 1], &f->holds[i], (f->n_holds - i) * sizeof(*f->holds));
        f->holds[i] = new;
        f->n_holds++;
        return 0;
}

static int set_hold(Foreign *f, const char *path, const NodeSet *nodes, bool add)
{
        ForeignHold *h = find_hold(f, path);

        if (!h)
                return nodeset_is_empty(nodes) ? 0 : add_hold(f, path, nodes);
        h->nodes = add ? nodeset_union(&h->nodes, nodes) : *nodes;
        if (nodeset_is_empty(&h->nodes)) {
                free(h->path);
                f->n_holds--;
                memmove(h, h + 1, (size_t)(&f->holds[f->n_holds] - h) * sizeof(*h));
        }
        return 0;
}

int foreign_hold(Foreign *f, const char *path, const NodeSet *nodes)
{
        int r;

        pthread_mutex_lock(&f->data);
        r = set_hold(f, path, nodes, true);
        pthread_mutex_unlock(&f->data);
        return r;
}

int foreign_tenant(const char *path, char **ret, uint64_t *ret_id)
{
        _cleanup_free_ char *at = strdup(path);
        size_t n = owner_top(path);

        if (!at)
                return -ENOMEM;
        for (n = n ? n : strlen(path);; n += 1 + strcspn(path + n + 1, "/")) {
                bool last = path[n] == '\0';
                int fd;

                at[n] = '\0';
                fd = cgroup_open(at, ret_id);
                if (fd < 0)
                        return fd;
                last |= cgroup_is_delegated(fd);
                close(fd);
                if (last)
                        break;
                at[n] = '/';
        }
        *ret = TAKE_PTR(at);
        return 0;
}

bool foreign_is_in_slices(Foreign *f)
{
        return atomic_load(&f->in_slices);
}

/* The same result as foreign_promised(), without a scan of all holds. */
NodeSet foreign_nodes(Foreign *f, const char *path)
{
        _cleanup_free_ char *above = strdup(path);
        NodeSet nodes = NODESET_EMPTY;
        const ForeignHold *h;

        pthread_mutex_lock(&f->data);
        if (!above) /* out of memory: nodes that may be promised must not be denied */
                nodes = foreign_promised(path, f->holds, f->n_holds);
        for (char *slash; above && (slash = strrchr(above, '/'));) {
                *slash = '\0';
                h = find_hold(f, above);
                if (h)
                        nodes = nodeset_union(&nodes, &h->nodes);
        }
        for (size_t i = place_of(f, path); above && i < f->n_holds && word_is_below(f->holds[i].path, path);
             i++)
                nodes = nodeset_union(&nodes, &f->holds[i].nodes);
        pthread_mutex_unlock(&f->data);
        return nodes;
}

void promises_clear(Promises *p)
{
        foreign_holds_free(p->holds, p->n_holds);
}

int promises_copy(Foreign *f, Promises *ret)
{
        Promises p = { 0 };
        int r = 0;

        pthread_mutex_lock(&f->data);
        p.ordinary = f->ordinary;
        p.cdm = f->cdm;
        p.holds = calloc(f->n_holds + 1, sizeof(*p.holds));
        for (size_t i = 0; p.holds && i < f->n_holds; i++) {
                p.holds[i] = (ForeignHold){ strdup(f->holds[i].path), f->holds[i].nodes };
                p.n_holds++;
                if (!p.holds[i].path)
                        r = -ENOMEM;
        }
        pthread_mutex_unlock(&f->data);
        if (!p.holds)
                r = -ENOMEM;
        if (r < 0)
                promises_clear(&p);
        else
                *ret = p;
        return r;
}

/* --- open and close ----------------------------------------------------------------------------------- */

/* True if an ancestor of path does not have all of these nodes yet. */
static bool is_to_be_widened(const Groups *g, const char *path, const NodeSet *nodes)
{
        for (size_t i = 0; i < g->n; i++) {
                const ForeignGroup *x = &g->array[i];

                if (x->has_cpuset && word_is_below(path, x->path) && strcmp(path, x->path) != 0 &&
                    !nodeset_is_subset(nodes, &x->effective))
                        return true;
        }
        return false;
}

static const ForeignGroup *find_group(const Groups *g, const char *path)
{
        for (size_t i = 0; i < g->n; i++)
                if (strcmp(g->array[i].path, path) == 0)
                        return &g->array[i];
        return NULL;
}

/* Records the previous set of the tenant, whose own set is written by the caller of foreign_open(). */
static void mark_tenant(Marks *marks, const ForeignGroup *g, const Promises *p)
{
        NodeSet set = nodeset_intersect(&g->mems, &p->ordinary), now, before;

        now = nodeset_subtract(&g->mems, &p->cdm);
        before = nodeset_subtract(&g->set, &p->cdm);
        if (g->marked && nodeset_equal(&now, &before))
                return;
        if (nodeset_is_empty(&set))
                set = p->ordinary;
        group_mark(marks, g, &g->mems, &set);
}

static int foreign_follow(Foreign *f, const char *path, const Promises *p, const NodeSet *nodes, bool opens)
{
        const ForeignGroup *tenant;
        Groups g = { .marks = f->marks };
        int r;

        if (nodeset_is_empty(&p->cdm))
                return 0;
        r = groups_read_way(&g, path, false);
        tenant = find_group(&g, path);
        if (r >= 0 && opens && tenant && !tenant->has_cpuset && owner_top(path) == strlen(path)) {
                group_enable_cpuset(f, path);
                groups_clear(&g);
                r = groups_read_way(&g, path, false);
                tenant = find_group(&g, path);
        }
        if (r >= 0 && opens && !tenant->has_cpuset)
                r = -EOPNOTSUPP;
        if (r >= 0 && opens)
                mark_tenant(f->marks, tenant, p);
        if (r >= 0 && opens && is_to_be_widened(&g, path, nodes)) {
                groups_clear(&g);
                r = groups_read_way(&g, path, true);
        }
        /* The ancestors of a tenant that is gone must be narrowed too. */
        if (r >= 0 || (r == -ENOENT && !opens)) {
                groups_decide(&g, p);
                r = groups_write(&g, p);
        }
        groups_clear(&g);
        return r;
}

/* Called with `writing` held. */
static int change_hold(Foreign *f, const char *path, const NodeSet *nodes, bool opens)
{
        Promises p;
        int r;

        pthread_mutex_lock(&f->data);
        r = set_hold(f, path, nodes, opens);
        pthread_mutex_unlock(&f->data);
        if (r >= 0)
                r = promises_copy(f, &p);
        if (r >= 0) {
                r = foreign_follow(f, path, &p, nodes, opens);
                promises_clear(&p);
        }
        return r;
}

static NodeSet hold_of(Foreign *f, const char *path)
{
        const ForeignHold *h;

        pthread_mutex_lock(&f->data);
        h = find_hold(f, path);
        NodeSet nodes = h ? h->nodes : NODESET_EMPTY;
        pthread_mutex_unlock(&f->data);
        return nodes;
}

/* On failure the promise and the sets of the ancestors are restored. */
int foreign_open(Foreign *f, const char *path, const NodeSet *nodes)
{
        NodeSet before;
        int r;

        pthread_mutex_lock(&f->writing);
        before = hold_of(f, path);
        r = change_hold(f, path, nodes, true);
        if (r < 0)
                (void)change_hold(f, path, &before, false);
        pthread_mutex_unlock(&f->writing);
        return r;
}

int foreign_close(Foreign *f, const char *path, const NodeSet *nodes)
{
        int r;

        pthread_mutex_lock(&f->writing);
        r = change_hold(f, path, nodes, false);
        pthread_mutex_unlock(&f->writing);
        return r;
}

void foreign_note(Foreign *f, const char *path, uint64_t id, const NodeSet *was, const NodeSet *set)
{
        ForeignGroup g = { .path = (char *)path, .id = id };
        NodeSet had, given;

        pthread_mutex_lock(&f->writing);
        if (!marks_get(f->marks, id, path, &had, &given))
                group_mark(f->marks, &g, was, set);
        pthread_mutex_unlock(&f->writing);
}

/* --- lift --------------------------------------------------------------------------------------------- */

/* Kernels up to 6.x (seen on 6.1) refuse to clear the set of a cgroup with processes. A set of all nodes is
 * equivalent until a node is added. */
static void give_back(Marks *marks, const ForeignGroup *g, const NodeSet *all)
{
        NodeSet is, set;

        if (!g->marked)
                return;
        is = nodeset_intersect(&g->mems, &g->set);
        set = nodeset_intersect(&g->set, all);
        if (nodeset_equal(&is, &set)) {
                if (!nodeset_is_empty(&g->was))
                        (void)cgroup_write_mems(g->path, &g->was);
                else if (cgroup_clear_mems(g->path) < 0)
                        (void)cgroup_write_mems(g->path, all);
        }
        marks_remove(marks, g->id);
}

typedef struct Lift {
        Marks *marks;
        const NodeSet *all;
} Lift;

static int lift_one(const char *path, void *userdata)
{
        const Lift *l = userdata;
        Groups g = { .marks = l->marks };
        int r = groups_read_way(&g, path, false);

        for (size_t i = 0; r >= 0 && i < g.n; i++)
                give_back(l->marks, &g.array[i], l->all);
        groups_clear(&g);
        return r == -ENOMEM ? r : 0;
}

int foreign_lift(Foreign *f, const NodeSet *all)
{
        Lift l = { f->marks, all };
        int r;

        pthread_mutex_lock(&f->writing);
        r = groups_foreach_top("", true, lift_one, &l);
        pthread_mutex_unlock(&f->writing);
        return r;
}
