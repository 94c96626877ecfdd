/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The facts that follow from pool files and nodes. Each function judges one Fact, and returns 1, 0 or
 * -ENOMEM like fact_judge(). */

#include "policy/macro.h"
#include "policy/pool.h"
#include "policy/topology.h"

/* Formats *ret, owned by the caller, and returns 1; or -ENOMEM. */
int fact_sentence(char **ret, const char *format, ...) _printf_(2, 3);

int fact_pool_empty(const Topology *t, const PoolSet *pools, char **ret);
int fact_nodes_absent(const Topology *t, const PoolSet *pools, char **ret);
int fact_selects_all(const PoolSet *pools, char **ret);
int fact_no_evidence(const Topology *t, const PoolSet *pools, char **ret);
int fact_passed_over(const Topology *t, const PoolSet *pools, char **ret);
int fact_not_in_pool(const Topology *t, const PoolSet *pools, char **ret);
int fact_unmovable(const Topology *t, const PoolSet *pools, char **ret);
