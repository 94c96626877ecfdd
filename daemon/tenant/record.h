/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which node is in which pool, kept over reboots, so that the administrator is told of a node that left its
 * pool while cdmd did not run. */

#include <stdbool.h>

#include "daemon/loop/worker.h"
#include "policy/pool.h"
#include "policy/topology.h"

typedef struct Record Record;

/* A machine without such a directory has a record that is not written. -ENOMEM is the only failure. */
int record_new(const char *root, Worker *worker, Record **ret);
/* The worker may still write; what is on disk is whole in any case. To be called before worker_free(). */
Record *record_free(Record *r);
DEFINE_CLEANUP(Record, record_free);

/* forget: nodes that left their pools are no news any more. */
void record_keep(Record *r, const Topology *t, const PoolSet *pools, bool forget);
/* Tells the journal where there is news. */
void record_judge(Record *r, const Topology *t, const PoolSet *pools);
/* A sentence about nodes that are in no pool any more, as told last; NULL: there is none. */
const char *record_warning(const Record *r);
