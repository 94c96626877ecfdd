/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CDM_H
#define CDM_H

/* libcdm: coherent device memory for a program, from cdmd(8). See cdm(3).
 *
 * Functions return 0, or a negative errno; cdm_error() then has a sentence for the user. A Cdm is for one
 * thread at a time, and not for the child of a fork(2).
 *
 *   -EACCES      denied by policy, by polkit, or by the bus
 *   -ENOSPC      the pool, the node or the reservation has no room
 *   -ENOENT      no such pool or reservation, or no target
 *   -ESTALE      the reservation, or whom it was for, ended meanwhile
 *   -EINVAL      nonsense was asked for
 *   -EBUSY       too much at once: try again later
 *   -EOPNOTSUPP  this cdmd cannot do that
 *   -ENOTCONN    cdmd or the system bus cannot be reached
 *   -ENOMEM      out of memory
 * Others come from the kernel.
 *
 * Sizes are bytes; cdmd rounds them up to whole pages. */

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct Cdm Cdm;

/* For cdm_open(): polkit may ask the user for a password. */
#define CDM_INTERACTIVE 1U
/* For cdm_buffer(): made of huge pages, of the machine's default size. */
#define CDM_HUGETLB 1U

/* A connection to cdmd, which is the caller's: cdm_close() it. Opening it asks nothing of cdmd yet. */
int cdm_open(unsigned flags, Cdm **ret);
/* NULL is fine; returns NULL. Reservations and buffers stay. */
Cdm *cdm_close(Cdm *c);

/* Why the last call failed, in words; "" when it did not. Valid until the next call. */
const char *cdm_error(const Cdm *c);

/* Reserves size_bytes of the pool for the unit that this process is in. It is granted when this returns, and
 * lasts until it is released, its lease ends, or the unit does. */
int cdm_request(Cdm *c, const char *pool, uint64_t size_bytes, uint32_t *ret_id);

/* Gives a reservation back. It is on its way when this returns: its bytes can be reserved again once its
 * pages have left the nodes and its buffers were closed. */
int cdm_release(Cdm *c, uint32_t id);

/* A buffer of size_bytes from a reservation of this user. *ret_fd becomes a memfd, close-on-exec, which is
 * the caller's: map it (MAP_SHARED), hand it to other processes, close it. Its pages are there already and
 * stay: on the reserved nodes, never swapped, its size sealed; fstat(2) tells it. They are given back when
 * the last descriptor and the last mapping of it are gone, in whatever process. */
int cdm_buffer(Cdm *c, uint32_t id, uint64_t size_bytes, unsigned flags, int *ret_fd);

#ifdef __cplusplus
}
#endif

#endif
