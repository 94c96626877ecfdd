/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads the daemon's list of cgroups that have pages on CDM nodes. */

#include <stdint.h>
#include <systemd/sd-bus.h>

typedef struct HolderInfo {
        uint32_t node;
        const char *cgroup, *unit, *kind, *name; /* "": none */
        uint64_t bytes, anon, file, shmem, hugetlb;
} HolderInfo;

/* Calls fn for each row, whose strings are valid during the call. 0 or an exit status. */
typedef void (*holder_t)(const HolderInfo *h, void *userdata);
int holders_read(sd_bus *bus, holder_t fn, void *userdata);
