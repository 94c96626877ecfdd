/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where a container's first process is: its cgroup, and whose that is. A hook that runs as root, or as what
 * looks like root from within a user namespace, must not give memory to a cgroup whose user can put whatever
 * he likes into it. */

#include <stdbool.h>
#include <sys/types.h>

#include "policy/nodeset.h"

typedef struct OciPlace {
        char *cgroup; /* from the cgroup root on */
        char *unit;   /* the service or scope that it is in or below; NULL: none */
        bool users;   /* below user@UID.service, in a user namespace, or at a cgroup that is not root's */
} OciPlace;

void oci_place_clear(OciPlace *p);

/* root: "", or a directory with proc and sys/fs/cgroup below it. Negative errno: it cannot be told. */
int oci_place_read(const char *root, pid_t pid, OciPlace *ret);

/* cpuset.mems.effective of a cgroup. */
int oci_place_mems(const char *root, const char *cgroup, NodeSet *ret);
