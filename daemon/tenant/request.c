/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The steps of a request, from the method call to the grant:
 *
 *   count the call → (wait for the end of the recovery) → check pool and size → (nodes near the device)
 *   → identity → vouch (speaker.c) → decide without a look → (kernel settings) → look → decide → polkit → grant
 *
 * A request is judged before polkit is asked, and again afterwards (judgement.c). If the client disconnects
 * before the grant starts, the request ends. */

#include "daemon/tenant/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "daemon/caller/authorize.h"
#include "daemon/loop/answer.h"
#include "daemon/loop/peers.h"
#include "daemon/machine/device-near.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/grant.h"
#include "daemon/tenant/judgement.h"
#include "daemon/tenant/machine-facts.h"
#include "daemon/tenant/request-args.h"
#include "daemon/tenant/snapshot.h"
#include "daemon/tenant/speaker.h"
#include "daemon/tenant/usage.h"
#include "policy/cdm-names.h"

/* Upper bounds of the calls in flight, in total and per user: hostile clients must not fill cdmd's memory
 * (about 2 KiB per call), and one user must not use up the total. No limit per connection is needed: the bus
 * allows a connection 128 calls in flight, and a user 256 connections. */
#define CALLS_MAX      20480
#define CALLS_USER_MAX 10240

typedef struct UserCount {
        uid_t uid;
        size_t n;
        UT_hash_handle hh;
} UserCount;

typedef struct RequestCall RequestCall;

struct RequestSet {
        Book *book;
        MachineFacts *facts;
        VouchSet *vouches;
        GrantSet *grants;
        RequestCall *calls; /* in flight */
        size_t n_calls;
        UserCount *users;
};

struct RequestCall {
        RequestSet *set;
        Book *book;
        RequestArgs args;
        bool explain;
        bool waiting;    /* for the end of the recovery */
        bool authorised; /* by polkit, or polkit need not be asked */
        UserCount *user;
        DeviceNear *near;
        IdentityLookup *lookup;
        Identity *identity;
        MachineLook *settings;
        UsageLook *look;
        Speaking *speaking;
        Authorize *authorize;
        PeerWatch *client; /* until the client disconnects; see request_on_client_gone() */
        Grant *grant;
        request_done_t done;
        void *userdata;
        RequestCall *prev, *next;
};

void request_args_clear(RequestArgs *a)
{
        free(a->pool);
        free(a->unit);
        free(a->cgroup);
        free(a->user);
        free(a->client);
        labels_clear(&a->words.labels);
        free(a->near_pci);
        *a = (RequestArgs){ .target.pidfd = -EBADF };
}

static void request_uncount(RequestSet *s, UserCount *u)
{
        if (!u || --u->n > 0)
                return;
        HASH_DEL(s->users, u);
        free(u);
}

static void request_call_free(RequestCall *c)
{
        RequestSet *s = c->set;

        DL_DELETE(s->calls, c);
        s->n_calls--;
        request_uncount(s, c->user);
        device_near_free(c->near);
        identity_lookup_free(c->lookup);
        speaking_free(c->speaking);
        identity_free(c->identity);
        machine_look_free(c->settings);
        usage_look_free(c->look);
        authorize_free(c->authorize);
        peer_watch_free(c->client);
        if (c->grant)
                grant_abandon(c->grant);
        request_args_clear(&c->args);
        free(c);
}

int requests_new(Book *book, MachineFacts *facts, VouchSet *vouches, GrantSet *grants, RequestSet **ret)
{
        RequestSet *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        *s = (RequestSet){ .book = book, .facts = facts, .vouches = vouches, .grants = grants };
        *ret = s;
        return 0;
}

RequestSet *requests_free(RequestSet *s)
{
        if (!s)
                return NULL;
        while (s->calls)
                request_call_free(s->calls);
        free(s);
        return NULL;
}

static void request_answer(RequestCall *c, const char *error, const char *text)
{
        Answer a = { error, text };
        RequestResult result = { 0 };

        c->done(&a, &result, c->userdata);
        request_call_free(c);
}

static void request_on_granted(const Answer *a, uint32_t id, void *userdata)
{
        RequestCall *c = userdata;
        RequestResult result = { .id = id };

        c->grant = NULL;
        c->done(a, &result, c->userdata);
        request_call_free(c);
}

/* Calls next after the kernel settings have been read again. They decide whether a reservation can be
 * exclusive. */
static void request_with_settings(RequestCall *c, done_t next)
{
        if (!c->args.exclusive || machine_look(c->set->facts, next, c, &c->settings) != 0)
                next(0, c);
}

static void request_grant_now(int result _unused_, void *userdata)
{
        RequestCall *c = userdata;

        c->settings = NULL;
        int r = grant_start(c->set->grants, TAKE_PTR(c->identity), &c->args, c->authorised,
                            request_on_granted, c, &c->grant);
        if (r < 0)
                request_answer(c, SD_BUS_ERROR_FAILED, strerror(-r));
}

static void request_grant(RequestCall *c)
{
        request_with_settings(c, request_grant_now);
}

/* Returns the refusal together with what the user can do instead. NULL: out of memory. */
static char *request_advise(const Identity *i, const char *refusal)
{
        const char *target = ledger_tenant_key(i->subject);
        char *text;
        int r;

        if (i->advice)
                r = asprintf(&text, "%s; %s", refusal, i->advice);
        else if (i->own)
                r = asprintf(&text, "%s; ask an administrator", refusal);
        else
                r = asprintf(&text,
                             "%s; ask an administrator to reserve for %s, or use `cdmctl run` for what you "
                             "start yourself",
                             refusal, target);
        return r < 0 ? NULL : text;
}

static void request_on_authorized(const Answer *answer, void *userdata)
{
        _cleanup_free_ char *advised = NULL;
        RequestCall *c = userdata;

        c->authorize = authorize_free(c->authorize);
        c->authorised = !answer->error;
        if (!answer->error) {
                request_grant(c);
                return;
        }
        advised = request_advise(c->identity, answer->text);
        request_answer(c, answer->error, advised ? advised : answer->text);
}

/* A grant that has started continues, because the reservation belongs to the unit. Only a place in the queue
 * needs the client. */
static void request_on_client_gone(void *userdata)
{
        RequestCall *c = userdata;

        if (!c->grant) {
                request_answer(c, CDM_ERROR_STALE, "the client has left the bus");
                return;
        }
        c->client = peer_watch_free(c->client);
        c->args.client_left = true;
}

static void request_authorize(RequestCall *c)
{
        Book *book = c->book;
        AuthorizeAction action = c->identity->own ? AUTHORIZE_REQUEST : AUTHORIZE_REQUEST_FOR_OTHERS;

        if (!authorize_is_needed(action, c->identity->sender_uid)) {
                c->authorised = true;
                request_grant(c);
                return;
        }
        int r = authorize_start(book->core->authorizer, c->args.client, c->args.interactive,
                                c->identity->sender_uid, action, request_on_authorized, c, &c->authorize);
        if (r < 0)
                request_answer(c, SD_BUS_ERROR_FAILED, "polkit could not be asked");
}

/* For Explain, which does not ask polkit. False if the caller is in a tenant that is not its own, and would
 * need the permission to request for others. */
static bool request_is_for_own(const RequestCall *c)
{
        const Identity *i = c->identity;

        return !i->in_tenant || i->own || !authorize_is_needed(AUTHORIZE_REQUEST_FOR_OTHERS, i->sender_uid);
}

static void request_explain(RequestCall *c, const Decision *d)
{
        Answer a = { NULL, NULL };
        RequestResult result = { .decision = d };

        c->done(&a, &result, c->userdata);
        request_call_free(c);
}

static void request_refuse(RequestCall *c, const Decision *d)
{
        if (c->explain) {
                request_explain(c, d);
                return;
        }
        request_tell_refused(c->book, c->identity, &c->args, d);
        request_answer(c, decision_error(d->verdict), d->reason);
}

const char *request_identity_error(IdentityVerdict v)
{
        switch (v) {
        case IDENTITY_OK:
                return NULL;
        case IDENTITY_NO_TARGET:
                return CDM_ERROR_NO_SUCH_TARGET;
        case IDENTITY_INVALID:
                return CDM_ERROR_INVALID;
        case IDENTITY_DENIED:
                return CDM_ERROR_DENIED;
        case IDENTITY_STALE:
        case IDENTITY_NO_SENDER:
                return CDM_ERROR_STALE;
        default:
                return SD_BUS_ERROR_FAILED;
        }
}

/* If the caller's UID is not cached yet, the call counts only in n_calls until the bus has replied, for one
 * round trip: see request_on_identity(). */
static int request_count_user(RequestCall *c, uid_t uid)
{
        UserCount *u;

        HASH_FIND(hh, c->set->users, &uid, sizeof(uid), u);
        if (u && u->n >= CALLS_USER_MAX)
                return -EBUSY;
        if (!u) {
                u = calloc(1, sizeof(*u));
                if (!u)
                        return -ENOMEM;
                u->uid = uid;
                HASH_ADD(hh, c->set->users, uid, sizeof(u->uid), u);
        }
        u->n++;
        c->user = u;
        return 0;
}

static void request_refuse_busy(RequestCall *c)
{
        request_answer(c, CDM_ERROR_BUSY,
                       "too many requests are under way; try again when some are answered");
}

static void request_on_look(int error, const UsageTarget *target, void *userdata)
{
        _cleanup_(judgement_clear) Judgement j = { 0 };
        RequestCall *c = userdata;

        c->look = NULL;
        if (error >= 0)
                error = request_decide(c->book, c->identity, &c->args, target, false, &j);
        if (error < 0)
                request_answer(c, SD_BUS_ERROR_FAILED, strerror(-error));
        else if (judgement_is_refusal(&j))
                request_refuse(c, j.decision);
        else if (c->explain && request_is_for_own(c))
                request_explain(c, j.decision);
        else if (c->explain)
                request_answer(c, CDM_ERROR_DENIED, c->identity->advice);
        else
                request_authorize(c);
}

static void request_look(int result _unused_, void *userdata)
{
        RequestCall *c = userdata;

        c->settings = NULL;
        int r = snapshot_look(c->book, c->identity->subject->cgroup, request_on_look, c, &c->look);
        if (r < 0)
                request_answer(c, SD_BUS_ERROR_FAILED, strerror(-r));
}

/* A refusal that does not depend on what is used of the nodes needs no look at them. */
static void request_judge_first(RequestCall *c)
{
        _cleanup_(decision_free_p) Decision *d = NULL;

        /* Whether a reservation can be exclusive depends on kernel settings, which have to be read first. */
        if (!c->args.exclusive && request_decide_early(c->book, c->identity, &c->args, &d) == 0 && d) {
                request_refuse(c, d);
                return;
        }
        /* polkit is not asked about root, so one judgement is enough: that of grant_start(). */
        if (!c->explain && !authorize_is_needed(AUTHORIZE_REQUEST, c->identity->sender_uid))
                request_authorize(c);
        else
                request_with_settings(c, request_look);
}

static void request_on_spoken(const Answer *said, void *userdata)
{
        RequestCall *c = userdata;

        if (said->error) {
                request_answer(c, said->error, said->text);
                return;
        }
        c->speaking = speaking_free(c->speaking);
        request_judge_first(c);
}

static void request_on_identity(IdentityVerdict verdict, const char *message, Identity *identity,
                                void *userdata)
{
        RequestCall *c = userdata;

        if (verdict != IDENTITY_OK) {
                request_answer(c, request_identity_error(verdict), message);
                return;
        }
        c->identity = identity;
        c->lookup = identity_lookup_free(c->lookup);
        if (!c->user && request_count_user(c, identity->sender_uid) < 0) {
                request_refuse_busy(c);
                return;
        }
        int r = speaking_start(c->book->core, c->set->vouches, identity, &c->args, c->explain,
                               request_on_spoken, c, &c->speaking);
        if (r < 0)
                request_answer(c, SD_BUS_ERROR_FAILED,
                               "the labels and the user of the target cannot be checked; try again later");
}

static void request_identify(RequestCall *c)
{
        Book *book = c->book;

        c->args.target.unit = c->args.unit;
        c->args.target.cgroup = c->args.cgroup;
        c->args.target.user = c->args.user;
        c->args.target.for_nobody = c->args.words.for_nobody;
        int r = identity_start(book->core->identity_context, c->args.client, &c->args.target,
                               request_on_identity, c, &c->lookup);
        if (r < 0)
                request_answer(c, SD_BUS_ERROR_FAILED, strerror(-r));
}

static void request_on_near(int error, void *userdata)
{
        _cleanup_free_ char *text = NULL;
        RequestCall *c = userdata;

        if (error >= 0)
                c->args.near = *device_near_nodes(c->near);
        c->near = device_near_free(c->near);
        if (error >= 0) {
                request_identify(c);
                return;
        }
        if (error == -ENOMEM) {
                request_answer(c, SD_BUS_ERROR_FAILED, strerror(ENOMEM));
                return;
        }
        if (asprintf(&text, "there is no PCI device %s; lspci -D shows those there are", c->args.near_pci) <
            0)
                text = NULL;
        request_answer(c, CDM_ERROR_INVALID, text ? text : "there is no such PCI device");
}

static void request_find_near(RequestCall *c)
{
        Book *book = c->book;

        int r = device_near_start(book->core->worker, book->core->root, book->topology, c->args.near_pci,
                                  request_on_near, c, &c->near);
        if (r < 0)
                request_answer(c, SD_BUS_ERROR_FAILED, strerror(-r));
}

/* Refuses arguments that are invalid for every caller. */
static bool request_refuse_nonsense(RequestCall *c)
{
        Book *book = c->book;
        _cleanup_free_ char *text = NULL;

        if (c->args.size_bytes == 0 || c->args.size_bytes > INT64_MAX) {
                request_answer(c, CDM_ERROR_INVALID,
                               c->args.size_bytes == 0
                                       ? "the size is 0; a reservation has at least 1 byte"
                                       : "the size is out of range; it must be less than 2^63 bytes");
                return true;
        }
        /* Explain reports an unknown pool as a verdict in its result. */
        if (c->explain || pool_set_find(book->pools, c->args.pool))
                return false;
        bool none = book->pools->n_pools == 0;
        if (asprintf(&text, "there is no pool '%s'%s", c->args.pool,
                     none ? ": this machine has no CDM nodes" : "; `cdmctl pools` lists those that exist") <
            0)
                text = NULL;
        request_answer(c, CDM_ERROR_NO_SUCH_POOL, text ? text : "there is no such pool");
        return true;
}

static void request_begin(RequestCall *c)
{
        if (request_refuse_nonsense(c))
                return;
        if (c->args.near_pci)
                request_find_near(c);
        else
                request_identify(c);
}

void requests_serve(RequestSet *s)
{
        RequestCall *c, *next;

        s->book->serving = true;
        DL_FOREACH_SAFE (s->calls, c, next) {
                if (!c->waiting)
                        continue;
                c->waiting = false;
                request_begin(c);
        }
}

static int request_count_sender(RequestCall *c)
{
        const Sender *s = sender_cached(c->book->core->senders, c->args.client);

        return s ? request_count_user(c, s->uid) : 0;
}

int requests_add(RequestSet *s, RequestArgs *args, bool explain, request_done_t done, void *userdata)
{
        RequestCall *c = calloc(1, sizeof(*c));

        if (!c) {
                request_args_clear(args);
                return -ENOMEM;
        }
        *c = (RequestCall){ .set = s,
                            .book = s->book,
                            .args = *args,
                            .explain = explain,
                            .waiting = !s->book->serving,
                            .done = done,
                            .userdata = userdata };
        *args = (RequestArgs){ .target.pidfd = -EBADF };
        DL_APPEND(s->calls, c);
        s->n_calls++;
        int r = peers_watch(s->book->core->peers, c->args.client, request_on_client_gone, c, &c->client);
        if (r < 0) {
                request_call_free(c);
                return r;
        }
        if (s->n_calls > CALLS_MAX || request_count_sender(c) < 0)
                request_refuse_busy(c);
        else if (!c->waiting)
                request_begin(c);
        return 0;
}
