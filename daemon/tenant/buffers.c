/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Exact buffers (memory.h): opens them, checks them, and frees them.
 *
 *   requested ── waits ── made by the worker ── handed out ── open ─┬─ last close: destroyed ── freed
 *                                                                   ├─ periodically, and after each change
 *                                                                   │  of a tenant: checked, and moved back
 *   recovered from systemd ───────────── adopted ───────────────────┘
 *
 * One job runs at a time. Buffers are destroyed before new ones are made, so if a client closes a buffer and
 * opens the next one, the bytes are free. The bytes count from the request until they are freed: the
 * reservation is not forgotten earlier (it stays `draining`), and its buffers never hold more bytes than it
 * has.
 *
 * systemd also keeps the descriptors (FDSTORE=), under a name that contains all necessary data, so they come
 * back after a crash or a restart. They do not come back after `systemctl stop`: the buffers then stay with
 * their users, and their bytes count as foreign until the users close them. */

#include "daemon/tenant/buffers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>
#include <utlist.h>

#include "daemon/loop/answer.h"
#include "daemon/loop/clock.h"
#include "daemon/loop/log.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/buffers-internal.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/holds.h"
#include "policy/cdm-names.h"
#include "policy/facts.h"
#include "policy/size.h"

/* Interval of the periodic checks: other programs can also move pages (migratepages(8), a move between
 * cgroups), and there is no event for that. */
#define LOOK_USEC          (UINT64_C(10) * 1000 * 1000)
#define LOOK_ACCURACY_USEC (UINT64_C(5) * 1000 * 1000)
/* First and last pause after a close. */
#define SWEEP_FIRST_USEC (UINT64_C(2) * 1000)
#define SWEEP_LAST_USEC  (UINT64_C(4) * 1000 * 1000)

/* --- one buffer --------------------------------------------------------------------------------------- */

static void buffer_answer(Buffer *b, const Answer *a, int fd)
{
        buffer_done_t done = b->done;

        b->done = NULL;
        if (done)
                done(a, fd, b->userdata);
}

static void buffer_refuse(Buffer *b, const char *error, const char *format, ...) _printf_(3, 4);
static void buffer_refuse(Buffer *b, const char *error, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;

        if (!b->done)
                return;
        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        buffer_answer(b, &(Answer){ error, text }, -EBADF);
}

static void buffer_tell(Buffer *b, EventKind kind, uint64_t moved, const char *what)
{
        char nodes[NODESET_STR_MAX], policy[512], size[SIZE_STR_MAX];
        Entry *e = book_find(b->set->book, b->id);

        if (!e)
                return;
        Event ev = book_event(e, kind, nodes, policy);
        ev.size_bytes = buffer_layout_bytes(&b->layout);
        if (kind == EVENT_BUFFER_MOVED) {
                ev.has |= EVENT_HAS_MOVED | EVENT_HAS_RESIDUE;
                ev.moved_bytes = moved;
                ev.residue_bytes = ev.size_bytes - b->here_bytes;
        }
        event_emit_limited(b->set->book->core->notify, b->set->book->core->event_limit,
                           clock_monotonic_usec(), NULL, &ev,
                           "a buffer of %s of reservation %" PRIu32 " (%s) %s",
                           size_format(ev.size_bytes, size), b->id, ledger_tenant_key(e->r->target), what);
}

static const char *name_of(const Buffer *b, char name[static BUFFER_NAME_MAX])
{
        return buffer_name_format(b->id, b->serial, &b->layout, name);
}

/* The kernel reports a close before the file counts as closed (fs/file_table.c, __fput(); seen on 7.3), so
 * buffers that seem to be still in use are checked again for a while. */
static void sweep_soon(BufferSet *s);

static int buffers_on_sweep(sd_event_source *source, uint64_t usec, void *userdata)
{
        BufferSet *s = userdata;
        bool left = false;
        Buffer *b;

        s->sweep = sd_event_source_disable_unref(s->sweep);
        DL_FOREACH (s->buffers, b) {
                if (!b->closed || !buffer_is_open(b))
                        continue;
                if (b != s->working && memory_is_alone(b->memory))
                        b->todo = DO_DESTROY;
                else
                        left = true;
        }
        buffers_go_on(s);
        if (left && s->sweep_usec <= SWEEP_LAST_USEC)
                sweep_soon(s);
        else
                DL_FOREACH (s->buffers, b)
                        b->closed = false;
        return 0;
}

static void sweep_soon(BufferSet *s)
{
        if (s->sweep)
                return;
        int r = sd_event_add_time_relative(s->book->core->event, &s->sweep, CLOCK_MONOTONIC, s->sweep_usec,
                                           1000, buffers_on_sweep, s);
        if (r < 0)
                log_warning("cannot set the timer of the buffers: %s", strerror(-r));
        s->sweep_usec *= 2;
}

static int buffers_on_last_close(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
        Buffer *b = userdata;

        b->closed = true;
        b->set->sweep_usec = SWEEP_FIRST_USEC;
        sweep_soon(b->set);
        return 0;
}

static int buffers_watch(Buffer *b)
{
        return sd_event_add_inotify_fd(b->set->book->core->event, &b->last_close, memory_fd(b->memory),
                                       IN_CLOSE_WRITE | IN_CLOSE_NOWRITE, buffers_on_last_close, b);
}

/* --- periodic checks ---------------------------------------------------------------------------------- */

static void set_timer(BufferSet *s);

/* Pages must not move back to a node that is drained, and cannot move back to a node without memory. */
static bool may_move_back(const Buffer *b)
{
        NodeSet shut = ledger_shut_nodes(b->set->book->ledger);

        for (size_t i = 0; i < b->layout.n_parts; i++)
                if (nodeset_contains(&shut, b->layout.parts[i].node))
                        return false;
        return true;
}

static void look_at_all(BufferSet *s, Todo how)
{
        Buffer *b;

        DL_FOREACH (s->buffers, b)
                if (buffer_is_open(b) && may_move_back(b) && (b->todo == DO_NOTHING || b->todo == DO_SAMPLE))
                        b->todo = how;
        buffers_go_on(s);
}

static int buffer_on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        BufferSet *s = userdata;

        s->timer = sd_event_source_disable_unref(s->timer);
        buffers_sweep(s, 0);
        look_at_all(s, DO_SAMPLE);
        set_timer(s);
        return 0;
}

/* The timer is armed while a buffer is open. */
static void set_timer(BufferSet *s)
{
        bool any = false;
        Buffer *b;

        DL_FOREACH (s->buffers, b)
                any = any || buffer_is_open(b);
        if (!any)
                s->timer = sd_event_source_disable_unref(s->timer);
        else if (!s->timer)
                (void)sd_event_add_time_relative(s->book->core->event, &s->timer, CLOCK_MONOTONIC, LOOK_USEC,
                                                 LOOK_ACCURACY_USEC, buffer_on_timer, s);
}

void buffers_look(BufferSet *s)
{
        if (s && s->n > 0)
                look_at_all(s, DO_LOOK);
}

/* --- the steps ---------------------------------------------------------------------------------------- */

/* A waiting reservation that is being granted is active in the ledger, but it is not granted yet, and may
 * not be. */
static bool buffers_may_open(const Entry *e)
{
        return e && e->phase == STORE_GRANTED && e->r->state == RESERVATION_ACTIVE;
}

static void keep_in_store(const Buffer *b)
{
        char name[BUFFER_NAME_MAX], state[BUFFER_NAME_MAX + 64];
        int fd = memory_fd(b->memory);

        snprintf(state, sizeof(state), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name_of(b, name));
        int r = sd_pid_notify_with_fds(0, false, state, &fd, 1);
        if (r < 0)
                log_warning("systemd does not keep a buffer of reservation %" PRIu32 ": %s", b->id,
                            strerror(-r));
}

static void forget_in_store(const Buffer *b)
{
        char name[BUFFER_NAME_MAX];

        (void)sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name_of(b, name));
}

/* Frees a buffer whose bytes counted. A reservation that drains may have waited for them. */
static void buffer_leave(Buffer *b)
{
        BufferSet *s = b->set;
        uint32_t id = b->id;

        buffer_free(b);
        Entry *e = book_find(s->book, id);
        if (!e || e->r->state != RESERVATION_DRAINING)
                return;
        int r = s->release(e, s->userdata);
        if (r < 0)
                log_error("reservation %" PRIu32 " cannot continue to drain: %s", id, strerror(-r));
}

static void buffers_on_made(Buffer *b, int result)
{
        char size[SIZE_STR_MAX], page[SIZE_STR_MAX];
        Book *book = b->set->book;
        Entry *e = book_find(book, b->id);
        int fd = -EBADF;

        size_format(buffer_layout_bytes(&b->layout), size);
        if (result == -ENOSPC && b->full_node < 0)
                buffer_refuse(
                        b, CDM_ERROR_FULL,
                        "the machine gives cdmd no room for a buffer of %s: its service or a slice above it "
                        "has "
                        "a limit (MemoryMax=, MemoryHigh=); have the administrator lift that",
                        size);
        else if (result == -ENOSPC && b->huge)
                buffer_refuse(
                        b, CDM_ERROR_FULL,
                        "node %d has no %s of free huge pages of %s; have the administrator add some to its "
                        "nr_hugepages, or ask for a buffer of ordinary pages",
                        b->full_node, size, size_format(b->page_bytes, page));
        else if (result == -ENOSPC)
                buffer_refuse(
                        b, CDM_ERROR_FULL,
                        "node %d has no room for a buffer of %s now; `cdmctl who %d` shows who is there: it "
                        "may "
                        "be your own unit that uses what is reserved",
                        b->full_node, size, b->full_node);
        else if (result < 0)
                buffer_refuse(b, SD_BUS_ERROR_FAILED, "a buffer of %s could not be made: %s", size,
                              strerror(-result));
        if (result < 0) {
                buffer_leave(b);
                return;
        }
        b->serial = ++b->set->last_serial;
        int r = buffers_watch(b);
        /* Store the descriptor before the client has it, so that a later cdmd process knows every buffer in
         * use. */
        if (r >= 0) {
                keep_in_store(b);
                fd = memory_open(b->memory);
                r = fd < 0 ? fd : 0;
        }
        if (r < 0)
                buffer_refuse(b, SD_BUS_ERROR_FAILED, "a buffer of %s could not be made: %s", size,
                              strerror(-r));
        else if (b->done && !buffers_may_open(e))
                buffer_refuse(b, CDM_ERROR_STALE,
                              "the reservation was released meanwhile; ask for a new one");
        else if (b->done) {
                b->here_bytes = buffer_layout_bytes(&b->layout);
                buffer_tell(b, EVENT_BUFFER_OPENED, 0, "is open");
                buffer_answer(b, &(Answer){ 0 }, fd);
        }
        /* If the client is gone, destroy it like any unused buffer. */
        b->todo = b->here_bytes > 0 ? DO_NOTHING : DO_DESTROY;
        if (fd >= 0)
                close(fd);
}

static void buffers_on_adopted(Buffer *b, int result)
{
        if (result >= 0)
                result = buffers_watch(b);
        if (result < 0) {
                log_error("a buffer of reservation %" PRIu32 " cannot be checked any more: %s", b->id,
                          strerror(-result));
                buffer_leave(b);
                return;
        }
        b->todo = memory_is_alone(b->memory) ? DO_DESTROY : DO_LOOK;
}

static void buffer_on_looked(Buffer *b, int result)
{
        char what[2 * SIZE_STR_MAX + 96], moved[SIZE_STR_MAX], left[SIZE_STR_MAX];
        uint64_t all = buffer_layout_bytes(&b->layout);

        if (result < 0) {
                log_error("a buffer of reservation %" PRIu32 " cannot be checked: %s", b->id,
                          strerror(-result));
                return;
        }
        bool lost = b->check.here_bytes < all;
        b->here_bytes = b->check.here_bytes;
        if (b->check.moved_bytes == 0 && (!lost || b->lost)) {
                b->lost = lost;
                return;
        }
        b->lost = lost;
        size_format(b->check.moved_bytes, moved);
        size_format(all - b->check.here_bytes, left);
        if (lost)
                snprintf(what, sizeof(what), "was dragged off: %s were moved back, %s are still elsewhere",
                         moved, left);
        else
                snprintf(what, sizeof(what), "was dragged off its nodes: %s were moved back", moved);
        buffer_tell(b, EVENT_BUFFER_MOVED, b->check.moved_bytes, what);
}

static void buffers_on_destroyed(Buffer *b, int result)
{
        if (result == -EBUSY) /* it was opened again in the meantime */
                return;
        if (result < 0)
                log_error("the pages of a buffer of reservation %" PRIu32
                          " are not freed before all users have closed it: %s",
                          b->id, strerror(-result));
        forget_in_store(b);
        if (b->here_bytes > 0)
                buffer_tell(b, EVENT_BUFFER_CLOSED, 0, "was closed by its last user");
        buffer_leave(b);
}

static int buffer_run(Job *job, void *userdata)
{
        Buffer *b = userdata;
        int r = -EINVAL;

        switch (b->doing) {
        case DO_MAKE:
                r = memory_make(&b->layout, b->huge, job, &b->memory, &b->full_node);
                break;
        case DO_ADOPT:
                r = memory_adopt(b->fd, &b->layout, &b->memory);
                if (r >= 0)
                        TAKE_FD(b->fd);
                break;
        case DO_LOOK:
        case DO_SAMPLE:
                r = memory_check(b->memory, b->doing == DO_SAMPLE, job, &b->check);
                break;
        case DO_DESTROY:
                r = memory_destroy(b->memory);
                if (r != -EBUSY)
                        b->memory = memory_free(b->memory);
                break;
        default:
                break;
        }
        return r;
}

static void buffer_on_done(int result, void *userdata)
{
        Buffer *b = userdata;
        BufferSet *s = b->set;
        Todo did = b->doing;
        uint32_t id = b->id;

        s->working = NULL;
        b->job = NULL;
        b->doing = DO_NOTHING;
        if (s->stopping) { /* open buffers stay open */
                buffer_free(b);
                free(s);
                return;
        }
        if (did == DO_MAKE)
                buffers_on_made(b, result);
        else if (did == DO_ADOPT)
                buffers_on_adopted(b, result);
        else if (did == DO_DESTROY)
                buffers_on_destroyed(b, result);
        else
                buffer_on_looked(b, result);
        holds_settle(s->holds);
        buffers_update_strength(s, id);
        set_timer(s);
        buffers_go_on(s);
}

/* Chooses the nodes. Called after all earlier buffers to be destroyed have freed their bytes. False:
 * refused. */
static bool lay_out(Buffer *b)
{
        char room[SIZE_STR_MAX], size[SIZE_STR_MAX], page[SIZE_STR_MAX];
        Entry *e = book_find(b->set->book, b->id);
        Share taken[SHARES_MAX];
        uint64_t room_bytes;

        if (!buffers_may_open(e)) {
                buffer_refuse(b, CDM_ERROR_STALE,
                              "the reservation was released meanwhile; ask for a new one");
                return false;
        }
        size_t n = buffers_shares(b->set, b->id, taken);
        switch (buffer_lay_out(e->r->shares, e->r->n_shares, taken, n, b->asked_bytes, b->page_bytes,
                               &b->layout, &room_bytes)) {
        case BUFFER_FITS:
                return true;
        case BUFFER_SCATTERED:
                buffer_refuse(b, CDM_ERROR_INVALID,
                              "the buffer would lie on more than %d nodes; open several that are smaller",
                              BUFFER_PARTS_MAX);
                return false;
        default:
                buffer_refuse(b, CDM_ERROR_FULL,
                              "reservation %" PRIu32
                              " is of %s, and its open buffers leave %s of that in pages of %s; "
                              "ask for no more than that, or close a buffer first",
                              b->id, size_format(e->r->size_bytes, size), size_format(room_bytes, room),
                              size_format(b->page_bytes, page));
                return false;
        }
}

static Buffer *buffers_pick(BufferSet *s)
{
        Buffer *b;

        for (Todo t = DO_NOTHING + 1; t < _DO_MAX; t++)
                DL_FOREACH (s->buffers, b)
                        if (b->todo == t)
                                return b;
        return NULL;
}

void buffers_go_on(BufferSet *s)
{
        Buffer *b;

        while (!s->working && !s->stopping && (b = buffers_pick(s))) {
                b->doing = b->todo;
                b->todo = DO_NOTHING;
                if (b->doing == DO_MAKE && !lay_out(b)) {
                        buffer_free(b);
                        continue;
                }
                int r = worker_submit(s->book->core->filler, buffer_run, buffer_on_done, NULL, b, &b->job);
                if (r >= 0)
                        s->working = b;
                else {
                        log_error("a buffer of reservation %" PRIu32 " must wait: %s", b->id, strerror(-r));
                        b->todo = b->doing;
                        b->doing = DO_NOTHING;
                        return;
                }
        }
}

/* --- requests ----------------------------------------------------------------------------------------- */

static uid_t owner_of(const Buffer *b)
{
        const Entry *e = book_find(b->set->book, b->id);

        return e ? e->r->target->uid : 0;
}

/* The reason why e can have no more buffers; NULL: it can. */
static const char *too_many(const BufferSet *s, const Entry *e)
{
        const BufferOwner *owner = buffers_owner(s, e->id);
        uid_t uid = e->r->target->uid;
        BufferCounts n = { .of_reservation = owner ? owner->n : 0, .all = s->n };
        Buffer *b;

        DL_FOREACH (s->buffers, b) {
                n.of_user += owner_of(b) == uid;
                n.of_users += owner_of(b) != 0;
        }
        return buffer_too_many(&n, uid == 0);
}

void buffers_abandon(BufferSet *s, void *userdata)
{
        Buffer *b, *next;

        DL_FOREACH_SAFE (s->buffers, b, next) {
                if (!b->done || b->userdata != userdata)
                        continue;
                b->done = NULL;
                if (s->working == b)
                        job_cancel(b->job);
                else
                        buffer_free(b);
                return;
        }
}

/* The error if there can be no such buffer. *page_bytes: the size of its pages, changed only for huge
 * ones. */
static Answer buffer_judge(BufferSet *s, const Entry *e, uint64_t size_bytes, bool huge, uint64_t huge_bytes,
                           uint64_t *page_bytes)
{
        const Book *book = e->book;
        const Pool *pool = pool_set_find(book->pools, e->r->pool);
        const char *text;

        if (size_bytes == 0)
                return (Answer){ CDM_ERROR_INVALID, "a buffer of 0 bytes holds nothing; ask for more" };
        if (e->phase != STORE_GRANTED)
                return (Answer){ CDM_ERROR_STALE,
                                 "the reservation still waits; open the buffer when it is granted" };
        if (!buffers_may_open(e))
                return (Answer){ CDM_ERROR_STALE,
                                 "the reservation is not active any more; ask for a new one" };
        if (pool && facts_pool_takes_demotions(book->topology, &book->pools->ordinary, &pool->nodes))
                return (Answer){
                        CDM_ERROR_DENIED,
                        "the kernel (before Linux 6.16) may demote anybody's pages to the nodes of this "
                        "pool, so nothing there can be exact; write 0 to "
                        "/sys/kernel/mm/numa/demotion_enabled, or do without a buffer"
                };
        if (huge && memory_huge_page(huge_bytes, page_bytes) < 0)
                return (Answer){ CDM_ERROR_INVALID,
                                 "this machine has no huge pages of that size; /sys/kernel/mm/hugepages "
                                 "lists those it has" };
        text = too_many(s, e);
        return (Answer){ text ? CDM_ERROR_BUSY : NULL, text };
}

int buffers_open(BufferSet *s, Entry *e, uint64_t size_bytes, bool huge, uint64_t huge_bytes,
                 buffer_done_t done, void *userdata)
{
        uint64_t page_bytes = s->book->core->page_bytes;
        Answer a = buffer_judge(s, e, size_bytes, huge, huge_bytes, &page_bytes);
        Buffer *b;

        if (a.error) {
                done(&a, -EBADF, userdata);
                return 0;
        }
        int r = buffer_new(s, e->id, DO_MAKE, &b);
        if (r < 0)
                return r;
        b->huge = huge;
        b->asked_bytes = size_bytes;
        b->page_bytes = page_bytes;
        b->done = done;
        b->userdata = userdata;
        buffers_sweep(s, e->id);
        buffers_go_on(s);
        return 0;
}
