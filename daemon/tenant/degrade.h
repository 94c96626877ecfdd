/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Degrades reservations whose nodes are shut, or whose cgroup is fought over. */

#include <stdbool.h>

typedef struct Book Book;
typedef struct BufferSet BufferSet;
typedef struct Degrades Degrades;
typedef struct Entry Entry;
typedef struct FollowSet FollowSet;

/* Why a reservation is degraded, or would be if it were not revoked; several bits may be set. */
typedef enum Degraded {
        DEGRADED_FIGHT = 1 << 0, /* another program sets the nodes of its cgroup */
        DEGRADED_NODES =
                1 << 1, /* nodes were lost, and its cgroup has not been verified since; not stored */
} Degraded;

/* Shuts the nodes that are drained or have no memory. */
void degrade_shut_nodes(Book *book);
/* Marks the reservation as `degraded` if one of its nodes is shut or became too small. follow: also changes
 * its cgroup, and afterwards marks the reservation as `active` again if all nodes are there. */
void degrade_judge(Degrades *s, Entry *e, bool follow);
/* Sets or clears one reason other than DEGRADED_NODES. When none is left, the reservation becomes `active` again, with
 * EVENT_RESTORED. */
void degrade_set(Degrades *s, Entry *e, Degraded why, bool on);

int degrades_new(Book *book, FollowSet *follows, BufferSet *buffers, Degrades **ret);
Degrades *degrades_free(Degrades *s);
/* Judges all reservations, in slices that begin after this call. Each change of state is stored and
 * reported. */
void degrades_judge(Degrades *s, bool follow);
