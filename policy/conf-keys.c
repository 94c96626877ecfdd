/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/conf-keys.h"
#include "policy/conf-text.h"
#include "policy/conf-values.h"

typedef enum ConfSection {
        SECTION_FENCE,
        SECTION_RESERVATIONS,
        SECTION_DRAIN,
        SECTION_POOL,
        SECTION_MATCH,
        SECTION_GRANT,
        _SECTION_MAX,
} ConfSection;

static const struct {
        const char *name;
        ConfKind kind;
} sections[_SECTION_MAX] = {
        [SECTION_FENCE] = { "Fence", CONF_MAIN },   [SECTION_RESERVATIONS] = { "Reservations", CONF_MAIN },
        [SECTION_DRAIN] = { "Drain", CONF_MAIN },   [SECTION_POOL] = { "Pool", CONF_POOL },
        [SECTION_MATCH] = { "Match", CONF_POLICY }, [SECTION_GRANT] = { "Grant", CONF_POLICY },
};

static const char *const kind_names[_CONF_KIND_MAX] = {
        [CONF_MAIN] = "cdmd.conf",
        [CONF_POOL] = "a file of pools.d",
        [CONF_POLICY] = "a file of policy.d",
};

static const char *const kind_sections[_CONF_KIND_MAX] = {
        [CONF_MAIN] = "[Fence], [Reservations] and [Drain]",
        [CONF_POOL] = "[Pool]",
        [CONF_POLICY] = "[Match] and [Grant]",
};

static void *conf_keys_field_at(const ConfFile *f, size_t offset)
{
        char *base = f->kind == CONF_MAIN   ? (char *)f->config
                     : f->kind == CONF_POOL ? (char *)f->pool
                                            : (char *)f->rule;

        return base + offset;
}

/* clang-format off */
#define MAIN(field) offsetof(Config, field)
#define POOL(field) offsetof(PoolConfig, field)
#define RULE(field) offsetof(Rule, field)
#define WORDS(field, check_) conf_set_words, RULE(field), .check = check_, .flags = KEY_LIST
#define RULE_LINE(key) .line_offset = offsetof(Rule, key_line[RULE_KEY_##key])

static const ConfKey keys[] = {
        { SECTION_FENCE, "Mode", conf_set_mode, MAIN(mode) },
        { SECTION_FENCE, "Exempt", conf_set_exempt, MAIN(exempt), .flags = KEY_REPEATS },
        { SECTION_FENCE, "Pin", conf_set_pin, MAIN(pins), .flags = KEY_REPEATS },
        { SECTION_FENCE, "Subtree", conf_set_subtree, MAIN(subtrees), .flags = KEY_REPEATS },
        { SECTION_RESERVATIONS, "MaxPerUser", conf_set_unsigned, MAIN(max_per_user) },
        { SECTION_RESERVATIONS, "QueueMax", conf_set_queue_max, MAIN(queue_max) },
        { SECTION_RESERVATIONS, "DefaultLease", conf_set_lease, MAIN(default_lease_usec) },
        { SECTION_RESERVATIONS, "GracePeriod", conf_set_grace, MAIN(grace_usec) },
        { SECTION_DRAIN, "Bandwidth", conf_set_bytes, MAIN(drain_bandwidth) },

        { SECTION_POOL, "Description", conf_set_string, POOL(description) },
        { SECTION_POOL, "Nodes", conf_set_nodes, POOL(nodes), .line_offset = POOL(nodes_line),
          .flags = KEY_LIST },
        { SECTION_POOL, "MinBandwidth", conf_set_bandwidth_mbps, POOL(min_bandwidth_mbps) },
        { SECTION_POOL, "MaxLatency", conf_set_nanoseconds, POOL(max_latency_ns) },
        { SECTION_POOL, "Tier", conf_set_tier, POOL(tier) },
        { SECTION_POOL, "Dax", conf_set_bool, POOL(dax) },
        { SECTION_POOL, "Headroom", conf_set_size, POOL(headroom), .flags = KEY_PERCENT },
        { SECTION_POOL, "Hold", conf_set_bool, POOL(hold) },
        { SECTION_POOL, "CdiSizes", conf_set_words, POOL(cdi_sizes), .check = conf_check_cdi_size,
          .flags = KEY_LIST },

        { SECTION_MATCH, "Pool", WORDS(pools, conf_check_pool_glob) },
        { SECTION_MATCH, "Unit", WORDS(units, conf_check_unit_glob) },
        { SECTION_MATCH, "Slice", WORDS(slices, conf_check_slice_glob) },
        { SECTION_MATCH, "CGroup", WORDS(cgroups, conf_check_cgroup_glob) },
        { SECTION_MATCH, "Container", WORDS(containers, conf_check_container_glob) },
        { SECTION_MATCH, "Label", WORDS(labels, conf_check_label_glob), RULE_LINE(LABEL) },
        { SECTION_MATCH, "User", WORDS(users, conf_check_user), RULE_LINE(USER) },
        { SECTION_MATCH, "Group", WORDS(groups, conf_check_user), RULE_LINE(GROUP) },

        { SECTION_GRANT, "Deny", conf_set_bool, RULE(deny), RULE_LINE(DENY) },
        { SECTION_GRANT, "Limit", conf_set_limit, RULE(limit), RULE_LINE(LIMIT),
          .flags = KEY_PERCENT | KEY_NONZERO },
        { SECTION_GRANT, "Quota", conf_set_size, RULE(quota), RULE_LINE(QUOTA), .has_offset = RULE(has_quota),
          .flags = KEY_PERCENT | KEY_NONZERO },
        { SECTION_GRANT, "QuotaPerUser", conf_set_size, RULE(user_quota), RULE_LINE(USER_QUOTA),
          .has_offset = RULE(has_user_quota), .flags = KEY_PERCENT | KEY_NONZERO },
        { SECTION_GRANT, "Nodes", conf_set_rule_nodes, RULE(nodes), RULE_LINE(NODES), .flags = KEY_LIST },
        { SECTION_GRANT, "Lease", conf_set_lease, RULE(lease_usec), RULE_LINE(LEASE) },
        { SECTION_GRANT, "Priority", conf_set_priority, RULE(priority), RULE_LINE(PRIORITY) },
        { SECTION_GRANT, "DefaultPriority", conf_set_priority, RULE(default_priority),
          RULE_LINE(DEFAULT_PRIORITY) },
        { SECTION_GRANT, "OnFull", conf_set_on_full, RULE(on_full), RULE_LINE(ON_FULL) },
        { SECTION_GRANT, "OnOverrun", conf_set_on_overrun, RULE(on_overrun) },
        { SECTION_GRANT, "Static", conf_set_size, RULE(static_size), .has_offset = RULE(has_static),
          .flags = KEY_PERCENT | KEY_NONZERO },
        { SECTION_GRANT, "StaticRequired", conf_set_bool, RULE(static_required) },
        { SECTION_GRANT, "Exclusive", conf_set_bool, RULE(exclusive), RULE_LINE(EXCLUSIVE) },
};
/* clang-format on */

_Static_assert(ARRAY_SIZE(keys) <= CONF_KEYS_MAX, "CONF_KEYS_MAX");
_Static_assert(_SECTION_MAX <= CONF_SECTIONS_MAX, "CONF_SECTIONS_MAX");

static int conf_keys_find_section(const char *name, ConfSection *ret)
{
        for (unsigned i = 0; i < _SECTION_MAX; i++)
                if (strcmp(sections[i].name, name) == 0) {
                        *ret = (ConfSection)i;
                        return 0;
                }
        return -ENOENT;
}

int conf_kind_of_file(const char *path, const char *text, size_t n, ConfKind *ret)
{
        static const struct {
                const char *pattern;
                ConfKind kind;
        } folders[] = {
                { "*/pools.d/*", CONF_POOL },     { "pools.d/*", CONF_POOL },
                { "*/policy.d/*", CONF_POLICY },  { "policy.d/*", CONF_POLICY },
                { "*/cdmd.conf.d/*", CONF_MAIN }, { "cdmd.conf.d/*", CONF_MAIN },
                { "*/cdmd.conf", CONF_MAIN },     { "cdmd.conf", CONF_MAIN },
        };

        for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
                if (fnmatch(folders[i].pattern, path, 0) == 0) {
                        *ret = folders[i].kind;
                        return 0;
                }
        for (const char *end = text + n; text < end;) {
                const char *newline = memchr(text, '\n', (size_t)(end - text));
                size_t length = (size_t)((newline ? newline : end) - text);
                _cleanup_free_ char *line = strndup(text, length);
                const char *section;
                ConfSection s;

                if (!line)
                        return -ENOMEM;
                if (line[0] == '[' && conf_line_classify(line, &section) == CONF_LINE_SECTION &&
                    conf_keys_find_section(section, &s) == 0) {
                        *ret = sections[s].kind;
                        return 0;
                }
                text = newline ? newline + 1 : end;
        }
        return -ENOENT;
}

void conf_file_section_lost(ConfFile *f)
{
        f->in_grant = false;
}

bool conf_file_section(ConfFile *f, const char *name)
{
        const char *candidates[_SECTION_MAX], *nearest;
        size_t n = 0;
        ConfSection s;

        f->in_grant = false;
        if (conf_keys_find_section(name, &s) < 0) {
                for (unsigned i = 0; i < _SECTION_MAX; i++)
                        if (sections[i].kind == f->kind)
                                candidates[n++] = sections[i].name;
                nearest = conf_text_nearest(name, candidates, n);
                f->in_grant = nearest && strcmp(nearest, sections[SECTION_GRANT].name) == 0;
                if (nearest)
                        conf_file_error(f, f->line, "unknown section [%s]; did you mean [%s]?", name,
                                        nearest);
                else
                        conf_file_error(f, f->line, "unknown section [%s]; %s has %s", name,
                                        kind_names[f->kind], kind_sections[f->kind]);
                return false;
        }
        if (sections[s].kind != f->kind) {
                conf_file_error(f, f->line, "[%s] does not belong here; it is for %s", name,
                                kind_names[sections[s].kind]);
                return false;
        }
        f->in_grant = s == SECTION_GRANT;
        if (f->section_line[s] == 0)
                f->section_line[s] = f->line;
        return true;
}

static void conf_keys_report_unknown_key(ConfFile *f, ConfSection s, const char *name)
{
        const char *candidates[ARRAY_SIZE(keys)], *nearest;
        size_t n = 0;

        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                if (keys[i].section == s)
                        candidates[n++] = keys[i].name;
                else if (strcmp(keys[i].name, name) == 0 && sections[keys[i].section].kind == f->kind) {
                        f->match_lost = true;
                        conf_file_error(f, f->line, "%s= does not belong into [%s]; move it to [%s]", name,
                                        sections[s].name, sections[keys[i].section].name);
                        return;
                }
        }
        nearest = conf_text_nearest(name, candidates, n);
        if (nearest)
                conf_file_error(f, f->line, "unknown key \"%s\" in [%s]; did you mean \"%s\"?", name,
                                sections[s].name, nearest);
        else
                conf_file_error(f, f->line, "unknown key \"%s\" in [%s]; remove it, or see %s for the keys",
                                name, sections[s].name,
                                f->kind == CONF_MAIN   ? "cdmd.conf(5)"
                                : f->kind == CONF_POOL ? "cdm-pool(5)"
                                                       : "cdm-policy(5)");
}

static void conf_keys_set_key(ConfFile *f, size_t i, const char *value)
{
        const ConfKey *key = &keys[i];
        int r;

        if (f->key_line[i] != 0 && !(key->flags & (KEY_REPEATS | KEY_LIST))) {
                conf_file_error(f, f->line, "%s= is given twice, first on line %u; remove one of them",
                                key->name, f->key_line[i]);
                return;
        }
        if (f->key_line[i] == 0)
                f->key_line[i] = f->line;
        if (value[0] == '\0' && !(key->flags & KEY_REPEATS)) {
                conf_file_error(f, f->line,
                                "%s= has no value; write one, or remove the line for the default",
                                key->name);
                return;
        }
        r = key->set(f, key, value, conf_keys_field_at(f, key->offset));
        if (r < 0)
                f->error = r;
        if (key->line_offset != 0)
                *(unsigned *)conf_keys_field_at(f, key->line_offset) = f->key_line[i];
        if (key->has_offset != 0)
                *(bool *)conf_keys_field_at(f, key->has_offset) = true;
}

void conf_file_set(ConfFile *f, const char *section, const char *name, const char *value)
{
        ConfSection s;

        if (conf_keys_find_section(section, &s) < 0) {
                for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                        if (keys[i].section == SECTION_MATCH && strcmp(keys[i].name, name) == 0)
                                f->match_lost = true;
                return;
        }
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                if (keys[i].section == s && strcmp(keys[i].name, name) == 0) {
                        conf_keys_set_key(f, i, value);
                        return;
                }
        conf_keys_report_unknown_key(f, s, name);
}

unsigned conf_file_key_line(const ConfFile *f, const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                if (sections[keys[i].section].kind == f->kind && strcmp(keys[i].name, name) == 0)
                        return f->key_line[i];
        return 0;
}

static void conf_keys_finish_cdi(ConfFile *f)
{
        unsigned line = conf_file_key_line(f, "CdiSizes");
        const char *reason = f->pool->cdi_sizes ? conf_check_cdi_class(f->pool->name) : NULL;

        if (reason)
                conf_file_error(f, line, "CdiSizes=: the pool's name, \"%s\", %s", f->pool->name, reason);
        for (char **size = f->pool->cdi_sizes; size && *size; size++)
                for (char **other = f->pool->cdi_sizes; other != size; other++)
                        if (strcmp(*size, *other) == 0) {
                                conf_file_error(f, line,
                                                "CdiSizes=: \"%s\" is given twice; remove one of them",
                                                *size);
                                break;
                        }
}

static void conf_keys_finish_pool(ConfFile *f)
{
        static const char *const selectors[] = { "MinBandwidth", "MaxLatency", "Tier", "Dax" };

        f->pool->line = f->section_line[SECTION_POOL];
        if (f->pool->line == 0)
                conf_file_error(f, 1,
                                "there is no [Pool] section; write [Pool] and below it Nodes=auto or a "
                                "list of nodes (to mask a pool, link its file to /dev/null)");
        for (size_t i = 0; i < ARRAY_SIZE(selectors) && !f->pool->nodes_auto; i++) {
                unsigned line = conf_file_key_line(f, selectors[i]);

                if (line != 0)
                        conf_file_error(f, line,
                                        "%s= selects among the nodes of Nodes=auto; remove it, or "
                                        "the list of nodes on line %u",
                                        selectors[i], f->pool->nodes_line);
        }
        conf_keys_finish_cdi(f);
}

static void conf_keys_finish_static(ConfFile *f)
{
        const Rule *rule = f->rule;
        unsigned line = conf_file_key_line(f, "Static");

        if (rule->deny)
                conf_file_error(f, line, "Static= reserves and Deny=yes refuses; remove one of them");
        if (!rule->units)
                conf_file_error(f, line,
                                "Static= needs to know for which units it reserves; add Unit= to "
                                "[Match]");
        for (char **unit = rule->units; unit && *unit; unit++) {
                const char *reason = conf_check_static_unit(*unit);

                if (reason)
                        conf_file_error(f, conf_file_key_line(f, "Unit"), "Unit=: \"%s\" %s", *unit, reason);
        }
}

/* A rule must state a limit, so that a forgotten Limit= does not give away the whole pool. */
static void conf_keys_finish_limits(ConfFile *f)
{
        static const char *const limits[] = { "Limit", "Quota", "QuotaPerUser", "Static" };
        Rule *rule = f->rule;
        bool limited = rule->deny;

        for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
                limited = limited || conf_file_key_line(f, limits[i]) != 0;
        if (!limited && f->n_errors == 0)
                conf_file_error(f,
                                f->section_line[SECTION_GRANT] ? f->section_line[SECTION_GRANT] : rule->line,
                                "the rule grants without any limit; write Limit= or Quota= into [Grant], "
                                "Limit=infinity if no limit is what you want, or Deny=yes");
        if (rule->has_static && conf_file_key_line(f, "Limit") == 0) {
                rule->has_limit = rule->limit_is_static = true;
                rule->limit = rule->static_size;
                rule->key_line[RULE_KEY_LIMIT] = conf_file_key_line(f, "Static");
        }
}

/* Without DefaultPriority= the default is 0. If Priority= is below that, requests without --priority are
 * refused, as in versions without DefaultPriority=; that is not an error. */
static void conf_keys_finish_priority(ConfFile *f)
{
        const Rule *rule = f->rule;
        unsigned line = conf_file_key_line(f, "DefaultPriority");

        if (line != 0 && rule->default_priority > rule->priority)
                conf_file_error(f, line,
                                "DefaultPriority=%d is over Priority=%d, the highest that may be asked for; "
                                "lower the one or raise the other",
                                (int)rule->default_priority, (int)rule->priority);
}

/* Warns of settings that are valid, but probably not intended. */
static void conf_keys_warn_of_labels(ConfFile *f)
{
        const Rule *rule = f->rule;
        unsigned line = rule_line(rule, RULE_KEY_LABEL);
        int r = 0;

        if (rule->labels && rule->deny)
                r = conf_messages_add(f->messages, CONF_WARNING, f->path, line,
                                      "Deny=yes with Label= does not refuse requests without that label; "
                                      "allow with Label= what is allowed, and deny the rest without Label=");
        for (char **word = rule->labels; r >= 0 && word && *word; word++) {
                size_t n = strcspn(*word, "=");

                if (!label_key_is_known(*word, n))
                        r = conf_messages_add(
                                f->messages, CONF_WARNING, f->path, line,
                                "Label=: the key \"%.*s\" is unknown; known keys are " LABEL_KEYS_KNOWN
                                ", and a key of your own must contain a dot",
                                (int)n, *word);
        }
        if (r < 0)
                f->error = r;
}

static void conf_keys_finish_rule(ConfFile *f)
{
        bool matches = false;

        f->in_grant = false;
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                if (keys[i].section == SECTION_MATCH && f->key_line[i] != 0)
                        matches = true;

        f->rule->line = f->section_line[SECTION_MATCH];
        if (f->rule->line == 0)
                conf_file_error(f, 1,
                                "there is no [Match] section; write [Match] and below it whom the rule "
                                "is for, as in Pool=cdm or Unit=example.service");
        else if (!matches && f->n_errors == 0)
                conf_file_error(f, f->rule->line,
                                "[Match] is empty and would match everyone; write whom the rule is for, as "
                                "in Unit=example.service, or Pool=* if it really is for all");
        /* The checks below blame [Grant]: [Match] was parsed correctly, even if it does not suit [Grant]. */
        f->in_grant = true;
        conf_keys_finish_limits(f);
        conf_keys_finish_priority(f);
        if (f->rule->has_static)
                conf_keys_finish_static(f);
        else if (f->rule->static_required)
                conf_file_error(f, conf_file_key_line(f, "StaticRequired"),
                                "StaticRequired= says how strict Static= is, which is not given; write how "
                                "much to reserve, as in Static=8G");
        f->in_grant = false;
        if (f->n_errors == 0)
                conf_keys_warn_of_labels(f);
}

void conf_file_finish(ConfFile *f)
{
        if (f->kind == CONF_POOL)
                conf_keys_finish_pool(f);
        else if (f->kind == CONF_POLICY)
                conf_keys_finish_rule(f);
}
