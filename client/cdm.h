/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CDM_H
#define CDM_H

/* libcdm: coherent device memory for a program, from cdmd(8). See cdm(3).
 *
 * Functions return 0 or a negative errno; after an error cdm_error() has a sentence for the user. A Cdm may
 * be used by one thread at a time, and not by the child of a fork(2).
 *
 *   -EACCES      denied by policy, by polkit, or by the bus
 *   -ENOSPC      the pool, the node or the reservation has no room
 *   -ENOENT      no such pool or reservation, or no target
 *   -ESTALE      the reservation or its target ended meanwhile
 *   -EINVAL      the arguments make no sense
 *   -EBUSY       too many requests: try again later
 *   -EOPNOTSUPP  not supported by this cdmd
 *   -ENOTCONN    cdmd or the system bus cannot be reached
 *   -ENOMEM      out of memory
 * Other errors come from the kernel.
 *
 * Sizes are in bytes; cdmd rounds them up to whole pages. */

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct Cdm Cdm;

/* For cdm_open(): polkit may ask the user for a password. */
#define CDM_INTERACTIVE 1U
/* For cdm_buffer(): use huge pages of the machine's default size. */
#define CDM_HUGETLB 1U

/* Opens a connection to cdmd, which the caller must close with cdm_close(). No call is made yet. */
int cdm_open(unsigned flags, Cdm **ret);
/* c may be NULL. Returns NULL. Reservations and buffers stay. */
Cdm *cdm_close(Cdm *c);

/* A sentence that says why the last call failed, or "". Valid until the next call. */
const char *cdm_error(const Cdm *c);

/* Reserves size_bytes of the pool for the unit of this process. The reservation is granted when this
 * function returns, and lasts until it is released, its lease ends, or the unit ends. */
int cdm_request(Cdm *c, const char *pool, uint64_t size_bytes, uint32_t *ret_id);

/* Starts the release of a reservation. Its bytes can be reserved again once its pages have left the nodes
 * and its buffers are closed. */
int cdm_release(Cdm *c, uint32_t id);

/* Opens a buffer of size_bytes from a reservation of this user. *ret_fd: a memfd, close-on-exec, owned by
 * the caller, who can map it (MAP_SHARED) and pass it to other processes. Its pages are allocated already
 * and stay on the reserved nodes; they are never swapped. Its size is sealed, and fstat(2) returns it. The
 * bytes are given back when the last descriptor and the last mapping are gone, in any process. */
int cdm_buffer(Cdm *c, uint32_t id, uint64_t size_bytes, unsigned flags, int *ret_fd);

#ifdef __cplusplus
}
#endif

#endif
