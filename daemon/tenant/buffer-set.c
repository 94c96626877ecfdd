/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The set of all buffers: sums over buffers, and finding buffers without users. */

#include "daemon/tenant/buffer-set.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "daemon/loop/log.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/buffers-internal.h"
#include "daemon/tenant/core.h"
#include "policy/size.h"

BufferOwner *buffers_owner(const BufferSet *s, uint32_t id)
{
        BufferOwner *o;

        HASH_FIND(hh, s->owners, &id, sizeof(id), o);
        return o;
}

static BufferOwner *owner_get(BufferSet *s, uint32_t id)
{
        BufferOwner *o = buffers_owner(s, id);

        if (o)
                return o;
        o = calloc(1, sizeof(*o));
        if (!o)
                return NULL;
        o->id = id;
        HASH_ADD(hh, s->owners, id, sizeof(o->id), o);
        if (!o->hh.tbl) {
                free(o);
                return NULL;
        }
        return o;
}

static void owner_remove(Buffer *b)
{
        BufferOwner *o = b->owner;

        DL_DELETE2(o->buffers, b, owner_prev, owner_next);
        if (--o->n > 0)
                return;
        HASH_DEL(b->set->owners, o);
        free(o);
}

void buffer_free(Buffer *b)
{
        owner_remove(b);
        DL_DELETE(b->set->buffers, b);
        b->set->n--;
        sd_event_source_disable_unref(b->last_close);
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
        *b = (Buffer){ .set = s, .id = id, .owner = owner_get(s, id), .todo = todo, .fd = -EBADF };
        if (!b->owner) {
                free(b);
                return -ENOMEM;
        }
        DL_APPEND(s->buffers, b);
        DL_APPEND2(b->owner->buffers, b, owner_prev, owner_next);
        b->owner->n++;
        s->n++;
        *ret = b;
        return 0;
}

/* --- sums --------------------------------------------------------------------------------------------- */

static uint64_t bytes_of(const Buffer *b, int node, bool huge_too)
{
        if (b->huge && !huge_too)
                return 0;
        return node < 0 ? buffer_layout_bytes(&b->layout) : buffer_layout_node_bytes(&b->layout, node);
}

uint64_t buffers_bytes(const BufferSet *s, uint32_t id, int node, bool huge_too)
{
        const BufferOwner *o = s ? buffers_owner(s, id) : NULL;
        uint64_t sum = 0;
        const Buffer *b;

        if (o)
                DL_FOREACH2 (o->buffers, b, owner_next)
                        sum += bytes_of(b, node, huge_too);
        return sum;
}

uint64_t buffers_node_bytes(const BufferSet *s, int node, bool huge_too)
{
        uint64_t sum = 0;
        const Buffer *b;

        if (s)
                DL_FOREACH (s->buffers, b)
                        sum += bytes_of(b, node, huge_too);
        return sum;
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
        const Ledger *ledger = s ? s->book->ledger : NULL;
        const BufferOwner *o;

        if (!s || s->n == 0)
                return 0;
        /* Walk the shorter list: the tenant's reservations, or all reservations with buffers. */
        if (ledger_tenant_count(ledger, tenant) <= HASH_COUNT(s->owners)) {
                ledger_foreach_of_tenant(ledger, tenant, add_reservation, &t);
                return t.bytes;
        }
        for (o = s->owners; o; o = o->hh.next) {
                Reservation *r = ledger_find(ledger, o->id);
                if (r && strcmp(ledger_tenant_key(r->target), tenant) == 0)
                        add_reservation(r, &t);
        }
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
                const Reservation *r = ledger_find(s->book->ledger, b->id);

                if (!r || b->serial > mark || b->doing == DO_MAKE)
                        continue;
                for (size_t i = 0; i < b->layout.n_parts; i++)
                        fn(ledger_tenant_key(r->target), b->layout.parts[i].node, b->layout.parts[i].bytes,
                           b->huge, userdata);
        }
}

size_t buffers_shares(const BufferSet *s, uint32_t id, Share out[static SHARES_MAX])
{
        const BufferOwner *o = s ? buffers_owner(s, id) : NULL;
        size_t n = 0;
        const Buffer *b;

        if (!o)
                return 0;
        DL_FOREACH2 (o->buffers, b, owner_next)
                for (size_t i = 0; i < b->layout.n_parts; i++) {
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

#define WARNED_MAX 8

/* Adds each id only once. */
static void add_warned(uint32_t ids[static WARNED_MAX], size_t *n, uint32_t id)
{
        for (size_t i = 0; i < *n; i++)
                if (ids[i] == id)
                        return;
        if (*n < WARNED_MAX)
                ids[(*n)++] = id;
}

char *buffers_warning(const BufferSet *s)
{
        uint32_t ids[WARNED_MAX];
        char size[SIZE_STR_MAX], list[WARNED_MAX * 12] = "", *text;
        uint64_t bytes = 0;
        size_t n = 0, at = 0;
        const Buffer *b;

        if (!s)
                return NULL;
        DL_FOREACH (s->buffers, b)
                if (b->lost) {
                        bytes += buffer_layout_bytes(&b->layout) - b->here_bytes;
                        add_warned(ids, &n, b->id);
                }
        for (size_t i = 0; i < n; i++)
                at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%" PRIu32, i > 0 ? ", " : "",
                                       ids[i]);
        if (n == 0 ||
            asprintf(&text,
                     "%s of exact buffers (of reservation %s%s) are off their nodes and could not be moved "
                     "back: "
                     "the node has no room, or a program has pinned them (RDMA, io_uring, VFIO), which the "
                     "kernel "
                     "does elsewhere where the node's memory is online_movable; see cdm_buffer(3)",
                     size_format(bytes, size), list, n == WARNED_MAX ? " and others" : "") < 0)
                return NULL;
        return text;
}

void buffers_foreach_owner(const BufferSet *s, void (*fn)(uint32_t id, void *userdata), void *userdata)
{
        for (const BufferOwner *o = s->owners; o; o = o->hh.next)
                fn(o->id, userdata);
}

void buffers_update_strength(BufferSet *s, uint32_t id)
{
        const BufferOwner *o = buffers_owner(s, id);
        Entry *e = book_find(s->book, id);
        uint64_t sum = 0;
        const Buffer *b;

        if (o)
                DL_FOREACH2 (o->buffers, b, owner_next)
                        sum += b->here_bytes;
        if (!e || e->r->exact_bytes == sum)
                return;
        e->r->exact_bytes = sum;
        notify_reservation_changed(s->book->core->notify, id, RESERVATION_CHANGED_STRENGTH);
}

/* --- buffers without users ----------------------------------------------------------------------------- */

bool buffer_is_open(const Buffer *b)
{
        return b->last_close != NULL;
}

static void sweep_one(Buffer *b)
{
        if (buffer_is_open(b) && b != b->set->working && memory_is_alone(b->memory))
                b->todo = DO_DESTROY;
}

void buffers_sweep(BufferSet *s, uint32_t id)
{
        BufferOwner *o = buffers_owner(s, id);
        Buffer *b;

        if (id == 0)
                DL_FOREACH (s->buffers, b)
                        sweep_one(b);
        else if (o)
                DL_FOREACH2 (o->buffers, b, owner_next)
                        sweep_one(b);
}

/* --- start and stop ----------------------------------------------------------------------------------- */

int buffers_new(Book *book, HoldSet *holds, entry_release_t release, void *userdata, BufferSet **ret)
{
        BufferSet *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        *s = (BufferSet){ .book = book, .holds = holds, .release = release, .userdata = userdata };
        *ret = s;
        return 0;
}

/* The worker may still use one buffer; worker_free() waits for the worker, and the job's callback frees the
 * rest. */
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
