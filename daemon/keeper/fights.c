/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What drifted within the last minute, and what is fought over: a Place for each. policy/fight.c says when
 * to repair and when to let the other side have its way; here are the timers, who is told, and what becomes
 * of reservations meanwhile. A machine on which nothing drifts has no Place and no timer. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/loop/log.h"
#include "daemon/tenant/manager.h"
#include "policy/timespan.h"

#define TIMER_ACCURACY (UINT64_C(500) * 1000)

/* With so many at once somebody changes everything, and counting each cgroup's repairs is of no use. */
#define PLACES_MAX 4096

static void place_free(Place *p)
{
        HASH_DEL(p->manager->places, p);
        sd_event_source_disable_unref(p->timer);
        free(p->key);
        free(p->reason);
        free(p);
}

void manager_places_free(Manager *m)
{
        Place *p, *next;

        HASH_ITER (hh, m->places, p, next)
                place_free(p);
}

static Place *place_find(Manager *m, const char *key)
{
        Place *p;

        HASH_FIND_STR(m->places, key, p);
        return p;
}

static int place_new(Manager *m, PlaceKind kind, const char *key, Place **ret)
{
        if (HASH_COUNT(m->places) >= PLACES_MAX)
                return -ENOSPC;
        Place *p = calloc(1, sizeof(*p));

        if (!p)
                return -ENOMEM;
        *p = (Place){ .manager = m,
                      .kind = kind,
                      .key = strdup(key),
                      .fight.is_open = kind == PLACE_LEAF || kind == PLACE_CONTROLLERS };
        if (!p->key) {
                free(p);
                return -ENOMEM;
        }
        HASH_ADD_KEYPTR(hh, m->places, p->key, strlen(p->key), p);
        *ret = p;
        return 0;
}

/* --- WHAT IT MEANS FOR RESERVATIONS ------------------------------------------------------------------- */

static int degrade(Reservation *r, void *userdata)
{
        Place *p = userdata;
        Entry *e = manager_find(p->manager, r->id);

        if (e)
                manager_degrade(e, DEGRADED_FIGHT, p->fight.state == FIGHT_YIELDED);
        return 0;
}

/* While the other side has its way they are not what was promised. */
static void degrade_all(Place *p)
{
        if (p->kind == PLACE_TENANT)
                ledger_foreach_of_tenant(p->manager->ledger, p->key, degrade, p);
}

/* --- TELLING ------------------------------------------------------------------------------------------ */

static Event place_event(const Place *p, EventKind kind)
{
        return (Event){ .kind = kind,
                        .unit = p->kind == PLACE_TENANT && p->key[0] != '/' ? p->key : NULL,
                        .cgroup = p->kind != PLACE_DROPINS && p->key[0] == '/' ? p->key : NULL,
                        .reason = p->reason };
}

static void tell_fight(const Place *p, const char *how)
{
        static const char *const what[] = {
                [PLACE_TENANT] = "the reserved nodes of",
                [PLACE_LEAF] = "the nodes of",
                [PLACE_CONTROLLERS] = "the controllers in",
                [PLACE_DROPINS] = "the",
        };
        Event e = place_event(p, EVENT_FIGHT);
        char pause[TIMESPAN_STR_MAX];

        event_emit(p->manager->notify, &e, "%s %s %s (%s); cdmd backs off and retries in %s", what[p->kind],
                   p->key, how, p->reason ? p->reason : "", timespan_format(p->fight.pause_usec, pause));
}

static void tell_peace(const Place *p)
{
        Event e = place_event(p, EVENT_FIGHT_OVER);

        event_emit(p->manager->notify, &e, "nobody changes %s any more", p->key);
}

/* --- LOOKING ------------------------------------------------------------------------------------------ */

static void look_again(Place *p)
{
        switch (p->kind) {
        case PLACE_TENANT:
                manager_drift_tenant(p->manager, p->key);
                break;
        case PLACE_LEAF:
                manager_drift_leaf(p->manager, p->key, false);
                break;
        case PLACE_CONTROLLERS:
                manager_drift_look(p->manager);
                break;
        case PLACE_DROPINS:
                manager_drift_drop_ins(p->manager);
                break;
        }
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Place *p = userdata;

        p->timer = sd_event_source_disable_unref(p->timer);
        /* What was repaired once, and held. Had it not held, that would have been told of. */
        if (p->fight.state == FIGHT_NOTED)
                place_free(p);
        else
                look_again(p);
        return 0;
}

static void set_timer(Place *p)
{
        p->timer = sd_event_source_disable_unref(p->timer);
        int r = sd_event_add_time(p->manager->event, &p->timer, CLOCK_MONOTONIC, p->fight.next_usec,
                                  TIMER_ACCURACY, on_timer, p);
        if (r < 0)
                log_error("cannot set a timer to look at %s again: %s; `cdmctl reload` looks", p->key,
                          strerror(-r));
}

static void set_reason(Place *p, const char *reason)
{
        char *copy = reason ? strdup(reason) : NULL;

        if (!copy)
                return;
        free(p->reason);
        p->reason = copy;
}

FightAction manager_place_look(Manager *m, PlaceKind kind, const char *key, const char *reason)
{
        Place *p = place_find(m, key);

        if (!p) {
                if (!reason)
                        return FIGHT_NOTHING;
                /* It cannot be counted, which is no reason not to repair it. */
                if (place_new(m, kind, key, &p) < 0)
                        return FIGHT_REPAIR;
        }
        /* Two writes that came before it was repaired once are not a fight. */
        if (p->repairing && reason)
                return FIGHT_REPAIR;
        set_reason(p, reason);
        FightAction action = fight_look(&p->fight, !reason, manager_monotonic_usec());

        p->repairing = kind == PLACE_LEAF && action == FIGHT_REPAIR;
        if (action == FIGHT_YIELD)
                tell_fight(p, "are changed again and again");
        if (action == FIGHT_PEACE)
                tell_peace(p);
        degrade_all(p);
        if (p->fight.state == FIGHT_NONE)
                place_free(p);
        else
                set_timer(p);
        return action;
}

static bool is_among(const FenceNames *names, const char *key)
{
        for (size_t i = 0; i < names->n; i++)
                if (strcmp(names->names[i], key) == 0)
                        return true;
        return false;
}

void manager_places_settle(Manager *m, PlaceKind kind, const FenceNames *but)
{
        Place *p, *next;

        HASH_ITER (hh, m->places, p, next)
                if (p->kind == kind && !is_among(but, p->key))
                        (void)manager_place_look(m, kind, p->key, NULL);
}

void manager_place_failed(Manager *m, const char *key)
{
        Place *p = place_find(m, key);

        if (!p)
                return;
        p->repairing = false;
        bool was_on = fight_is_on(&p->fight);
        fight_failed(&p->fight, manager_monotonic_usec());
        if (!was_on)
                tell_fight(p, "could not be repaired");
        degrade_all(p);
        set_timer(p);
}

void manager_place_forget(Manager *m, const char *key)
{
        Place *p = place_find(m, key);

        if (!p)
                return;
        p->fight = (Fight){ .state = FIGHT_NONE };
        degrade_all(p);
        place_free(p);
}

void manager_place_repaired(Manager *m, const char *key)
{
        Place *p = place_find(m, key);

        if (!p)
                return;
        p->repairing = false;
        p->repaired_usec = manager_monotonic_usec();
}

uint64_t manager_place_repaired_usec(Manager *m, const char *key)
{
        Place *p = place_find(m, key);

        return p ? p->repaired_usec : 0;
}

const char *manager_place_reason(Manager *m, const char *key)
{
        Place *p = place_find(m, key);

        return p ? p->reason : NULL;
}

void manager_foreach_fight(Manager *m, void (*fn)(const Place *p, void *userdata), void *userdata)
{
        Place *p, *next;

        HASH_ITER (hh, m->places, p, next)
                if (fight_is_on(&p->fight))
                        fn(p, userdata);
}
