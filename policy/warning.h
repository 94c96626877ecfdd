/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The warnings of cdmd by name. A fault means that cdmd does not keep a promise; other warnings are advice.
 * Names are part of the interface: scripts use them to ignore single warnings. */

#include <stdbool.h>
#include <stddef.h>

typedef struct WarningInfo {
        const char *name;
        bool fault;
        const char *meaning; /* what it means and what to do: paragraphs, separated by a newline */
} WarningInfo;

/* Warnings that are not about the machine or its pools. Those are named after their fact
 * (policy/facts.h). */
#define WARNING_CONFIGURATION      "configuration"
#define WARNING_CONFIGURATION_HINT "configuration-hint"
#define WARNING_FENCE              "fence"
#define WARNING_FIGHT              "fight"
#define WARNING_CPUSET_ENABLED     "cpuset-enabled"
#define WARNING_NODES_UNREAD       "nodes-unread"
#define WARNING_NODES_UNWATCHED    "nodes-unwatched"
#define WARNING_CGROUPS_UNWATCHED  "cgroups-unwatched"
#define WARNING_BUFFERS            "buffers"
#define WARNING_NODES_LEFT         "nodes-left"
#define WARNING_NODE_DRAINED       "node-drained"

/* NULL: there is no such warning. */
const WarningInfo *warning_find(const char *name);
/* All of them, by name. */
const WarningInfo *warning_all(size_t *ret_n);
/* An unknown name counts as a fault, because nothing is known about it. */
bool warning_is_fault(const char *name);
