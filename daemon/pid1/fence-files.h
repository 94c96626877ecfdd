/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The fence as files, and the files that reserve memory at the start of units (Static=): drop-ins for every
 * unit that can have processes (services and scopes, but also sockets, mounts and swaps, whose helpers run
 * in cgroups of their own). The generator writes them at boot, and cdmd writes them on a running machine. */

#include <stdbool.h>

#include "policy/config.h"
#include "policy/pool.h"

/* Writes service.d/, scope.d/ and so on, and the drop-ins that exempt or pin units, below dir (such as
 * /run/systemd/system). Each file is written to a temporary name and renamed. Files of an earlier
 * configuration are removed. If there are no CDM nodes and none can appear, nothing is written. A pin is
 * limited to ordinary nodes, and invalid unit names are skipped. -ENOSPC: no ordinary node would be left
 * (nothing is changed). *ret_changed: at least one file was changed. */
int fence_files_write(const char *dir, const Config *config, const PoolSet *pools, bool *ret_changed);
/* Removes all of these files, and directories that are empty afterwards. */
int fence_files_remove(const char *dir, bool *ret_changed);
/* True if dir already contains exactly these files. */
bool fence_files_present(const char *dir, const Config *config, const PoolSet *pools);

/* Reads the ordinary nodes that the fence in dir allows to all units. -ENOENT: there is no fence. */
int fence_files_ordinary(const char *dir, NodeSet *ret);

/* Writes the decision of cdmd, which applies until the next boot (CDM_DIR_DECIDED below root): these
 * drop-ins, or none if config and pools are NULL. */
int fence_files_decide(const char *root, const Config *config, const PoolSet *pools);
/* Copies the decision to dir. -ENOENT: cdmd has decided nothing since boot. */
int fence_files_copy_decided(const char *root, const char *dir);

/* Must be called before a reload applies new files: creates CDM_FLAG_CPUSET if the reload will enable the
 * cpuset controller for running services. */
void fence_files_note_cpuset(const char *root);
