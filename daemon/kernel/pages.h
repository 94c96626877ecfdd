/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The kernel's calls about single pages (libnuma's numaif.h; pages.c is its only user in cdmd). All of it
 * may block. pid 0 is cdmd itself. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* status[i] becomes the node of page[i], or a negative errno: -ENOENT or -EFAULT where there is none. */
int pages_locate(pid_t pid, size_t n, void **page, int *status);

/* Moves page[i] to node[i], also those that others have mapped. The answer is the kernel's: 0, or a positive
 * number of pages that stayed; negative errno. Not all kernels say reliably which ones: ask again. It never
 * calls the OOM killer: the kernel allocates for it with __GFP_THISNODE, and such an allocation just fails
 * (mm/page_alloc.c). */
long pages_move(pid_t pid, size_t n, void **page, const int *node, int *status);

/* Sets the preferred node of future allocations; a full node falls back to another one. For a shared mapping
 * of a memfd the policy belongs to the memfd and applies to every process that maps it. The policy is not
 * MPOL_BIND: a bound allocation without room calls the OOM killer. */
int pages_prefer(void *address, uint64_t bytes, int node);
