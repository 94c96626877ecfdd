/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Watches the control groups below units with subtenants (daemon/fence/subtenant.h): groups that appear,
 * disappear, end, or whose nodes another program sets. Nothing is watched while no such unit is open. */

typedef struct BelowUnits BelowUnits;
typedef struct Book Book;
typedef struct Fence Fence;
typedef struct FenceRepair FenceRepair;
typedef struct UnitChecks UnitChecks;

/* repaired: called for a cgroup that had to be closed, as for fence_new(). */
int below_units_new(Book *book, Fence *fence, UnitChecks *unit_checks,
                    void (*repaired)(const FenceRepair *repair, void *userdata), void *userdata,
                    BelowUnits **ret);
BelowUnits *below_units_free(BelowUnits *b);
/* Starts a pass over everything, or one more after the pass that is running. */
void below_units_look(BelowUnits *b);

/* done is called when a pass that began after this call has ended, whatever its result. done is not called
 * if no pass can begin. The BelowWait is freed before done is called. One pass serves all waits. */
typedef struct BelowWait BelowWait;
int below_units_wait(BelowUnits *b, void (*done)(void *userdata), void *userdata, BelowWait **ret);
/* Cancels the wait: done will not be called. */
BelowWait *below_wait_free(BelowWait *w);
