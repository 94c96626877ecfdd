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
        uint64_t size_bytes;    /* in whole pages */
        uint64_t charged_bytes; /* what Limit= and Quota= count: more than size_bytes for whole nodes */
        Placement placement;    /* once decide_room() found room */
        Decision *d;
} Case;

/* Ends the row of checks. */
int decide_answer(Case *c, Verdict verdict, const char *format, ...) _printf_(3, 4);

/* Formats two sizes that are compared: in bytes, if their short forms would be equal. */
#define SIZE_EXACT_MAX (SIZE_STR_MAX + 16)
const char *decide_format_exact(uint64_t bytes, char buf[static SIZE_EXACT_MAX]);

/* decide-room.c: chooses the nodes, or answers that there is no room. */
int decide_room(Case *c);
/* The last check, which always sets an answer. */
int decide_grant(Case *c);
