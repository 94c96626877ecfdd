/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/kernel/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <utlist.h>

#include "daemon/kernel/cgroup.h"
#include "daemon/kernel/pages.h"
#include "daemon/machine/topology-read.h"

#ifndef MFD_NOEXEC_SEAL /* Linux 6.3 */
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef MFD_HUGE_SHIFT
#define MFD_HUGE_SHIFT 26
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

#define MEMFD_NAME  "cdm-buffer"
#define SEALS       (F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)
#define CHUNK_PAGES 1024
#define CHUNK_BYTES (UINT64_C(4) << 20) /* or one huge page: the most that is misplaced before a check */
#define SPARE_BYTES (UINT64_C(4) << 20) /* below a limit, left for cdmd itself */
#define SAMPLES     512

struct Memory {
        int fd;
        dev_t device;
        ino_t inode;
        char *map;
        uint64_t bytes;
        BufferLayout layout;
        Memory *prev, *next;
};

/* All Memory objects, for drains on other threads. */
static Memory *all;
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;

/* The pages of one call to the kernel. */
typedef struct MemoryChunk {
        size_t n;
        void *page[CHUNK_PAGES];
        int node[CHUNK_PAGES]; /* the desired node */
        int status[CHUNK_PAGES];
} MemoryChunk;

/* --- room
 * ----------------------------------------------------------------------------------------------- */

static int memory_read_number(const char *path, uint64_t *ret)
{
        FILE *f = fopen(path, "re");

        if (!f)
                return -errno;
        int n = fscanf(f, "%" SCNu64, ret);
        fclose(f);
        return n == 1 ? 0 : -EIO;
}

static uint64_t memory_node_room(int node, uint64_t huge_bytes)
{
        uint64_t size, free_bytes, pages;
        char path[128];

        if (huge_bytes == 0)
                return topology_read_meminfo("", node, &size, &free_bytes) < 0 ? 0 : free_bytes;
        snprintf(path, sizeof(path),
                 "/sys/devices/system/node/node%d/hugepages/hugepages-%" PRIu64 "kB/free_hugepages", node,
                 huge_bytes / 1024);
        return memory_read_number(path, &pages) < 0 ? 0 : pages * huge_bytes;
}

static uint64_t memory_limit_of(int fd, const char *name)
{
        _cleanup_free_ char *text = NULL;

        if (cgroup_read_file(fd, name, &text) < 0 || *text < '0' || *text > '9')
                return UINT64_MAX; /* "max", or no such controller */
        return strtoull(text, NULL, 10);
}

/* A cgroup that exceeds memory.max triggers the OOM killer within the cgroup. cdmd's cgroup, or a slice
 * above it, may have such a limit against the advice in its unit file. */
static bool memory_cgroup_has_room(uint64_t bytes)
{
        char path[4096];
        uint64_t id;

        FILE *f = fopen("/proc/self/cgroup", "re");
        if (!f)
                return true;
        int n = fscanf(f, "0::%4095[^\n]", path);
        fclose(f);
        while (n == 1 && path[0] == '/' && path[1]) {
                int fd = cgroup_open(path, &id);

                if (fd < 0)
                        return true;
                uint64_t max = memory_limit_of(fd, "memory.max"), high = memory_limit_of(fd, "memory.high");
                uint64_t used = memory_limit_of(fd, "memory.current");
                close(fd);
                max = high < max ? high : max;
                if (max != UINT64_MAX && (used > max || max - used < bytes + SPARE_BYTES))
                        return false;
                char *slash = strrchr(path, '/');
                *(slash == path ? slash + 1 : slash) = '\0';
        }
        return true;
}

static int memory_check_room(const BufferLayout *l, bool huge, int *ret_node)
{
        for (size_t i = 0; i < l->n_parts; i++)
                if (memory_node_room(l->parts[i].node, huge ? l->page_bytes : 0) < l->parts[i].bytes) {
                        *ret_node = l->parts[i].node;
                        return -ENOSPC;
                }
        if (!huge && !memory_cgroup_has_room(buffer_layout_bytes(l))) {
                *ret_node = -1;
                return -ENOSPC;
        }
        return 0;
}

int memory_huge_page(uint64_t huge_bytes, uint64_t *ret_bytes)
{
        char path[96], line[128];
        uint64_t kib = huge_bytes / 1024;

        if (huge_bytes == 0) {
                FILE *f = fopen("/proc/meminfo", "re");

                while (f && fgets(line, sizeof(line), f))
                        if (sscanf(line, "Hugepagesize: %" SCNu64, &kib) == 1)
                                break;
                if (f)
                        fclose(f);
                if (kib == 0)
                        return -EOPNOTSUPP;
        }
        snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB", kib);
        if (kib * 1024 < huge_bytes || access(path, F_OK) < 0)
                return -EINVAL;
        *ret_bytes = kib * 1024;
        return 0;
}

/* --- where pages are ---------------------------------------------------------------------------------- */

static int memory_locate(MemoryChunk *c, size_t *ret_away)
{
        size_t away = 0;
        int r = pages_locate(0, c->n, c->page, c->status);

        for (size_t i = 0; r == 0 && i < c->n; i++)
                away += c->status[i] != c->node[i];
        if (r == 0)
                *ret_away = away;
        return r;
}

/* Collects pages of one part, starting at `at`, at most one chunk. Returns the next position. */
static uint64_t memory_collect(const Memory *m, const Share *part, uint64_t start, uint64_t at,
                               MemoryChunk *c)
{
        for (c->n = 0; c->n < CHUNK_PAGES && at < part->bytes; c->n++, at += m->layout.page_bytes) {
                c->page[c->n] = m->map + start + at;
                c->node[c->n] = part->node;
        }
        return at;
}

/* Moves misplaced pages of the chunk back. *ret_away: the number of pages that are still misplaced. */
static int memory_bring_back(const Memory *m, MemoryChunk *c, size_t *ret_away)
{
        MemoryChunk *some;
        int r = 0;

        some = calloc(1, sizeof(*some));
        if (!some)
                return -ENOMEM;
        for (size_t i = 0; i < c->n; i++) {
                if (c->status[i] == c->node[i])
                        continue;
                some->page[some->n] = c->page[i];
                some->node[some->n++] = c->node[i];
                /* A user may have punched a hole into the memory. */
                if (c->status[i] < 0 && madvise(c->page[i], m->layout.page_bytes, MADV_POPULATE_WRITE) < 0)
                        r = -errno;
        }
        if (r == 0)
                (void)pages_move(0, some->n, some->page, some->node, some->status);
        free(some);
        return memory_locate(c, ret_away);
}

/* --- all objects -------------------------------------------------------------------------------------- */

static int memory_enlist(Memory *m)
{
        struct stat st;

        if (fstat(m->fd, &st) < 0)
                return -errno;
        m->device = st.st_dev;
        m->inode = st.st_ino;
        pthread_mutex_lock(&all_lock);
        DL_APPEND(all, m);
        pthread_mutex_unlock(&all_lock);
        return 0;
}

static void memory_delist(Memory *m)
{
        pthread_mutex_lock(&all_lock);
        if (m->prev)
                DL_DELETE(all, m);
        pthread_mutex_unlock(&all_lock);
}

/* Parses "7f00-7f10 rw-s 00000000 00:01 1034 /memfd:cdm-buffer (deleted)". Any process can use that name, so
 * only the device and inode count. */
bool memory_is_mapped_by(const char *maps_line)
{
        unsigned device_major, device_minor;
        unsigned long inode;
        bool found = false;
        Memory *m;

        if (!strstr(maps_line, MEMFD_NAME) ||
            sscanf(maps_line, "%*s %*s %*s %x:%x %lu", &device_major, &device_minor, &inode) != 3)
                return false;
        pthread_mutex_lock(&all_lock);
        DL_FOREACH (all, m)
                found = found || (m->inode == inode && m->device == makedev(device_major, device_minor));
        pthread_mutex_unlock(&all_lock);
        return found;
}

/* --- creation ----------------------------------------------------------------------------------------- */

static int memory_new_memfd(const BufferLayout *l, bool huge)
{
        unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;

        if (huge)
                flags |= MFD_HUGETLB | (unsigned)__builtin_ctzll(l->page_bytes) << MFD_HUGE_SHIFT;
        int fd = memfd_create(MEMFD_NAME, flags | MFD_NOEXEC_SEAL);
        if (fd < 0 && errno == EINVAL)
                fd = memfd_create(MEMFD_NAME, flags);
        return fd < 0 ? -errno : fd;
}

/* The kernel does not count the file of memfd_create() as open for writing, so it would never grant a lease
 * on that file. A reopened file is counted. */
static int memory_reopen(int fd)
{
        char path[64];

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        int new_fd = open(path, O_RDWR | O_CLOEXEC);
        return new_fd < 0 ? -errno : new_fd;
}

static int memory_map(Memory *m)
{
        void *address = mmap(NULL, m->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);

        /* mmap() reserves huge pages from the pool of the whole machine, which may be exhausted. */
        if (address == MAP_FAILED)
                return errno == ENOMEM ? -ENOSPC : -errno;
        m->map = address;
        return 0;
}

static int memory_fill_part(Memory *m, const Share *part, uint64_t start, MemoryChunk *c, Job *job)
{
        const uint64_t step = m->layout.page_bytes > CHUNK_BYTES ? m->layout.page_bytes : CHUNK_BYTES;
        size_t away = 0;
        int r = pages_prefer(m->map + start, part->bytes, part->node);

        for (uint64_t at = 0; r == 0 && at < part->bytes; at += step) {
                uint64_t bytes = part->bytes - at < step ? part->bytes - at : step;
                const Share here = { part->node, at + bytes };

                if (job_is_cancelled(job))
                        return -ECANCELED;
                if (madvise(m->map + start + at, bytes, MADV_POPULATE_WRITE) < 0)
                        /* EFAULT: an access would raise SIGBUS. */
                        return errno == ENOMEM || errno == EFAULT ? -ENOSPC : -errno;
                memory_collect(m, &here, start, at, c);
                r = memory_locate(c, &away);
                if (r == 0 && away > 0)
                        r = memory_bring_back(m, c, &away);
                if (r == 0 && away > 0)
                        return -ENOSPC;
        }
        return r;
}

static int memory_fill(Memory *m, Job *job, int *ret_node)
{
        _cleanup_free_ MemoryChunk *c = calloc(1, sizeof(*c));
        uint64_t start = 0;

        if (!c)
                return -ENOMEM;
        for (size_t i = 0; i < m->layout.n_parts; i++) {
                int r = memory_fill_part(m, &m->layout.parts[i], start, c, job);
                if (r < 0) {
                        *ret_node = m->layout.parts[i].node;
                        return r;
                }
                start += m->layout.parts[i].bytes;
        }
        return mlock(m->map, m->bytes) < 0 ? -errno : 0;
}

static int memory_make_fd(Memory *m, bool huge)
{
        int fd = memory_new_memfd(&m->layout, huge);

        if (fd < 0)
                return fd;
        int r = ftruncate(fd, (off_t)m->bytes) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0 ? -errno
                                                                                        : memory_reopen(fd);
        close(fd);
        if (r >= 0)
                m->fd = r;
        return r < 0 ? r : 0;
}

static int memory_new(const BufferLayout *layout, Memory **ret)
{
        Memory *m = calloc(1, sizeof(*m));

        if (!m)
                return -ENOMEM;
        *m = (Memory){ .fd = -EBADF, .layout = *layout, .bytes = buffer_layout_bytes(layout) };
        *ret = m;
        return 0;
}

int memory_make(const BufferLayout *layout, bool huge, Job *job, Memory **ret, int *ret_node)
{
        _cleanup_(memory_free_p) Memory *m = NULL;

        *ret_node = -1;
        int r = memory_check_room(layout, huge, ret_node);
        if (r == 0)
                r = memory_new(layout, &m);
        if (r == 0)
                r = memory_make_fd(m, huge);
        if (r == 0)
                r = memory_enlist(m);
        if (r == 0) {
                *ret_node = layout->parts[0].node;
                r = memory_map(m);
        }
        if (r == 0)
                r = memory_fill(m, job, ret_node);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

int memory_adopt(int fd, const BufferLayout *layout, Memory **ret)
{
        _cleanup_(memory_free_p) Memory *m = NULL;
        struct stat st;

        int seals = fcntl(fd, F_GET_SEALS);
        if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0 ||
            (uint64_t)st.st_size != buffer_layout_bytes(layout))
                return -EBADMSG;
        int r = memory_new(layout, &m);
        if (r < 0)
                return r;
        m->fd = fd;
        r = memory_enlist(m);
        if (r == 0)
                r = memory_map(m);
        if (r == 0 && mlock(m->map, m->bytes) < 0)
                r = -errno;
        if (r < 0) {
                m->fd = -EBADF; /* still owned by the caller */
                return r;
        }
        *ret = TAKE_PTR(m);
        return 0;
}

/* --- checks ------------------------------------------------------------------------------------------- */

/* Mappings are migrated as a whole, so an evenly spread sample of pages is enough. */
static int memory_sample_away(const Memory *m, MemoryChunk *c, size_t *ret_away)
{
        uint64_t start = 0, step = m->bytes / SAMPLES;

        step -= step % m->layout.page_bytes;
        if (step == 0)
                step = m->layout.page_bytes;
        c->n = 0;
        for (size_t i = 0; i < m->layout.n_parts; i++) {
                const Share *part = &m->layout.parts[i];

                for (uint64_t at = 0; at < part->bytes && c->n < CHUNK_PAGES; at += step) {
                        c->page[c->n] = m->map + start + at;
                        c->node[c->n++] = part->node;
                }
                start += part->bytes;
        }
        return memory_locate(c, ret_away);
}

static int memory_check_part(const Memory *m, const Share *part, uint64_t start, MemoryChunk *c, Job *job,
                             MemoryCheck *sum)
{
        size_t away, left;
        int r = 0;

        for (uint64_t at = 0; r == 0 && at < part->bytes;) {
                if (job_is_cancelled(job))
                        return -ECANCELED;
                at = memory_collect(m, part, start, at, c);
                r = memory_locate(c, &away);
                left = away;
                if (r == 0 && away > 0)
                        r = memory_bring_back(m, c, &left);
                if (r == 0) {
                        sum->here_bytes += (c->n - left) * m->layout.page_bytes;
                        sum->moved_bytes += left < away ? (away - left) * m->layout.page_bytes : 0;
                }
        }
        return r;
}

int memory_check(Memory *m, bool sample, Job *job, MemoryCheck *ret)
{
        _cleanup_free_ MemoryChunk *c = calloc(1, sizeof(*c));
        MemoryCheck sum = { 0 };
        uint64_t start = 0;
        size_t away;
        int r = 0;

        if (!c)
                return -ENOMEM;
        if (sample) {
                r = memory_sample_away(m, c, &away);
                if (r == 0 && away == 0) {
                        *ret = (MemoryCheck){ m->bytes, 0 };
                        return 0;
                }
        }
        for (size_t i = 0; i < m->layout.n_parts && r == 0; i++) {
                r = memory_check_part(m, &m->layout.parts[i], start, c, job, &sum);
                start += m->layout.parts[i].bytes;
        }
        if (r == 0)
                *ret = sum;
        return r;
}

/* --- end ---------------------------------------------------------------------------------------------- */

static bool memory_is_huge(const Memory *m)
{
        return m->layout.page_bytes > (uint64_t)sysconf(_SC_PAGESIZE);
}

int memory_fd(const Memory *m)
{
        return m->fd;
}

/* A file of huge pages is also locked, for kernels without leases on them. The lock ends with the last
 * descriptor and mapping of the file. */
int memory_open(const Memory *m)
{
        int fd = memory_reopen(m->fd), r;

        if (fd < 0 || !memory_is_huge(m) || flock(fd, LOCK_SH | LOCK_NB) == 0)
                return fd;
        r = -errno;
        close(fd);
        return r;
}

/* Linux counts open files, not descriptors, and a mapping keeps its file open: 6.1 and 7.3, fs/locks.c,
 * check_conflicting_open(). 7.3 no longer supports leases on huge pages (EINVAL; 6.1 does): there the lock
 * detects users of a file that cdmd passed to them, but not of a file that they have reopened. */
static int memory_claim(const Memory *m)
{
        if (fcntl(m->fd, F_SETLEASE, F_WRLCK) == 0)
                return 0;
        if (errno == EINVAL && memory_is_huge(m) && flock(m->fd, LOCK_EX | LOCK_NB) == 0)
                return 0;
        return errno == EAGAIN ? -EBUSY : -errno;
}

static void memory_unclaim(const Memory *m)
{
        (void)fcntl(m->fd, F_SETLEASE, F_UNLCK);
        (void)flock(m->fd, LOCK_UN);
}

bool memory_is_alone(const Memory *m)
{
        if (memory_claim(m) < 0)
                return false;
        memory_unclaim(m);
        return true;
}

/* An O_PATH descriptor is not counted, but keeps the object. So the pages are freed while the lease is held.
 * A process that opens the object now waits for the lease; pages that it allocates afterwards are charged to
 * its own cgroup. */
int memory_destroy(Memory *m)
{
        int r = memory_claim(m);

        if (r < 0)
                return r;
        if (m->map)
                (void)munmap(m->map, m->bytes);
        m->map = NULL;
        if (fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)m->bytes) < 0)
                r = -errno;
        memory_unclaim(m);
        return r;
}

Memory *memory_free(Memory *m)
{
        if (!m)
                return NULL;
        memory_delist(m);
        if (m->map)
                (void)munmap(m->map, m->bytes);
        if (m->fd >= 0)
                close(m->fd);
        free(m);
        return NULL;
}
