/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What happens below units of which tenants have reservations (daemon/fence/subtenant.h): control groups that
 * come, go, end, or are set by others. Nothing is watched while no such unit is open. */

typedef struct BelowUnits BelowUnits;
typedef struct Book Book;
typedef struct Fence Fence;
typedef struct FenceRepair FenceRepair;
typedef struct UnitChecks UnitChecks;

/* repaired: of a cgroup that had to be closed; as for fence_new(). */
int below_units_new(Book *book, Fence *fence, UnitChecks *unit_checks,
                    void (*repaired)(const FenceRepair *repair, void *userdata), void *userdata,
                    BelowUnits **ret);
BelowUnits *below_units_free(BelowUnits *b);
/* Something may have happened: all are looked at, soon. */
void below_units_look(BelowUnits *b);

/* done is called when a look that began after this call has ended, whatever it found; not if none can begin. The
 * BelowWait has ended then. One look serves all who wait. */
typedef struct BelowWait BelowWait;
int below_units_wait(BelowUnits *b, void (*done)(void *userdata), void *userdata, BelowWait **ret);
/* done will not be called. */
BelowWait *below_wait_free(BelowWait *w);
