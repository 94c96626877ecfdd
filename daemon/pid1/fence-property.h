/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* AllowedMemoryNodes= that somebody set at run time. systemd keeps such a property in a file, also for a
 * unit that is not active, which would then start granted. Looking at these files is cheaper than asking PID
 * 1 about every unit. */

#include "policy/nodeset.h"

/* Calls fn for each unit that has such a property, with its nodes (empty: it was reset), until fn returns
 * something negative, and returns that. */
typedef int (*fence_property_t)(const char *unit, const NodeSet *nodes, void *userdata);
int fence_property_foreach(const char *root, fence_property_t fn, void *userdata);

/* Likewise for StartupAllowedMemoryNodes=, also where it was set for good. */
int fence_property_foreach_startup(const char *root, fence_property_t fn, void *userdata);

/* The file that has the last word about a unit's AllowedMemoryNodes=, and what it assigns: the one whose
 * name sorts last among the drop-ins of its name, its template, its prefixes and its type that assign any;
 * of files with the same name systemd takes the one from the first of its folders. -ENOENT: none does. */
int fence_property_last_word(const char *root, const char *unit, char **ret_file, NodeSet *ret);
