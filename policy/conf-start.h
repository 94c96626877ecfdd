/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Replaces configuration that is refused at start. */

#include "policy/conf-loader.h"

/* Replace a refused file or folder by something that grants nothing and opens nothing. first_message: index
 * of the first message about this file. */
int conf_start_refuse_file(ConfLoader *l, ConfFile *f, ConfKind kind, size_t first_message);
int conf_start_refuse_folder(ConfLoader *l, ConfKind kind, const char *path, const char *reason);
/* Must be called after the last file. */
int conf_start_finish(ConfLoader *l);

/* For pools that contradict each other: adds a rule before all others that denies every request. */
int config_deny_all(Config *c, const char *file, unsigned line, const char *reason);
