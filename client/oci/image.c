/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/oci/image.h"

/* A container takes a few hundred bytes. */
#define CONTAINERS_BYTES_MAX ((size_t)64 << 20)

static void json_put(json_object **o)
{
        json_object_put(*o);
}
#define _cleanup_json_ _cleanup_(json_put)

/* Reads a file in a directory, without blocking in open() or read() if it is no regular file. */
static int read_json_at(int dir, const char *name, size_t bytes_max, json_object **ret)
{
        int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        int r = oci_json_read(fd, bytes_max, ret);
        close(fd);
        return r;
}

static bool is_id(const char *s)
{
        return *s && strlen(s) <= 128 && strspn(s, "0123456789abcdef") == strlen(s);
}

/* Splits a bundle of the form STORE/DRIVER-containers/ID/userdata. False: it has another form. */
static bool split_bundle(char *bundle, const char **ret_containers, const char **ret_id)
{
        static const char tail[] = "/userdata", suffix[] = "-containers";
        size_t n = strlen(bundle);

        if (n < strlen(tail) || strcmp(bundle + n - strlen(tail), tail) != 0)
                return false;
        bundle[n - strlen(tail)] = '\0';
        char *slash = strrchr(bundle, '/');
        if (!slash)
                return false;
        *slash = '\0';
        n = strlen(bundle);
        if (n < strlen(suffix) || strcmp(bundle + n - strlen(suffix), suffix) != 0)
                return false;
        *ret_containers = bundle;
        *ret_id = slash + 1;
        return true;
}

/* Finds the image of a container in the table of containers. *ret is owned by the caller; empty: no
 * image. */
static int find_image(int dir, const char *table, const char *id, char **ret)
{
        _cleanup_json_ json_object *all = NULL;

        int r = read_json_at(dir, table, CONTAINERS_BYTES_MAX, &all);
        if (r < 0)
                return r;
        if (!json_object_is_type(all, json_type_array))
                return -EBADMSG;
        for (size_t i = 0; i < json_object_array_length(all); i++) {
                json_object *c = json_object_array_get_idx(all, i);
                const char *its = json_object_is_type(c, json_type_object) ? oci_json_string(c, "id") : NULL;

                if (!its || strcmp(its, id) != 0)
                        continue;
                const char *image = oci_json_string(c, "image");
                return string_copy(image ? image : "", ret);
        }
        return -ENOENT;
}

static int read_manifest(const char *root, const char *containers, const char *image, json_object **ret)
{
        _cleanup_free_ char *path = NULL;
        int n = (int)(strlen(containers) - strlen("containers"));

        if (!is_id(image))
                return -EBADMSG;
        if (asprintf(&path, "%s%.*simages/%s", root, n, containers, image) < 0)
                return -ENOMEM;
        int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
                return -errno;
        int r = read_json_at(dir, "manifest", OCI_STATE_BYTES_MAX * 2, ret);
        close(dir);
        return r;
}

/* *ret stays NULL if the container has no image. */
static int read_image(const char *root, const char *containers, const char *id, json_object **ret)
{
        _cleanup_free_ char *path = NULL, *image = NULL;

        if (asprintf(&path, "%s%s", root, containers) < 0)
                return -ENOMEM;
        int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
                return -errno;
        int r = find_image(dir, "containers.json", id, &image);
        if (r == -ENOENT)
                r = find_image(dir, "volatile-containers.json", id, &image);
        close(dir);
        if (r >= 0 && *image)
                r = read_manifest(root, containers, image, ret);
        return r;
}

/* Removes annotations that are equal to those of the image. Returns their number. */
static int image_drop(json_object *annotations, json_object *of_image)
{
        int n = 0;

        json_object_object_foreach(of_image, key, unused)
        {
                const char *theirs = oci_json_string(of_image, key),
                           *ours = oci_json_string(annotations, key);

                (void)unused;
                if (strncmp(key, OCI_ANNOTATION_PREFIX, strlen(OCI_ANNOTATION_PREFIX)) != 0 || !theirs ||
                    !ours || strcmp(theirs, ours) != 0)
                        continue;
                json_object_object_del(annotations, key);
                n++;
        }
        return n;
}

int oci_image_drop(const char *root, OciState *s, char reason[static OCI_REASON_MAX])
{
        _cleanup_json_ json_object *manifest = NULL;
        _cleanup_free_ char *bundle = NULL;
        const char *containers, *id;

        if (!s->annotations || !s->bundle)
                return 0;
        if (string_copy(s->bundle, &bundle) < 0) {
                snprintf(reason, OCI_REASON_MAX, "out of memory");
                return -EINVAL;
        }
        if (!split_bundle(bundle, &containers, &id))
                return 0;
        int r = read_image(root, containers, id, &manifest);
        if (r >= 0 && manifest && !json_object_is_type(manifest, json_type_object))
                r = -EBADMSG;
        if (r < 0) {
                snprintf(reason, OCI_REASON_MAX,
                         "the image's own annotations cannot be told apart, because its manifest cannot be "
                         "read (%s); ask with --device cdmd.org/POOL=SIZE instead, see cdmctl(1), cdi",
                         strerror(-r));
                return -EINVAL;
        }
        json_object *of_image = manifest ? oci_json_object(manifest, "annotations") : NULL;
        return of_image ? image_drop(s->annotations, of_image) : 0;
}
