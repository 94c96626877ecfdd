/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which nodes were in which pool, kept over reboots, so that none leaves its pool silently: a firmware that
 * lost its HMAT, a driver that does not load, or a configuration that reads otherwise would open it to all.
 *
 * The record only tells. It does not decide: the generator runs before /var is mounted, and what it, cdmd and
 * `cdmctl --offline` say of a machine must be the same. A node that left stays in the record until the admin
 * has seen it: `cdmctl reload` takes the pools as they are then. */

#include "policy/macro.h"
#include "policy/pool.h"
#include "policy/topology.h"

typedef struct PoolRecord PoolRecord;

int pool_record_new(PoolRecord **ret);
PoolRecord *pool_record_free(PoolRecord *r);
DEFINE_CLEANUP(PoolRecord, pool_record_free);

/* A line "NAME NODES" for each pool. -EBADMSG: garbage. */
int pool_record_parse(const char *text, PoolRecord **ret);
int pool_record_format(const PoolRecord *r, char **ret);

/* Nodes with memory that are in a pool now are entered there. forget: those that left are taken out. */
int pool_record_update(PoolRecord *r, const Topology *t, const PoolSet *pools, bool forget);

/* 1: *ret tells which nodes left, and what to do; 0: none did; -ENOMEM. */
int pool_record_judge(const PoolRecord *r, const Topology *t, const PoolSet *pools, char **ret);
