/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What earlier versions wrote, and what it meant: tests/data/compat/VERSION has a configuration, what that
 * version answered with it, and reservations as it stored them. Each is as it was; nothing there is ever
 * brought up to date. */

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "daemon/loop/store-text.h"
#include "policy/conf-read.h"
#include "policy/decide.h"
#include "policy/timespan.h"
#include "tests/unit/check-main.h"
#include "tests/unit/data.h"
#include "tests/unit/machine.h"
#include "tests/unit/temp-root.h"

#define PAGE      UINT64_C(4096)
#define STORED    "compat/0.1.0"
#define TEXT_MAX  4096
#define RULE_PATH "/etc/cdm/policy.d/"

static ConfMessages messages;
static Config *config;

static void read_stored(const char *path, char text[static TEXT_MAX])
{
        FILE *f = fopen(path, "r");

        ck_assert_msg(f != NULL, "%s: %m", path);
        size_t n = fread(text, 1, TEXT_MAX - 1, f);
        text[n] = '\0';
        fclose(f);
}

/* Below root, because the tree may belong to anybody. */
static void copy_folder(const char *folder)
{
        _cleanup_free_ char *path = data_path(STORED "/etc/cdm/%s", folder);
        DIR *dir = opendir(path);

        ck_assert_msg(dir != NULL, "%s: %m", path);
        for (struct dirent *e; (e = readdir(dir));) {
                _cleanup_free_ char *from = data_path(STORED "/etc/cdm/%s/%s", folder, e->d_name);
                char text[TEXT_MAX], to[512];

                if (!strstr(e->d_name, ".conf") || e->d_type == DT_DIR)
                        continue;
                read_stored(from, text);
                snprintf(to, sizeof(to), "/etc/cdm/%s/%s", folder, e->d_name);
                put(to, text);
        }
        closedir(dir);
}

static void set_up(void)
{
        root_make();
        copy_folder(".");
        copy_folder("cdmd.conf.d");
        copy_folder("pools.d");
        copy_folder("policy.d");
        int r = config_load(root, &config, &messages);
        ck_assert_msg(r == 0 && messages.n_messages == 0, "%d: %s", r,
                      messages.n_messages ? messages.messages[0].text : "");
}

static void tear_down(void)
{
        config = config_free(config);
        conf_messages_clear(&messages);
        root_remove();
}

START_TEST(settings_are_what_they_were)
{
        ck_assert_int_eq(config->mode, FENCE_MODE_ENFORCE);
        ck_assert_str_eq(config->exempt[0], "third.service");
        ck_assert_ptr_null(config->exempt[1]);
        ck_assert_uint_eq(config->n_pins, 1);
        ck_assert_uint_eq(config->max_per_user, 4);
        ck_assert_uint_eq(config->queue_max, 8);
        ck_assert_uint_eq(config->default_lease_usec, TIMESPAN_INFINITY);
        ck_assert_uint_eq(config->grace_usec, 10000000);
        ck_assert_uint_eq(config->n_rules, 6);
}
END_TEST

static Topology *machine(void)
{
        Topology *t = machine_new();

        machine_add(t, 0, 16 * GIB, true);
        machine_add(t, 1, 16 * GIB, true);
        for (int node = 2; node <= 4; node++)
                machine_add(t, node, 4 * GIB, false);
        return t;
}

/* One line of the file `cases`. labels: of the target, of which no rule of then says anything. */
static void check_case(const Snapshot *s, const char *line, const Labels *labels)
{
        char unit[64], slice[64], pool[16], size[16], priority[16], lease[16], flags[8], verdict[16],
                rule[64];
        unsigned uid, gid;
        _cleanup_(decision_free_p) Decision *d = NULL;
        char where[128] = "-";
        Size bytes;

        ck_assert_msg(sscanf(line, "%63s %63s %u %u %15s %15s %15s %15s %7s %15s %63s", unit, slice, &uid,
                             &gid, pool, size, priority, lease, flags, verdict, rule) == 11,
                      "%s", line);
        ck_assert_int_eq(size_parse(size, &bytes), 0);
        Subject subject = {
                .unit = unit, .slice = slice, .uid = uid, .gids = &gid, .n_gids = 1, .unit_uid = UID_NONE
        };
        subject.labels = *labels;
        Request q = { .pool = pool,
                      .size_bytes = bytes.value,
                      .subject = &subject,
                      .lease_usec = lease[0] == '-' ? 0 : strtoull(lease, NULL, 10) * 1000000,
                      .has_priority = strcmp(priority, "-") != 0,
                      .priority = atoi(priority),
                      .queue = strchr(flags, 'q') != NULL,
                      .exclusive = strchr(flags, 'x') != NULL };
        ck_assert_int_eq(decide(s, &q, &d), 0);
        if (d->rule)
                snprintf(where, sizeof(where), "%s:%u", strrchr(d->rule->file, '/') + 1, d->line);
        ck_assert_msg(strcmp(verdict_to_string(d->verdict), verdict) == 0 && strcmp(where, rule) == 0,
                      "%sbut is %s by %s: %s", line, verdict_to_string(d->verdict), where, d->reason);
        if (d->verdict == VERDICT_GRANTED)
                ck_assert_int_eq(d->priority, q.has_priority ? q.priority : 0);
}

START_TEST(rules_mean_what_they_meant)
{
        Labels job = { .items = (Label[]){ { (char *)"slurm.account", (char *)"ml" } }, .n = 1 };
        _cleanup_free_ char *path = data_path(STORED "/cases"), *line = NULL, *error = NULL;
        Topology *t = machine();
        PoolSet *pools = NULL;
        Ledger *ledger;
        FILE *f = fopen(path, "r");
        size_t size = 0, n = 0;

        ck_assert_ptr_nonnull(f);
        ck_assert_int_eq(pool_set_resolve(t, (const PoolConfig *const *)config->pools, config->n_pools,
                                          &pools, &error),
                         0);
        ck_assert_int_eq(ledger_new(&ledger), 0);
        Snapshot s = { .topology = t,
                       .pools = pools,
                       .config = config,
                       .ledger = ledger,
                       .page_bytes = PAGE,
                       .now_usec = 1000000 };
        for (; getline(&line, &size, f) > 0;)
                if (line[0] != '#') {
                        check_case(&s, line, &(Labels){ 0 });
                        check_case(&s, line, &job);
                        n++;
                }
        fclose(f);
        ck_assert_uint_gt(n, 15);
        ledger_free(ledger);
        pool_set_free(pools);
        topology_free(t);
}
END_TEST

static Reservation *load(const char *name, StorePhase phase)
{
        _cleanup_free_ char *path = data_path(STORED "/run/cdmd/%s", name), *again = NULL;
        char text[TEXT_MAX];
        Reservation *r;
        StorePhase found;
        const char *reason;

        read_stored(path, text);
        ck_assert_int_eq(store_parse(text, &r, &found, &reason), 0);
        ck_assert_int_eq(found, phase);
        /* Nor does a version that reads it lose anything. */
        ck_assert_int_eq(store_format(r, found, &again), 0);
        ck_assert_str_eq(again, text);
        return r;
}

START_TEST(reservations_are_what_they_were)
{
        Reservation *r = load("granted", STORE_GRANTED);
        ck_assert_str_eq(r->target->unit, "train@a\\x2db.service");
        ck_assert_uint_eq(r->target->uid, 1001);
        ck_assert(r->requester == 1001 && !r->target->nobody);
        ck_assert(r->exclusive && r->with_start && r->n_shares == 2 && r->priority == -7);
        ck_assert_str_eq(r->rule_file, RULE_PATH "20-trainer.conf");
        reservation_free(r);

        r = load("queued", STORE_QUEUED);
        ck_assert(r->wait && r->wait->patient && r->wait->bind && !r->wait->migrate);
        ck_assert_int_eq(r->wait->pid, 77);
        ck_assert(nodeset_contains(&r->wait->nodes, 2));
        reservation_free(r);

        r = load("revoking", STORE_GRANTED);
        ck_assert_int_eq(r->state, RESERVATION_REVOKING);
        ck_assert_uint_eq(r->revoked_for, 4);
        ck_assert_ptr_null(r->target->unit);
        ck_assert_ptr_null(r->rule_file);
        reservation_free(r);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("compat");
        TCase *c = tcase_create("compat");

        tcase_add_checked_fixture(c, set_up, tear_down);
        tcase_add_test(c, settings_are_what_they_were);
        tcase_add_test(c, rules_mean_what_they_meant);
        tcase_add_test(c, reservations_are_what_they_were);
        suite_add_tcase(s, c);
        return check_main(s);
}
