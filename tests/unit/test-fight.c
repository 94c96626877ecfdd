/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stddef.h>
#include <systemd/sd-event.h>

#include "daemon/keeper/fights.h"
#include "daemon/loop/notify.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "policy/fight.h"
#include "tests/unit/check-main.h"

#define SECOND UINT64_C(1000000)

static FightAction look(Fight *f, bool as_wanted, uint64_t second)
{
        return fight_look(f, as_wanted, second * SECOND);
}

START_TEST(names)
{
        for (FightState v = 0; v < _FIGHT_STATE_MAX; v++)
                ck_assert_ptr_nonnull(fight_state_to_string(v));
        for (FightAction v = 0; v < _FIGHT_ACTION_MAX; v++)
                ck_assert_ptr_nonnull(fight_action_to_string(v));
        ck_assert_ptr_null(fight_state_to_string(_FIGHT_STATE_MAX));
        ck_assert_ptr_null(fight_action_to_string(_FIGHT_ACTION_MAX));
}
END_TEST

/* A look a row: when, what it finds, what follows. */
static const struct {
        uint64_t second;
        bool as_wanted;
        FightAction action;
        FightState state;
} story[] = {
        { 0, true, FIGHT_NOTHING, FIGHT_NONE },
        { 1, false, FIGHT_REPAIR, FIGHT_NOTED },
        { 2, true, FIGHT_NOTHING, FIGHT_NOTED }, /* our own write */
        { 60, false, FIGHT_REPAIR, FIGHT_NOTED },
        { 61, true, FIGHT_NOTHING, FIGHT_NONE }, /* the window is over */
        { 100, false, FIGHT_REPAIR, FIGHT_NOTED },
        { 161, false, FIGHT_REPAIR, FIGHT_NOTED }, /* the first of a new window */
        { 162, false, FIGHT_REPAIR, FIGHT_NOTED },
        { 163, false, FIGHT_REPAIR, FIGHT_NOTED },
        { 164, true, FIGHT_NOTHING, FIGHT_NOTED },
        { 165, false, FIGHT_YIELD, FIGHT_YIELDED },
        { 166, false, FIGHT_WAIT, FIGHT_YIELDED },
        { 169, false, FIGHT_WAIT, FIGHT_YIELDED },
        { 170, false, FIGHT_REPAIR, FIGHT_PROBING },
        { 171, true, FIGHT_WAIT, FIGHT_PROBING },
        { 172, false, FIGHT_WAIT, FIGHT_YIELDED },
        { 181, false, FIGHT_WAIT, FIGHT_YIELDED }, /* the second pause is longer */
        { 182, false, FIGHT_REPAIR, FIGHT_PROBING },
        { 241, true, FIGHT_WAIT, FIGHT_PROBING },
        { 242, true, FIGHT_PEACE, FIGHT_NONE },
        { 243, false, FIGHT_REPAIR, FIGHT_NOTED }, /* and all begins anew */
        { 243, false, FIGHT_REPAIR, FIGHT_NOTED },
        { 243, false, FIGHT_REPAIR, FIGHT_NOTED },
        { 243, false, FIGHT_YIELD, FIGHT_YIELDED },
        { 243, true, FIGHT_WAIT, FIGHT_PROBING }, /* a repair that began before the yield */
        { 244, false, FIGHT_WAIT, FIGHT_YIELDED },
        { 246, true, FIGHT_WAIT, FIGHT_PROBING }, /* the other side gave up by itself */
        { 305, true, FIGHT_WAIT, FIGHT_PROBING },
        { 306, true, FIGHT_PEACE, FIGHT_NONE },
};

START_TEST(story_is_told)
{
        Fight f = { .state = FIGHT_NONE };

        for (size_t i = 0; i < sizeof(story) / sizeof(story[0]); i++) {
                ck_assert_str_eq(fight_action_to_string(look(&f, story[i].as_wanted, story[i].second)),
                                 fight_action_to_string(story[i].action));
                ck_assert_str_eq(fight_state_to_string(f.state), fight_state_to_string(story[i].state));
                ck_assert_int_eq(fight_is_on(&f), f.state == FIGHT_YIELDED || f.state == FIGHT_PROBING);
                ck_assert(f.state == FIGHT_NONE || f.next_usec >= story[i].second * SECOND);
        }
}
END_TEST

/* Whatever the other side does, how often it is written is bounded: a day with an opponent that answers at
 * once, and is looked at every second. */
START_TEST(repairs_are_bounded)
{
        Fight f = { .state = FIGHT_NONE };
        unsigned repairs = 0, yields = 0;

        for (uint64_t second = 0; second < 86400; second++) {
                FightAction a = look(&f, false, second);

                repairs += a == FIGHT_REPAIR;
                yields += a == FIGHT_YIELD;
                MUST(f.pause_usec <= FIGHT_PAUSE_LAST_USEC);
        }
        ck_assert_uint_eq(yields, 1);
        ck_assert_uint_le(repairs, FIGHT_REPAIRS_MAX + 8 + 86400 / (FIGHT_PAUSE_LAST_USEC / SECOND));
        ck_assert_uint_ge(repairs, 100); /* it does not give up either */
}
END_TEST

/* What is open is never left so for long. */
START_TEST(open_is_closed_sooner)
{
        Fight f = { .is_open = true };
        uint64_t repaired = 0;

        for (uint64_t second = 0; second < 3600; second++) {
                if (look(&f, false, second) == FIGHT_REPAIR)
                        repaired = second;
                MUST(second - repaired <= 2 * FIGHT_PAUSE_LAST_OPEN_USEC / SECOND);
        }
        ck_assert(f.is_open);
}
END_TEST

/* An opponent that gives the wanted value back for a second now and then gains nothing by that. */
START_TEST(back_and_forth)
{
        Fight f = { .is_open = true };
        unsigned repairs = 0, yields = 0;

        for (uint64_t second = 0; second < 3600; second++) {
                FightAction a = look(&f, second % 4 == 3, second);

                repairs += a == FIGHT_REPAIR;
                yields += a == FIGHT_YIELD;
        }
        ck_assert_uint_eq(yields, 1);
        ck_assert_uint_ge(repairs, 3600 * SECOND / FIGHT_PAUSE_LAST_OPEN_USEC - 60);
        ck_assert_uint_le(repairs, 3600 * SECOND / FIGHT_PAUSE_LAST_OPEN_USEC + 10);
}
END_TEST

/* An opponent that comes every 10 s, as a kubelet does, is one fight and not many. */
START_TEST(every_ten_seconds)
{
        Fight f = { .state = FIGHT_NONE };
        unsigned repairs = 0, yields = 0, peace = 0;
        bool ours = true;

        for (uint64_t second = 0; second < 86400; second++) {
                if (second % 10 == 0)
                        ours = false;
                FightAction a = look(&f, ours, second);

                if (a == FIGHT_REPAIR)
                        ours = true;
                repairs += a == FIGHT_REPAIR;
                yields += a == FIGHT_YIELD;
                peace += a == FIGHT_PEACE;
        }
        ck_assert_uint_eq(yields, 1);
        ck_assert_uint_eq(peace, 0);
        ck_assert_uint_le(repairs, 200);
}
END_TEST

/* --- places ------------------------------------------------------------------------------------------- */

static bool at_once; /* each timer is due as soon as it is set */
static unsigned n_timers, n_looks;

int __real_sd_event_add_time(sd_event *, sd_event_source **, clockid_t, uint64_t, uint64_t,
                             sd_event_time_handler_t, void *);
int __wrap_sd_event_add_time(sd_event *, sd_event_source **, clockid_t, uint64_t, uint64_t,
                             sd_event_time_handler_t, void *);

int __wrap_sd_event_add_time(sd_event *event, sd_event_source **ret, clockid_t clock, uint64_t usec,
                             uint64_t accuracy, sd_event_time_handler_t fn, void *userdata)
{
        n_timers++;
        return __real_sd_event_add_time(event, ret, clock, at_once ? 1 : usec, accuracy, fn, userdata);
}

static void on_look(PlaceKind kind, const char *key, void *userdata _unused_)
{
        ck_assert_int_eq(kind, PLACE_LEAF);
        ck_assert_str_eq(key, "/a");
        n_looks++;
}

static void on_fight(const char *key _unused_, uint32_t n_repairs _unused_, const char *reason _unused_,
                     void *userdata)
{
        ++*(unsigned *)userdata;
}

static unsigned count_fights(Fights *f)
{
        unsigned n = 0;

        fights_foreach(f, on_fight, &n);
        return n;
}

/* It is looked at until there is an answer, and forgotten with the fence. */
START_TEST(a_look_without_an_answer_is_repeated)
{
        Core core = { 0 };
        Book book = { .core = &core };
        Fights *f;

        ck_assert_int_ge(sd_event_new(&core.event), 0);
        ck_assert_int_eq(notify_new(&core.notify), 0);
        ck_assert_int_eq(fights_new(&book, NULL, on_look, NULL, &f), 0);
        ck_assert_int_eq(fights_judge(f, PLACE_LEAF, "/a", "open"), FIGHT_REPAIR);
        at_once = true;
        fights_note_failed(f, "/a");
        at_once = false;
        ck_assert_uint_eq(count_fights(f), 1);
        unsigned before = n_timers;
        while (n_looks == 0)
                ck_assert_int_ge(sd_event_run(core.event, UINT64_MAX), 0);
        ck_assert_uint_eq(n_timers, before + 1);
        ck_assert_uint_eq(count_fights(f), 1);
        fights_forget_fence(f);
        ck_assert_uint_eq(count_fights(f), 0);
        fights_free(f);
        notify_free(core.notify);
        sd_event_unref(core.event);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("fight");
        TCase *c = tcase_create("fight");

        tcase_set_timeout(c, 0);
        tcase_add_test(c, names);
        tcase_add_test(c, story_is_told);
        tcase_add_test(c, repairs_are_bounded);
        tcase_add_test(c, open_is_closed_sooner);
        tcase_add_test(c, back_and_forth);
        tcase_add_test(c, every_ten_seconds);
        tcase_add_test(c, a_look_without_an_answer_is_repeated);
        suite_add_tcase(s, c);
        return check_main(s);
}
