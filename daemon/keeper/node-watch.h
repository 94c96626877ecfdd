/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Handles nodes that come and go. */

typedef struct Book Book;
typedef struct NodeDrains NodeDrains;
typedef struct Reloads Reloads;
typedef struct UnitChecks UnitChecks;

typedef struct NodeWatch NodeWatch;

int node_watch_new(Book *book, NodeDrains *node_drains, Reloads *reloads, UnitChecks *unit_checks,
                   NodeWatch **ret);
NodeWatch *node_watch_free(NodeWatch *w);
int node_watch_start(NodeWatch *w);
/* Reads the nodes if that is due and possible. */
void node_watch_serve(NodeWatch *w);
/* Must be called when new nodes were adopted, because a reading in flight may be older; the nodes are then
 * read again. */
void node_watch_outdate(NodeWatch *w);
