/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Moves existing pages of tenants to their reserved nodes, on request. */

#include <stdint.h>

typedef struct Answer Answer;
typedef struct Book Book;
typedef struct ChangeContext ChangeContext;
typedef struct Entry Entry;
typedef struct MigrationSet MigrationSet;

int migrations_new(Book *book, const ChangeContext *changes, MigrationSet **ret);
/* Pending calls get no answer. */
MigrationSet *migrations_free(MigrationSet *s);

/* done is called once, perhaps before this returns; not if a negative errno is returned. */
typedef void (*migrate_done_t)(const Answer *answer, uint64_t moved_bytes, uint64_t failed_bytes,
                               void *userdata);
int migrations_start(MigrationSet *s, Entry *e, migrate_done_t done, void *userdata);
