/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/machine/name-lookup.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/macro.h"

/* The length of an entry has no fixed bound; a group of a million members takes about 16 MiB. */
#define BUFFER_BYTES_MIN ((size_t)1024)
#define BUFFER_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define GROUPS_FIRST     64
#define GROUPS_MAX       65536 /* NGROUPS_MAX of the kernel */

_Static_assert(sizeof(uid_t) == sizeof(uint32_t) && sizeof(gid_t) == sizeof(uint32_t), "ids have 32 bits");

void name_record_clear(NameRecord *r)
{
        free(r->name);
        free(r->gids);
        *r = (NameRecord){ 0 };
}

static void name_lookup_close(FILE **f)
{
        if (*f)
                fclose(*f);
}

/* -ENOENT: there is no such file. */
static int name_lookup_open(const char *root, const char *file, FILE **ret)
{
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/etc/%s", root, file) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        *ret = fopen(path, "re");
        return *ret ? 0 : -errno;
}

/* Parses a number from 0 to UINT32_MAX - 1; the kernel reserves UINT32_MAX for "no user". */
static bool name_read_number(const char *s, uint32_t *ret)
{
        char *end;

        if (*s < '0' || *s > '9')
                return false;
        errno = 0;
        unsigned long long v = strtoull(s, &end, 10);
        if (errno || *end || v >= UINT32_MAX)
                return false;
        *ret = (uint32_t)v;
        return true;
}

/* Names are used in D-Bus strings, which must be UTF-8, and in log lines. */
static bool name_is_plain(const char *name)
{
        for (; *name; name++)
                if (*name <= ' ' || *name > '~')
                        return false;
        return true;
}

/* --- one entry ---------------------------------------------------------------------------------------- */

/* An entry and its buffer. */
typedef struct NameEntry {
        struct passwd pw;
        struct group gr;
        char *buffer;
        size_t size;
} NameEntry;

typedef int (*entry_next_t)(FILE *f, NameEntry *e, void **found);
typedef bool (*entry_is_t)(const NameEntry *e, const void *key);
typedef int (*entry_nss_t)(const void *key, NameEntry *e, void **found);

static int name_next_user(FILE *f, NameEntry *e, void **found)
{
        struct passwd *p = NULL;
        int r = fgetpwent_r(f, &e->pw, e->buffer, e->size, &p);

        *found = p;
        return r;
}

static int name_next_group(FILE *f, NameEntry *e, void **found)
{
        struct group *p = NULL;
        int r = fgetgrent_r(f, &e->gr, e->buffer, e->size, &p);

        *found = p;
        return r;
}

static bool name_user_has_name(const NameEntry *e, const void *key)
{
        return strcmp(e->pw.pw_name, key) == 0;
}

static bool name_user_has_uid(const NameEntry *e, const void *key)
{
        return e->pw.pw_uid == *(const uint32_t *)key && name_is_plain(e->pw.pw_name);
}

static bool name_group_has_name(const NameEntry *e, const void *key)
{
        return strcmp(e->gr.gr_name, key) == 0;
}

static int name_nss_user_by_name(const void *key, NameEntry *e, void **found)
{
        struct passwd *p = NULL;
        int r = getpwnam_r(key, &e->pw, e->buffer, e->size, &p);

        *found = p;
        return r;
}

static int name_nss_user_by_uid(const void *key, NameEntry *e, void **found)
{
        struct passwd *p = NULL;
        int r = getpwuid_r(*(const uint32_t *)key, &e->pw, e->buffer, e->size, &p);

        *found = p;
        return r;
}

static int name_nss_group_by_name(const void *key, NameEntry *e, void **found)
{
        struct group *p = NULL;
        int r = getgrnam_r(key, &e->gr, e->buffer, e->size, &p);

        *found = p;
        return r;
}

static int name_grow(NameEntry *e)
{
        size_t size = e->size ? 4 * e->size : BUFFER_BYTES_MIN;
        char *larger = size <= BUFFER_BYTES_MAX ? realloc(e->buffer, size) : NULL;

        if (!larger)
                return size <= BUFFER_BYTES_MAX ? -ENOMEM : -ERANGE;
        e->buffer = larger;
        e->size = size;
        return 0;
}

static int name_find_in_file(FILE *f, entry_next_t next, entry_is_t is, const void *key, NameEntry *e)
{
        int r = e->size ? 0 : name_grow(e);

        while (r >= 0) {
                void *found = NULL;
                long at = ftell(f);
                int k = next(f, e, &found);

                if (k == ERANGE) { /* read the same line again */
                        r = name_grow(e);
                        if (r >= 0 && fseek(f, at, SEEK_SET) < 0)
                                r = -errno;
                } else if (!found)
                        return k == 0 || k == ENOENT ? -ENOENT : -k;
                else if (is(e, key))
                        return 0;
        }
        return r;
}

static int name_find_in_nss(entry_nss_t ask, const void *key, NameEntry *e)
{
        void *found = NULL;
        int k, r = 0;

        do
                r = name_grow(e);
        while (r >= 0 && (k = ask(key, e, &found)) == ERANGE);
        if (r < 0)
                return r;
        if (found)
                return 0;
        /* getpwnam(3) lists these errors for "not found", in addition to 0. */
        return k == 0 || k == ENOENT || k == ESRCH ? -ENOENT : -k;
}

/* --- users and groups --------------------------------------------------------------------------------- */

static int name_find_user(const char *root, const char *name, const uint32_t *uid, bool files, NameEntry *e)
{
        _cleanup_(name_lookup_close) FILE *f = NULL;
        const void *key = uid ? (const void *)uid : name;
        int r = *root || files ? name_lookup_open(root, "passwd", &f) : -ENOENT;

        if (f)
                return name_find_in_file(f, name_next_user, uid ? name_user_has_uid : name_user_has_name,
                                         key, e);
        if (files || r != -ENOENT)
                return r;
        return name_find_in_nss(uid ? name_nss_user_by_uid : name_nss_user_by_name, key, e);
}

static int name_find_group(const char *root, const char *name, NameEntry *e)
{
        _cleanup_(name_lookup_close) FILE *f = NULL;
        int r = *root ? name_lookup_open(root, "group", &f) : -ENOENT;

        if (f)
                return name_find_in_file(f, name_next_group, name_group_has_name, name, e);
        return r != -ENOENT ? r : name_find_in_nss(name_nss_group_by_name, name, e);
}

static int name_add_group(NameRecord *r, gid_t gid)
{
        gid_t *larger = reallocarray(r->gids, r->n_gids + 1, sizeof(*larger));

        if (!larger)
                return -ENOMEM;
        r->gids = larger;
        larger[r->n_gids++] = gid;
        return 0;
}

static bool name_has_member(const NameEntry *e, const void *name)
{
        for (char **m = e->gr.gr_mem; m && *m; m++)
                if (strcmp(*m, name) == 0)
                        return true;
        return false;
}

static int name_groups_of_root(FILE *f, const char *user, NameRecord *ret)
{
        NameEntry e = { 0 };
        int r;

        while ((r = name_find_in_file(f, name_next_group, name_has_member, user, &e)) == 0 &&
               ret->n_gids < GROUPS_MAX) {
                r = name_add_group(ret, e.gr.gr_gid);
                if (r < 0)
                        break;
        }
        free(e.buffer);
        return r == -ENOENT ? 0 : r;
}

static int name_groups_of_nss(const char *user, gid_t gid, NameRecord *ret)
{
        for (int n = GROUPS_FIRST; n <= GROUPS_MAX;) {
                int size = n;
                gid_t *gids = reallocarray(NULL, (size_t)n, sizeof(*gids));

                if (!gids)
                        return -ENOMEM;
                if (getgrouplist(user, gid, gids, &n) >= 0) {
                        ret->gids = gids;
                        ret->n_gids = (size_t)n;
                        return 0;
                }
                free(gids);
                n = n > size ? n : 2 * size;
        }
        return -ERANGE;
}

static int name_groups_of(const char *root, const char *user, gid_t gid, NameRecord *ret)
{
        _cleanup_(name_lookup_close) FILE *f = NULL;
        int r = *root ? name_lookup_open(root, "group", &f) : -ENOENT;

        if (!*root)
                return name_groups_of_nss(user, gid, ret);
        if (r < 0 && r != -ENOENT)
                return r;
        r = name_add_group(ret, gid);
        return r < 0 || !f ? r : name_groups_of_root(f, user, ret);
}

static int name_set_name(NameRecord *r, const char *name)
{
        if (!name_is_plain(name))
                return 0;
        r->name = strdup(name);
        return r->name ? 0 : -ENOMEM;
}

/* Like systemd, treats a number without a name as a user without supplementary groups. */
static int name_look_up_member(const char *root, const char *name, NameEntry *e, NameRecord *ret)
{
        uint32_t uid;
        bool is_number = name_read_number(name, &uid);
        int r = name_find_user(root, name, is_number ? &uid : NULL, false, e);

        if (r == -ENOENT && is_number) {
                ret->id = uid;
                return name_add_group(ret, uid);
        }
        if (r < 0)
                return r;
        ret->id = e->pw.pw_uid;
        r = name_set_name(ret, e->pw.pw_name);
        return r < 0 ? r : name_groups_of(root, e->pw.pw_name, e->pw.pw_gid, ret);
}

static int name_look_up(const char *root, NameKind kind, const char *name, NameEntry *e, NameRecord *ret)
{
        bool is_number = name_read_number(name, &ret->id);
        int r;

        switch (kind) {
        case NAME_USER:
                r = is_number ? 0 : name_find_user(root, name, NULL, false, e);
                if (r >= 0 && !is_number)
                        ret->id = e->pw.pw_uid;
                return r;
        case NAME_GROUP:
                r = is_number ? 0 : name_find_group(root, name, e);
                if (r >= 0 && !is_number)
                        ret->id = e->gr.gr_gid;
                return r;
        case NAME_UID:
                r = is_number ? name_find_user(root, NULL, &ret->id, true, e) : -EINVAL;
                return r < 0 ? r : name_set_name(ret, e->pw.pw_name);
        case NAME_MEMBER:
                return name_look_up_member(root, name, e, ret);
        default:
                return -EINVAL;
        }
}

int name_lookup(const char *root, NameKind kind, const char *name, NameRecord *ret)
{
        NameRecord found = { 0 };
        NameEntry e = { 0 };
        int r = name_look_up(root, kind, name, &e, &found);

        free(e.buffer);
        if (r < 0) {
                name_record_clear(&found);
                return r;
        }
        *ret = found;
        return 0;
}

int name_find(bool group, const char *name, uint32_t *ret, void *userdata)
{
        NameRecord found;
        int r = name_lookup(userdata, group ? NAME_GROUP : NAME_USER, name, &found);

        if (r < 0)
                return r;
        *ret = found.id;
        name_record_clear(&found);
        return 0;
}
