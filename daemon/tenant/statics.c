/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reserves when a unit starts (Static=). A drop-in of fence-files.c makes each start of such a unit first
 * start cdmd-static@UNIT.service, which runs `cdmctl static UNIT`. At that time the unit has a job but no
 * cgroup, so the grant only sets its property: systemd creates the cgroup with the nodes open, before any
 * process of the unit runs, and no setting of the unit can interfere. If nothing is granted, the unit starts
 * fenced and its journal has the reason, or (StaticRequired=yes) the unit does not start.
 *
 * A scope differs: its processes run before its cgroup exists, because the program that asks PID 1 for the
 * scope has started them. PID 1 moves them into the cgroup when it runs the start job, and then answers that
 * program.
 *
 *   wait for the recovery → identify the unit and the user that it runs as
 *   → for each pool: does the first rule that matches have Static=?
 *   → granted by an earlier start: set the nodes again; else an ordinary grant
 *   → is the unit still about to start? → answer
 *
 * systemd sends no event if a waiting job is cancelled before there is a reservation. So the unit is checked
 * again after the grant; if it does not start any more, the new reservations end.
 *
 * The reservation belongs to the unit's User=, ends with the unit, and survives a restart of the unit, like
 * any other. */

#include "daemon/tenant/statics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/loop/answer.h"
#include "daemon/loop/turn.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/grant.h"
#include "daemon/tenant/request-args.h"
#include "daemon/tenant/unit-check.h"
#include "policy/cdm-names.h"

typedef struct StaticCall {
        StaticSet *set;
        char *sender;
        static_done_t done;
        void *userdata;
        char *unit;
        bool waiting; /* for the recovery */
        IdentityLookup *lookup;
        Identity *identity;
        RequestArgs args;
        char **pools; /* names of all pools when the unit was identified */
        size_t n_pools, next_pool;
        uint32_t *ids;
        size_t n_ids;
        bool again; /* second attempt, because older reservations had ended in between */
        Grant *grant;
        Turn *turn;
        struct StaticCall *prev, *next;
} StaticCall;

struct StaticSet {
        Book *book;
        GrantSet *grants;
        UnitChecks *unit_checks;
        StaticCall *calls;
};

static void static_call_free(StaticCall *c)
{
        DL_DELETE(c->set->calls, c);
        identity_lookup_free(c->lookup);
        identity_free(c->identity);
        turn_free(c->turn);
        if (c->grant)
                grant_abandon(c->grant);
        free(c->sender);
        for (size_t i = 0; i < c->n_pools; i++)
                free(c->pools[i]);
        free(c->pools);
        free(c->ids);
        free(c->unit);
        request_args_clear(&c->args);
        free(c);
}

int statics_new(Book *book, GrantSet *grants, UnitChecks *unit_checks, StaticSet **ret)
{
        StaticSet *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        *s = (StaticSet){ .book = book, .grants = grants, .unit_checks = unit_checks };
        *ret = s;
        return 0;
}

StaticSet *statics_free(StaticSet *s)
{
        if (!s)
                return NULL;
        while (s->calls)
                static_call_free(s->calls);
        free(s);
        return NULL;
}

static void static_refuse(StaticCall *c, const char *error, const char *text)
{
        Answer a = { error, text };

        c->done(&a, NULL, 0, c->userdata);
        static_call_free(c);
}

static void static_refuse_errno(StaticCall *c, int error)
{
        static_refuse(c, SD_BUS_ERROR_FAILED, strerror(-error));
}

static void static_answer(StaticCall *c)
{
        c->done(&(Answer){ 0 }, c->ids, c->n_ids, c->userdata);
        static_call_free(c);
}

static void static_begin(StaticCall *c);

static void static_start_over(StaticCall *c)
{
        c->turn = turn_free(c->turn);
        c->identity = identity_free(c->identity);
        for (size_t i = 0; i < c->n_pools; i++)
                free(c->pools[i]);
        free(c->pools);
        free(c->ids);
        c->pools = NULL;
        c->ids = NULL;
        c->n_pools = c->next_pool = c->n_ids = 0;
        c->again = true;
        static_begin(c);
}

/* The reservation that was found may have been left by an earlier start, if PID 1 reported the end of the
 * unit just before the new start. Such a reservation is gone by now, and everything is repeated once. The
 * repetition refuses a unit that does not start any more. */
static void static_on_turn(int result _unused_, void *userdata)
{
        StaticCall *c = userdata;

        for (size_t i = 0; i < c->n_ids; i++) {
                const Entry *e = book_find(c->set->book, c->ids[i]);

                if (e && e->r->state != RESERVATION_DRAINING)
                        continue;
                if (c->again)
                        static_refuse(c, CDM_ERROR_STALE, "the unit ended, or does not start any more");
                else
                        static_start_over(c);
                return;
        }
        static_answer(c);
}

/* The check, which also sets the unit's nodes, takes a turn of the tenant, so the next turn begins after
 * it. */
static void static_finish(StaticCall *c)
{
        Book *book = c->set->book;

        if (c->n_ids == 0) {
                static_answer(c);
                return;
        }
        int r = unit_checks_add(c->set->unit_checks, c->unit, true, NULL, NULL);
        if (r >= 0)
                r = turn_take(book->core->turns, c->unit, static_on_turn, c, &c->turn);
        if (r < 0)
                static_refuse_errno(c, r);
}

typedef struct Wanted {
        const char *pool;
        uint32_t id;
} Wanted;

static int static_find_reservation(Reservation *r, void *userdata)
{
        Wanted *w = userdata;

        if (!r->with_start || r->state == RESERVATION_DRAINING || strcmp(r->pool, w->pool) != 0)
                return 0;
        w->id = r->id;
        return 1;
}

static void static_next_pool(StaticCall *c);

static void static_on_granted(const Answer *a, uint32_t id, void *userdata)
{
        StaticCall *c = userdata;

        c->grant = NULL;
        if (a->error) {
                /* If the unit does not start now, reservations in other pools end with the unit. */
                static_refuse(c, a->error, a->text);
                return;
        }
        c->ids[c->n_ids++] = id;
        static_next_pool(c);
}

static int static_start_grant(StaticCall *c, const char *pool, uint64_t size_bytes)
{
        Identity *i = calloc(1, sizeof(*i));

        if (!i)
                return -ENOMEM;
        *i = (Identity){ .sender_uid = c->identity->subject->uid, .pidfd = -EBADF };
        request_args_clear(&c->args);
        c->args.pool = strdup(pool);
        c->args.size_bytes = size_bytes;
        c->args.with_start = true;
        if (!c->args.pool || subject_copy(c->identity->subject, &i->subject) < 0) {
                identity_free(i);
                return -ENOMEM;
        }
        /* Already authorized: the administrator has configured it in a rule. */
        return grant_start(c->set->grants, i, &c->args, true, static_on_granted, c, &c->grant);
}

/* A reload is possible between two pools; the configuration in force at the time counts. */
static void static_next_pool(StaticCall *c)
{
        Book *book = c->set->book;
        const Subject *s = c->identity->subject;

        while (c->next_pool < c->n_pools) {
                const char *name = c->pools[c->next_pool++];
                const Pool *pool = pool_set_find(book->pools, name);
                const Rule *rule =
                        pool ? rule_find(book->config->rules, book->config->n_rules, name, s) : NULL;
                Wanted w = { .pool = name };

                if (!rule || !rule->has_static)
                        continue;
                if (!rule_matches(rule, name, s)) {
                        static_refuse(c, SD_BUS_ERROR_FAILED,
                                      "a user or group of the rule could not be looked up yet");
                        return;
                }
                if (ledger_foreach_of_tenant(book->ledger, s->unit, static_find_reservation, &w) == 1) {
                        c->ids[c->n_ids++] = w.id;
                        continue;
                }
                int r = static_start_grant(c, name, size_resolve(&rule->static_size, pool->size_bytes));
                if (r < 0)
                        static_refuse_errno(c, r);
                return;
        }
        static_finish(c);
}

static int static_remember_pools(StaticCall *c)
{
        const PoolSet *pools = c->set->book->pools;

        c->pools = calloc(pools->n_pools + 1, sizeof(*c->pools));
        c->ids = calloc(pools->n_pools + 1, sizeof(*c->ids));
        if (!c->pools || !c->ids)
                return -ENOMEM;
        for (; c->n_pools < pools->n_pools; c->n_pools++) {
                c->pools[c->n_pools] = strdup(pools->pools[c->n_pools].name);
                if (!c->pools[c->n_pools])
                        return -ENOMEM;
        }
        return 0;
}

static void static_on_identity(IdentityVerdict verdict, const char *message, Identity *identity,
                               void *userdata)
{
        StaticCall *c = userdata;

        if (verdict != IDENTITY_OK) {
                static_refuse(c,
                              verdict == IDENTITY_NO_TARGET ? CDM_ERROR_NO_SUCH_TARGET : SD_BUS_ERROR_FAILED,
                              message);
                return;
        }
        c->identity = identity;
        c->lookup = identity_lookup_free(c->lookup);
        int r = static_remember_pools(c);
        if (r < 0)
                static_refuse_errno(c, r);
        else
                static_next_pool(c);
}

/* Rules apply to the user that the unit runs as, not to root, which is the caller for all units here. */
static void static_begin(StaticCall *c)
{
        Book *book = c->set->book;
        IdentityQuery q = { .kind = TARGET_UNIT, .unit = c->unit, .pidfd = -EBADF, .as_unit = true };

        int r = identity_start(book->core->identity_context, c->sender, &q, static_on_identity, c,
                               &c->lookup);
        if (r < 0)
                static_refuse_errno(c, r);
}

void statics_serve(StaticSet *s)
{
        StaticCall *c, *next;

        DL_FOREACH_SAFE (s->calls, c, next) {
                if (!c->waiting)
                        continue;
                c->waiting = false;
                static_begin(c);
        }
}

void statics_reserve(StaticSet *s, const char *sender, const char *unit, static_done_t done, void *userdata)
{
        StaticCall *c = calloc(1, sizeof(*c));

        if (!c) {
                done(&(Answer){ SD_BUS_ERROR_NO_MEMORY, strerror(ENOMEM) }, NULL, 0, userdata);
                return;
        }
        *c = (StaticCall){ .set = s,
                           .sender = strdup(sender),
                           .done = done,
                           .userdata = userdata,
                           .unit = strdup(unit),
                           .args = { .target.pidfd = -EBADF },
                           .waiting = !s->book->serving };
        DL_APPEND(s->calls, c);
        if (!c->unit || !c->sender)
                static_refuse_errno(c, -ENOMEM);
        else if (!c->waiting)
                static_begin(c);
}
