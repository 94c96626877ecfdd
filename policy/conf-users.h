/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Turns the names of User= and Group= into numbers: by etc/passwd and etc/group below root where it is given
 * and has them, else through NSS. */

#include "policy/conf-keys.h"

/* Fills in uids and gids of f->rule; a name that is unknown is a warning and left out. -ENOMEM. */
int conf_users_resolve(ConfFile *f, const char *root);
