/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The plugin's calls to cdmd. Each returns 0, or a negative errno with a sentence in reason. -ENOTCONN: cdmd
 * cannot be reached, so the result is unknown. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "policy/label.h"
#include "policy/ledger.h"
#include "policy/macro.h"

#define CDMD_REASON_MAX 1024
/* The label that identifies the reservations of a job. */
#define CDMD_LABEL_JOB "slurm.job"

DEFINE_CLEANUP(sd_bus, sd_bus_flush_close_unref);

int cdmd_open(sd_bus **ret, char reason[static CDMD_REASON_MAX]);

/* The user of a job, and its labels. cdmd keeps them until the job's control group ends. */
typedef struct CdmdWords {
        uid_t uid;
        Labels labels;
} CdmdWords;

/* Returns when the control group of a step is fenced, or has the nodes of its job. words: of the job, or
 * NULL. */
int cdmd_admit(sd_bus *bus, const char *cgroup, const CdmdWords *words, char reason[static CDMD_REASON_MAX]);

/* A request for the control group of a job, in the name of its user. */
typedef struct CdmdRequest {
        const char *pool, *cgroup;
        uint64_t bytes;
        const CdmdWords *words;
} CdmdRequest;

/* Sends the request and waits until it is granted. *ret_path: the object path of the reservation, owned by
 * the caller. */
int cdmd_request(sd_bus *bus, const CdmdRequest *request, char **ret_path,
                 char reason[static CDMD_REASON_MAX]);

typedef struct CdmdReservation {
        uint64_t bytes;
        Share *shares;
        size_t n_shares;
} CdmdReservation;

void cdmd_reservation_clear(CdmdReservation *r);

/* -ENOENT: the reservation does not exist, or is neither active nor degraded. */
int cdmd_reservation_read(sd_bus *bus, const char *path, CdmdReservation *ret,
                          char reason[static CDMD_REASON_MAX]);

/* Releases all reservations of a user's job, found by the label slurm.job. Returns when their bytes are
 * free, or -ETIMEDOUT after a minute. */
int cdmd_release_job(sd_bus *bus, uid_t uid, const char *job, char reason[static CDMD_REASON_MAX]);
