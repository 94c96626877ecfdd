/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The memory of one exact buffer: a sealed memfd whose pages are on the nodes of its layout. cdmd makes it
 * and has it mapped and locked as long as anybody uses it: so it is charged to cdmd's cgroup, neither
 * swapped nor demoted (locked pages are not reclaimed), and cdmd can look where its pages are and move them
 * back.
 *
 * How cdmd detects that a buffer is unused: the descriptors that are given out are opened anew
 * (/proc/self/fd/N), each a file of its own to the kernel, which lives as long as a descriptor or a mapping
 * of it does, in whichever process. Its last close is an inotify event on cdmd's own descriptor; and a write
 * lease (fcntl(2), F_SETLEASE), or where there are none a lock (flock(2)), is given to cdmd only when nobody
 * but cdmd has it open. */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/loop/worker.h"
#include "policy/buffer.h"
#include "policy/macro.h"

typedef struct Memory Memory;

/* SIGIO must be blocked or ignored: opening the object while cdmd has the lease causes one.
 *
 * These block. memory_make: -ENOSPC: a node has no room for its part, or (huge pages) its pool has none,
 * *ret_node says which node, -1 when it is cdmd's own cgroup that has a limit; -ECANCELED. It never calls
 * the OOM killer for the sake of a full node: pages are asked for in small chunks, from that node by
 * preference, and where one came from elsewhere it is moved or everything is given back. */
int memory_make(const BufferLayout *layout, bool huge, Job *job, Memory **ret, int *ret_node);
/* Of a descriptor that an earlier cdmd had; fd is the Memory's on success. -EBADMSG: it is something else.
 */
int memory_adopt(int fd, const BufferLayout *layout, Memory **ret);

typedef struct MemoryCheck {
        uint64_t here_bytes;  /* on its nodes now */
        uint64_t moved_bytes; /* moved back there */
} MemoryCheck;

/* Checks where its pages are. Pages that were moved away are moved back, and holes that a user punched are
 * filled again, as far as there is room. sample: check a few hundred pages first, and all pages only if one
 * of them is misplaced. */
int memory_check(Memory *m, bool sample, Job *job, MemoryCheck *ret);
/* Frees the pages, even if a process kept an O_PATH descriptor. -EBUSY: it is in use. After this call only
 * memory_free() is allowed. */
int memory_destroy(Memory *m);
/* Unmaps and closes it; its users keep the memory. NULL is allowed. */
Memory *memory_free(Memory *m);
DEFINE_CLEANUP(Memory, memory_free);

/* These do not. */
int memory_fd(const Memory *m);
/* For a user. */
int memory_open(const Memory *m);
bool memory_is_alone(const Memory *m);

/* Is a line of /proc/PID/maps about the memory of a buffer of ours? Then its pages are not that process's
 * own, and a drain passes over them. Any thread may ask. */
bool memory_is_mapped_by(const char *maps_line);

/* The huge page sizes of the machine: huge_bytes 0 is replaced by the default one. -EINVAL: no such size;
 * -EOPNOTSUPP: none at all. */
int memory_huge_page(uint64_t huge_bytes, uint64_t *ret_bytes);
