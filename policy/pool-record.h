/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A record of the nodes of each pool, kept over reboots. It reveals nodes that left their pool: after a
 * firmware update without HMAT, a driver that did not load, or a changed configuration, such a node would
 * silently be open to all.
 *
 * The record is used for messages only. It decides nothing: the generator runs before /var is mounted, and
 * the generator, cdmd and `cdmctl --offline` must agree about a machine. A node that left stays in the
 * record until `cdmctl reload` accepts the pools as they are. */

#include "policy/macro.h"
#include "policy/pool.h"
#include "policy/topology.h"

typedef struct PoolRecord PoolRecord;

int pool_record_new(PoolRecord **ret);
PoolRecord *pool_record_free(PoolRecord *r);
DEFINE_CLEANUP(PoolRecord, pool_record_free);

/* The text has a line "NAME NODES" for each pool. -EBADMSG: not such a text. */
int pool_record_parse(const char *text, PoolRecord **ret);
int pool_record_format(const PoolRecord *r, char **ret);

/* Adds the nodes with memory that are in a pool now. forget: also removes the nodes that left. */
int pool_record_update(PoolRecord *r, const Topology *t, const PoolSet *pools, bool forget);

/* 1: *ret is a message that names the nodes that left and says what to do; 0: no node left; -ENOMEM. */
int pool_record_judge(const PoolRecord *r, const Topology *t, const PoolSet *pools, char **ret);
