/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Remembers across reboots which node is in which pool, so that cdmd can warn about a node that left its
 * pool while cdmd was not running. */

#include <stdbool.h>

#include "daemon/loop/worker.h"
#include "policy/pool.h"
#include "policy/topology.h"

typedef struct Record Record;

/* If the directory cannot be used, the record is not written. -ENOMEM is the only failure. */
int record_new(const char *root, Worker *worker, Record **ret);
/* Must be called before worker_free(). The worker may still write; the file on disk is complete in any
 * case. */
Record *record_free(Record *r);
DEFINE_CLEANUP(Record, record_free);

/* Updates the record. forget: also forgets nodes that left their pools, so that there is no warning any
 * more. */
void record_keep(Record *r, const Topology *t, const PoolSet *pools, bool forget);
/* Updates the warning, and logs it if it is new. */
void record_judge(Record *r, const Topology *t, const PoolSet *pools);
/* The warning about nodes that left their pools; NULL: none. */
const char *record_warning(const Record *r);
