/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Handles a repair by fence_check(): reports it, counts it, and decides whether more must be checked. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/keeper/drift-reason.h"
#include "daemon/keeper/drift.h"
#include "daemon/keeper/fights.h"
#include "daemon/keeper/reload.h"
#include "daemon/loop/clock.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "policy/size.h"

/* Reports a repair that was not caused by drift. */
static void drift_tell_fenced(const DriftContext *c, const FenceRepair *r)
{
        const Notify *notify = c->book->core->notify;
        char nodes[NODESET_STR_MAX], size[SIZE_STR_MAX], reason[64];
        const char *name = r->unit ? r->unit : r->cgroup;
        Event e = { .kind = EVENT_FENCED,
                    .has = EVENT_HAS_MOVED | (r->owner != 0 ? EVENT_HAS_UID : 0),
                    .unit = r->unit,
                    .cgroup = r->cgroup,
                    .nodes = nodeset_format(&r->nodes, nodes),
                    .moved_bytes = r->drained_bytes,
                    .uid = r->owner,
                    .reason = reason };

        fence_intruders_were_told(c->fence, r->drained_bytes);
        if (r->is_open) {
                e.kind = EVENT_FAILED;
                e.reason = "its cpuset.mems could not be written";
                event_emit_limited(
                        notify, c->book->core->event_limit, clock_monotonic_usec(), NULL, &e,
                        "%s may use CDM nodes (%s) without a reservation, and could not be fenced; "
                        "`cdmctl reload` tries again",
                        name, nodes);
                return;
        }
        snprintf(reason, sizeof(reason), "%s for %" PRIu64 " us", r->is_new ? "new, and open" : "open",
                 r->usec);
        event_emit_limited(notify, c->book->core->event_limit, clock_monotonic_usec(), NULL, &e,
                           "%s was fenced: CDM nodes (%s) had been open to it for %" PRIu64
                           " us; %s moved off",
                           name, nodes, r->usec, size_format(r->drained_bytes, size));
}

void drift_on_fence_repaired(const FenceRepair *repair, void *userdata)
{
        Drift *d = userdata;
        Fights *fights = drift_fights(d);
        const DriftContext *c = drift_context(d);
        Book *book = c->book;
        char nodes[NODESET_STR_MAX], size[SIZE_STR_MAX];
        const char *name = repair->unit ? repair->unit : repair->cgroup;
        _cleanup_free_ char *reason = NULL;
        Event e = { .kind = EVENT_DRIFT,
                    .has = EVENT_HAS_MOVED,
                    .unit = repair->unit,
                    .cgroup = repair->cgroup,
                    .nodes = nodeset_format(&repair->nodes, nodes),
                    .moved_bytes = repair->drained_bytes,
                    .reason = fights_reason(fights, repair->cgroup) };

        /* A new cgroup has not drifted, and cdmd never decided the set of a cgroup that systemd does not
         * own. */
        if (repair->is_new || !repair->unit) {
                if (repair->is_open)
                        fights_note_failed(fights, repair->cgroup);
                else
                        fights_note_repaired(fights, repair->cgroup);
                if (!repair->is_open && !repair->is_new)
                        fights_count_repair(fights);
                drift_tell_fenced(c, repair);
                return;
        }
        if (repair->is_open) {
                e.kind = EVENT_FAILED;
                event_emit(book->core->notify, &e,
                           "CDM nodes (%s) are open to %s without a reservation, and could not be closed; "
                           "`cdmctl reload` tries again",
                           nodes, name);
                fights_note_failed(fights, repair->cgroup);
                /* Closing the fence again lists the units that the slice leaves open. */
                if (repair->is_widened && fence_state(c->fence) == FENCE_CLOSED)
                        reloads_fence(c->reloads);
                return;
        }
        /* There is no stored reason if the cgroup was replaced by another one of the same name, or if the check
         * of a unit found that a slice above it has to be widened. */
        if (!e.reason) {
                reason = repair->is_widened ? drift_slice_reason(book, repair->unit, &repair->nodes)
                                            : drift_reason(book, repair->unit, &repair->nodes);
                e.reason = reason;
        }
        fights_count_repair(fights);
        fights_note_repaired(fights, repair->cgroup);
        if (repair->is_widened) {
                event_emit(book->core->notify, &e,
                           "the nodes %s were open to all units in %s, which has ordinary nodes again: %s",
                           nodes, name, e.reason ? e.reason : "out of memory");
                drift_look(d); /* units in the slice may still be open */
                return;
        }
        event_emit(book->core->notify, &e,
                   "the nodes %s were open to %s without a reservation, and are closed again, "
                   "with %s moved off: %s",
                   nodes, name, size_format(repair->drained_bytes, size),
                   e.reason ? e.reason : "out of memory");
}
