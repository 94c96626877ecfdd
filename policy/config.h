/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The parsed configuration: cdmd.conf, the pools, the rules. Each (re)load makes a new object, which
 * replaces the old one as a whole or not at all. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/macro.h"
#include "policy/nodeset.h"
#include "policy/pool.h"
#include "policy/rule.h"
#include "policy/subtree.h"

typedef enum FenceMode { FENCE_MODE_ENFORCE, FENCE_MODE_OBSERVE, FENCE_MODE_OFF, _FENCE_MODE_MAX } FenceMode;

const char *fence_mode_to_string(FenceMode v);
int fence_mode_from_string(const char *s, FenceMode *ret);

/* Pin=UNIT:NODES gives a unit back the ordinary nodes that its own file named. */
typedef struct Pin {
        char *unit;
        NodeSet nodes;
} Pin;

typedef struct Config {
        FenceMode mode;
        char **exempt; /* unit names; NULL: none */
        Pin *pins;
        size_t n_pins;
        Subtree *subtrees;
        size_t n_subtrees;

        unsigned max_per_user;
        unsigned queue_max;
        uint64_t default_lease_usec;
        uint64_t grace_usec; /* between the warning of a revoked reservation and its drain */

        uint64_t drain_bandwidth; /* bytes/s; 0: no limit */

        PoolConfig **pools; /* by file name */
        size_t n_pools;
        Rule **rules; /* by file name: the order in which they are tried */
        size_t n_rules;
} Config;

/* An empty configuration with the documented defaults. -ENOMEM. */
int config_new(Config **ret);
Config *config_free(Config *c);
DEFINE_CLEANUP(Config, config_free);
