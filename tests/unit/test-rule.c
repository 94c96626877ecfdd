/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>

#include "policy/rule.h"
#include "tests/unit/check-main.h"

#define GLOBS(...) ((char *[]){ __VA_ARGS__, NULL })
#define UIDS(...)                                                                                           \
        .uids = (uid_t[]){ __VA_ARGS__ }, .n_uids = sizeof((uid_t[]){ __VA_ARGS__ }) / sizeof(uid_t)
#define GIDS(...)                                                                                           \
        .gids = (gid_t[]){ __VA_ARGS__ }, .n_gids = sizeof((gid_t[]){ __VA_ARGS__ }) / sizeof(gid_t)

static const Subject trainer = {
        .unit = (char *)"training-7.service",
        .slice = (char *)"batch-night.slice",
        .cgroup = (char *)"/batch.slice/batch-night.slice/training-7.service",
        .uid = 1000,
        .gids = (gid_t[]){ 1000, 44 },
        .n_gids = 2,
        .unit_uid = 1000,
};
static const Subject nobody = {
        .unit = (char *)"libpod-1.scope",
        .slice = (char *)"batch.slice",
        .cgroup = (char *)"/batch.slice/libpod-1.scope",
        .container = (char *)"podman:1",
        .nobody = true,
};
static const Subject job = {
        .unit = (char *)"slurmstepd.scope",
        .slice = (char *)"system.slice",
        .uid = 1000,
        .labels = { .items = (Label[]){ { (char *)"slurm.account", (char *)"ml-vision" },
                                        { (char *)"slurm.job", (char *)"77" } },
                    .n = 2 },
};
static const Subject labelled_nobody = {
        .unit = (char *)"x.scope",
        .nobody = true,
        .labels = { .items = (Label[]){ { (char *)"k8s.namespace", (char *)"a b" } }, .n = 1 },
};
static const Subject escaped_job = {
        .unit = (char *)"x.scope",
        .labels = { .items = (Label[]){ { (char *)"k8s.pod", (char *)"a\\x2db" } }, .n = 1 },
};
static const Subject container = {
        .cgroup = (char *)"/machine/abc",
        .container = (char *)"podman:abc123",
        .uid = 0,
        .unit_uid = UID_NONE,
};
static const Subject instance = { .unit = (char *)"worker@a-b.service", .uid = 0 };
static const Subject machine = {
        .unit = (char *)"machine-qemu\\x2d3\\x2dalpha.scope",
        .slice = (char *)"machine.slice",
        .cgroup = (char *)"/machine.slice/machine-qemu\\x2d3\\x2dalpha.scope",
        .uid = 0,
        .unit_uid = UID_NONE,
};
static const Subject unknown_user = { .unit = (char *)"x.service", .uid = UID_NONE };

static const struct {
        const char *what;
        const Subject *subject;
        bool matches;
        Rule rule;
} cases[] = {
        { "no key", &trainer, true, {} },
        { "pool", &trainer, true, { .pools = GLOBS((char *)"h*") } },
        { "other pool", &trainer, false, { .pools = GLOBS((char *)"cxl") } },
        { "second glob", &trainer, true, { .pools = GLOBS((char *)"cxl", (char *)"hbm") } },
        { "unit", &trainer, true, { .units = GLOBS((char *)"training-*.service") } },
        { "instance of a template",
          &instance,
          true,
          { .units = GLOBS((char *)"x", (char *)"worker@.service") } },
        { "instance of another", &instance, false, { .units = GLOBS((char *)"work@.service") } },
        { "instance of another type", &instance, false, { .units = GLOBS((char *)"worker@.socket") } },
        { "an instance is no template", &instance, false, { .units = GLOBS((char *)"worker.service") } },
        { "no instance", &trainer, false, { .units = GLOBS((char *)"training-7@.service") } },
        { "template, a bare cgroup", &container, false, { .units = GLOBS((char *)"worker@.service") } },
        { "escaped name", &machine, true, { .units = GLOBS((char *)"machine-qemu\\x2d3\\x2dalpha.scope") } },
        { "escaped pattern",
          &machine,
          true,
          { .units = GLOBS((char *)"machine-qemu\\x2d*\\x2dalpha.scope") } },
        { "escaped pattern of another",
          &machine,
          false,
          { .units = GLOBS((char *)"machine-qemu\\x2d*\\x2dbeta.scope") } },
        { "escaped path",
          &machine,
          true,
          { .cgroups = GLOBS((char *)"/machine.slice/machine-qemu\\x2d*") } },
        { "quoted star", &machine, false, { .units = GLOBS((char *)"machine\\*") } },
        { "unit as a whole", &trainer, false, { .units = GLOBS((char *)"training") } },
        { "unit of a bare cgroup", &container, false, { .units = GLOBS((char *)"*") } },
        { "own slice", &trainer, true, { .slices = GLOBS((char *)"batch-night.slice") } },
        { "ancestor", &trainer, true, { .slices = GLOBS((char *)"batch.slice") } },
        { "root slice", &trainer, true, { .slices = GLOBS((char *)"-.slice") } },
        { "other slice", &trainer, false, { .slices = GLOBS((char *)"bat.slice", (char *)"night.slice") } },
        { "slice of a bare cgroup", &container, false, { .slices = GLOBS((char *)"*") } },
        { "cgroup of several levels", &trainer, true, { .cgroups = GLOBS((char *)"/batch.slice/*") } },
        { "other cgroup", &trainer, false, { .cgroups = GLOBS((char *)"/system.slice/*") } },
        { "container", &container, true, { .containers = GLOBS((char *)"podman:*") } },
        { "no container", &trainer, false, { .containers = GLOBS((char *)"*") } },
        { "user", &trainer, true, { .users = GLOBS((char *)"t"), UIDS(5, 1000) } },
        { "other user", &trainer, false, { .users = GLOBS((char *)"t"), UIDS(5) } },
        { "root is no exception", &container, false, { .users = GLOBS((char *)"t"), UIDS(5) } },
        { "only unknown users", &trainer, false, { .users = GLOBS((char *)"nobody-knows") } },
        { "no user", &unknown_user, false, { .users = GLOBS((char *)"t"), UIDS(UID_NONE) } },
        { "second group", &trainer, true, { .groups = GLOBS((char *)"video"), GIDS(44) } },
        { "other group", &trainer, false, { .groups = GLOBS((char *)"video"), GIDS(45) } },
        { "only unknown groups", &trainer, false, { .groups = GLOBS((char *)"nobody-knows") } },
        { "nobody, pool", &nobody, false, { .pools = GLOBS((char *)"*") } },
        { "nobody, unit", &nobody, false, { .units = GLOBS((char *)"*") } },
        { "nobody, slice", &nobody, true, { .slices = GLOBS((char *)"batch.slice") } },
        { "nobody, cgroup", &nobody, true, { .cgroups = GLOBS((char *)"/batch.slice/*") } },
        { "nobody, container", &nobody, true, { .containers = GLOBS((char *)"podman:*") } },
        { "nobody, other slice", &nobody, false, { .slices = GLOBS((char *)"machine.slice") } },
        { "nobody, unit and slice",
          &nobody,
          true,
          { .units = GLOBS((char *)"*"), .slices = GLOBS((char *)"*") } },
        { "nobody is not root",
          &nobody,
          false,
          { .slices = GLOBS((char *)"*"), .users = GLOBS((char *)"root"), UIDS(0) } },
        { "nobody has no group",
          &nobody,
          false,
          { .slices = GLOBS((char *)"*"), .groups = GLOBS((char *)"root"), GIDS(0) } },
        { "nobody has no quota", &nobody, false, { .slices = GLOBS((char *)"*"), .has_user_quota = true } },
        { "nobody, refused rule", &nobody, true, { .pools = GLOBS((char *)"*"), .refused = (char *)"x" } },
        { "nobody, refused rule of all", &nobody, true, { .refused = (char *)"x" } },
        { "nobody, refused rule of a user",
          &nobody,
          false,
          { .users = GLOBS((char *)"root"), UIDS(0), .refused = (char *)"x" } },
        { "label", &job, true, { .labels = GLOBS((char *)"slurm.job=77") } },
        { "glob of a label", &job, true, { .labels = GLOBS((char *)"slurm.account=ml-*") } },
        { "escaped label", &escaped_job, true, { .labels = GLOBS((char *)"k8s.pod=a\\x2d*") } },
        { "other value", &job, false, { .labels = GLOBS((char *)"slurm.job=7") } },
        { "key that is not there", &job, false, { .labels = GLOBS((char *)"slurm.user=*") } },
        { "beginning of a key", &job, false, { .labels = GLOBS((char *)"slurm.jo=*") } },
        { "key with more", &job, false, { .labels = GLOBS((char *)"slurm.job.x=*") } },
        { "same key is an alternative",
          &job,
          true,
          { .labels = GLOBS((char *)"slurm.job=1", (char *)"slurm.job=77") } },
        { "each key must match",
          &job,
          false,
          { .labels = GLOBS((char *)"slurm.job=77", (char *)"slurm.account=bio") } },
        { "each key has an alternative",
          &job,
          true,
          { .labels = GLOBS((char *)"slurm.account=bio", (char *)"slurm.job=77",
                            (char *)"slurm.account=*-vision") } },
        { "no alternative in another key",
          &job,
          false,
          { .labels = GLOBS((char *)"slurm.account=77", (char *)"slurm.job=*") } },
        { "label and user",
          &job,
          false,
          { .labels = GLOBS((char *)"slurm.job=*"), .users = GLOBS((char *)"t"), UIDS(5) } },
        { "no labels", &trainer, false, { .labels = GLOBS((char *)"slurm.job=*") } },
        { "labels do no harm", &job, true, { .units = GLOBS((char *)"*.scope") } },
        { "nobody, label", &labelled_nobody, true, { .labels = GLOBS((char *)"k8s.namespace=a ?") } },
        { "nobody, other label", &labelled_nobody, false, { .labels = GLOBS((char *)"k8s.pod=*") } },
        { "nobody, label and user",
          &labelled_nobody,
          false,
          { .labels = GLOBS((char *)"k8s.namespace=*"), .users = GLOBS((char *)"root"), UIDS(0) } },
        { "all keys must match",
          &trainer,
          false,
          { .units = GLOBS((char *)"training-*"), .users = GLOBS((char *)"t"), UIDS(5) } },
        { "all keys match",
          &trainer,
          true,
          { .pools = GLOBS((char *)"hbm"),
            .units = GLOBS((char *)"training-*"),
            .slices = GLOBS((char *)"batch.slice"),
            .users = GLOBS((char *)"t"),
            UIDS(1000) } },
};

START_TEST(matching)
{
        ck_assert_msg(rule_matches(&cases[_i].rule, "hbm", cases[_i].subject) == cases[_i].matches, "%s",
                      cases[_i].what);
}
END_TEST

/* Not even while it is not known who is meant. */
START_TEST(nobody_is_no_name_either)
{
        Rule user = { .slices = GLOBS((char *)"*"), .users = GLOBS((char *)"t"), .unknown_user = "t" };
        Rule group = { .slices = GLOBS((char *)"*"), .groups = GLOBS((char *)"t"), .unknown_group = "t" };

        ck_assert(!rule_may_match(&user, "hbm", &nobody) && !rule_may_match(&group, "hbm", &nobody));
        ck_assert(rule_may_match(&user, "hbm", &trainer) && rule_may_match(&group, "hbm", &trainer));
}
END_TEST

START_TEST(first_match_decides)
{
        Rule other = { .pools = GLOBS((char *)"cxl") }, deny = { .deny = true }, late = {};
        Rule *rules[] = { &other, &deny, &late };

        ck_assert_ptr_eq(rule_find(rules, 3, "hbm", &trainer), &deny);
        ck_assert_ptr_eq(rule_find(rules, 3, "cxl", &trainer), &other);
        ck_assert_ptr_null(rule_find(rules, 1, "hbm", &trainer));
        ck_assert_ptr_null(rule_find(NULL, 0, "hbm", &trainer));
}
END_TEST

/* A name too long for a unit matches no Slice=, rather than overflow. */
START_TEST(overlong_slice)
{
        char name[400];
        Subject s = { .slice = name };
        Rule r = { .slices = GLOBS((char *)"*") };

        memset(name, 'a', sizeof(name));
        strcpy(name + sizeof(name) - 7, ".slice");
        ck_assert(!rule_matches(&r, "hbm", &s));
}
END_TEST

START_TEST(lines)
{
        Rule r = { .line = 3, .key_line = { [RULE_KEY_LIMIT] = 9 } };

        ck_assert_uint_eq(rule_line(&r, RULE_KEY_LIMIT), 9);
        ck_assert_uint_eq(rule_line(&r, RULE_KEY_QUOTA), 3);
}
END_TEST

START_TEST(strings)
{
        OnFull full = _ON_FULL_MAX;
        OnOverrun overrun = _ON_OVERRUN_MAX;

        for (OnFull v = 0; v < _ON_FULL_MAX; v++) {
                ck_assert_int_eq(on_full_from_string(on_full_to_string(v), &full), 0);
                ck_assert_int_eq(full, v);
        }
        for (OnOverrun v = 0; v < _ON_OVERRUN_MAX; v++) {
                ck_assert_int_eq(on_overrun_from_string(on_overrun_to_string(v), &overrun), 0);
                ck_assert_int_eq(overrun, v);
        }
        ck_assert_int_eq(on_full_from_string("", &full), -EINVAL);
        ck_assert_int_eq(on_overrun_from_string("Warn", &overrun), -EINVAL);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("rule");
        TCase *c = tcase_create("rule");

        tcase_add_loop_test(c, matching, 0, ARRAY_SIZE(cases));
        tcase_add_test(c, nobody_is_no_name_either);
        tcase_add_test(c, first_match_decides);
        tcase_add_test(c, overlong_slice);
        tcase_add_test(c, lines);
        tcase_add_test(c, strings);
        suite_add_tcase(s, c);
        return check_main(s);
}
