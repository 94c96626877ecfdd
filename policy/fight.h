/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Drift is repaired with back-off. Without it, a program that restores its own value each time (a kubelet
 * that reconciles every 10 s, a runtime) would cause one write of cdmd for each of its writes. If a value is
 * changed too often within a window, cdmd leaves it alone for a pause that grows, and then tries again.
 *
 *   none     differs: REPAIR, noted
 *   noted    differs: REPAIR, or after too many repairs YIELD, yielded; the window is over: none
 *   yielded  as wanted: probing; the pause is over: REPAIR, probing
 *   probing  differs after a repair: yielded, for longer than before; differs without one: yielded for the
 *            rest of the pause, or REPAIR if that is over; as wanted for a whole window: PEACE, none
 *
 * There is one Fight for each contested object: a tenant's nodes, a cgroup without a reservation, the
 * drop-ins. */

#include <stdbool.h>
#include <stdint.h>

typedef enum FightState {
        FIGHT_NONE,    /* as wanted, and nothing to remember */
        FIGHT_NOTED,   /* repaired within the last window */
        FIGHT_YIELDED, /* the other side's value stays until next_usec */
        FIGHT_PROBING, /* as wanted again: the fight is over if the value stays until next_usec */
        _FIGHT_STATE_MAX,
} FightState;

typedef enum FightAction {
        FIGHT_NOTHING,
        FIGHT_REPAIR,
        FIGHT_YIELD, /* a fight begins: report it */
        FIGHT_WAIT,  /* the fight goes on */
        FIGHT_PEACE, /* the fight is over */
        _FIGHT_ACTION_MAX,
} FightAction;

typedef struct Fight {
        bool is_open; /* the other side opens nodes: retry sooner than if it took nodes away */
        FightState state;
        unsigned n_repairs;  /* since since_usec */
        uint64_t since_usec; /* the first repair that counts */
        uint64_t pause_usec; /* how long the other side's value stays */
        uint64_t yield_usec; /* when it may be repaired; 0: it was repaired since, or there is no fight */
        uint64_t next_usec;  /* when to look again, in any state but FIGHT_NONE */
} Fight;

const char *fight_state_to_string(FightState v);
const char *fight_action_to_string(FightAction v);

/* Returns the action after a check at now_usec (a monotonic clock) that found the wanted value, or another
 * one. The caller may check at any rate. */
FightAction fight_look(Fight *f, bool as_wanted, uint64_t now_usec);

/* Must be called when a repair failed: the next try has the same pauses. */
void fight_failed(Fight *f, uint64_t now_usec);

/* True for a fight, as opposed to one or two repairs. */
bool fight_is_on(const Fight *f);

#define FIGHT_REPAIRS_MAX          3 /* in a window */
#define FIGHT_WINDOW_USEC          (UINT64_C(60) * 1000 * 1000)
#define FIGHT_PAUSE_FIRST_USEC     (UINT64_C(5) * 1000 * 1000)
#define FIGHT_PAUSE_LAST_USEC      (UINT64_C(640) * 1000 * 1000)
#define FIGHT_PAUSE_LAST_OPEN_USEC (UINT64_C(20) * 1000 * 1000)
