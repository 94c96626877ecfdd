/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The cgroup tree is watched while there is a fence. */

#include <stdbool.h>

typedef struct Book Book;

typedef struct TreeEvents TreeEvents;

int tree_events_new(Book *book, TreeEvents **ret);
TreeEvents *tree_events_free(TreeEvents *t);
void tree_events_watch(TreeEvents *t, bool wanted);
