/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The words between a user, Slurm and the plugin, as values: what --cdm says, what Slurm has counted for the job, and
 * where in the tree of control groups a step is. Nothing here touches Slurm, the kernel or cdmd. */

#include <stdint.h>

/* The value of --cdm=POOL:SIZE. */
typedef struct CdmAsk {
        char *pool;
        uint64_t bytes;
} CdmAsk;

void cdm_ask_clear(CdmAsk *a);

/* -EINVAL with *ret_reason, the rest of a sentence `--cdm=TEXT ...`; -ENOMEM. */
int cdm_ask_parse(const char *text, CdmAsk *ret, const char **ret_reason);

/* How much of a pool the words of tres_per_node ("gres:cdm:hbm:64M,gres/gpu:2") count on each node: GRES `cdm` of the
 * type that has the pool's name, and those without a type. Counts of Slurm are whole bytes, or have a suffix K, M, G, T
 * or P of base 1024. text may be NULL. What cannot be read counts nothing. */
uint64_t cdm_gres_bytes(const char *text, const char *pool);

/* The control group of a job and of a step of it, both from the cgroup root on. */
typedef struct StepPlace {
        char *job, *step;
} StepPlace;

void step_place_clear(StepPlace *p);

/* From what /proc/PID/cgroup says. -ENODATA: it is in no step of a job in the unified hierarchy; -ENOMEM. */
int step_place_parse(const char *proc_cgroup, StepPlace *ret);
