/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Asks PID 1 for the owner of each new cgroup with the name of a unit, once for each cgroup. PID 1 creates a
 * cgroup within one iteration of its event loop, so it answers after the cgroup is complete. A cgroup that
 * PID 1 does not own is immediately fenced like any other foreign cgroup.
 *
 * PID 1 is not asked if the cgroup already has systemd's attribute. While PID 1 does not answer, the cgroup
 * counts as systemd's, and is closed as such (tree-events.c); the question stays open.
 *
 * An answer can become outdated. If a property is set on a unit that does not run, systemd creates a cgroup,
 * and forgets it with the unit, but the cgroup stays. PID 1 then names no unit for it. The next start of the
 * unit, or the next property, takes over the same cgroup (measured on systemd 252 and 257). So an answer is
 * ignored for the cgroup of a unit with a reservation, and the attribute, which a start of the unit sets,
 * overrides an earlier answer. */

#include "daemon/tenant/owner-ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>
#include <utlist.h>

#include "daemon/fence/fence-scan.h"
#include "daemon/fence/fence.h"
#include "daemon/kernel/cgroup.h"
#include "daemon/kernel/owner.h"
#include "daemon/loop/clock.h"
#include "daemon/loop/log.h"
#include "daemon/pid1/unit.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"

#define OPEN_MAX       4  /* questions in flight */
#define BATCH          32 /* cgroups that are checked in one iteration of the event loop */
#define ASK_AGAIN_USEC (UINT64_C(1000) * 1000)

typedef struct OwnerAsk OwnerAsk;

struct OwnerAsks {
        Book *book;
        Fence *fence;
        OwnerAsk *all, *by_path;
        size_t n_open;
        sd_event_source *pause;
};

struct OwnerAsk {
        OwnerAsks *set;
        UnitCall *call; /* NULL: not sent yet */
        bool again;     /* PID 1 has already answered once, and may have taken over the cgroup since */
        uint64_t since_usec;
        uint64_t id; /* inode when PID 1 was asked */
        OwnerAsk *prev, *next;
        UT_hash_handle hh;
        char path[];
};

static void owner_asks_go_on(OwnerAsks *s);

static void owner_ask_free(OwnerAsk *a)
{
        OwnerAsks *s = a->set;

        s->n_open -= a->call ? 1 : 0;
        unit_call_free(a->call);
        HASH_DEL(s->by_path, a);
        DL_DELETE(s->all, a);
        free(a);
}

static int owner_on_pause_over(sd_event_source *source, uint64_t usec, void *userdata)
{
        OwnerAsks *s = userdata;

        s->pause = sd_event_source_disable_unref(s->pause);
        owner_asks_go_on(s);
        return 0;
}

static void owner_asks_pause(OwnerAsks *s, uint64_t usec)
{
        if (s->pause)
                return;
        int r = sd_event_add_time_relative(s->book->core->event, &s->pause, CLOCK_MONOTONIC, usec, usec / 4,
                                           owner_on_pause_over, s);
        if (r < 0)
                log_error("cannot set a timer to ask systemd for the owners of control groups: %s",
                          strerror(-r));
}

/* Asks again, because another cgroup has the path now, and its event was merged with this question. */
static void owner_ask_anew(OwnerAsk *a)
{
        OwnerAsks *s = a->set;

        a->call = unit_call_free(a->call);
        s->n_open--;
        owner_asks_go_on(s);
}

/* Asks again after a pause, and after the other questions. */
static void owner_ask_later(OwnerAsk *a)
{
        OwnerAsks *s = a->set;

        a->call = unit_call_free(a->call);
        s->n_open--;
        DL_DELETE(s->all, a);
        DL_APPEND(s->all, a);
        owner_asks_pause(s, ASK_AGAIN_USEC);
}

static void owner_ask_check(OwnerAsk *a, size_t top)
{
        _cleanup_free_ char *path = strndup(a->path, top);
        int r = path ? fence_check(a->set->fence, path, a->since_usec, !a->again) : -ENOMEM;

        if (r < 0)
                log_error("cannot fence %s: %s; `cdmctl reload` tries again", a->path, strerror(-r));
}

static void owner_on_answer(int error, const char *unit, void *userdata)
{
        OwnerAsk *a = userdata;
        OwnerAsks *s = a->set;

        if (unit_error_is_passing(error)) {
                owner_ask_later(a);
                return;
        }
        int top = error;
        if (ledger_has_unit_at(s->book->ledger, a->path))
                top = 0;
        else if (error == 0 || error == -ENOENT)
                top = owner_learn(a->path, a->id, unit);
        if (top == -ESTALE) {
                owner_ask_anew(a);
                return;
        }
        if (top > 0)
                owner_ask_check(a, (size_t)top);
        else if (top < 0 && top != -ENOENT)
                log_warning("cannot store the owner of %s, which now counts as systemd's: %s", a->path,
                            strerror(-top));
        owner_ask_free(a);
        owner_asks_go_on(s);
}

/* Stores the inode, because another cgroup may have the path when PID 1 answers. */
static bool owner_is_to_be_asked(OwnerAsk *a)
{
        int fd = cgroup_open(a->path, &a->id);

        if (fd < 0)
                return false;
        bool doubtful = a->again || owner_is_doubtful(fd);
        close(fd);
        return doubtful;
}

/* False: the question is not needed, or cannot be sent. */
static bool owner_ask_send(OwnerAsk *a)
{
        OwnerAsks *s = a->set;
        size_t top = a->again ? 0 : owner_top(a->path);

        if (top > 0)
                owner_ask_check(a, top);
        if (top > 0 || !owner_is_to_be_asked(a))
                return false;
        int r = unit_get_owner(s->book->core->gate, a->path, owner_on_answer, a, &a->call);
        if (r < 0) {
                log_error("cannot ask systemd for the owner of %s: %s", a->path, strerror(-r));
                return false;
        }
        s->n_open++;
        return true;
}

static void owner_asks_go_on(OwnerAsks *s)
{
        OwnerAsk *a, *next;
        size_t n = 0;

        DL_FOREACH_SAFE (s->all, a, next) {
                if (s->pause || s->n_open >= OPEN_MAX)
                        return;
                if (a->call)
                        continue;
                if (n++ == BATCH) {
                        owner_asks_pause(s, 0);
                        return;
                }
                if (!owner_ask_send(a))
                        owner_ask_free(a);
        }
}

static void owner_ask_add(OwnerAsks *s, const char *path, bool again)
{
        size_t n = strlen(path);
        OwnerAsk *a;

        HASH_FIND(hh, s->by_path, path, n, a);
        if (a)
                return;
        a = calloc(1, sizeof(*a) + n + 1);
        if (!a) {
                log_error("cannot ask systemd for the owner of %s: %s", path, strerror(ENOMEM));
                return;
        }
        a->set = s;
        a->again = again;
        a->since_usec = clock_monotonic_usec();
        memcpy(a->path, path, n);
        HASH_ADD(hh, s->by_path, path, n, a);
        DL_APPEND(s->all, a);
        owner_asks_go_on(s);
}

/* Ignores cgroups below a unit's cgroup, which belong to the unit. */
void owner_asks_add(OwnerAsks *s, const char *path)
{
        FenceLeaf leaf = { .path = strdup(path) };

        if (leaf.path && fence_leaf_name(&leaf) >= 0 && leaf.unit_path && strcmp(leaf.unit_path, path) == 0)
                owner_ask_add(s, path, false);
        fence_leaf_clear(&leaf);
}

void owner_asks_unit(OwnerAsks *s, const char *unit)
{
        _cleanup_free_ char *path = owner_find(unit);

        if (path)
                owner_ask_add(s, path, true);
}

void owner_asks_clear(OwnerAsks *s)
{
        while (s->all)
                owner_ask_free(s->all);
        s->pause = sd_event_source_disable_unref(s->pause);
}

int owner_asks_new(Book *book, Fence *fence, OwnerAsks **ret)
{
        OwnerAsks *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->book = book;
        s->fence = fence;
        *ret = s;
        return 0;
}

OwnerAsks *owner_asks_free(OwnerAsks *s)
{
        if (!s)
                return NULL;
        owner_asks_clear(s);
        free(s);
        return NULL;
}
