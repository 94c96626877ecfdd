/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/conf-text.h"
#include "policy/conf-values.h"
#include "policy/word.h"

/* "KEY=VALUE reason" */
static int conf_value_bad_value(ConfFile *f, const ConfKey *key, const char *value, const char *reason)
{
        conf_file_error(f, f->line, "%s=%s %s", key->name, value, reason);
        return 0;
}

int conf_set_bool(ConfFile *f, const ConfKey *key, const char *value, void *field)
{
        if (word_parse_bool(value, field) == 0)
                return 0;
        return conf_value_bad_value(f, key, value, "is neither yes nor no; write one of them");
}

int conf_set_unsigned(ConfFile *f, const ConfKey *key, const char *value, void *field)
{
        int64_t number;

        if (word_parse_number(value, 0, UINT32_MAX, &number) < 0)
                return conf_value_bad_value(f, key, value, "is not a number from 0 to 4294967295");
        *(unsigned *)field = (unsigned)number;
        return 0;
}

/* Upper bound for the questions after a restart, when cdmd asks the bus about the client of every waiter. */
#define QUEUE_MAX_MAX 4096

int conf_set_queue_max(ConfFile *f, const ConfKey *key, const char *value, void *field)
{
        int64_t number;

        int r = word_parse_number(value, 0, QUEUE_MAX_MAX, &number);
        if (r == -ERANGE && value[0] != '-')
                return conf_value_bad_value(f, key, value,
                                            "is more than cdmd can queue; write a number from 0 to 4096");
        if (r < 0)
                return conf_value_bad_value(f, key, value, "is not a number from 0 to 4096");
        *(unsigned *)field = (unsigned)number;
        return 0;
}

int conf_set_priority(ConfFile *f, const ConfKey *key, const char *value, void *field)
{
        int64_t number;

        if (word_parse_number(value, INT32_MIN, INT32_MAX, &number) < 0)
                return conf_value_bad_value(f, key, value,
                                            "is not a whole number from -2147483648 to 2147483647");
        *(int32_t *)field = (int32_t)number;
        return 0;
}

int conf_set_tier(ConfFile *f, const ConfKey *key, const char *value, void *field)
{
        int64_t number;

        if (word_parse_number(value, 0, INT32_MAX, &number) < 0)
                return conf_value_bad_value(f, key, value,
                                            "is not a memory tier; write the number N of a memory_tierN in "
                                            "/sys/devices/virtual/memory_tiering");
        *(int *)field = (int)number;
        return 0;
}

int conf_set_lease(ConfFile *f, const ConfKey *key, const char *value, void *field)
{
        uint64_t usec;
        int r = timespan_parse(value, &usec);

        if (r == -ERANGE)
                return conf_value_bad_value(f, key, value, "is too long; write infinity for no end");
        if (r < 0)
                return conf_value_bad_value(
                        f, key, value,
                        "is not a time span; write for example 90s, 8h, 1h 30min or infinity");
        if (usec == 0)
                return conf_value_bad_value(f, key, value,
                                            "would end immediately; write at least 1s, or infinity");
        *(uint64_t *)field = usec;
        return 0;
}

int conf_set_grace(ConfFile *f, const ConfKey *key, const char *value, void *field)
{
        uint64_t usec;

        if (timespan_parse(value, &usec) < 0 || usec == TIMESPAN_INFINITY)
                return conf_value_bad_value(
                        f, key, value, "is no time to wait; write for example 10s, or 0 for no warning");
        *(uint64_t *)field = usec;
        return 0;
}

/* MaxLatency= is in nanoseconds, the unit of HMAT. */
int conf_set_nanoseconds(ConfFile *f, const ConfKey *key, const char *value, void *field)
{
        _cleanup_free_ char *digits = strdup(value);
        size_t n = strlen(value);
        int64_t number;

        if (!digits)
                return -ENOMEM;
        if (n > 2 && strcmp(digits + n - 2, "ns") == 0)
                digits[n - 2] = '\0';
        if (word_parse_number(digits, 1, INT64_MAX, &number) < 0)
                return conf_value_bad_value(f, key, value,
                                            "is not a latency in nanoseconds; write for example 150ns");
        *(uint64_t *)field = (uint64_t)number;
        return 0;
}

static bool conf_value_read_size(ConfFile *f, const ConfKey *key, const char *value, Size *ret)
{
        Size size;
        int r = size_parse(value, &size);

        if (r == -ERANGE)
                conf_value_bad_value(f, key, value,
                                     strchr(value, '%') ? "is more than 100%" : "is more than 2^63-1 bytes");
        else if (r < 0 && value[0] == '-')
                conf_value_bad_value(f, key, value, "is negative; sizes start at 0");
        else if (r < 0 && key->flags & KEY_PERCENT)
                conf_value_bad_value(f, key, value,
                                     "is not a size; write bytes, or for example 512M, 16G or 50%");
        else if (r < 0)
                conf_value_bad_value(f, key, value,
                                     "is not a size; write bytes, or for example 512M or 16G");
        else if (size.percent && !(key->flags & KEY_PERCENT))
                conf_value_bad_value(f, key, value,
                                     "is a percentage, but there is nothing to take it of; write bytes");
        else if (size.value == 0 && key->flags & KEY_NONZERO)
                conf_value_bad_value(f, key, value,
                                     "leaves nothing; to refuse requests write Deny=yes, else leave "
                                     "the key out");
        else {
                *ret = size;
                return true;
        }
        return false;
}

int conf_set_size(ConfFile *f, const ConfKey *key, const char *value, void *field)
{
        conf_value_read_size(f, key, value, field);
        return 0;
}

/* Limit=infinity is valid, and leaves has_limit false. */
int conf_set_limit(ConfFile *f, const ConfKey *key, const char *value, void *field)
{
        if (strcmp(value, "infinity") != 0)
                f->rule->has_limit = conf_value_read_size(f, key, value, field);
        return 0;
}

int conf_set_bytes(ConfFile *f, const ConfKey *key, const char *value, void *field)
{
        Size size;

        if (conf_value_read_size(f, key, value, &size))
                *(uint64_t *)field = size.value;
        return 0;
}

/* HMAT's unit is MB/s. A value that is not 0 must not be rounded to 0, which means "any". */
int conf_set_bandwidth_mbps(ConfFile *f, const ConfKey *key, const char *value, void *field)
{
        Size size;

        if (conf_value_read_size(f, key, value, &size))
                *(uint64_t *)field = size_round_up(size.value, UINT64_C(1) << 20) >> 20;
        return 0;
}

int conf_set_string(ConfFile *f, const ConfKey *key, const char *value, void *field)
{
        char *copy = strdup(value);

        if (!copy)
                return -ENOMEM;
        free(*(char **)field);
        *(char **)field = copy;
        return 0;
}

int conf_set_mode(ConfFile *f, const ConfKey *key, const char *value, void *field)
{
        if (fence_mode_from_string(value, field) < 0)
                return conf_value_bad_value(f, key, value, "is no mode; write enforce, observe or off");
        return 0;
}

int conf_set_on_full(ConfFile *f, const ConfKey *key, const char *value, void *field)
{
        if (on_full_from_string(value, field) < 0)
                return conf_value_bad_value(f, key, value, "is not known; write deny, queue or preempt");
        return 0;
}

int conf_set_on_overrun(ConfFile *f, const ConfKey *key, const char *value, void *field)
{
        if (on_overrun_from_string(value, field) < 0)
                return conf_value_bad_value(f, key, value, "is not known; write push-back, warn or revoke");
        return 0;
}

/* Parses a list of nodes, for Nodes= and Pin=. */
static bool conf_value_read_nodes(ConfFile *f, const ConfKey *key, const char *value, const char *list,
                                  NodeSet *ret)
{
        NodeSet set = NODESET_EMPTY;
        int r = nodeset_parse(list, &set);

        if (r == -ERANGE)
                conf_value_bad_value(f, key, value,
                                     "names a node above 1023, or a range that runs backwards");
        else if (r < 0 || nodeset_is_empty(&set))
                conf_value_bad_value(f, key, value,
                                     "is not a list of nodes; write for example 2-3 or 0,2 without spaces");
        else {
                *ret = set;
                return true;
        }
        return false;
}

int conf_set_nodes(ConfFile *f, const ConfKey *key, const char *value, void *field)
{
        unsigned before = f->pool->nodes_line;
        bool is_auto = strcmp(value, "auto") == 0;
        NodeSet nodes;

        if (before != 0 && is_auto != f->pool->nodes_auto) {
                conf_file_error(f, f->line,
                                "%s= is both auto and a list of nodes, first on line %u; remove one of them",
                                key->name, before);
                return 0;
        }
        f->pool->nodes_auto = is_auto;
        if (!is_auto && conf_value_read_nodes(f, key, value, value, &nodes))
                *(NodeSet *)field = nodeset_union(field, &nodes);
        return 0;
}

int conf_set_rule_nodes(ConfFile *f, const ConfKey *key, const char *value, void *field)
{
        NodeSet nodes;

        if (conf_value_read_nodes(f, key, value, value, &nodes))
                *(NodeSet *)field = nodeset_union(field, &nodes);
        return 0;
}

static size_t conf_value_count_words(char *const *words)
{
        size_t n = 0;

        while (words && words[n])
                n++;
        return n;
}

/* The words of several lines add up. */
int conf_set_words(ConfFile *f, const ConfKey *key, const char *value, void *field)
{
        char **words, **all = *(char ***)field;
        int r = conf_words_split(value, &words);

        if (r < 0)
                return r;
        for (char **word = words; *word; word++) {
                const char *reason = key->check(*word);

                if (reason)
                        conf_file_error(f, f->line, "%s=: \"%s\" %s", key->name, *word, reason);
        }
        size_t before = conf_value_count_words(all), n = conf_value_count_words(words);
        all = reallocarray(all, before + n + 1, sizeof(*all));
        if (!all) {
                conf_words_free(words);
                return -ENOMEM;
        }
        memcpy(all + before, words, (n + 1) * sizeof(*all));
        free(words);
        *(char ***)field = all;
        return 0;
}

static bool conf_value_words_contain(char *const *words, const char *word)
{
        for (; words && *words; words++)
                if (strcmp(*words, word) == 0)
                        return true;
        return false;
}

static int conf_value_append_word(char ***words, const char *word)
{
        size_t n = conf_value_count_words(*words);
        char **longer = reallocarray(*words, n + 2, sizeof(*longer));

        if (!longer)
                return -ENOMEM;
        *words = longer;
        longer[n] = strdup(word);
        longer[n + 1] = NULL;
        return longer[n] ? 0 : -ENOMEM;
}

int conf_set_exempt(ConfFile *f, const ConfKey *key, const char *value, void *field)
{
        char **words, ***exempt = field;
        int r;

        if (value[0] == '\0') {
                *exempt = conf_words_free(*exempt);
                return 0;
        }
        r = conf_words_split(value, &words);
        for (char **word = words; r == 0 && *word; word++) {
                const char *reason = conf_check_unit(*word);

                if (reason)
                        conf_file_error(f, f->line, "%s=: \"%s\" %s", key->name, *word, reason);
                else if (!conf_value_words_contain(*exempt, *word))
                        r = conf_value_append_word(exempt, *word);
        }
        conf_words_free(words);
        return r;
}

static void conf_value_drop_pin(Config *c, size_t i)
{
        free(c->pins[i].unit);
        memmove(&c->pins[i], &c->pins[i + 1], (--c->n_pins - i) * sizeof(*c->pins));
}

/* Replaces a pin from an earlier file; two pins in one file are a contradiction. Takes ownership of unit. */
static int conf_value_add_pin(ConfFile *f, char *unit, const NodeSet *nodes)
{
        Config *c = f->config;
        Pin *pins;

        for (size_t i = 0; i < c->n_pins; i++) {
                if (strcmp(c->pins[i].unit, unit) != 0)
                        continue;
                if (i >= f->first_pin)
                        conf_file_error(f, f->line, "Pin=: \"%s\" is pinned twice in this file; remove one",
                                        unit);
                else
                        f->first_pin--;
                conf_value_drop_pin(c, i);
                break;
        }
        pins = reallocarray(c->pins, c->n_pins + 1, sizeof(*pins));
        if (!pins) {
                free(unit);
                return -ENOMEM;
        }
        c->pins = pins;
        c->pins[c->n_pins++] = (Pin){ .unit = unit, .nodes = *nodes };
        return 0;
}

/* UNIT:NODES; a unit's name may hold colons, a node list never does. */
static int conf_value_set_pin_word(ConfFile *f, const ConfKey *key, const char *word)
{
        const char *colon = strrchr(word, ':'), *reason;
        _cleanup_free_ char *unit = NULL;
        NodeSet nodes;

        if (!colon)
                return conf_value_bad_value(f, key, word,
                                            "is not UNIT:NODES; write for example db.service:1");
        unit = strndup(word, (size_t)(colon - word));
        if (!unit)
                return -ENOMEM;
        reason = conf_check_unit(unit);
        if (reason) {
                conf_file_error(f, f->line, "%s=: \"%s\" %s", key->name, unit, reason);
                return 0;
        }
        if (!conf_value_read_nodes(f, key, word, colon + 1, &nodes))
                return 0;
        return conf_value_add_pin(f, TAKE_PTR(unit), &nodes);
}

int conf_set_pin(ConfFile *f, const ConfKey *key, const char *value, void *field)
{
        char **words;
        int r;

        if (value[0] == '\0') {
                while (f->config->n_pins > 0)
                        conf_value_drop_pin(f->config, f->config->n_pins - 1);
                f->first_pin = 0;
                return 0;
        }
        r = conf_words_split(value, &words);
        for (char **word = words; r == 0 && *word; word++)
                r = conf_value_set_pin_word(f, key, *word);
        conf_words_free(words);
        return r;
}

static int conf_value_add_subtree(Config *c, const char *word)
{
        Subtree s, *longer;
        int r = subtree_parse(word, &s);

        if (r < 0)
                return r;
        for (size_t i = 0; i < c->n_subtrees; i++)
                if (subtree_equal(&c->subtrees[i], &s)) {
                        subtree_clear(&s);
                        return 0;
                }
        longer = reallocarray(c->subtrees, c->n_subtrees + 1, sizeof(*longer));
        if (!longer) {
                subtree_clear(&s);
                return -ENOMEM;
        }
        c->subtrees = longer;
        longer[c->n_subtrees++] = s;
        return 0;
}

int conf_set_subtree(ConfFile *f, const ConfKey *key, const char *value, void *field)
{
        Config *c = f->config;
        char **words;
        int r;

        if (value[0] == '\0') {
                while (c->n_subtrees > 0)
                        subtree_clear(&c->subtrees[--c->n_subtrees]);
                return 0;
        }
        r = conf_words_split(value, &words);
        for (char **word = words; r == 0 && *word; word++) {
                const char *reason = subtree_check(*word);

                if (reason)
                        conf_file_error(f, f->line, "%s=: \"%s\" %s", key->name, *word, reason);
                else
                        r = conf_value_add_subtree(c, *word);
        }
        conf_words_free(words);
        return r;
}
