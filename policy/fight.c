/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stddef.h>

#include "policy/fight.h"

static const char *const state_table[_FIGHT_STATE_MAX] = {
        [FIGHT_NONE] = "none",
        [FIGHT_NOTED] = "noted",
        [FIGHT_YIELDED] = "yielded",
        [FIGHT_PROBING] = "probing",
};

static const char *const action_table[_FIGHT_ACTION_MAX] = {
        [FIGHT_NOTHING] = "nothing", [FIGHT_REPAIR] = "repair", [FIGHT_YIELD] = "yield",
        [FIGHT_WAIT] = "wait",       [FIGHT_PEACE] = "peace",
};

const char *fight_state_to_string(FightState v)
{
        return v < _FIGHT_STATE_MAX ? state_table[v] : NULL;
}

const char *fight_action_to_string(FightAction v)
{
        return v < _FIGHT_ACTION_MAX ? action_table[v] : NULL;
}

static FightAction fight_note_first(Fight *f, uint64_t now_usec)
{
        *f = (Fight){ .is_open = f->is_open,
                      .state = FIGHT_NOTED,
                      .n_repairs = 1,
                      .since_usec = now_usec,
                      .pause_usec = FIGHT_PAUSE_FIRST_USEC,
                      .next_usec = now_usec + FIGHT_WINDOW_USEC };
        return FIGHT_REPAIR;
}

static FightAction fight_forget(Fight *f, FightAction action)
{
        *f = (Fight){ .is_open = f->is_open, .state = FIGHT_NONE };
        return action;
}

static void fight_grow_pause(Fight *f)
{
        uint64_t last_usec = f->is_open ? FIGHT_PAUSE_LAST_OPEN_USEC : FIGHT_PAUSE_LAST_USEC;

        f->pause_usec *= 2;
        if (f->pause_usec > last_usec)
                f->pause_usec = last_usec;
}

/* Peace needs a whole window. Otherwise a program that writes every minute would be reported as a new fight
 * each time. */
static FightAction fight_wait_for_peace(Fight *f, uint64_t now_usec, FightAction action)
{
        f->state = FIGHT_PROBING;
        f->next_usec = now_usec + FIGHT_WINDOW_USEC;
        return action;
}

static FightAction fight_probe(Fight *f, uint64_t now_usec)
{
        f->n_repairs++;
        f->yield_usec = 0;
        fight_grow_pause(f);
        return fight_wait_for_peace(f, now_usec, FIGHT_REPAIR);
}

/* A value that was as wanted for a moment, without a repair, does not begin a new pause: otherwise the other
 * side could keep its value for ever. */
static FightAction fight_yield(Fight *f, uint64_t now_usec, FightAction action)
{
        if (f->yield_usec == 0)
                f->yield_usec = now_usec + f->pause_usec;
        if (now_usec >= f->yield_usec)
                return fight_probe(f, now_usec);
        f->state = FIGHT_YIELDED;
        f->next_usec = f->yield_usec;
        return action;
}

FightAction fight_look(Fight *f, bool as_wanted, uint64_t now_usec)
{
        bool due = now_usec >= f->next_usec;

        switch (f->state) {
        case FIGHT_NONE:
                return as_wanted ? FIGHT_NOTHING : fight_note_first(f, now_usec);
        case FIGHT_NOTED:
                /* Repairs before the window do not count. */
                if (due)
                        return as_wanted ? fight_forget(f, FIGHT_NOTHING) : fight_note_first(f, now_usec);
                if (as_wanted)
                        return FIGHT_NOTHING;
                if (f->n_repairs >= FIGHT_REPAIRS_MAX)
                        return fight_yield(f, now_usec, FIGHT_YIELD);
                f->n_repairs++;
                return FIGHT_REPAIR;
        case FIGHT_YIELDED:
                /* Either the other side gave up, or a repair that began before the yield ended after it. */
                if (as_wanted)
                        return fight_wait_for_peace(f, now_usec, FIGHT_WAIT);
                return due ? fight_probe(f, now_usec) : FIGHT_WAIT;
        case FIGHT_PROBING:
                if (!as_wanted)
                        return fight_yield(f, now_usec, FIGHT_WAIT);
                return due ? fight_forget(f, FIGHT_PEACE) : FIGHT_WAIT;
        default:
                return FIGHT_NOTHING;
        }
}

void fight_failed(Fight *f, uint64_t now_usec)
{
        if (f->state == FIGHT_NONE)
                (void)fight_note_first(f, now_usec);
        f->yield_usec = 0;
        (void)fight_yield(f, now_usec, FIGHT_WAIT);
}

bool fight_is_on(const Fight *f)
{
        return f->state == FIGHT_YIELDED || f->state == FIGHT_PROBING;
}
