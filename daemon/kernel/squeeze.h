/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Checks whether the memory of a cgroup fits into a smaller size. */

#include <stdint.h>

#include "daemon/loop/worker.h"

typedef struct Squeeze Squeeze;

/* error: 0 or a negative errno; -ESTALE: the cgroup was replaced. used_bytes: the memory of the cgroup,
 * after a reclaim of page cache if it was too large. Called from the event loop; the callee may free the
 * Squeeze. */
typedef void (*squeeze_done_t)(int error, uint64_t used_bytes, void *userdata);

/* id: the cgroup's inode. bytes: the smaller size. */
int squeeze_start(Worker *worker, const char *cgroup, uint64_t id, uint64_t bytes, squeeze_done_t done,
                  void *userdata, Squeeze **ret);
/* done is not called afterwards. */
Squeeze *squeeze_free(Squeeze *s);
