/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/reservation.h"

/* How far a reservation is; see store.h. */
typedef enum StorePhase { STORE_GRANTING, STORE_GRANTED, STORE_QUEUED, _STORE_PHASE_MAX } StorePhase;

const char *store_phase_to_string(StorePhase v);
int store_phase_from_string(const char *s, StorePhase *ret);

/* The text of one file, and back. -EBADMSG: *ret_reason (static) says what is wrong. */
int store_format(const Reservation *r, StorePhase phase, char **ret);
int store_parse(const char *text, Reservation **ret, StorePhase *ret_phase, const char **ret_reason);
