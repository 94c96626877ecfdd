/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The table of verbs, their help, and the way from the command line to one of them. */

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build-config.h"
#include "client/args.h"
#include "client/cdmctl.h"
#include "policy/cdm-names.h"

static const Verb verb_table[] = {
        { "status", "", "Show the fence, pools, reservations and warnings on one screen",
          "This is what cdmctl does without a verb.", 0, 0, 0, verb_status },
        { "nodes", "", "List the machine's memory nodes",
          "Nodes without memory are summed up in one line; JSON has them all. With --offline, what only the\n"
          "daemon knows is shown as '-' (null in JSON).",
          0, 0, OPTIONS_OFFLINE | OPTION_BIT(OPTION_ALL), verb_nodes },
        { "pools", "", "List the pools",
          "With --offline, what only the daemon knows is shown as '-' (null in JSON).", 0, 0,
          OPTIONS_OFFLINE, verb_pools },
        { "list", "", "List the reservations", NULL, 0, 0, 0, verb_list },
        { "show", "ID", "Show one reservation", NULL, 1, 1, 0, verb_show },
        { "request", "POOL SIZE", "Reserve SIZE bytes of POOL and print the new id",
          "The reservation is for the caller's own unit, or the target named. It ends with the unit, with "
          "its\n"
          "lease, or when it is released. SIZE is 16G, 512M, bytes, or 50% of the pool.",
          2, 2, OPTIONS_TARGET | OPTIONS_REQUEST, verb_request },
        { "release", "ID...", "Release reservations and wait until their bytes left the nodes",
          "Ctrl-C ends the waiting, not the release.", 1, -1, 0, verb_release },
        { "run", "POOL SIZE -- CMD...", "Run CMD with a reservation of its own",
          "The reservation is released when CMD ends. Exit status is that of CMD; 125 when cdmctl failed or "
          "was\n"
          "refused, 126 or 127 when CMD cannot be run or found, 128+N when signal N ended it.",
          2, 2, OPTIONS_REQUEST | OPTION_BIT(OPTION_MEM_POLICY), verb_run },
        { "buffer", "ID SIZE -- CMD...", "Run CMD with a buffer of a reservation that is physically there",
          "CMD inherits a descriptor of it, whose number is in CDM_BUFFER_FD. Exit statuses are those of "
          "run.",
          2, 2, OPTION_BIT(OPTION_HUGETLB), verb_buffer },
        { "renew", "ID [TIME]", "Extend a lease by the time first asked for, or by TIME", NULL, 1, 2, 0,
          verb_renew },
        { "migrate", "ID", "Move a reservation's pages up to its nodes now", NULL, 1, 1, 0, verb_migrate },
        { "explain", "POOL SIZE",
          "Tell which rule decides a request and what would be done; changes nothing",
          "Exits as the request would. With --offline, live reservations do not count, and a service is "
          "taken\n"
          "to be in its default slice.",
          2, 2, OPTIONS_TARGET | OPTIONS_REQUEST | OPTIONS_OFFLINE | OPTION_BIT(OPTION_USER), verb_explain },
        { "check", "[FILE...]", "Check the configuration, or single files, without a daemon", NULL, 0, -1,
          OPTIONS_OFFLINE, verb_check },
        { "who", "[POOL|NODE]", "Show who has pages on CDM nodes now", NULL, 0, 1, 0, verb_who },
        { "monitor", "", "Print decisions and events as they happen", NULL, 0, 0, 0, verb_monitor },
        { "reload", "", "Make the daemon read its configuration again", NULL, 0, 0, 0, verb_reload },
        { "drain", "NODE", "Empty a node for a reset or removal",
          "Nothing is granted there until it is undrained, and its tenants are moved to ordinary memory. "
          "Exit\n"
          "status is 0 when the node is empty, 1 when something is left, which is listed. Ctrl-C ends the\n"
          "waiting, not the drain.",
          1, 1, 0, verb_drain },
        { "undrain", "NODE", "Take a drained node into use again", NULL, 1, 1, 0, verb_undrain },
        { "static", "UNIT", "Reserve what Static= rules say for a unit that starts; systemd runs this", NULL,
          1, 1, 0, verb_static },
};

static const Verb *find_verb(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(verb_table); i++)
                if (strcmp(verb_table[i].name, name) == 0)
                        return &verb_table[i];
        return NULL;
}

static void help_all(void)
{
        printf("cdmctl [OPTIONS] [VERB ...]\n\nReserve coherent device memory and see who has "
               "it.\n\nVerbs:\n");
        for (size_t i = 0; i < ARRAY_SIZE(verb_table); i++) {
                int n = printf("  %s %s", verb_table[i].name, verb_table[i].usage);

                printf("%*s %s\n", n < 24 ? 24 - n : 0, "", verb_table[i].help);
        }
        puts("\nOptions everywhere:");
        args_print_help(OPTIONS_GLOBAL);
        puts("\n'cdmctl VERB --help' shows a verb's own options.\n\n"
             "Exit status: 0 done, 1 failed, 2 usage, 3 denied, 4 pool full, 5 timed out in the queue,\n"
             "6 daemon not reachable; those of `run` and `buffer` are their commands'.\n\nSee cdmctl(1).");
}

static void help_verb(const Verb *v)
{
        printf("cdmctl %s%s%s%s\n\n%s.\n", v->name, v->options ? " [OPTIONS]" : "", *v->usage ? " " : "",
               v->usage, v->help);
        if (v->more)
                printf("\n%s\n", v->more);
        if (v->options) {
                puts("\nOptions:");
                args_print_help(v->options);
        }
        puts("\nOptions everywhere:");
        args_print_help(OPTIONS_GLOBAL);
}

static int check_line(const Verb *v, const Args *a)
{
        const char *misplaced = args_misplaced(a, v->options | OPTIONS_GLOBAL);

        if (misplaced)
                return usage_error("--%s is no option of `cdmctl %s`", misplaced, v->name);
        if (a->n_positional < v->min_args || (v->max_args >= 0 && a->n_positional > v->max_args))
                return usage_error("Usage: cdmctl %s %s", v->name, v->usage);
        if (*a->root && !a->offline && v->run != verb_check)
                return usage_error("--root needs --offline: a daemon reads the machine that it runs on");
        return 0;
}

static int dispatch(const char *name, const Args *a)
{
        const Verb *v = find_verb(name ? name : "status");

        if (!v)
                return usage_error("There is no verb '%s'", name);
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
        return status == CDM_EXIT_DONE ? fail(CDM_EXIT_FAILED, "Cannot write the output.") : status;
}

/* A line that cannot be parsed is of a verb as well. */
static bool is_run(int argc, char **argv)
{
        for (int i = 1; i < argc && argv[i] && strcmp(argv[i], "--") != 0; i++)
                if (argv[i][0] != '-')
                        return args_verb_runs(argv[i]);
        return false;
}

int main(int argc, char **argv)
{
        const char *verb;
        Args args;

        setlocale(LC_CTYPE, "");

        bool run = is_run(argc, argv);
        int status = args_parse(argc, argv, &args, &verb);
        if (status != 0)
                status = run ? CDM_EXIT_RUN_FAILED : status;
        else if (args_given(&args, OPTION_VERSION))
                puts("cdmctl " PACKAGE_VERSION);
        else if (args_given(&args, OPTION_HELP) && !verb)
                help_all();
        else
                status = dispatch(verb, &args);
        args_clear(&args);
        return flush_output(status);
}
