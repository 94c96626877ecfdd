/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Finds AllowedMemoryNodes= that was set at run time. systemd stores such a property in a file, also for an
 * inactive unit, which would then start with open nodes. Reading these files is cheaper than asking PID 1
 * about every unit. */

#include "policy/nodeset.h"

/* Calls fn for each unit that has such a property, with its nodes (empty: the property was reset). Stops at
 * the first negative result and returns it. */
typedef int (*fence_property_t)(const char *unit, const NodeSet *nodes, void *userdata);
int fence_property_foreach(const char *root, fence_property_t fn, void *userdata);

/* The same for StartupAllowedMemoryNodes=, including persistent settings. */
int fence_property_foreach_startup(const char *root, fence_property_t fn, void *userdata);

/* Finds the file that decides AllowedMemoryNodes= of a unit, and its nodes. This is the drop-in whose name
 * sorts last among those for the unit's name, template, prefixes and type that assign nodes. If several
 * files have the same name, systemd uses the one from the first directory of its search path. -ENOENT: no
 * file assigns nodes. */
int fence_property_last_word(const char *root, const char *unit, char **ret_file, NodeSet *ret);
