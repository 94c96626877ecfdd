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

/* The mistakes, in the order in which they were found. */
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
 * No name service is asked: until config_resolve_names() User= and Group= match numbers only, and it is
 * unknown whether a rule with names matches. */
int config_load(const char *root, Config **ret, ConfMessages *messages);

/* For a start, when no earlier policy can stay in force. A refused file opens nothing and affects as little
 * else as possible. Its errors are in the messages, and the result is 0.
 *
 * A refused rule is replaced by a rule that denies what its [Match] says, or everything if [Match] has
 * errors. If another file or a folder is refused, every request is denied. A refused pool is replaced by a
 * pool of the nodes that Nodes=auto finds (`refused` is set). If cdmd.conf or a drop-in of it is refused,
 * the remaining ones count, and Mode= is `enforce`.
 *
 * Names are as after config_load(). Negative errno: as config_load(), but never -EBADMSG. */
int config_load_at_start(const char *root, Config **ret, ConfMessages *messages);

/* For pools that contradict each other: adds a rule before all others that denies every request. */
int config_deny_all(Config *c, const char *file, unsigned line, const char *reason);

/* Finds the number of a user or group by name. -ENOENT: there is none; any other error: the lookup failed,
 * the name may exist. */
typedef int (*config_find_t)(bool group, const char *name, uint32_t *ret, void *userdata);

/* Resolves User= and Group= of all rules, and replaces earlier results. An unknown name causes a warning and
 * is left out. For a name that cannot be looked up see rule_may_match(). -ENOMEM. */
int config_resolve_names(Config *c, config_find_t find, void *userdata, ConfMessages *messages);

/* Checks single files as given on a command line; their kind follows from the folder (pools.d, policy.d) or
 * else from the first section. Names are looked up. Same results as config_load(). */
int config_check_files(char *const *paths, size_t n_paths, config_find_t find, void *userdata,
                       ConfMessages *messages);
