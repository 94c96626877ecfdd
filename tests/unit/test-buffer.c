/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>

#include "policy/buffer.h"
#include "policy/macro.h"
#include "tests/unit/check-main.h"

#define PAGE  UINT64_C(4096)
#define HUGE_ (UINT64_C(2) << 20)
#define MIB   (UINT64_C(1) << 20)

START_TEST(verdicts)
{
        for (BufferVerdict v = 0; v < _BUFFER_VERDICT_MAX; v++)
                ck_assert_ptr_nonnull(buffer_verdict_to_string(v));
        ck_assert_ptr_null(buffer_verdict_to_string(_BUFFER_VERDICT_MAX));
}
END_TEST

static const struct {
        Share shares[3], taken[3];
        uint64_t size_bytes, page_bytes;
        BufferVerdict verdict;
        Share parts[3];
        uint64_t room_bytes;
} cases[] = {
        { { { 2, 10 * PAGE } }, { { 0 } }, 0, PAGE, BUFFER_EMPTY, { { 0 } }, 10 * PAGE },
        { { { 2, 10 * PAGE } }, { { 0 } }, 1, PAGE, BUFFER_FITS, { { 2, PAGE } }, 10 * PAGE },
        { { { 2, 10 * PAGE } }, { { 0 } }, PAGE + 1, PAGE, BUFFER_FITS, { { 2, 2 * PAGE } }, 10 * PAGE },
        { { { 2, 10 * PAGE } }, { { 0 } }, 10 * PAGE, PAGE, BUFFER_FITS, { { 2, 10 * PAGE } }, 10 * PAGE },
        { { { 2, 10 * PAGE } }, { { 0 } }, 10 * PAGE + 1, PAGE, BUFFER_TOO_BIG, { { 0 } }, 10 * PAGE },
        { { { 2, 10 * PAGE } }, { { 0 } }, UINT64_MAX, PAGE, BUFFER_TOO_BIG, { { 0 } }, 10 * PAGE },
        /* what others hold is gone, several of them add up, on this node only */
        { { { 2, 10 * PAGE } },
          { { 2, 4 * PAGE }, { 3, 9 * PAGE }, { 2, 5 * PAGE } },
          PAGE,
          PAGE,
          BUFFER_FITS,
          { { 2, PAGE } },
          PAGE },
        { { { 2, 10 * PAGE } }, { { 2, 10 * PAGE } }, 1, PAGE, BUFFER_TOO_BIG, { { 0 } }, 0 },
        /* residue: shares may be smaller than what the buffers hold */
        { { { 2, 1 * PAGE } }, { { 2, 10 * PAGE } }, 1, PAGE, BUFFER_TOO_BIG, { { 0 } }, 0 },
        /* one node where it fits, else all in order */
        { { { 2, 4 * PAGE }, { 3, 8 * PAGE } },
          { { 0 } },
          6 * PAGE,
          PAGE,
          BUFFER_FITS,
          { { 3, 6 * PAGE } },
          12 * PAGE },
        { { { 2, 4 * PAGE }, { 3, 8 * PAGE } },
          { { 0 } },
          9 * PAGE,
          PAGE,
          BUFFER_FITS,
          { { 2, 4 * PAGE }, { 3, 5 * PAGE } },
          12 * PAGE },
        /* only whole huge pages of a node count */
        { { { 2, HUGE_ + PAGE }, { 3, HUGE_ - PAGE } },
          { { 0 } },
          1,
          HUGE_,
          BUFFER_FITS,
          { { 2, HUGE_ } },
          HUGE_ },
        { { { 2, HUGE_ + PAGE }, { 3, HUGE_ - PAGE } },
          { { 0 } },
          HUGE_ + 1,
          HUGE_,
          BUFFER_TOO_BIG,
          { { 0 } },
          HUGE_ },
};

static size_t count(const Share shares[static 3])
{
        size_t n = 0;

        while (n < 3 && shares[n].bytes > 0)
                n++;
        return n;
}

START_TEST(layouts)
{
        BufferLayout l = { .n_parts = 77 };
        uint64_t room;

        BufferVerdict v = buffer_lay_out(cases[_i].shares, count(cases[_i].shares), cases[_i].taken,
                                         count(cases[_i].taken), cases[_i].size_bytes, cases[_i].page_bytes,
                                         &l, &room);
        ck_assert_str_eq(buffer_verdict_to_string(v), buffer_verdict_to_string(cases[_i].verdict));
        ck_assert_uint_eq(room, cases[_i].room_bytes);
        if (v != BUFFER_FITS) {
                ck_assert_uint_eq(l.n_parts, 77);
                return;
        }
        ck_assert_uint_eq(l.page_bytes, cases[_i].page_bytes);
        ck_assert_uint_eq(l.n_parts, count(cases[_i].parts));
        for (size_t i = 0; i < l.n_parts; i++) {
                ck_assert_int_eq(l.parts[i].node, cases[_i].parts[i].node);
                ck_assert_uint_eq(l.parts[i].bytes, cases[_i].parts[i].bytes);
        }
}
END_TEST

START_TEST(scattered)
{
        Share shares[SHARES_MAX];
        BufferLayout l;

        for (int i = 0; i < SHARES_MAX; i++)
                shares[i] = (Share){ i, PAGE };
        ck_assert(buffer_lay_out(shares, SHARES_MAX, NULL, 0, BUFFER_PARTS_MAX * PAGE, PAGE, &l, NULL) ==
                  BUFFER_FITS);
        ck_assert_uint_eq(l.n_parts, BUFFER_PARTS_MAX);
        ck_assert(buffer_lay_out(shares, SHARES_MAX, NULL, 0, BUFFER_PARTS_MAX * PAGE + 1, PAGE, &l, NULL) ==
                  BUFFER_SCATTERED);
}
END_TEST

/* However buffers come and go, those that are open never hold more of a node than is reserved there. */
START_TEST(never_more_than_reserved)
{
        const Share shares[] = { { 2, 64 * MIB }, { 3, 48 * MIB + PAGE }, { 7, 3 * PAGE } };
        const uint64_t pages[] = { PAGE, HUGE_ };
        BufferLayout open[8] = { 0 };

        srandom((unsigned)_i);
        for (int step = 0; step < 2000; step++) {
                BufferLayout *l = &open[random() % 8];
                Share taken[8 * BUFFER_PARTS_MAX];
                size_t n = 0;

                l->n_parts = 0;
                for (size_t i = 0; i < 8; i++)
                        for (size_t k = 0; k < open[i].n_parts; k++)
                                taken[n++] = open[i].parts[k];
                uint64_t size = (uint64_t)random() % (80 * MIB), room;
                BufferVerdict v = buffer_lay_out(shares, 3, taken, n, size, pages[random() % 2], l, &room);
                MUST(v == BUFFER_FITS ? size <= room && buffer_layout_bytes(l) >= size &&
                                                buffer_layout_bytes(l) < size + HUGE_
                                      : size == 0 || size > room);
                for (size_t s = 0; s < ARRAY_SIZE(shares); s++) {
                        uint64_t sum = 0;

                        for (size_t i = 0; i < 8; i++)
                                sum += buffer_layout_node_bytes(&open[i], shares[s].node);
                        MUST(sum <= shares[s].bytes);
                }
        }
}
END_TEST

START_TEST(names)
{
        BufferLayout l = { .page_bytes = PAGE, .n_parts = 2, .parts = { { 2, PAGE }, { 255, 300 * PAGE } } };
        char name[BUFFER_NAME_MAX];
        BufferLayout back;
        uint32_t id, serial;

        ck_assert_str_eq(buffer_name_format(17, 4, &l, name), "buffer-17-4-1000-2.1000-255.12c000");
        ck_assert_int_eq(buffer_name_parse(name, &id, &serial, &back), 0);
        ck_assert_uint_eq(id, 17);
        ck_assert_uint_eq(serial, 4);
        ck_assert_uint_eq(back.page_bytes, PAGE);
        ck_assert_uint_eq(back.n_parts, 2);
        ck_assert_int_eq(back.parts[1].node, 255);
        ck_assert_uint_eq(back.parts[1].bytes, 300 * PAGE);

        /* The longest one is one that systemd takes. */
        l = (BufferLayout){ .page_bytes = UINT64_C(1) << 63, .n_parts = BUFFER_PARTS_MAX };
        for (size_t i = 0; i < BUFFER_PARTS_MAX; i++)
                l.parts[i] = (Share){ NODE_MAX - 1, UINT64_C(1) << 63 };
        ck_assert_uint_le(strlen(buffer_name_format(UINT32_MAX, UINT32_MAX, &l, name)), 255);
        ck_assert_int_eq(buffer_name_parse(name, &id, &serial, &back), 0);
}
END_TEST

static const char *const bad_names[] = {
        "",
        "stored",
        "buffer-",
        "buffer-1-1-1000",
        "buffer-1-1-0-2.1000",
        "buffer-1-1-1000-2.1001",
        "buffer-1-1-1000-2.0",
        "buffer-1-1-1000-2.1000x",
        "buffer-1-1-1000-2.1000-",
        "buffer-1-1-1000--2.1000",
        "buffer- 1-1-1000-2.1000",
        "buffer-+1-1-1000-2.1000",
        "buffer-4294967297-1-1000-2.1000",
        "buffer-1-1-1000-1024.1000",
        "buffer-1-1-1000-0.1000-1.1000-2.1000-3.1000-4.1000-5.1000-6.1000-7.1000-8.1000-9.1000",
};

START_TEST(not_names)
{
        BufferLayout l;
        uint32_t id, serial;

        ck_assert_int_eq(buffer_name_parse(bad_names[_i], &id, &serial, &l), -EINVAL);
}
END_TEST

/* One user cannot take the places of all, nor all users those of root. */
START_TEST(no_user_has_all_buffers)
{
        BufferCounts n = { .of_reservation = BUFFERS_EACH_MAX - 1,
                           .of_user = BUFFERS_USER_MAX - 1,
                           .of_users = BUFFERS_USERS_MAX - 1,
                           .all = BUFFERS_USERS_MAX - 1 };

        ck_assert_ptr_null(buffer_too_many(&n, false));
        n.of_user = BUFFERS_USER_MAX;
        ck_assert_ptr_nonnull(strstr(buffer_too_many(&n, false), "you have 128 buffers"));
        ck_assert_ptr_null(buffer_too_many(&n, true));
        n.of_user = 0;
        n.of_users = n.all = BUFFERS_USERS_MAX;
        ck_assert_ptr_nonnull(strstr(buffer_too_many(&n, false), "the users of this machine"));
        ck_assert_ptr_null(buffer_too_many(&n, true));
        n.of_reservation = BUFFERS_EACH_MAX;
        ck_assert_ptr_nonnull(strstr(buffer_too_many(&n, true), "this reservation has 64 buffers"));
        n.of_reservation = 0;
        n.all = BUFFERS_MAX;
        ck_assert_ptr_nonnull(strstr(buffer_too_many(&n, true), "there are too many"));
}
END_TEST

int main(void)
{
        Suite *s = suite_create("buffer");
        TCase *c = tcase_create("buffer");

        tcase_add_test(c, verdicts);
        tcase_add_loop_test(c, layouts, 0, ARRAY_SIZE(cases));
        tcase_add_test(c, scattered);
        tcase_add_loop_test(c, never_more_than_reserved, 0, 4);
        tcase_add_test(c, no_user_has_all_buffers);
        tcase_add_test(c, names);
        tcase_add_loop_test(c, not_names, 0, ARRAY_SIZE(bad_names));
        suite_add_tcase(s, c);
        return check_main(s);
}
