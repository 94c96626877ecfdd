/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/kernel/hold.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/kernel/pages.h"
#include "daemon/machine/topology-read.h"
#include "policy/nodeset.h"

#ifndef MFD_NOEXEC_SEAL /* Linux 6.3 */
#define MFD_NOEXEC_SEAL 0x0008U
#endif

#define STEP_BYTES (UINT64_C(8) << 20)
#define STEP_PAGES 2048
/* Left free when growing, in addition to the headroom of the pool, for concurrent allocations on the
 * node. */
#define SPARE_BYTES (UINT64_C(16) << 20)

struct Hold {
        int fd;
        int node;
        char *map;
        uint64_t capacity_bytes;
        _Atomic uint64_t bytes; /* written by the worker, read by the event loop */
        uint64_t adopted_bytes; /* from the start: pages of an earlier cdmd that are not mapped yet */
};

uint64_t hold_bytes(const Hold *h)
{
        return h->bytes;
}

/* There is one Hold per node. An entry is lowered before pages are freed, and raised after they were
 * allocated. */
static _Atomic uint64_t node_bytes[NODE_MAX];

uint64_t hold_node_bytes(int node)
{
        return node >= 0 && node < NODE_MAX ? node_bytes[node] : 0;
}

static void hold_tell(const Hold *h, uint64_t bytes)
{
        if (h->node >= 0 && h->node < NODE_MAX)
                node_bytes[h->node] = bytes;
}

bool hold_is_populated(const Hold *h)
{
        return h->adopted_bytes == 0;
}

int hold_fd(const Hold *h)
{
        return h->fd;
}

Hold *hold_free(Hold *h)
{
        if (!h)
                return NULL;
        hold_tell(h, 0);
        if (h->map)
                (void)munmap(h->map, h->capacity_bytes);
        if (h->fd >= 0)
                close(h->fd);
        free(h);
        return NULL;
}

/* The mapping is longer than the file. Memory beyond the end of the file cannot be touched, so it is not
 * locked before the file grows (MLOCK_ONFAULT). */
static int hold_map(Hold *h)
{
        void *address = mmap(NULL, h->capacity_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, h->fd, 0);

        if (address == MAP_FAILED)
                return -errno;
        h->map = address;
        if (mlock2(address, h->capacity_bytes, MLOCK_ONFAULT) < 0)
                return -errno;
        return pages_prefer(address, h->capacity_bytes, h->node);
}

static int hold_from(int fd, int node, uint64_t capacity_bytes, uint64_t bytes, Hold **ret)
{
        Hold *h = calloc(1, sizeof(*h));

        if (!h)
                return -ENOMEM;
        h->fd = fd;
        h->node = node;
        h->capacity_bytes = capacity_bytes;
        h->bytes = bytes;
        h->adopted_bytes = bytes;
        int r = hold_map(h);
        hold_tell(h, bytes);
        if (r < 0) {
                h->fd = -EBADF; /* still owned by the caller */
                hold_free(h);
                return r;
        }
        *ret = h;
        return 0;
}

int hold_new(int node, uint64_t capacity_bytes, Hold **ret)
{
        int fd = memfd_create("cdm-hold", MFD_CLOEXEC | MFD_NOEXEC_SEAL);

        if (fd < 0 && errno == EINVAL)
                fd = memfd_create("cdm-hold", MFD_CLOEXEC);
        if (fd < 0)
                return -errno;
        int r = hold_from(fd, node, capacity_bytes, 0, ret);
        if (r < 0)
                close(fd);
        return r;
}

int hold_adopt(int fd, int node, uint64_t capacity_bytes, Hold **ret)
{
        struct stat st;

        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < 0 ||
            (uint64_t)st.st_size > capacity_bytes)
                return -EBADMSG;
        return hold_from(fd, node, capacity_bytes, (uint64_t)st.st_size, ret);
}

static int hold_set_size(Hold *h, uint64_t bytes)
{
        if (ftruncate(h->fd, (off_t)bytes) < 0)
                return -errno;
        h->bytes = bytes;
        h->adopted_bytes = h->adopted_bytes < bytes ? h->adopted_bytes : bytes;
        return 0;
}

/* Locks adopted pages again, after a restart. The kernel blocks other threads that map memory during a step. A
 * failure is not an error: the pages are held in any case. */
static int hold_populate(Hold *h, uint64_t step_max, Job *job)
{
        while (h->adopted_bytes > 0) {
                uint64_t step = h->adopted_bytes < step_max ? h->adopted_bytes : step_max;

                if (job_is_cancelled(job))
                        return -ECANCELED;
                if (madvise(h->map + h->adopted_bytes - step, step, MADV_POPULATE_WRITE) < 0)
                        break;
                h->adopted_bytes -= step;
        }
        return 0;
}

/* Moves the misplaced pages of [at, at + bytes) to the node. Returns how many could not be moved. */
static int hold_count_away(Hold *h, uint64_t at, uint64_t bytes, uint64_t page_bytes, size_t *ret)
{
        void *page[STEP_PAGES];
        int status[STEP_PAGES], node[STEP_PAGES];
        size_t n = 0, away = 0;

        for (uint64_t offset = 0; offset < bytes && n < STEP_PAGES; offset += page_bytes, n++) {
                page[n] = h->map + at + offset;
                node[n] = h->node;
        }
        int r = pages_locate(0, n, page, status);
        for (size_t i = 0; r == 0 && i < n; i++)
                away += status[i] != h->node;
        if (r == 0 && away > 0) {
                away = 0;
                (void)pages_move(0, n, page, node, status);
                r = pages_locate(0, n, page, status);
                for (size_t i = 0; r == 0 && i < n; i++)
                        away += status[i] != h->node;
        }
        if (r == 0)
                *ret = away;
        return r;
}

static int hold_grow(Hold *h, uint64_t step)
{
        uint64_t at = h->bytes, page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
        size_t away = 0;

        int r = hold_set_size(h, at + step);
        if (r == 0 && madvise(h->map + at, step, MADV_POPULATE_WRITE) < 0)
                r = errno == ENOMEM || errno == EFAULT ? -ENOSPC : -errno;
        if (r == 0)
                r = hold_count_away(h, at, step, page_bytes, &away);
        if (r == 0 && away > 0)
                r = -ENOSPC;
        if (r < 0)
                (void)hold_set_size(h, at);
        return r;
}

static bool hold_has_room(const Hold *h, uint64_t step)
{
        uint64_t size, free_bytes;

        return topology_read_meminfo("", h->node, &size, &free_bytes) >= 0 &&
               free_bytes >= step + SPARE_BYTES;
}

int hold_resize(Hold *h, uint64_t bytes, Job *job)
{
        uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE), step_max = STEP_PAGES * page_bytes;
        int r = 0;

        step_max = step_max < STEP_BYTES ? step_max : STEP_BYTES;
        bytes = bytes < h->capacity_bytes ? bytes : h->capacity_bytes;
        bytes -= bytes % page_bytes;
        if (bytes < h->bytes) {
                hold_tell(h, bytes);
                r = hold_set_size(h, bytes);
                hold_tell(h, h->bytes);
                return r;
        }
        r = hold_populate(h, step_max, job);
        while (r == 0 && h->bytes < bytes) {
                uint64_t step = bytes - h->bytes < step_max ? bytes - h->bytes : step_max;

                if (job_is_cancelled(job))
                        return -ECANCELED;
                if (!hold_has_room(h, step))
                        break;
                r = hold_grow(h, step);
                hold_tell(h, h->bytes);
        }
        return r == -ENOSPC ? 0 : r;
}
