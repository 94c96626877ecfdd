/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>

#include "policy/macro.h"
#include "slurm/words.h"
#include "tests/unit/check-main.h"

#define MIB (UINT64_C(1) << 20)

static const struct {
        const char *text, *pool;
        uint64_t bytes;
} good_asks[] = {
        { "hbm:64M", "hbm", 64 * MIB },
        { "hbm:4096", "hbm", 4096 },
        { "a:1.5G", "a", 1536 * MIB },
        { "gpu0:16GiB", "gpu0", 16 * 1024 * MIB },
};

START_TEST(asks)
{
        _cleanup_(cdm_ask_clear) CdmAsk ask = { 0 };
        const char *reason;

        ck_assert_int_eq(cdm_ask_parse(good_asks[_i].text, &ask, &reason), 0);
        ck_assert_str_eq(ask.pool, good_asks[_i].pool);
        ck_assert_uint_eq(ask.bytes, good_asks[_i].bytes);
}
END_TEST

static const char *const bad_asks[] = { "",       "hbm",   ":64M",    "hbm:",    "hbm:lots",
                                        "hbm:-1", "hbm:0", "hbm:50%", "hbm:1G:2" };

START_TEST(no_asks)
{
        CdmAsk ask = { 0 };
        const char *reason = NULL;

        ck_assert_int_eq(cdm_ask_parse(bad_asks[_i], &ask, &reason), -EINVAL);
        ck_assert_ptr_nonnull(reason);
        ck_assert_ptr_null(ask.pool);
}
END_TEST

/* As Slurm 22.05 and 24.11 write tres_per_node. */
static const struct {
        const char *text;
        uint64_t bytes;
} counts[] = {
        { NULL, 0 },
        { "", 0 },
        { "gres:gpu:2", 0 },
        { "gres:cdm:hbm:64M", 64 * MIB },
        { "gres/cdm:hbm:64M", 64 * MIB },
        { "gres/cdm:hbm=64M", 64 * MIB },
        { "cdm:hbm:64M", 64 * MIB },
        { "gres:cdm:67108864", 64 * MIB },
        { "gres/cdm=1k", 1024 },
        { "gres/cdm:1T", 1024 * 1024 * MIB },
        { "gres:gpu:2,gres:cdm:hbm:64M", 64 * MIB },
        { "gres:cdm:hbm:64M,gres:cdm:cxl:8G", 64 * MIB },
        { "gres:cdm:hbm:64M,gres:cdm:1M", 65 * MIB },
        { "gres:cdm:hbm2:64M", 0 },
        { "gres:cdmx:hbm:64M", 0 },
        { "gres:cdm:hbm", 0 },
        { "gres:cdm", 0 },
        { "gres:cdm:", 0 },
        { "gres:cdm:hbm:", 0 },
        { "gres:cdm:hbm:64X", 0 },
        { "gres:cdm:hbm:64MB", 0 },
        { "gres:cdm:hbm:99999999999999999999", 0 },
        { "gres:cdm:hbm:18446744073709551615,gres:cdm:1", UINT64_MAX },
        { "gres:cdm:hbm:16385P,gres:cdm:hbm:1", 1 },
};

START_TEST(gres)
{
        ck_assert_uint_eq(cdm_gres_bytes(counts[_i].text, "hbm"), counts[_i].bytes);
}
END_TEST

static const struct {
        const char *text, *job, *step;
} places[] = {
        { "0::/system.slice/slurmstepd.scope/job_7/step_0/slurm\n", "/system.slice/slurmstepd.scope/job_7",
          "/system.slice/slurmstepd.scope/job_7/step_0" },
        { "12:cpuset:/x\n0::/system.slice/n1_slurmstepd.scope/job_7/step_extern/user/task_0\n",
          "/system.slice/n1_slurmstepd.scope/job_7", "/system.slice/n1_slurmstepd.scope/job_7/step_extern" },
        { "0::/s/job_1/step_2", "/s/job_1", "/s/job_1/step_2" },
        { "0::/s/job_1/step_2/user/task_0/job_8/step_9\n", "/s/job_1", "/s/job_1/step_2" },
        { "0::/job_x.slice/job_1/step_2\n", "/job_x.slice/job_1", "/job_x.slice/job_1/step_2" },
        { "", NULL, NULL },
        { "0::/\n", NULL, NULL },
        { "0::/system.slice/slurmd.service\n", NULL, NULL },
        { "0::/s/job_1\n", NULL, NULL },
        { "0::/s/job_1/slurm\n", NULL, NULL },
        { "0::/s/job_/step_1\n", NULL, NULL },
        { "0::/s/job_1/step_\n", NULL, NULL },
        { "4:freezer:/slurm/uid_0/job_1/step_2\n", NULL, NULL },
        { "4:freezer:/slurm/uid_0/job_1/step_2\n0::/x\n", NULL, NULL },
};

START_TEST(step_places)
{
        _cleanup_(step_place_clear) StepPlace place = { 0 };
        int r = step_place_parse(places[_i].text, &place);

        if (!places[_i].job) {
                ck_assert_int_eq(r, -ENODATA);
                return;
        }
        ck_assert_int_eq(r, 0);
        ck_assert_str_eq(place.job, places[_i].job);
        ck_assert_str_eq(place.step, places[_i].step);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("slurm-words");
        TCase *c = tcase_create("slurm-words");

        tcase_add_loop_test(c, asks, 0, ARRAY_SIZE(good_asks));
        tcase_add_loop_test(c, no_asks, 0, ARRAY_SIZE(bad_asks));
        tcase_add_loop_test(c, gres, 0, ARRAY_SIZE(counts));
        tcase_add_loop_test(c, step_places, 0, ARRAY_SIZE(places));
        suite_add_tcase(s, c);
        return check_main(s);
}
