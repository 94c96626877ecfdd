/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The memory policies of `cdmctl run --mem-policy` (the only user of numaif.h in cdmctl). */

#include <stddef.h>

#include "policy/ledger.h"

typedef enum MemPolicy {
        MEM_POLICY_PREFER,     /* the reserved nodes first, ordinary memory when they are full */
        MEM_POLICY_BIND,       /* the reserved nodes only */
        MEM_POLICY_INTERLEAVE, /* page by page over the reserved nodes */
        MEM_POLICY_NONE,       /* the inherited policy */
        _MEM_POLICY_MAX,
} MemPolicy;

const char *mem_policy_to_string(MemPolicy v);
/* -EINVAL: not a policy. */
int mem_policy_from_string(const char *s, MemPolicy *ret);

/* Sets the calling thread's policy to the nodes of the shares. The policy is inherited over fork and exec.
 * MPOL_F_STATIC_NODES is set: without it the kernel rewrites a policy's nodes by position whenever the
 * cpuset changes, and a policy that lost its node once would not get it back. Returns a negative errno of
 * set_mempolicy(2); -EINVAL if the cpuset does not contain the nodes. */
int mem_policy_set(MemPolicy policy, const Share *shares, size_t n_shares);
