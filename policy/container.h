/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Finds the container that a cgroup belongs to, by the names that container runtimes give their cgroups. The
 * name alone proves nothing: the caller must know that root made the cgroup (daemon/caller/identity.c). */

#include <stdbool.h>
#include <stddef.h>

#include "policy/macro.h"

typedef enum ContainerRuntime {
        CONTAINER_PODMAN,
        CONTAINER_DOCKER,
        CONTAINER_CONTAINERD,
        CONTAINER_CRIO,
        _CONTAINER_RUNTIME_MAX,
} ContainerRuntime;

const char *container_runtime_to_string(ContainerRuntime v);
int container_runtime_from_string(const char *s, ContainerRuntime *ret);

/* Ids are 64 hexadecimal digits; the short form that runtimes print has 12. */
#define CONTAINER_ID_MIN 12
#define CONTAINER_ID_MAX 64

typedef struct Container {
        ContainerRuntime runtime;
        char id[CONTAINER_ID_MAX + 1];
} Container;

/* Finds the container of this cgroup or of an ancestor; of nested containers the outermost. The name of a
 * scope is accepted instead of a path. *ret_len: the length of the container's own path. False: the cgroup
 * is in no container. The monitor process of a container is outside of it. */
bool container_of_cgroup(const char *path, Container *ret, size_t *ret_len);

/* "RUNTIME:ID", the form of Container= in a rule; owned by the caller. NULL: out of memory. */
char *container_format(const Container *c);
