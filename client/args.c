/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/args.h"
#include "client/cdmctl.h"
#include "client/container.h"
#include "client/text.h"
#include "policy/cdm-names.h"
#include "policy/conf-text.h"
#include "policy/macro.h"
#include "policy/timespan.h"
#include "policy/word.h"

#define HELP_OPTION_COLUMN 25

typedef struct OptionInfo {
        const char *name;
        int has_arg;
        const char *usage; /* as shown in --help */
        const char *help;
} OptionInfo;

static const OptionInfo option_table[_OPTION_MAX] = {
        [OPTION_HELP] = { "help", no_argument, "-h, --help", "Show this help" },
        [OPTION_VERSION] = { "version", no_argument, "    --version", "Show the version" },
        [OPTION_JSON] = { "json", optional_argument, "-j, --json[=MODE]",
                          "Print JSON: pretty (the default), short, or off" },
        [OPTION_NO_LEGEND] = { "no-legend", no_argument, "    --no-legend", "Print no headings" },
        [OPTION_NO_PAGER] = { "no-pager", no_argument, "    --no-pager",
                              "Accepted; cdmctl never starts a pager" },
        [OPTION_OFFLINE] = { "offline", no_argument, "    --offline",
                             "Read sysfs and configuration, ask no daemon" },
        [OPTION_ROOT] = { "root", required_argument, "    --root=DIR",
                          "Read below DIR; only with --offline, check or cdi" },
        [OPTION_UNIT] = { "unit", required_argument, "    --unit=UNIT", "For, or of, this unit" },
        [OPTION_CGROUP] = { "cgroup", required_argument, "    --cgroup=PATH",
                            "For this control group, as below /sys/fs/cgroup" },
        [OPTION_PID] = { "pid", required_argument, "    --pid=PID", "For the unit of this process" },
        [OPTION_CONTAINER] = { "container", required_argument, "    --container=ID",
                               "For this container, by id or by name" },
        [OPTION_USER] = { "user", required_argument, "    --user=USER",
                          "Of this user; for explain: as if this user asked" },
        [OPTION_FOR_NOBODY] = { "for-nobody", no_argument, "    --for-nobody",
                                "The request has no user, and root owns the reservation" },
        [OPTION_FOR_USER] = { "for-user", required_argument, "    --for-user=USER",
                              "For this user, who owns the reservation" },
        [OPTION_LABEL] = { "label", required_argument, "    --label=KEY=VALUE",
                           "Label the target; may be repeated" },
        [OPTION_LEASE] = { "lease", required_argument, "    --lease=TIME",
                           "For how long: 90s, 1h 30min, infinity" },
        [OPTION_PRIORITY] = { "priority", required_argument, "    --priority=N",
                              "Higher wins; default: that of the rule" },
        [OPTION_QUEUE] = { "queue", optional_argument, "    --queue[=TIME]",
                           "Wait in the queue when the pool is full" },
        [OPTION_MIGRATE] = { "migrate", no_argument, "    --migrate", "Also move pages that exist already" },
        [OPTION_EXCLUSIVE] = { "exclusive", no_argument, "    --exclusive",
                               "Whole nodes, for this reservation alone" },
        [OPTION_NODES] = { "nodes", required_argument, "    --nodes=LIST", "Only these nodes: 2 or 2-3,5" },
        [OPTION_NEAR] = { "near", required_argument, "    --near=PCI",
                          "Prefer nodes near this PCI device: 0000:41:00.0" },
        [OPTION_MEM_POLICY] = { "mem-policy", required_argument, "    --mem-policy=P",
                                "prefer (default), bind, interleave or none" },
        [OPTION_HUGETLB] = { "hugetlb", no_argument, "    --hugetlb", "Of huge pages, if the node has any" },
        [OPTION_ALL] = { "all", no_argument, "    --all", "Everything; see above" },
        [OPTION_FULL] = { "full", no_argument, "-l, --full", "Cut and omit nothing on a terminal" },
        [OPTION_OUTPUT] = { "output", required_argument, "-o, --output=COL,...", "Show these columns" },
        [OPTION_QUIET] = { "quiet", no_argument, "-q, --quiet", "Print only results and errors" },
        [OPTION_POOL] = { "pool", required_argument, "    --pool=POOL", "Of this pool" },
        [OPTION_STATE] = { "state", required_argument, "    --state=STATE",
                           "queued, active, degraded, revoking or draining" },
        [OPTION_CHECK] = { "check", no_argument, "    --check", "Exit with 1 if there is a fault" },
        [OPTION_IGNORE] = { "ignore", required_argument, "    --ignore=NAME",
                            "Ignore this fault; may be repeated" },
        [OPTION_ANONYMOUS] = { "anonymous", no_argument, "    --anonymous",
                               "Replace names of users, home folders and the host" },
};

/* Long options get values that no short option has. */
#define VALUE_BASE 0x100

static void fill_getopt(struct option longs[static _OPTION_MAX + 1])
{
        for (int i = 0; i < _OPTION_MAX; i++)
                longs[i] = (struct option){ .name = option_table[i].name,
                                            .has_arg = option_table[i].has_arg,
                                            .val = VALUE_BASE + i };
        longs[_OPTION_MAX] = (struct option){ 0 };
}

static int parse_time(const char *option, const char *text, uint64_t *ret)
{
        if (timespan_parse(text, ret) < 0)
                return usage_error("--%s=%s is not a time; write 90s, 1h 30min or infinity", option, text);
        if (*ret == 0)
                return usage_error("--%s=%s: a time of zero makes no sense", option, text);
        return 0;
}

static int parse_nodes(Args *a, const char *text)
{
        int r = nodeset_parse(text, &a->node_set);

        if (r == -ERANGE)
                return usage_error("--nodes=%s: node numbers end at %d, and ranges run upwards", text,
                                   NODE_MAX - 1);
        if (r < 0 || nodeset_is_empty(&a->node_set))
                return usage_error("--nodes=%s is not a node list; write 2 or 2-3,5", text);
        a->nodes = text;
        return 0;
}

/* Like systemctl: a name without a suffix means a service. */
static int parse_unit(Args *a, const char *text)
{
        static const char *const suffixes[] = { ".service", ".scope",  ".slice", ".socket",
                                                ".mount",   ".swap",   ".timer", ".automount",
                                                ".path",    ".target", ".device" };
        bool has_suffix = false;

        if (!*text || strchr(text, '/') || strlen(text) > 255)
                return usage_error("--unit=%s is not a unit's name", text);

        const char *dot = strrchr(text, '.');
        for (size_t i = 0; dot && i < ARRAY_SIZE(suffixes); i++)
                has_suffix = has_suffix || strcmp(dot, suffixes[i]) == 0;

        free(a->unit);
        if (asprintf(&a->unit, "%s%s", text, has_suffix ? "" : ".service") < 0) {
                a->unit = NULL;
                return fail(CDM_EXIT_FAILED, "out of memory");
        }
        return 0;
}

static int parse_label(Args *a, const char *text)
{
        const char *why;
        int r = labels_parse(&a->labels, text, &why);

        if (r == -ENOMEM)
                return fail(CDM_EXIT_FAILED, "out of memory");
        return r < 0 ? usage_error("--label=%s %s", text, why) : 0;
}

static int parse_cgroup(Args *a, const char *text)
{
        if (text[0] != '/')
                return usage_error("--cgroup=%s: the path is below the cgroup root and starts with '/'",
                                   text);
        a->cgroup = text;
        return 0;
}

static int parse_number_option(Args *a, OptionId id, const char *text)
{
        int64_t v;

        if (id == OPTION_PID) {
                if (word_parse_number(text, 1, INT_MAX, &v) < 0)
                        return usage_error("--pid=%s is not a process id", text);
                a->pid = (uint32_t)v;
                return 0;
        }
        if (word_parse_number(text, INT32_MIN, INT32_MAX, &v) < 0)
                return usage_error("--priority=%s is not a number between %d and %d", text, INT32_MIN,
                                   INT32_MAX);
        a->priority = (int32_t)v;
        return 0;
}

static int parse_json(Args *a, const char *text)
{
        if (!text)
                a->style.json = JSON_PRETTY;
        else if (json_mode_from_string(text, &a->style.json) < 0)
                return usage_error("--json=%s: it is one of short, pretty and off", text);
        return 0;
}

static int parse_state(Args *a, const char *text)
{
        static const char *const states[] = { "queued", "active", "degraded", "revoking", "draining" };

        for (size_t i = 0; i < ARRAY_SIZE(states); i++)
                if (strcmp(states[i], text) == 0) {
                        a->state = text;
                        return 0;
                }
        return usage_error("--state=%s: it is one of queued, active, degraded, revoking and draining", text);
}

static int add_ignored(Args *a, char *name)
{
        size_t n = 0;

        while (a->ignored && a->ignored[n])
                n++;
        char **ignored = reallocarray(a->ignored, n + 2, sizeof(*ignored));
        if (!ignored)
                return fail(CDM_EXIT_FAILED, "out of memory");
        a->ignored = ignored;
        ignored[n] = name;
        ignored[n + 1] = NULL;
        return 0;
}

static int parse_view_option(Args *a, OptionId id, char *text)
{
        switch (id) {
        case OPTION_FULL:
                a->style.full = true;
                return 0;
        case OPTION_OUTPUT:
                a->style.columns = text;
                return 0;
        case OPTION_QUIET:
                a->style.quiet = true;
                return 0;
        case OPTION_POOL:
                a->pool = text;
                return 0;
        case OPTION_STATE:
                return parse_state(a, text);
        case OPTION_IGNORE:
                return add_ignored(a, text);
        default: /* flags: only args->given counts */
                return 0;
        }
}

static int parse_option(Args *a, OptionId id, char *text)
{
        a->given |= OPTION_BIT(id);

        switch (id) {
        case OPTION_JSON:
                return parse_json(a, text);
        case OPTION_NO_LEGEND:
                a->style.legend = false;
                return 0;
        case OPTION_OFFLINE:
                a->offline = true;
                return 0;
        case OPTION_ROOT:
                a->root = strcmp(text, "/") == 0 ? "" : text;
                return 0;
        case OPTION_UNIT:
                return parse_unit(a, text);
        case OPTION_CGROUP:
                return parse_cgroup(a, text);
        case OPTION_CONTAINER:
                a->container = text;
                return 0;
        case OPTION_USER:
                a->user = text;
                return 0;
        case OPTION_FOR_USER:
                a->for_user = text;
                return 0;
        case OPTION_LABEL:
                return parse_label(a, text);
        case OPTION_PID:
        case OPTION_PRIORITY:
                return parse_number_option(a, id, text);
        case OPTION_LEASE:
                return parse_time("lease", text, &a->lease_usec);
        case OPTION_QUEUE:
                a->queue_usec = TIMESPAN_INFINITY;
                return text ? parse_time("queue", text, &a->queue_usec) : 0;
        case OPTION_NODES:
                return parse_nodes(a, text);
        case OPTION_NEAR:
                a->near = text;
                return 0;
        case OPTION_MEM_POLICY:
                if (mem_policy_from_string(text, &a->mem_policy) < 0)
                        return usage_error("--mem-policy=%s: it is one of prefer, bind, interleave and none",
                                           text);
                return 0;
        default:
                return parse_view_option(a, id, text);
        }
}

const char *args_nearest_option(const char *name)
{
        const char *names[_OPTION_MAX];

        for (int i = 0; i < _OPTION_MAX; i++)
                names[i] = option_table[i].name;
        return conf_text_nearest(name, names, _OPTION_MAX);
}

static int unknown_option(const char *word)
{
        _cleanup_free_ char *name = strndup(word + 2, strcspn(word + 2, "="));
        const char *nearest = name ? args_nearest_option(name) : NULL;

        if (nearest)
                return usage_error("unknown option %s; did you mean --%s?", word, nearest);
        return usage_error("unknown option %s", word);
}

static int parse_short(Args *a, int c, char *text)
{
        switch (c) {
        case 'h':
                return parse_option(a, OPTION_HELP, NULL);
        case 'j':
                a->given |= OPTION_BIT(OPTION_JSON);
                a->style.json = isatty(STDOUT_FILENO) ? JSON_PRETTY : JSON_SHORT;
                return 0;
        case 'l':
                return parse_option(a, OPTION_FULL, NULL);
        case 'o':
                return parse_option(a, OPTION_OUTPUT, text);
        case 'q':
                return parse_option(a, OPTION_QUIET, NULL);
        default:
                return usage_error("unknown option -%c", c);
        }
}

static int parse_options(int argc, char **argv, Args *a)
{
        struct option longs[_OPTION_MAX + 1];
        int c;

        fill_getopt(longs);
        opterr = 0;
        while ((c = getopt_long(argc, argv, ":hjlo:q", longs, NULL)) >= 0) {
                int r;

                if (c >= VALUE_BASE)
                        r = parse_option(a, (OptionId)(c - VALUE_BASE), optarg);
                else if (c == ':')
                        r = usage_error("option %s needs a value", argv[optind - 1]);
                else if (optopt >= VALUE_BASE)
                        r = usage_error("option %s takes no value", argv[optind - 1]);
                else if (c == '?' && optopt == 0)
                        r = unknown_option(argv[optind - 1]);
                else
                        r = parse_short(a, c == '?' ? optopt : c, optarg);
                if (r != 0)
                        return r;
        }
        return 0;
}

/* For other verbs "--" only ends the options: the words after it are arguments like those before it. Moves
 * these words over the gap that "--" left in argv. */
static void join_positional(Args *a)
{
        char **to = a->positional + a->n_positional;

        for (char **from = a->command; *from; from++, a->n_positional++)
                *to++ = *from;
        *to = NULL;
        a->command = NULL;
}

bool args_verb_runs(const char *verb)
{
        return strcmp(verb, "run") == 0 || strcmp(verb, "buffer") == 0;
}

/* True if the option takes its value from the next word. */
static bool takes_next_word(const char *word)
{
        if (strcmp(word, "-o") == 0)
                return true;
        for (int i = 0; i < _OPTION_MAX; i++)
                if (strncmp(word, "--", 2) == 0 && strcmp(option_table[i].name, word + 2) == 0)
                        return option_table[i].has_arg == required_argument;
        return false;
}

/* Detects the most common mistake, `cdmctl run hbm 1G ls -l`, before getopt complains about -l. */
static int check_dashes(int argc, char **argv, const Args *a)
{
        char line[256] = "cdmctl";
        int n_words = 0;

        for (int i = 1; i < argc && !a->command; i++) {
                bool option = argv[i][0] == '-' && argv[i][1] != '\0';

                if (option && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0))
                        return 0;
                if (!option && n_words++ == 0 && !args_verb_runs(argv[i]))
                        return 0;
                if (n_words == 4) {
                        size_t n = strlen(line);
                        int more = argc > i + 1;

                        snprintf(line + n, sizeof(line) - n, " -- %s%s", argv[i], more ? " ..." : "");
                        return usage_error("put -- before the command: %s", line);
                }
                size_t n = strlen(line);
                snprintf(line + n, sizeof(line) - n, " %s", argv[i]);
                if (option && takes_next_word(argv[i]) && i + 1 < argc) {
                        n = strlen(line);
                        snprintf(line + n, sizeof(line) - n, " %s", argv[++i]);
                }
        }
        return 0;
}

static void find_bare_option(int argc, char **argv, Args *a)
{
        for (int i = 1; i + 1 < argc; i++)
                if ((strcmp(argv[i], "--queue") == 0 || strcmp(argv[i], "--json") == 0) &&
                    argv[i + 1][0] != '-') {
                        a->bare_option = argv[i];
                        a->bare_value = argv[i + 1];
                }
}

static int check_together(const Args *a)
{
        int n = (a->unit != NULL) + (a->cgroup != NULL) + (a->pid != 0) + (a->container != NULL);

        if (n > 1)
                return usage_error("--unit, --cgroup, --pid and --container exclude each other");
        if (a->style.columns && a->style.json != JSON_OFF)
                return usage_error("-o is for tables; JSON always has all keys");
        return container_check(a);
}

int args_parse(int argc, char **argv, Args *a, const char **ret_verb)
{
        *a = (Args){ .style.legend = true, .root = "", .mem_policy = MEM_POLICY_PREFER };

        /* Cut off what follows "--" first: getopt would mix it with the words before it. */
        for (int i = 1; i < argc; i++) {
                if (strcmp(argv[i], "--") == 0) {
                        a->command = argv + i + 1;
                        argv[i] = NULL;
                        argc = i;
                        break;
                }
        }

        *ret_verb = NULL;
        find_bare_option(argc, argv, a);
        int r = check_dashes(argc, argv, a);
        if (r == 0)
                r = parse_options(argc, argv, a);
        if (r != 0)
                return r;

        *ret_verb = optind < argc ? argv[optind++] : NULL;
        a->positional = argv + optind;
        a->n_positional = argc - optind;
        if (*ret_verb && a->command && !args_verb_runs(*ret_verb))
                join_positional(a);
        return check_together(a);
}

void args_clear(Args *a)
{
        free(a->unit);
        a->unit = NULL;
        labels_clear(&a->labels);
        free(a->ignored);
        a->ignored = NULL;
}

const char *args_misplaced(const Args *a, uint64_t allowed)
{
        uint64_t wrong = a->given & ~allowed;

        return wrong ? option_table[__builtin_ctzll(wrong)].name : NULL;
}

void args_print_help(uint64_t options, size_t width)
{
        char left[64];

        for (int i = 0; i < _OPTION_MAX; i++) {
                if (!(options & OPTION_BIT(i)))
                        continue;
                snprintf(left, sizeof(left), "  %s", option_table[i].usage);
                text_entry(left, option_table[i].help, HELP_OPTION_COLUMN, width);
        }
}

int args_parse_id(const char *text, uint32_t *ret)
{
        int64_t v;

        if (word_parse_number(text, 1, UINT32_MAX, &v) < 0)
                return usage_error("'%s' is not a reservation's id; `cdmctl list` shows them", text);
        *ret = (uint32_t)v;
        return 0;
}

int args_parse_size(const char *text, Size *ret)
{
        Size size;

        int r = size_parse(text, &size);
        if (r == -ERANGE)
                return usage_error("'%s': the size is out of range; it ends at 2^63 - 1 bytes, or 100%%",
                                   text);
        if (r < 0)
                return usage_error("'%s' is not a size; write 16G, 512M, bytes or 50%%", text);
        if (size.value == 0)
                return usage_error("'%s': the size must be at least 1 byte", text);
        *ret = size;
        return 0;
}

int args_parse_pool_size(const Args *a, const char **ret_pool, Size *ret_size)
{
        const char *pool = a->positional[0];
        Size size;

        int status = args_parse_size(a->positional[1], &size);
        if (status != 0)
                return status;
        if (!*pool)
                return usage_error("the name of the pool is empty");

        *ret_pool = pool;
        *ret_size = size;
        return 0;
}
