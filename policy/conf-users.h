/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* User and group ids of User= and Group=. The caller looks up names. */

#include <stdbool.h>
#include <stdint.h>

#include "policy/conf-message.h"
#include "policy/config.h"

typedef struct ConfFile ConfFile;

/* Fills in the values that are numbers. A number that is too high for a user or group is reported. -ENOMEM.
 */
int conf_users_init(ConfFile *f);

/* Finds the number of a user or group by name. -ENOENT: there is none; any other error: the lookup failed,
 * the name may exist. */
typedef int (*config_find_t)(bool group, const char *name, uint32_t *ret, void *userdata);

/* Resolves User= and Group= of all rules, and replaces earlier results. An unknown name causes a warning and
 * is left out. For a name that cannot be looked up see rule_may_match(). -ENOMEM. */
int config_resolve_names(Config *c, config_find_t find, void *userdata, ConfMessages *messages);
