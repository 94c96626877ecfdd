/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* User and group ids of User= and Group=. The caller looks up names: config_resolve_names(). */

#include "policy/conf-keys.h"

/* Fills in the values that are numbers. A number that is too high for a user or group is reported. -ENOMEM.
 */
int conf_users_init(ConfFile *f);
