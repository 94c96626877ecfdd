/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/container.h"

static const char *const runtime_table[_CONTAINER_RUNTIME_MAX] = {
        [CONTAINER_PODMAN] = "podman",
        [CONTAINER_DOCKER] = "docker",
        [CONTAINER_CONTAINERD] = "containerd",
        [CONTAINER_CRIO] = "crio",
};

const char *container_runtime_to_string(ContainerRuntime v)
{
        return v < _CONTAINER_RUNTIME_MAX ? runtime_table[v] : NULL;
}

int container_runtime_from_string(const char *s, ContainerRuntime *ret)
{
        for (ContainerRuntime v = 0; v < _CONTAINER_RUNTIME_MAX; v++)
                if (strcmp(s, runtime_table[v]) == 0) {
                        *ret = v;
                        return 0;
                }
        return -EINVAL;
}

/* How runtimes name the cgroup of a container: PREFIX ID SUFFIX. parent NULL: anywhere; else only below a
 * cgroup of that name, or with that prefix if it ends with a star. Monitors ("libpod-conmon-ID.scope") have
 * no id after the prefix. */
static const struct {
        ContainerRuntime runtime;
        const char *parent, *prefix, *suffix;
} names[] = {
        /* made by systemd: --cgroup-manager=systemd, native.cgroupdriver=systemd, SystemdCgroup=true */
        { CONTAINER_PODMAN, NULL, "libpod-", ".scope" },
        { CONTAINER_DOCKER, NULL, "docker-", ".scope" },
        { CONTAINER_CONTAINERD, NULL, "cri-containerd-", ".scope" },
        { CONTAINER_CONTAINERD, NULL, "nerdctl-", ".scope" },
        { CONTAINER_CRIO, NULL, "crio-", ".scope" },
        /* made by the runtime: cgroupfs */
        { CONTAINER_PODMAN, NULL, "libpod-", "" },
        { CONTAINER_CRIO, NULL, "crio-", "" },
        { CONTAINER_DOCKER, "docker", "", "" },
        { CONTAINER_CONTAINERD, "pod*", "", "" }, /* /kubepods/burstable/podUID/ID */
        { CONTAINER_CONTAINERD, "k8s.io", "", "" },
};

static bool container_is_id(const char *s, size_t n)
{
        if (n < CONTAINER_ID_MIN || n > CONTAINER_ID_MAX)
                return false;
        for (size_t i = 0; i < n; i++)
                if (!strchr("0123456789abcdef", s[i]))
                        return false;
        return true;
}

static bool container_has_name(const char *s, size_t n, const char *name)
{
        size_t k = strlen(name);

        if (k > 0 && name[k - 1] == '*')
                return n >= k && memcmp(s, name, k - 1) == 0;
        return n == k && memcmp(s, name, k) == 0;
}

/* name: a path component of n bytes; parent: the component before it, or empty. */
static bool container_match(const char *name, size_t n, const char *parent, size_t n_parent, Container *ret)
{
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                size_t before = strlen(names[i].prefix), after = strlen(names[i].suffix);

                if (n <= before + after || memcmp(name, names[i].prefix, before) != 0 ||
                    memcmp(name + n - after, names[i].suffix, after) != 0 ||
                    !container_is_id(name + before, n - before - after))
                        continue;
                if (names[i].parent && !container_has_name(parent, n_parent, names[i].parent))
                        continue;
                *ret = (Container){ .runtime = names[i].runtime };
                memcpy(ret->id, name + before, n - before - after);
                return true;
        }
        return false;
}

bool container_of_cgroup(const char *path, Container *ret, size_t *ret_len)
{
        const char *parent = "";
        size_t n_parent = 0;

        for (const char *p = path; *(p += strspn(p, "/")); p += n_parent) {
                size_t n = strcspn(p, "/");

                if (container_match(p, n, parent, n_parent, ret)) {
                        if (ret_len)
                                *ret_len = (size_t)(p - path) + n;
                        return true;
                }
                parent = p;
                n_parent = n;
        }
        return false;
}

char *container_format(const Container *c)
{
        char *s;

        return asprintf(&s, "%s:%s", container_runtime_to_string(c->runtime), c->id) < 0 ? NULL : s;
}
