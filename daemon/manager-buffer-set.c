/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The buffers as a set: what they add up to, and how they outlive reservations and cdmd. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>
#include <utlist.h>

#include "daemon/bus.h"
#include "daemon/log.h"
#include "daemon/manager-buffer-internal.h"
#include "daemon/manager-hold.h"

void buffer_free(Buffer *b)
{
        DL_DELETE(b->set->buffers, b);
        b->set->n--;
        sd_event_source_disable_unref(b->last_close);
        sd_bus_track_unref(b->track);
        sd_bus_message_unref(b->call);
        memory_free(b->memory);
        if (b->fd >= 0)
                close(b->fd);
        free(b);
}

int buffer_new(BufferSet *s, uint32_t id, Todo todo, Buffer **ret)
{
        Buffer *b = calloc(1, sizeof(*b));

        if (!b)
                return -ENOMEM;
        *b = (Buffer){ .set = s, .id = id, .todo = todo, .fd = -EBADF };
        DL_APPEND(s->buffers, b);
        s->n++;
        *ret = b;
        return 0;
}

/* --- sums --------------------------------------------------------------------------------------------- */

/* id 0: of all reservations. */
static uint64_t sum_of(const BufferSet *s, uint32_t id, int node, bool huge_too)
{
        uint64_t sum = 0;
        Buffer *b;

        if (!s)
                return 0;
        DL_FOREACH (s->buffers, b)
                if ((id == 0 || b->id == id) && (huge_too || !b->huge))
                        sum += node < 0 ? buffer_layout_bytes(&b->layout)
                                        : buffer_layout_node_bytes(&b->layout, node);
        return sum;
}

uint64_t buffers_bytes(const BufferSet *s, uint32_t id, int node, bool huge_too)
{
        return sum_of(s, id, node, huge_too);
}

uint64_t buffers_node_bytes(const BufferSet *s, int node, bool huge_too)
{
        return sum_of(s, 0, node, huge_too);
}

typedef struct TenantSum {
        const BufferSet *set;
        int node;
        bool huge_too;
        uint64_t bytes;
} TenantSum;

static int add_reservation(Reservation *r, void *userdata)
{
        TenantSum *t = userdata;

        t->bytes += buffers_bytes(t->set, r->id, t->node, t->huge_too);
        return 0;
}

uint64_t buffers_tenant_bytes(const BufferSet *s, const char *tenant, int node, bool huge_too)
{
        TenantSum t = { s, node, huge_too, 0 };

        if (s && s->n > 0)
                ledger_foreach_of_tenant(s->manager->ledger, tenant, add_reservation, &t);
        return t.bytes;
}

uint32_t buffers_mark(const BufferSet *s)
{
        return s ? s->last_serial : 0;
}

void buffers_foreach(const BufferSet *s, uint32_t mark, buffers_part_t fn, void *userdata)
{
        const Buffer *b;

        if (!s)
                return;
        DL_FOREACH (s->buffers, b) {
                const Reservation *r = ledger_find(s->manager->ledger, b->id);

                if (!r || b->serial > mark || b->doing == DO_MAKE)
                        continue;
                for (size_t i = 0; i < b->layout.n_parts; i++)
                        fn(ledger_tenant_key(r->target), b->layout.parts[i].node, b->layout.parts[i].bytes,
                           b->huge, userdata);
        }
}

size_t buffers_shares(const BufferSet *s, uint32_t id, Share out[static SHARES_MAX])
{
        size_t n = 0;
        Buffer *b;

        if (!s)
                return 0;
        DL_FOREACH (s->buffers, b)
                for (size_t i = 0; b->id == id && i < b->layout.n_parts; i++) {
                        size_t k = 0;

                        while (k < n && out[k].node != b->layout.parts[i].node)
                                k++;
                        if (k == SHARES_MAX)
                                continue;
                        if (k == n)
                                out[n++] = (Share){ b->layout.parts[i].node, 0 };
                        out[k].bytes += b->layout.parts[i].bytes;
                }
        return n;
}

void buffers_update_strength(BufferSet *s, uint32_t id)
{
        Entry *e = manager_find(s->manager, id);
        uint64_t sum = 0;
        Buffer *b;

        DL_FOREACH (s->buffers, b)
                if (b->id == id)
                        sum += b->here_bytes;
        if (!e || e->r->exact_bytes == sum)
                return;
        e->r->exact_bytes = sum;
        bus_reservation_changed(s->manager, id, "Strength");
}

/* --- reservations that end ---------------------------------------------------------------------------- */

bool buffers_keep(Entry *e)
{
        Manager *m = e->manager;
        Share shares[SHARES_MAX];

        buffers_sweep(m->buffers, e->id);
        size_t n = buffers_shares(m->buffers, e->id, shares);
        if (n == 0)
                return false;
        bool news = e->r->state != RESERVATION_DRAINING;
        ledger_set_state(m->ledger, e->r, RESERVATION_DRAINING);
        e->r->stuck = true;
        int r = ledger_set_shares(m->ledger, e->r, shares, n);
        if (r >= 0)
                r = manager_store(e);
        if (r < 0)
                log_error("Cannot store what the buffers of reservation %" PRIu32 " hold: %s.", e->id,
                          strerror(-r));
        holds_settle(m->holds);
        manager_queue_look(m);
        if (news) {
                bus_reservation_changed(m, e->id, "State");
                bus_reservation_changed(m, e->id, "Nodes");
                bus_reservation_changed(m, e->id, "Size");
        }
        buffers_go_on(m->buffers);
        return true;
}

/* --- start and stop ----------------------------------------------------------------------------------- */

static int recover_one(BufferSet *s, int fd, const char *name)
{
        BufferLayout layout;
        uint32_t id, serial;
        Buffer *b;

        if (buffer_name_parse(name, &id, &serial, &layout) < 0)
                return -EBADMSG;
        if (serial > s->last_serial)
                s->last_serial = serial;
        if (!manager_find(s->manager, id))
                return -ENOENT;
        int r = buffer_new(s, id, DO_ADOPT, &b);
        if (r < 0)
                return r;
        b->serial = serial;
        b->layout = layout;
        b->page_bytes = layout.page_bytes;
        b->huge = layout.page_bytes != s->manager->page_bytes;
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
                if (holds_take_descriptor(s->manager->holds, SD_LISTEN_FDS_START + i, names[i]))
                        continue;
                int r = recover_one(s, SD_LISTEN_FDS_START + i, names[i]);
                if (r >= 0)
                        continue;
                log_warning("systemd had a descriptor '%s' for cdmd, of no use now (%s); closed.", names[i],
                            strerror(-r));
                (void)sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", names[i]);
                close(SD_LISTEN_FDS_START + i);
        }
        buffers_go_on(s);
}

int buffers_new(Manager *m, BufferSet **ret)
{
        BufferSet *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->manager = m;
        *ret = s;
        return 0;
}

/* The worker may still be about one; worker_free() waits for it, and its done frees the rest. */
BufferSet *buffers_free(BufferSet *s)
{
        Buffer *b, *next;

        if (!s)
                return NULL;
        s->stopping = true;
        s->timer = sd_event_source_disable_unref(s->timer);
        s->sweep = sd_event_source_disable_unref(s->sweep);
        DL_FOREACH_SAFE (s->buffers, b, next)
                if (b != s->working)
                        buffer_free(b);
        if (!s->working)
                free(s);
        return NULL;
}
