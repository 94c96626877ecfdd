/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The arithmetic of exact buffers. A buffer takes its bytes from a reservation: the buffers of one
 * reservation together never hold more of a node than the reservation has there. */

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

#include "policy/reservation.h"

/* A buffer consists of parts, one for each node, in this order. The maximum is what fits into the name of a
 * descriptor in systemd's store (255 bytes). */
#define BUFFER_PARTS_MAX 9

typedef struct BufferLayout {
        uint64_t page_bytes; /* the huge page size of a buffer of huge pages */
        Share parts[BUFFER_PARTS_MAX];
        size_t n_parts;
} BufferLayout;

typedef enum BufferVerdict {
        BUFFER_FITS,
        BUFFER_EMPTY,     /* a size of 0 */
        BUFFER_TOO_BIG,   /* larger than what the other buffers leave of the reservation */
        BUFFER_SCATTERED, /* would need more than BUFFER_PARTS_MAX nodes */
        _BUFFER_VERDICT_MAX,
} BufferVerdict;

const char *buffer_verdict_to_string(BufferVerdict v);

uint64_t buffer_layout_bytes(const BufferLayout *l);
/* The bytes on that node only. */
uint64_t buffer_layout_node_bytes(const BufferLayout *l, int node);

/* Chooses the nodes of a buffer of size_bytes, rounded up to whole pages: the first node with room for all
 * of it, else several nodes in the order of the reservation's shares. taken: bytes of the reservation's
 * other buffers. *ret_room_bytes (may be NULL): what the other buffers leave, in whole pages. ret is set for
 * BUFFER_FITS only. */
BufferVerdict buffer_lay_out(const Share *shares, size_t n_shares, const Share *taken, size_t n_taken,
                             uint64_t size_bytes, uint64_t page_bytes, BufferLayout *ret,
                             uint64_t *ret_room_bytes);

/* The limit for all buffers: each takes a descriptor and a slot in systemd's store (FileDescriptorStoreMax=
 * of the unit). */
#define BUFFERS_MAX      1000
#define BUFFERS_EACH_MAX 64 /* for one reservation */
/* For all reservations of one user, and of all users except root. */
#define BUFFERS_USER_MAX  128
#define BUFFERS_USERS_MAX (BUFFERS_MAX - 128)

/* Includes buffers that are not open yet. */
typedef struct BufferCounts {
        size_t of_reservation;
        size_t of_user;  /* of the user of that reservation */
        size_t of_users; /* of all users except root */
        size_t all;
} BufferCounts;

/* Returns a sentence that says why the reservation cannot have another buffer, or NULL if it can. */
const char *buffer_too_many(const BufferCounts *n, bool is_root);

/* "buffer-ID-SERIAL-PAGE-NODE.BYTES...": everything that a restarted cdmd needs to know about the buffer.
 * ID, SERIAL and NODE are decimal, the other numbers hexadecimal. */
#define BUFFER_NAME_MAX 256
const char *buffer_name_format(uint32_t id, uint32_t serial, const BufferLayout *l,
                               char name[static BUFFER_NAME_MAX]);
/* -EINVAL: not the name of a buffer. */
int buffer_name_parse(const char *name, uint32_t *ret_id, uint32_t *ret_serial, BufferLayout *ret);
