/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The fence as files: drop-ins for every unit that can have processes (services, scopes, and sockets, mounts
 * and swaps as well: their helpers run in cgroups of their own), written by the generator at boot and by
 * cdmd on a machine that runs already. */

#include <stdbool.h>

#include "policy/config.h"
#include "policy/pool.h"

/* Writes service.d/, scope.d/ ... and the drop-ins that exempt or pin units below dir (such as
 * /run/systemd/system), each by temp and rename, and removes those of an earlier configuration; without CDM
 * nodes there is nothing to write. A pin is limited to ordinary nodes, names that are no unit's are passed
 * over. -ENOSPC: no ordinary node would be left (nothing is changed). *ret_changed: something is different
 * now. */
int fence_files_write(const char *dir, const Config *config, const PoolSet *pools, bool *ret_changed);
/* Removes all of them, and directories that are empty then. */
int fence_files_remove(const char *dir, bool *ret_changed);
/* Are the same files there already, in dir? */
bool fence_files_present(const char *dir, const Config *config, const PoolSet *pools);
