/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* --container=[RUNTIME:]ID|NAME. An id, or the beginning of one, is looked up among the cgroups of the
 * machine, without a runtime. Any other word is a name; an id takes precedence. Only the runtime knows
 * names, so its command is run, as the user of cdmctl. cdmd gets the cgroup only, and checks it itself.
 *
 * Containers of other users are ignored: every user can create scopes of any name in the user's own manager,
 * so a scope there with the id of a container proves nothing. */

#include "client/args.h"

/* Refuses a word that is neither id nor name. 0 or CDM_EXIT_USAGE. */
int container_check(const Args *args);

/* Finds the cgroup of args->container; owned by the caller. 0, or an exit status after the error was
 * printed. */
int container_find(const Args *args, char **ret_cgroup);
