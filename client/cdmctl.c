/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The table of verbs, their help, and the dispatch from the command line to a verb. */

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build-config.h"
#include "client/args.h"
#include "client/cdmctl.h"
#include "client/text.h"
#include "policy/cdm-names.h"

/* As wide as the widest verb with its arguments. */
#define HELP_COLUMN 28
/* Used if the output is no terminal. */
#define HELP_WIDTH 80

static const Verb verb_table[] = {
        { VERB_LOOK, "status", "", "Show the fence, pools, reservations and warnings on one screen",
          "This is what cdmctl does without a verb. --check prints only faults, and exits with 0 when there are none and the fence is as Mode= wants it, else with 1. `cdmctl explain-warning NAME` says more.",
          0, 0, OPTION_BIT(OPTION_CHECK) | OPTION_BIT(OPTION_IGNORE) | OPTION_BIT(OPTION_FULL),
          verb_status },
        { VERB_LOOK, "explain-warning", "[NAME]", "Say what a warning of status means and what to do",
          "Without NAME it lists them.", 0, 1, 0, verb_explain_warning },
        { VERB_LOOK, "nodes", "", "List the machine's memory nodes",
          "Nodes without memory are summed up in one line; --all and JSON have them. With --offline, what only the daemon knows is shown as '-' (null in JSON).",
          0, 0, OPTIONS_OFFLINE | OPTIONS_TABLE | OPTION_BIT(OPTION_ALL), verb_nodes },
        { VERB_LOOK, "pools", "", "List the pools",
          "With --offline, what only the daemon knows is shown as '-' (null in JSON).", 0, 0,
          OPTIONS_OFFLINE | OPTIONS_TABLE, verb_pools },
        { VERB_LOOK, "list", "", "List the reservations", "Options choose among them.", 0, 0,
          OPTIONS_TABLE | OPTIONS_FILTER, verb_list },
        { VERB_LOOK, "show", "ID", "Show one reservation", NULL, 1, 1, 0, verb_show },
        { VERB_LOOK, "who", "[POOL|NODE]", "Show who has pages on CDM nodes now",
          "Control groups that use the nodes, by bytes; --all adds the kernel's own.", 0, 1,
          OPTIONS_TABLE | OPTION_BIT(OPTION_ALL), verb_who },
        { VERB_LOOK, "monitor", "", "Print decisions and events as they happen", NULL, 0, 0, 0,
          verb_monitor },
        { VERB_RESERVE, "request", "POOL SIZE", "Reserve SIZE bytes of POOL and print the new id",
          "The reservation is for the caller's own unit, or the target named. It ends with the unit, with "
          "its lease, or when it is released. SIZE is 16G, 512M, bytes, or 50% of the pool.",
          2, 2, OPTIONS_TARGET | OPTIONS_REQUEST, verb_request },
        { VERB_RESERVE, "release", "ID...", "Release reservations and wait until their bytes left the nodes",
          "Instead of ids, --all selects all reservations of the caller, or --user=, --pool=, --unit= and --state= select some. Ctrl-C ends the waiting, not the release.",
          0, -1, OPTIONS_FILTER | OPTION_BIT(OPTION_ALL), verb_release },
        { VERB_RESERVE, "run", "POOL SIZE -- CMD...", "Run CMD with a reservation of its own",
          "The reservation is released when CMD ends. Exit status is that of CMD; 125 when cdmctl failed or "
          "was refused, 126 or 127 when CMD cannot be run or found, 128+N when signal N ended it. --mem-policy=bind also sets MemoryMax= of CMD's scope to SIZE.",
          2, 2, OPTIONS_REQUEST | OPTION_BIT(OPTION_MEM_POLICY), verb_run },
        { VERB_RESERVE, "buffer", "ID SIZE -- CMD...",
          "Run CMD with a buffer of a reservation that is physically there",
          "CMD inherits a descriptor of it, whose number is in CDM_BUFFER_FD. Exit statuses are those of "
          "run.",
          2, 2, OPTION_BIT(OPTION_HUGETLB), verb_buffer },
        { VERB_RESERVE, "renew", "ID [TIME]", "Extend a lease by the time first asked for, or by TIME", NULL,
          1, 2, 0, verb_renew },
        { VERB_RESERVE, "resize", "ID SIZE", "Give a reservation another size",
          "More is judged as a new request for the same target would be, and never waits.", 2, 2, 0,
          verb_resize },
        { VERB_RESERVE, "migrate", "ID", "Move a reservation's pages up to its nodes now", NULL, 1, 1, 0,
          verb_migrate },
        { VERB_ASK, "explain", "POOL SIZE",
          "Tell which rule decides a request and what would be done; changes nothing",
          "Exits as the request would. With --offline, live reservations do not count, and a service is "
          "taken to be in its default slice.",
          2, 2, OPTIONS_TARGET | OPTIONS_REQUEST | OPTIONS_OFFLINE | OPTION_BIT(OPTION_USER), verb_explain },
        { VERB_ASK, "check", "[FILE...]", "Check the configuration, or single files, without a daemon", NULL,
          0, -1, OPTIONS_OFFLINE, verb_check },
        { VERB_ASK, "report", "[FILE]", "Collect what a bug report needs in a tarball",
          "The nodes, the configuration, the journal of cdmd and what status, list and who print. Read it before you send it. --root reads the unpacked report. With --offline neither the daemon nor the journal is read.",
          0, 1, OPTIONS_OFFLINE | OPTION_BIT(OPTION_ANONYMOUS), verb_report },
        { VERB_MANAGE, "reload", "", "Make the daemon read its configuration again", NULL, 0, 0, 0,
          verb_reload },
        { VERB_MANAGE, "drain", "NODE", "Empty a node for a reset or removal",
          "Nothing is granted there until it is undrained, and its tenants are moved to ordinary memory. "
          "Exit status is 0 when the node is empty, 1 when something is left, which is listed. Ctrl-C ends the waiting, not the drain.",
          1, 1, 0, verb_drain },
        { VERB_MANAGE, "undrain", "NODE", "Take a drained node into use again", NULL, 1, 1, 0,
          verb_undrain },
        { VERB_MANAGE, "cdi", "[DIR]",
          "Write files of container devices, one device for each size of a pool",
          "For each pool with CdiSizes= there is DIR/cdmd.org-POOL.json, with a device cdmd.org/POOL=SIZE for each size; files of other pools are removed. DIR is /etc/cdi.",
          0, 1, OPTIONS_OFFLINE, verb_cdi },
        { VERB_MANAGE, "static", "UNIT",
          "Reserve what Static= rules say for a unit that starts; systemd runs this", NULL, 1, 1, 0,
          verb_static },
};

static const Verb *find_verb(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(verb_table); i++)
                if (strcmp(verb_table[i].name, name) == 0)
                        return &verb_table[i];
        return NULL;
}

static size_t help_width(void)
{
        size_t width = text_terminal_width();

        return width > 0 ? width : HELP_WIDTH;
}

static void help_all(void)
{
        static const char *const headings[_VERB_GROUP_MAX] = {
                [VERB_LOOK] = "Looking",
                [VERB_RESERVE] = "Reserving",
                [VERB_ASK] = "Asking beforehand",
                [VERB_MANAGE] = "Managing",
        };

        size_t width = help_width();
        char left[64];

        puts("cdmctl [OPTIONS] [VERB ...]\n");
        text_wrap(stdout, "Reserve coherent device memory and see who has it.", 0, width);
        putchar('\n');
        text_wrap(stdout, "Example: run a program with 2 GiB of the pool hbm", 0, width);
        puts("  $ cdmctl run hbm 2G -- ./train");
        for (VerbGroup g = 0; g < _VERB_GROUP_MAX; g++) {
                printf("\n%s:\n", headings[g]);
                for (size_t i = 0; i < ARRAY_SIZE(verb_table); i++) {
                        const Verb *v = &verb_table[i];

                        if (v->group != g)
                                continue;
                        snprintf(left, sizeof(left), "  %s %s", v->name, v->usage);
                        text_entry(left, v->help, HELP_COLUMN, width);
                }
        }
        puts("\nOptions everywhere:");
        args_print_help(OPTIONS_GLOBAL, width);
        putchar('\n');
        text_wrap(stdout, "'cdmctl VERB --help' shows a verb's own options.", 0, width);
        putchar('\n');
        text_wrap(
                stdout,
                "Exit status: 0 done, 1 failed, 2 usage, 3 denied, 4 pool full, 5 timed out in the queue, 6 "
                "daemon not reachable; those of `run` and `buffer` are their commands'.",
                0, width);
        puts("\nSee cdmctl(1).");
}

static void help_verb(const Verb *v)
{
        size_t width = help_width();

        printf("cdmctl %s%s%s%s\n\n", v->name, v->options ? " [OPTIONS]" : "", *v->usage ? " " : "",
               v->usage);
        text_wrap(stdout, v->help, 0, width);
        if (v->more) {
                putchar('\n');
                text_wrap(stdout, v->more, 0, width);
        }
        if (v->options) {
                puts("\nOptions:");
                args_print_help(v->options, width);
        }
        puts("\nOptions everywhere:");
        args_print_help(OPTIONS_GLOBAL, width);
}

static int too_few(const Verb *v, const Args *a)
{
        const char *word = v->usage;

        /* Find the first word of the usage without an argument. */
        for (int i = 0; i < a->n_positional; i++)
                word += strcspn(word, " ") + 1;
        return usage_error("%.*s is missing; write: cdmctl %s %s", (int)strcspn(word, " ."), word, v->name,
                           v->usage);
}

static int command_too_many(const Verb *v, const Args *a)
{
        const char *word = a->positional[v->max_args];

        if (a->bare_option)
                return usage_error("unexpected argument '%s'; write %s=%s", a->bare_value, a->bare_option,
                                   a->bare_value);
        return usage_error("unexpected argument '%s'; write: cdmctl %s%s%s", word, v->name,
                           *v->usage ? " " : "", v->usage);
}

static int check_line(const Verb *v, const Args *a)
{
        const char *misplaced = args_misplaced(a, v->options | OPTIONS_GLOBAL);

        if (misplaced)
                return usage_error("`cdmctl %s` has no option --%s", v->name, misplaced);
        if (v->max_args >= 0 && a->n_positional > v->max_args)
                return command_too_many(v, a);
        if (a->n_positional < v->min_args)
                return too_few(v, a);
        if (*a->root && !a->offline && v->run != verb_check && v->run != verb_cdi)
                return usage_error("--root needs --offline: a daemon reads the machine that it runs on");
        return 0;
}

static int unknown_verb(const char *name)
{
        const char *names[ARRAY_SIZE(verb_table)];
        char hint[DID_YOU_MEAN_MAX];

        for (size_t i = 0; i < ARRAY_SIZE(verb_table); i++)
                names[i] = verb_table[i].name;
        return usage_error("unknown verb '%s'%s", name, did_you_mean(name, names, ARRAY_SIZE(names), hint));
}

/* `cdmctl help` and `cdmctl help VERB`. */
static int help_word(const Args *a)
{
        const Verb *v = a->n_positional > 0 ? find_verb(a->positional[0]) : NULL;

        if (a->n_positional > 0 && !v)
                return unknown_verb(a->positional[0]);
        if (v)
                help_verb(v);
        else
                help_all();
        return CDM_EXIT_DONE;
}

static int command_dispatch(const char *name, const Args *a)
{
        const Verb *v = find_verb(name ? name : "status");

        if (!v && strcmp(name, "help") == 0)
                return help_word(a);
        if (!v)
                return unknown_verb(name);
        if (args_given(a, OPTION_HELP)) {
                help_verb(v);
                return CDM_EXIT_DONE;
        }

        int status = check_line(v, a);
        if (status != 0)
                return args_verb_runs(v->name) ? CDM_EXIT_RUN_FAILED : status;
        return v->run(a);
}

/* A full disk or a closed pipe must not look like success. */
static int flush_output(int status)
{
        if (fflush(stdout) == 0 && !ferror(stdout))
                return status;
        return status == CDM_EXIT_DONE ? fail(CDM_EXIT_FAILED, "cannot write the output") : status;
}

/* Finds the verb without parsing the options, for errors in the command line. NULL: none. */
static const Verb *guess_verb(int argc, char **argv)
{
        for (int i = 1; i < argc && argv[i] && strcmp(argv[i], "--") != 0; i++)
                if (argv[i][0] != '-')
                        return find_verb(argv[i]);
        return NULL;
}

int main(int argc, char **argv)
{
        const char *verb;
        Args args;

        setlocale(LC_CTYPE, "");

        const Verb *guess = guess_verb(argc, argv);
        tell_set_verb(guess ? guess->name : NULL, guess && (guess->options & OPTION_BIT(OPTION_OFFLINE)));
        int status = args_parse(argc, argv, &args, &verb);
        if (status != 0)
                status = guess && args_verb_runs(guess->name) ? CDM_EXIT_RUN_FAILED : status;
        else if (args_given(&args, OPTION_VERSION))
                puts("cdmctl " PACKAGE_VERSION);
        else if (args_given(&args, OPTION_HELP) && !verb)
                help_all();
        else
                status = command_dispatch(verb, &args);
        args_clear(&args);
        return flush_output(status);
}
