/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Nodes that come and go. */

typedef struct Book Book;
typedef struct NodeDrains NodeDrains;
typedef struct Reloads Reloads;
typedef struct UnitChecks UnitChecks;

typedef struct NodeWatch NodeWatch;

int node_watch_new(Book *book, NodeDrains *node_drains, Reloads *reloads, UnitChecks *unit_checks,
                   NodeWatch **ret);
NodeWatch *node_watch_free(NodeWatch *w);
int node_watch_start(NodeWatch *w);
/* Reads the nodes where that is due and possible. */
void node_watch_serve(NodeWatch *w);
/* Other nodes are in force by now: what is being read may be older. */
void node_watch_outdate(NodeWatch *w);
