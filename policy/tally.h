/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Counters of the ledger by key: reservations by user, bytes by rule, and by user below a rule. */

#include <stddef.h>

/* uthash must report a failed allocation instead of calling exit(). */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* Sums of sizes that are each up to 2^63 bytes. */
typedef unsigned __int128 Sum;

typedef struct Tally {
        void *key;
        Sum bytes;
        size_t n;
        struct Tally *below; /* by another key; empty when n is 0 */
        UT_hash_handle hh;
} Tally;

/* NULL: there is none. */
Tally *tally_find(Tally *head, const void *key, size_t key_bytes);
/* Finds or creates a counter; NULL: out of memory. */
Tally *tally_get(Tally **head, const void *key, size_t key_bytes);
/* Frees a counter that is 0. */
void tally_prune(Tally **head, Tally *t);
