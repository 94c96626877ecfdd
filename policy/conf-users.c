/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/conf-users.h"

/* The longest group that is still read: a million members. */
#define ENTRY_BYTES_MAX ((size_t)64 * 1024 * 1024)

_Static_assert(sizeof(uid_t) == sizeof(uint32_t) && sizeof(gid_t) == sizeof(uint32_t), "ids have 32 bits");

static void file_close_p(FILE **file)
{
        if (*file)
                fclose(*file);
}

/* NULL: there is no such regular file. */
static FILE *open_database(const char *root, const char *name)
{
        _cleanup_free_ char *path = NULL;
        struct stat st;
        FILE *file;
        int fd;

        if (root[0] == '\0' || asprintf(&path, "%s/etc/%s", root, name) < 0)
                return NULL;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return NULL;
        file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? fdopen(fd, "r") : NULL;
        if (!file)
                close(fd);
        return file;
}

/* Each finds one name: -ENOENT when there is none, else why the database cannot be asked. */
static int find_user(const char *root, const char *name, uint32_t *ret)
{
        _cleanup_(file_close_p) FILE *file = open_database(root, "passwd");
        struct passwd entry, *found = NULL;

        if (file) {
                while ((found = fgetpwent(file)) && strcmp(found->pw_name, name) != 0)
                        ;
                if (!found)
                        return -ENOENT;
                *ret = found->pw_uid;
                return 0;
        }
        for (size_t n = 1024; n <= ENTRY_BYTES_MAX; n *= 4) {
                _cleanup_free_ char *buffer = malloc(n);
                int r = buffer ? getpwnam_r(name, &entry, buffer, n, &found) : ENOMEM;

                if (r == ERANGE)
                        continue;
                if (found)
                        *ret = entry.pw_uid;
                return found ? 0 : r == 0 ? -ENOENT : -r;
        }
        return -ERANGE;
}

static int find_group(const char *root, const char *name, uint32_t *ret)
{
        _cleanup_(file_close_p) FILE *file = open_database(root, "group");
        struct group entry, *found = NULL;

        if (file) {
                while ((found = fgetgrent(file)) && strcmp(found->gr_name, name) != 0)
                        ;
                if (!found)
                        return -ENOENT;
                *ret = found->gr_gid;
                return 0;
        }
        for (size_t n = 1024; n <= ENTRY_BYTES_MAX; n *= 4) {
                _cleanup_free_ char *buffer = malloc(n);
                int r = buffer ? getgrnam_r(name, &entry, buffer, n, &found) : ENOMEM;

                if (r == ERANGE)
                        continue;
                if (found)
                        *ret = entry.gr_gid;
                return found ? 0 : r == 0 ? -ENOENT : -r;
        }
        return -ERANGE;
}

/* A number is itself; the highest means "nobody" to the kernel. */
static int read_id(const char *word, uint32_t *ret)
{
        unsigned long long id;

        if (word[strspn(word, "0123456789")] != '\0')
                return -EINVAL;
        errno = 0;
        id = strtoull(word, NULL, 10);
        if (errno != 0 || id >= UINT32_MAX)
                return -ERANGE;
        *ret = (uint32_t)id;
        return 0;
}

typedef struct Names {
        const char *key, *noun;
        char **words;
        int (*find)(const char *root, const char *name, uint32_t *ret);
} Names;

static int resolve(ConfFile *f, const char *root, const Names *names, uint32_t **ids, size_t *n_ids)
{
        unsigned line = conf_file_key_line(f, names->key);
        size_t n = 0;

        while (names->words && names->words[n])
                n++;
        if (n == 0)
                return 0;
        *ids = calloc(n, sizeof(**ids));
        if (!*ids)
                return -ENOMEM;
        for (char **word = names->words; *word; word++) {
                int r = read_id(*word, &(*ids)[*n_ids]);

                if (r == -ERANGE) {
                        conf_file_error(f, line, "%s=: \"%s\" is too high for the number of a %s",
                                        names->key, *word, names->noun);
                        continue;
                }
                if (r < 0)
                        r = names->find(root, *word, &(*ids)[*n_ids]);
                if (r == 0) {
                        ++*n_ids;
                        continue;
                }
                r = r == -ENOENT ? conf_messages_add(
                                           f->messages, CONF_WARNING, f->path, line,
                                           "%s=: there is no %s \"%s\", so it matches nobody; create it and "
                                           "run \"cdmctl reload\", or remove it",
                                           names->key, names->noun, *word)
                                 : conf_messages_add(
                                           f->messages, CONF_WARNING, f->path, line,
                                           "%s=: the %s \"%s\" cannot be looked up, so it matches nobody "
                                           "until \"cdmctl reload\": %s",
                                           names->key, names->noun, *word, strerror(-r));
                if (r < 0)
                        return r;
        }
        return f->error;
}

int conf_users_resolve(ConfFile *f, const char *root)
{
        const Names users = { "User", "user", f->rule->users, find_user };
        const Names groups = { "Group", "group", f->rule->groups, find_group };
        int r = resolve(f, root, &users, &f->rule->uids, &f->rule->n_uids);

        if (r < 0)
                return r;
        return resolve(f, root, &groups, &f->rule->gids, &f->rule->n_gids);
}
