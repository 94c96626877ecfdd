/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Drift is repaired, but not for ever: a program that sets its own idea again each time (a kubelet that
 * reconciles every 10 s, a runtime) would be answered with a write for every write of its own. What is taken
 * away too often within a window is left to the other side for a pause that grows, and then tried again.
 *
 *   none     differs: REPAIR, noted
 *   noted    differs: REPAIR, or where that was too often YIELD, yielded; when the window is over: none
 *   yielded  as wanted (the other side gave up): PEACE, none; the pause is over: REPAIR, probing
 *   probing  differs: yielded, for longer than before; as wanted for a whole window: PEACE, none
 *
 * One Fight a thing that is fought over: a tenant's nodes, a cgroup without a reservation, the drop-ins. */

#include <stdbool.h>
#include <stdint.h>

typedef enum FightState {
        FIGHT_NONE,    /* as wanted, and nothing to remember */
        FIGHT_NOTED,   /* repaired within the last window */
        FIGHT_YIELDED, /* the other side has its way until next_usec */
        FIGHT_PROBING, /* repaired after a pause: it is over when that holds until next_usec */
        _FIGHT_STATE_MAX,
} FightState;

typedef enum FightAction {
        FIGHT_NOTHING,
        FIGHT_REPAIR,
        FIGHT_YIELD, /* a fight begins: it is to be told of */
        FIGHT_WAIT,  /* it goes on */
        FIGHT_PEACE, /* it is over */
        _FIGHT_ACTION_MAX,
} FightAction;

typedef struct Fight {
        bool is_open; /* what the other side opens is closed sooner than what it takes is given back */
        FightState state;
        unsigned n_repairs;  /* since the first one that counts */
        uint64_t since_usec; /* when that was */
        uint64_t pause_usec; /* of the other side's way */
        uint64_t next_usec;  /* look again then, in any state but FIGHT_NONE */
} Fight;

const char *fight_state_to_string(FightState v);
const char *fight_action_to_string(FightAction v);

/* What is to be done after a look at now_usec (any clock that does not go back) that found things as wanted,
 * or not. Looks may come as often as they like. */
FightAction fight_look(Fight *f, bool as_wanted, uint64_t now_usec);

/* The repair did not succeed: it is tried again after the same pauses. */
void fight_failed(Fight *f, uint64_t now_usec);

/* Is it one, rather than a repair or two? */
bool fight_is_on(const Fight *f);

#define FIGHT_REPAIRS_MAX          3 /* in a window */
#define FIGHT_WINDOW_USEC          (UINT64_C(60) * 1000 * 1000)
#define FIGHT_PAUSE_FIRST_USEC     (UINT64_C(5) * 1000 * 1000)
#define FIGHT_PAUSE_LAST_USEC      (UINT64_C(640) * 1000 * 1000)
#define FIGHT_PAUSE_LAST_OPEN_USEC (UINT64_C(20) * 1000 * 1000)
