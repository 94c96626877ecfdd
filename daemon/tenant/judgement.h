/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Judging a request. */

#include <stdbool.h>

#include "daemon/caller/identity.h"
#include "daemon/tenant/request-args.h"
#include "daemon/tenant/usage.h"
#include "policy/decide.h"

typedef struct Book Book;

/* What was decided on a request, and whether its caller was authorised by then. */
typedef struct Judgement {
        Decision *decision;
        bool authorised;
} Judgement;
/* target: what a look that began for this request found of the target's cgroup. */
int request_decide(Book *book, const Identity *i, const RequestArgs *a, const UsageTarget *target,
                   bool authorised, Judgement *ret);
void judgement_clear(Judgement *j);
bool judgement_is_refusal(const Judgement *j);
/* Granted or queued, and the caller was authorised: nothing else may be carried out. */
bool judgement_may_act(const Judgement *j);
/* To the journal and the bus. */
void request_tell_refused(Book *book, const Identity *i, const RequestArgs *a, const Decision *d);
/* Turns what decide() said into an answer; NULL when granted or queued. */
const char *decision_error(Verdict v);
/* What was decided as a reservation, granted or waiting; id: the one that it had while it waited, or 0. Its
 * state, times and nodes are left to the caller, as is to add it. */
int judgement_reservation_new(Book *book, const Identity *i, const RequestArgs *a, const Decision *d,
                              uint32_t id, Reservation **ret);
