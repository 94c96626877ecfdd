/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the kernel and the drivers are set to. There is no event for any of it, so it is read when somebody
 * asks: a warning is gone as soon as its advice was followed. A dozen small files; sysfs and procfs do not
 * block. Those who ask again and again get what was read up to MACHINE_FRESH_USEC ago, so that they leave
 * the event loop to others. */

#include "daemon/tenant/machine-facts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/loop/log.h"
#include "daemon/machine/topology-read.h"
#include "daemon/tenant/record.h"
#include "policy/cdm-names.h"

/* Shorter than anybody needs to follow an advice and ask again. */
#define MACHINE_FRESH_USEC UINT64_C(10000)

struct MachineFacts {
        Manager *manager;
        uint64_t read_usec;
        char *texts[_FACT_MAX];
};

int machine_facts_new(Manager *m, MachineFacts **ret)
{
        MachineFacts *f = calloc(1, sizeof(*f));

        if (!f)
                return -ENOMEM;
        f->manager = m;
        *ret = f;
        return 0;
}

MachineFacts *machine_facts_free(MachineFacts *f)
{
        if (!f)
                return NULL;
        for (size_t i = 0; i < _FACT_MAX; i++)
                free(f->texts[i]);
        free(f);
        return NULL;
}

void machine_facts_read(MachineFacts *f)
{
        Manager *m = f->manager;

        f->read_usec = manager_monotonic_usec();
        (void)topology_read_facts(m->root, m->topology);
        for (Fact i = 0; i < _FACT_MAX; i++) {
                char *text = NULL;

                if (fact_judge(i, m->topology, m->pools, &text) < 0)
                        continue; /* out of memory: what was told last stands */
                if (text && (!f->texts[i] || strcmp(text, f->texts[i]) != 0))
                        log_warning("%s", text);
                free(f->texts[i]);
                f->texts[i] = text;
        }
        record_judge(m->record, m->topology, m->pools);
}

void machine_facts_read_again(MachineFacts *f)
{
        if (manager_monotonic_usec() - f->read_usec >= MACHINE_FRESH_USEC)
                machine_facts_read(f);
}

const char *machine_facts_get(const MachineFacts *f, Fact fact)
{
        return f->texts[fact];
}

const char *machine_fence_state(const Manager *m, const Pool *pool)
{
        FenceState state = fence_state(m->fence);
        const NodeSet *nodes = pool ? &pool->nodes : &m->pools->cdm;

        if ((state == FENCE_CLOSED || state == FENCE_LEAKY) &&
            facts_pool_takes_demotions(m->topology, &m->pools->ordinary, nodes))
                return CDM_FENCE_OPEN_DEMOTION;
        return fence_state_to_string(state);
}
