/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What all that manages uses: the entries of reservations, clocks. It knows of none of its users:
 * what follows from a change is told by notify.h. */

#include "daemon/tenant/manager.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/kernel/owner.h"
#include "daemon/loop/log.h"

static uint64_t clock_usec(clockid_t clock)
{
        struct timespec t;

        clock_gettime(clock, &t);
        return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t manager_realtime_usec(void)
{
        return clock_usec(CLOCK_REALTIME);
}

uint64_t manager_boottime_usec(void)
{
        return clock_usec(CLOCK_BOOTTIME);
}

uint64_t manager_monotonic_usec(void)
{
        return clock_usec(CLOCK_MONOTONIC);
}

Entry *manager_find(Manager *m, uint32_t id)
{
        Entry *e;

        HASH_FIND(hh, m->entries, &id, sizeof(id), e);
        return e;
}

void manager_entries_free(Manager *m)
{
        Entry *e, *next;

        HASH_ITER (hh, m->entries, e, next) {
                HASH_DEL(m->entries, e);
                free(e);
        }
}

int manager_add(Manager *m, Reservation *r, StorePhase phase, Entry **ret)
{
        Entry *e = calloc(1, sizeof(*e));

        if (!e)
                return -ENOMEM;
        *e = (Entry){ .manager = m, .id = r->id, .r = r, .phase = phase, .known = phase != STORE_GRANTING };
        int k = ledger_add(m->ledger, r);
        if (k < 0) {
                free(e);
                return k;
        }
        HASH_ADD(hh, m->entries, id, sizeof(e->id), e);
        notify_room(m->notify); /* who waits for the quota that this one uses claims nothing any more */
        /* systemd takes a cgroup that is there at this path over as it sets the nodes. */
        if (r->target->unit && r->target->cgroup)
                owner_forget(r->target->cgroup);
        *ret = e;
        return 0;
}

void manager_forget(Entry *e)
{
        Manager *m = e->manager;

        int k = store_remove(m->store, e->id);
        if (k < 0)
                log_error("cannot remove the file of reservation %" PRIu32 ": %s", e->id, strerror(-k));
        Reservation *r = ledger_take(m->ledger, e->id);
        if (!r) /* there was no memory to put it back: see replace() */
                r = e->r;
        if (e->known)
                notify_reservation_removed(m->notify, e->id);
        HASH_DEL(m->entries, e);
        notify_tell(m->notify, &(Notice){ .kind = NOTICE_RESERVATION_LEFT, .entry = e, .reservation = r });
        reservation_free(r);
        free(e);
        notify_room(m->notify);
}

int manager_store(Entry *e)
{
        return store_write(e->manager->store, e->r, e->phase);
}

void manager_set_state(Entry *e, ReservationState state)
{
        if (e->r->state == state)
                return;
        ledger_set_state(e->manager->ledger, e->r, state);
        if (e->known)
                notify_reservation_changed(e->manager->notify, e->id, RESERVATION_CHANGED_STATE);
}

Event manager_event(const Entry *e, EventKind kind, char nodes[static NODESET_STR_MAX],
                    char policy[static 512])
{
        const Reservation *r = e->r;
        NodeSet set = reservation_nodes(r);

        if (r->rule_file)
                snprintf(policy, 512, "%s:%u", r->rule_file, r->rule_line);
        return (Event){
                .kind = kind,
                .id = e->id,
                .has = EVENT_HAS_SIZE | EVENT_HAS_UID,
                .pool = r->pool,
                .unit = r->target->unit,
                .cgroup = r->target->cgroup,
                .nodes = nodeset_format(&set, nodes),
                .policy = r->rule_file ? policy : NULL,
                .size_bytes = r->size_bytes,
                .uid = r->target->uid,
        };
}
