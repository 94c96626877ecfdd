/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reserving as a unit starts (Static=). A drop-in of fence-files.c makes each start of such a unit start
 * cdmd-static@UNIT.service first, which runs `cdmctl static UNIT`. The unit has a job and no cgroup then, so
 * the grant is its property alone: systemd makes the cgroup with the nodes open, before anything of the unit
 * runs. No setting of the unit can get in the way. Or the unit starts fenced and its journal says why, or
 * (StaticRequired=yes) it does not start. The processes of a scope run by then, where whoever asked PID 1 for the
 * scope has started them; they move into its cgroup when the start job runs, and who asked is told then.
 *
 *   (recovery over?) → which unit, and which user does it run as
 *   → for each pool: does the first rule that matches say Static=?
 *   → granted by an earlier start: set the nodes again; else an ordinary grant
 *   → is the unit still about to start? → answer
 *
 * Systemd tells nothing when a job that waits is cancelled before there is a reservation. So the unit is
 * looked at once more after the grant: what was granted to a unit that does not start any more ends there.
 *
 * The reservation belongs to the unit's User=, ends with the unit, and survives its restart, as any other.
 */

#include "daemon/tenant/statics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

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
        char **pools; /* names of those that are left to look at, as of the start */
        size_t n_pools, next_pool;
        uint32_t *ids;
        size_t n_ids;
        bool again; /* what was there before had ended meanwhile: asked for once more */
        Grant *grant;
        Turn *turn;
        struct StaticCall *prev, *next;
} StaticCall;

struct StaticSet {
        Manager *manager;
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

int statics_new(Manager *m, StaticSet **ret)
{
        StaticSet *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->manager = m;
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

/* What was there may have been what an earlier start left: PID 1 had said that the unit had ended, just
 * before it started again. Then that reservation is gone by now, and all is done once more. A unit that does
 * not start any more is refused there. */
static void static_on_turn(Turn *t, void *userdata)
{
        StaticCall *c = userdata;

        for (size_t i = 0; i < c->n_ids; i++) {
                const Entry *e = manager_find(c->set->manager, c->ids[i]);

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

/* What looks at the unit and sets its nodes takes a turn of the tenant, so our own turn comes when that is
 * done.
 */
static void static_finish(StaticCall *c)
{
        Manager *m = c->set->manager;

        if (c->n_ids == 0) {
                static_answer(c);
                return;
        }
        int r = unit_checks_add(m->unit_checks, c->unit, true, NULL);
        if (r >= 0)
                r = turn_take(m->turns, c->unit, static_on_turn, c, &c->turn);
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
                /* What was granted from another pool ends with the unit, should it not start. */
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
        /* The admin has said so in a rule. */
        return grant_start(c->set->manager, i, &c->args, true, static_on_granted, c, &c->grant);
}

/* A reload may come between two of them: whatever is in force by then counts. */
static void static_next_pool(StaticCall *c)
{
        Manager *m = c->set->manager;
        const Subject *s = c->identity->subject;

        while (c->next_pool < c->n_pools) {
                const char *name = c->pools[c->next_pool++];
                const Pool *pool = pool_set_find(m->pools, name);
                const Rule *rule = pool ? rule_find(m->config->rules, m->config->n_rules, name, s) : NULL;
                Wanted w = { .pool = name };

                if (!rule || !rule->has_static)
                        continue;
                if (!rule_matches(rule, name, s)) {
                        static_refuse(c, SD_BUS_ERROR_FAILED,
                                      "a user or group of the rule could not be looked up yet");
                        return;
                }
                if (ledger_foreach_of_tenant(m->ledger, s->unit, static_find_reservation, &w) == 1) {
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
        const PoolSet *pools = c->set->manager->pools;

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

/* Rules see the user that the unit runs as, not root, which asks for all units here. */
static void static_begin(StaticCall *c)
{
        Manager *m = c->set->manager;
        IdentityQuery q = { .kind = TARGET_UNIT, .unit = c->unit, .pidfd = -EBADF, .as_unit = true };

        int r = identity_start(&m->identity_context, c->sender, &q, static_on_identity, c, &c->lookup);
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
                           .waiting = !s->manager->serving };
        DL_APPEND(s->calls, c);
        if (!c->unit || !c->sender)
                static_refuse_errno(c, -ENOMEM);
        else if (!c->waiting)
                static_begin(c);
}
