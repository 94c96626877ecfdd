/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* System calls for single pages (numaif.h of libnuma, which only pages.c uses in cdmd). All functions may
 * block. pid 0 is cdmd itself. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Sets status[i] to the node of page[i], or to a negative errno: -ENOENT or -EFAULT if there is no page. */
int pages_locate(pid_t pid, size_t n, void **page, int *status);

/* Moves page[i] to node[i], including pages that other processes map. Returns the result of the kernel: 0, a
 * positive number of pages that stayed, or a negative errno. Not all kernels reliably report which ones
 * stayed: use pages_locate(). The call never triggers the OOM killer: the kernel allocates with
 * __GFP_THISNODE, and such an allocation just fails (mm/page_alloc.c). */
long pages_move(pid_t pid, size_t n, void **page, const int *node, int *status);

/* Sets the preferred node of future allocations; a full node falls back to another one. For a shared mapping
 * of a memfd the policy belongs to the memfd and applies to every process that maps it. The policy is not
 * MPOL_BIND: a bound allocation without room triggers the OOM killer. */
int pages_prefer(void *address, uint64_t bytes, int node);
