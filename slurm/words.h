/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Parses text from the user, Slurm and the kernel: --cdm, the GRES of a job, and the control group of a
 * step. No I/O. */

#include <stdint.h>

/* The value of --cdm=POOL:SIZE. */
typedef struct CdmAsk {
        char *pool;
        uint64_t bytes;
} CdmAsk;

void cdm_ask_clear(CdmAsk *a);

/* -EINVAL: *ret_reason is the rest of a sentence `--cdm=TEXT ...`; -ENOMEM. */
int cdm_ask_parse(const char *text, CdmAsk *ret, const char **ret_reason);

/* The bytes of a pool that tres_per_node ("gres:cdm:hbm:64M,gres/gpu:2") counts on each node: GRES `cdm`
 * with the pool's name as type, or without a type. Counts of Slurm are whole bytes, or have a suffix K, M,
 * G, T or P of base 1024. text may be NULL. Invalid entries count as 0. */
uint64_t cdm_gres_bytes(const char *text, const char *pool);

/* The control groups of a job and of one of its steps, as paths from the cgroup root. */
typedef struct StepPlace {
        char *job, *step;
} StepPlace;

void step_place_clear(StepPlace *p);

/* Parses /proc/PID/cgroup. -ENODATA: in no step of a job in the unified hierarchy; -ENOMEM. */
int step_place_parse(const char *proc_cgroup, StepPlace *ret);
