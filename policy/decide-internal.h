/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the parts of decide() share. decide.c has the list of checks and the checks of policy, decide-room.c
 * chooses nodes, decide-resize.c judges a new size, decide-answer.c writes the answer. */

#include "policy/decide.h"
#include "policy/place.h"

/* One request while it passes the checks. */
typedef struct Case {
        const Snapshot *s;
        const Request *q;
        const Pool *pool;
        const char *tenant;
        const char *booked;       /* the tenant that gets the reservation; "": one without reservations */
        uint64_t size_bytes;      /* in whole pages */
        uint64_t charged_bytes;   /* what Limit= and Quota= count: whole nodes for an exclusive request */
        Placement placement;      /* once decide_room() found room */
        const Reservation *grows; /* the reservation that size_bytes is a larger size of; NULL: a new one */
        Decision *d;
} Case;

/* 0: the next check follows, unless this one answered; negative errno. */
typedef int (*check_t)(Case *c);
int decide_run(Case *c, const check_t *checks, size_t n);

/* decide.c */
int decide_check_size(Case *c);
int decide_check_pool(Case *c);
int decide_check_nodes(Case *c);
/* All checks of the rule, except Exclusive= and MaxPerUser=. */
int decide_check_policy(Case *c);

/* Writes the answer into the record, which ends the list of checks. */
int decide_answer(Case *c, Verdict verdict, const char *format, ...) _printf_(3, 4);

/* Formats a size so that no rounding hides a difference: in bytes, unless the short form is exact. */
#define SIZE_EXACT_MAX (SIZE_STR_MAX + 16)
const char *decide_format_exact(uint64_t bytes, char buf[static SIZE_EXACT_MAX]);

/* decide-room.c: chooses the nodes, or answers that there is no room. */
int decide_room(Case *c);
/* Likewise for the bytes by which a reservation grows: on its own nodes, else on all allowed nodes. */
int decide_room_more(Case *c);
/* The last check, which always sets an answer. */
int decide_grant(Case *c);
