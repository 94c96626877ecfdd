/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The steps of a grant, from the permission until the nodes are open:
 *
 *   check the caller → look → decide → ledger and intent on disk → turn → check the caller
 *   → [cdmctl run: scope, check that the caller is in it] → change → check the caller → result on disk
 *   → answer
 *
 * The ledger counts the reservation from the decision on, so only one of two concurrent grants gets the last
 * bytes. A grant that fails later is removed from the ledger, through the normal release if its nodes may be
 * open, so no reservation stays half granted. */

#include "daemon/tenant/grant.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/kernel/tenant-read.h"
#include "daemon/loop/answer.h"
#include "daemon/loop/clock.h"
#include "daemon/loop/log.h"
#include "daemon/loop/turn.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/change.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/degrade.h"
#include "daemon/tenant/grant-reservation.h"
#include "daemon/tenant/holds.h"
#include "daemon/tenant/judgement.h"
#include "daemon/tenant/leases.h"
#include "daemon/tenant/release.h"
#include "daemon/tenant/snapshot.h"
#include "daemon/tenant/waiter.h"
#include "policy/cdm-names.h"
#include "policy/timespan.h"

struct GrantSet {
        GrantContext context;
        Grant *all;
};

struct Grant {
        GrantSet *set;
        Book *book;
        Identity *identity;
        Entry *entry; /* NULL until the decision */
        uint32_t id;
        const RequestArgs *args; /* until the decision */
        bool authorised;
        bool migrate, bind;
        UsageLook *look;
        TenantRead *read;
        Turn *turn;
        HoldWait *room;
        Change *change;
        uint64_t moved_bytes, failed_bytes; /* results of the change */
        UnitCall *call;
        UnitInfo *scope; /* the new scope, until the ledger has it; else NULL */
        IdentityCheck *check;
        void (*checked)(Grant *g, const char *wrong); /* wrong: a phrase; NULL: the check succeeded */
        grant_done_t done;                            /* NULL: no callback (any more) */
        void *userdata;
        Grant *prev, *next;
};

static Entry *grant_let_go(Grant *g)
{
        Entry *e = TAKE_PTR(g->entry);

        if (e)
                e->granting = false;
        return e;
}

static Grant *grant_free(Grant *g)
{
        grant_let_go(g);
        DL_DELETE(g->set->all, g);
        usage_look_free(g->look);
        tenant_read_free(g->read);
        change_free(g->change);
        hold_wait_free(g->room);
        turn_free(g->turn);
        unit_call_free(g->call);
        unit_info_free(g->scope);
        identity_check_free(g->check);
        identity_free(g->identity);
        free(g);
        return NULL;
}

void grant_abandon(Grant *g)
{
        g->done = NULL;
        if (g->args)
                grant_free(g); /* not decided yet */
}

int grants_new(const GrantContext *context, GrantSet **ret)
{
        GrantSet *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->context = *context;
        *ret = s;
        return 0;
}

GrantSet *grants_free(GrantSet *s)
{
        if (!s)
                return NULL;
        while (s->all)
                grant_free(s->all);
        free(s);
        return NULL;
}

static void grant_answer(Grant *g, const char *error, const char *text)
{
        Answer answer = { error, text };
        grant_done_t done = g->done;

        g->done = NULL;
        if (done)
                done(&answer, g->id, g->userdata);
}

/* Answers the caller, if it was not answered yet, and frees the grant. */
static void grant_finish(Grant *g, const char *error, const char *text)
{
        grant_answer(g, error, text);
        grant_free(g);
}

static void grant_on_check(int result, void *userdata)
{
        Grant *g = userdata;

        g->check = identity_check_free(g->check);
        g->checked(g, result >= 0         ? NULL
                      : result == -ESTALE ? "the caller ended, or moved to another unit"
                                          : strerror(-result));
}

/* Checks that the caller is still in cgroup. Calls checked immediately if the target is not the caller. */
static void check_caller(Grant *g, const char *cgroup, void (*checked)(Grant *g, const char *wrong))
{
        const Core *core = g->book->core;

        g->checked = checked;
        int r = identity_check(g->identity, core->worker, core->root, cgroup, grant_on_check, g, &g->check);
        if (r != 0)
                grant_on_check(r, g);
}

/* Removes the reservation, through the normal release if its nodes may be open. */
static void grant_undo(Grant *g, bool maybe_open)
{
        Entry *e = grant_let_go(g);

        if (!maybe_open)
                book_forget(e);
        else if (release_start(g->set->context.releases, e) < 0)
                log_error("reservation %" PRIu32 " cannot be taken back now; a restart of cdmd will", e->id);
}

/* Removes the waiter, after success and failure. True if its client has disconnected meanwhile. */
static bool stop_waiting(Entry *e)
{
        if (!e->waiter)
                return false;
        bool gone = waiter_is_gone(e->waiter);
        waiter_done(e->waiter);
        e->waiter = waiter_free(e->waiter);
        return gone;
}

static void grant_fail(Grant *g, bool maybe_open, const char *error, const char *what, const char *why)
{
        _cleanup_free_ char *text = NULL;
        char nodes[NODESET_STR_MAX], policy[512];
        Event ev = book_event(g->entry, EVENT_FAILED, nodes, policy);

        if (asprintf(&text, "%s: %s; %s", what, why,
                     strcmp(error, CDM_ERROR_STALE) == 0 ? "ask again"
                                                         : "`journalctl -u " CDM_UNIT "` says more") < 0)
                text = NULL;
        ev.reason = text;
        ev.error = error;
        event_emit_limited(g->book->core->notify, g->book->core->event_limit, clock_monotonic_usec(),
                           EVENT_ALL_CLIENTS, &ev, "reservation %" PRIu32 " for %s was not granted: %s",
                           g->id, ledger_tenant_key(g->entry->r->target), text ? text : "");
        stop_waiting(g->entry);
        grant_undo(g, maybe_open);
        grant_finish(g, error, text ? text : what);
}

/* The nodes are open, and the caller was checked again. */
static void changed_checked(Grant *g, const char *wrong)
{
        Entry *e = g->entry;
        bool draining = e->r->state == RESERVATION_DRAINING;
        char why[REVOKED_WHY_MAX];

        /* A reservation that waited can be released during its grant. The release has the next turn. */
        if (draining && e->known) {
                stop_waiting(e);
                grant_finish(g, NULL, NULL);
                return;
        }
        /* The others can be displaced during theirs. */
        if (draining)
                wrong = lease_revoked_why(e->r, why);
        if (draining || wrong) {
                grant_fail(g, true, CDM_ERROR_STALE, "the nodes were closed again",
                           wrong ? wrong : "it was revoked");
                return;
        }
        e->phase = STORE_GRANTED;
        int r = book_store(e);
        if (r < 0) {
                e->phase = STORE_GRANTING;
                grant_fail(g, true, SD_BUS_ERROR_FAILED, "the reservation could not be stored",
                           strerror(-r));
                return;
        }
        lease_arm(g->set->context.leases, e);
        /* The caller is answered before other clients are notified. */
        grant_answer(g, NULL, NULL);
        grant_tell_clients(e);
        notify_tell(g->book->core->notify, &(Notice){ .kind = NOTICE_RESERVATION_CAME, .entry = e });
        grant_tell_granted(e, g->migrate, g->moved_bytes, g->failed_bytes);
        /* A node may have been drained or removed since the decision. */
        degrade_judge(g->set->context.degrades, e, true);
        if (stop_waiting(e) && release_start(g->set->context.releases, e) < 0)
                log_error("reservation %" PRIu32 " is nobody's, and cannot be released now", e->id);
        grant_finish(g, NULL, NULL);
}

static void grant_on_changed(const ApplyResult *result, bool changed, void *userdata)
{
        Grant *g = userdata;

        if (result->error < 0) {
                const char *error = result->error == -ESTALE || result->error == -ENOENT
                                            ? CDM_ERROR_STALE
                                            : SD_BUS_ERROR_FAILED;
                grant_fail(g, result->undo_error < 0, error, "the nodes could not be opened",
                           result->message ? result->message : strerror(-result->error));
                return;
        }
        g->moved_bytes = result->moved_bytes;
        g->failed_bytes = result->failed_bytes;
        check_caller(g, g->entry->r->target->cgroup, changed_checked);
}

static void open_nodes(Grant *g)
{
        ChangeTerms terms = { .migrate = g->migrate, .usable = true, .starting = g->entry->r->with_start };

        int r = change_start(g->set->context.changes, g->entry->r, &terms, grant_on_changed, g, &g->change);
        if (r < 0)
                grant_fail(g, false, SD_BUS_ERROR_FAILED, "the nodes could not be opened", strerror(-r));
}

static void grant_on_room(int result _unused_, void *userdata)
{
        Grant *g = userdata;

        g->room = NULL;
        open_nodes(g);
}

/* First frees the memory that cdmd itself holds on the nodes (Hold=yes), so that the tenant can use it. */
static void start_change(Grant *g)
{
        int r = holds_make_room(g->set->context.holds, g->entry->r, grant_on_room, g, &g->room);

        if (r > 0)
                open_nodes(g);
        else if (r < 0)
                grant_fail(g, false, SD_BUS_ERROR_FAILED, "the nodes could not be opened", strerror(-r));
}

/* The scope was started. With systemd 252 the PID may have been reused before systemd moved the process. The
 * scope then contains an unrelated process, which must not be killed: the scope is not stopped, and stays
 * fenced until that process ends. */
static void scope_checked(Grant *g, const char *wrong)
{
        _cleanup_(unit_info_free_p) UnitInfo *u = TAKE_PTR(g->scope);

        if (wrong) {
                grant_fail(g, false, CDM_ERROR_STALE, "the new scope could not be used", wrong);
                return;
        }
        int r = ledger_set_cgroup(g->book->ledger, g->entry->r, u->cgroup, u->cgroup_id);
        /* A reservation that waited stays on disk as waiting until it is granted. */
        if (r >= 0 && !g->entry->known)
                r = book_store(g->entry);
        if (r < 0)
                grant_fail(g, false, SD_BUS_ERROR_FAILED, "the reservation could not be stored",
                           strerror(-r));
        else
                start_change(g);
}

static void grant_on_scope(int error, UnitInfo *info, void *userdata)
{
        _cleanup_(unit_info_free_p) UnitInfo *u = info;
        Grant *g = userdata;

        g->call = unit_call_free(g->call);
        if (error < 0 || !u->cgroup) {
                grant_fail(g, false, CDM_ERROR_STALE, "the new scope could not be used",
                           error < 0 ? strerror(-error) : "it ended at once");
                return;
        }
        g->scope = TAKE_PTR(u);
        check_caller(g, g->scope->cgroup, scope_checked);
}

static void grant_on_scope_started(int error, const char *message, void *userdata)
{
        Grant *g = userdata;

        g->call = unit_call_free(g->call);
        if (error >= 0)
                error = unit_get(g->book->core->gate, GATE_OWN, g->entry->r->target->unit, grant_on_scope, g,
                                 &g->call);
        if (error < 0)
                grant_fail(g, false, SD_BUS_ERROR_FAILED, "systemd did not start the new scope",
                           message ? message : strerror(-error));
}

static int start_scope(Grant *g)
{
        const Reservation *r = g->entry->r;
        _cleanup_free_ char *description = NULL;

        if (asprintf(&description, "Reservation %" PRIu32 " of %s", g->id, r->pool) < 0) {
                description = NULL;
                return -ENOMEM;
        }
        return unit_start_scope(g->book->core->gate, g->book->core->jobs, r->target->unit, r->target->slice,
                                description, g->identity->pid, g->bind ? r->size_bytes : 0,
                                grant_on_scope_started, g, &g->call);
}

/* True if r is another reservation of the tenant, whose base is known. */
static int other_base(Reservation *r, void *userdata)
{
        const Reservation *own = userdata;

        return r != own && r->state != RESERVATION_QUEUED;
}

static void grant_on_base(const TenantReading *reading, void *userdata)
{
        Grant *g = userdata;
        Reservation *r = g->entry->r;

        g->read = tenant_read_free(g->read);
        NodeSet base = nodeset_intersect(&reading->mems, &g->book->pools->ordinary);
        if (reading->error >= 0 && !nodeset_is_empty(&base))
                r->base = base;
        start_change(g);
}

/* A waiting reservation was decided without reading its cgroup, so the base is read here. */
static void read_base(Grant *g)
{
        Book *book = g->book;
        Reservation *r = g->entry->r;
        int k = -ENOENT;

        if (g->entry->waiter && r->target->cgroup &&
            ledger_foreach_of_tenant(book->ledger, ledger_tenant_key(r->target), other_base, r) == 0)
                k = tenant_read_start(book->core->worker, r->target->cgroup, r->target->cgroup_id,
                                      &NODESET_EMPTY, grant_on_base, g, &g->read);
        if (k < 0)
                start_change(g);
}

/* A waiting reservation leaves the queue, and its client is notified as for every other end. */
static void fail_stale(Grant *g, const char *wrong)
{
        _cleanup_free_ char *reason = NULL;
        Entry *e = g->entry;

        if (!e->waiter) {
                grant_fail(g, false, CDM_ERROR_STALE, "nothing was granted", wrong);
                return;
        }
        grant_let_go(g);
        if (asprintf(&reason, "nothing was granted: %s; ask again", wrong) < 0)
                reason = NULL;
        waiter_dequeue(e, CDM_ERROR_STALE, reason ? reason : wrong);
        grant_finish(g, NULL, NULL);
}

static void turn_checked(Grant *g, const char *wrong)
{
        if (wrong) {
                fail_stale(g, wrong);
                return;
        }
        if (!g->entry->r->scope) {
                read_base(g);
                return;
        }
        int k = start_scope(g);
        if (k < 0)
                grant_fail(g, false, SD_BUS_ERROR_FAILED, "the new scope could not be started",
                           strerror(-k));
}

/* The turn may have come late, for example after a drain of the same tenant. */
static void grant_on_turn(int result _unused_, void *userdata)
{
        Grant *g = userdata;

        check_caller(g, g->identity->subject->cgroup, turn_checked);
}

static int grant_new(GrantSet *s, Identity *identity, const RequestArgs *args, grant_done_t done,
                     void *userdata, Grant **ret)
{
        Grant *g = calloc(1, sizeof(*g));

        if (!g)
                return -ENOMEM;
        *g = (Grant){ .set = s,
                      .book = s->context.book,
                      .identity = identity,
                      .args = args,
                      .migrate = args->migrate,
                      .bind = args->bind,
                      .done = done,
                      .userdata = userdata };
        DL_APPEND(s->all, g);
        *ret = g;
        return 0;
}

/* Adds the reservation to the ledger, stores it and takes a turn. On failure all of this is undone. */
static int grant_enter(Grant *g, const Decision *d, const NodeSet *mems)
{
        _cleanup_(reservation_free_p) Reservation *r = NULL;
        Book *book = g->book;

        int k = grant_make_reservation(book, g->identity, g->args, d, mems, 0, &r);
        if (k < 0)
                return k;
        g->id = r->id;
        k = book_add(book, r, STORE_GRANTING, &g->entry);
        if (k < 0)
                return k;
        TAKE_PTR(r);
        g->entry->granting = true;
        k = book_store(g->entry);
        if (k >= 0)
                k = turn_take(book->core->turns, ledger_tenant_key(g->entry->r->target), grant_on_turn, g,
                              &g->turn);
        if (k < 0)
                book_forget(grant_let_go(g));
        return k;
}

static void grant_on_look(int error, const UsageTarget *target, void *userdata)
{
        _cleanup_(judgement_clear) Judgement j = { 0 };
        Grant *g = userdata;
        Book *book = g->book;

        g->look = NULL;
        if (error >= 0)
                error = request_decide(book, g->identity, g->args, target, g->authorised, &j);
        if (error < 0) {
                grant_finish(g, SD_BUS_ERROR_FAILED, strerror(-error));
                return;
        }
        if (judgement_is_refusal(&j)) {
                request_tell_refused(book, g->identity, g->args, j.decision);
                grant_finish(g, decision_error(j.decision->verdict), j.decision->reason);
                return;
        }
        if (!judgement_may_act(&j)) {
                grant_finish(g, CDM_ERROR_DENIED, "the request is not authorised any more; ask again");
                return;
        }
        if (j.decision->verdict == VERDICT_QUEUED && g->args->client_left) {
                grant_finish(g, CDM_ERROR_STALE, "the client that would wait has left the bus");
                return;
        }
        if (j.decision->verdict == VERDICT_QUEUED)
                error = waiter_enqueue(g->set->context.waiters, TAKE_PTR(g->identity), g->args, j.decision,
                                       &target->near, &g->id);
        else
                error = grant_enter(g, j.decision, &target->mems);
        g->args = NULL;
        if (error < 0)
                grant_finish(g, SD_BUS_ERROR_FAILED, strerror(-error));
        else if (!g->entry)
                grant_finish(g, NULL, NULL);
}

static int start_look(Grant *g)
{
        return snapshot_look(g->book, g->identity->subject->cgroup, grant_on_look, g, &g->look);
}

/* polkit may have taken minutes. */
static void start_checked(Grant *g, const char *wrong)
{
        if (wrong) {
                grant_finish(g, CDM_ERROR_STALE,
                             "the process that asked ended or changed its unit; ask again");
                return;
        }
        int r = start_look(g);
        if (r < 0)
                grant_finish(g, SD_BUS_ERROR_FAILED, strerror(-r));
}

int grant_start(GrantSet *s, Identity *identity, const RequestArgs *args, bool authorised, grant_done_t done,
                void *userdata, Grant **ret)
{
        Grant *g;

        int r = grant_new(s, identity, args, done, userdata, &g);
        if (r < 0) {
                identity_free(identity);
                return r;
        }
        g->authorised = authorised;
        r = identity_check(identity, s->context.book->core->worker, s->context.book->core->root,
                           identity->subject->cgroup, grant_on_check, g, &g->check);
        g->checked = start_checked;
        if (r > 0)
                r = start_look(g);
        if (r < 0)
                grant_free(g);
        else
                *ret = g;
        return r;
}

static int grant_begin(Grant *g, Entry *e, const RequestArgs *a, const Decision *d)
{
        _cleanup_(reservation_free_p) Reservation *r = NULL;
        Book *book = g->book;

        /* The unit may have restarted while the reservation waited. */
        g->identity->subject = subject_free(g->identity->subject);
        int k = subject_copy(e->r->target, &g->identity->subject);
        if (k < 0)
                return k;
        k = grant_make_reservation(book, g->identity, a, d, &NODESET_EMPTY, e->id, &r);
        if (k >= 0)
                k = turn_take(book->core->turns, ledger_tenant_key(r->target), grant_on_turn, g, &g->turn);
        if (k >= 0)
                k = grant_replace(e, r);
        if (k < 0)
                return k;
        TAKE_PTR(r);
        e->granting = true;
        g->entry = e;
        g->id = e->id;
        g->args = NULL;
        return 0;
}

void grant_waiting(GrantSet *s, Entry *e, Identity *identity, const Decision *d)
{
        const Reservation *r = e->r;
        RequestArgs a = { .pool = r->pool,
                          .exclusive = r->exclusive,
                          .bind = r->wait->bind,
                          .migrate = r->wait->migrate,
                          .nodes = r->wait->nodes };
        Grant *g = NULL;

        int k = grant_new(s, identity, &a, NULL, NULL, &g);
        if (k < 0)
                identity_free(identity);
        else
                k = grant_begin(g, e, &a, d);
        if (k >= 0)
                return;
        if (g)
                grant_free(g);
        waiter_dequeue(e, SD_BUS_ERROR_FAILED, strerror(-k));
}
