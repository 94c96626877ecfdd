/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* --container=[RUNTIME:]ID|NAME. An id, or the beginning of one, is looked for among the control groups of
 * the machine, which needs no runtime. Everything else is a name, and an id wins over a name. Only the
 * runtime knows names: its command is run with the rights of whoever runs cdmctl. cdmd is told the control
 * group and looks at that with its own eyes.
 *
 * Another user's containers are left out: he makes scopes of any name in his own manager, so that one with
 * the id of somebody's container proves nothing. */

#include "client/args.h"

/* Refuses what is neither id nor name. 0 or CDM_EXIT_USAGE. */
int container_check(const Args *args);

/* The control group of args->container, owned by the caller. 0 or an exit status, after it told the user. */
int container_find(const Args *args, char **ret_cgroup);
