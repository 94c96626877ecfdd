/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The reservations on disk, one small text file each, in a directory that ends with the boot (/run/cdmd).
 *
 * Nothing is acknowledged before it is here, and nothing is done to the kernel before the intent is here: a
 * reservation is written as `granting` before its nodes are opened and as `granted` after. A cdmd that finds
 * `granting` at start knows that no client was told, and undoes it. One that waits is `queued` until it is
 * granted: a cdmd that finds it so closes what was opened for it and lets it wait again.
 *
 * A file is replaced by temp, fsync, rename, fsync of the directory. It lives in tmpfs, where that costs
 * some microseconds, so the event loop does it itself. A temp file that a kill left behind was never what a
 * file says, and goes at the next start. */

#include <stdint.h>

#include "daemon/loop/store-text.h"
#include "policy/ledger.h"
#include "policy/macro.h"
#include "policy/vouch.h"

typedef struct Store Store;

/* Makes the directory (0755, its parents as well) where it is missing. */
int store_open(const char *directory, Store **ret);
Store *store_free(Store *s);
DEFINE_CLEANUP(Store, store_free);

/* An id that was never handed out since boot, also not by an earlier cdmd. */
int store_next_id(Store *s, uint32_t *ret);

/* On failure the file is unchanged. */
int store_write(Store *s, const Reservation *r, StorePhase phase);
/* 0 if there is no such file. */
int store_remove(Store *s, uint32_t id);

/* What was said of a cgroup, a file each. */
int store_write_vouch(Store *s, const Vouch *v);
int store_remove_vouch(Store *s, uint64_t cgroup_id);

typedef struct StoreReader {
        /* Takes ownership of r. A negative return stops the reading and is returned by store_load(). */
        int (*reservation)(Reservation *r, StorePhase phase, void *userdata);
        /* The file could not be used and was renamed to NAME.bad; its unit is closed like any that has no
         * reservation. reason is a phrase without a full stop. */
        void (*bad)(const char *file, const char *reason, void *userdata);
        /* The used ids are unknown, so new ids start at next_id, far above those of the live reservations.
         */
        void (*ids_lost)(const char *reason, uint32_t next_id, void *userdata);
        /* As reservation, of what was said of a cgroup. NULL: nobody wants to know. */
        int (*vouch)(Vouch *v, void *userdata);
} StoreReader;

int store_load(Store *s, const StoreReader *reader, void *userdata);

/* The nodes that an admin has drained. -EBADMSG: the file is no list of nodes. */
int store_write_drained(Store *s, const NodeSet *nodes);
int store_read_drained(Store *s, NodeSet *ret);

/* The record of pools (policy/pool-record.h), in the directory that outlives the boot. Reading: *ret is NULL
 * when there is none. Writing may wait for a disk: for the worker; it uses nothing of the store that
 * changes. */
int store_write_pools(const Store *s, const char *text);
int store_read_pools(const Store *s, char **ret);
