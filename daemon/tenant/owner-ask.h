/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Asks PID 1 which cgroups it owns. */

typedef struct Book Book;
typedef struct Fence Fence;

typedef struct OwnerAsks OwnerAsks;

int owner_asks_new(Book *book, Fence *fence, OwnerAsks **ret);
OwnerAsks *owner_asks_free(OwnerAsks *s);
/* Must be called for a new cgroup: if systemd does not own it, it is fenced as a foreign cgroup. */
void owner_asks_add(OwnerAsks *s, const char *path);
/* Must be called for each event of a unit, because the unit may have taken over a foreign cgroup. */
void owner_asks_unit(OwnerAsks *s, const char *unit);
/* Cancels all questions. */
void owner_asks_clear(OwnerAsks *s);
