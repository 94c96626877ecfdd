/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A reservation ends. */

typedef struct ChangeContext ChangeContext;
typedef struct Entry Entry;
typedef struct HoldSet HoldSet;
typedef struct Release Release;
typedef struct Releases Releases;
typedef struct UnitChecks UnitChecks;

int releases_new(const ChangeContext *changes, HoldSet *holds, UnitChecks *unit_checks, Releases **ret);
Releases *releases_free(Releases *s);
/* Stored as draining when it returns 0; the rest is told by events. */
int release_start(Releases *s, Entry *e);
/* The reservation's drain stops without further ado. */
Release *release_free(Release *l);
