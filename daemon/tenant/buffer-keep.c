/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Handles buffers that outlive their reservation, because they are still in use, or this cdmd process.
 * systemd keeps their descriptors and passes them to the next cdmd process. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "daemon/loop/log.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/buffers-internal.h"
#include "daemon/tenant/buffers.h"
#include "daemon/tenant/core.h"
#include "daemon/tenant/holds.h"

/* --- reservations that end ---------------------------------------------------------------------------- */

bool buffers_keep(BufferSet *s, Entry *e)
{
        Book *book = s->book;
        Share shares[SHARES_MAX];

        buffers_sweep(s, e->id);
        size_t n = buffers_shares(s, e->id, shares);
        if (n == 0)
                return false;
        bool news = e->r->state != RESERVATION_DRAINING;
        ledger_set_state(book->ledger, e->r, RESERVATION_DRAINING);
        e->r->stuck = true;
        int r = ledger_set_shares(book->ledger, e->r, shares, n);
        if (r >= 0)
                r = book_store(e);
        if (r < 0)
                log_error("cannot store what the buffers of reservation %" PRIu32 " hold: %s", e->id,
                          strerror(-r));
        holds_settle(s->holds);
        notify_room(book->core->notify);
        if (news)
                notify_reservation_changed(book->core->notify, e->id,
                                           RESERVATION_CHANGED_STATE | RESERVATION_CHANGED_SIZE |
                                                   RESERVATION_CHANGED_NODES);
        buffers_go_on(s);
        return true;
}

/* --- a start ----------------------------------------------------------------------------------------- */

static int recover_one(BufferSet *s, int fd, const char *name)
{
        BufferLayout layout;
        uint32_t id, serial;
        Buffer *b;

        if (buffer_name_parse(name, &id, &serial, &layout) < 0)
                return -EBADMSG;
        if (serial > s->last_serial)
                s->last_serial = serial;
        if (!book_find(s->book, id))
                return -ENOENT;
        int r = buffer_new(s, id, DO_ADOPT, &b);
        if (r < 0)
                return r;
        b->serial = serial;
        b->layout = layout;
        b->page_bytes = layout.page_bytes;
        b->huge = layout.page_bytes != s->book->core->page_bytes;
        b->fd = fd;
        return 0;
}

static void free_names(char ***names)
{
        for (char **n = *names; n && *n; n++)
                free(*n);
        free(*names);
}

void buffers_recover(BufferSet *s)
{
        _cleanup_(free_names) char **names = NULL;

        int n = sd_listen_fds_with_names(1, &names);
        for (int i = 0; i < n; i++) {
                if (holds_take_descriptor(s->holds, SD_LISTEN_FDS_START + i, names[i]))
                        continue;
                int r = recover_one(s, SD_LISTEN_FDS_START + i, names[i]);
                if (r >= 0)
                        continue;
                log_warning("a descriptor '%s' that systemd kept is of no use any more (%s), and was closed",
                            names[i], strerror(-r));
                (void)sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", names[i]);
                close(SD_LISTEN_FDS_START + i);
        }
        buffers_go_on(s);
}
