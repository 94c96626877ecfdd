/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of cdmctl share. A verb is a function that returns an exit status of cdm-names.h. The
 * function that finds a failure prints the error (fail(), usage_error()) and returns the status. */

#include <stdbool.h>

#include "client/args.h"
#include "policy/macro.h"

typedef int (*verb_run_t)(const Args *args);

typedef enum VerbGroup { VERB_LOOK, VERB_RESERVE, VERB_ASK, VERB_MANAGE, _VERB_GROUP_MAX } VerbGroup;

typedef struct Verb {
        VerbGroup group;
        const char *name;
        const char *usage; /* its arguments */
        const char *help;  /* a line */
        const char *more;  /* further text of --help, or NULL */
        int min_args, max_args;
        uint64_t options; /* besides OPTIONS_GLOBAL */
        verb_run_t run;
} Verb;

/* Prints "cdmctl: ..." to stderr, sanitised, and returns status. Each line of the text gets the prefix. */
int fail(int status, const char *format, ...) _printf_(2, 3);
/* Likewise, for messages that are no failure. */
void note(const char *format, ...) _printf_(1, 2);
/* As fail(), with a hint at the verb's --help; returns CDM_EXIT_USAGE. */
int usage_error(const char *format, ...) _printf_(1, 2);

/* For a program other than cdmctl: sets the prefix (borrowed), and a function that also gets each line,
 * without the prefix (NULL: none). */
typedef void (*tell_also_t)(const char *line);
void tell_set_program(const char *name, tell_also_t also);
/* Sets the verb whose --help usage_error() names; NULL: none. offline: the verb has --offline. */
void tell_set_verb(const char *verb, bool offline);
/* ", or add --offline" for such a verb, else "". */
const char *tell_offline_hint(void);
/* "; did you mean 'WORD'?", or "" if no candidate is near. */
#define DID_YOU_MEAN_MAX 320
const char *did_you_mean(const char *word, const char *const *candidates, size_t n,
                         char buf[static DID_YOU_MEAN_MAX]);

/* Turns the result of table_print() and similar functions into an exit status. */
int printed(int r);

int verb_status(const Args *args);
int verb_nodes(const Args *args);
int verb_pools(const Args *args);
int verb_list(const Args *args);
int verb_show(const Args *args);
int verb_request(const Args *args);
int verb_release(const Args *args);
int verb_run(const Args *args);
int verb_buffer(const Args *args);
int verb_renew(const Args *args);
int verb_resize(const Args *args);
int verb_migrate(const Args *args);
int verb_explain(const Args *args);
int verb_cdi(const Args *args);
int verb_check(const Args *args);
int verb_who(const Args *args);
int verb_monitor(const Args *args);
int verb_report(const Args *args);
int verb_reload(const Args *args);
int verb_drain(const Args *args);
int verb_undrain(const Args *args);
int verb_explain_warning(const Args *args);
int verb_static(const Args *args);
