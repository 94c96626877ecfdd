/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the kernel and the drivers are set to. There is no event for any of it, so it is read when somebody
 * asks: a warning is gone as soon as its advice was followed. A dozen small files; sysfs and procfs do not
 * block. Those who ask again and again get what was read up to MACHINE_FRESH_USEC ago, so that they leave
 * the event loop to others. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/loop/log.h"
#include "daemon/machine/topology-read.h"
#include "daemon/tenant/manager.h"
#include "daemon/tenant/record.h"
#include "policy/cdm-names.h"

/* Shorter than anybody needs to follow an advice and ask again. */
#define MACHINE_FRESH_USEC UINT64_C(10000)

void manager_look_at_machine(Manager *m)
{
        m->machine_read_usec = manager_monotonic_usec();
        (void)topology_read_facts(m->root, m->topology);
        for (Fact f = 0; f < _FACT_MAX; f++) {
                char *text = NULL;

                if (fact_judge(f, m->topology, m->pools, &text) < 0)
                        continue; /* out of memory: what was told last stands */
                if (text && (!m->facts[f] || strcmp(text, m->facts[f]) != 0))
                        log_warning("%s", text);
                free(m->facts[f]);
                m->facts[f] = text;
        }
        record_judge(m->record, m->topology, m->pools);
}

void manager_look_at_machine_again(Manager *m)
{
        if (manager_monotonic_usec() - m->machine_read_usec >= MACHINE_FRESH_USEC)
                manager_look_at_machine(m);
}

const char *manager_fence_state(const Manager *m, const Pool *pool)
{
        FenceState state = fence_state(m->fence);
        const NodeSet *nodes = pool ? &pool->nodes : &m->pools->cdm;

        if ((state == FENCE_CLOSED || state == FENCE_LEAKY) &&
            facts_pool_takes_demotions(m->topology, &m->pools->ordinary, nodes))
                return CDM_FENCE_OPEN_DEMOTION;
        return fence_state_to_string(state);
}
