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

        /* [Match]. A refused rule keeps this part. */
        char **pools, **units, **slices, **cgroups, **containers; /* globs; NULL: the key is not given */
        char **users, **groups;                                   /* as written; NULL: not given */
        char **labels;                                            /* KEY=GLOB; NULL: not given */
        uid_t *uids; /* the resolved users; unknown names are left out and match no user */
        size_t n_uids;
        gid_t *gids;
        size_t n_gids;
        /* A name that could not be looked up, and may exist; NULL: none. */
        const char *unknown_user, *unknown_group;

        /* [Grant], to the end of the struct. A refused rule loses this part (conf-start.c). */
        bool deny;
        bool has_limit, has_quota, has_user_quota;
        Size limit, quota, user_quota;
        bool limit_is_static; /* there is no Limit=, so Static= is the limit */
        uint64_t lease_usec;  /* 0: not given */
        NodeSet nodes;        /* only these; empty: all of the pool */
        int32_t priority;
        int32_t default_priority; /* for requests without a priority */
        OnFull on_full;
        OnOverrun on_overrun;
        bool has_static;
        Size static_size;
        bool static_required; /* if it cannot be reserved, the unit does not start */
        bool exclusive;

        char *refused; /* why the file was refused at start: the rule then denies; NULL: not refused */
        unsigned refused_line; /* 0: the file as a whole */
} Rule;

Rule *rule_free(Rule *r);
DEFINE_CLEANUP(Rule, rule_free);

/* All keys that are given must match. Several globs in one key are alternatives. In a glob "*" also stands
 * for "/". Slice= matches the subject's slice and each of its ancestors. Label= must match for each key that
 * it names; several globs for one key are alternatives. A request without a user matches only rules that
 * name a container, label, slice or cgroup, and no users. */
bool rule_matches(const Rule *r, const char *pool, const Subject *subject);

/* Also true if the only mismatch is a name that could not be looked up: then it is unknown whether the rule
 * matches. */
bool rule_may_match(const Rule *r, const char *pool, const Subject *subject);

/* The first rule that may match, or NULL. If rule_matches() is false for this rule, it is unknown which rule
 * decides: skipping it could miss a denial, and applying it could grant what was not meant for the
 * subject. */
const Rule *rule_find(Rule *const *rules, size_t n_rules, const char *pool, const Subject *subject);

/* The drop-in folder for all units that a word of Unit= stands for in a Static= rule, as in
 * "train-.service.d" for "train-*.service"; owned by the caller, NULL when out of memory. The folder for scopes may
 * apply to more units than the word: "machine-.scope.d" for "machine-qemu*.scope". */
char *rule_static_folder(const char *unit);

/* The line to quote for a key: that of the key, else that of [Match]. */
unsigned rule_line(const Rule *r, RuleKey key);
