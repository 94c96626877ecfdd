/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include <uthash.h>

#include "daemon/loop/turn.h"

typedef struct Line {
        char *tenant;
        Turn *head; /* the current turn, followed by waiting turns */
        UT_hash_handle hh;
} Line;

struct TurnQueue {
        sd_event *event;
        Line *lines;
};

struct Turn {
        TurnQueue *queue;
        Line *line;
        done_t begin;
        void *userdata;
        sd_event_source *source;
        Turn *prev, *next;
};

int turn_queue_new(sd_event *event, TurnQueue **ret)
{
        TurnQueue *q = calloc(1, sizeof(*q));

        if (!q)
                return -ENOMEM;
        q->event = sd_event_ref(event);
        *ret = q;
        return 0;
}

TurnQueue *turn_queue_free(TurnQueue *q)
{
        if (!q)
                return NULL;
        sd_event_unref(q->event);
        free(q);
        return NULL;
}

static int turn_on_source(sd_event_source *source, void *userdata)
{
        Turn *t = userdata;

        t->begin(0, t->userdata);
        return 0;
}

/* A failure here would block the tenant for ever. So the source is created when the turn is taken, and is
 * only enabled here, which cannot fail. */
static void turn_announce(Turn *t)
{
        (void)sd_event_source_set_enabled(t->source, SD_EVENT_ONESHOT);
}

static int turn_line_get(TurnQueue *q, const char *tenant, Line **ret)
{
        Line *l;

        HASH_FIND_STR(q->lines, tenant, l);
        if (!l) {
                l = calloc(1, sizeof(*l));
                if (!l)
                        return -ENOMEM;
                l->tenant = strdup(tenant);
                if (!l->tenant) {
                        free(l);
                        return -ENOMEM;
                }
                HASH_ADD_KEYPTR(hh, q->lines, l->tenant, strlen(l->tenant), l);
        }
        *ret = l;
        return 0;
}

static void line_drop_if_empty(TurnQueue *q, Line *l)
{
        if (l->head)
                return;
        HASH_DEL(q->lines, l);
        free(l->tenant);
        free(l);
}

int turn_take(TurnQueue *q, const char *tenant, done_t begin, void *userdata, Turn **ret)
{
        Turn *t = calloc(1, sizeof(*t));

        if (!t)
                return -ENOMEM;
        *t = (Turn){ .queue = q, .begin = begin, .userdata = userdata };
        int r = sd_event_add_defer(q->event, &t->source, turn_on_source, t);
        if (r >= 0)
                r = sd_event_source_set_enabled(t->source, SD_EVENT_OFF);
        if (r >= 0)
                r = turn_line_get(q, tenant, &t->line);
        if (r < 0) {
                sd_event_source_disable_unref(t->source);
                free(t);
                return r;
        }
        DL_APPEND(t->line->head, t);
        if (t->line->head == t)
                turn_announce(t);
        *ret = t;
        return 0;
}

Turn *turn_free(Turn *t)
{
        if (!t)
                return NULL;
        Line *l = t->line;
        int was_head = l->head == t;

        DL_DELETE(l->head, t);
        if (was_head && l->head)
                turn_announce(l->head);
        line_drop_if_empty(t->queue, l);
        sd_event_source_disable_unref(t->source);
        free(t);
        return NULL;
}
