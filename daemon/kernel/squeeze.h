/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Does all memory of a cgroup fit into less? */

#include <stdint.h>

#include "daemon/loop/worker.h"

typedef struct Squeeze Squeeze;

/* error: a negative errno, -ESTALE where the cgroup is another one. used_bytes: what it has, after page cache was
 * reclaimed where that is too much. Called from the event loop; the callee may free the Squeeze. */
typedef void (*squeeze_done_t)(int error, uint64_t used_bytes, void *userdata);

/* id: the cgroup's inode. */
int squeeze_start(Worker *worker, const char *cgroup, uint64_t id, uint64_t bytes, squeeze_done_t done,
                  void *userdata, Squeeze **ret);
/* done is not called after that. */
Squeeze *squeeze_free(Squeeze *s);
