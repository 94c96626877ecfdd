/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A reservation ends. */

typedef struct Entry Entry;

/* Stored as draining when it returns 0; the rest is told by events. */
int release_start(Entry *e);
/* The reservation's drain stops without further ado. */
void release_stop(Entry *e);
