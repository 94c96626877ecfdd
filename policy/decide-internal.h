/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the parts of decide() share: decide.c has the list of checks and those of policy, decide-room.c the
 * question of room, decide-answer.c the answer. */

#include "policy/decide.h"
#include "policy/place.h"

/* One request on its way through the checks. */
typedef struct Case {
        const Snapshot *s;
        const Request *q;
        const Pool *pool;
        const char *tenant;
        uint64_t size_bytes;      /* in whole pages */
        uint64_t charged_bytes;   /* what Limit= and Quota= count: more than size_bytes for whole nodes */
        Placement placement;      /* once decide_room() found room */
        const Reservation *grows; /* what is asked for is all of this one, with more; NULL: a new one */
        Decision *d;
} Case;

/* 0: carry on if no reason has been given yet; negative errno. */
typedef int (*check_t)(Case *c);
int decide_run(Case *c, const check_t *checks, size_t n);

/* decide.c */
int decide_check_size(Case *c);
int decide_check_pool(Case *c);
/* All that the rule says, but of exclusive reservations and how many there may be. */
int decide_check_policy(Case *c);

/* Ends the row of checks. */
int decide_answer(Case *c, Verdict verdict, const char *format, ...) _printf_(3, 4);

/* Formats two sizes that are compared: in bytes, if their short forms would be equal. */
#define SIZE_EXACT_MAX (SIZE_STR_MAX + 16)
const char *decide_format_exact(uint64_t bytes, char buf[static SIZE_EXACT_MAX]);

/* decide-room.c: chooses the nodes, or answers that there is no room. */
int decide_room(Case *c);
/* Likewise for what is more than it has: of its nodes, else of others as well. */
int decide_room_more(Case *c);
/* The last check, which always sets an answer. */
int decide_grant(Case *c);
