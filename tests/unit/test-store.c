/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/loop/event.h"
#include "daemon/loop/store.h"
#include "policy/timespan.h"
#include "tests/unit/check-main.h"
#include "tests/unit/temp-root.h"

static Reservation *sample(uint32_t id)
{
        Reservation *r;

        ck_assert_int_eq(reservation_new(&r), 0);
        if (!r->target)
                r->target = calloc(1, sizeof(*r->target));
        r->id = id;
        r->pool = strdup("hbm");
        r->size_bytes = 12288;
        r->state = RESERVATION_ACTIVE;
        r->target->unit = strdup("train@a\\x2db.service");
        r->target->cgroup = strdup("/system.slice/odd\nname");
        r->target->cgroup_id = 4711;
        r->target->uid = 1000;
        r->target->unit_uid = UID_NONE;
        r->requester = 1001;
        r->target->nobody = r->target->below_unit = true;
        r->priority = -7;
        r->exclusive = r->scope = r->with_start = true;
        r->rule_file = strdup("/etc/cdm/policy.d/10-a:b.conf");
        r->rule_line = 3;
        r->lease_usec = r->term_usec = r->expires_usec = TIMESPAN_INFINITY;
        r->revoke_usec = 123456789;
        r->revoked_for = 12;
        nodeset_add(&r->base, 0);
        nodeset_add(&r->base, 1);
        nodeset_add(&r->asked, 5);
        MUST(labels_add(&r->target->labels, "slurm.account", "a \\ b=c") == 0);
        MUST(labels_add(&r->target->labels, "slurm.job", "7") == 0);
        MUST(reservation_set_shares(r, (Share[]){ { 2, 8192 }, { 255, 4096 } }, 2) == 0);
        return r;
}

START_TEST(text_round_trip)
{
        _cleanup_(reservation_free_p) Reservation *r = sample(9), *back = NULL;
        _cleanup_free_ char *text = NULL, *again = NULL;
        StorePhase phase;
        const char *reason;

        ck_assert_int_eq(store_format(r, STORE_GRANTING, &text), 0);
        ck_assert_int_eq(store_parse(text, &back, &phase, &reason), 0);
        ck_assert_int_eq(phase, STORE_GRANTING);
        ck_assert_str_eq(back->target->unit, r->target->unit);
        ck_assert_str_eq(back->target->cgroup, r->target->cgroup);
        ck_assert_str_eq(back->rule_file, r->rule_file);
        ck_assert_int_eq(back->priority, -7);
        ck_assert_uint_eq(back->requester, 1001);
        ck_assert(back->target->nobody && back->target->below_unit);
        ck_assert(back->exclusive && back->scope && back->with_start && !back->capped);
        ck_assert_uint_eq(back->expires_usec, TIMESPAN_INFINITY);
        ck_assert_uint_eq(back->target->unit_uid, UID_NONE);
        ck_assert_uint_eq(back->revoke_usec, 123456789);
        ck_assert_uint_eq(back->revoked_for, 12);
        ck_assert_int_eq(store_format(back, phase, &again), 0);
        ck_assert_str_eq(text, again);
}
END_TEST

START_TEST(any_priority_comes_back)
{
        static const int32_t priorities[] = { INT32_MIN, -1, 0, INT32_MAX };

        for (size_t i = 0; i < ARRAY_SIZE(priorities); i++) {
                _cleanup_(reservation_free_p) Reservation *r = sample(9), *back = NULL;
                _cleanup_free_ char *text = NULL;
                StorePhase phase;
                const char *reason;

                r->priority = priorities[i];
                ck_assert_int_eq(store_format(r, STORE_GRANTED, &text), 0);
                ck_assert_int_eq(store_parse(text, &back, &phase, &reason), 0);
                ck_assert_int_eq(back->priority, priorities[i]);
        }
}
END_TEST

static int parse(const char *text)
{
        _cleanup_(reservation_free_p) Reservation *r = NULL;
        StorePhase phase;
        const char *reason;

        return store_parse(text, &r, &phase, &reason);
}

START_TEST(every_cut_is_noticed)
{
        _cleanup_(reservation_free_p) Reservation *r = sample(9);
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(store_format(r, STORE_GRANTED, &text), 0);
        ck_assert_int_eq(parse(text), 0);
        /* The last character is a line feed, which carries nothing. */
        for (size_t n = strlen(text) - 1; n-- > 0;) {
                text[n] = '\0';
                ck_assert_int_eq(parse(text), -EBADMSG);
        }
}
END_TEST

START_TEST(what_is_garbled_is_refused)
{
        static const char *const swaps[][2] = {
                { "Id=9", "Id=0" },
                { "Id=9", "Id=-9" },
                { "Id=9", "Id=9\nId=9" },
                { "Size=12288", "Size=x" },
                { "Size=12288", "Sise=1" },
                { "State=active", "State=idle" },
                { "Phase=granted", "Phase=" },
                { "Flags=", "Flags=gold " },
                { "Shares=2:8192", "Shares=2:" },
                { "Shares=2:", "Shares=-2:" },
                { "Shares=2:", "Shares=9999:" },
                { "255:4096", "2:4096" },
                { "Base=0-1", "Base=1-0" },
                { "reservation 1", "reservation 2" },
                { "Uid=1000", "Uid=4294967296" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(swaps); i++) {
                _cleanup_(reservation_free_p) Reservation *r = sample(9);
                _cleanup_free_ char *text = NULL, *bad = NULL;

                ck_assert_int_eq(store_format(r, STORE_GRANTED, &text), 0);
                char *at_text = strstr(text, swaps[i][0]);
                ck_assert_msg(at_text != NULL, "%s is not in it", swaps[i][0]);
                ck_assert_int_gt(asprintf(&bad, "%.*s%s%s", (int)(at_text - text), text, swaps[i][1],
                                          at_text + strlen(swaps[i][0])),
                                 0);
                ck_assert_msg(parse(bad) == -EBADMSG, "%s was taken", swaps[i][1]);
        }
}
END_TEST

typedef struct Seen {
        unsigned n, n_bad, n_ids_lost;
        uint32_t id, next_id;
        const char *reason;
} Seen;

static int on_reservation(Reservation *r, StorePhase phase, void *userdata)
{
        Seen *s = userdata;

        s->n++;
        s->id = r->id;
        reservation_free(r);
        return 0;
}

static void on_bad(const char *file, const char *reason, void *userdata)
{
        ((Seen *)userdata)->n_bad++;
}

static void on_ids_lost(const char *reason, uint32_t next_id, void *userdata)
{
        Seen *s = userdata;

        s->n_ids_lost++;
        s->reason = reason;
        s->next_id = next_id;
}

static const StoreReader reader = { on_reservation, on_bad, on_ids_lost };

static Store *open_store(Seen *ret)
{
        Store *s;

        *ret = (Seen){ 0 };
        ck_assert_int_eq(store_open(at("/run/cdmd"), &s), 0);
        ck_assert_int_eq(store_load(s, &reader, ret), 0);
        return s;
}

START_TEST(ids_are_never_used_twice)
{
        uint32_t id, last = 0;
        Seen seen;

        for (int restart = 0; restart < 5; restart++) {
                _cleanup_(store_free_p) Store *s = open_store(&seen);
                for (int i = 0; i < 20; i++) {
                        ck_assert_int_eq(store_next_id(s, &id), 0);
                        ck_assert_uint_gt(id, last);
                        last = id;
                }
        }
        put("/run/cdmd/next-id", "garbage\n");
        _cleanup_(store_free_p) Store *s = open_store(&seen);
        ck_assert_uint_eq(seen.n_bad, 0);
        ck_assert_uint_eq(seen.n_ids_lost, 1);
        ck_assert_ptr_nonnull(strstr(seen.reason, "number"));
        ck_assert_int_eq(access(at("/run/cdmd/next-id.bad"), F_OK), 0);
        ck_assert_int_eq(store_next_id(s, &id), 0);
        ck_assert_uint_eq(id, seen.next_id);
        ck_assert_uint_gt(id, last);
}
END_TEST

START_TEST(files_come_back)
{
        _cleanup_(reservation_free_p) Reservation *r = sample(40);
        Seen seen;
        uint32_t id;

        Store *s = open_store(&seen);
        ck_assert_int_eq(store_write(s, r, STORE_GRANTING), 0);
        ck_assert_int_eq(store_write(s, r, STORE_GRANTED), 0);
        store_free(s);
        put("/run/cdmd/reservation-41", "");
        put("/run/cdmd/reservation-007", "no name of ours");
        put("/run/cdmd/.reservation-40.tmp", "half");
        s = open_store(&seen);
        ck_assert_uint_eq(seen.n, 1);
        ck_assert_uint_eq(seen.id, 40);
        ck_assert_uint_eq(seen.n_bad, 1);
        ck_assert_uint_eq(seen.n_ids_lost, 1);
        ck_assert_str_eq(seen.reason, "it is missing");
        ck_assert_int_lt(access(at("/run/cdmd/.reservation-40.tmp"), F_OK), 0);
        ck_assert_int_eq(access(at("/run/cdmd/reservation-41.bad"), F_OK), 0);
        ck_assert_int_eq(store_next_id(s, &id), 0);
        ck_assert_uint_gt(id, 41);
        ck_assert_int_eq(store_remove(s, 40), 0);
        ck_assert_int_eq(store_remove(s, 40), 0);
        store_free(s);
        s = open_store(&seen);
        ck_assert_uint_eq(seen.n, 0);
        store_free(s);
}
END_TEST

/* A reader, or a cdmd that is killed, sees the old file or the new one. */
START_TEST(a_file_is_replaced_not_written_over)
{
        _cleanup_(reservation_free_p) Reservation *r = sample(40);
        char text[4096] = "";
        Seen seen;

        _cleanup_(store_free_p) Store *s = open_store(&seen);
        ck_assert_int_eq(store_write(s, r, STORE_GRANTING), 0);
        FILE *before = fopen(at("/run/cdmd/reservation-40"), "r");
        ck_assert_ptr_nonnull(before);
        ck_assert_int_eq(store_write(s, r, STORE_GRANTED), 0);
        ck_assert_uint_gt(fread(text, 1, sizeof(text) - 1, before), 0);
        ck_assert_ptr_nonnull(strstr(text, "Phase=granting"));
        fclose(before);
}
END_TEST

START_TEST(files_that_are_not_ours_are_refused)
{
        _cleanup_(reservation_free_p) Reservation *r = sample(40);
        static char longer[70000];
        _cleanup_free_ char *text = NULL;
        uint32_t id;
        Seen seen;

        ck_assert_int_eq(store_format(r, STORE_GRANTED, &text), 0);
        put("/run/cdmd/reservation-40", text);
        put("/run/cdmd/reservation-43", text);                           /* another one's name */
        write_bytes("/run/cdmd/reservation-44", text, strlen(text) + 1); /* a NUL at its end */
        memset(longer, 'x', sizeof(longer));
        write_bytes("/run/cdmd/reservation-45", longer, sizeof(longer));
        Store *s = open_store(&seen);
        ck_assert_uint_eq(seen.n, 1);
        ck_assert_uint_eq(seen.n_bad, 3);
        store_free(s);

        /* What was set aside is all that tells of these ids. */
        ck_assert_int_eq(unlink(at("/run/cdmd/reservation-40")), 0);
        (void)unlink(at("/run/cdmd/next-id"));
        s = open_store(&seen);
        ck_assert_int_eq(store_next_id(s, &id), 0);
        ck_assert_uint_gt(id, 45);
        store_free(s);
}
END_TEST

START_TEST(names_round_trip)
{
        for (int i = 0; i < _STORE_PHASE_MAX; i++) {
                StorePhase back;
                ck_assert_int_eq(store_phase_from_string(store_phase_to_string((StorePhase)i), &back), 0);
                ck_assert_int_eq(back, i);
        }
        for (int i = 0; i < _EVENT_KIND_MAX; i++) {
                EventKind back;
                ck_assert_int_eq(event_kind_from_string(event_kind_to_string((EventKind)i), &back), 0);
                ck_assert_int_eq(back, i);
                ck_assert_uint_eq(strlen(event_kind_message_id((EventKind)i)), 32);
                for (int k = 0; k < i; k++)
                        ck_assert_str_ne(event_kind_message_id((EventKind)i),
                                         event_kind_message_id((EventKind)k));
        }
}
END_TEST

int main(void)
{
        Suite *s = suite_create("store");
        TCase *t = tcase_create("store");

        tcase_set_timeout(t, 0);
        tcase_add_checked_fixture(t, root_make, root_remove);
        tcase_add_test(t, text_round_trip);
        tcase_add_test(t, any_priority_comes_back);
        tcase_add_test(t, every_cut_is_noticed);
        tcase_add_test(t, what_is_garbled_is_refused);
        tcase_add_test(t, ids_are_never_used_twice);
        tcase_add_test(t, files_come_back);
        tcase_add_test(t, a_file_is_replaced_not_written_over);
        tcase_add_test(t, files_that_are_not_ours_are_refused);
        tcase_add_test(t, names_round_trip);
        suite_add_tcase(s, t);
        return check_main(s);
}
