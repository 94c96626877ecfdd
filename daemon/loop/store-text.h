/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/reservation.h"

/* The phase of a reservation; see store.h. */
typedef enum StorePhase { STORE_GRANTING, STORE_GRANTED, STORE_QUEUED, _STORE_PHASE_MAX } StorePhase;

const char *store_phase_to_string(StorePhase v);
int store_phase_from_string(const char *s, StorePhase *ret);

/* Format and parse the text of one file. -EBADMSG: *ret_reason (static) says what is wrong. */
int store_format(const Reservation *r, StorePhase phase, char **ret);
int store_parse(const char *text, Reservation **ret, StorePhase *ret_phase, const char **ret_reason);
