/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The part of the fence that systemd applies: resets properties that would open the fence, installs
 * drop-ins, and reloads systemd. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/fence/fence-internal.h"
#include "daemon/kernel/owner.h"
#include "daemon/pid1/fence-files.h"
#include "daemon/pid1/fence-property.h"
#include "daemon/pid1/unit.h"
#include "policy/cdm-names.h"

/* True if the property was written by the previous fence (possibly plus a grant) and the new fence allows a
 * different set. */
static bool install_is_of_before(const Fence *f, const NodeSet *had, const NodeSet *reserved, bool free)
{
        NodeSet base = nodeset_subtract(had, reserved);

        return !nodeset_is_empty(&f->before) && nodeset_equal(&base, &f->before) &&
               (free || !nodeset_equal(&f->before, &f->pools->ordinary));
}

/* A property that opens CDM nodes without a reservation is reset to the allowed part of its set. A property
 * that was reset this way is updated when a later fence allows a different set, or all nodes. (Unsetting the
 * property does not help: the kernel keeps the value.) The property of a slice stays, because it limits the
 * reservations in the slice. Nodes that were granted since the property was read are added. Returns false if
 * the property may stay. */
static bool install_judge_property(const Fence *f, const FenceProperty *p, NodeSet *ret)
{
        const NodeSet *cdm = &f->pools->cdm;
        NodeSet promised = fence_unit_promised(p->unit, cdm, f->context.ledger),
                reserved = fence_unit_reserved(p->unit, &p->nodes, cdm, f->context.ledger);
        NodeSet open = nodeset_intersect(&p->nodes, cdm),
                ordinary = fence_unit_ordinary(p->unit, f->config, f->pools);
        bool free = f->lifting || fence_unit_is_exempt(p->unit, f->config->exempt);

        if (owner_name_is_slice(p->unit, strlen(p->unit)))
                return false;
        if (install_is_of_before(f, &p->nodes, &promised, free)) {
                *ret = nodeset_union(&f->pools->ordinary, free ? cdm : &reserved);
                return true;
        }
        if (free || nodeset_is_subset(&open, &promised))
                return false;
        *ret = fence_target(&p->nodes, &reserved, &ordinary);
        return true;
}

/* Like install_judge_property(), for StartupAllowedMemoryNodes=, which grants never set. */
static bool install_judge_startup(const Fence *f, const FenceProperty *p)
{
        return !f->lifting && !fence_unit_is_exempt(p->unit, f->config->exempt) &&
               nodeset_intersects(&p->nodes, &f->pools->cdm);
}

static void install_on_reset(int error, const char *message _unused_, void *userdata)
{
        Fence *f = userdata;

        f->call = unit_call_free(f->call);
        fence_note_told(f, error);
        fence_step_reset(f);
}

static bool install_judge(const Fence *f, const FenceProperty *p, NodeSet *ret)
{
        return p->startup ? install_judge_startup(f, p) : install_judge_property(f, p, ret);
}

static void install_on_turn(int result _unused_, void *userdata)
{
        Fence *f = userdata;
        const FenceProperty *p = &f->properties.list[f->next - 1];
        Gate *gate = f->context.gate;
        NodeSet target;
        int r = 0;

        if (!install_judge(f, p, &target)) {
                fence_step_reset(f);
                return;
        }
        if (p->startup)
                r = unit_reset_startup_mems(gate, p->unit, install_on_reset, f, &f->call);
        else
                r = unit_set_mems(gate, p->unit, &target, install_on_reset, f, &f->call);
        if (r >= 0)
                return;
        fence_note_told(f, r);
        fence_step_reset(f);
}

/* A failed reset is ignored, because the unit may be gone: the last READ finds leaves that are still
 * open. */
void fence_step_reset(Fence *f)
{
        f->turn = turn_free(f->turn);
        while (f->next < f->properties.n) {
                NodeSet unused;

                if (!fence_go_on(f))
                        return;
                const FenceProperty *p = &f->properties.list[f->next++];
                if (!install_judge(f, p, &unused))
                        continue;
                fence_take_turn(f, p->unit, install_on_turn);
                return;
        }
        fence_properties_clear(&f->properties);
        f->step_ended(f, 0);
}

static int install_add_property(FenceProperties *p, const char *unit, const NodeSet *nodes, bool startup)
{
        char *copy = strdup(unit);
        FenceProperty *list = copy ? reallocarray(p->list, p->n + 1, sizeof(*list)) : NULL;

        if (!list) {
                free(copy);
                return -ENOMEM;
        }
        p->list = list;
        list[p->n++] = (FenceProperty){ copy, *nodes, startup };
        return 0;
}

static int install_on_property(const char *unit, const NodeSet *nodes, void *userdata)
{
        return install_add_property(userdata, unit, nodes, false);
}

static int install_on_startup(const char *unit, const NodeSet *nodes, void *userdata)
{
        return install_add_property(userdata, unit, nodes, true);
}

static int install_run_properties(Job *job _unused_, void *userdata)
{
        FenceJob *j = userdata;
        int r = fence_property_foreach(j->path, install_on_property, &j->properties);

        return r < 0 ? r : fence_property_foreach_startup(j->path, install_on_startup, &j->properties);
}

static void install_on_properties(int result, void *userdata)
{
        FenceJob *j = userdata;
        Fence *f = fence_job_ended(j);

        if (f) {
                f->properties = j->properties;
                j->properties = (FenceProperties){ 0 };
        }
        fence_job_free(j);
        if (f)
                f->step_ended(f, result < 0 ? result : 0);
}

/* Runs on a worker, because there is one file per grant. */
void fence_step_properties(Fence *f)
{
        FenceJob *j = calloc(1, sizeof(*j));

        if (j)
                j->path = strdup(f->context.root);
        if (!j || !j->path) {
                fence_job_free(j);
                f->step_ended(f, -ENOMEM);
                return;
        }
        fence_job_start(f, j, false, install_run_properties, install_on_properties);
}

/* --- INSTALL and RELOAD ------------------------------------------------------------------------------- */

static char *install_path(const Fence *f, const char *dir)
{
        char *path;

        return asprintf(&path, "%s%s", f->context.root, dir) < 0 ? NULL : path;
}

/* Runtime files override files of the generator with the same name. */
NodeSet fence_ordinary_in_force(const Fence *f)
{
        static const char *const dirs[] = { FENCE_DIR_RUNTIME, FENCE_DIR_GENERATOR };

        for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
                _cleanup_free_ char *dir = install_path(f, dirs[i]);
                NodeSet nodes;

                if (dir && fence_files_ordinary(dir, &nodes) >= 0)
                        return nodes;
        }
        return NODESET_EMPTY;
}

static FILE *install_open_before(const Fence *f, const char *mode)
{
        _cleanup_free_ char *path = install_path(f, CDM_FENCE_BEFORE);

        return path ? fopen(path, mode) : NULL;
}

bool fence_before_read(const Fence *f, NodeSet *ret)
{
        FILE *file = install_open_before(f, "re");
        char line[NODESET_STR_MAX] = "";
        bool there;

        if (!file)
                return false;
        there = fgets(line, sizeof(line), file) && nodeset_parse(line, ret) >= 0 && !nodeset_is_empty(ret);
        fclose(file);
        return there;
}

void fence_before_forget(const Fence *f)
{
        _cleanup_free_ char *path = install_path(f, CDM_FENCE_BEFORE);

        if (path)
                (void)unlink(path);
}

/* Records the set of the previous fence: after this change the drop-ins no longer tell what units still
 * have. The record of an interrupted change stays, because units may still have that set. */
static int install_write_before(const Fence *f)
{
        char list[NODESET_STR_MAX];
        FILE *file;

        if (f->interrupted || nodeset_is_empty(&f->before) ||
            (!f->lifting && nodeset_equal(&f->before, &f->pools->ordinary)))
                return 0;
        file = install_open_before(f, "we");
        if (!file)
                return -errno;
        fprintf(file, "%s\n", nodeset_format(&f->before, list));
        return fclose(file) == 0 ? 0 : -errno;
}

/* The decision is written first: the generator reads it during the reload that follows. If the files of the
 * generator already match, no runtime files are written: they would override later files of the
 * generator. */
static int install_files(Fence *f, bool *ret_changed)
{
        _cleanup_free_ char *runtime = install_path(f, FENCE_DIR_RUNTIME),
                            *generator = install_path(f, FENCE_DIR_GENERATOR);
        int r;

        if (!runtime || !generator)
                return -ENOMEM;
        r = install_write_before(f);
        if (r < 0)
                return r;
        r = fence_files_decide(f->context.root, f->lifting ? NULL : f->config, f->lifting ? NULL : f->pools);
        if (r < 0)
                return r;
        if (f->lifting || fence_files_present(generator, f->config, f->pools))
                return fence_files_remove(runtime, ret_changed);
        r = fence_files_write(runtime, f->config, f->pools, ret_changed);
        if (r >= 0 && *ret_changed)
                fence_files_note_cpuset(f->context.root);
        return r;
}

void fence_step_install(Fence *f)
{
        bool changed = false;
        int r = install_files(f, &changed);

        /* A reload removes outdated generator files. One that failed in an earlier sequence is still due. */
        f->to_reload |= changed || f->lifting || f->interrupted;
        f->step_ended(f, r < 0 ? r : 0);
}

static void install_on_reloaded(int error, const char *message _unused_, void *userdata)
{
        Fence *f = userdata;

        f->call = unit_call_free(f->call);
        f->to_reload = f->to_reload && error < 0;
        f->step_ended(f, error < 0 ? error : 0);
}

void fence_step_reload(Fence *f)
{
        int r;

        f->reloaded = true;
        r = unit_daemon_reload(f->context.gate, install_on_reloaded, f, &f->call);
        if (r < 0)
                f->step_ended(f, r);
}
