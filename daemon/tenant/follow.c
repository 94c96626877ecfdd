/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Makes a tenant's cgroup follow the ledger: one change, within a turn of the tenant. */

#include "daemon/tenant/follow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "daemon/loop/turn.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/change.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/unit-check.h"

typedef struct Follow Follow;

struct FollowSet {
        Book *book;
        const ChangeContext *changes;
        UnitChecks *unit_checks;
        Follow *all, *due;
};

struct Follow {
        FollowSet *set;
        char *tenant;
        NodeSet leaving;
        Turn *turn;
        Change *change;
        follow_done_t done;
        void *userdata;
        bool due; /* has no `leaving` and waits for its turn, so a second Follow is not needed */
        Follow *prev, *next;
        UT_hash_handle hh; /* in set->due, by tenant */
};

static void follow_not_due(Follow *f)
{
        if (f->due)
                HASH_DEL(f->set->due, f);
        f->due = false;
}

static void follow_free(Follow *f)
{
        follow_not_due(f);
        DL_DELETE(f->set->all, f);
        change_free(f->change);
        turn_free(f->turn);
        free(f->tenant);
        free(f);
}

int follows_new(Book *book, const ChangeContext *changes, UnitChecks *unit_checks, FollowSet **ret)
{
        FollowSet *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        *s = (FollowSet){ .book = book, .changes = changes, .unit_checks = unit_checks };
        *ret = s;
        return 0;
}

FollowSet *follows_free(FollowSet *s)
{
        if (!s)
                return NULL;
        while (s->all)
                follow_free(s->all);
        free(s);
        return NULL;
}

static void follow_on_changed(const ApplyResult *result, bool changed _unused_, void *userdata)
{
        static const ApplyResult gone = { .error = 0 };
        Follow *f = userdata;
        bool is_gone = result->error == -ENOENT || result->error == -ESTALE;

        /* The tenant has ended, or has restarted and has another cgroup; PID 1 knows which. */
        if (is_gone && f->tenant[0] != '/')
                (void)unit_checks_add(f->set->unit_checks, f->tenant, true, NULL, NULL);
        f->done(is_gone ? &gone : result, f->tenant, f->userdata);
        follow_free(f);
}

static int follow_with_cgroup(Reservation *r, void *userdata)
{
        if (!r->target->cgroup)
                return 0;
        *(Reservation **)userdata = r;
        return 1;
}

static void follow_on_turn(int begun _unused_, void *userdata)
{
        Follow *f = userdata;
        ChangeTerms terms = { .leaving = f->leaving };
        ApplyResult result = { .error = 0 };
        Reservation *r = NULL;

        follow_not_due(f);
        ledger_foreach_of_tenant(f->set->book->ledger, f->tenant, follow_with_cgroup, &r);
        if (r)
                result.error = change_start(f->set->changes, r, &terms, follow_on_changed, f, &f->change);
        if (!r || result.error < 0)
                follow_on_changed(&result, false, f);
}

bool follows_is_due(FollowSet *s, const char *tenant)
{
        Follow *f;

        HASH_FIND_STR(s->due, tenant, f);
        return f;
}

void follows_add(FollowSet *s, const char *tenant, const NodeSet *leaving, follow_done_t done,
                 void *userdata)
{
        ApplyResult result = { .error = -ENOMEM };

        if (!leaving && follows_is_due(s, tenant))
                return;
        Follow *f = calloc(1, sizeof(*f));
        if (!f) {
                done(&result, tenant, userdata);
                return;
        }
        *f = (Follow){ .set = s, .tenant = strdup(tenant), .done = done, .userdata = userdata };
        if (leaving)
                f->leaving = *leaving;
        DL_APPEND(s->all, f);
        if (f->tenant && !leaving) {
                f->due = true;
                HASH_ADD_KEYPTR(hh, s->due, f->tenant, strlen(f->tenant), f);
        }
        int r = f->tenant ? turn_take(s->book->core->turns, tenant, follow_on_turn, f, &f->turn) : -ENOMEM;
        if (r < 0) {
                result.error = r;
                follow_free(f);
                done(&result, tenant, userdata);
        }
}
