/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Finds users and groups, below a root directory or from NSS, and units and slices, from cgroup paths. */

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-login.h>
#include <unistd.h>

#include "client/cdmctl.h"
#include "client/offline.h"
#include "policy/cdm-names.h"
#include "policy/word.h"

static bool has_suffix(const char *s, size_t n, const char *suffix)
{
        size_t m = strlen(suffix);

        return n > m && memcmp(s + n - m, suffix, m) == 0;
}

/* /a.slice/a-b.slice/x.service/sub: the first component after the slices is the unit. */
int offline_split_cgroup(const char *path, char **ret_slice, char **ret_unit)
{
        _cleanup_free_ char *slice = NULL, *unit = NULL;

        for (const char *p = path; *(p += strspn(p, "/")); p += strcspn(p, "/")) {
                const char *name = word_unit_of_name(p);
                size_t n = strcspn(name, "/");

                if (has_suffix(name, n, ".slice")) {
                        free(slice);
                        slice = strndup(name, n);
                        if (!slice)
                                return -ENOMEM;
                        continue;
                }
                if (has_suffix(name, n, ".service") || has_suffix(name, n, ".scope")) {
                        unit = strndup(name, n);
                        if (!unit)
                                return -ENOMEM;
                }
                break;
        }

        if (unit && !slice) {
                slice = strdup("-.slice");
                if (!slice)
                        return -ENOMEM;
        }
        *ret_slice = TAKE_PTR(slice);
        *ret_unit = TAKE_PTR(unit);
        return 0;
}

int offline_default_slice(const char *unit, char **ret)
{
        const char *at = strchr(unit, '@');
        char *slice = NULL, *out;

        if (!has_suffix(unit, strlen(unit), ".service")) {
                *ret = NULL;
                return 0;
        }
        if (!at) {
                slice = strdup("system.slice");
        } else if ((slice = malloc(strlen("system-.slice") + 4 * (size_t)(at - unit) + 1))) {
                /* A '-' would mean another slice, so it is escaped, as systemd does. */
                out = stpcpy(slice, "system-");
                for (const char *p = unit; p < at; p++)
                        out = *p == '-' ? stpcpy(out, "\\x2d") : (*out = *p, out + 1);
                strcpy(out, ".slice");
        }
        if (!slice)
                return -ENOMEM;
        *ret = slice;
        return 0;
}

/* --- users --- */

static FILE *open_below(const char *root, const char *name)
{
        _cleanup_free_ char *path = NULL;

        if (!*root || asprintf(&path, "%s/%s", root, name) < 0)
                return NULL;
        return fopen(path, "re");
}

/* Finds a user by name or number. The result is static, as that of getpwnam(). */
static const struct passwd *find_user(const char *root, const char *user)
{
        const struct passwd *pw;
        char *end;

        unsigned long uid = strtoul(user, &end, 10);
        bool numeric = *user && *end == '\0' && uid < UID_NONE;

        FILE *f = open_below(root, "etc/passwd");
        if (!f)
                return numeric ? getpwuid((uid_t)uid) : getpwnam(user);

        while ((pw = fgetpwent(f)))
                if (numeric ? pw->pw_uid == uid : strcmp(pw->pw_name, user) == 0)
                        break;
        fclose(f);
        return pw;
}

static int add_gid(Subject *s, gid_t gid)
{
        gid_t *gids = reallocarray(s->gids, s->n_gids + 1, sizeof(*gids));
        if (!gids)
                return -ENOMEM;
        gids[s->n_gids++] = gid;
        s->gids = gids;
        return 0;
}

static int groups_below(FILE *f, const char *name, Subject *s)
{
        const struct group *gr;

        while ((gr = fgetgrent(f)))
                for (char **member = gr->gr_mem; *member; member++)
                        if (strcmp(*member, name) == 0 && add_gid(s, gr->gr_gid) < 0)
                                return -ENOMEM;
        return 0;
}

static int groups_nss(const char *name, gid_t primary, Subject *s)
{
        int n = 0;

        (void)getgrouplist(name, primary, NULL, &n);
        gid_t *gids = calloc((size_t)n + 1, sizeof(*gids));
        if (!gids)
                return -ENOMEM;
        if (getgrouplist(name, primary, gids, &n) < 0) {
                free(gids);
                return 0;
        }
        free(s->gids);
        s->gids = gids;
        s->n_gids = (size_t)n;
        return 0;
}

static int set_user(const Args *args, Subject *s)
{
        _cleanup_free_ char *name = NULL;
        char number[16];

        snprintf(number, sizeof(number), "%u", geteuid());
        const char *asked = args->for_user ? args->for_user : args->user;
        const struct passwd *pw = find_user(args->root, asked ? asked : number);

        if (!pw && asked)
                return fail(CDM_EXIT_FAILED, "there is no user '%s' here", asked);
        s->uid = pw ? pw->pw_uid : geteuid();
        if (!pw)
                return 0;

        name = strdup(pw->pw_name);
        s->user = strdup(pw->pw_name);
        if (!name || !s->user || add_gid(s, pw->pw_gid) < 0)
                return fail(CDM_EXIT_FAILED, "out of memory");

        FILE *f = open_below(args->root, "etc/group");
        int r = f ? groups_below(f, name, s) : groups_nss(name, s->gids[0], s);
        if (f)
                fclose(f);
        return r < 0 ? fail(CDM_EXIT_FAILED, "out of memory") : 0;
}

/* --- units --- */

static int set_target(const Args *args, Subject *s)
{
        _cleanup_free_ char *own = NULL;
        const char *path = args->cgroup;

        if (args->unit) {
                s->unit = strdup(args->unit);
                return s->unit ? offline_default_slice(args->unit, &s->slice) : -ENOMEM;
        }
        /* A process of this machine says nothing about the machine below --root. */
        if (!path && !*args->root) {
                int r = sd_pid_get_cgroup((pid_t)args->pid, &own);
                if (r < 0 && args->pid != 0)
                        return r;
                path = own;
        }
        if (!path)
                return 0;

        s->cgroup = strdup(path);
        return s->cgroup ? offline_split_cgroup(path, &s->slice, &s->unit) : -ENOMEM;
}

int offline_subject(const Args *args, Subject **ret)
{
        _cleanup_(subject_free_p) Subject *s = calloc(1, sizeof(*s));

        if (!s)
                return fail(CDM_EXIT_FAILED, "out of memory");
        s->unit_uid = UID_NONE;

        int r = set_target(args, s);
        if (r >= 0)
                r = subject_set_container(s);
        if (r == -ENOMEM)
                return fail(CDM_EXIT_FAILED, "out of memory");
        if (r < 0)
                return fail(CDM_EXIT_FAILED, "there is no process %u here", args->pid);

        if (args->user && args_given(args, OPTION_FOR_NOBODY))
                return usage_error("--user=%s names a user, and --for-nobody says that there is none",
                                   args->user);
        if (args->for_user && (args->user || args_given(args, OPTION_FOR_NOBODY)))
                return usage_error("--for-user=%s says for which user this is; leave out %s", args->for_user,
                                   args->user ? "--user" : "--for-nobody");
        if (labels_copy(&args->labels, &s->labels) < 0)
                return fail(CDM_EXIT_FAILED, "out of memory");
        s->nobody = args_given(args, OPTION_FOR_NOBODY);
        int status = s->nobody ? 0 : set_user(args, s);
        if (status != 0)
                return status;
        *ret = TAKE_PTR(s);
        return 0;
}
