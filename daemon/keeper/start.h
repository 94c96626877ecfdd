/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Start and recovery. */

typedef struct Book Book;
typedef struct Start Start;

int start_new(Book *book, Start **ret);
Start *start_free(Start *s);
int start_run(Start *s);
