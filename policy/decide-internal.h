/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the two halves of decide() share: the checks of policy in decide.c, the question of room in
 * decide-room.c. */

#include "policy/decide.h"

/* One request on its way through the checks. */
typedef struct Case {
        const Snapshot *s;
        const Request *q;
        const Pool *pool;
        const char *tenant;
        uint64_t size_bytes; /* in whole pages */
        Decision *d;
} Case;

/* Ends the row of checks. */
int decide_answer(Case *c, Verdict verdict, const char *format, ...) _printf_(3, 4);

/* Formats two sizes that are compared: in bytes, if their short forms would be equal. */
#define SIZE_EXACT_MAX (SIZE_STR_MAX + 16)
const char *decide_format_exact(uint64_t bytes, char buf[static SIZE_EXACT_MAX]);

/* The bytes of the node that reservations could have if there were no others. */
uint64_t decide_node_capacity(const Pool *pool, const Node *n);

/* Limit= and Quota= against what would be charged. */
int decide_limit(Case *c, uint64_t bytes);
int decide_quota(Case *c, uint64_t bytes);

/* The last check, which always sets an answer. */
int decide_room(Case *c);
