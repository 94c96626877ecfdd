/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One policy file: which requests it matches and what it grants. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/macro.h"
#include "policy/nodeset.h"
#include "policy/size.h"
#include "policy/subject.h"
#include "policy/timespan.h"

typedef enum OnFull { ON_FULL_DENY, ON_FULL_QUEUE, ON_FULL_PREEMPT, _ON_FULL_MAX } OnFull;
typedef enum OnOverrun {
        ON_OVERRUN_PUSH_BACK,
        ON_OVERRUN_WARN,
        ON_OVERRUN_REVOKE,
        _ON_OVERRUN_MAX
} OnOverrun;

const char *on_full_to_string(OnFull v);
int on_full_from_string(const char *s, OnFull *ret);
const char *on_overrun_to_string(OnOverrun v);
int on_overrun_from_string(const char *s, OnOverrun *ret);

/* The keys whose line a refusal points to. */
typedef enum RuleKey {
        RULE_KEY_DENY,
        RULE_KEY_LIMIT,
        RULE_KEY_QUOTA,
        RULE_KEY_USER_QUOTA,
        RULE_KEY_NODES,
        RULE_KEY_LEASE,
        RULE_KEY_PRIORITY,
        RULE_KEY_DEFAULT_PRIORITY,
        RULE_KEY_EXCLUSIVE,
        RULE_KEY_ON_FULL,
        RULE_KEY_USER,
        RULE_KEY_GROUP,
        RULE_KEY_LABEL,
        _RULE_KEY_MAX,
} RuleKey;

typedef struct Rule {
        char *file;
        unsigned line;                    /* of [Match] */
        unsigned key_line[_RULE_KEY_MAX]; /* 0 when the key is not given */

        char **pools, **units, **slices, **cgroups, **containers; /* globs; NULL: the key is not given */
        char **users, **groups;                                   /* as written; NULL: not given */
        char **labels;                                            /* KEY=GLOB; NULL: not given */
        uid_t *uids; /* what the users resolve to; unknown names are left out and match nobody */
        size_t n_uids;
        gid_t *gids;
        size_t n_gids;
        /* One of the names that could not be looked up, which is not the same as unknown; NULL: none. */
        const char *unknown_user, *unknown_group;

        bool deny;
        bool has_limit, has_quota, has_user_quota;
        Size limit, quota, user_quota;
        bool limit_is_static; /* there is no Limit=, so that Static= is the limit */
        uint64_t lease_usec;  /* 0: not given */
        NodeSet nodes;        /* only these; empty: all of the pool */
        int32_t priority;
        int32_t default_priority; /* of a request that asks for none */
        OnFull on_full;
        OnOverrun on_overrun;
        bool has_static;
        Size static_size;
        bool static_required; /* where it cannot be reserved, the unit does not start */
        bool exclusive;

        char *refused; /* why its file was refused at start; it denies what it matches. NULL: it was not */
        unsigned refused_line; /* 0: the file as a whole */
} Rule;

Rule *rule_free(Rule *r);
DEFINE_CLEANUP(Rule, rule_free);

/* All keys that are given must match; several globs in one key are alternatives. In a glob "*" also stands
 * for "/". Slice= matches the subject's slice and each of its ancestors. Label= matches when it does so for each
 * key that it names; of one key the globs are alternatives. A request without a user is matched only by a rule
 * that says nothing of users and names a container, label, slice or cgroup. */
bool rule_matches(const Rule *r, const char *pool, const Subject *subject);

/* Also true if the only mismatch is a name that could not be looked up: then it is unknown whether the rule
 * matches. */
bool rule_may_match(const Rule *r, const char *pool, const Subject *subject);

/* The first rule that may match, or NULL. If rule_matches() is false for it, it is unknown which rule
 * decides. Skipping the rule could miss a denial, and applying it could grant what was not meant for the
 * subject. */
const Rule *rule_find(Rule *const *rules, size_t n_rules, const char *pool, const Subject *subject);

/* The folder below a unit directory whose drop-ins apply to all units that a word of a Static= rule's Unit=
 * stands for, as in "train-.service.d" for "train-*.service"; owned by the caller, NULL when out of memory. That
 * of scopes may apply to more than the word: "machine-.scope.d" for "machine-qemu*.scope". */
char *rule_static_folder(const char *unit);

/* The line to quote for a key: its own, else that of [Match]. */
unsigned rule_line(const Rule *r, RuleKey key);
