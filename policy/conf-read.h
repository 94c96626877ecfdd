/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads configuration files strictly (the only user of inih). Directories are read as systemd does: /etc/cdm
 * before /run/cdm before /usr/lib/cdm, a file name replaces the same name further back, a link to /dev/null
 * masks it, lexical order of names. inih 55 itself truncates long lines and values, stops at NUL and reads a
 * directory as an empty file, so every file is opened, checked and cut into lines here before inih sees it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "policy/config.h"
#include "policy/macro.h"

#define CONF_FILE_BYTES_MAX ((size_t)64 * 1024)
/* Without the newline; what inih's own buffer of 200 takes whole. */
#define CONF_LINE_BYTES_MAX 197

typedef enum ConfKind { CONF_MAIN, CONF_POOL, CONF_POLICY, _CONF_KIND_MAX } ConfKind;

typedef enum ConfSeverity { CONF_ERROR, CONF_WARNING } ConfSeverity;

typedef struct ConfMessage {
        ConfSeverity severity;
        char *file;
        unsigned line; /* 0: the file as a whole */
        char *text;    /* the reason and what to do, without FILE:LINE */
} ConfMessage;

/* What was wrong, in the order in which it was found. */
typedef struct ConfMessages {
        ConfMessage *messages;
        size_t n_messages;
} ConfMessages;

void conf_messages_clear(ConfMessages *m);
bool conf_messages_have_errors(const ConfMessages *m);
/* "FILE:LINE: text" or "FILE: text"; owned by the caller, NULL when out of memory. */
char *conf_message_format(const ConfMessage *m);
int conf_messages_add(ConfMessages *m, ConfSeverity severity, const char *file, unsigned line,
                      const char *format, ...) _printf_(5, 6);

/* Loads cdmd.conf with its drop-ins, pools.d and policy.d below root ("" or "/": the real ones). Files are
 * reported with their path as seen below root. All files are read even after an error, so that one run shows
 * every mistake. 0: *ret is set, messages may hold warnings. -EBADMSG: at least one file was refused; *ret
 * is untouched. Other negative errno: nothing could be read at all.
 *
 * User= and Group= are resolved by the passwd and group databases: those of root where it has etc/passwd,
 * else through NSS. Unknown names are a warning. */
int config_load(const char *root, Config **ret, ConfMessages *messages);

/* For a start, which has no policy that could stay in force: a refused file costs no more than it must, and
 * opens nothing. Its errors are among the messages, and 0 is returned.
 *
 * A rule is replaced, in its place, by one that denies what its [Match] says, or everything where that could
 * not be read whole. Where another file is refused, or a folder, every request is denied. In place of a pool
 * there is one of the nodes that Nodes=auto finds (`refused` is set). Of cdmd.conf and its drop-ins those
 * that are good count, but Mode= is then `enforce`.
 *
 * resolve_users false: no name service is asked, so User= and Group= resolve to nobody; for the generator.
 * Negative errno: as config_load(), but never -EBADMSG. */
int config_load_at_start(const char *root, bool resolve_users, Config **ret, ConfMessages *messages);

/* Likewise where pools contradict each other: puts a rule before all others that denies every request. */
int config_deny_all(Config *c, const char *file, unsigned line, const char *reason);

/* Checks single files as given on a command line; their kind follows from the folder (pools.d, policy.d) or
 * else from the first section. Same results as config_load(). */
int config_check_files(char *const *paths, size_t n_paths, ConfMessages *messages);
