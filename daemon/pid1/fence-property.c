/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/pid1/fence-property.h"
#include "policy/macro.h"

/* systemd stores a property in the file 50-PROPERTY.conf, as an assignment PROPERTY=. */
#define ALLOWED "AllowedMemoryNodes"
#define STARTUP "StartupAllowedMemoryNodes"

/* Reads the list that the assignments in a file result in: an empty one resets it. */
static int property_read_assignment(const char *path, const char *key, NodeSet *ret)
{
        NodeSet nodes = NODESET_EMPTY;
        char line[8192];
        FILE *file = fopen(path, "re");

        if (!file)
                return -errno;
        while (fgets(line, sizeof(line), file)) {
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

static int property_read_value(const char *path, NodeSet *ret)
{
        return property_read_assignment(path, ALLOWED "=", ret);
}

typedef struct PropertyLook {
        const char *property;
        fence_property_t fn;
        void *userdata;
} PropertyLook;

static int property_look_at(const char *dir, const char *folder, const PropertyLook *l)
{
        _cleanup_free_ char *path = NULL, *unit = NULL;
        size_t n = strlen(folder);
        char key[64];
        NodeSet nodes;

        if (folder[0] == '.' || n < 3 || strcmp(folder + n - 2, ".d") != 0)
                return 0;
        unit = strndup(folder, n - 2);
        if (!unit || asprintf(&path, "%s/%s/50-%s.conf", dir, folder, l->property) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        snprintf(key, sizeof(key), "%s=", l->property);
        return property_read_assignment(path, key, &nodes) < 0 ? 0 : l->fn(unit, &nodes, l->userdata);
}

static int look_into(const char *root, const char *dir, const PropertyLook *l)
{
        _cleanup_free_ char *path = NULL;
        struct dirent *e;
        int r = 0;
        DIR *d;

        if (asprintf(&path, "%s%s", root, dir) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        d = opendir(path);
        if (!d)
                return errno == ENOENT ? 0 : -errno;
        while (r >= 0 && (e = readdir(d)))
                r = property_look_at(path, e->d_name, l);
        closedir(d);
        return r < 0 ? r : 0;
}

/* Properties of transient units are stored separately, in the second directory. */
int fence_property_foreach(const char *root, fence_property_t fn, void *userdata)
{
        const PropertyLook l = { ALLOWED, fn, userdata };
        int r = look_into(root, "/run/systemd/system.control", &l);

        return r < 0 ? r : look_into(root, "/run/systemd/transient", &l);
}

int fence_property_foreach_startup(const char *root, fence_property_t fn, void *userdata)
{
        const PropertyLook l = { STARTUP, fn, userdata };
        int r = look_into(root, "/etc/systemd/system.control", &l);

        if (r >= 0)
                r = look_into(root, "/run/systemd/system.control", &l);
        return r < 0 ? r : look_into(root, "/run/systemd/transient", &l);
}

/* --- THE DECIDING FILE -------------------------------------------------------------------------------- */

/* systemd.unit(5), "System Unit Search Path" */
static const char *const search_path[] = {
        "/etc/systemd/system.control",   "/run/systemd/system.control",  "/run/systemd/transient",
        "/run/systemd/generator.early",  "/etc/systemd/system",          "/etc/systemd/system.attached",
        "/run/systemd/system",           "/run/systemd/system.attached", "/run/systemd/generator",
        "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",      "/run/systemd/generator.late",
};

typedef struct Word {
        char *file;
        NodeSet nodes;
} Word;

static const char *property_file_of(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

static int property_hear_file(const char *folder, const char *name, Word *w)
{
        _cleanup_free_ char *path = NULL;
        size_t n = strlen(name);
        NodeSet nodes;

        if (n < 6 || strcmp(name + n - 5, ".conf") != 0 ||
            (w->file && strcmp(name, property_file_of(w->file)) <= 0))
                return 0;
        if (asprintf(&path, "%s/%s", folder, name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        if (property_read_value(path, &nodes) < 0 || nodeset_is_empty(&nodes))
                return 0;
        free(w->file);
        w->file = TAKE_PTR(path);
        w->nodes = nodes;
        return 0;
}

/* Reads all drop-ins for one name (of a unit, a template, a prefix or a type) in every directory. */
static int property_hear(const char *root, const char *name, Word *w)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(search_path); i++) {
                _cleanup_free_ char *folder = NULL;
                struct dirent *e;
                DIR *d;

                if (asprintf(&folder, "%s%s/%s.d", root, search_path[i], name) < 0) {
                        folder = NULL;
                        return -ENOMEM;
                }
                d = opendir(folder);
                if (!d)
                        continue;
                while (r >= 0 && (e = readdir(d)))
                        r = property_hear_file(folder, e->d_name, w);
                closedir(d);
        }
        return r;
}

/* The names for a-b-c@1.service: a-b-c@1.service, a-b-c@.service, a-b-.service, a-.service, service. */
static int property_hear_all(const char *root, const char *unit, Word *w)
{
        _cleanup_free_ char *name = strdup(unit);
        const char *dot = strrchr(unit, '.');
        char *cut;
        int r;

        if (!name || !dot || strchr(unit, '/'))
                return name ? -EINVAL : -ENOMEM;
        r = property_hear(root, unit, w);
        cut = strchr(name, '@');
        if (r >= 0 && cut) {
                memmove(cut + 1, dot, strlen(dot) + 1);
                r = property_hear(root, name, w);
        }
        strcpy(name, unit);
        name[cut ? cut - name : dot - unit] = '\0';
        while (r >= 0 && (cut = strrchr(name, '-'))) {
                _cleanup_free_ char *prefix = NULL;

                *cut = '\0';
                if (asprintf(&prefix, "%s-%s", name, dot) < 0) {
                        prefix = NULL;
                        return -ENOMEM;
                }
                r = property_hear(root, prefix, w);
        }
        return r < 0 ? r : property_hear(root, dot + 1, w);
}

int fence_property_last_word(const char *root, const char *unit, char **ret_file, NodeSet *ret)
{
        Word w = { 0 };
        int r = property_hear_all(root, unit, &w);

        if (r >= 0 && !w.file)
                r = -ENOENT;
        if (r < 0) {
                free(w.file);
                return r;
        }
        *ret_file = w.file;
        *ret = w.nodes;
        return 0;
}
