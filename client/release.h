/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Releases reservations and waits for the end: for `release`, and for `run` when its command has ended. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "client/event.h"

typedef struct ResidueHolder {
        char *cgroup, *kind;
        uint64_t bytes;
} ResidueHolder;

typedef struct Release {
        uint32_t id;
        char *path;
        int status; /* exit status of this reservation */
        bool waiting;
        uint64_t left_bytes, total_bytes; /* bytes still on the nodes; bytes at the start */
        uint64_t moved_bytes, evicted_bytes, residue_bytes;
        ResidueHolder *holders;
        size_t n_holders;
} Release;

typedef enum ReleaseMode {
        RELEASE_TELL, /* shows progress on a terminal */
        RELEASE_WAIT, /* without progress */
        /* For `run`, whose exit status is that of its command: a reservation that no longer exists is no failure,
         * and a signal only ends the wait. */
        RELEASE_QUIET,
} ReleaseMode;

/* Releases all reservations together, and waits until each has ended or left residue. The caller sets .id; a
 * .path that is NULL is looked up. Returns the highest status. A signal that ends the wait kills the process. */
int release_all(sd_bus *bus, Release *jobs, size_t n_jobs, ReleaseMode mode);
void release_clear(Release *r);
/* Prints the residue, a line for each holder. */
void release_print_residue(const Release *r, FILE *out);
