/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The cgroup of a container's first process, and its owner. A hook that runs as root, or as root of a user
 * namespace, must not give memory to a cgroup into which a user can move any process. */

#include <stdbool.h>
#include <sys/types.h>

#include "policy/nodeset.h"

typedef struct OciPlace {
        char *cgroup; /* path from the cgroup root */
        char *unit;   /* the first service or scope in that path; NULL: none */
        bool users;   /* below user@UID.service, in a user namespace, or in a cgroup not owned by root */
} OciPlace;

void oci_place_clear(OciPlace *p);

/* root: "", or a directory with proc and sys/fs/cgroup below it. Negative errno: unknown. */
int oci_place_read(const char *root, pid_t pid, OciPlace *ret);

/* Reads cpuset.mems.effective of a cgroup. */
int oci_place_mems(const char *root, const char *cgroup, NodeSet *ret);
