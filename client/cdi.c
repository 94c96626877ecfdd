/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmctl cdi: writes files of the Container Device Interface, so that `podman run --device
 * cdmd.org/POOL=SIZE` asks for memory. A device is only a hook (cdmd-oci-hook) with the pool and the size as
 * arguments. An image cannot ask in this way, because images name no devices. */

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cdmctl.h"
#include "client/json.h"
#include "policy/cdm-names.h"
#include "policy/conf-read.h"

#define CDI_VENDOR "cdmd.org"
/* The first version in which the name of a device may begin with a digit; podman 4.3 supports it. */
#define CDI_VERSION "0.5.0"
#define CDI_FOLDER  "/etc/cdi"

/* Begins a member whose value is an array with one object. cdi_end() ends array and object. */
static void cdi_begin(Json *j, const char *key)
{
        json_key(j, key);
        json_array_begin(j);
        json_object_begin(j);
}

static void cdi_end(Json *j)
{
        json_object_end(j);
        json_array_end(j);
}

static void cdi_member(Json *j, const char *key, const char *value)
{
        json_key(j, key);
        json_string(j, value);
}

static int cdi_device(Json *j, const PoolConfig *pool, const char *size)
{
        _cleanup_free_ char *pool_option = NULL, *size_option = NULL;

        if (asprintf(&pool_option, "--pool=%s", pool->name) < 0 ||
            asprintf(&size_option, "--size=%s", size) < 0)
                return -ENOMEM;
        json_object_begin(j);
        cdi_member(j, "name", size);
        json_key(j, "containerEdits");
        json_object_begin(j);
        cdi_begin(j, "hooks");
        cdi_member(j, "hookName", "createRuntime");
        cdi_member(j, "path", CDM_OCI_HOOK);
        json_key(j, "args");
        json_array_begin(j);
        json_string(j, "cdmd-oci-hook");
        json_string(j, pool_option);
        json_string(j, size_option);
        json_array_end(j);
        cdi_end(j);
        json_object_end(j);
        json_object_end(j);
        return 0;
}

static int cdi_print(FILE *f, const PoolConfig *pool)
{
        Json j = JSON_WRITER(f, JSON_PRETTY);
        _cleanup_free_ char *kind = NULL;
        int r = 0;

        if (asprintf(&kind, CDI_VENDOR "/%s", pool->name) < 0)
                return -ENOMEM;
        json_object_begin(&j);
        cdi_member(&j, "cdiVersion", CDI_VERSION);
        cdi_member(&j, "kind", kind);
        json_key(&j, "devices");
        json_array_begin(&j);
        for (char **size = pool->cdi_sizes; r >= 0 && *size; size++)
                r = cdi_device(&j, pool, *size);
        json_array_end(&j);
        json_object_end(&j);
        json_finish(&j);
        return r;
}

/* Replaces the file atomically: runtimes may read it meanwhile. */
static int cdi_write(const char *path, const PoolConfig *pool)
{
        _cleanup_free_ char *temp = NULL;
        FILE *f = NULL;

        if (asprintf(&temp, "%s.XXXXXX", path) < 0)
                return -ENOMEM;
        int fd = mkostemp(temp, O_CLOEXEC);
        if (fd < 0)
                return -errno;
        int r = fchmod(fd, 0644) < 0 || !(f = fdopen(fd, "w")) ? -errno : cdi_print(f, pool);
        if (r >= 0 && (ferror(f) || fflush(f) == EOF || fsync(fd) < 0))
                r = -errno;
        if (f)
                fclose(f);
        else
                close(fd);
        if (r >= 0 && rename(temp, path) < 0)
                r = -errno;
        if (r < 0)
                unlink(temp);
        return r;
}

static char *cdi_path(const char *folder, const char *pool)
{
        char *path;

        return asprintf(&path, "%s/" CDI_VENDOR "-%s.json", folder, pool) < 0 ? NULL : path;
}

static void cdi_tell(Json *j, const Args *args, const PoolConfig *pool, const char *path)
{
        if (args->style.json != JSON_OFF) {
                json_object_begin(j);
                cdi_member(j, "file", path);
                json_key(j, "devices");
                json_array_begin(j);
        }
        for (char **size = pool->cdi_sizes; *size; size++) {
                _cleanup_free_ char *device = NULL;

                if (asprintf(&device, CDI_VENDOR "/%s=%s", pool->name, *size) < 0)
                        device = NULL;
                if (args->style.json != JSON_OFF)
                        json_string(j, device ? device : "");
                else if (!args_given(args, OPTION_QUIET))
                        printf("%s: %s\n", path, device ? device : "");
        }
        if (args->style.json != JSON_OFF) {
                json_array_end(j);
                json_object_end(j);
        }
}

/* Removes the files of pools that have no sizes any more. */
static int cdi_remove_others(const char *folder, const Config *config)
{
        _cleanup_free_ char *pattern = cdi_path(folder, "*");
        glob_t found = { 0 };
        int status = 0;

        if (!pattern)
                return fail(CDM_EXIT_FAILED, "out of memory");
        int r = glob(pattern, GLOB_NOSORT, NULL, &found);
        for (size_t i = 0; r == 0 && i < found.gl_pathc; i++) {
                bool wanted = false;

                for (size_t k = 0; k < config->n_pools && !wanted; k++) {
                        _cleanup_free_ char *path = cdi_path(folder, config->pools[k]->name);

                        wanted = !path ||
                                 (config->pools[k]->cdi_sizes && strcmp(path, found.gl_pathv[i]) == 0);
                }
                if (!wanted && unlink(found.gl_pathv[i]) < 0)
                        status = fail(CDM_EXIT_FAILED, "cannot remove %s: %s", found.gl_pathv[i],
                                      strerror(errno));
        }
        globfree(&found);
        return status;
}

static int cdi_write_all(const Args *args, const char *folder, const Config *config)
{
        Json j = JSON_WRITER(stdout, args->style.json);
        size_t n = 0;
        int status = 0;

        if (args->style.json != JSON_OFF)
                json_array_begin(&j);
        for (size_t i = 0; i < config->n_pools && status == 0; i++) {
                const PoolConfig *pool = config->pools[i];
                _cleanup_free_ char *path = cdi_path(folder, pool->name);

                if (!pool->cdi_sizes)
                        continue;
                int r = path ? cdi_write(path, pool) : -ENOMEM;
                if (r < 0)
                        status = fail(CDM_EXIT_FAILED, "cannot write %s: %s", path ? path : folder,
                                      strerror(-r));
                else
                        cdi_tell(&j, args, pool, path);
                n++;
        }
        if (args->style.json != JSON_OFF) {
                json_array_end(&j);
                json_finish(&j);
        }
        if (n == 0)
                note("no pool has CdiSizes=, so there is no device; write the sizes into the pool's file, see "
                     "cdm-pool(5)");
        return status;
}

int verb_cdi(const Args *args)
{
        _cleanup_(conf_messages_clear) ConfMessages messages = { 0 };
        _cleanup_(config_free_p) Config *config = NULL;
        _cleanup_free_ char *folder = NULL;

        int r = args->n_positional > 0 ? string_copy(args->positional[0], &folder)
                                       : asprintf(&folder, "%s" CDI_FOLDER, args->root);
        if (r < 0)
                return fail(CDM_EXIT_FAILED, "out of memory");
        r = config_load(args->root, &config, &messages);
        if (r == -EBADMSG)
                return fail(
                        CDM_EXIT_FAILED,
                        "the configuration has errors, and nothing is written; `cdmctl check` shows them");
        if (r < 0)
                return fail(CDM_EXIT_FAILED, "cannot read the configuration: %s", strerror(-r));
        if (mkdir(folder, 0755) < 0 && errno != EEXIST)
                return fail(CDM_EXIT_FAILED, "cannot make the folder %s: %s", folder, strerror(errno));
        int status = cdi_write_all(args, folder, config);
        int removed = cdi_remove_others(folder, config);
        return status != 0 ? status : removed;
}
