/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The numbers that User= and Group= stand for. Names are looked up by the caller: config_resolve_names(). */

#include "policy/conf-keys.h"

/* Numbers are filled in, names cannot be looked up yet. A number that is too high for a user or group is a
 * mistake. -ENOMEM. */
int conf_users_init(ConfFile *f);
