/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What one that may ask in the name of others said of a cgroup: its labels, and for whom it runs. It belongs to the
 * cgroup and is said once. Whoever asks for that cgroup, or from within, asks under it. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/label.h"
#include "policy/macro.h"
#include "policy/subject.h"

typedef struct Vouch {
        char *cgroup;
        uint64_t cgroup_id; /* its inode, by which it is told from a later one of the same path */
        uid_t speaker;      /* who said so */
        uid_t for_uid;      /* UID_NONE: not said */
        Labels labels;      /* none: not said */
} Vouch;

Vouch *vouch_free(Vouch *v);
DEFINE_CLEANUP(Vouch, vouch_free);

/* What a request says of its target. */
typedef struct VouchWords {
        Labels labels;
        bool has_for_uid, for_nobody;
        uid_t for_uid;
} VouchWords;

/* True if only one may say this who may ask in the name of others. */
bool vouch_words_need_permission(const VouchWords *w);

typedef enum VouchVerdict {
        VOUCH_NOTHING, /* nothing is said, or what is kept already */
        VOUCH_NEW,     /* it is said for the first time, and is to be kept */
        VOUCH_DENIED,  /* this speaker may not say it */
        VOUCH_CHANGED, /* something else was said of that cgroup before */
} VouchVerdict;

/* kept: what was said of the target before; NULL: nothing. speaker: the user who asks, who has the permission where
 * it takes one. *ret_reason (static) is a phrase for the last two. */
VouchVerdict vouch_judge(const Vouch *kept, const VouchWords *words, uid_t speaker, const char **ret_reason);
