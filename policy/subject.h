/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The target of a reservation and the user who requests it. daemon/caller/identity.c determines both from the
 * kernel and PID 1. Nothing is taken from what the client says. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/label.h"
#include "policy/macro.h"

#define UID_NONE ((uid_t)UINT32_MAX)

typedef struct Subject {
        char *unit;         /* as PID 1 names it; NULL for a cgroup that systemd does not own */
        char *slice;        /* the slice it is in; its ancestors follow from the name */
        char *cgroup;       /* path below the cgroup root, starts with '/'; NULL when unknown (offline) */
        uint64_t cgroup_id; /* inode of the cgroup's directory; 0 when unknown */
        char *container;    /* "RUNTIME:ID" or NULL; what root made only */
        uid_t uid;          /* the owner: the EUID of the bus connection; root's where there is no user */
        bool nobody;        /* the request has no user: rules see none */
        char *user;         /* the user's name, for messages; NULL when unknown */
        gid_t *gids;        /* the user's groups */
        size_t n_gids;
        Labels labels;  /* of the cgroup, as one said who may; not what its processes say */
        uid_t unit_uid; /* the unit's User=, UID_NONE when unknown */
} Subject;

Subject *subject_free(Subject *s);
DEFINE_CLEANUP(Subject, subject_free);

int subject_copy(const Subject *s, Subject **ret);

/* Sets the requesting user. name may be NULL. -ENOMEM. */
int subject_become(Subject *s, uid_t uid, const char *name, const gid_t *gids, size_t n_gids);

/* Fills in `container` from unit and cgroup. Only for cgroups that root made: the name is a proof only if no
 * other user could have chosen it. PID 1's scopes are root's, apart from those below user.slice; a scope of
 * a user's own manager is no unit of PID 1's, and is user@UID.service here. */
int subject_set_container(Subject *s);

/* Puts the name of the parent of a slice into buf ("a-b.slice" -> "a.slice" -> "-.slice") and returns it;
 * NULL at the root or for what is no slice. buf holds at least strlen(slice) + 1 bytes and may be slice
 * itself. */
char *subject_slice_parent(const char *slice, char *buf);
