/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Releasing and waiting for the end: `release`, and `run` when its command ended. */

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
        int status; /* exit status of this one */
        bool waiting;
        uint64_t left_bytes, total_bytes; /* still on the nodes; when it began */
        uint64_t moved_bytes, evicted_bytes, residue_bytes;
        ResidueHolder *holders;
        size_t n_holders;
} Release;

typedef enum ReleaseMode {
        RELEASE_TELL,  /* for people and scripts: progress on a terminal, Ctrl-C ends the waiting */
        RELEASE_WAIT,  /* the same without progress */
        RELEASE_QUIET, /* for run: a reservation that is gone already is no failure */
} ReleaseMode;

/* Releases all of them at once and waits until each ended or left residue. Only .id is given, .path is
 * looked up where it is NULL. The worst status; interrupted: the process ends by that signal. */
int release_all(sd_bus *bus, Release *jobs, size_t n_jobs, ReleaseMode mode);
void release_clear(Release *r);
/* The residue, a line for each holder. */
void release_print_residue(const Release *r, FILE *out);
