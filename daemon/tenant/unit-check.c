/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Follows the end and the restart of units. A reservation that is bound to a unit ends with the unit: when
 * PID 1 shows the unit as inactive or failed, and no start or automatic restart is due. A restart keeps the
 * reservation; the unit then has a new cgroup, which is checked. A scope does not restart: a scope of the
 * same name with another cgroup is another unit, as when a container is started again, and the reservations
 * of the earlier one have ended.
 *
 * At the end of the unit its property is reset immediately, because systemd keeps the property, and would
 * start the unit with open nodes the next time. The kernel charges the remaining page cache of the unit to
 * its parent slice; the snapshot counts these bytes as foreign, so they are not available, and `who` shows
 * them there.
 *
 * A cgroup that systemd does not own is a tenant by its path. The tenant ends when the cgroup is removed,
 * or, below a unit (see daemon/fence/subtenant.h), when it has no process any more; a new cgroup of the same
 * name is another tenant.
 *
 * The check runs within the tenant's turn, so the answer of PID 1 is not outdated when cdmd acts on it. This
 * also keeps cdmd's own questions from triggering each other endlessly: to answer about a unit that is gone,
 * systemd loads a stub of it, and then also sends an event for the removal of the stub. Such an event is
 * merged with a check that already waits for its turn, or starts a check that waits until the tenant's
 * current operation has completed. */

#include "daemon/tenant/unit-check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>
#include <utlist.h>

#include "daemon/fence/apply.h"
#include "daemon/fence/subtenant.h"
#include "daemon/kernel/cgroup.h"
#include "daemon/kernel/tenant-read.h"
#include "daemon/loop/clock.h"
#include "daemon/loop/log.h"
#include "daemon/loop/turn.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/buffers.h"
#include "daemon/tenant/change.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/owner-ask.h"
#include "daemon/tenant/waiter.h"
#include "policy/cdm-names.h"

/* PID 1 may be busy for longer than the timeout of a call. After the last retry (some four minutes in all),
 * only a reload or the unit's next event triggers another check. */
#define RETRY_FIRST_USEC (UINT64_C(500) * 1000)
#define RETRY_ACCURACY   (UINT64_C(250) * 1000)
#define RETRIES_MAX      9

typedef struct UnitCheck UnitCheck;

struct UnitChecks {
        Book *book;
        const ChangeContext *changes;
        OwnerAsks *owner_asks;
        UnitCheck *all;
        UnitCheck *due; /* by unit: the checks that have not asked PID 1 yet */
        UnitCall *events;
};

struct UnitCheck {
        UnitChecks *set;
        Book *book;
        char *unit;
        bool repair;
        UnitInfo *info; /* NULL: systemd does not know the unit any more */
        Turn *turn;
        UnitCall *call;
        sd_event_source *retry;
        unsigned n_retries;
        TenantRead *read;
        Apply *apply;
        Change *change;
        done_t done;
        void *userdata;
        UnitCheck *prev, *next;
        bool is_due; /* in set->due: PID 1 has not been asked yet */
        UT_hash_handle hh;
};

/* After this, an event of the unit starts another check. */
static void unit_check_not_due(UnitCheck *c)
{
        if (c->is_due)
                HASH_DEL(c->set->due, c);
        c->is_due = false;
}

/* Only one check of each unit is in set->due. */
static void unit_check_due_again(UnitCheck *c)
{
        UnitCheck *other;

        HASH_FIND_STR(c->set->due, c->unit, other);
        if (other)
                return;
        HASH_ADD_KEYPTR(hh, c->set->due, c->unit, strlen(c->unit), c);
        c->is_due = true;
}

static void unit_check_free(UnitCheck *c)
{
        unit_check_not_due(c);
        DL_DELETE(c->set->all, c);
        unit_call_free(c->call);
        sd_event_source_disable_unref(c->retry);
        tenant_read_free(c->read);
        apply_free(c->apply);
        change_free(c->change);
        turn_free(c->turn);
        unit_info_free(c->info);
        free(c->unit);
        free(c);
}

int unit_checks_new(Book *book, const ChangeContext *changes, OwnerAsks *owner_asks, UnitChecks **ret)
{
        UnitChecks *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->book = book;
        s->changes = changes;
        s->owner_asks = owner_asks;
        *ret = s;
        return 0;
}

UnitChecks *unit_checks_free(UnitChecks *s)
{
        if (!s)
                return NULL;
        while (s->all)
                unit_check_free(s->all);
        unit_call_free(s->events);
        free(s);
        return NULL;
}

static void unit_check_finish(UnitCheck *c)
{
        done_t done = c->done;
        void *userdata = c->userdata;

        unit_check_free(c);
        if (done)
                done(0, userdata);
}

static bool unit_check_has_ended(const UnitInfo *u)
{
        if (!u)
                return true;
        if (!u->active_state || u->job_pending)
                return false;
        return strcmp(u->active_state, "inactive") == 0 || strcmp(u->active_state, "failed") == 0;
}

typedef struct Ids {
        uint32_t *ids;
        size_t n;
} Ids;

static int unit_check_add_id(Reservation *r, void *userdata)
{
        Ids *i = userdata;

        i->ids[i->n++] = r->id;
        return 0;
}

/* The ledger must not change while it is walked, so the ids are collected first. */
static int unit_check_tenant_ids(Book *book, const char *tenant, Ids *ret)
{
        ret->n = 0;
        ret->ids = malloc(sizeof(uint32_t) * (ledger_tenant_count(book->ledger, tenant) + 1));
        if (!ret->ids)
                return -ENOMEM;
        ledger_foreach_of_tenant(book->ledger, tenant, unit_check_add_id, ret);
        return 0;
}

static void unit_check_tell_ended(Entry *e)
{
        char nodes[NODESET_STR_MAX], policy[512];
        bool draining = e->r->state == RESERVATION_DRAINING;
        Event ev = book_event(e, draining ? EVENT_RELEASED : EVENT_ENDED, nodes, policy);

        ev.reason = e->r->target->unit ? "its unit ended" : "its control group ended";
        if (draining) {
                ev.has |= EVENT_HAS_MOVED | EVENT_HAS_RESIDUE;
                ev.moved_bytes = e->moved_bytes;
        }
        event_emit_limited(e->book->core->notify, e->book->core->event_limit, clock_monotonic_usec(),
                           EVENT_ALL_CLIENTS, &ev, "reservation %" PRIu32 " ended, because %s did", e->id,
                           ledger_tenant_key(e->r->target));
}

static bool unit_check_is_scope(const char *unit)
{
        const char *suffix = strrchr(unit, '.');

        return suffix && strcmp(suffix, ".scope") == 0;
}

/* Forgets the tenant's reservations. If alive_id is not 0, keeps those of the cgroup with this inode, and
 * those that have no cgroup yet. */
static void unit_check_drop(UnitCheck *c, uint64_t alive_id)
{
        _cleanup_free_ uint32_t *ids = NULL;
        Ids i;

        if (unit_check_tenant_ids(c->book, c->unit, &i) < 0)
                return;
        ids = i.ids;
        for (size_t k = 0; k < i.n; k++) {
                Entry *e = book_find(c->book, ids[k]);
                if (e && alive_id > 0 &&
                    (e->r->target->cgroup_id == alive_id || e->r->target->cgroup_id == 0))
                        continue;
                /* A grant in flight will notice that the cgroup is gone, and undo itself. */
                if (!e || e->granting)
                        continue;
                if (e->phase == STORE_QUEUED) {
                        waiter_dequeue(e, CDM_ERROR_STALE, "the unit that it is for ended");
                        continue;
                }
                if (buffers_keep(c->set->changes->buffers, e))
                        continue;
                if (e->known)
                        unit_check_tell_ended(e);
                book_forget(e);
        }
}

static void unit_check_on_set_back(Apply *a, const ApplyResult *result, void *userdata)
{
        UnitCheck *c = userdata;

        if (result->error < 0 && result->error != -ENOENT)
                log_error("%s ended, and its AllowedMemoryNodes= could not be reset: %s; `cdmctl reload` "
                          "tries again",
                          c->unit, result->message ? result->message : strerror(-result->error));
        unit_check_drop(c, 0);
        unit_check_finish(c);
}

static void unit_check_end_tenant(UnitCheck *c)
{
        Book *book = c->book;
        PlanInput in = { .has_property = true, .ended = true };
        ApplyTarget target = { .unit = c->unit };
        NodeSet base = ledger_base_of_tenant(book->ledger, c->unit);
        Plan p;

        if (!ledger_first_of_tenant(book->ledger, c->unit) || !c->info ||
            !nodeset_intersects(&c->info->allowed, &book->pools->cdm)) {
                unit_check_drop(c, 0);
                unit_check_finish(c);
                return;
        }
        in.base = nodeset_subtract(&c->info->allowed, &book->pools->cdm);
        if (nodeset_is_empty(&in.base))
                in.base = nodeset_subtract(&base, &book->pools->cdm);
        if (nodeset_is_empty(&in.base))
                in.base = book->pools->ordinary;
        in.current = c->info->allowed;
        int k = plan(&in, &p);
        if (k >= 0)
                k = apply_start(book->core->gate, book->core->worker, book->core->mover, &target, &p, 0,
                                unit_check_on_set_back, NULL, c, &c->apply);
        if (k < 0) {
                ApplyResult result = { .error = k };
                unit_check_on_set_back(NULL, &result, c);
        }
}

static void unit_check_on_repaired(const ApplyResult *result, bool changed, void *userdata)
{
        UnitCheck *c = userdata;
        Event ev = { .kind = result->error < 0 ? EVENT_FAILED : EVENT_REPAIRED,
                     .unit = c->unit,
                     .reason = result->error < 0 ? result->message
                                                 : "its nodes were not those of the ledger" };

        if (result->error < 0)
                event_emit(c->book->core->notify, &ev, "the nodes of %s could not be set as reserved: %s",
                           c->unit, result->message ? result->message : strerror(-result->error));
        else if (changed)
                event_emit(c->book->core->notify, &ev, "the nodes of %s were set as reserved again",
                           c->unit);
        unit_check_finish(c);
}

static int unit_check_set_cgroup(Entry *e, const UnitInfo *u)
{
        int r = ledger_set_cgroup(e->book->ledger, e->r, u->cgroup, u->cgroup_id);

        if (r < 0)
                return r;
        notify_reservation_changed(e->book->core->notify, e->id, RESERVATION_CHANGED_CGROUP);
        return book_store(e);
}

/* Compares inode and path, because file systems other than cgroupfs, such as those of the tests, reuse
 * inodes. */
static bool unit_check_is_cgroup_of(const Reservation *r, const UnitInfo *u)
{
        return r->target->cgroup_id == u->cgroup_id && r->target->cgroup &&
               strcmp(r->target->cgroup, u->cgroup) == 0;
}

/* If the unit has restarted, and therefore has another cgroup, updates its reservations and returns true. A
 * unit without a cgroup inode is between two cgroups. It is ignored: with inode 0 in the reservations, a
 * later scope of the same name could not be distinguished from this one. */
static bool unit_check_follow_cgroup(UnitCheck *c)
{
        _cleanup_free_ uint32_t *ids = NULL;
        bool moved = false;
        Ids i;

        if (unit_check_tenant_ids(c->book, c->unit, &i) < 0)
                return false;
        ids = i.ids;
        for (size_t k = 0; k < i.n; k++) {
                Entry *e = book_find(c->book, ids[k]);
                if (!e || c->info->cgroup_id == 0 || unit_check_is_cgroup_of(e->r, c->info) || e->granting)
                        continue;
                moved = true;
                int r = unit_check_set_cgroup(e, c->info);
                if (r < 0)
                        log_error("reservation %" PRIu32 " does not follow the restart of %s: %s", e->id,
                                  c->unit, strerror(-r));
        }
        return moved;
}

/* The unit is about to start; its processes will get the nodes from its property (see plan_unborn() in
 * change.c). */
static void unit_check_await_birth(UnitCheck *c)
{
        _cleanup_free_ uint32_t *ids = NULL;
        Ids i;

        if (unit_check_tenant_ids(c->book, c->unit, &i) < 0)
                return;
        ids = i.ids;
        for (size_t k = 0; k < i.n; k++) {
                Entry *e = book_find(c->book, ids[k]);

                if (e && e->r->state != RESERVATION_DRAINING)
                        e->r->target->cgroup_id = 0;
        }
}

static void unit_check_repair_tenant(UnitCheck *c)
{
        ChangeTerms terms = { .migrate = false };
        Reservation *r = ledger_first_of_tenant(c->book->ledger, c->unit);
        int k = 0;

        if (r && r->target->cgroup)
                k = change_start(c->set->changes, r, &terms, unit_check_on_repaired, c, &c->change);
        if (!r || !r->target->cgroup || k < 0)
                unit_check_finish(c);
}

/* --- cgroups that systemd does not own ---------------------------------------------------------------- */

static void unit_check_on_way_closed(Apply *a, const ApplyResult *result, void *userdata)
{
        UnitCheck *c = userdata;

        if (result->error < 0 && result->error != -ENOENT)
                log_error("the control groups above %s cannot be narrowed: %s", c->unit,
                          result->message ? result->message : strerror(-result->error));
        unit_check_finish(c);
}

/* Narrows the ancestors of a cgroup that has ended. */
static void unit_check_close_way(UnitCheck *c)
{
        Book *book = c->book;
        ApplyTarget target = { .cgroup = c->unit, .foreign = c->set->changes->foreign };
        Plan p = { .n_steps = 1, .steps = { { .kind = STEP_CLOSE_WAY } } };
        int k = apply_start(book->core->gate, book->core->worker, book->core->mover, &target, &p, 0,
                            unit_check_on_way_closed, NULL, c, &c->apply);

        if (k < 0) {
                ApplyResult result = { .error = k };
                unit_check_on_way_closed(NULL, &result, c);
        }
}

static void unit_check_try_later(UnitCheck *c, int error);

static void unit_check_on_read(const TenantReading *now, void *userdata)
{
        UnitCheck *c = userdata;

        c->read = tenant_read_free(c->read);
        if (now->error < 0 && now->error != -ENOENT) {
                unit_check_try_later(c, now->error);
                return;
        }
        bool is_alive = now->populated || !subtenant_is_one(c->unit);
        unit_check_drop(c, is_alive ? now->id : 0);
        if (ledger_tenant_count(c->book->ledger, c->unit) == 0)
                unit_check_close_way(c);
        else if (c->repair && is_alive && now->id != 0)
                unit_check_repair_tenant(c);
        else
                unit_check_finish(c);
}

static void unit_check_act_on_foreign(UnitCheck *c)
{
        int r = tenant_read_start(c->book->core->worker, c->unit, 0, &NODESET_EMPTY, unit_check_on_read, c,
                                  &c->read);

        if (r < 0)
                unit_check_try_later(c, r);
}

static void unit_check_act(UnitCheck *c)
{
        if (unit_check_has_ended(c->info)) {
                unit_check_end_tenant(c);
                return;
        }
        /* A scope does not restart: a scope of the same name with another cgroup is another unit. */
        if (unit_check_is_scope(c->unit) && c->info->cgroup_id != 0)
                unit_check_drop(c, c->info->cgroup_id);
        bool has_cgroup = c->info->cgroup && *c->info->cgroup,
             moved = has_cgroup && unit_check_follow_cgroup(c);
        if (!has_cgroup && c->repair)
                unit_check_await_birth(c);
        if (moved || c->repair)
                unit_check_repair_tenant(c);
        else
                unit_check_finish(c);
}

static void unit_check_on_turn(int result _unused_, void *userdata);

static int unit_check_on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        UnitCheck *c = userdata;

        c->retry = sd_event_source_disable_unref(c->retry);
        int r = turn_take(c->book->core->turns, c->unit, unit_check_on_turn, c, &c->turn);
        if (r < 0) {
                log_error("cannot check %s again: %s", c->unit, strerror(-r));
                unit_check_finish(c);
        }
        return 0;
}

/* Releases the turn for other operations of the tenant, and calls done, so that a start of cdmd does not
 * wait. */
static void unit_check_try_later(UnitCheck *c, int error)
{
        done_t done = c->done;
        void *userdata = c->userdata;
        int r = -ETIMEDOUT;

        c->turn = turn_free(c->turn);
        unit_check_due_again(c);
        c->done = NULL;
        if (c->n_retries < RETRIES_MAX)
                r = sd_event_add_time_relative(c->book->core->event, &c->retry, CLOCK_MONOTONIC,
                                               RETRY_FIRST_USEC << c->n_retries++, RETRY_ACCURACY,
                                               unit_check_on_retry, c);
        if (r < 0) {
                log_error("cannot check whether %s is still there: %s; `cdmctl reload` tries again", c->unit,
                          strerror(-error));
                unit_check_free(c);
        } else
                log_warning("cannot check %s, and will retry: %s", c->unit, strerror(-error));
        if (done)
                done(0, userdata);
}

static void unit_check_on_info(int error, UnitInfo *info, void *userdata)
{
        UnitCheck *c = userdata;

        c->call = unit_call_free(c->call);
        c->info = info;
        if (error < 0 && error != -ENOENT)
                unit_check_try_later(c, error);
        else
                unit_check_act(c);
}

static void unit_check_on_turn(int result _unused_, void *userdata)
{
        UnitCheck *c = userdata;

        /* The tenant's last reservation may have ended while this waited. */
        if (ledger_tenant_count(c->book->ledger, c->unit) == 0) {
                unit_check_finish(c);
                return;
        }
        unit_check_not_due(c);
        if (c->unit[0] == '/') {
                unit_check_act_on_foreign(c);
                return;
        }
        int r = unit_get(c->book->core->gate, GATE_OWN, c->unit, unit_check_on_info, c, &c->call);
        if (r < 0)
                unit_check_try_later(c, r);
}

/* Units change state in bursts, so an event is merged with a check that has not asked PID 1 yet. An event
 * also shows that PID 1 answers again, so a check that waits for its retry runs immediately. */
static bool unit_checks_is_due(UnitChecks *s, const char *unit)
{
        UnitCheck *c;

        HASH_FIND_STR(s->due, unit, c);
        if (c && c->retry)
                (void)sd_event_source_set_time_relative(c->retry, 0);
        return c;
}

int unit_checks_add(UnitChecks *s, const char *unit, bool repair, done_t done, void *userdata)
{
        if (!repair && !done && unit_checks_is_due(s, unit))
                return 0;
        UnitCheck *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        *c = (UnitCheck){ .set = s,
                          .book = s->book,
                          .unit = strdup(unit),
                          .repair = repair,
                          .done = done,
                          .userdata = userdata };
        DL_APPEND(s->all, c);
        if (c->unit)
                unit_check_due_again(c);
        int r = c->unit ? turn_take(s->book->core->turns, unit, unit_check_on_turn, c, &c->turn) : -ENOMEM;
        if (r < 0)
                unit_check_free(c);
        return r;
}

static void unit_checks_on_event(const char *unit, const char *state, void *userdata)
{
        UnitChecks *s = userdata;
        Book *book = s->book;

        /* Properties that were set at run time survive a daemon-reload, but changed unit files take effect
         * with it. */
        if (!unit)
                notify_tell(book->core->notify, &(Notice){ .kind = NOTICE_SYSTEMD, .reason = state });
        else
                owner_asks_unit(s->owner_asks, unit);
        if (!unit || ledger_tenant_count(book->ledger, unit) == 0)
                return;
        int r = unit_checks_add(s, unit, false, NULL, NULL);
        if (r < 0)
                log_error("cannot check %s, which is now %s: %s", unit, state, strerror(-r));
}

int unit_checks_watch(UnitChecks *s)
{
        if (s->events)
                return 0;
        return unit_subscribe(s->book->core->gate, unit_checks_on_event, s, &s->events);
}
