/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What `cdmctl run --mem-policy` sets for its command (the only user of numaif.h in cdmctl). */

#include <stddef.h>

#include "policy/ledger.h"

typedef enum MemPolicy {
        MEM_POLICY_PREFER,     /* the reserved nodes first, ordinary memory when they are full */
        MEM_POLICY_BIND,       /* the reserved nodes only */
        MEM_POLICY_INTERLEAVE, /* page by page over the reserved nodes */
        MEM_POLICY_NONE,       /* as inherited */
        _MEM_POLICY_MAX,
} MemPolicy;

const char *mem_policy_to_string(MemPolicy v);
/* -EINVAL: none of them. */
int mem_policy_from_string(const char *s, MemPolicy *ret);

/* Sets the calling thread's policy to the nodes of the shares; it is inherited over fork and exec. All are
 * set with MPOL_F_STATIC_NODES: without it the kernel rewrites a policy's nodes by position whenever the
 * cpuset changes, and a policy that lost its node once would not get it back. Negative errno of
 * set_mempolicy(2); -EINVAL when the cpuset does not hold the nodes. */
int mem_policy_set(MemPolicy policy, const Share *shares, size_t n_shares);
