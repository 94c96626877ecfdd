/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Exact buffers as arithmetic. The bytes of a buffer are those of its reservation: together the buffers of
 * one never hold more of a node than it has reserved there. */

#include <stddef.h>
#include <stdint.h>

#include "policy/reservation.h"

/* A buffer lies in parts, one a node, in this order. So many fit into the name of a descriptor that is kept
 * by systemd (255 bytes). */
#define BUFFER_PARTS_MAX 9

typedef struct BufferLayout {
        uint64_t page_bytes; /* a huge page where it is made of these */
        Share parts[BUFFER_PARTS_MAX];
        size_t n_parts;
} BufferLayout;

typedef enum BufferVerdict {
        BUFFER_FITS,
        BUFFER_EMPTY,     /* a size of 0 */
        BUFFER_TOO_BIG,   /* for what other buffers leave of the reservation */
        BUFFER_SCATTERED, /* it would need more than BUFFER_PARTS_MAX nodes */
        _BUFFER_VERDICT_MAX,
} BufferVerdict;

const char *buffer_verdict_to_string(BufferVerdict v);

uint64_t buffer_layout_bytes(const BufferLayout *l);
/* Of that node only. */
uint64_t buffer_layout_node_bytes(const BufferLayout *l, int node);

/* Where size_bytes, rounded up to whole pages, go: onto the first node that has room for all, else over the
 * nodes in the order of the reservation's shares. taken: what other buffers of it hold. *ret_room_bytes (may
 * be NULL) is what they leave, in whole pages; ret is filled in for BUFFER_FITS only. */
BufferVerdict buffer_lay_out(const Share *shares, size_t n_shares, const Share *taken, size_t n_taken,
                             uint64_t size_bytes, uint64_t page_bytes, BufferLayout *ret,
                             uint64_t *ret_room_bytes);

/* "buffer-ID-SERIAL-PAGE-NODE.BYTES...", numbers in hex but for ID, SERIAL and NODE: all that a later cdmd
 * has to know of it. */
#define BUFFER_NAME_MAX 256
const char *buffer_name_format(uint32_t id, uint32_t serial, const BufferLayout *l,
                               char name[static BUFFER_NAME_MAX]);
/* -EINVAL: no such name. */
int buffer_name_parse(const char *name, uint32_t *ret_id, uint32_t *ret_serial, BufferLayout *ret);
