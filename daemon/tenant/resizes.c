/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The steps of a change of size; a reservation has one such change at a time:
 *
 *   smaller:  decide → [capped: turn → reclaim page cache → check that the rest fits → MemoryMax= → decide]
 *             → ledger → disk → answer; then drain the excess
 *   larger:   the owner's groups → look → decide → polkit → look → decide → ledger → turn
 *             → free held memory → open nodes → [capped: MemoryMax=] → disk → answer
 *
 * The ledger counts the growth from the decision on. A change that fails is undone, unless the reservation
 * is already draining: the drain covers the shares in the ledger. Clients are notified only after the change
 * was stored. */

#include "daemon/tenant/resizes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/caller/authorize.h"
#include "daemon/caller/identity-unit.h"
#include "daemon/kernel/squeeze.h"
#include "daemon/loop/answer.h"
#include "daemon/loop/log.h"
#include "daemon/loop/turn.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/buffers.h"
#include "daemon/tenant/change.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/degrade.h"
#include "daemon/tenant/follow.h"
#include "daemon/tenant/holds.h"
#include "daemon/tenant/judgement.h"
#include "daemon/tenant/neighbours.h"
#include "daemon/tenant/overruns.h"
#include "daemon/tenant/owner-subject.h"
#include "daemon/tenant/snapshot.h"
#include "policy/cdm-names.h"
#include "policy/size.h"

typedef struct Resize {
        ResizeSet *set;
        uint32_t id; /* the reservation may be forgotten while this runs */
        uint64_t size_bytes;
        char *client;     /* the bus name of the caller */
        bool interactive; /* polkit may ask the user */
        answer_done_t done;
        void *userdata;
        uid_t sender_uid;
        bool authorised;
        bool max_is_set;  /* MemoryMax= of the scope has the new size */
        Subject *subject; /* the target, as policy judges it */
        Decision *decision;
        Reservation *before; /* the old shares and rule; NULL: the ledger has not changed */
        OwnerSubject *owner;
        UsageLook *look;
        Authorize *authorize;
        Turn *turn;
        HoldWait *room;
        Change *change;
        Squeeze *squeeze;
        UnitCall *call;
        struct Resize *prev, *next;
} Resize;

struct ResizeSet {
        ResizeContext context;
        Resize *resizes;
};

int resizes_new(const ResizeContext *context, ResizeSet **ret)
{
        ResizeSet *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->context = *context;
        *ret = s;
        return 0;
}

static void resize_free(Resize *z)
{
        DL_DELETE(z->set->resizes, z);
        free(z->client);
        owner_subject_free(z->owner);
        usage_look_free(z->look);
        authorize_free(z->authorize);
        hold_wait_free(z->room);
        change_free(z->change);
        squeeze_free(z->squeeze);
        unit_call_free(z->call);
        turn_free(z->turn);
        subject_free(z->subject);
        decision_free(z->decision);
        reservation_free(z->before);
        free(z);
}

ResizeSet *resizes_free(ResizeSet *s)
{
        if (!s)
                return NULL;
        while (s->resizes)
                resize_free(s->resizes);
        free(s);
        return NULL;
}

/* --- the ledger --------------------------------------------------------------------------------------- */

static void resize_on_followed(const ApplyResult *result, const char *tenant, void *userdata _unused_)
{
        if (result->error < 0)
                log_warning("the nodes of %s could not be set as reserved: %s; `cdmctl reload` tries again",
                            tenant, result->message ? result->message : strerror(-result->error));
}

/* Must be called after the ledger has changed. Starts the drain of the excess on nodes that were given up or
 * that have several tenants. */
static void resize_settle(Resize *z, Entry *e, const Reservation *before)
{
        Book *book = z->set->context.book;
        Share given_up[SHARES_MAX];
        Reservation left = { .id = e->id, .target = e->r->target, .shares = given_up };
        NodeSet has = reservation_nodes(e->r), leaving = NODESET_EMPTY;

        for (size_t i = 0; i < before->n_shares; i++) {
                int node = before->shares[i].node;

                if (!nodeset_contains(&has, node))
                        left.shares[left.n_shares++] = before->shares[i];
                if (!nodeset_contains(&has, node) || ledger_node_tenants(book->ledger, node) > 1)
                        nodeset_add(&leaving, node);
        }
        neighbours_tell(z->set->context.neighbours, &left);
        holds_settle(z->set->context.holds);
        notify_room(book->core->notify);
        if (!nodeset_is_empty(&leaving))
                follows_add(z->set->context.follows, ledger_tenant_key(e->r->target), &leaving,
                            resize_on_followed, NULL);
}

static int resize_book(Resize *z, Entry *e)
{
        Ledger *l = e->book->ledger;
        const Decision *d = z->decision;
        int r = reservation_copy_terms(e->r, &z->before);

        /* A reservation that shrinks keeps its rule: no rule was consulted. */
        if (r >= 0 && d->rule)
                r = ledger_set_rule(l, e->r, d->rule->file, d->line);
        if (r >= 0)
                r = ledger_set_shares(l, e->r, d->shares, d->n_shares);
        if (r < 0 && z->before) {
                (void)ledger_set_rule(l, e->r, z->before->rule_file, z->before->rule_line);
                z->before = reservation_free(z->before);
        }
        return r;
}

static void resize_take_back_shares(Resize *z, Entry *e)
{
        Book *book = z->set->context.book;
        _cleanup_(reservation_free_p) Reservation *before = TAKE_PTR(z->before);
        _cleanup_(reservation_free_p) Reservation *changed = NULL;

        if (reservation_new(&changed) < 0 ||
            reservation_set_shares(changed, e->r->shares, e->r->n_shares) < 0)
                return;
        int r = ledger_set_shares(book->ledger, e->r, before->shares, before->n_shares);
        if (r >= 0)
                r = ledger_set_rule(book->ledger, e->r, before->rule_file, before->rule_line);
        if (r >= 0)
                r = book_store(e);
        if (r < 0)
                log_error("reservation %" PRIu32 " cannot get its size back: %s", e->id, strerror(-r));
        z->turn = turn_free(z->turn);
        resize_settle(z, e, changed);
}

static void resize_on_max_back(int error, const char *message, void *userdata _unused_)
{
        if (error < 0)
                log_error("MemoryMax= of a reservation's scope cannot be set back: %s",
                          message ? message : strerror(-error));
}

/* Undoes the change, unless the reservation is draining: the drain covers all of its shares. */
static void resize_take_back(Resize *z)
{
        Entry *e = book_find(z->set->context.book, z->id);

        if (!e || e->r->state == RESERVATION_DRAINING)
                return;
        if (z->before)
                resize_take_back_shares(z, e);
        if (!z->max_is_set)
                return;
        int r = unit_set_memory_max(e->book->core->gate, e->r->target->unit, e->r->size_bytes,
                                    resize_on_max_back, NULL, NULL);
        if (r < 0)
                resize_on_max_back(r, NULL, NULL);
}

/* --- the end ------------------------------------------------------------------------------------------ */

static void resize_end(Resize *z, const char *error, const char *text)
{
        Answer answer = { error, text };

        if (error)
                resize_take_back(z);
        z->done(&answer, z->userdata);
        resize_free(z);
}

static void resize_fail(Resize *z, int error)
{
        resize_end(z, SD_BUS_ERROR_FAILED, strerror(-error));
}

/* NULL: the reservation has ended, or is revoked or draining, so the change has ended too. */
static Entry *resize_entry(Resize *z)
{
        Entry *e = book_find(z->set->context.book, z->id);

        if (e && e->phase == STORE_GRANTED &&
            (e->r->state == RESERVATION_ACTIVE || e->r->state == RESERVATION_DEGRADED))
                return e;
        resize_end(z, CDM_ERROR_STALE, "the reservation ended or is about to end; ask for a new one");
        return NULL;
}

/* The last step. The ledger has the change, and so has the kernel if it comes first. */
static void resize_commit(Resize *z, Entry *e)
{
        Book *book = e->book;
        _cleanup_(reservation_free_p) Reservation *before = NULL;

        int r = book_store(e);
        if (r < 0) {
                resize_fail(z, r);
                return;
        }
        before = TAKE_PTR(z->before);
        notify_reservation_changed(book->core->notify, e->id,
                                   RESERVATION_CHANGED_SIZE | RESERVATION_CHANGED_NODES |
                                           RESERVATION_CHANGED_STRENGTH);
        neighbours_tell(z->set->context.neighbours, e->r);
        overruns_arm(z->set->context.overrun);
        degrade_judge(z->set->context.degrades, e, true);
        z->turn = turn_free(z->turn);
        resize_settle(z, e, before);
        resize_end(z, NULL, NULL);
}

static void resize_refuse(Resize *z)
{
        _cleanup_free_ char *reason = TAKE_PTR(z->decision->reason);

        resize_end(z, decision_error(z->decision->verdict), reason);
}

/* False: the change was refused or failed, and has ended. */
static bool resize_decide(Resize *z, Entry *e)
{
        Book *book = e->book;
        Share buffers[SHARES_MAX];
        Snapshot s = snapshot_take(book, pool_set_find(book->pools, e->r->pool));
        ResizeRequest q = { .reservation = e->r,
                            .size_bytes = z->size_bytes,
                            .subject = z->subject,
                            .buffers = buffers,
                            .n_buffers = buffers_shares(z->set->context.changes->buffers, e->id, buffers) };

        z->decision = decision_free(z->decision);
        int r = decide_resize(&s, &q, &z->decision);
        if (r < 0)
                resize_fail(z, r);
        else if (z->decision->verdict != VERDICT_GRANTED)
                resize_refuse(z);
        else
                return true;
        return false;
}

/* --- smaller ------------------------------------------------------------------------------------------ */

static void resize_shrink_now(Resize *z, Entry *e)
{
        int r = resize_book(z, e);

        if (r < 0)
                resize_fail(z, r);
        else
                resize_commit(z, e);
}

/* NULL: the change has ended. */
static Entry *resize_max_answered(Resize *z, int error, const char *message)
{
        z->call = unit_call_free(z->call);
        /* After a timeout PID 1 may still carry out the call. */
        z->max_is_set = error >= 0 || error == -ETIMEDOUT;
        Entry *e = resize_entry(z);
        if (!e || error >= 0)
                return e;
        resize_end(z, SD_BUS_ERROR_FAILED, message ? message : strerror(-error));
        return NULL;
}

/* Decides again: the reservation may have opened a buffer or lost a node meanwhile. */
static void resize_on_lower_max(int error, const char *message, void *userdata)
{
        Resize *z = userdata;
        Entry *e = resize_max_answered(z, error, message);

        if (e && resize_decide(z, e))
                resize_shrink_now(z, e);
}

static void resize_on_squeezed(int error, uint64_t used_bytes, void *userdata)
{
        Resize *z = userdata;
        Entry *e = resize_entry(z);
        char used[SIZE_STR_MAX], text[160];

        if (!e)
                return;
        z->squeeze = squeeze_free(z->squeeze);
        if (error < 0) {
                resize_fail(z, error);
                return;
        }
        if (used_bytes > z->decision->size_bytes) {
                snprintf(
                        text, sizeof(text),
                        "%s uses %s, more than that; have it give back memory first, or ask for that or more",
                        ledger_tenant_key(e->r->target), size_format(used_bytes, used));
                resize_end(z, CDM_ERROR_BUSY, text);
                return;
        }
        int r = unit_set_memory_max(e->book->core->gate, e->r->target->unit, z->decision->size_bytes,
                                    resize_on_lower_max, z, &z->call);
        if (r < 0)
                resize_fail(z, r);
}

/* Reclaims page cache and checks the use first: a limit below the use would invoke the OOM killer. */
static void resize_on_shrink_turn(int result _unused_, void *userdata)
{
        Resize *z = userdata;
        Entry *e = resize_entry(z);

        if (!e)
                return;
        int r = e->r->target->cgroup
                        ? squeeze_start(e->book->core->mover, e->r->target->cgroup, e->r->target->cgroup_id,
                                        z->decision->size_bytes, resize_on_squeezed, z, &z->squeeze)
                        : -ENOENT;
        if (r < 0)
                resize_fail(z, r);
}

static void resizes_shrink(Resize *z, Entry *e)
{
        if (!resize_decide(z, e))
                return;
        if (!e->r->capped || z->decision->size_bytes == e->r->size_bytes) {
                resize_shrink_now(z, e);
                return;
        }
        int r = turn_take(e->book->core->turns, ledger_tenant_key(e->r->target), resize_on_shrink_turn, z,
                          &z->turn);
        if (r < 0)
                resize_fail(z, r);
}

/* --- larger ------------------------------------------------------------------------------------------- */

static void resize_on_raised_max(int error, const char *message, void *userdata)
{
        Resize *z = userdata;
        Entry *e = resize_max_answered(z, error, message);

        if (e)
                resize_commit(z, e);
}

static void resize_on_opened(const ApplyResult *result, bool changed _unused_, void *userdata)
{
        _cleanup_free_ char *text = NULL;
        Resize *z = userdata;
        Entry *e = resize_entry(z);

        if (!e)
                return;
        if (result->error < 0) {
                if (asprintf(&text, "the nodes could not be opened: %s",
                             result->message ? result->message : strerror(-result->error)) < 0)
                        text = NULL;
                resize_end(z, SD_BUS_ERROR_FAILED, text);
                return;
        }
        z->change = change_free(z->change);
        if (!e->r->capped) {
                resize_commit(z, e);
                return;
        }
        int r = unit_set_memory_max(e->book->core->gate, e->r->target->unit, e->r->size_bytes,
                                    resize_on_raised_max, z, &z->call);
        if (r < 0)
                resize_fail(z, r);
}

static void resize_on_room(int result _unused_, void *userdata)
{
        Resize *z = userdata;
        ChangeTerms terms = { .usable = true };

        z->room = NULL;
        Entry *e = resize_entry(z);
        if (!e)
                return;
        int r = change_start(z->set->context.changes, e->r, &terms, resize_on_opened, z, &z->change);
        if (r < 0)
                resize_fail(z, r);
}

static void resize_on_grow_turn(int result _unused_, void *userdata)
{
        Resize *z = userdata;
        Entry *e = resize_entry(z);

        if (!e)
                return;
        int r = holds_make_room(z->set->context.holds, e->r, resize_on_room, z, &z->room);
        if (r > 0)
                resize_on_room(0, z);
        else if (r < 0)
                resize_fail(z, r);
}

static void resize_grow_now(Resize *z, Entry *e)
{
        int r = resize_book(z, e);

        if (r >= 0)
                r = turn_take(e->book->core->turns, ledger_tenant_key(e->r->target), resize_on_grow_turn, z,
                              &z->turn);
        if (r < 0)
                resize_fail(z, r);
}

static void resize_look(Resize *z);

static void resize_on_authorized(const Answer *answer, void *userdata)
{
        Resize *z = userdata;

        z->authorize = authorize_free(z->authorize);
        z->authorised = !answer->error;
        if (answer->error)
                resize_end(z, answer->error, answer->text);
        else
                resize_look(z);
}

/* True if the unit is the caller's own, by the rules for a request (identity.h). */
static bool resize_is_own(const Resize *z)
{
        const Subject *s = z->subject;
        UnitInfo unit = { .name = s->unit, .slice = s->slice };

        return s->unit && unit_is_of_user(&unit, s->unit_uid, z->sender_uid);
}

static void resize_on_look(int error, const UsageTarget *target _unused_, void *userdata)
{
        Resize *z = userdata;

        z->look = NULL;
        Entry *e = resize_entry(z);
        if (!e)
                return;
        if (error < 0) {
                resize_fail(z, error);
                return;
        }
        if (!resize_decide(z, e))
                return;
        AuthorizeAction action = resize_is_own(z) ? AUTHORIZE_REQUEST : AUTHORIZE_REQUEST_FOR_OTHERS;
        if (z->authorised || !authorize_is_needed(action, z->sender_uid)) {
                resize_grow_now(z, e);
                return;
        }
        int r = authorize_start(e->book->core->authorizer, z->client, z->interactive, z->sender_uid, action,
                                resize_on_authorized, z, &z->authorize);
        if (r < 0)
                resize_fail(z, r);
}

static void resize_look(Resize *z)
{
        Entry *e = resize_entry(z);

        if (!e)
                return;
        int r = snapshot_look(e->book, e->r->target->cgroup, resize_on_look, z, &z->look);
        if (r < 0)
                resize_fail(z, r);
}

/* Rules are matched against the owner, also if another user made the call. */
static void resize_on_owner(int error, Subject *subject, uid_t sender_uid, void *userdata)
{
        Resize *z = userdata;

        z->subject = subject;
        z->sender_uid = sender_uid;
        z->owner = owner_subject_free(z->owner);
        if (error < 0)
                resize_end(z, SD_BUS_ERROR_FAILED,
                           "the groups of the owner cannot be looked up now; try again later");
        else
                resize_look(z);
}

static void resizes_grow(Resize *z, Entry *e)
{
        int r = owner_subject_start(e->book->core, z->client, e->r->target, resize_on_owner, z, &z->owner);

        if (r < 0)
                resize_fail(z, r);
}

/* --- the start ---------------------------------------------------------------------------------------- */

static bool resize_is_under_way(const ResizeSet *s, uint32_t id)
{
        Resize *z;

        DL_FOREACH (s->resizes, z)
                if (z->id == id)
                        return true;
        return false;
}

int resizes_start(ResizeSet *s, Entry *e, uint64_t size_bytes, const char *client, bool interactive,
                  answer_done_t done, void *userdata)
{
        Resize *z = NULL;

        if (e->phase != STORE_GRANTED) {
                done(&(Answer){ CDM_ERROR_STALE, "the reservation still waits; release it and ask anew" },
                     userdata);
                return 0;
        }
        if (resize_is_under_way(s, e->id)) {
                done(&(Answer){ CDM_ERROR_BUSY,
                                "the size of the reservation is being changed already; wait for that" },
                     userdata);
                return 0;
        }
        z = calloc(1, sizeof(*z));
        if (!z)
                return -ENOMEM;
        *z = (Resize){ .set = s,
                       .id = e->id,
                       .size_bytes = size_bytes,
                       .interactive = interactive,
                       .done = done,
                       .userdata = userdata };
        DL_APPEND(s->resizes, z);
        if (string_copy(client, &z->client) < 0) {
                resize_free(z);
                return -ENOMEM;
        }
        if (size_bytes > e->r->size_bytes && !e->r->exclusive && size_bytes <= INT64_MAX)
                resizes_grow(z, e);
        else
                resizes_shrink(z, e);
        return 0;
}
