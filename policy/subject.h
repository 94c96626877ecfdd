/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The target of a reservation and the user who requests it. daemon/caller/identity.c determines both from
 * the kernel and PID 1, never from the client's own statements. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/label.h"
#include "policy/macro.h"

#define UID_NONE ((uid_t)UINT32_MAX)

typedef struct Subject {
        char *unit;         /* its name in PID 1; NULL for a cgroup that systemd does not own */
        char *slice;        /* its slice; the ancestors follow from the name */
        char *cgroup;       /* path below the cgroup root, starts with '/'; NULL when unknown (offline) */
        uint64_t cgroup_id; /* inode of the cgroup's directory; 0 when unknown */
        bool below_unit; /* a child of a delegated unit (Subtree=), and a tenant of its own: unit is NULL */
        char *container; /* "RUNTIME:ID" or NULL; only for cgroups that root made */
        uid_t uid;       /* the owner: the EUID of the bus connection; root if there is no user */
        bool nobody;     /* the request has no user, and rules see none */
        char *user;      /* the user's name, for messages; NULL when unknown */
        gid_t *gids;     /* the user's groups */
        size_t n_gids;
        Labels labels;  /* of the cgroup, set by an authorized caller, never by its processes */
        uid_t unit_uid; /* the unit's User=, UID_NONE when unknown */
} Subject;

Subject *subject_free(Subject *s);
DEFINE_CLEANUP(Subject, subject_free);

int subject_copy(const Subject *s, Subject **ret);

/* Sets the requesting user. name may be NULL. -ENOMEM. */
int subject_become(Subject *s, uid_t uid, const char *name, const gid_t *gids, size_t n_gids);

/* Fills in `container` from unit and cgroup. Only for cgroups that root made: the name proves nothing if
 * another user could have chosen it. Scopes of PID 1 are made by root, except those below user.slice. A
 * scope of a user's own manager is no unit of PID 1; here its unit is user@UID.service. */
int subject_set_container(Subject *s);

/* Puts the name of the parent of a slice into buf ("a-b.slice" -> "a.slice" -> "-.slice") and returns it;
 * NULL for the root, or if `slice` is not a slice. buf holds at least strlen(slice) + 1 bytes and may be
 * `slice` itself. */
char *subject_slice_parent(const char *slice, char *buf);
