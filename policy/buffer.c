/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "policy/buffer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "policy/size.h"

static const char *const buffer_verdict_table[_BUFFER_VERDICT_MAX] = {
        [BUFFER_FITS] = "fits",
        [BUFFER_EMPTY] = "empty",
        [BUFFER_TOO_BIG] = "too-big",
        [BUFFER_SCATTERED] = "scattered",
};

const char *buffer_verdict_to_string(BufferVerdict v)
{
        return v < _BUFFER_VERDICT_MAX ? buffer_verdict_table[v] : NULL;
}

static uint64_t buffer_sum_of(const Share *shares, size_t n, int node)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < n; i++)
                if (node < 0 || shares[i].node == node)
                        sum += shares[i].bytes;
        return sum;
}

uint64_t buffer_layout_bytes(const BufferLayout *l)
{
        return buffer_sum_of(l->parts, l->n_parts, -1);
}

uint64_t buffer_layout_node_bytes(const BufferLayout *l, int node)
{
        return buffer_sum_of(l->parts, l->n_parts, node);
}

/* Fills rooms[] with the bytes that `taken` leaves of each share, in whole pages. Returns their sum. */
static uint64_t buffer_rooms_of(const Share *shares, size_t n_shares, const Share *taken, size_t n_taken,
                                uint64_t page_bytes, Share rooms[static SHARES_MAX])
{
        uint64_t all = 0;

        for (size_t i = 0; i < n_shares; i++) {
                uint64_t used = buffer_sum_of(taken, n_taken, shares[i].node);
                uint64_t left = shares[i].bytes > used ? shares[i].bytes - used : 0;

                rooms[i] = (Share){ shares[i].node, left - left % page_bytes };
                all += rooms[i].bytes;
        }
        return all;
}

static BufferVerdict buffer_spread(const Share *rooms, size_t n_rooms, uint64_t bytes, BufferLayout *l)
{
        for (size_t i = 0; i < n_rooms; i++)
                if (rooms[i].bytes >= bytes) {
                        l->parts[l->n_parts++] = (Share){ rooms[i].node, bytes };
                        return BUFFER_FITS;
                }
        for (size_t i = 0; i < n_rooms && bytes > 0; i++) {
                uint64_t part = rooms[i].bytes < bytes ? rooms[i].bytes : bytes;

                if (part == 0)
                        continue;
                if (l->n_parts == BUFFER_PARTS_MAX)
                        return BUFFER_SCATTERED;
                l->parts[l->n_parts++] = (Share){ rooms[i].node, part };
                bytes -= part;
        }
        return BUFFER_FITS;
}

BufferVerdict buffer_lay_out(const Share *shares, size_t n_shares, const Share *taken, size_t n_taken,
                             uint64_t size_bytes, uint64_t page_bytes, BufferLayout *ret,
                             uint64_t *ret_room_bytes)
{
        BufferLayout l = { .page_bytes = page_bytes };
        Share rooms[SHARES_MAX];
        uint64_t room = buffer_rooms_of(shares, n_shares, taken, n_taken, page_bytes, rooms);

        if (ret_room_bytes)
                *ret_room_bytes = room;
        if (size_bytes == 0)
                return BUFFER_EMPTY;
        /* Compare before rounding, which could overflow. `room` is already a multiple of the page size. */
        if (size_bytes > room)
                return BUFFER_TOO_BIG;
        BufferVerdict v = buffer_spread(rooms, n_shares, size_round_up(size_bytes, page_bytes), &l);
        if (v == BUFFER_FITS)
                *ret = l;
        return v;
}

const char *buffer_name_format(uint32_t id, uint32_t serial, const BufferLayout *l,
                               char name[static BUFFER_NAME_MAX])
{
        int n = snprintf(name, BUFFER_NAME_MAX, "buffer-%" PRIu32 "-%" PRIu32 "-%" PRIx64, id, serial,
                         l->page_bytes);

        for (size_t i = 0; i < l->n_parts; i++)
                n += snprintf(name + n, BUFFER_NAME_MAX - (size_t)n, "-%d.%" PRIx64, l->parts[i].node,
                              l->parts[i].bytes);
        return name;
}

const char *buffer_too_many(const BufferCounts *n, bool is_root)
{
        if (n->of_reservation >= BUFFERS_EACH_MAX)
                return "this reservation has 64 buffers already; close some, or open larger ones";
        if (n->all >= BUFFERS_MAX)
                return "there are too many buffers already; close some, or open larger ones";
        if (is_root)
                return NULL;
        if (n->of_user >= BUFFERS_USER_MAX)
                return "you have 128 buffers already; close some, or open larger ones";
        return n->of_users >= BUFFERS_USERS_MAX
                       ? "the users of this machine have too many buffers already; try again later"
                       : NULL;
}

static int buffer_parse_part(const char **s, BufferLayout *l)
{
        Share part;
        int n = 0;

        if (l->n_parts == BUFFER_PARTS_MAX ||
            sscanf(*s, "-%d.%" SCNx64 "%n", &part.node, &part.bytes, &n) != 2 || part.node < 0 ||
            part.node >= NODE_MAX || part.bytes == 0 || part.bytes % l->page_bytes != 0)
                return -EINVAL;
        *s += n;
        l->parts[l->n_parts++] = part;
        return 0;
}

int buffer_name_parse(const char *name, uint32_t *ret_id, uint32_t *ret_serial, BufferLayout *ret)
{
        char again[BUFFER_NAME_MAX];
        BufferLayout l = { 0 };
        uint32_t id, serial;
        int n = 0, r = 0;

        if (sscanf(name, "buffer-%" SCNu32 "-%" SCNu32 "-%" SCNx64 "%n", &id, &serial, &l.page_bytes, &n) !=
                    3 ||
            l.page_bytes == 0)
                return -EINVAL;
        for (const char *s = name + n; *s && r == 0;)
                r = buffer_parse_part(&s, &l);
        /* Accept only names that buffer_name_format() could have written: no signs, spaces or wrapped
         * numbers. */
        if (r < 0 || l.n_parts == 0 || strcmp(buffer_name_format(id, serial, &l, again), name) != 0)
                return -EINVAL;
        *ret_id = id;
        *ret_serial = serial;
        *ret = l;
        return 0;
}
