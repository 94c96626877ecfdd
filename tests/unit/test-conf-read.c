/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which files are read, which are refused, and what their keys mean; the corpus is in test-conf-corpus.c. */

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/machine/name-lookup.h"
#include "policy/conf-read.h"
#include "policy/conf-text.h"
#include "policy/timespan.h"
#include "tests/unit/check-main.h"
#include "tests/unit/temp-root.h"

#define GIB        (UINT64_C(1) << 30)
#define POLICY_ANY "[Match]\nPool=*\n[Grant]\nLimit=1G\n"

static ConfMessages messages;
static Config *config;

static void set_up(void)
{
        root_make();
        messages = (ConfMessages){ 0 };
        config = NULL;
}

static void tear_down(void)
{
        config = config_free(config);
        conf_messages_clear(&messages);
        root_remove();
}

static void load(int expected)
{
        Config *before = config;
        int r = config_load(root, &config, &messages);

        if (r >= 0)
                r = config_resolve_names(config, name_find, root, &messages);
        if (r != expected)
                for (size_t i = 0; i < messages.n_messages; i++)
                        fprintf(stderr, "%s:%u: %s\n", messages.messages[i].file, messages.messages[i].line,
                                messages.messages[i].text);
        ck_assert_int_eq(r, expected);
        if (r < 0)
                ck_assert_ptr_eq(config, before);
        ck_assert(conf_messages_have_errors(&messages) == (expected == -EBADMSG));
}

static void load_good(void)
{
        load(0);
        ck_assert_uint_eq(messages.n_messages, 0);
}

static void assert_message(size_t i, ConfSeverity severity, const char *file, unsigned line,
                           const char *pattern)
{
        const ConfMessage *m = &messages.messages[i];

        ck_assert_uint_gt(messages.n_messages, i);
        ck_assert_int_eq(m->severity, severity);
        ck_assert_str_eq(m->file, file);
        ck_assert_uint_eq(m->line, line);
        ck_assert_msg(fnmatch(pattern, m->text, 0) == 0, "\"%s\" is not \"%s\"", m->text, pattern);
}

/* One refused file, one message. */
static void refuse(const char *file, unsigned line, const char *pattern)
{
        load(-EBADMSG);
        ck_assert_uint_eq(messages.n_messages, 1);
        assert_message(0, CONF_ERROR, file, line, pattern);
}

/* ---- what the keys mean */

START_TEST(defaults)
{
        load_good();
        ck_assert_int_eq(config->mode, FENCE_MODE_ENFORCE);
        ck_assert_ptr_null(config->exempt);
        ck_assert_uint_eq(config->n_pins, 0);
        ck_assert_uint_eq(config->max_per_user, 64);
        ck_assert_uint_eq(config->queue_max, 256);
        ck_assert_uint_eq(config->default_lease_usec, TIMESPAN_INFINITY);
        ck_assert_uint_eq(config->grace_usec, UINT64_C(10) * 1000000);
        ck_assert_uint_eq(config->drain_bandwidth, 0);
        ck_assert_uint_eq(config->n_pools, 0);
        ck_assert_uint_eq(config->n_rules, 0);
}
END_TEST

START_TEST(modes)
{
        FenceMode mode;

        for (unsigned v = 0; v < _FENCE_MODE_MAX; v++) {
                ck_assert_int_eq(fence_mode_from_string(fence_mode_to_string((FenceMode)v), &mode), 0);
                ck_assert_uint_eq(mode, v);
        }
        ck_assert_int_eq(fence_mode_from_string("open", &mode), -EINVAL);
        ck_assert_ptr_null(fence_mode_to_string(_FENCE_MODE_MAX));
}
END_TEST

START_TEST(main_values)
{
        char list[NODESET_STR_MAX];

        put("/etc/cdm/cdmd.conf",
            "[Fence]\nMode=observe   # not yet\nExempt=a.service b.scope a.service\n"
            "Exempt=c@.service\nPin=db.service:1 odd:name.service:0,2-3\n"
            "[Reservations]\nMaxPerUser=0\nQueueMax=7\nDefaultLease=8h\nGracePeriod=2s\n"
            "[Drain]\nBandwidth=1.5G\n");
        load_good();
        ck_assert_int_eq(config->mode, FENCE_MODE_OBSERVE);
        ck_assert_str_eq(config->exempt[0], "a.service");
        ck_assert_str_eq(config->exempt[1], "b.scope");
        ck_assert_str_eq(config->exempt[2], "c@.service");
        ck_assert_ptr_null(config->exempt[3]);
        ck_assert_uint_eq(config->n_pins, 2);
        ck_assert_str_eq(config->pins[0].unit, "db.service");
        ck_assert_str_eq(nodeset_format(&config->pins[0].nodes, list), "1");
        ck_assert_str_eq(config->pins[1].unit, "odd:name.service");
        ck_assert_str_eq(nodeset_format(&config->pins[1].nodes, list), "0,2-3");
        ck_assert_uint_eq(config->max_per_user, 0);
        ck_assert_uint_eq(config->queue_max, 7);
        ck_assert_uint_eq(config->default_lease_usec, UINT64_C(8) * 3600 * 1000000);
        ck_assert_uint_eq(config->grace_usec, UINT64_C(2) * 1000000);
        ck_assert_uint_eq(config->drain_bandwidth, GIB + GIB / 2);
}
END_TEST

START_TEST(pool_values)
{
        char list[NODESET_STR_MAX];
        const PoolConfig *p;

        put("/etc/cdm/pools.d/gpu.conf", "# first\n[Pool]\nNodes=2-3\nHeadroom=10%\nHold=yes\n");
        put("/etc/cdm/pools.d/hbm.conf", "[Pool]\nDescription=HBM #1\nMinBandwidth=300G\nMaxLatency=150ns\n"
                                         "Tier=4\nDax=yes\n");
        load_good();
        ck_assert_uint_eq(config->n_pools, 2);
        p = config->pools[0];
        ck_assert_str_eq(p->name, "gpu");
        ck_assert_str_eq(p->file, "/etc/cdm/pools.d/gpu.conf");
        ck_assert_uint_eq(p->line, 2);
        ck_assert_uint_eq(p->nodes_line, 3);
        ck_assert(!p->nodes_auto && p->hold && !p->dax);
        ck_assert_str_eq(nodeset_format(&p->nodes, list), "2-3");
        ck_assert(p->headroom.percent && p->headroom.value == 10);
        ck_assert_int_eq(p->tier, TIER_UNKNOWN);
        p = config->pools[1];
        ck_assert_str_eq(p->description, "HBM");
        ck_assert(p->nodes_auto && p->dax && !p->hold);
        ck_assert_uint_eq(p->min_bandwidth_mbps, 300 * 1024);
        ck_assert_uint_eq(p->max_latency_ns, 150);
        ck_assert_int_eq(p->tier, 4);
        ck_assert(!p->headroom.percent && p->headroom.value == POOL_DEFAULT_HEADROOM);
}
END_TEST

START_TEST(rule_values)
{
        const Rule *r;

        put("/etc/cdm/pools.d/hbm.conf", "[Pool]\nNodes=2\n");
        put("/etc/cdm/policy.d/10-x.conf",
            "[Match]\nPool=hbm h*\nUnit=a.service b-*.service\nSlice=machine.slice\nCGroup=/x/*\n"
            "Container=podman:*\nUser=7 8\nGroup=9\n"
            "[Grant]\nDeny=no\nLimit=16G\nQuota=50%\nLease=8h\nPriority=-5\nOnFull=queue\nOnOverrun=warn\n"
            "Static=8G\nExclusive=yes\n");
        load_good();
        ck_assert_uint_eq(config->n_rules, 1);
        r = config->rules[0];
        ck_assert_str_eq(r->file, "/etc/cdm/policy.d/10-x.conf");
        ck_assert_uint_eq(r->line, 1);
        ck_assert_str_eq(r->pools[0], "hbm");
        ck_assert_str_eq(r->pools[1], "h*");
        ck_assert_ptr_null(r->pools[2]);
        ck_assert_str_eq(r->units[1], "b-*.service");
        ck_assert_str_eq(r->slices[0], "machine.slice");
        ck_assert_str_eq(r->cgroups[0], "/x/*");
        ck_assert_str_eq(r->containers[0], "podman:*");
        ck_assert_str_eq(r->users[1], "8");
        ck_assert(r->n_uids == 2 && r->uids[0] == 7 && r->uids[1] == 8);
        ck_assert(r->n_gids == 1 && r->gids[0] == 9);
        ck_assert(!r->deny && r->exclusive && r->has_limit && r->has_quota && r->has_static);
        ck_assert(r->limit.value == 16 * GIB && !r->limit.percent);
        ck_assert(r->quota.value == 50 && r->quota.percent);
        ck_assert_uint_eq(r->static_size.value, 8 * GIB);
        ck_assert_uint_eq(r->lease_usec, UINT64_C(8) * 3600 * 1000000);
        ck_assert_int_eq(r->priority, -5);
        ck_assert_int_eq(r->on_full, ON_FULL_QUEUE);
        ck_assert_int_eq(r->on_overrun, ON_OVERRUN_WARN);
        ck_assert_uint_eq(rule_line(r, RULE_KEY_DENY), 10);
        ck_assert_uint_eq(rule_line(r, RULE_KEY_LIMIT), 11);
        ck_assert_uint_eq(rule_line(r, RULE_KEY_QUOTA), 12);
        ck_assert_uint_eq(rule_line(r, RULE_KEY_LEASE), 13);
        ck_assert_uint_eq(rule_line(r, RULE_KEY_PRIORITY), 14);
        ck_assert_uint_eq(rule_line(r, RULE_KEY_EXCLUSIVE), 18);
}
END_TEST

START_TEST(rule_defaults)
{
        const Rule *r;

        put("/etc/cdm/policy.d/10-x.conf", "\n[Match]\nPool=*\n[Grant]\nLimit=infinity\n");
        load_good();
        r = config->rules[0];
        ck_assert_uint_eq(r->line, 2);
        ck_assert(!r->deny && !r->exclusive && !r->has_limit && !r->has_quota && !r->has_static);
        ck_assert(!r->has_user_quota && nodeset_is_empty(&r->nodes));
        ck_assert(r->lease_usec == 0 && r->priority == 0 && r->default_priority == 0);
        ck_assert(r->on_full == ON_FULL_DENY && r->on_overrun == ON_OVERRUN_PUSH_BACK);
        ck_assert_ptr_null(r->units);
        ck_assert_ptr_null(r->users);
        ck_assert_uint_eq(rule_line(r, RULE_KEY_LIMIT), 5);
        ck_assert_uint_eq(rule_line(r, RULE_KEY_QUOTA), 2);
}
END_TEST

/* A line more is a value more; the line that is told is the first one. */
START_TEST(lists_add_up)
{
        const Rule *r;

        put("/etc/cdm/policy.d/10-x.conf",
            "[Match]\nUnit=a.service b.service\nUser=7\nUnit=c.service\nUser=8 9\n"
            "[Grant]\nNodes=2\nQuotaPerUser=1G\nNodes=5-6\nPriority=9\nDefaultPriority=-3\n");
        put("/etc/cdm/pools.d/hbm.conf", "[Pool]\nNodes=2-3\nNodes=7\n");
        load_good();
        r = config->rules[0];
        ck_assert_str_eq(r->units[0], "a.service");
        ck_assert_str_eq(r->units[2], "c.service");
        ck_assert_ptr_null(r->units[3]);
        ck_assert(r->n_uids == 3 && r->uids[0] == 7 && r->uids[2] == 9);
        ck_assert_uint_eq(rule_line(r, RULE_KEY_USER), 3);
        ck_assert_uint_eq(rule_line(r, RULE_KEY_NODES), 7);
        char list[NODESET_STR_MAX];
        ck_assert_str_eq(nodeset_format(&r->nodes, list), "2,5-6");
        ck_assert(r->has_user_quota && r->user_quota.value == GIB);
        ck_assert_uint_eq(rule_line(r, RULE_KEY_USER_QUOTA), 8);
        ck_assert_int_eq(r->default_priority, -3);
        ck_assert_uint_eq(rule_line(r, RULE_KEY_DEFAULT_PRIORITY), 11);
        ck_assert_str_eq(nodeset_format(&config->pools[0]->nodes, list), "2-3,7");
        ck_assert_uint_eq(config->pools[0]->nodes_line, 2);
        ck_assert(!config->pools[0]->nodes_auto);
}
END_TEST

/* Limit= is Static= where it is not given, and none where it says so. */
START_TEST(limit_of_static)
{
        put("/etc/cdm/policy.d/10-x.conf", "[Match]\nUnit=a.service\n[Grant]\nStatic=25%\n");
        put("/etc/cdm/policy.d/20-x.conf", "[Match]\nUnit=b.service\n[Grant]\nStatic=1G\nLimit=infinity\n");
        put("/etc/cdm/policy.d/30-x.conf", "[Match]\nUnit=c.service\n[Grant]\nLimit=2G\nStatic=1G\n");
        load_good();
        const Rule *none = config->rules[0], *infinite = config->rules[1], *both = config->rules[2];
        ck_assert(none->has_limit && none->limit_is_static && none->limit.percent);
        ck_assert_uint_eq(none->limit.value, 25);
        ck_assert_uint_eq(rule_line(none, RULE_KEY_LIMIT), 4);
        ck_assert(!infinite->has_limit && !infinite->limit_is_static);
        ck_assert(both->has_limit && !both->limit_is_static && both->limit.value == 2 * GIB);
}
END_TEST

/* ---- which files */

START_TEST(precedence)
{
        put("/usr/lib/cdm/policy.d/50-same.conf", "this is not even read\n");
        put("/run/cdm/policy.d/50-same.conf", "nor is this\n");
        put("/etc/cdm/policy.d/50-same.conf", POLICY_ANY);
        put("/usr/lib/cdm/policy.d/10-vendor.conf", POLICY_ANY);
        put("/run/cdm/policy.d/90-run.conf", POLICY_ANY);
        put("/etc/cdm/policy.d/README", "not a rule\n");
        put("/etc/cdm/policy.d/.hidden.conf", "not a rule\n");
        put("/etc/cdm/policy.d/50-same.conf~", "not a rule\n");
        load_good();
        ck_assert_uint_eq(config->n_rules, 3);
        ck_assert_str_eq(config->rules[0]->file, "/usr/lib/cdm/policy.d/10-vendor.conf");
        ck_assert_str_eq(config->rules[1]->file, "/etc/cdm/policy.d/50-same.conf");
        ck_assert_str_eq(config->rules[2]->file, "/run/cdm/policy.d/90-run.conf");
}
END_TEST

START_TEST(main_precedence)
{
        put("/usr/lib/cdm/cdmd.conf", "[Fence]\nMode=off\n[Drain]\nBandwidth=5\n");
        put("/run/cdm/cdmd.conf", "[Fence]\nMode=observe\n");
        load_good();
        ck_assert_int_eq(config->mode, FENCE_MODE_OBSERVE);
        ck_assert_uint_eq(config->drain_bandwidth, 0);
}
END_TEST

START_TEST(masks)
{
        put("/usr/lib/cdm/policy.d/10-a.conf", POLICY_ANY);
        put("/usr/lib/cdm/pools.d/hbm.conf", "[Pool]\nNodes=2\n");
        put("/usr/lib/cdm/cdmd.conf", "[Fence]\nMode=off\n");
        ck_assert_int_eq(symlink("/dev/null", at("/etc/cdm/policy.d/10-a.conf")), 0);
        ck_assert_int_eq(symlink("/dev/null", at("/run/cdm/pools.d/hbm.conf")), 0);
        ck_assert_int_eq(symlink("../../../../../dev/null", at("/etc/cdm/cdmd.conf")), 0);
        load_good();
        ck_assert_uint_eq(config->n_rules, 0);
        ck_assert_uint_eq(config->n_pools, 0);
        ck_assert_int_eq(config->mode, FENCE_MODE_ENFORCE);
}
END_TEST

START_TEST(drop_ins)
{
        char list[NODESET_STR_MAX];

        put("/etc/cdm/cdmd.conf", "[Fence]\nMode=off\nExempt=a.service\nPin=a.service:1 b.service:1\n"
                                  "[Reservations]\nMaxPerUser=3\n");
        put("/usr/lib/cdm/cdmd.conf.d/10-a.conf", "[Fence]\nMode=observe\nExempt=b.service\n");
        put("/etc/cdm/cdmd.conf.d/20-b.conf", "[Fence]\nMode=enforce\nPin=a.service:2 c.service:3\n");
        load_good();
        ck_assert_int_eq(config->mode, FENCE_MODE_ENFORCE);
        ck_assert_uint_eq(config->max_per_user, 3);
        ck_assert_str_eq(config->exempt[0], "a.service");
        ck_assert_str_eq(config->exempt[1], "b.service");
        ck_assert_uint_eq(config->n_pins, 3);
        ck_assert_str_eq(config->pins[0].unit, "b.service");
        ck_assert_str_eq(config->pins[1].unit, "a.service");
        ck_assert_str_eq(nodeset_format(&config->pins[1].nodes, list), "2");
        ck_assert_str_eq(config->pins[2].unit, "c.service");
}
END_TEST

START_TEST(drop_in_resets)
{
        put("/etc/cdm/cdmd.conf", "[Fence]\nExempt=a.service\nPin=a.service:1\n");
        put("/etc/cdm/cdmd.conf.d/10-a.conf", "[Fence]\nExempt=\nExempt=b.service\nPin=\n");
        load_good();
        ck_assert_str_eq(config->exempt[0], "b.service");
        ck_assert_ptr_null(config->exempt[1]);
        ck_assert_uint_eq(config->n_pins, 0);
}
END_TEST

START_TEST(root_is_missing)
{
        Config *c = NULL;

        ck_assert_int_eq(config_load("/nonexistent", &c, &messages), -ENOENT);
        ck_assert_ptr_null(c);
        ck_assert_uint_eq(messages.n_messages, 0);
}
END_TEST

START_TEST(every_mistake_is_shown)
{
        put("/etc/cdm/cdmd.conf", "[Fence]\nMode=x\nMde=off\n");
        put("/etc/cdm/cdmd.conf.d/10-a.conf", "[Drain]\nBandwidth=x\n");
        put("/etc/cdm/pools.d/hbm.conf", "[Pool]\nNodes=x\n");
        put("/etc/cdm/policy.d/10-good.conf", POLICY_ANY);
        put("/etc/cdm/policy.d/20-bad.conf", "[Match]\n");
        load(-EBADMSG);
        ck_assert_uint_eq(messages.n_messages, 5);
        assert_message(0, CONF_ERROR, "/etc/cdm/cdmd.conf", 2, "Mode=x *");
        assert_message(1, CONF_ERROR, "/etc/cdm/cdmd.conf", 3, "*did you mean \"Mode\"?");
        assert_message(2, CONF_ERROR, "/etc/cdm/cdmd.conf.d/10-a.conf", 2, "Bandwidth=x *");
        assert_message(3, CONF_ERROR, "/etc/cdm/pools.d/hbm.conf", 2, "Nodes=x *");
        assert_message(4, CONF_ERROR, "/etc/cdm/policy.d/20-bad.conf", 1, "*is empty*");
}
END_TEST

START_TEST(warnings)
{
        put("/etc/cdm/pools.d/hbm.conf", "[Pool]\nNodes=2\n");
        put("/etc/cdm/policy.d/20-pool.conf", "[Match]\nPool=hmb h*\n[Grant]\nLimit=1G\n");
        load(0);
        ck_assert_uint_eq(messages.n_messages, 1);
        assert_message(0, CONF_WARNING, "/etc/cdm/policy.d/20-pool.conf", 1, "*no pool is called \"hmb\"*");
        ck_assert_uint_eq(config->n_rules, 1);
}
END_TEST

/* Labels are no means to keep somebody off, and a key that nobody sets matches nobody. */
START_TEST(warnings_of_labels)
{
        put("/etc/cdm/policy.d/10-deny.conf",
            "[Match]\nUnit=a.service\nLabel=slurm.job=*\n[Grant]\nDeny=yes\n");
        put("/etc/cdm/policy.d/20-keys.conf",
            "[Match]\nLabel=slurm.account=x example.com=y\nLabel=account=x\n[Grant]\nLimit=1G\n");
        load(0);
        ck_assert_uint_eq(messages.n_messages, 2);
        assert_message(0, CONF_WARNING, "/etc/cdm/policy.d/10-deny.conf", 3, "Deny=yes with Label=*");
        assert_message(1, CONF_WARNING, "/etc/cdm/policy.d/20-keys.conf", 2, "*the key \"account\"*");
        ck_assert_uint_eq(config->n_rules, 2);
}
END_TEST

START_TEST(default_pool_is_known)
{
        put("/etc/cdm/policy.d/10-a.conf", "[Match]\nPool=cdm\n[Grant]\nLimit=1G\n");
        load_good();
}
END_TEST

/* ---- who */

START_TEST(users_below_root)
{
        const Rule *r;

        put("/etc/passwd", "root:x:0:0::/:/bin/sh\ntrainer:x:1234:1::/:/bin/sh\n");
        put("/etc/group", "root:x:0:\nml:x:77:trainer\n");
        put("/etc/cdm/policy.d/10-a.conf",
            "[Match]\nUser=nobody-here trainer 55\nGroup=ml none\n[Grant]\nLimit=1G\n");
        load(0);
        r = config->rules[0];
        ck_assert(r->n_uids == 2 && r->uids[0] == 1234 && r->uids[1] == 55);
        ck_assert(r->n_gids == 1 && r->gids[0] == 77);
        ck_assert_uint_eq(messages.n_messages, 2);
        assert_message(0, CONF_WARNING, "/etc/cdm/policy.d/10-a.conf", 2,
                       "User=: there is no user \"nobody-here\", so it matches nobody*");
        assert_message(1, CONF_WARNING, "/etc/cdm/policy.d/10-a.conf", 3,
                       "Group=: there is no group \"none\"*");
}
END_TEST

static int cannot_tell(bool group, const char *name, uint32_t *ret, void *userdata)
{
        return -ETIMEDOUT;
}

/* A name service that does not answer makes nobody match, and no rule be passed over. */
START_TEST(names_that_cannot_be_looked_up)
{
        Subject other = { .uid = 55, .unit_uid = UID_NONE }, anybody = { .uid = 1, .unit_uid = UID_NONE };

        put("/etc/passwd", "trainer:x:1234:1::/:/bin/sh\n");
        put("/etc/cdm/policy.d/10-a.conf", "[Match]\nPool=cdm\nUser=trainer 55\n[Grant]\nDeny=yes\n");
        put("/etc/cdm/policy.d/20-b.conf", "[Match]\nPool=cdm\n[Grant]\nLimit=1G\n");
        ck_assert_int_eq(config_load(root, &config, &messages), 0);
        for (unsigned i = 0; i < 2; i++) {
                Rule *r = config->rules[0];

                ck_assert(rule_matches(r, "cdm", &other));
                ck_assert(!rule_matches(r, "cdm", &anybody));
                ck_assert(rule_may_match(r, "cdm", &anybody));
                ck_assert(!rule_may_match(r, "hbm", &anybody));
                ck_assert_ptr_eq(rule_find(config->rules, 2, "cdm", &anybody), r);
                ck_assert_uint_eq(messages.n_messages, i);
                ck_assert_int_eq(config_resolve_names(config, cannot_tell, NULL, &messages), 0);
        }
        assert_message(0, CONF_WARNING, "/etc/cdm/policy.d/10-a.conf", 3,
                       "User=: the user \"trainer\" cannot be looked up*");
        ck_assert_int_eq(config_resolve_names(config, name_find, root, &messages), 0);
        ck_assert_ptr_eq(rule_find(config->rules, 2, "cdm", &anybody), config->rules[1]);
        anybody.uid = 1234;
        ck_assert(rule_matches(config->rules[0], "cdm", &anybody));
}
END_TEST

/* All names unknown must not mean "everyone". */
START_TEST(unknown_users_match_nobody)
{
        Subject subject = { .uid = 0, .unit_uid = UID_NONE };

        put("/etc/cdm/policy.d/10-a.conf", "[Match]\nUser=no-such-user-here\n[Grant]\nLimit=1G\n");
        load(0);
        ck_assert_ptr_nonnull(config->rules[0]->users);
        ck_assert_uint_eq(config->rules[0]->n_uids, 0);
        ck_assert(!rule_matches(config->rules[0], "cdm", &subject));
}
END_TEST

START_TEST(users_through_nss)
{
        put("/etc/cdm/policy.d/10-a.conf", "[Match]\nUser=root\nGroup=root\n[Grant]\nLimit=1G\n");
        load_good();
        ck_assert(config->rules[0]->n_uids == 1 && config->rules[0]->uids[0] == 0);
        ck_assert(config->rules[0]->n_gids == 1 && config->rules[0]->gids[0] == 0);
}
END_TEST

/* ---- files that are none, or that others can write */

#define FILE_A "/etc/cdm/policy.d/10-a.conf"

START_TEST(directory)
{
        ck_assert_int_eq(mkdir(at(FILE_A), 0755), 0);
        refuse(FILE_A, 0, "is a directory*");
}
END_TEST

START_TEST(fifo)
{
        ck_assert_int_eq(mkfifo(at(FILE_A), 0644), 0);
        refuse(FILE_A, 0, "is a FIFO*");
}
END_TEST

START_TEST(unix_socket)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", at(FILE_A));
        ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        refuse(FILE_A, 0, "is a socket*");
        close(fd);
}
END_TEST

START_TEST(device)
{
        ck_assert_int_eq(symlink("/dev/zero", at(FILE_A)), 0);
        refuse(FILE_A, 0, "is a device*");
}
END_TEST

START_TEST(link_loop)
{
        ck_assert_int_eq(symlink("10-a.conf", at(FILE_A)), 0);
        refuse(FILE_A, 0, "*circle*");
}
END_TEST

START_TEST(link_to_nothing)
{
        ck_assert_int_eq(symlink("missing", at(FILE_A)), 0);
        refuse(FILE_A, 0, "does not exist, or is a link to nothing*");
}
END_TEST

START_TEST(link_to_file)
{
        put("/etc/elsewhere", POLICY_ANY);
        ck_assert_int_eq(symlink("../../elsewhere", at(FILE_A)), 0);
        load_good();
        ck_assert_uint_eq(config->n_rules, 1);
}
END_TEST

START_TEST(world_writable)
{
        put(FILE_A, POLICY_ANY);
        ck_assert_int_eq(chmod(at(FILE_A), 0646), 0);
        refuse(FILE_A, 0, "can be written by everyone*chmod o-w*");
}
END_TEST

START_TEST(world_writable_folder)
{
        put(FILE_A, POLICY_ANY);
        ck_assert_int_eq(chmod(at("/etc/cdm/policy.d"), 0777), 0);
        refuse("/etc/cdm/policy.d", 0, "can be written by everyone*");
}
END_TEST

START_TEST(folder_is_a_file)
{
        put("/etc/cdm/pools.d", "");
        refuse("/etc/cdm/pools.d", 0, "cannot be read: Not a directory");
}
END_TEST

START_TEST(group_writable)
{
        put(FILE_A, POLICY_ANY);
        ck_assert_int_eq(chmod(at(FILE_A), 0664), 0);
        if (geteuid() != 0) {
                refuse(FILE_A, 0, "can be written by its group*");
                return;
        }
        ck_assert_int_eq(chown(at(FILE_A), 0, 0), 0);
        load_good();
        ck_assert_int_eq(chown(at(FILE_A), 0, 12), 0);
        ck_assert_int_eq(chmod(at(FILE_A), 0664), 0);
        config = config_free(config);
        refuse(FILE_A, 0, "can be written by its group*chmod g-w*");
}
END_TEST

START_TEST(owner)
{
        put(FILE_A, POLICY_ANY);
        if (geteuid() != 0 || chown(at(FILE_A), 12, 0) < 0) {
                fprintf(stderr, "owner: skipped, only root can give a file away\n");
                return;
        }
        refuse(FILE_A, 0, "does not belong to root*");
}
END_TEST

START_TEST(unreadable)
{
        put(FILE_A, POLICY_ANY);
        ck_assert_int_eq(chmod(at(FILE_A), 0), 0);
        if (access(at(FILE_A), R_OK) == 0) {
                fprintf(stderr, "unreadable: skipped, root reads everything\n");
                return;
        }
        refuse(FILE_A, 0, "cannot be read: Permission denied");
}
END_TEST

START_TEST(size)
{
        static char text[200 * 1024];

        memset(text, '#', sizeof(text));
        for (size_t i = 99; i < sizeof(text); i += 100)
                text[i] = '\n';
        write_bytes("/etc/cdm/cdmd.conf.d/10-a.conf", text, CONF_FILE_BYTES_MAX);
        load_good();
        write_bytes("/etc/cdm/cdmd.conf.d/10-a.conf", text, CONF_FILE_BYTES_MAX + 1);
        config = config_free(config);
        refuse("/etc/cdm/cdmd.conf.d/10-a.conf", 0, "is larger than 64 KiB*");
        conf_messages_clear(&messages);
        write_bytes("/etc/cdm/cdmd.conf.d/10-a.conf", text, sizeof(text));
        refuse("/etc/cdm/cdmd.conf.d/10-a.conf", 0, "is larger than 64 KiB*");
}
END_TEST

/* ---- config_check_files() */

START_TEST(check_files)
{
        char *paths[3] = { NULL };

        put("/policy.d/good.conf", POLICY_ANY);
        paths[0] = strdup(at("/policy.d/good.conf"));
        put("/policy.d/bad.conf", "[Match]\nPool=*\n[Grant]\nLimt=1G\n");
        paths[1] = strdup(at("/policy.d/bad.conf"));
        paths[2] = strdup(at("/missing.conf"));
        ck_assert_int_eq(config_check_files(paths, 1, name_find, (char *)"", &messages), 0);
        ck_assert_uint_eq(messages.n_messages, 0);
        ck_assert_int_eq(config_check_files(paths, 3, name_find, (char *)"", &messages), -EBADMSG);
        ck_assert_uint_eq(messages.n_messages, 2);
        assert_message(0, CONF_ERROR, paths[1], 4, "*did you mean \"Limit\"?");
        assert_message(1, CONF_ERROR, paths[2], 0, "does not exist*");
        for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
                free(paths[i]);
}
END_TEST

/* The length is the limit of systemd, without the end of the string. */
START_TEST(the_name_of_a_unit)
{
        static const char *const bad[] = { "",          "a b.service", "a/b.service",
                                           "@.service", ".service",    "\xc3\xa4.service" };
        char name[257];

        memset(name, 'x', sizeof(name));
        strcpy(name + 255 - strlen(".service"), ".service");
        ck_assert_ptr_null(conf_check_unit(name));
        strcpy(name + 256 - strlen(".service"), ".service");
        name[255 - strlen(".service")] = 'x';
        ck_assert_str_eq(conf_check_unit(name), "is not a unit's name");
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                ck_assert_str_eq(conf_check_unit(bad[i]), "is not a unit's name");
        ck_assert_ptr_null(conf_check_unit("cdm-:_-.\\x2d@9.scope"));
}
END_TEST

/* Candidates may come from elsewhere, such as the names of all units. */
START_TEST(the_nearest_word)
{
        char longest[256], too_long[4096];
        const char *const candidates[] = { too_long, "train-a.service", longest, "" };

        memset(longest, 'x', sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = '\0';
        memset(too_long, 'x', sizeof(too_long) - 1);
        too_long[sizeof(too_long) - 1] = '\0';
        ck_assert_str_eq(conf_text_nearest("trian-a.service", candidates, ARRAY_SIZE(candidates)),
                         "train-a.service");
        ck_assert_ptr_null(conf_text_nearest("nosuch.service", candidates, ARRAY_SIZE(candidates)));
        ck_assert_ptr_null(conf_text_nearest(too_long, candidates, ARRAY_SIZE(candidates)));
        ck_assert_ptr_eq(conf_text_nearest(longest, candidates, ARRAY_SIZE(candidates)), longest);
}
END_TEST

START_TEST(message_text)
{
        ConfMessage whole = { .file = (char *)"f", .text = (char *)"t" }, line = whole;
        _cleanup_free_ char *a = conf_message_format(&whole), *b = NULL;

        line.line = 3;
        b = conf_message_format(&line);
        ck_assert_str_eq(a, "f: t");
        ck_assert_str_eq(b, "f:3: t");
        ck_assert_int_eq(conf_messages_add(&messages, CONF_WARNING, "f", 1, "%d", 5), 0);
        ck_assert(!conf_messages_have_errors(&messages));
        ck_assert_int_eq(conf_messages_add(&messages, CONF_ERROR, "f", 1, "x"), 0);
        ck_assert(conf_messages_have_errors(&messages));
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                defaults,
                modes,
                main_values,
                pool_values,
                rule_values,
                rule_defaults,
                lists_add_up,
                limit_of_static,
                precedence,
                main_precedence,
                masks,
                drop_ins,
                drop_in_resets,
                root_is_missing,
                every_mistake_is_shown,
                warnings,
                warnings_of_labels,
                default_pool_is_known,
                users_below_root,
                unknown_users_match_nobody,
                users_through_nss,
                names_that_cannot_be_looked_up,
                directory,
                fifo,
                unix_socket,
                device,
                link_loop,
                link_to_nothing,
                link_to_file,
                world_writable,
                world_writable_folder,
                folder_is_a_file,
                group_writable,
                owner,
                unreadable,
                size,
                check_files,
                message_text,
                the_name_of_a_unit,
                the_nearest_word,
        };
        Suite *s = suite_create("conf-read");
        TCase *c = tcase_create("conf-read");

        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_set_timeout(c, 0);
        for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
                tcase_add_test(c, tests[i]);
        suite_add_tcase(s, c);
        return check_main(s);
}
