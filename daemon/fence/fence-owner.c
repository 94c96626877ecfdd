/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ASK: asks PID 1 about leaves of the first reading that have the name of a unit or slice, but no attribute
 * that systemd sets. The answers decide which of them are fenced as foreign cgroups. If PID 1 does not
 * answer, a leaf counts as a unit. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/fence/fence-internal.h"
#include "daemon/kernel/owner.h"

/* Despite its name, the leaf is not the cgroup of a unit. */
static void ask_forget_unit(Fence *f, FenceLeaf *leaf)
{
        free(leaf->unit);
        free(leaf->unit_path);
        free(leaf->slice);
        leaf->unit = leaf->unit_path = leaf->slice = NULL;
        leaf->promised = foreign_nodes(f->context.foreign, leaf->path);
}

static void ask_on_answer(int error, const char *unit, void *userdata)
{
        Fence *f = userdata;
        FenceLeaf *leaf = &f->scan.leaves[f->next - 1];

        f->call = unit_call_free(f->call);
        /* A leaf with a reservation stays a unit: see daemon/tenant/owner-ask.c. */
        if (!ledger_has_unit_at(f->context.ledger, leaf->path) && (error == 0 || error == -ENOENT) &&
            owner_learn(leaf->path, leaf->id, unit) > 0)
                ask_forget_unit(f, leaf);
        if (unit_error_is_passing(error))
                f->step_ended(f, 0);
        else
                fence_step_ask(f);
}

void fence_step_ask(Fence *f)
{
        while (f->next < f->scan.n_leaves) {
                if (!fence_go_on(f))
                        return;
                FenceLeaf *leaf = &f->scan.leaves[f->next];

                if (leaf->unit && owner_top(leaf->path) > 0)
                        ask_forget_unit(f, leaf);
                f->next++;
                if (!leaf->unit || !leaf->doubtful)
                        continue;
                if (unit_get_owner(f->context.gate, leaf->path, ask_on_answer, f, &f->call) >= 0)
                        return;
        }
        f->step_ended(f, 0);
}
