/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/fence/fence-scan.h"
#include "daemon/fence/foreign.h"
#include "daemon/fence/subtenant.h"
#include "daemon/kernel/cgroup.h"
#include "daemon/kernel/owner.h"
#include "policy/cdm-names.h"
#include "policy/word.h"

void fence_leaf_clear(FenceLeaf *leaf)
{
        free(leaf->path);
        free(leaf->unit);
        free(leaf->unit_path);
        free(leaf->slice);
        free(leaf->off);
        fence_way_clear(&leaf->way);
        *leaf = (FenceLeaf){ 0 };
}

void fence_scan_clear(FenceScan *s)
{
        for (size_t i = 0; i < s->n_leaves; i++)
                fence_leaf_clear(&s->leaves[i]);
        free(s->leaves);
        *s = (FenceScan){ 0 };
}

static int scan_run_clear(Job *job _unused_, void *userdata)
{
        fence_scan_clear(userdata);
        return 0;
}

static void scan_on_cleared(int result _unused_, void *userdata)
{
        fence_scan_clear(userdata); /* if the job never ran */
        free(userdata);
}

void fence_scan_clear_later(FenceScan *s, Worker *worker)
{
        FenceScan *taken = s->n_leaves > 0 ? malloc(sizeof(*taken)) : NULL;
        Job *job;

        if (!taken) {
                fence_scan_clear(s);
                return;
        }
        *taken = *s;
        *s = (FenceScan){ 0 };
        if (worker_submit(worker, scan_run_clear, scan_on_cleared, NULL, taken, &job) < 0)
                scan_on_cleared(0, taken);
}

/* name: a path component of n bytes */
static char *leaf_unit_name(const char *name, size_t n)
{
        const char *unit = word_unit_of_name(name);

        return strndup(unit, n - (size_t)(unit - name));
}

int fence_leaf_name(FenceLeaf *leaf)
{
        _cleanup_free_ char *slice = strdup("-.slice"), *unit = NULL, *unit_path = NULL;
        const char *p = leaf->path;

        if (!slice)
                return -ENOMEM;
        while (*p == '/') {
                const char *name = p + 1;
                size_t n = strcspn(name, "/");

                p = name + n;
                if (owner_is_foreign(leaf->path, (size_t)(p - leaf->path)))
                        return 0;
                if (owner_name_is_slice(name, n)) {
                        free(slice);
                        slice = leaf_unit_name(name, n);
                        if (!slice)
                                return -ENOMEM;
                        continue;
                }
                if (!owner_name_is_unit(name, n))
                        return 0;
                unit = leaf_unit_name(name, n);
                unit_path = strndup(leaf->path, (size_t)(p - leaf->path));
                if (!unit || !unit_path)
                        return -ENOMEM;
                leaf->unit = TAKE_PTR(unit);
                leaf->unit_path = TAKE_PTR(unit_path);
                leaf->slice = TAKE_PTR(slice);
                return 0;
        }
        /* The path consists of slices only, and the last one is empty: nothing runs there, but systemd owns
         * it. */
        unit_path = strdup(leaf->path);
        unit = strdup(slice);
        if (!unit || !unit_path)
                return -ENOMEM;
        leaf->unit = TAKE_PTR(unit);
        leaf->unit_path = TAKE_PTR(unit_path);
        leaf->slice = TAKE_PTR(slice);
        return 0;
}

int fence_leaf_of_path(const char *path, FenceLeaf *ret)
{
        _cleanup_free_ char *copy = strdup(path);
        int r;

        if (!copy)
                return -ENOMEM;
        ret->path = copy;
        r = fence_leaf_name(ret);
        ret->path = NULL;
        if (r >= 0 && !ret->unit_path)
                ret->unit_path = TAKE_PTR(copy);
        return r >= 0 && !ret->unit_path ? -ENOMEM : r;
}

/* Without the controller a cgroup may use the nodes of its nearest ancestor with the controller. If there is
 * none, it may use all nodes, so all CDM nodes are returned. */
static int fence_scan_inherited(const char *path, const NodeSet *cdm, NodeSet *ret)
{
        _cleanup_free_ char *parent = strdup(path);

        if (!parent)
                return -ENOMEM;
        for (char *slash; (slash = strrchr(parent, '/')) && slash != parent;) {
                int fd, r;

                *slash = '\0';
                fd = cgroup_open(parent, NULL);
                if (fd < 0)
                        continue;
                r = cgroup_read_effective(fd, ret);
                close(fd);
                if (r == 0)
                        return 0;
        }
        *ret = *cdm;
        return 0;
}

/* Returns the uppermost cgroup.subtree_control above path that does not enable the cpuset controller. NULL:
 * all ancestors enable it, or out of memory. */
static char *find_off(const char *path)
{
        _cleanup_free_ char *at = strdup(path);
        char *file;

        for (char *p = at; p && (p = strchr(p, '/')); p++) {
                bool enables;
                int fd;

                *p = '\0';
                fd = cgroup_open(*at ? at : "/", NULL);
                if (fd < 0)
                        return NULL;
                enables = cgroup_enables_cpuset(fd);
                close(fd);
                if (!enables)
                        return asprintf(&file, "%s/cgroup.subtree_control", at) < 0 ? NULL : file;
                *p = '/';
        }
        return NULL;
}

static bool leaf_is_doubtful(const FenceLeaf *leaf, int fd)
{
        bool doubtful;

        if (strcmp(leaf->unit_path, leaf->path) == 0)
                return owner_is_doubtful(fd);
        fd = cgroup_open(leaf->unit_path, NULL);
        doubtful = fd >= 0 && owner_is_doubtful(fd);
        if (fd >= 0)
                close(fd);
        return doubtful;
}

/* The set of the unit confines all cgroups below it. */
static int leaf_read_sets(FenceLeaf *leaf, int fd, const NodeSet *cdm)
{
        bool has_effective = cgroup_read_effective(fd, &leaf->effective) == 0;

        if (!leaf->unit_path || strcmp(leaf->path, leaf->unit_path) == 0) {
                leaf->has_cpuset = has_effective && cgroup_read_mems(fd, &leaf->mems) == 0;
        } else {
                int unit_fd = cgroup_open(leaf->unit_path, NULL);

                leaf->has_cpuset = unit_fd >= 0 && cgroup_read_mems(unit_fd, &leaf->mems) == 0;
                if (unit_fd >= 0)
                        close(unit_fd);
        }
        return has_effective ? 0 : fence_scan_inherited(leaf->path, cdm, &leaf->effective);
}

static int leaf_read(FenceLeaf *leaf, const char *path, int fd, const NodeSet *cdm)
{
        _cleanup_free_ NumaBytes *numa = NULL;
        struct stat st;
        size_t n = 0;
        int r;

        if (fstat(fd, &st) < 0)
                return -errno;
        leaf->id = st.st_ino;
        leaf->path = strdup(path);
        if (!leaf->path)
                return -ENOMEM;
        if (fence_leaf_name(leaf) < 0 || leaf_read_sets(leaf, fd, cdm) < 0)
                return -ENOMEM;
        if (nodeset_intersects(&leaf->effective, cdm) && !nodeset_is_subset(&leaf->effective, &leaf->mems) &&
            fence_way_read(leaf->unit_path ? leaf->unit_path : path, false, cdm, &leaf->way) == -ENOMEM)
                return -ENOMEM;
        r = cgroup_read_numa(fd, cdm, &numa, &n);
        if (r == -ENOMEM)
                return r;
        for (size_t i = 0; r >= 0 && i < n; i++) {
                nodeset_add(&leaf->held, numa[i].node);
                leaf->bytes += numa_bytes_sum(&numa[i]);
        }
        if (leaf->unit_path)
                leaf->promised = subtenant_nodes(leaf->unit_path);
        leaf->doubtful = leaf->unit && leaf_is_doubtful(leaf, fd);
        if (leaf->unit && !leaf->has_cpuset)
                leaf->off = find_off(leaf->unit_path);
        return 0;
}

bool fence_leaf_is_slice(const FenceLeaf *leaf)
{
        return leaf->unit && owner_name_is_slice(leaf->unit, strlen(leaf->unit));
}

bool fence_leaf_is_empty_slice(const FenceLeaf *leaf)
{
        return leaf->is_empty && fence_leaf_is_slice(leaf);
}

int fence_leaf_read(const char *path, const NodeSet *cdm, FenceLeaf *ret)
{
        int fd = cgroup_open(path, NULL), r;

        if (fd < 0)
                return fd;
        r = leaf_read(ret, path, fd, cdm);
        close(fd);
        return r;
}

typedef struct ScanContext {
        FenceScan scan;
        size_t n_allocated;
        const NodeSet *cdm;
        bool doubtful_slices;
} ScanContext;

/* An empty slice is a leaf of the cgroup tree, but not of the fence. (A slice with processes is: systemd
 * puts no processes there, so something else did.) The empty cgroup that systemd 257 sometimes leaves behind
 * when a unit ends is not a leaf of the fence either: without the controller there is nothing to narrow. */
static bool is_no_leaf(const ScanContext *c, FenceLeaf *leaf, int fd)
{
        bool is_slice = fence_leaf_is_slice(leaf);

        if ((!is_slice && (!leaf->unit || leaf->has_cpuset)) || cgroup_is_populated(fd))
                return false;
        leaf->is_empty = true;
        return !(is_slice && leaf->doubtful && c->doubtful_slices);
}

static int scan_leaf(const char *path, int fd, void *userdata)
{
        ScanContext *c = userdata;
        FenceLeaf leaf = { 0 };
        int r;

        r = leaf_read(&leaf, path, fd, c->cdm);
        if (r >= 0 && is_no_leaf(c, &leaf, fd)) {
                fence_leaf_clear(&leaf);
                return 0;
        }
        if (r >= 0 && c->scan.n_leaves == c->n_allocated) {
                size_t n = c->n_allocated ? 2 * c->n_allocated : 64;
                FenceLeaf *leaves = reallocarray(c->scan.leaves, n, sizeof(*leaves));

                if (leaves) {
                        c->scan.leaves = leaves;
                        c->n_allocated = n;
                } else
                        r = -ENOMEM;
        }
        if (r < 0) {
                fence_leaf_clear(&leaf);
                return r == -ENOENT || r == -ENODEV ? 0 : r; /* the cgroup was removed meanwhile */
        }
        c->scan.leaves[c->scan.n_leaves++] = leaf;
        return 0;
}

int fence_scan_read(const NodeSet *cdm, bool doubtful_slices, FenceScan *ret)
{
        ScanContext c = { .cdm = cdm, .doubtful_slices = doubtful_slices };
        int r = cgroup_foreach_leaf(scan_leaf, &c);

        if (r < 0) {
                fence_scan_clear(&c.scan);
                return r;
        }
        *ret = c.scan;
        return 0;
}

NodeSet fence_leaf_reserved(const FenceLeaf *leaf, const Ledger *ledger)
{
        NodeSet nodes = ledger_tenant_nodes(ledger, leaf->path);

        nodes = nodeset_union(&nodes, &leaf->promised);
        if (leaf->unit) {
                NodeSet of_unit = ledger_tenant_nodes(ledger, leaf->unit);

                nodes = nodeset_union(&nodes, &of_unit);
        }
        return nodes;
}

NodeSet fence_tenant_promised(const char *tenant, const NodeSet *cdm, const Ledger *ledger)
{
        NodeSet nodes = ledger_tenant_nodes(ledger, tenant);

        NODESET_FOREACH (node, cdm)
                if (ledger_tenant_bytes(ledger, tenant, node) > 0)
                        nodeset_add(&nodes, node);
        return nodes;
}

NodeSet fence_leaf_promised(const FenceLeaf *leaf, const NodeSet *cdm, const Ledger *ledger)
{
        NodeSet nodes = fence_tenant_promised(leaf->path, cdm, ledger);

        nodes = nodeset_union(&nodes, &leaf->promised);
        if (leaf->unit) {
                NodeSet of_unit = fence_tenant_promised(leaf->unit, cdm, ledger);

                nodes = nodeset_union(&nodes, &of_unit);
        }
        return nodes;
}

NodeSet fence_unit_promised(const char *unit, const NodeSet *cdm, const Ledger *ledger)
{
        NodeSet nodes = fence_tenant_promised(unit, cdm, ledger), below = subtenant_unit_nodes(unit);

        return nodeset_union(&nodes, &below);
}

NodeSet fence_unit_reserved(const char *unit, const NodeSet *had, const NodeSet *cdm, const Ledger *ledger)
{
        NodeSet nodes = ledger_tenant_nodes(ledger, unit), below = subtenant_unit_nodes(unit),
                kept = fence_tenant_promised(unit, cdm, ledger);

        kept = nodeset_intersect(&kept, had);
        nodes = nodeset_union(&nodes, &below);
        return nodeset_union(&nodes, &kept);
}

/* True if `unit` is an instance of the template `name`, as job@7.service is of job@.service. */
static bool is_instance(const char *unit, const char *name)
{
        const char *at = strchr(name, '@'), *dot = strrchr(unit, '.');

        if (!at || at[1] != '.' || !dot)
                return false;
        return strncmp(unit, name, (size_t)(at - name) + 1) == 0 && strcmp(dot, at + 1) == 0;
}

bool fence_unit_is_exempt(const char *unit, char *const *exempt)
{
        if (!unit)
                return false;
        if (strcmp(unit, CDM_UNIT) == 0)
                return true;
        for (char *const *name = exempt; name && *name; name++)
                if (strcmp(unit, *name) == 0 || is_instance(unit, *name))
                        return true;
        return false;
}

NodeSet fence_leaf_open(const FenceLeaf *leaf, const Config *config, const PoolSet *pools,
                        const Ledger *ledger)
{
        NodeSet promised, open;

        /* An exempt unit may have every node, so none of its nodes is open by mistake. */
        if (fence_unit_is_exempt(leaf->unit, config->exempt))
                return NODESET_EMPTY;
        open = nodeset_intersect(&leaf->effective, &pools->cdm);
        promised = fence_leaf_promised(leaf, &open, ledger);
        return nodeset_subtract(&open, &promised);
}

NodeSet fence_unit_ordinary(const char *unit, const Config *config, const PoolSet *pools)
{
        for (size_t i = 0; unit && config && i < config->n_pins; i++) {
                NodeSet nodes = nodeset_intersect(&config->pins[i].nodes, &pools->ordinary);

                if (strcmp(config->pins[i].unit, unit) == 0 && !nodeset_is_empty(&nodes))
                        return nodes;
        }
        return pools->ordinary;
}

NodeSet fence_leaf_allowed(const FenceLeaf *leaf, const NodeSet *ordinary)
{
        NodeSet nodes = nodeset_intersect(ordinary, &leaf->way.room);

        return nodeset_is_empty(&nodes) ? *ordinary : nodes;
}

NodeSet fence_target(const NodeSet *had, const NodeSet *reserved, const NodeSet *ordinary)
{
        NodeSet nodes = nodeset_intersect(had, ordinary);

        if (nodeset_is_empty(&nodes))
                nodes = *ordinary;
        return nodeset_union(&nodes, reserved);
}
