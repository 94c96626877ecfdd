/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* There is a Place for each object that drifted within the last minute or is fought over. policy/fight.c
 * decides when to repair and when to back off. This file has the timers, the events, and the effect on
 * reservations. A machine without drift has no Place and no timer. */

#include "daemon/keeper/fights.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "daemon/loop/clock.h"
#include "daemon/loop/log.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/degrade.h"
#include "policy/timespan.h"

#define TIMER_ACCURACY (UINT64_C(500) * 1000)

/* If so many objects drift at the same time, a program changes everything, and counting the repairs of each
 * object is of no use. */
#define PLACES_MAX 4096

typedef struct Place {
        Fights *fights;
        PlaceKind kind;
        char *key;
        Fight fight;
        char *reason;           /* of the last drift: the nodes found and the likely cause */
        bool repairing;         /* a leaf: a repair by the fence is in flight */
        uint64_t repaired_usec; /* time of the fence's last repair; CLOCK_MONOTONIC, 0: never */
        sd_event_source *timer;
        UT_hash_handle hh;
} Place;

struct Fights {
        Book *book;
        Degrades *degrades;
        fights_look_t look;
        void *userdata;
        Place *places; /* by key */
        uint64_t n_repairs;
};

static void place_free(Place *p)
{
        HASH_DEL(p->fights->places, p);
        sd_event_source_disable_unref(p->timer);
        free(p->key);
        free(p->reason);
        free(p);
}

int fights_new(Book *book, Degrades *degrades, fights_look_t look, void *userdata, Fights **ret)
{
        Fights *f = calloc(1, sizeof(*f));

        if (!f)
                return -ENOMEM;
        *f = (Fights){ .book = book, .degrades = degrades, .look = look, .userdata = userdata };
        *ret = f;
        return 0;
}

Fights *fights_free(Fights *f)
{
        Place *p, *next;

        if (!f)
                return NULL;
        HASH_ITER (hh, f->places, p, next)
                place_free(p);
        free(f);
        return NULL;
}

static Place *place_find(Fights *f, const char *key)
{
        Place *p;

        HASH_FIND_STR(f->places, key, p);
        return p;
}

static int place_new(Fights *f, PlaceKind kind, const char *key, Place **ret)
{
        if (HASH_COUNT(f->places) >= PLACES_MAX)
                return -ENOSPC;
        Place *p = calloc(1, sizeof(*p));

        if (!p)
                return -ENOMEM;
        *p = (Place){ .fights = f,
                      .kind = kind,
                      .key = strdup(key),
                      .fight.is_open = kind == PLACE_LEAF || kind == PLACE_CONTROLLERS };
        if (!p->key) {
                free(p);
                return -ENOMEM;
        }
        HASH_ADD_KEYPTR(hh, f->places, p->key, strlen(p->key), p);
        *ret = p;
        return 0;
}

/* --- WHAT IT MEANS FOR RESERVATIONS ------------------------------------------------------------------- */

static int place_degrade(Reservation *r, void *userdata)
{
        Place *p = userdata;
        Entry *e = book_find(p->fights->book, r->id);

        if (e)
                degrade_set(p->fights->degrades, e, DEGRADED_FIGHT, p->fight.state == FIGHT_YIELDED);
        return 0;
}

/* The tenant's reservations are degraded while cdmd backs off. */
static void place_degrade_all(Place *p)
{
        if (p->kind == PLACE_TENANT)
                ledger_foreach_of_tenant(p->fights->book->ledger, p->key, place_degrade, p);
}

/* --- TELLING ------------------------------------------------------------------------------------------ */

static Event place_event(const Place *p, EventKind kind)
{
        return (Event){ .kind = kind,
                        .unit = p->kind == PLACE_TENANT && p->key[0] != '/' ? p->key : NULL,
                        .cgroup = p->kind != PLACE_DROPINS && p->key[0] == '/' ? p->key : NULL,
                        .reason = p->reason };
}

static void place_tell_fight(const Place *p, const char *how)
{
        static const char *const what[] = {
                [PLACE_TENANT] = "the reserved nodes of",
                [PLACE_LEAF] = "the nodes of",
                [PLACE_CONTROLLERS] = "the controllers in",
                [PLACE_DROPINS] = "the",
        };
        Event e = place_event(p, EVENT_FIGHT);
        char pause[TIMESPAN_STR_MAX];

        event_emit(p->fights->book->core->notify, &e, "%s %s %s (%s); cdmd backs off and retries in %s",
                   what[p->kind], p->key, how, p->reason ? p->reason : "",
                   timespan_format(p->fight.pause_usec, pause));
}

static void place_tell_peace(const Place *p)
{
        Event e = place_event(p, EVENT_FIGHT_OVER);

        event_emit(p->fights->book->core->notify, &e, "nobody changes %s any more", p->key);
}

/* --- LOOKING ------------------------------------------------------------------------------------------ */

static void place_set_timer(Place *p, uint64_t usec);

static int place_on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Place *p = userdata;

        p->timer = sd_event_source_disable_unref(p->timer);
        /* The repair has held for the whole window: an event would have reported a new drift. */
        if (p->fight.state == FIGHT_NOTED) {
                place_free(p);
                return 0;
        }
        /* The look may find no answer, for example while the fence is busy. An answer sets the timer anew. */
        place_set_timer(p, clock_monotonic_usec() + p->fight.pause_usec);
        p->fights->look(p->kind, p->key, p->fights->userdata);
        return 0;
}

static void place_set_timer(Place *p, uint64_t usec)
{
        p->timer = sd_event_source_disable_unref(p->timer);
        int r = sd_event_add_time(p->fights->book->core->event, &p->timer, CLOCK_MONOTONIC, usec,
                                  TIMER_ACCURACY, place_on_timer, p);
        if (r < 0)
                log_error("cannot set a timer to check %s again: %s; `cdmctl reload` checks it", p->key,
                          strerror(-r));
}

static void place_set_reason(Place *p, const char *reason)
{
        char *copy = reason ? strdup(reason) : NULL;

        if (!copy)
                return;
        free(p->reason);
        p->reason = copy;
}

FightAction fights_judge(Fights *f, PlaceKind kind, const char *key, const char *reason)
{
        Place *p = place_find(f, key);

        if (!p) {
                if (!reason)
                        return FIGHT_NOTHING;
                /* Repair the drift even if its repairs cannot be counted. */
                if (place_new(f, kind, key, &p) < 0)
                        return FIGHT_REPAIR;
        }
        /* Several writes before the first repair has completed are not a fight. */
        if (p->repairing && reason)
                return FIGHT_REPAIR;
        place_set_reason(p, reason);
        FightAction action = fight_look(&p->fight, !reason, clock_monotonic_usec());

        p->repairing = kind == PLACE_LEAF && action == FIGHT_REPAIR;
        if (action == FIGHT_YIELD)
                place_tell_fight(p, "are changed again and again");
        if (action == FIGHT_PEACE)
                place_tell_peace(p);
        place_degrade_all(p);
        if (p->fight.state == FIGHT_NONE)
                place_free(p);
        else
                place_set_timer(p, p->fight.next_usec);
        return action;
}

static bool fights_is_among(const FenceNames *names, const char *key)
{
        for (size_t i = 0; i < names->n; i++)
                if (strcmp(names->names[i], key) == 0)
                        return true;
        return false;
}

void fights_settle(Fights *f, PlaceKind kind, const FenceNames *but)
{
        Place *p, *next;

        HASH_ITER (hh, f->places, p, next)
                if (p->kind == kind && !fights_is_among(but, p->key))
                        (void)fights_judge(f, kind, p->key, NULL);
}

void fights_note_failed(Fights *f, const char *key)
{
        Place *p = place_find(f, key);

        if (!p)
                return;
        p->repairing = false;
        bool was_on = fight_is_on(&p->fight);
        fight_failed(&p->fight, clock_monotonic_usec());
        if (!was_on)
                place_tell_fight(p, "could not be repaired");
        place_degrade_all(p);
        place_set_timer(p, p->fight.next_usec);
}

void fights_forget(Fights *f, const char *key)
{
        Place *p = place_find(f, key);

        if (!p)
                return;
        p->fight = (Fight){ .state = FIGHT_NONE };
        place_degrade_all(p);
        place_free(p);
}

void fights_forget_fence(Fights *f)
{
        Place *p, *next;

        HASH_ITER (hh, f->places, p, next)
                if (p->kind != PLACE_TENANT)
                        place_free(p);
}

void fights_note_repaired(Fights *f, const char *key)
{
        Place *p = place_find(f, key);

        if (!p)
                return;
        p->repairing = false;
        p->repaired_usec = clock_monotonic_usec();
}

uint64_t fights_repaired_usec(Fights *f, const char *key)
{
        Place *p = place_find(f, key);

        return p ? p->repaired_usec : 0;
}

const char *fights_reason(Fights *f, const char *key)
{
        Place *p = place_find(f, key);

        return p ? p->reason : NULL;
}

void fights_foreach(Fights *f, fights_fn_t fn, void *userdata)
{
        Place *p, *next;

        HASH_ITER (hh, f->places, p, next)
                if (fight_is_on(&p->fight))
                        fn(p->key, (uint32_t)p->fight.n_repairs, p->reason, userdata);
}

void fights_count_repair(Fights *f)
{
        f->n_repairs++;
}

uint64_t fights_n_repairs(const Fights *f)
{
        return f->n_repairs;
}
