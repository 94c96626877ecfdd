/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Ends reservations. */

typedef struct ChangeContext ChangeContext;
typedef struct Entry Entry;
typedef struct HoldSet HoldSet;
typedef struct Release Release;
typedef struct Releases Releases;
typedef struct UnitChecks UnitChecks;

int releases_new(const ChangeContext *changes, HoldSet *holds, UnitChecks *unit_checks, Releases **ret);
Releases *releases_free(Releases *s);
/* Returns 0 after the reservation was stored as draining; events report the progress. */
int release_start(Releases *s, Entry *e);
/* Stops the drain of the reservation; does not undo anything. */
Release *release_free(Release *l);
