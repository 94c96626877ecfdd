/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The plugin's calls of cdmd. Each returns 0 or a negative errno, with a sentence in reason; -ENOTCONN: cdmd cannot be
 * reached, so nothing is known. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "policy/label.h"
#include "policy/ledger.h"
#include "policy/macro.h"

#define CDMD_REASON_MAX 1024
/* The label by which the reservations of a job are found. */
#define CDMD_LABEL_JOB "slurm.job"

DEFINE_CLEANUP(sd_bus, sd_bus_flush_close_unref);

int cdmd_open(sd_bus **ret, char reason[static CDMD_REASON_MAX]);

/* What is said of a job: for whom it runs, and its labels. cdmd keeps that with the job's control group until it ends. */
typedef struct CdmdWords {
        uid_t uid;
        Labels labels;
} CdmdWords;

/* Returns when the control group of a step is fenced, or granted what its job has. words: of its job; NULL: nothing is
 * said. */
int cdmd_admit(sd_bus *bus, const char *cgroup, const CdmdWords *words, char reason[static CDMD_REASON_MAX]);

/* What is asked for the control group of a job, in the name of its user. */
typedef struct CdmdRequest {
        const char *pool, *cgroup;
        uint64_t bytes;
        const CdmdWords *words;
} CdmdRequest;

/* Waits until it is granted. *ret_path: the reservation's, to be freed. */
int cdmd_request(sd_bus *bus, const CdmdRequest *request, char **ret_path,
                 char reason[static CDMD_REASON_MAX]);

typedef struct CdmdReservation {
        uint64_t bytes;
        Share *shares;
        size_t n_shares;
} CdmdReservation;

void cdmd_reservation_clear(CdmdReservation *r);

/* -ENOENT: there is none that is granted now. */
int cdmd_reservation_read(sd_bus *bus, const char *path, CdmdReservation *ret,
                          char reason[static CDMD_REASON_MAX]);

/* Releases all that a job of that user has, by the label slurm.job, and returns when its bytes are free, or after a
 * minute. */
int cdmd_release_job(sd_bus *bus, uid_t uid, const char *job, char reason[static CDMD_REASON_MAX]);
