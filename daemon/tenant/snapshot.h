/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is known at the moment in which a request is judged. */

#include "daemon/tenant/usage.h"
#include "policy/decide.h"
#include "policy/pool.h"

typedef struct Book Book;

/* pool: of its nodes; NULL: of all. What is used of them is as observed last: to decide,
 * a look is asked for before. Valid until the next one is made. */
Snapshot snapshot_take(Book *book, const Pool *pool);
/* Reads MemFree of the pool's nodes, and begins a look where the last one is old (usage_show_node()). */
Snapshot snapshot_take_to_show(Book *book, const Pool *pool);
/* usage_look() at all CDM nodes; cgroup: at that as well. */
int snapshot_look(Book *book, const char *cgroup,
                  void (*done)(int error, const UsageTarget *, void *userdata), void *userdata,
                  UsageLook **ret);
