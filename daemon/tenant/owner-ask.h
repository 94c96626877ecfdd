/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Asks PID 1 whose a new cgroup is. */

typedef struct Book Book;
typedef struct Fence Fence;

typedef struct OwnerAsks OwnerAsks;

int owner_asks_new(Book *book, Fence *fence, OwnerAsks **ret);
OwnerAsks *owner_asks_free(OwnerAsks *s);
/* A cgroup of this name has appeared: if it is not systemd's, it is fenced as that. */
void owner_asks_add(OwnerAsks *s, const char *path);
/* systemd tells something of a unit, which may have taken over a cgroup that was not its own. */
void owner_asks_unit(OwnerAsks *s, const char *unit);
/* Nobody wants to know any more. */
void owner_asks_clear(OwnerAsks *s);
