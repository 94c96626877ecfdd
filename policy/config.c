/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/config.h"
#include "policy/timespan.h"

#define DEFAULT_MAX_PER_USER 64
#define DEFAULT_QUEUE_MAX    256
#define DEFAULT_GRACE_USEC   (UINT64_C(10) * 1000 * 1000)

static const char *const fence_modes[_FENCE_MODE_MAX] = {
        [FENCE_MODE_ENFORCE] = "enforce",
        [FENCE_MODE_OBSERVE] = "observe",
        [FENCE_MODE_OFF] = "off",
};

const char *fence_mode_to_string(FenceMode v)
{
        return (unsigned)v < _FENCE_MODE_MAX ? fence_modes[v] : NULL;
}

int fence_mode_from_string(const char *s, FenceMode *ret)
{
        for (unsigned v = 0; v < _FENCE_MODE_MAX; v++)
                if (strcmp(s, fence_modes[v]) == 0) {
                        *ret = (FenceMode)v;
                        return 0;
                }
        return -EINVAL;
}

int config_new(Config **ret)
{
        Config *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        c->mode = FENCE_MODE_ENFORCE;
        c->max_per_user = DEFAULT_MAX_PER_USER;
        c->queue_max = DEFAULT_QUEUE_MAX;
        c->default_lease_usec = TIMESPAN_INFINITY;
        c->grace_usec = DEFAULT_GRACE_USEC;
        *ret = c;
        return 0;
}

Config *config_free(Config *c)
{
        if (!c)
                return NULL;
        for (char **unit = c->exempt; unit && *unit; unit++)
                free(*unit);
        free(c->exempt);
        for (size_t i = 0; i < c->n_pins; i++)
                free(c->pins[i].unit);
        free(c->pins);
        for (size_t i = 0; i < c->n_subtrees; i++)
                subtree_clear(&c->subtrees[i]);
        free(c->subtrees);
        for (size_t i = 0; i < c->n_pools; i++)
                pool_config_free(c->pools[i]);
        free(c->pools);
        for (size_t i = 0; i < c->n_rules; i++)
                rule_free(c->rules[i]);
        free(c->rules);
        free(c);
        return NULL;
}
