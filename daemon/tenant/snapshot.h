/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The state of the machine and of cdmd against which a request is judged. */

#include "daemon/tenant/usage.h"
#include "policy/decide.h"
#include "policy/pool.h"

typedef struct Book Book;

/* Takes a snapshot of the nodes of a pool; NULL: of all CDM nodes. Used bytes are those of the last
 * observation, so a decision needs snapshot_look() first. Valid until the next snapshot is taken. */
Snapshot snapshot_take(Book *book, const Pool *pool);
/* The same for display: reads MemFree of the pool's nodes again, and starts an observation if the last one
 * is old (usage_show_node()). */
Snapshot snapshot_take_to_show(Book *book, const Pool *pool);
/* usage_look() for all CDM nodes. cgroup: the target to read; may be NULL. */
int snapshot_look(Book *book, const char *cgroup,
                  void (*done)(int error, const UsageTarget *, void *userdata), void *userdata,
                  UsageLook **ret);
