/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The fence as files, and with it what reserves memory as units start (Static=): drop-ins for every unit
 * that can have processes (services, scopes, and sockets, mounts and swaps as well: their helpers run in
 * cgroups of their own), written by the generator at boot and by cdmd on a machine that runs already. */

#include <stdbool.h>

#include "policy/config.h"
#include "policy/pool.h"

/* Writes service.d/, scope.d/ ... and the drop-ins that exempt or pin units below dir (such as
 * /run/systemd/system), each by temp and rename, and removes those of an earlier configuration; without CDM
 * nodes, and none to come, there is nothing to write. A pin is limited to ordinary nodes, names that are no
 * unit's are passed over. -ENOSPC: no ordinary node would be left (nothing is changed). *ret_changed:
 * something is different now. */
int fence_files_write(const char *dir, const Config *config, const PoolSet *pools, bool *ret_changed);
/* Removes all of them, and directories that are empty then. */
int fence_files_remove(const char *dir, bool *ret_changed);
/* Are the same files there already, in dir? */
bool fence_files_present(const char *dir, const Config *config, const PoolSet *pools);

/* The ordinary nodes that the fence in dir leaves to everyone. -ENOENT: there is no fence. */
int fence_files_ordinary(const char *dir, NodeSet *ret);

/* Below root, the decision of cdmd that holds until the next boot (CDM_DIR_DECIDED): these drop-ins, or none
 * where config and pools are NULL. */
int fence_files_decide(const char *root, const Config *config, const PoolSet *pools);
/* Copies the decision to dir. -ENOENT: cdmd has decided nothing since boot. */
int fence_files_copy_decided(const char *root, const char *dir);

/* To be called before a reload applies new files: leaves CDM_FLAG_CPUSET where that enables the cpuset
 * controller under the feet of running services. */
void fence_files_note_cpuset(const char *root);
