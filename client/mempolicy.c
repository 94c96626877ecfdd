/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <limits.h>
#include <numaif.h>
#include <string.h>

#include "client/mempolicy.h"
#include "policy/nodeset.h"

/* libnuma 2.0.16 has the modes, but not this flag of linux/mempolicy.h. The two headers cannot be
 * combined. */
#ifndef MPOL_F_STATIC_NODES
#define MPOL_F_STATIC_NODES (1 << 15)
#endif
#ifndef MPOL_PREFERRED_MANY
#define MPOL_PREFERRED_MANY 5
#endif

#define LONG_BITS (CHAR_BIT * sizeof(unsigned long))

static const char *const mem_policy_table[_MEM_POLICY_MAX] = {
        [MEM_POLICY_PREFER] = "prefer",
        [MEM_POLICY_BIND] = "bind",
        [MEM_POLICY_INTERLEAVE] = "interleave",
        [MEM_POLICY_NONE] = "none",
};

const char *mem_policy_to_string(MemPolicy v)
{
        return (unsigned)v < _MEM_POLICY_MAX ? mem_policy_table[v] : NULL;
}

int mem_policy_from_string(const char *s, MemPolicy *ret)
{
        for (unsigned i = 0; i < _MEM_POLICY_MAX; i++) {
                if (strcmp(mem_policy_table[i], s) == 0) {
                        *ret = (MemPolicy)i;
                        return 0;
                }
        }
        return -EINVAL;
}

static int set_policy(int mode, const NodeSet *nodes)
{
        unsigned long mask[NODE_MAX / LONG_BITS] = { 0 };

        NODESET_FOREACH (node, nodes)
                mask[(size_t)node / LONG_BITS] |= 1UL << ((size_t)node % LONG_BITS);

        /* The kernel reads one bit less than maxnode. */
        if (set_mempolicy(mode | MPOL_F_STATIC_NODES, mask, NODE_MAX + 1) < 0)
                return -errno;
        return 0;
}

static int mem_policy_prefer(const NodeSet *nodes, int biggest)
{
        int r = set_policy(MPOL_PREFERRED_MANY, nodes);
        if (r != -EINVAL)
                return r;

        /* Kernels before Linux 5.15 can prefer one node only. */
        NodeSet one = nodeset_of(biggest);
        return set_policy(MPOL_PREFERRED, &one);
}

int mem_policy_set(MemPolicy policy, const Share *shares, size_t n_shares)
{
        NodeSet nodes = NODESET_EMPTY;
        size_t biggest = 0;

        if (policy == MEM_POLICY_NONE)
                return 0;
        if (n_shares == 0)
                return -EINVAL;

        for (size_t i = 0; i < n_shares; i++) {
                nodeset_add(&nodes, shares[i].node);
                if (shares[i].bytes > shares[biggest].bytes)
                        biggest = i;
        }

        switch (policy) {
        case MEM_POLICY_PREFER:
                return mem_policy_prefer(&nodes, shares[biggest].node);
        case MEM_POLICY_BIND:
                return set_policy(MPOL_BIND, &nodes);
        case MEM_POLICY_INTERLEAVE:
                return set_policy(MPOL_INTERLEAVE, &nodes);
        default:
                return -EINVAL;
        }
}
