/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/whole-cdmd.h"

#include <sys/mman.h>

#include "daemon/kernel/memory.h"
#include "daemon/kernel/pages.h"
#include "daemon/loop/answer.h"
#include "daemon/loop/turn.h"
#include "daemon/tenant/buffers.h"
#include "daemon/tenant/grant.h"
#include "daemon/tenant/holds.h"
#include "daemon/tenant/leases.h"
#include "daemon/tenant/release.h"
#include "daemon/tenant/resizes.h"
#include "daemon/tenant/snapshot.h"
#include "daemon/tenant/unit-check.h"
#include "policy/cdm-names.h"

/* What clients of a whole cdmd cannot show. The last judgement of a request, after polkit: what policy allows
 * is carried out for a caller who is authorised, and for no other one, however the request got there; requests
 * of clients end at the first judgement. And what happens to a reservation between two steps of a grant or of
 * another change of it. */

#define MIB   (UINT64_C(1) << 20)
#define ALICE 1000

static WholeCdmd w;

static void start(void)
{
        whole_prepare(&w, 3, "[Match]\nPool=*\n[Grant]\nLimit=infinity\nOnFull=queue\n");
        whole_start(&w);
        while (!w.assembly->book.serving)
                ck_assert_int_ge(sd_event_run(w.event, UINT64_MAX), 0);
}

static void stop(void)
{
        whole_stop(&w);
}

typedef struct Said {
        bool done;
        uint32_t id;
        char error[128], text[512];
        size_t n_most; /* reservations there were meanwhile */
} Said;

static void on_done(const Answer *a, uint32_t id, void *userdata)
{
        Said *s = userdata;

        s->done = true;
        s->id = id;
        snprintf(s->error, sizeof(s->error), "%s", a->error ? a->error : "");
        snprintf(s->text, sizeof(s->text), "%s", a->text ? a->text : "");
}

/* Alice asks for u-1.service. */
static Identity *alice(void)
{
        Identity *i = calloc(1, sizeof(*i));

        MUST(i && (i->subject = calloc(1, sizeof(*i->subject))));
        i->pidfd = -EBADF;
        i->sender_uid = i->subject->uid = ALICE;
        i->subject->unit_uid = UID_NONE;
        i->subject->unit = strdup("u-1.service");
        i->subject->slice = strdup("system.slice");
        i->subject->cgroup = strdup("/system.slice/u-1.service");
        return i;
}

static void turn(void)
{
        ck_assert_int_ge(sd_event_run(w.event, UINT64_MAX), 0);
}

static Said ask_for(Identity *who, uint64_t size_bytes, bool queue, bool authorised)
{
        RequestArgs args = { .pool = (char *)"cdm",
                             .size_bytes = size_bytes,
                             .target.pidfd = -EBADF,
                             .queue = queue,
                             .queue_usec = UINT64_MAX };
        Said s = { 0 };
        Grant *g;

        ck_assert_int_ge(grant_start(w.assembly->grants, who, &args, authorised, on_done, &s, &g), 0);
        while (!s.done) {
                turn();
                size_t n = ledger_count(w.assembly->book.ledger);
                s.n_most = n > s.n_most ? n : s.n_most;
        }
        return s;
}

static Said ask(uint64_t size_bytes, bool queue, bool authorised)
{
        return ask_for(alice(), size_bytes, queue, authorised);
}

START_TEST(who_is_not_authorised_is_not_granted)
{
        Said s = ask(MIB, false, false);

        ck_assert_str_eq(s.error, CDM_ERROR_DENIED);
        ck_assert_msg(strstr(s.text, "not authorised"), "%s", s.text);
        ck_assert_uint_eq(s.n_most, 0);
        /* The same for one who is: it is PID 1 that has no time. */
        s = ask(MIB, false, true);
        ck_assert_str_ne(s.error, CDM_ERROR_DENIED);
        ck_assert_uint_eq(s.n_most, 1);
}
END_TEST

static void fill(void)
{
        Snapshot now = snapshot_take(&w.assembly->book, NULL);
        Entry *e;

        /* Nodes 2 and 3, each of which another tenant has for itself. */
        for (int node = 2; node <= 3; node++) {
                e = whole_add_tenant(&w, (uint32_t)node, 1);
                Share all = { node, snapshot_node_available(&now, node) };
                ck_assert_int_eq(ledger_set_shares(w.assembly->book.ledger, e->r, &all, 1), 0);
        }
}

START_TEST(who_is_not_authorised_does_not_wait)
{
        (void)ask(MIB, false, false); /* so that the nodes were observed */
        fill();
        Said s = ask(MIB, true, false);
        ck_assert_str_eq(s.error, CDM_ERROR_DENIED);
        ck_assert_uint_eq(queue_count(w.assembly->book.queue), 0);
        ck_assert_uint_eq(s.n_most, 2);
        s = ask(MIB, true, true);
        ck_assert_msg(s.error[0] == '\0', "%s: %s", s.error, s.text);
        ck_assert_uint_eq(queue_count(w.assembly->book.queue), 1);
}
END_TEST

/* Of a refusal one hears as it was judged. */
START_TEST(a_refusal_stays_a_refusal)
{
        (void)ask(MIB, false, false);
        fill();
        ck_assert_str_eq(ask(MIB, false, false).error, CDM_ERROR_FULL);
        ck_assert_str_eq(ask(MIB, false, true).error, CDM_ERROR_FULL);
}
END_TEST

static void on_event(int result _unused_, void *userdata)
{
        *(bool *)userdata = true;
}

/* A control group that systemd does not own. */
#define FOREIGN "/jobs/1"

static Identity *foreign(void)
{
        Identity *i = alice();

        free(i->subject->unit);
        i->subject->unit = NULL;
        free(i->subject->cgroup);
        i->subject->cgroup = strdup(FOREIGN);
        return i;
}

typedef struct Waiting {
        Entry *entry;
        Turn *before; /* the grant waits for the end of this turn */
        bool checked; /* the check that has a turn in between has ended */
} Waiting;

/* One that waited is being granted. */
static void grant_one_that_waits(Waiting *g)
{
        static bool begun;
        Book *book = &w.assembly->book;

        *g = (Waiting){ .checked = false };
        (void)ask(MIB, false, false);
        fill();
        uint32_t id = ask_for(foreign(), MIB, true, true).id;
        ck_assert_int_ge(turn_take(book->core->turns, FOREIGN, on_event, &begun, &g->before), 0);
        ck_assert_int_ge(unit_checks_add(w.assembly->unit_checks, FOREIGN, false, on_event, &g->checked), 0);
        book_forget(book_find(book, 2));
        while ((g->entry = book_find(book, id)) && g->entry->phase != STORE_GRANTING)
                turn();
        ck_assert_ptr_nonnull(g->entry);
}

/* It is released before the grant has its turn, and the check finds that the tenant has ended. */
START_TEST(the_end_of_a_tenant_leaves_its_grant_to_end)
{
        Book *book = &w.assembly->book;
        Waiting g;

        grant_one_that_waits(&g);
        uint32_t id = g.entry->id;
        ck_assert_int_ge(release_start(w.assembly->releases, g.entry), 0);
        ck_assert_int_eq(g.entry->r->state, RESERVATION_DRAINING);
        turn_free(g.before);
        while (!g.checked)
                turn();
        ck_assert_ptr_eq(book_find(book, id), g.entry);
        while (book_find(book, id))
                turn();
        bus_pair_settle(w.event);
}
END_TEST

static void on_buffer(const Answer *a, int fd _unused_, void *userdata)
{
        on_done(a, 0, userdata);
}

/* A waiter is active in the ledger as soon as there is room for it, but it may still fail. */
START_TEST(who_is_not_granted_yet_has_no_buffer)
{
        Said s = { 0 };
        Waiting g;

        grant_one_that_waits(&g);
        ck_assert_int_eq(g.entry->r->state, RESERVATION_ACTIVE);
        ck_assert_int_ge(buffers_open(w.assembly->buffers, g.entry, 4096, false, 0, on_buffer, &s), 0);
        while (!s.done)
                turn();
        ck_assert_str_eq(s.error, CDM_ERROR_STALE);
        ck_assert_msg(strstr(s.text, "still waits"), "%s", s.text);
        turn_free(g.before);
}
END_TEST

/* It is displaced before its nodes are open, and the time that it had is over. */
START_TEST(who_is_displaced_meanwhile_is_not_granted)
{
        Book *book = &w.assembly->book;
        RequestArgs args = { .pool = (char *)"cdm", .size_bytes = MIB, .target.pidfd = -EBADF };
        bool begun = false;
        Said s = { 0 };
        Turn *before;
        Grant *g;

        tree_write(w.root, "sys/fs/cgroup" FOREIGN "/cpuset.mems", "0-1\n");
        tree_write(w.root, "sys/fs/cgroup" FOREIGN "/cpuset.mems.effective", "0-1\n");
        ck_assert_int_ge(turn_take(book->core->turns, FOREIGN, on_event, &begun, &before), 0);
        ck_assert_int_ge(grant_start(w.assembly->grants, foreign(), &args, true, on_done, &s, &g), 0);
        while (!book->entries)
                turn();
        Entry *e = book->entries;
        ck_assert_int_ge(lease_revoke(w.assembly->leases, e, 1, 77), 0);
        while (e->r->state != RESERVATION_DRAINING)
                turn();
        ck_assert(!s.done);
        turn_free(before);
        while (!s.done)
                turn();
        ck_assert_str_eq(s.error, CDM_ERROR_STALE);
        ck_assert_msg(strstr(s.text, "reservation 77 of higher priority displaced it; ask again"), "%s",
                      s.text);
        while (book->entries)
                turn();
}
END_TEST

/* --- other changes --- */

/* The machine of the test has no node 2, and its user may lock little. */
int __wrap_mlock2(const void *address, size_t bytes, unsigned flags);
int __wrap_pages_prefer(void *address, uint64_t bytes, int node);

int __wrap_mlock2(const void *address _unused_, size_t bytes _unused_, unsigned flags _unused_)
{
        return 0;
}

int __wrap_pages_prefer(void *address _unused_, uint64_t bytes _unused_, int node _unused_)
{
        return 0;
}

static void on_answer(const Answer *a, void *userdata)
{
        on_done(a, 0, userdata);
}

/* It waits until the held page is freed. */
START_TEST(one_that_grows_waits_for_held_memory)
{
        Entry *e = whole_add_tenant(&w, 1, MIB);
        Said s = { 0 };

        int fd = memfd_create("held", MFD_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(ftruncate(fd, 4096), 0);
        ck_assert(holds_take_descriptor(w.assembly->holds, fd, "hold-2"));
        ck_assert_uint_eq(holds_bytes(w.assembly->holds, 2), 4096);
        ck_assert_int_ge(resizes_start(w.assembly->resizes, e, 2 * MIB, ":1.1", false, on_answer, &s), 0);
        while (!s.done)
                turn();
        ck_assert_uint_eq(holds_bytes(w.assembly->holds, 2), 0);
        /* The unit has no control group. */
        ck_assert_str_eq(s.error, SD_BUS_ERROR_FAILED);
        ck_assert_msg(strstr(s.text, "nodes could not be opened"), "%s", s.text);
        ck_assert_uint_eq(e->r->size_bytes, MIB);
}
END_TEST

/* Makes no buffer, when the test says so. */
static int fill_ends[2];

int __wrap_memory_make(const BufferLayout *layout, bool huge, Job *job, Memory **ret, int *ret_node);

int __wrap_memory_make(const BufferLayout *layout, bool huge _unused_, Job *job _unused_,
                       Memory **ret _unused_, int *ret_node)
{
        char c;

        MUST(read(fill_ends[0], &c, 1) == 1);
        *ret_node = layout->parts[0].node;
        return -ENOSPC;
}

/* Its tenant ends while the buffer is filled. */
START_TEST(a_fill_that_fails_keeps_no_reservation)
{
        Entry *e = whole_add_reservation(&w, 1, FOREIGN, MIB);
        bool checked = false;
        Said s = { 0 };

        ck_assert_int_eq(pipe(fill_ends), 0);
        ck_assert_int_ge(buffers_open(w.assembly->buffers, e, MIB, false, 0, on_buffer, &s), 0);
        ck_assert_int_ge(unit_checks_add(w.assembly->unit_checks, FOREIGN, false, on_event, &checked), 0);
        while (!checked)
                turn();
        ck_assert_ptr_eq(book_find(&w.assembly->book, 1), e);
        ck_assert_int_eq(e->r->state, RESERVATION_DRAINING);
        ck_assert_int_eq(write(fill_ends[1], "", 1), 1);
        while (!s.done)
                turn();
        ck_assert_str_eq(s.error, CDM_ERROR_FULL);
        while (book_find(&w.assembly->book, 1))
                turn();
}
END_TEST

int main(void)
{
        Suite *s = suite_create("grant");
        TCase *t = tcase_create("grant");

        tcase_add_checked_fixture(t, start, stop);
        tcase_add_test(t, who_is_not_authorised_is_not_granted);
        tcase_add_test(t, who_is_not_authorised_does_not_wait);
        tcase_add_test(t, a_refusal_stays_a_refusal);
        tcase_add_test(t, the_end_of_a_tenant_leaves_its_grant_to_end);
        tcase_add_test(t, who_is_not_granted_yet_has_no_buffer);
        tcase_add_test(t, who_is_displaced_meanwhile_is_not_granted);
        tcase_add_test(t, one_that_grows_waits_for_held_memory);
        tcase_add_test(t, a_fill_that_fails_keeps_no_reservation);
        suite_add_tcase(s, t);
        return check_main(s);
}
