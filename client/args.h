/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Parses the command line. One table has all options; each verb names the options that it takes. */

#include <stdbool.h>
#include <stdint.h>

#include "client/json.h"
#include "client/mempolicy.h"
#include "client/table.h"
#include "policy/label.h"
#include "policy/nodeset.h"
#include "policy/size.h"

typedef enum OptionId {
        OPTION_HELP,
        OPTION_VERSION,
        OPTION_JSON,
        OPTION_NO_LEGEND,
        OPTION_NO_PAGER,
        OPTION_OFFLINE,
        OPTION_ROOT,
        OPTION_UNIT,
        OPTION_CGROUP,
        OPTION_PID,
        OPTION_CONTAINER,
        OPTION_USER,
        OPTION_FOR_NOBODY,
        OPTION_FOR_USER,
        OPTION_LABEL,
        OPTION_LEASE,
        OPTION_PRIORITY,
        OPTION_QUEUE,
        OPTION_MIGRATE,
        OPTION_EXCLUSIVE,
        OPTION_NODES,
        OPTION_NEAR,
        OPTION_MEM_POLICY,
        OPTION_HUGETLB,
        OPTION_ALL,
        OPTION_FULL,
        OPTION_OUTPUT,
        OPTION_QUIET,
        OPTION_POOL,
        OPTION_STATE,
        OPTION_CHECK,
        OPTION_IGNORE,
        OPTION_ANONYMOUS,
        _OPTION_MAX,
} OptionId;

#define OPTION_BIT(id) (UINT64_C(1) << (id))
#define OPTIONS_GLOBAL                                                                                      \
        (OPTION_BIT(OPTION_HELP) | OPTION_BIT(OPTION_VERSION) | OPTION_BIT(OPTION_JSON) |                   \
         OPTION_BIT(OPTION_NO_LEGEND) | OPTION_BIT(OPTION_NO_PAGER) | OPTION_BIT(OPTION_QUIET))
#define OPTIONS_TABLE (OPTION_BIT(OPTION_FULL) | OPTION_BIT(OPTION_OUTPUT))
/* Options that choose reservations. */
#define OPTIONS_FILTER                                                                                      \
        (OPTION_BIT(OPTION_POOL) | OPTION_BIT(OPTION_USER) | OPTION_BIT(OPTION_UNIT) |                      \
         OPTION_BIT(OPTION_STATE))
#define OPTIONS_OFFLINE (OPTION_BIT(OPTION_OFFLINE) | OPTION_BIT(OPTION_ROOT))
#define OPTIONS_TARGET                                                                                      \
        (OPTION_BIT(OPTION_UNIT) | OPTION_BIT(OPTION_CGROUP) | OPTION_BIT(OPTION_PID) |                     \
         OPTION_BIT(OPTION_CONTAINER))
#define OPTIONS_REQUEST                                                                                     \
        (OPTION_BIT(OPTION_LEASE) | OPTION_BIT(OPTION_PRIORITY) | OPTION_BIT(OPTION_QUEUE) |                \
         OPTION_BIT(OPTION_MIGRATE) | OPTION_BIT(OPTION_EXCLUSIVE) | OPTION_BIT(OPTION_NODES) |             \
         OPTION_BIT(OPTION_NEAR) | OPTION_BIT(OPTION_FOR_NOBODY) | OPTION_BIT(OPTION_FOR_USER) |            \
         OPTION_BIT(OPTION_LABEL))

typedef struct Args {
        uint64_t given; /* OPTION_BIT()s */

        TableStyle style;
        bool offline;
        const char *root; /* "": the machine itself */

        char *unit; /* with its suffix */
        const char *cgroup;
        uint32_t pid; /* 0: not given */
        const char *container;
        const char *user, *for_user;
        Labels labels;
        const char *pool, *state;
        char **ignored; /* names of warnings; NULL-terminated, or NULL */

        uint64_t lease_usec; /* these fields are valid only if the option is given */
        int32_t priority;
        uint64_t queue_usec;
        const char *nodes;
        NodeSet node_set; /* of `nodes` */
        const char *near;
        MemPolicy mem_policy;

        char **positional; /* without the verb; NULL-terminated */
        int n_positional;
        /* The word after --queue or --json without "=": the user may have meant it as the value. */
        const char *bare_option, *bare_value;
        char **command; /* `run` and `buffer` only: what follows "--"; NULL: no "--" */
} Args;

/* Parses the whole command line, and reorders argv. *ret_verb: the verb, which is not in args->positional;
 * NULL: none. 0, or an exit status after the error was printed. */
int args_parse(int argc, char **argv, Args *args, const char **ret_verb);
void args_clear(Args *args);

static inline bool args_given(const Args *args, OptionId id)
{
        return (args->given & OPTION_BIT(id)) != 0;
}

/* True if the verb runs a command, which follows "--". Like env, timeout and nice, such a verb leaves low
 * exit statuses to the command. */
bool args_verb_runs(const char *verb);

/* The option that was probably meant, without dashes; NULL: none. */
const char *args_nearest_option(const char *name);

/* The name of a given option that is not in `allowed`, without dashes; NULL: none. */
const char *args_misplaced(const Args *args, uint64_t allowed);

/* Prints a line for each option in the set. */
void args_print_help(uint64_t options, size_t width);

/* A reservation's id, from a positional argument. 0 or CDM_EXIT_USAGE. */
int args_parse_id(const char *text, uint32_t *ret);
/* A size of at least one byte; it may be a percentage. 0 or CDM_EXIT_USAGE. */
int args_parse_size(const char *text, Size *ret);
/* Parses POOL SIZE, so that nonsense is refused before cdmd is called. The size may be a percentage. 0 or
 * CDM_EXIT_USAGE. */
int args_parse_pool_size(const Args *args, const char **ret_pool, Size *ret_size);
