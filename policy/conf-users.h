/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The user and group ids of User= and Group=. The caller looks up names. */

#include <stdbool.h>
#include <stdint.h>

#include "policy/conf-message.h"
#include "policy/config.h"

typedef struct ConfFile ConfFile;

/* Fills in the values that are numbers, and reports numbers that are too high for an id. -ENOMEM. */
int conf_users_init(ConfFile *f);

/* Finds the id of a user or group by name. -ENOENT: the name does not exist; any other error: the lookup
 * failed, and the name may exist. */
typedef int (*config_find_t)(bool group, const char *name, uint32_t *ret, void *userdata);

/* Resolves User= and Group= of all rules, and replaces earlier results. An unknown name is left out with a
 * warning. For a name that cannot be looked up see rule_may_match(). -ENOMEM. */
int config_resolve_names(Config *c, config_find_t find, void *userdata, ConfMessages *messages);
