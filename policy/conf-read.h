/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads configuration files strictly (the only user of inih). Directories are read as systemd does: /etc/cdm
 * before /run/cdm before /usr/lib/cdm, a file name replaces the same name further back, a link to /dev/null
 * masks it, lexical order of names. inih 55 itself truncates long lines and values, stops at NUL and reads a
 * directory as an empty file, so every file is opened, checked and cut into lines here before inih sees it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "policy/conf-message.h"
#include "policy/conf-users.h"
#include "policy/config.h"

#define CONF_FILE_BYTES_MAX ((size_t)64 * 1024)
/* Without the newline: the longest line that fits into inih's own buffer of 200 bytes. */
#define CONF_LINE_BYTES_MAX 197

/* Loads cdmd.conf with its drop-ins, pools.d and policy.d below root ("" or "/": the real ones). Files are
 * reported with their path as seen below root. All files are read even after an error, so that one run shows
 * every error. 0: *ret is set, messages may hold warnings. -EBADMSG: at least one file was refused; *ret is
 * untouched. Other negative errno: nothing could be read at all.
 *
 * No name service is asked. Until config_resolve_names() User= and Group= match numbers only, and it is
 * unknown whether a rule with names matches. */
int config_load(const char *root, Config **ret, ConfMessages *messages);

/* For a start, when no earlier policy can stay in force. A refused file opens nothing and affects as little
 * else as possible. Its errors are in the messages, and the result is 0.
 *
 * A refused rule is replaced by a rule that denies what its [Match] says, or everything if [Match] has
 * errors. If another file or a folder is refused, every request is denied. A refused pool is replaced by a
 * pool of the nodes that Nodes=auto finds (`refused` is set). If cdmd.conf or one of its drop-ins is
 * refused, the remaining ones count, and Mode= is `enforce`.
 *
 * Names are as after config_load(). Negative errno: as config_load(), but never -EBADMSG. */
int config_load_at_start(const char *root, Config **ret, ConfMessages *messages);

/* Checks single files that were given on a command line. Their kind follows from the folder (pools.d,
 * policy.d), else from the first known section. Names are looked up. Results as config_load(). */
int config_check_files(char *const *paths, size_t n_paths, config_find_t find, void *userdata,
                       ConfMessages *messages);
