/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Memory of one node that is held so that no other program can have it: a memfd as long as the held amount,
 * with its pages on the node. cdmd has it mapped and locked, so it is charged to cdmd's cgroup and neither
 * swapped nor demoted. Shrinking the file frees pages; nothing is copied. */

#include <stdint.h>

#include "daemon/loop/worker.h"
#include "policy/macro.h"

typedef struct Hold Hold;

/* capacity_bytes: the most that is ever held. */
int hold_new(int node, uint64_t capacity_bytes, Hold **ret);
/* Of a descriptor that an earlier cdmd had, with what it holds; fd is the Hold's on success. -EBADMSG: it is
 * something else, or longer than that. */
int hold_adopt(int fd, int node, uint64_t capacity_bytes, Hold **ret);
/* Closes it. The memory goes with the last descriptor, which may be systemd's. */
Hold *hold_free(Hold *h);
DEFINE_CLEANUP(Hold, hold_free);

/* Blocks. Shrinks at once, or grows as far as the node has free pages: another node's are never taken, and
 * the OOM killer is never called for it, because pages are asked for in small steps, by preference, when the
 * node has them, and given back where they came from elsewhere. -ECANCELED: between two steps. Also on
 * failure what hold_bytes() says is right. */
int hold_resize(Hold *h, uint64_t bytes, Job *job);

/* These do not. */
uint64_t hold_bytes(const Hold *h);
int hold_fd(const Hold *h);
/* What this process holds of a node, never more than is there; for any thread, whatever becomes of the Hold. */
uint64_t hold_node_bytes(int node);
