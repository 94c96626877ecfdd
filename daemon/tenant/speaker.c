/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The steps that determine in whose name a request is made:
 *
 *   polkit: may the caller speak for others? → find the vouch of the cgroup → judge the new words (vouch.h)
 *   → keep the new vouch → look up the groups of the user that it names
 *
 * Permission comes first, so that a caller without it learns nothing about what others would get. A vouch
 * applies to all requests for its cgroup, so requests that say nothing also take these steps. */

#include "daemon/tenant/speaker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/caller/authorize.h"
#include "daemon/caller/identity-unit.h"
#include "daemon/loop/answer.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/vouches.h"
#include "policy/cdm-names.h"

struct Speaking {
        Core *core;
        VouchSet *vouches;
        Identity *identity;
        const RequestArgs *args;
        bool explain;
        Authorize *authorize;
        VouchLook *look;
        NamesCall *name;
        answer_done_t done;
        void *userdata;
};

Speaking *speaking_free(Speaking *s)
{
        if (!s)
                return NULL;
        authorize_free(s->authorize);
        vouch_look_free(s->look);
        names_call_free(s->name);
        free(s);
        return NULL;
}

static void speaking_end(Speaking *s, const char *error, const char *text)
{
        Answer answer = { error, text };

        s->done(&answer, s->userdata);
}

static void speaking_fail(Speaking *s, const char *what, int error)
{
        _cleanup_free_ char *text = NULL;

        if (asprintf(&text, "%s: %s; try again later", what, strerror(-error)) < 0)
                text = NULL;
        speaking_end(s, SD_BUS_ERROR_FAILED, text ? text : what);
}

static void speaking_refuse(Speaking *s, const char *error, const char *reason)
{
        _cleanup_free_ char *text = NULL;
        const char *tenant = ledger_tenant_key(s->identity->subject);

        if (asprintf(&text, "the labels or user of %s cannot be set: %s", tenant, reason) < 0)
                text = NULL;
        speaking_end(s, error, text ? text : reason);
}

static void speaking_on_user(int error, const NameRecord *user, void *userdata)
{
        Speaking *s = userdata;
        Subject *subject = s->identity->subject;

        s->name = NULL;
        /* The lookup of a UID without a user succeeds, with no name and a group of the same number. */
        if (error == -ENOENT || (error >= 0 && !user->name))
                speaking_refuse(s, CDM_ERROR_INVALID, "there is no user of that number");
        else if (error < 0)
                speaking_fail(s, "the groups of the user cannot be looked up now", error);
        else if (subject_become(subject, user->id, user->name, user->gids, user->n_gids) < 0)
                speaking_fail(s, "the user cannot be set", -ENOMEM);
        else
                speaking_end(s, NULL, NULL);
}

/* Looks up the user's groups, except for the subject's own UID: its groups are already known. */
static void speaking_become(Speaking *s, uid_t uid)
{
        char number[16];

        if (uid == UID_NONE || uid == s->identity->subject->uid) {
                speaking_end(s, NULL, NULL);
                return;
        }
        snprintf(number, sizeof(number), "%u", uid);
        int r = names_ask(s->core->names, NAME_MEMBER, number, s->identity->sender_uid, speaking_on_user, s,
                          &s->name);
        if (r < 0)
                speaking_fail(s, "the groups of the user cannot be looked up now", r);
}

/* Does not move the caller into a new scope: the vouch applies only to its present cgroup. */
static void speaking_stay(Identity *i)
{
        const Subject *subject = i->subject;

        if (!i->move || !subject->unit || unit_is_user_manager(subject->unit))
                return;
        UnitInfo unit = { .name = subject->unit, .slice = subject->slice };
        i->move = false;
        i->own = unit_is_of_user(&unit, subject->unit_uid, i->sender_uid);
        free(i->scope_slice);
        i->scope_slice = NULL;
}

static void speaking_apply(Speaking *s, const Labels *labels, uid_t for_uid)
{
        Subject *subject = s->identity->subject;

        labels_clear(&subject->labels);
        int r = labels_copy(labels, &subject->labels);
        if (r < 0)
                speaking_fail(s, "the labels cannot be set", r);
        else
                speaking_become(s, for_uid);
}

static void speaking_keep(Speaking *s)
{
        const VouchWords *words = &s->args->words;
        const Vouch *v;

        if (s->explain) {
                speaking_apply(s, &words->labels, words->has_for_uid ? words->for_uid : UID_NONE);
                return;
        }
        int r = vouches_keep(s->vouches, s->identity->subject, words, s->identity->sender_uid, &v);
        if (r == -EBUSY)
                speaking_refuse(
                        s, CDM_ERROR_BUSY,
                        "too many control groups have labels or a user already; ask again when some ended");
        else if (r == -ENOENT)
                speaking_refuse(s, CDM_ERROR_NO_SUCH_TARGET, "it has no control group yet");
        else if (r < 0)
                speaking_fail(s, "the labels and the user cannot be stored", r);
        else {
                speaking_stay(s->identity);
                speaking_apply(s, &v->labels, v->for_uid);
        }
}

static void speaking_on_found(int error, const Vouch *kept, void *userdata)
{
        Speaking *s = userdata;
        const char *reason;

        s->look = NULL;
        if (error < 0) {
                speaking_fail(s, "the control group cannot be looked at", error);
                return;
        }
        switch (vouch_judge(kept, &s->args->words, s->identity->sender_uid, &reason)) {
        case VOUCH_NEW:
                speaking_keep(s);
                return;
        case VOUCH_DENIED:
                speaking_refuse(s, CDM_ERROR_DENIED, reason);
                return;
        case VOUCH_CHANGED:
                speaking_refuse(s, CDM_ERROR_INVALID, reason);
                return;
        case VOUCH_NOTHING:
                break;
        }
        if (!kept) {
                speaking_end(s, NULL, NULL);
                return;
        }
        speaking_stay(s->identity);
        s->identity->own |= s->identity->in_tenant && kept->for_uid == s->identity->sender_uid;
        speaking_apply(s, &kept->labels, kept->for_uid);
}

static void speaking_find(Speaking *s)
{
        int r = vouches_find(s->vouches, s->identity->subject, speaking_on_found, s, &s->look);

        if (r < 0)
                speaking_fail(s, "the control group cannot be looked at", r);
}

static void speaking_on_authorized(const Answer *answer, void *userdata)
{
        Speaking *s = userdata;

        s->authorize = authorize_free(s->authorize);
        if (answer->error)
                speaking_end(s, answer->error, answer->text);
        else
                speaking_find(s);
}

int speaking_start(Core *core, VouchSet *vouches, Identity *identity, const RequestArgs *args, bool explain,
                   answer_done_t done, void *userdata, Speaking **ret)
{
        Speaking *s = calloc(1, sizeof(*s));
        uid_t uid = identity->sender_uid;
        int r = 0;

        if (!s)
                return -ENOMEM;
        *s = (Speaking){ .core = core,
                         .vouches = vouches,
                         .identity = identity,
                         .args = args,
                         .explain = explain,
                         .done = done,
                         .userdata = userdata };
        *ret = s;
        if (vouch_words_need_permission(&args->words) && authorize_is_needed(AUTHORIZE_REQUEST_AS, uid))
                r = authorize_start(core->authorizer, args->client, args->interactive, uid,
                                    AUTHORIZE_REQUEST_AS, speaking_on_authorized, s, &s->authorize);
        else
                speaking_find(s);
        if (r < 0)
                *ret = speaking_free(s);
        return r;
}
