/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What an authorized caller (the speaker) said about a cgroup: its labels, and the user for whom it runs. A
 * vouch belongs to the cgroup, is made once, and applies to every request for the cgroup or from within
 * it. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/label.h"
#include "policy/macro.h"
#include "policy/subject.h"

typedef struct Vouch {
        char *cgroup;
        uint64_t cgroup_id; /* its inode, which distinguishes it from a later cgroup with the same path */
        uid_t speaker;      /* the user who made the vouch */
        uid_t for_uid;      /* UID_NONE: not said */
        Labels labels;      /* none: not said */
} Vouch;

Vouch *vouch_free(Vouch *v);
DEFINE_CLEANUP(Vouch, vouch_free);

/* What a request says about its target. */
typedef struct VouchWords {
        Labels labels;
        bool has_for_uid, for_nobody;
        uid_t for_uid;
} VouchWords;

/* True if this needs the permission to ask in the name of others. */
bool vouch_words_need_permission(const VouchWords *w);

typedef enum VouchVerdict {
        VOUCH_NOTHING, /* the request says nothing, or nothing new */
        VOUCH_NEW,     /* the first vouch for the cgroup; the caller must keep it */
        VOUCH_DENIED,  /* the speaker may not say this */
        VOUCH_CHANGED, /* contradicts the vouch that exists */
} VouchVerdict;

/* kept: the vouch of the target that exists; NULL: none. speaker: the requesting user; the caller has
 * checked the permission if one is needed. *ret_reason (static) is a phrase for the last two verdicts. */
VouchVerdict vouch_judge(const Vouch *kept, const VouchWords *words, uid_t speaker, const char **ret_reason);
