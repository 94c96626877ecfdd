/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "policy/cdm-names.h"
#include "policy/conf-loader.h"
#include "policy/conf-read.h"
#include "policy/conf-start.h"

/* In order of precedence: a file replaces files of the same name in later folders. */
static const char *const places[] = { "/etc", "/run", "/usr/lib" };

typedef struct FolderEntry {
        char *name;
        const char *place;
} FolderEntry;

typedef struct Entries {
        FolderEntry *entries;
        size_t n_entries;
} Entries;

static void entries_clear(Entries *list)
{
        for (size_t i = 0; i < list->n_entries; i++)
                free(list->entries[i].name);
        free(list->entries);
}

static int entries_add(Entries *list, const char *name, const char *place)
{
        FolderEntry *entries;
        char *copy;

        for (size_t i = 0; i < list->n_entries; i++)
                if (strcmp(list->entries[i].name, name) == 0)
                        return 0; /* an earlier folder has a file of that name */
        entries = reallocarray(list->entries, list->n_entries + 1, sizeof(*entries));
        if (!entries)
                return -ENOMEM;
        list->entries = entries;
        copy = strdup(name);
        if (!copy)
                return -ENOMEM;
        entries[list->n_entries++] = (FolderEntry){ copy, place };
        return 0;
}

static int folder_compare_entries(const void *a, const void *b)
{
        return strcmp(((const FolderEntry *)a)->name, ((const FolderEntry *)b)->name);
}

static void folder_dir_close_p(DIR **dir)
{
        if (*dir)
                closedir(*dir);
}

static int folder_refuse(ConfLoader *l, ConfKind kind, const char *path, const char *reason)
{
        if (l->at_start)
                return conf_start_refuse_folder(l, kind, path, reason);
        l->refused = true;
        return conf_messages_add(l->messages, CONF_ERROR, path, 0, "%s", reason);
}

/* Collects the names that end in .conf from one folder; list NULL: only checks the owner of the folder. A
 * missing folder counts as empty. A folder that others can write to is refused like a file. */
static int folder_list(ConfLoader *l, ConfKind kind, const char *place, const char *path, Entries *list)
{
        _cleanup_free_ char *full = conf_full_path(l, path), *text = NULL;
        _cleanup_(folder_dir_close_p) DIR *dir = NULL;
        const char *reason;
        struct stat st;

        if (!full)
                return -ENOMEM;
        dir = opendir(full);
        if (!dir && errno == ENOENT)
                return 0;
        if (!dir || fstat(dirfd(dir), &st) < 0) {
                if (asprintf(&text, "cannot be read: %s", strerror(errno)) < 0)
                        return -ENOMEM;
                return folder_refuse(l, kind, path, text);
        }
        reason = conf_ownership_reason(l, &st);
        if (reason)
                return folder_refuse(l, kind, path, reason);

        if (!list)
                return 0;
        for (struct dirent *e; (errno = 0, e = readdir(dir));) {
                size_t n = strlen(e->d_name);

                if (e->d_name[0] == '.' || n <= strlen(".conf") ||
                    strcmp(e->d_name + n - strlen(".conf"), ".conf") != 0)
                        continue;
                if (entries_add(list, e->d_name, place) < 0)
                        return -ENOMEM;
        }
        return errno == 0 ? 0 : folder_refuse(l, kind, path, "cannot be read to its end");
}

static int folder_load_all(ConfLoader *l, ConfKind kind, const char *folder)
{
        _cleanup_(entries_clear) Entries list = { 0 };
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(places) && r == 0; i++) {
                _cleanup_free_ char *path = NULL;

                if (asprintf(&path, "%s/" CDM_CONFIG_DIR "/%s", places[i], folder) < 0)
                        return -ENOMEM;
                r = folder_list(l, kind, places[i], path, &list);
        }
        if (list.n_entries > 0)
                qsort(list.entries, list.n_entries, sizeof(*list.entries), folder_compare_entries);
        for (size_t i = 0; i < list.n_entries && r == 0; i++) {
                _cleanup_free_ char *path = NULL;

                if (asprintf(&path, "%s/" CDM_CONFIG_DIR "/%s/%s", list.entries[i].place, folder,
                             list.entries[i].name) < 0)
                        return -ENOMEM;
                r = conf_load_file(l, &kind, path);
        }
        return r;
}

/* Finds cdmd.conf: the first file that exists, which may be a mask. */
static int folder_load_main(ConfLoader *l)
{
        const ConfKind kind = CONF_MAIN;
        bool found = false;
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(places) && r == 0; i++) {
                _cleanup_free_ char *folder = NULL, *path = NULL, *full = NULL;
                struct stat st;

                if (asprintf(&folder, "%s/" CDM_CONFIG_DIR, places[i]) < 0 ||
                    asprintf(&path, "%s/cdmd.conf", folder) < 0)
                        return -ENOMEM;
                full = conf_full_path(l, path);
                if (!full)
                        return -ENOMEM;
                r = folder_list(l, kind, places[i], folder, NULL);
                if (r < 0 || found || (lstat(full, &st) < 0 && (errno == ENOENT || errno == ENOTDIR)))
                        continue;
                found = true;
                r = conf_load_file(l, &kind, path);
        }
        return r;
}

/* An unknown pool in a rule is probably a typo. */
static int folder_warn_pools(const ConfLoader *l)
{
        static const char *const default_pool = POOL_DEFAULT_NAME;
        const Config *c = l->config;
        size_t n = c->n_pools > 0 ? c->n_pools : 1;

        for (size_t i = 0; i < c->n_rules; i++)
                for (char **glob = c->rules[i]->pools; glob && *glob; glob++) {
                        bool found = false;

                        for (size_t p = 0; p < n && !found; p++)
                                found = fnmatch(*glob, c->n_pools > 0 ? c->pools[p]->name : default_pool,
                                                0) == 0;
                        if (!found &&
                            conf_messages_add(l->messages, CONF_WARNING, c->rules[i]->file,
                                              c->rules[i]->line,
                                              "Pool=: no pool is called \"%s\" (pools are the files "
                                              "of pools.d); this rule does nothing for it",
                                              *glob) < 0)
                                return -ENOMEM;
                }
        return 0;
}

/* *ret_base owns the string that l->root points to. */
static int folder_loader_init(ConfLoader *l, const char *root, ConfMessages *messages, char **ret_base)
{
        _cleanup_free_ char *base = strdup(root ? root : "");
        struct stat st;

        if (!base)
                return -ENOMEM;
        for (size_t n = strlen(base); n > 0 && base[n - 1] == '/'; n--)
                base[n - 1] = '\0';
        if (base[0] != '\0' && stat(base, &st) < 0)
                return -errno;
        *l = (ConfLoader){ .root = base, .own_files = base[0] != '\0', .messages = messages };
        *ret_base = TAKE_PTR(base);
        return 0;
}

/* how: the settings that differ between the callers. */
static int folder_load(const char *root, const ConfLoader *how, Config **ret, ConfMessages *messages)
{
        _cleanup_(config_free_p) Config *config = NULL;
        _cleanup_free_ char *base = NULL;
        ConfLoader l;
        int r;

        r = folder_loader_init(&l, root, messages, &base);
        if (r < 0)
                return r;
        r = config_new(&config);
        if (r < 0)
                return r;
        l.config = config;
        l.at_start = how->at_start;

        r = folder_load_main(&l);
        if (r == 0)
                r = folder_load_all(&l, CONF_MAIN, "cdmd.conf.d");
        if (r == 0)
                r = folder_load_all(&l, CONF_POOL, "pools.d");
        if (r == 0)
                r = folder_load_all(&l, CONF_POLICY, "policy.d");
        if (r == 0)
                r = folder_warn_pools(&l);
        if (r == 0 && l.refused)
                r = -EBADMSG;
        if (r == 0 && l.at_start)
                r = conf_start_finish(&l);
        rule_free(l.deny_all);
        free(l.nameless_pool);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(config);
        return 0;
}

int config_load(const char *root, Config **ret, ConfMessages *messages)
{
        return folder_load(root, &(ConfLoader){ 0 }, ret, messages);
}

int config_load_at_start(const char *root, Config **ret, ConfMessages *messages)
{
        return folder_load(root, &(ConfLoader){ .at_start = true }, ret, messages);
}

int config_check_files(char *const *paths, size_t n_paths, config_find_t find, void *userdata,
                       ConfMessages *messages)
{
        bool refused = false;

        for (size_t i = 0; i < n_paths; i++) {
                _cleanup_(config_free_p) Config *config = NULL;
                ConfLoader l = { .root = "", .own_files = true, .messages = messages };
                int r = config_new(&config);

                if (r < 0)
                        return r;
                l.config = config;
                r = conf_load_file(&l, NULL, paths[i]);
                if (r >= 0)
                        r = config_resolve_names(config, find, userdata, messages);
                if (r < 0)
                        return r;
                refused = refused || l.refused;
        }
        return refused ? -EBADMSG : 0;
}
