/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What shut nodes, and those that fight over a cgroup, mean for reservations. */

#include <stdbool.h>

typedef struct Book Book;
typedef struct BufferSet BufferSet;
typedef struct Degrades Degrades;
typedef struct Entry Entry;
typedef struct FollowSet FollowSet;

/* Why a reservation is degraded; several may hold. */
typedef enum Degraded {
        DEGRADED_FIGHT = 1 << 0, /* somebody else sets the nodes of its cgroup */
} Degraded;

/* Shuts the nodes that are drained or have no memory. */
void degrade_shut_nodes(Book *book);
/* A reservation of which a node is shut (or became too small) is `degraded`. follow: its cgroup follows, and
 * once that is so a whole one is `active` again. */
void degrade_judge(Degrades *s, Entry *e, bool follow);
/* Switches one reason on or off. When none is left it becomes active again, with the event EVENT_RESTORED. */
void degrade_set(Degrades *s, Entry *e, Degraded why, bool on);

int degrades_new(Book *book, FollowSet *follows, BufferSet *buffers, Degrades **ret);
Degrades *degrades_free(Degrades *s);
/* Judges all reservations, in slices that begin after this call: each degraded one is stored and told of. */
void degrades_judge(Degrades *s, bool follow);
