/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The memory of one exact buffer: a sealed memfd whose pages are on the nodes of its layout. cdmd creates
 * it, and keeps it mapped and locked while it has users. So it is charged to cdmd's cgroup and neither
 * swapped nor demoted (locked pages are not reclaimed), and cdmd can check where its pages are and move them
 * back.
 *
 * How cdmd detects that a buffer is unused: each descriptor that is passed to a user is reopened
 * (/proc/self/fd/N). For the kernel it is a separate open file, which exists as long as any process has a
 * descriptor or a mapping of it. The last close is an inotify event on cdmd's own descriptor. And the kernel
 * grants cdmd a write lease (fcntl(2), F_SETLEASE), or without leases a lock (flock(2)), only if no other
 * process has the memory open. */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/loop/worker.h"
#include "policy/buffer.h"
#include "policy/macro.h"

typedef struct Memory Memory;

/* SIGIO must be blocked or ignored: it is raised when the object is opened while cdmd has the lease.
 *
 * The following functions block. memory_make: -ENOSPC: a node, or with huge pages the pool of a node, has no
 * room for its part; *ret_node is the node, or -1 if cdmd's own cgroup has reached a limit. -ECANCELED: the
 * job was cancelled. A full node never triggers the OOM killer: pages are allocated in small chunks, with a
 * preference for the node, and a page from another node is moved, or everything is given back. */
int memory_make(const BufferLayout *layout, bool huge, Job *job, Memory **ret, int *ret_node);
/* Adopts a descriptor of an earlier cdmd. Takes ownership of fd on success. -EBADMSG: the file is not such a
 * memfd. */
int memory_adopt(int fd, const BufferLayout *layout, Memory **ret);

typedef struct MemoryCheck {
        uint64_t here_bytes;  /* bytes on the desired nodes now */
        uint64_t moved_bytes; /* bytes that were moved back there */
} MemoryCheck;

/* Checks the nodes of all pages. Misplaced pages are moved back, and holes that a user punched are filled
 * again, as far as there is room. sample: checks a few hundred pages first, and all pages only if one of
 * them is misplaced. */
int memory_check(Memory *m, bool sample, Job *job, MemoryCheck *ret);
/* Frees the pages, even if a process keeps an O_PATH descriptor. -EBUSY: the memory is in use. After success
 * only memory_free() may be called. */
int memory_destroy(Memory *m);
/* Unmaps and closes the memory; its users keep it. NULL is allowed. */
Memory *memory_free(Memory *m);
DEFINE_CLEANUP(Memory, memory_free);

/* The following functions do not block. */
int memory_fd(const Memory *m);
/* Returns a new descriptor for a user. */
int memory_open(const Memory *m);
/* True if only cdmd has the memory open. */
bool memory_is_alone(const Memory *m);

/* True if a line of /proc/PID/maps shows the memory of one of cdmd's buffers. Its pages do not belong to the
 * process, and a drain skips them. May be called from any thread. */
bool memory_is_mapped_by(const char *maps_line);

/* Checks a huge page size of the machine; huge_bytes 0 returns the default size. -EINVAL: no such size.
 * -EOPNOTSUPP: the machine has no huge pages. */
int memory_huge_page(uint64_t huge_bytes, uint64_t *ret_bytes);
