/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Looks up users and groups. No other file does this. A lookup blocks as long as the name service (sssd,
 * LDAP, a home directory service), possibly for minutes: cdmd calls these functions only on threads of
 * names.c. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef enum NameKind {
        NAME_USER,   /* a user by name */
        NAME_MEMBER, /* a user by name or number, with all groups */
        NAME_UID,    /* a user by number, only from etc/passwd: for messages */
        NAME_GROUP,  /* a group by name */
        _NAME_KIND_MAX,
} NameKind;

typedef struct NameRecord {
        uint32_t id; /* UID, or GID for NAME_GROUP */
        char *name;  /* NAME_MEMBER, NAME_UID; NULL if not printable ASCII */
        gid_t *gids; /* NAME_MEMBER */
        size_t n_gids;
} NameRecord;

void name_record_clear(NameRecord *r);

/* Reads etc/passwd and etc/group below root if root is not empty and has them, otherwise uses NSS. -ENOENT:
 * there is no such user or group. Any other error: the name service failed. For NAME_USER and NAME_GROUP a
 * string of digits is the number itself, whether or not it has a name. */
int name_lookup(const char *root, NameKind kind, const char *name, NameRecord *ret);

/* For config_resolve_names() in programs that may block. userdata: root. */
int name_find(bool group, const char *name, uint32_t *ret, void *userdata);
