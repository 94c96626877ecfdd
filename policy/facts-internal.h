/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between the files that judge facts: each function is one Fact and returns what fact_judge() does. */

#include "policy/facts.h"

int fact_sentence(char **ret, const char *format, ...) _printf_(2, 3);

int fact_pool_empty(const Topology *t, const PoolSet *pools, char **ret);
int fact_nodes_absent(const Topology *t, const PoolSet *pools, char **ret);
int fact_selects_all(const PoolSet *pools, char **ret);
int fact_no_evidence(const Topology *t, const PoolSet *pools, char **ret);
int fact_passed_over(const Topology *t, const PoolSet *pools, char **ret);
int fact_not_in_pool(const Topology *t, const PoolSet *pools, char **ret);
int fact_unmovable(const Topology *t, const PoolSet *pools, char **ret);
