/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* At start a refused file costs no more than it must, and opens nothing. */

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/conf-read.h"
#include "tests/unit/check-main.h"
#include "tests/unit/data.h"
#include "tests/unit/temp-root.h"

#define GOOD_RULE "[Match]\nPool=*\n[Grant]\nLimit=1G\n"

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

static void load(void)
{
        config = config_free(config);
        conf_messages_clear(&messages);
        ck_assert_int_eq(config_load_at_start(root, &config, &messages), 0);
}

/* Nobody whom a file of the corpus names. */
static const Rule *find(void)
{
        static const Subject probe = {
                .unit = (char *)"probe.service",
                .slice = (char *)"system.slice",
                .cgroup = (char *)"/system.slice/probe.service",
                .uid = 4242,
                .unit_uid = UID_NONE,
        };

        return rule_find(config->rules, config->n_rules, "other", &probe);
}

static void assert_refused(const Rule *rule, const char *file, unsigned line, const char *pattern)
{
        ck_assert_ptr_nonnull(rule);
        ck_assert_str_eq(rule->file, file);
        ck_assert_msg(rule->deny && rule->refused, "%s is not refused", file);
        ck_assert_uint_eq(rule->refused_line, line);
        ck_assert_uint_eq(rule_line(rule, RULE_KEY_DENY), line > 0 ? line : 1);
        ck_assert_msg(fnmatch(pattern, rule->refused, 0) == 0, "%s: %s", file, rule->refused);
        ck_assert(!rule->has_static && !rule->static_required);
}

/* The nth message of that severity about that file. */
static bool is_told(ConfSeverity severity, const char *file, const char *pattern)
{
        for (size_t i = 0; i < messages.n_messages; i++) {
                const ConfMessage *m = &messages.messages[i];

                if (m->severity == severity && strcmp(m->file, file) == 0 &&
                    fnmatch(pattern, m->text, 0) == 0)
                        return true;
        }
        return false;
}

#define FILE_BAD   "/etc/cdm/policy.d/20-bad.conf"
#define FILE_AFTER "/etc/cdm/policy.d/30-after.conf"

static void put_corpus(const char *file)
{
        static char text[CONF_FILE_BYTES_MAX];
        _cleanup_free_ char *from = data_path("conf/%s", file);
        FILE *source = fopen(from, "r");
        size_t n;

        ck_assert_msg(source != NULL, "%s: %m", from);
        n = fread(text, 1, sizeof(text), source);
        fclose(source);
        write_bytes(FILE_BAD, text, n);
}

static int find_nobody(bool group, const char *name, uint32_t *ret, void *userdata)
{
        return -ENOENT;
}

START_TEST(rules)
{
        _cleanup_free_ char *index = data_path("conf/start/index"), *line = NULL;
        FILE *stream = fopen(index, "r");
        char file[128], whom[16];
        size_t size = 0, n = 0;
        unsigned at;

        ck_assert_ptr_nonnull(stream);
        put("/etc/cdm/cdmd.conf", "[Fence]\nMode=observe\nExempt=gpu.service\n");
        put("/etc/cdm/policy.d/10-before.conf", "[Match]\nUnit=x.service\n[Grant]\nLimit=1G\n");
        put(FILE_AFTER, GOOD_RULE);
        while (getline(&line, &size, stream) > 0) {
                if (line[0] == '#')
                        continue;
                ck_assert_int_eq(sscanf(line, "%127s %u %15s", file, &at, whom), 3);
                put_corpus(file);
                load();
                ck_assert_int_eq(config_resolve_names(config, find_nobody, NULL, NULL), 0);
                ck_assert_msg(config->n_rules == 3, "%s: %zu rules", file, config->n_rules);
                ck_assert_ptr_null(config->rules[0]->refused);
                ck_assert_msg(config->rules[1]->refused_line == at, "%s: line %u: %s", file,
                              config->rules[1]->refused_line, config->rules[1]->refused);
                assert_refused(config->rules[1], FILE_BAD, at, "?*");
                ck_assert_msg(find() == config->rules[strcmp(whom, "all") == 0 ? 1 : 2], "%s: not %s", file,
                              whom);
                ck_assert(is_told(CONF_ERROR, FILE_BAD, "?*"));
                ck_assert(is_told(CONF_WARNING, FILE_BAD,
                                  strcmp(whom, "all") == 0 ? "the rule was refused: it denies every request*"
                                                           : "*denies what its ?Match] says*"));
                ck_assert_int_eq(config->mode, FENCE_MODE_OBSERVE);
                ck_assert_str_eq(config->exempt[0], "gpu.service");
                n++;
        }
        fclose(stream);
        ck_assert_uint_gt(n, 30);
}
END_TEST

/* Nobody can tell whom the rule was for, so it is for those without a user as well. */
START_TEST(a_refused_file_denies_nobody_too)
{
        Subject s = { .unit = (char *)"a.service", .slice = (char *)"a.slice", .nobody = true };

        put(FILE_AFTER, "[Match]\nSlice=*.slice\n[Grant]\nLimit=1G\n");
        load();
        ck_assert_ptr_eq(rule_find(config->rules, config->n_rules, "cdm", &s), config->rules[0]);
        put(FILE_BAD, "[Match]\nUnti=a.service\n[Grant]\nLimit=1G\n");
        load();
        ck_assert_ptr_nonnull(rule_find(config->rules, config->n_rules, "cdm", &s)->refused);
}
END_TEST

START_TEST(whom_it_matches_is_kept)
{
        Subject s = { .unit = (char *)"a.service", .uid = 0, .unit_uid = UID_NONE };

        put(FILE_AFTER, GOOD_RULE);
        put(FILE_BAD, "[Match]\nUnit=a.service\nUser=0 12\n[Grant]\nLimit=much\n");
        load();
        ck_assert_ptr_eq(rule_find(config->rules, config->n_rules, "cdm", &s), config->rules[0]);
        s.uid = 12;
        ck_assert_ptr_eq(rule_find(config->rules, config->n_rules, "cdm", &s), config->rules[0]);
        s.nobody = true;
        ck_assert_ptr_null(rule_find(config->rules, config->n_rules, "cdm", &s));
        s.nobody = false;
        s.uid = 13;
        ck_assert_ptr_eq(rule_find(config->rules, config->n_rules, "cdm", &s), config->rules[1]);
}
END_TEST

START_TEST(the_labels_it_matches_are_kept)
{
        Label label = { (char *)"slurm.account", (char *)"ml-vision" };
        Subject s = { .unit = (char *)"a.scope",
                      .unit_uid = UID_NONE,
                      .labels = { .items = &label, .n = 1 } };

        put(FILE_AFTER, GOOD_RULE);
        put(FILE_BAD, "[Match]\nPool=hbm\nLabel=slurm.account=ml-*\n[Grant]\nLimit=16GG\n");
        load();
        ck_assert_ptr_eq(rule_find(config->rules, config->n_rules, "hbm", &s), config->rules[0]);
        label.value = (char *)"bio";
        ck_assert_ptr_eq(rule_find(config->rules, config->n_rules, "hbm", &s), config->rules[1]);
        s.labels = (Labels){ 0 };
        ck_assert_ptr_eq(rule_find(config->rules, config->n_rules, "hbm", &s), config->rules[1]);
}
END_TEST

/* Its users and groups are looked up later: until then it may be meant for anybody. */
START_TEST(whom_it_may_match_is_not_passed_over)
{
        static const char *const match[] = { "User=alice\n", "Group=staff\n", "User=alice\nGroup=staff\n" };

        for (size_t i = 0; i < 3; i++) {
                char text[128];

                snprintf(text, sizeof(text), "[Match]\n%s[Grant]\nLimit=many\n", match[i]);
                put(FILE_BAD, text);
                put(FILE_AFTER, GOOD_RULE);
                load();
                assert_refused(find(), FILE_BAD, i == 2 ? 5 : 4, "*");
        }
}
END_TEST

START_TEST(files_that_cannot_be_believed)
{
        static char text[CONF_FILE_BYTES_MAX + 2];

        put(FILE_AFTER, GOOD_RULE);
        /* What it says would not match. */
        put(FILE_BAD, "[Match]\nUnit=a.service\n[Grant]\nDeny=yes\n");
        ck_assert_int_eq(chmod(at(FILE_BAD), 0666), 0);
        load();
        assert_refused(find(), FILE_BAD, 0, "can be written by everyone*");

        ck_assert_int_eq(remove(at(FILE_BAD)), 0);
        ck_assert_int_eq(mkdir(at(FILE_BAD), 0755), 0);
        load();
        assert_refused(find(), FILE_BAD, 0, "is a directory*");

        ck_assert_int_eq(remove(at(FILE_BAD)), 0);
        ck_assert_int_eq(symlink("missing", at(FILE_BAD)), 0);
        load();
        assert_refused(find(), FILE_BAD, 0, "does not exist*");

        ck_assert_int_eq(remove(at(FILE_BAD)), 0);
        memset(text, '\n', sizeof(text));
        write_bytes(FILE_BAD, text, sizeof(text));
        load();
        assert_refused(find(), FILE_BAD, 0, "is larger*");

        ck_assert_int_eq(remove(at(FILE_BAD)), 0);
        ck_assert_int_eq(symlink("/dev/null", at(FILE_BAD)), 0);
        load();
        ck_assert_uint_eq(config->n_rules, 1);
        ck_assert_uint_eq(messages.n_messages, 0);
}
END_TEST

/* What it hides or replaces elsewhere is not known. */
START_TEST(a_folder_of_rules)
{
        put("/usr/lib/cdm/policy.d/10-a.conf", GOOD_RULE);
        put("/etc/cdm/policy.d/50-b.conf", GOOD_RULE);
        ck_assert_int_eq(chmod(at("/etc/cdm/policy.d"), 0777), 0);
        put("/etc/cdm/cdmd.conf", "[Fence]\nMode=off\n");
        load();
        assert_refused(find(), "/etc/cdm/policy.d", 0, "can be written by everyone*");
        ck_assert_uint_eq(config->n_rules, 2);
        ck_assert_int_eq(config->mode, FENCE_MODE_OFF);
        ck_assert_uint_eq(config->n_pools, 0);
}
END_TEST

START_TEST(a_pool)
{
        put("/etc/cdm/cdmd.conf", "[Fence]\nMode=observe\nExempt=a.service\n[Reservations]\nMaxPerUser=3\n");
        put("/etc/cdm/pools.d/cxl.conf", "[Pool]\nNodes=2\n");
        put("/etc/cdm/pools.d/hbm.conf", "[Pool]\nNodes=three\n");
        put("/etc/cdm/policy.d/10-a.conf", GOOD_RULE);
        load();
        ck_assert_int_eq(config->mode, FENCE_MODE_OBSERVE);
        ck_assert_str_eq(config->exempt[0], "a.service");
        ck_assert_uint_eq(config->max_per_user, 3);
        ck_assert_uint_eq(config->n_pools, 2);
        ck_assert_str_eq(config->pools[0]->name, "cxl");
        ck_assert(!config->pools[0]->refused && !config->pools[0]->nodes_auto);
        ck_assert_str_eq(config->pools[1]->name, "hbm");
        ck_assert(config->pools[1]->refused && config->pools[1]->nodes_auto);
        assert_refused(find(), "/etc/cdm/pools.d/hbm.conf", 2, "Nodes=three *");
        ck_assert_uint_eq(config->n_rules, 2);
        ck_assert(is_told(CONF_WARNING, "/etc/cdm/pools.d/hbm.conf", "*every request is denied*"));
}
END_TEST

/* Also where nothing but the file's name is wrong, and where the name that it gets is taken. */
START_TEST(a_pool_without_a_name)
{
        put("/etc/cdm/pools.d/a b.conf", "[Pool]\nNodes=2\n");
        put("/etc/cdm/pools.d/cdm.conf", "[Pool]\nNodes=3\n");
        ck_assert_int_eq(mkdir(at("/etc/cdm/pools.d/x.conf"), 0755), 0);
        load();
        ck_assert_uint_eq(config->n_pools, 3);
        ck_assert_str_eq(config->pools[0]->name, "cdm");
        ck_assert(!config->pools[0]->refused);
        ck_assert_str_eq(config->pools[1]->name, "x");
        ck_assert(config->pools[1]->refused);
        ck_assert_str_eq(config->pools[2]->name, "cdm-1");
        ck_assert(config->pools[2]->refused && config->pools[2]->nodes_auto);
        assert_refused(find(), "/etc/cdm/pools.d/a b.conf", 0, "*in the file's name");
}
END_TEST

/* Nothing of the refused one counts, not even what came before its mistake; all of the others does. */
START_TEST(settings)
{
        put("/etc/cdm/cdmd.conf",
            "[Fence]\nMode=observe\nExempt=a.service\nPin=a.service:1\n[Reservations]\nQueueMax=7\n");
        put("/etc/cdm/cdmd.conf.d/10-bad.conf",
            "[Fence]\nExempt=\nExempt=b.service\nPin=\n[Reservations]\nQueueMax=8\nMaxPerUser=x\n");
        put("/etc/cdm/cdmd.conf.d/20-good.conf", "[Fence]\nExempt=c.service\n[Drain]\nBandwidth=1G\n");
        put("/etc/cdm/pools.d/hbm.conf", "[Pool]\nNodes=3\n");
        put("/etc/cdm/policy.d/10-a.conf", GOOD_RULE);
        load();
        ck_assert_int_eq(config->mode, FENCE_MODE_ENFORCE);
        ck_assert_str_eq(config->exempt[0], "a.service");
        ck_assert_str_eq(config->exempt[1], "c.service");
        ck_assert_ptr_null(config->exempt[2]);
        ck_assert_uint_eq(config->n_pins, 1);
        ck_assert_uint_eq(config->queue_max, 7);
        ck_assert_uint_eq(config->max_per_user, 64);
        ck_assert_uint_eq(config->drain_bandwidth, UINT64_C(1) << 30);
        ck_assert_uint_eq(config->n_pools, 1);
        assert_refused(find(), "/etc/cdm/cdmd.conf.d/10-bad.conf", 7, "MaxPerUser=x *");
        ck_assert(is_told(CONF_WARNING, "/etc/cdm/cdmd.conf.d/10-bad.conf", "*Mode=enforce holds*"));
}
END_TEST

/* Who can write to it can replace everything below. */
START_TEST(the_folder_of_all)
{
        put("/etc/cdm/cdmd.conf", "[Fence]\nMode=off\n");
        put("/etc/cdm/pools.d/hbm.conf", "[Pool]\nNodes=3\n");
        ck_assert_int_eq(chmod(at("/etc/cdm"), 0777), 0);
        load();
        ck_assert_int_eq(config->mode, FENCE_MODE_ENFORCE);
        assert_refused(find(), "/etc/cdm", 0, "can be written by everyone*");
        ck_assert_uint_eq(config->n_pools, 2);
        ck_assert(config->pools[1]->refused);
}
END_TEST

/* Whatever is wrong, a start is no reload. */
START_TEST(a_reload_is_strict)
{
        Config *c = NULL;

        put(FILE_AFTER, GOOD_RULE);
        put(FILE_BAD, "[Match]\nUnit=a.service\n[Grant]\nLimit=much\n");
        ck_assert_int_eq(config_load(root, &c, &messages), -EBADMSG);
        ck_assert_ptr_null(c);
}
END_TEST

START_TEST(nothing_wrong_is_as_ever)
{
        put("/etc/cdm/cdmd.conf", "[Fence]\nMode=observe\nExempt=a.service\nExempt=b.service\n");
        put("/etc/cdm/pools.d/hbm.conf", "[Pool]\nNodes=3\n");
        put(FILE_AFTER, GOOD_RULE);
        load();
        ck_assert_uint_eq(messages.n_messages, 0);
        ck_assert_int_eq(config->mode, FENCE_MODE_OBSERVE);
        ck_assert_str_eq(config->exempt[1], "b.service");
        ck_assert_ptr_null(config->exempt[2]);
        ck_assert_uint_eq(config->n_rules, 1);
        ck_assert_ptr_null(config->rules[0]->refused);
        ck_assert(!config->pools[0]->refused);
}
END_TEST

START_TEST(a_root_that_is_missing)
{
        ck_assert_int_eq(config_load_at_start("/nonexistent", &config, &messages), -ENOENT);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                rules,
                whom_it_matches_is_kept,
                the_labels_it_matches_are_kept,
                a_refused_file_denies_nobody_too,
                whom_it_may_match_is_not_passed_over,
                files_that_cannot_be_believed,
                a_folder_of_rules,
                a_pool,
                a_pool_without_a_name,
                settings,
                the_folder_of_all,
                a_reload_is_strict,
                nothing_wrong_is_as_ever,
                a_root_that_is_missing,
        };
        Suite *s = suite_create("conf-start");
        TCase *c = tcase_create("conf-start");

        tcase_add_checked_fixture(c, set_up, tear_down);
        for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
                tcase_add_test(c, tests[i]);
        suite_add_tcase(s, c);
        return check_main(s);
}
