/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/fence-property.h"
#include "policy/macro.h"

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

static int look_at(const char *dir, const char *folder, fence_property_t fn, void *userdata)
{
        _cleanup_free_ char *path = NULL, *unit = NULL;
        size_t n = strlen(folder);
        NodeSet nodes;

        if (folder[0] == '.' || n < 3 || strcmp(folder + n - 2, ".d") != 0)
                return 0;
        unit = strndup(folder, n - 2);
        if (!unit || asprintf(&path, "%s/%s/50-AllowedMemoryNodes.conf", dir, folder) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        return read_property(path, &nodes) < 0 ? 0 : fn(unit, &nodes, userdata);
}

static int look_into(const char *root, const char *dir, fence_property_t fn, void *userdata)
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
                r = look_at(path, e->d_name, fn, userdata);
        closedir(d);
        return r < 0 ? r : 0;
}

/* Properties of transient units are kept beside these. */
int fence_property_foreach(const char *root, fence_property_t fn, void *userdata)
{
        int r = look_into(root, "/run/systemd/system.control", fn, userdata);

        return r < 0 ? r : look_into(root, "/run/systemd/transient", fn, userdata);
}
