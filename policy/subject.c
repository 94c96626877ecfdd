/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/subject.h"

#include <errno.h>
#include <string.h>

#include "policy/container.h"

Subject *subject_free(Subject *s)
{
        if (!s)
                return NULL;
        free(s->unit);
        free(s->slice);
        free(s->cgroup);
        free(s->container);
        free(s->user);
        free(s->gids);
        labels_clear(&s->labels);
        free(s);
        return NULL;
}

static int subject_copy_gids(const Subject *s, Subject *to)
{
        if (s->n_gids == 0)
                return 0;
        to->gids = malloc(s->n_gids * sizeof(gid_t));
        if (!to->gids)
                return -ENOMEM;
        memcpy(to->gids, s->gids, s->n_gids * sizeof(gid_t));
        to->n_gids = s->n_gids;
        return 0;
}

int subject_copy(const Subject *s, Subject **ret)
{
        _cleanup_(subject_free_p) Subject *copy = calloc(1, sizeof(Subject));

        if (!copy)
                return -ENOMEM;
        if (string_copy(s->unit, &copy->unit) < 0 || string_copy(s->slice, &copy->slice) < 0 ||
            string_copy(s->cgroup, &copy->cgroup) < 0 || string_copy(s->container, &copy->container) < 0 ||
            string_copy(s->user, &copy->user) < 0 || subject_copy_gids(s, copy) < 0 ||
            labels_copy(&s->labels, &copy->labels) < 0)
                return -ENOMEM;
        copy->cgroup_id = s->cgroup_id;
        copy->below_unit = s->below_unit;
        copy->uid = s->uid;
        copy->nobody = s->nobody;
        copy->unit_uid = s->unit_uid;
        *ret = TAKE_PTR(copy);
        return 0;
}

#define USER_SLICE "/user.slice/"

int subject_become(Subject *s, uid_t uid, const char *name, const gid_t *gids, size_t n_gids)
{
        gid_t *copy = calloc(n_gids + 1, sizeof(*copy));
        char *user = name ? strdup(name) : NULL;

        if (!copy || (name && !user)) {
                free(copy);
                free(user);
                return -ENOMEM;
        }
        if (n_gids > 0)
                memcpy(copy, gids, n_gids * sizeof(*copy));
        free(s->gids);
        free(s->user);
        s->uid = uid;
        s->user = user;
        s->gids = copy;
        s->n_gids = n_gids;
        return 0;
}

int subject_set_container(Subject *s)
{
        const char *name = s->unit ? s->unit : s->cgroup;
        Container c;
        size_t len;

        free(s->container);
        s->container = NULL;
        if (!name || (s->cgroup && strncmp(s->cgroup, USER_SLICE, strlen(USER_SLICE)) == 0) ||
            !container_of_cgroup(name, &c, &len) || len != strlen(name))
                return 0;
        s->container = container_format(&c);
        return s->container ? 0 : -ENOMEM;
}

#define SLICE_SUFFIX     ".slice"
#define SLICE_SUFFIX_LEN (sizeof(SLICE_SUFFIX) - 1)

/* The length of the part before ".slice"; 0 for the root ("-.slice") and for other units. As in systemd a
 * dash separates levels, so a dash at an end or beside another dash is invalid. */
static size_t subject_slice_stem(const char *slice)
{
        size_t len = strlen(slice);

        if (len <= SLICE_SUFFIX_LEN || strcmp(slice + len - SLICE_SUFFIX_LEN, SLICE_SUFFIX) != 0)
                return 0;
        len -= SLICE_SUFFIX_LEN;
        if (slice[0] == '-' || slice[len - 1] == '-')
                return 0;
        for (size_t i = 1; i < len; i++)
                if (slice[i] == '-' && slice[i - 1] == '-')
                        return 0;
        return len;
}

char *subject_slice_parent(const char *slice, char *buf)
{
        size_t len = subject_slice_stem(slice), cut = len;

        if (len == 0)
                return NULL;
        while (cut > 0 && slice[cut - 1] != '-')
                cut--;
        if (cut == 0) {
                strcpy(buf, "-" SLICE_SUFFIX); /* no longer than any other slice's name */
                return buf;
        }
        memmove(buf, slice, cut - 1);
        strcpy(buf + cut - 1, SLICE_SUFFIX);
        return buf;
}
