/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the machine is set to. */

#include "daemon/tenant/manager.h"
#include "policy/facts.h"
#include "policy/pool.h"

int machine_facts_new(Manager *m, MachineFacts **ret);
MachineFacts *machine_facts_free(MachineFacts *f);
/* Read again, judged, and told to the journal where it is news. */
void machine_facts_read(MachineFacts *f);
/* Unless that was a moment ago. */
void machine_facts_read_again(MachineFacts *f);
/* A sentence, as told last; NULL: nothing to tell. */
const char *machine_facts_get(const MachineFacts *f, Fact fact);
/* fence_state_to_string(), but "open (demotion)" where the kernel itself carries pages past a closed fence.
 * pool: of its nodes; NULL: of any pool. */
const char *machine_fence_state(const Manager *m, const Pool *pool);
