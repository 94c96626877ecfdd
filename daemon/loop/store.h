/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The reservations on disk, one small text file each, in a directory that does not survive a reboot
 * (/run/cdmd).
 *
 * No reservation is acknowledged before it is stored, and the kernel is not changed before the intent is
 * stored: a reservation is written as `granting` before its nodes are opened, and as `granted` afterwards. A
 * cdmd that finds `granting` at startup knows that no client has had an answer, and undoes the grant. A
 * waiting request is `queued` until it is granted: a cdmd that finds it closes all nodes that were opened
 * for it, and queues it again.
 *
 * A file is replaced by a temporary file, fsync, rename, and fsync of the directory. The directory is in
 * tmpfs, where this takes a few microseconds, so the event loop does it directly. A temporary file that a
 * kill has left behind was never valid, and is removed at the next start. */

#include <stdint.h>

#include "daemon/loop/store-text.h"
#include "policy/ledger.h"
#include "policy/macro.h"
#include "policy/vouch.h"

typedef struct Store Store;

/* Creates the directory (0755) and its parents if they are missing. */
int store_open(const char *directory, Store **ret);
Store *store_free(Store *s);
DEFINE_CLEANUP(Store, store_free);

/* Returns an id that has not been used since boot, not even by an earlier cdmd. */
int store_next_id(Store *s, uint32_t *ret);

/* On failure the file is unchanged. */
int store_write(Store *s, const Reservation *r, StorePhase phase);
/* 0 if there is no such file. */
int store_remove(Store *s, uint32_t id);

/* The statements about cgroups, one file each. */
int store_write_vouch(Store *s, const Vouch *v);
int store_remove_vouch(Store *s, uint64_t cgroup_id);

typedef struct StoreReader {
        /* Takes ownership of r. A negative return stops the reading and is returned by store_load(). */
        int (*reservation)(Reservation *r, StorePhase phase, void *userdata);
        /* The file was invalid and has been renamed to NAME.bad; its unit is closed like every unit without
         * a reservation. reason is a phrase without a full stop. */
        void (*bad)(const char *file, const char *reason, void *userdata);
        /* The used ids are unknown, so new ids start at next_id, far above those of the live reservations.
         */
        void (*ids_lost)(const char *reason, uint32_t next_id, void *userdata);
        /* Like `reservation`, for the statement about a cgroup. NULL: ignored. */
        int (*vouch)(Vouch *v, void *userdata);
} StoreReader;

int store_load(Store *s, const StoreReader *reader, void *userdata);

/* The nodes that an administrator has drained. -EBADMSG: the file is not a list of nodes. */
int store_write_drained(Store *s, const NodeSet *nodes);
int store_read_drained(Store *s, NodeSet *ret);

/* The record of pools (policy/pool-record.h), in a store whose directory survives a reboot. When reading,
 * *ret is NULL if there is none. Writing may wait for a disk, and is for the worker: it uses only constant
 * fields of the store. */
int store_write_pools(const Store *s, const char *text);
int store_read_pools(const Store *s, char **ret);
