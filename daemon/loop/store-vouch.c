/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The text of the file with the statement about a cgroup. The format is like that of a reservation
 * (store-text.c). */

#include "daemon/loop/store-vouch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/loop/store-escape.h"

#define HEADER  "cdmd-tenant 1"
#define TRAILER "end"

int store_format_vouch(const Vouch *v, char **ret)
{
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return -ENOMEM;
        fprintf(f, HEADER "\n");
        store_print_escaped(f, "ControlGroup", v->cgroup);
        fprintf(f, "ControlGroupId=%" PRIu64 "\nSpeaker=%u\nForUid=%u\n", v->cgroup_id, v->speaker,
                v->for_uid);
        store_print_labels(f, "Labels", &v->labels);
        fprintf(f, TRAILER "\n");
        if (fclose(f) != 0) {
                free(text);
                return -ENOMEM;
        }
        *ret = text;
        return 0;
}

static int store_vouch_parse_line(Vouch *v, const char *key, const char *value)
{
        if (strcmp(key, "ControlGroup") == 0 && !v->cgroup)
                return store_unescape(value, &v->cgroup);
        if (strcmp(key, "ControlGroupId") == 0)
                return store_parse_u64(value, &v->cgroup_id);
        if (strcmp(key, "Speaker") == 0)
                return store_parse_u32(value, &v->speaker);
        if (strcmp(key, "ForUid") == 0)
                return store_parse_u32(value, &v->for_uid);
        if (strcmp(key, "Labels") == 0 && v->labels.n == 0)
                return store_parse_labels(value, &v->labels);
        return -EINVAL;
}

int store_parse_vouch(const char *text, Vouch **ret)
{
        _cleanup_(vouch_free_p) Vouch *v = calloc(1, sizeof(*v));
        _cleanup_free_ char *copy = strdup(text);
        char *rest = copy, *line;

        if (!v || !copy)
                return -ENOMEM;
        v->speaker = v->for_uid = UID_NONE;
        line = strsep(&rest, "\n");
        if (strcmp(line, HEADER) != 0)
                return -EBADMSG;
        while ((line = strsep(&rest, "\n")) && strcmp(line, TRAILER) != 0) {
                char *value = strchr(line, '=');

                if (!value)
                        return -EBADMSG;
                *value++ = '\0';
                int r = store_vouch_parse_line(v, line, value);
                if (r < 0)
                        return r == -ENOMEM ? r : -EBADMSG;
        }
        /* A file without the last line is truncated, and nothing may follow that line. */
        if (!line || !rest || *rest || !v->cgroup || v->cgroup_id == 0 ||
            (v->labels.n == 0 && v->for_uid == UID_NONE))
                return -EBADMSG;
        *ret = TAKE_PTR(v);
        return 0;
}
