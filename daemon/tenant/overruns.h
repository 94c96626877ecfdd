/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Watches nodes that several tenants share. */

typedef struct Book Book;
typedef struct ChangeContext ChangeContext;
typedef struct Overrun Overrun;
typedef struct Releases Releases;

int overruns_new(Book *book, const ChangeContext *changes, Releases *releases, Overrun **ret);
Overrun *overruns_free(Overrun *o);
/* To be called when tenants come to nodes or leave them, or the mode changes: starts or ends the watching. */
void overruns_arm(Overrun *o);
