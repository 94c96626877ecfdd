/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Small files of sysfs and procfs below a root directory: of this machine, or a copy from another one.
 * Symbolic links, including absolute links and "..", are resolved within the root. */

#include <stdint.h>

#include "policy/macro.h"

/* "" is the root of the machine. Returns a descriptor or a negative errno. */
int attribute_root_open(const char *root);

/* Reads a whole file into a string owned by the caller. The format gives the path below root_fd. NUL bytes
 * at the end of the file are ignored: some tools that copy sysfs write one. -EBADMSG: binary data; -EFBIG:
 * longer than any attribute; -EINVAL: not a regular file. */
int attribute_read(int root_fd, char **ret, const char *format, ...) _printf_(3, 4);
/* Returns the rest of a sentence that begins with the name of the file, for such an error. */
const char *attribute_reason(int error);

/* Opens a longer file: the caller reads and closes the descriptor. */
int attribute_open(int root_fd, const char *path);

/* Returns 0 or a negative errno such as -ENOENT. */
int attribute_exists(int root_fd, const char *path);

/* Reads the target of a link without resolving it: the path below /sys/devices names the parents of a
 * device. */
int attribute_read_link(int root_fd, char **ret, const char *format, ...) _printf_(3, 4);

/* Parses a decimal number, with optional white space around it. Fails with -EINVAL or -ERANGE. */
int attribute_number(const char *text, uint64_t *ret);

/* Returns 12 for "node12" with the prefix "node"; -1 for anything else, including numbers of NODE_MAX or
 * more. */
int attribute_name_number(const char *name, const char *prefix);

/* Calls fn for every entry of a directory, dax2.0 before dax10.0. A missing directory counts as empty. Stops
 * at the first negative result and returns it. */
typedef int (*attribute_entry_t)(int root_fd, const char *name, void *userdata);
int attribute_foreach(int root_fd, const char *path, attribute_entry_t fn, void *userdata);
