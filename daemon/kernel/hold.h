/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Memory of one node that is held so that no other program can use it: a memfd as long as the held amount,
 * with its pages on the node. cdmd maps and locks it, so it is charged to cdmd's cgroup and neither swapped
 * nor demoted. Shrinking the file frees pages without copying. */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/loop/worker.h"
#include "policy/macro.h"

typedef struct Hold Hold;

/* capacity_bytes: upper bound of the held amount. */
int hold_new(int node, uint64_t capacity_bytes, Hold **ret);
/* Adopts a descriptor of an earlier cdmd with its held memory. Takes ownership of fd on success. -EBADMSG:
 * not a regular file, or longer than capacity_bytes. */
int hold_adopt(int fd, int node, uint64_t capacity_bytes, Hold **ret);
/* Closes the descriptor. The memory is freed with the last descriptor, which systemd may have. */
Hold *hold_free(Hold *h);
DEFINE_CLEANUP(Hold, hold_free);

/* Blocks. Shrinks immediately. Otherwise it maps and locks adopted memory, and grows as far as the node has
 * free pages, both in small steps. It never takes pages of other nodes and never triggers the OOM killer: pages
 * are allocated with a preference for the node, while the node has free pages, and pages from other nodes are
 * given back. -ECANCELED: cancelled between two steps. hold_bytes() is correct also after a failure. */
int hold_resize(Hold *h, uint64_t bytes, Job *job);

/* The following functions do not block. */
/* False: hold_resize() has not yet mapped and locked all adopted memory. Not during hold_resize(). */
bool hold_is_populated(const Hold *h);
uint64_t hold_bytes(const Hold *h);
int hold_fd(const Hold *h);
/* The bytes that this process holds on a node, never more than it really holds. For any thread, also while
 * the Hold is being freed. */
uint64_t hold_node_bytes(int node);
