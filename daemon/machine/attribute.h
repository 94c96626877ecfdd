/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Small files of sysfs and procfs below a root directory: the machine's own, or a copy of another one's.
 * Symbolic links are resolved within the root, absolute ones and ".." as well. */

#include <stdint.h>

#include "policy/macro.h"

/* "" is the machine's. A descriptor, or a negative errno. */
int attribute_root_open(const char *root);

/* All of the file whose path below root_fd the format gives, owned by the caller. NUL bytes at its end do
 * not count: some tools that copy sysfs write one. -EBADMSG: binary; -EFBIG: longer than any attribute;
 * -EINVAL: no regular file. */
int attribute_read(int root_fd, char **ret, const char *format, ...) _printf_(3, 4);
/* How the sentence "FILE ..." goes on, for such an error. */
const char *attribute_reason(int error);

/* For longer files: the caller reads and closes the descriptor. */
int attribute_open(int root_fd, const char *path);

/* 0, or -ENOENT and the like. */
int attribute_exists(int root_fd, const char *path);

/* The target of a link, unresolved: the path below /sys/devices names the parents of a device. */
int attribute_read_link(int root_fd, char **ret, const char *format, ...) _printf_(3, 4);

/* A decimal number and nothing else but white space around it. -EINVAL, -ERANGE. */
int attribute_number(const char *text, uint64_t *ret);

/* "node12" with prefix "node" is 12; -1 for anything else, also for more than the kernel can number nodes.
 */
int attribute_name_number(const char *name, const char *prefix);

/* Calls fn for every entry of a folder, dax2.0 before dax10.0. A missing folder counts as empty. Stops at
 * the first negative return, which it returns. */
typedef int (*attribute_entry_t)(int root_fd, const char *name, void *userdata);
int attribute_foreach(int root_fd, const char *path, attribute_entry_t fn, void *userdata);

/* A hexadecimal number, with or without 0x. */
int attribute_read_hex(int root_fd, const char *path, uint64_t *ret);
