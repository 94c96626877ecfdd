/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The entries of reservations. Other parts of the daemon learn of changes through notify.h. */

#include "daemon/tenant/book.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/kernel/owner.h"
#include "daemon/loop/log.h"
#include "daemon/loop/notify.h"
#include "daemon/tenant/core.h"
#include "policy/ledger.h"
#include "policy/rule.h"

Entry *book_find(const Book *book, uint32_t id)
{
        Entry *e;

        HASH_FIND(hh, book->entries, &id, sizeof(id), e);
        return e;
}

void book_entries_free(Book *book)
{
        Entry *e, *next;

        HASH_ITER (hh, book->entries, e, next) {
                HASH_DEL(book->entries, e);
                free(e);
        }
}

int book_add(Book *book, Reservation *r, StorePhase phase, Entry **ret)
{
        Entry *e = calloc(1, sizeof(*e));

        if (!e)
                return -ENOMEM;
        *e = (Entry){ .book = book, .id = r->id, .r = r, .phase = phase, .known = phase != STORE_GRANTING };
        int k = ledger_add(book->ledger, r);
        if (k < 0) {
                free(e);
                return k;
        }
        HASH_ADD(hh, book->entries, id, sizeof(e->id), e);
        notify_room(book->core->notify); /* a waiter whose quota this one uses up loses its claims */
        /* When systemd sets the nodes, it takes over an existing cgroup at this path. */
        if (r->target->unit && r->target->cgroup)
                owner_forget(r->target->cgroup);
        *ret = e;
        return 0;
}

void book_forget(Entry *e)
{
        Book *book = e->book;

        int k = store_remove(book->core->store, e->id);
        if (k < 0)
                log_error("cannot remove the file of reservation %" PRIu32 ": %s", e->id, strerror(-k));
        Reservation *r = ledger_take(book->ledger, e->id);
        if (!r) /* not in the ledger: grant_replace() ran out of memory */
                r = e->r;
        if (e->known)
                notify_reservation_removed(book->core->notify, e->id);
        HASH_DEL(book->entries, e);
        notify_tell(book->core->notify,
                    &(Notice){ .kind = NOTICE_RESERVATION_LEFT, .entry = e, .reservation = r });
        reservation_free(r);
        free(e);
        notify_room(book->core->notify);
}

int book_store(Entry *e)
{
        return store_write(e->book->core->store, e->r, e->phase);
}

void book_set_state(Entry *e, ReservationState state)
{
        if (e->r->state == state)
                return;
        ledger_set_state(e->book->ledger, e->r, state);
        if (e->known)
                notify_reservation_changed(e->book->core->notify, e->id, RESERVATION_CHANGED_STATE);
}

Event book_event(const Entry *e, EventKind kind, char nodes[static NODESET_STR_MAX], char policy[static 512])
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
