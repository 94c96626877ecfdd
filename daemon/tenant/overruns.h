/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Watches the usage of nodes that several tenants share. */

typedef struct Book Book;
typedef struct ChangeContext ChangeContext;
typedef struct Overrun Overrun;
typedef struct Releases Releases;

int overruns_new(Book *book, const ChangeContext *changes, Releases *releases, Overrun **ret);
Overrun *overruns_free(Overrun *o);
/* Must be called when tenants are added to nodes or removed, or the mode changes: starts or stops the
 * watch. */
void overruns_arm(Overrun *o);
