/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Drains nodes that an administrator wants to reset or remove. */

#include <stddef.h>
#include <stdint.h>

#include "daemon/loop/event.h"

typedef struct Answer Answer;
typedef struct Book Book;
typedef struct Degrades Degrades;
typedef struct FollowSet FollowSet;

typedef struct NodeDrains NodeDrains;

int node_drains_new(Book *book, FollowSet *follows, Degrades *degrades, NodeDrains **ret);
NodeDrains *node_drains_free(NodeDrains *s);

typedef struct DrainReport {
        uint64_t moved_bytes, evicted_bytes, left_bytes;
        const EventHolder *holders; /* of the remaining pages */
        size_t n_holders;
} DrainReport;
/* Called once, perhaps before node_drains_start() returns. report: NULL with an error, and after
 * node_drains_undo(). */
typedef void (*drain_done_t)(const Answer *answer, const DrainReport *report, void *userdata);
void node_drains_start(NodeDrains *s, uint32_t node, drain_done_t done, void *userdata);
void node_drains_undo(NodeDrains *s, uint32_t node, drain_done_t done, void *userdata);
/* Must be called when nodes or the configuration have changed; judges all reservations, in slices
 * (degrade.h). */
void node_drains_judge(NodeDrains *s);
