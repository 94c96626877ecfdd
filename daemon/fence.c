/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Closing and lifting the fence over a machine that runs. Everything is a step of one sequence; a step is
 * either a job on a worker (reading or writing cgroups, moving pages) or a call to PID 1, and starts the
 * next when it has ended:
 *
 *   close:  SCAN - DRAIN (leaf by leaf) - RESET (property by property) - INSTALL - RELOAD - READ
 *             READ: all fenced: closed
 *                   else POKE (slice by slice) - READ, as long as that fences more leaves,
 *                   then NARROW what systemd thinks is narrow already - READ, once,
 *                   then what is left is reported
 *   lift:   REMOVE - RELOAD - READ - POKE (as above)
 *
 * Why READ and POKE: systemd 257 knows after a reload what its units shall have, and applies it to none of
 * them until somebody touches their slice. Why NARROW: where the set changes while the controller is enabled
 * already, a poke finds nothing to do; systemd's own idea of the unit is right then, and only the kernel has
 * to be told. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/cgroup.h"
#include "daemon/drain.h"
#include "daemon/fence-files.h"
#include "daemon/fence-scan.h"
#include "daemon/fence.h"
#include "daemon/unit.h"
#include "policy/cdm-names.h"

#define DIR_RUNTIME   "/run/systemd/system"
#define DIR_GENERATOR "/run/systemd/generator"
/* Its being there says that the controller had to be enabled on a running system, until the next boot. */
#define FLAG_CPUSET CDM_STATE_DIR "/cpuset-enabled"

typedef enum Phase {
        PHASE_IDLE,
        PHASE_SCAN,
        PHASE_DRAIN,
        PHASE_RESET,
        PHASE_RELOAD,
        PHASE_READ,
        PHASE_POKE,
        PHASE_NARROW,
} Phase;

typedef struct FenceJob FenceJob;

struct Fence {
        FenceContext context;
        FenceState state;
        Unfenced *unfenced;
        size_t n_unfenced;
        uint64_t drained_bytes;

        /* what is under way */
        Phase phase;
        bool lifting, reloaded, narrowed;
        const Config *config;
        const PoolSet *pools;
        fence_done_t done;
        void *userdata;
        FenceScan scan;
        size_t next;   /* the leaf that is next in DRAIN and NARROW */
        char **names;  /* units to set back, slices to poke */
        NodeSet *sets; /* what to set them to */
        size_t n_names;
        size_t n_todo; /* leaves that were not as they shall be, the last time */
        Job *job;
        FenceJob *job_data;
        sd_bus_slot *slot;
};

/* What a job works on. It outlives the Fence when that is freed meanwhile: then fence is NULL. */
struct FenceJob {
        Fence *fence;
        Job *job;
        FenceScan scan; /* result of SCAN and READ */
        NodeSet cdm, from, to, target;
        char *path, *unit_path;
        uint64_t id;
        uint64_t bandwidth;
        uint64_t drained_bytes;
};

static const char *const state_names[_FENCE_STATE_MAX] = {
        [FENCE_OPEN] = "open",
        [FENCE_CLOSING] = "closing",
        [FENCE_CLOSED] = "closed",
        [FENCE_LEAKY] = "leaky",
};

const char *fence_state_to_string(FenceState v)
{
        return v >= 0 && v < _FENCE_STATE_MAX ? state_names[v] : NULL;
}

static void step_read(Fence *f);
static void step_drain(Fence *f);
static void step_reset(Fence *f);
static void step_reload(Fence *f);
static void step_poke(Fence *f);
static void step_narrow(Fence *f);

static void names_clear(Fence *f)
{
        for (size_t i = 0; i < f->n_names; i++)
                free(f->names[i]);
        free(f->names);
        free(f->sets);
        f->names = NULL;
        f->sets = NULL;
        f->n_names = 0;
        f->next = 0;
}

static void unfenced_clear(Fence *f)
{
        for (size_t i = 0; i < f->n_unfenced; i++) {
                free(f->unfenced[i].cgroup);
                free(f->unfenced[i].unit);
                free(f->unfenced[i].reason);
        }
        free(f->unfenced);
        f->unfenced = NULL;
        f->n_unfenced = 0;
}

static void finish(Fence *f, int error)
{
        fence_done_t done = f->done;

        f->phase = PHASE_IDLE;
        f->slot = sd_bus_slot_unref(f->slot);
        names_clear(f);
        fence_scan_clear(&f->scan);
        if (f->lifting)
                f->state = FENCE_OPEN;
        else
                f->state = error < 0 || f->n_unfenced > 0 ? FENCE_LEAKY : FENCE_CLOSED;
        f->done = NULL;
        f->config = NULL;
        f->pools = NULL;
        /* last: the callee may free the Fence or start it again */
        if (done)
                done(f, error, f->userdata);
}

static FenceJob *fence_job_free(FenceJob *j)
{
        if (!j)
                return NULL;
        fence_scan_clear(&j->scan);
        free(j->path);
        free(j->unit_path);
        free(j);
        return NULL;
}

static void job_start(Fence *f, FenceJob *j, job_run_t run, job_done_t done)
{
        int r;

        j->fence = f;
        r = worker_submit(f->context.worker, run, done, NULL, j, &f->job);
        if (r < 0) {
                fence_job_free(j);
                finish(f, r);
                return;
        }
        f->job_data = j;
}

/* The Fence of a job that has ended; NULL when it is gone. */
static Fence *job_ended(FenceJob *j)
{
        if (j->fence) {
                j->fence->job = NULL;
                j->fence->job_data = NULL;
        }
        return j->fence;
}

/* --- SCAN and READ ------------------------------------------------------------------------------------ */

static int run_scan(Job *job _unused_, void *userdata)
{
        FenceJob *j = userdata;

        return fence_scan_read(&j->cdm, &j->scan);
}

/* A unit that shall have every node, and that still has only what a fence left it. */
static bool is_held_back(const Fence *f, const FenceLeaf *leaf)
{
        return leaf->unit && leaf->has_cpuset && !nodeset_is_empty(&leaf->mems) &&
               !nodeset_intersects(&leaf->mems, &f->pools->cdm);
}

/* Is the leaf not (yet) as it shall be? */
static bool is_todo(const Fence *f, const FenceLeaf *leaf)
{
        NodeSet open;

        if (nodeset_is_empty(&f->pools->cdm))
                return false;
        if (f->lifting || fence_unit_is_exempt(leaf->unit, f->config))
                return is_held_back(f, leaf);
        open = fence_leaf_open(leaf, f->config, f->pools, f->context.ledger);
        return !nodeset_is_empty(&open);
}

static const char *unfenced_reason(const FenceLeaf *leaf)
{
        if (!leaf->unit)
                return "systemd does not own it, so no unit file applies to it";
        if (!leaf->has_cpuset)
                return "the cpuset controller is not enabled there";
        return "something names CDM nodes for it after the fence does, a drop-in or a property of the unit: "
               "see systemctl cat";
}

static int report(Fence *f)
{
        unfenced_clear(f);
        if (f->lifting)
                return 0;
        for (size_t i = 0; i < f->scan.n_leaves; i++) {
                const FenceLeaf *leaf = &f->scan.leaves[i];
                NodeSet open = fence_leaf_open(leaf, f->config, f->pools, f->context.ledger);
                Unfenced u = { 0 }, *array;

                if (nodeset_is_empty(&open))
                        continue;
                array = reallocarray(f->unfenced, f->n_unfenced + 1, sizeof(*array));
                if (!array)
                        return -ENOMEM;
                f->unfenced = array;
                u.cgroup = strdup(leaf->path);
                u.unit = strdup(leaf->unit ? leaf->unit : "");
                u.reason = strdup(unfenced_reason(leaf));
                f->unfenced[f->n_unfenced++] = u;
                if (!u.cgroup || !u.unit || !u.reason)
                        return -ENOMEM;
        }
        return 0;
}

static int add_name(Fence *f, const char *name, const NodeSet *set)
{
        char **names;
        NodeSet *sets;

        for (size_t i = 0; i < f->n_names; i++)
                if (strcmp(f->names[i], name) == 0)
                        return 0;
        names = reallocarray(f->names, f->n_names + 1, sizeof(*names));
        if (!names)
                return -ENOMEM;
        f->names = names;
        sets = reallocarray(f->sets, f->n_names + 1, sizeof(*sets));
        if (!sets)
                return -ENOMEM;
        f->sets = sets;
        f->names[f->n_names] = strdup(name);
        if (!f->names[f->n_names])
                return -ENOMEM;
        f->sets[f->n_names++] = set ? *set : NODESET_EMPTY;
        return 0;
}

/* After a reading: done, or which slices to poke, or the last resort. */
static void judge(Fence *f)
{
        size_t n = 0;
        int r = 0;

        names_clear(f);
        for (size_t i = 0; i < f->scan.n_leaves && r >= 0; i++) {
                const FenceLeaf *leaf = &f->scan.leaves[i];

                if (!is_todo(f, leaf))
                        continue;
                n++;
                if (leaf->slice)
                        r = add_name(f, leaf->slice, NULL);
        }
        if (r < 0) {
                finish(f, r);
                return;
        }
        if (n > 0 && n < f->n_todo && f->n_names > 0) {
                f->n_todo = n;
                step_poke(f);
                return;
        }
        /* Files that were there already, but that systemd has never read: cdmd was killed in between. */
        if (n > 0 && !f->reloaded) {
                f->n_todo = SIZE_MAX;
                step_reload(f);
                return;
        }
        if (n > 0 && !f->lifting && !f->narrowed) {
                f->narrowed = true;
                names_clear(f);
                step_narrow(f);
                return;
        }
        finish(f, report(f));
}

static void scan_done(int result, void *userdata)
{
        FenceJob *j = userdata;
        Fence *f = job_ended(j);

        if (f) {
                fence_scan_clear(&f->scan);
                f->scan = j->scan;
                j->scan = (FenceScan){ 0 };
        }
        fence_job_free(j);
        if (!f)
                return;
        f->next = 0;
        if (result < 0)
                finish(f, result);
        else if (f->phase == PHASE_SCAN)
                step_drain(f);
        else
                judge(f);
}

static void step_scan(Fence *f, Phase phase)
{
        FenceJob *j = calloc(1, sizeof(*j));

        f->phase = phase;
        if (!j) {
                finish(f, -ENOMEM);
                return;
        }
        j->cdm = f->pools->cdm;
        job_start(f, j, run_scan, scan_done);
}

static void step_read(Fence *f)
{
        step_scan(f, PHASE_READ);
}

/* --- DRAIN and NARROW --------------------------------------------------------------------------------- */

static uint64_t bytes_on(int fd, const NodeSet *nodes)
{
        _cleanup_free_ NumaBytes *numa = NULL;
        uint64_t sum = 0;
        size_t n = 0;

        if (cgroup_read_numa(fd, nodes, &numa, &n) < 0)
                return 0;
        for (size_t i = 0; i < n; i++)
                sum += numa_bytes_sum(&numa[i]);
        return sum;
}

/* Pages first, then the narrowing, which so has little left to move; page cache last, when it cannot come
 * back. What fails here shows in the reading at the end. */
static int run_drain(Job *job, void *userdata)
{
        FenceJob *j = userdata;
        uint64_t before, after, id, evicted;
        MoveResult moved;
        int fd, r;

        fd = cgroup_open(j->path, &id);
        if (fd < 0)
                return 0;
        if (id != j->id) {
                close(fd);
                return 0;
        }
        before = bytes_on(fd, &j->from);
        r = drain_move(fd, &j->from, &j->to, j->bandwidth, job, &moved);
        if (r != -ECANCELED) {
                (void)cgroup_write_mems(j->unit_path, &j->target);
                r = drain_evict(fd, &j->from, job, &evicted);
        }
        after = bytes_on(fd, &j->from);
        j->drained_bytes = before > after ? before - after : 0;
        close(fd);
        return r == -ECANCELED ? r : 0;
}

static int run_narrow(Job *job _unused_, void *userdata)
{
        FenceJob *j = userdata;

        (void)cgroup_write_mems(j->unit_path, &j->target);
        return 0;
}

static void leaf_job_done(int result, void *userdata)
{
        FenceJob *j = userdata;
        Fence *f = job_ended(j);

        if (f)
                f->drained_bytes += j->drained_bytes;
        fence_job_free(j);
        if (!f)
                return;
        if (result < 0)
                finish(f, result);
        else if (f->phase == PHASE_DRAIN)
                step_drain(f);
        else
                step_narrow(f);
}

static void leaf_job_start(Fence *f, const FenceLeaf *leaf, const NodeSet *from, job_run_t run)
{
        NodeSet reserved = fence_leaf_reserved(leaf, f->context.ledger);
        FenceJob *j = calloc(1, sizeof(*j));

        if (j) {
                j->path = strdup(leaf->path);
                j->unit_path = strdup(leaf->unit_path);
        }
        if (!j || !j->path || !j->unit_path) {
                fence_job_free(j);
                finish(f, -ENOMEM);
                return;
        }
        j->id = leaf->id;
        j->from = *from;
        j->to = f->pools->ordinary;
        j->target = fence_target(&leaf->mems, &reserved, f->pools);
        j->bandwidth = f->config->drain_bandwidth;
        job_start(f, j, run, leaf_job_done);
}

/* Nodes on which the leaf has pages and no promise of any kind: a reservation that is on its way out still
 * has one, and is drained by whoever ended it. */
static NodeSet intruding(const Fence *f, const FenceLeaf *leaf)
{
        NodeSet nodes = NODESET_EMPTY;

        if (!leaf->unit || fence_unit_is_exempt(leaf->unit, f->config))
                return nodes;
        NODESET_FOREACH (node, &leaf->held) {
                if (ledger_tenant_bytes(f->context.ledger, leaf->unit, node) == 0 &&
                    ledger_tenant_bytes(f->context.ledger, leaf->path, node) == 0)
                        nodeset_add(&nodes, node);
        }
        return nodes;
}

static void step_drain(Fence *f)
{
        f->phase = PHASE_DRAIN;
        while (f->next < f->scan.n_leaves) {
                const FenceLeaf *leaf = &f->scan.leaves[f->next++];
                NodeSet from = intruding(f, leaf);

                if (nodeset_is_empty(&from))
                        continue;
                leaf_job_start(f, leaf, &from, run_drain);
                return;
        }
        step_reset(f);
}

static void step_narrow(Fence *f)
{
        f->phase = PHASE_NARROW;
        while (f->next < f->scan.n_leaves) {
                const FenceLeaf *leaf = &f->scan.leaves[f->next++];
                NodeSet open = fence_leaf_open(leaf, f->config, f->pools, f->context.ledger);

                if (!leaf->unit || !leaf->has_cpuset || nodeset_is_empty(&open))
                        continue;
                leaf_job_start(f, leaf, &open, run_narrow);
                return;
        }
        f->n_todo = 0; /* no poke after this */
        step_read(f);
}

/* --- RESET -------------------------------------------------------------------------------------------- */

/* The last list that a 50-AllowedMemoryNodes.conf of systemd's assigns. */
static int read_property(const char *path, NodeSet *ret)
{
        NodeSet nodes = NODESET_EMPTY;
        char line[8192];
        FILE *file = fopen(path, "re");

        if (!file)
                return -errno;
        while (fgets(line, sizeof(line), file)) {
                static const char key[] = "AllowedMemoryNodes=";
                NodeSet more;

                if (strncmp(line, key, strlen(key)) != 0)
                        continue;
                for (char *p = line; *p; p++)
                        if (*p == ' ')
                                *p = ',';
                if (nodeset_parse(line + strlen(key), &more) < 0)
                        continue;
                nodes = nodeset_is_empty(&more) ? more : nodeset_union(&nodes, &more);
        }
        fclose(file);
        *ret = nodes;
        return 0;
}

static int find_property(Fence *f, const char *dir, const char *folder)
{
        _cleanup_free_ char *path = NULL, *unit = NULL;
        NodeSet nodes, reserved, open;
        size_t n = strlen(folder);

        if (n < 3 || strcmp(folder + n - 2, ".d") != 0)
                return 0;
        unit = strndup(folder, n - 2);
        if (!unit || asprintf(&path, "%s/%s/50-AllowedMemoryNodes.conf", dir, folder) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        if (fence_unit_is_exempt(unit, f->config) || read_property(path, &nodes) < 0)
                return 0;
        reserved = ledger_tenant_nodes(f->context.ledger, unit);
        open = nodeset_intersect(&nodes, &f->pools->cdm);
        if (nodeset_is_subset(&open, &reserved))
                return 0;
        reserved = nodeset_intersect(&reserved, &open);
        nodes = fence_target(&nodes, &reserved, f->pools);
        return add_name(f, unit, &nodes);
}

/* Properties that were set at run time stay in files of systemd's, also for units that are not active: they
 * would start granted. Looking there is cheaper than asking PID 1 about every unit. */
static int find_properties(Fence *f)
{
        _cleanup_free_ char *path = NULL;
        struct dirent *e;
        int r = 0;
        DIR *dir;

        if (asprintf(&path, "%s/run/systemd/system.control", f->context.root) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        dir = opendir(path);
        if (!dir)
                return 0;
        while (r >= 0 && (e = readdir(dir)))
                if (e->d_name[0] != '.')
                        r = find_property(f, path, e->d_name);
        closedir(dir);
        return r;
}

static int install(Fence *f, bool *ret_changed);

static void reset_next(Fence *f);

static void reset_done(int error _unused_, const char *message _unused_, void *userdata)
{
        Fence *f = userdata;

        f->slot = sd_bus_slot_unref(f->slot);
        reset_next(f);
}

/* A unit that cannot be set back (it is gone) needs none: what matters is read at the end. */
static void reset_next(Fence *f)
{
        bool changed;
        int r;

        while (f->next < f->n_names) {
                size_t i = f->next++;

                if (unit_set_mems(f->context.bus, f->names[i], &f->sets[i], reset_done, f, &f->slot) >= 0)
                        return;
        }
        names_clear(f);
        r = install(f, &changed);
        if (r < 0)
                finish(f, r);
        else if (changed)
                step_reload(f);
        else
                step_read(f);
}

static void step_reset(Fence *f)
{
        int r;

        f->phase = PHASE_RESET;
        names_clear(f);
        r = find_properties(f);
        if (r < 0)
                finish(f, r);
        else
                reset_next(f);
}

/* --- INSTALL and RELOAD ------------------------------------------------------------------------------- */

/* Is the controller on for the services? If not, the reload that follows enables it under their feet. */
static bool cpuset_is_enabled(void)
{
        _cleanup_free_ char *text = NULL;
        int fd = cgroup_open("/system.slice", NULL), r;

        if (fd < 0)
                return true;
        r = cgroup_read_file(fd, "cgroup.subtree_control", &text);
        close(fd);
        return r < 0 || strstr(text, "cpuset") != NULL;
}

static void note_cpuset(const Fence *f)
{
        _cleanup_free_ char *path = NULL;
        int fd;

        if (cpuset_is_enabled() || asprintf(&path, "%s" FLAG_CPUSET, f->context.root) < 0)
                return;
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd >= 0)
                close(fd);
}

/* The generator's files do when they say the same; a second set would override later ones of the generator.
 */
static int install(Fence *f, bool *ret_changed)
{
        _cleanup_free_ char *runtime = NULL, *generator = NULL;
        int r;

        if (asprintf(&runtime, "%s" DIR_RUNTIME, f->context.root) < 0) {
                runtime = NULL;
                return -ENOMEM;
        }
        if (asprintf(&generator, "%s" DIR_GENERATOR, f->context.root) < 0) {
                generator = NULL;
                return -ENOMEM;
        }
        if (f->lifting || fence_files_present(generator, f->config, f->pools))
                return fence_files_remove(runtime, ret_changed);
        r = fence_files_write(runtime, f->config, f->pools, ret_changed);
        if (r >= 0 && *ret_changed)
                note_cpuset(f);
        return r;
}

static void reload_done(int error, const char *message _unused_, void *userdata)
{
        Fence *f = userdata;

        f->slot = sd_bus_slot_unref(f->slot);
        if (error < 0)
                finish(f, error);
        else
                step_read(f);
}

static void step_reload(Fence *f)
{
        int r;

        f->phase = PHASE_RELOAD;
        f->reloaded = true;
        r = unit_daemon_reload(f->context.bus, reload_done, f, &f->slot);
        if (r < 0)
                finish(f, r);
}

/* --- POKE --------------------------------------------------------------------------------------------- */

static void poke_done(int error _unused_, const char *message _unused_, void *userdata)
{
        Fence *f = userdata;

        f->slot = sd_bus_slot_unref(f->slot);
        step_poke(f);
}

static void step_poke(Fence *f)
{
        f->phase = PHASE_POKE;
        while (f->next < f->n_names) {
                const char *slice = f->names[f->next++];

                if (unit_poke_slice(f->context.bus, slice, poke_done, f, &f->slot) >= 0)
                        return;
        }
        step_read(f);
}

/* ------------------------------------------------------------------------------------------------------ */

int fence_new(const FenceContext *context, Fence **ret)
{
        Fence *f = calloc(1, sizeof(*f));

        if (!f)
                return -ENOMEM;
        f->context = *context;
        if (!f->context.root)
                f->context.root = "";
        *ret = f;
        return 0;
}

Fence *fence_free(Fence *f)
{
        if (!f)
                return NULL;
        if (f->job_data) {
                f->job_data->fence = NULL;
                job_cancel(f->job);
        }
        sd_bus_slot_unref(f->slot);
        names_clear(f);
        fence_scan_clear(&f->scan);
        unfenced_clear(f);
        free(f);
        return NULL;
}

static int start(Fence *f, bool lifting, fence_done_t done, void *userdata)
{
        if (f->phase != PHASE_IDLE)
                return -EBUSY;
        f->lifting = lifting;
        f->reloaded = f->narrowed = false;
        f->n_todo = SIZE_MAX;
        f->done = done;
        f->userdata = userdata;
        return 0;
}

int fence_close(Fence *f, const Config *config, const PoolSet *pools, fence_done_t done, void *userdata)
{
        int r;

        if (nodeset_is_empty(&pools->ordinary))
                return -ENOSPC;
        r = start(f, false, done, userdata);
        if (r < 0)
                return r;
        f->config = config;
        f->pools = pools;
        f->state = FENCE_CLOSING;
        step_scan(f, PHASE_SCAN);
        return 0;
}

int fence_lift(Fence *f, const PoolSet *pools, fence_done_t done, void *userdata)
{
        bool changed;
        int r;

        r = start(f, true, done, userdata);
        if (r < 0)
                return r;
        f->pools = pools;
        unfenced_clear(f);
        r = install(f, &changed);
        if (r < 0) {
                f->done = NULL;
                return r;
        }
        /* Also when there was nothing of ours to remove: the generator's files go with the reload. */
        step_reload(f);
        return 0;
}

FenceState fence_state(const Fence *f)
{
        return f->state;
}

bool fence_enabled_cpuset(const Fence *f)
{
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s" FLAG_CPUSET, f->context.root) < 0) {
                path = NULL;
                return false;
        }
        return access(path, F_OK) == 0;
}

const Unfenced *fence_unfenced(const Fence *f, size_t *ret_n)
{
        *ret_n = f->n_unfenced;
        return f->unfenced;
}

uint64_t fence_intruder_bytes_drained(const Fence *f)
{
        return f->drained_bytes;
}
