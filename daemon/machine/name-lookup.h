/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The only file that looks up users and groups. It blocks, for minutes if the name service (sssd, LDAP, a
 * home directory service) does: cdmd calls it on threads of names.c only. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef enum NameKind {
        NAME_USER,   /* a user by name */
        NAME_MEMBER, /* a user by name or number, with all groups */
        NAME_UID,    /* a user by number, by etc/passwd alone: for messages */
        NAME_GROUP,  /* a group by name */
        _NAME_KIND_MAX,
} NameKind;

typedef struct NameRecord {
        uint32_t id; /* UID, or GID for NAME_GROUP */
        char *name;  /* NAME_MEMBER, NAME_UID; printable ASCII, NULL when it is not */
        gid_t *gids; /* NAME_MEMBER */
        size_t n_gids;
} NameRecord;

void name_record_clear(NameRecord *r);

/* Asks etc/passwd and etc/group below root where root is given and has them, else NSS. -ENOENT: there is no
 * such user or group. Any other error: the name service failed. For NAME_USER and NAME_GROUP digits are the
 * number itself, whether it has a name or not. */
int name_lookup(const char *root, NameKind kind, const char *name, NameRecord *ret);

/* For config_resolve_names(), where blocking does no harm. userdata: root. */
int name_find(bool group, const char *name, uint32_t *ret, void *userdata);
