/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Judges requests. */

#include <stdbool.h>

#include "daemon/caller/identity.h"
#include "daemon/tenant/request-args.h"
#include "daemon/tenant/usage.h"
#include "policy/decide.h"

typedef struct Book Book;

/* The decision on a request, and whether its caller had been authorised before. */
typedef struct Judgement {
        Decision *decision;
        bool authorised;
} Judgement;
/* target: the target's cgroup, as read by a look that was started for this request. */
int request_decide(Book *book, const Identity *i, const RequestArgs *a, const UsageTarget *target,
                   bool authorised, Judgement *ret);
/* The same without a look. *ret: a refusal, which the caller frees; NULL if what is used of the nodes matters. */
int request_decide_early(Book *book, const Identity *i, const RequestArgs *a, Decision **ret);
void judgement_clear(Judgement *j);
bool judgement_is_refusal(const Judgement *j);
/* True if the verdict is granted or queued and the caller was authorised. No other judgement may be carried
 * out. */
bool judgement_may_act(const Judgement *j);
/* Reports a refusal in the journal and on the bus. Does nothing unless d is DENIED or FULL. */
void request_tell_refused(Book *book, const Identity *i, const RequestArgs *a, const Decision *d);
/* The D-Bus error name for a verdict; NULL for granted and queued. */
const char *decision_error(Verdict v);
/* Makes a reservation, granted or queued, from a decision. id: its id while it was queued; 0: a new one. The
 * caller sets its state, times and nodes, and adds it to the ledger. */
int judgement_reservation_new(Book *book, const Identity *i, const RequestArgs *a, const Decision *d,
                              uint32_t id, Reservation **ret);
