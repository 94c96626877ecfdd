/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Uses memory on a node, says "ready PID", also to systemd, and waits for a signal. For tests in the guest.
 *
 * vm-hog --node N --mb M [--bind | --prefer | --local] [--threads T] [--shm] [--huge | --small [--read R]]
 *        [--file PATH]
 *
 * --bind (default) and --prefer are the policy of the pages; --local allocates wherever the kernel likes.
 * --bind fails where the process may not have the node, --prefer takes what it may have.
 * --shm: a shared mapping instead of a private one. --huge: of huge pages of the system's pool. --small: of
 * small pages only, which are filled by one call because each fault takes long under emulation. --read: the
 * first R of the M MiB are only read, and so are the zero page, which is on no node. --file: M
 * MiB of page cache of a file that is written and read with that policy, instead of mapped memory.
 * --threads: as many threads that sleep. --touch: writes to its pages for ever and tells at the end
 * (SIGTERM) how long the longest single write took. */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <numaif.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
        (void)number;
        stopped = 1;
}

static void die(const char *what)
{
        fprintf(stderr, "vm-hog: %s: %s\n", what, strerror(errno));
        exit(1);
}

static void *sleep_for_ever(void *userdata)
{
        sigset_t all;

        (void)userdata;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, NULL);
        for (;;)
                pause();
        return NULL;
}

static void start_threads(long n)
{
        pthread_attr_t attr;
        pthread_t t;

        pthread_attr_init(&attr);
        pthread_attr_setstacksize(&attr, 64 << 10);
        for (long i = 0; i < n; i++)
                if ((errno = pthread_create(&t, &attr, sleep_for_ever, NULL)))
                        die("pthread_create");
        pthread_attr_destroy(&attr);
}

static void fill_file(const char *path, size_t bytes)
{
        static char block[1 << 20];
        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        if (fd < 0)
                die(path);
        memset(block, 1, sizeof(block));
        for (size_t done = 0; done < bytes; done += sizeof(block))
                if (write(fd, block, sizeof(block)) != sizeof(block))
                        die("write");
        /* Dirty pages cannot be evicted. */
        if (fsync(fd) < 0)
                die("fsync");
        for (size_t done = 0; done < bytes; done += sizeof(block))
                if (pread(fd, block, sizeof(block), (off_t)done) < 0)
                        die("read");
        close(fd);
}

/* To systemd, of a service with Type=notify: libsystemd is not in the containers that this runs in. */
static void notify_ready(void)
{
        static const char text[] = "READY=1";
        const char *path = getenv("NOTIFY_SOCKET");
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd;

        if (!path || strlen(path) >= sizeof(address.sun_path))
                return;
        strcpy(address.sun_path, path);
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                die("socket");
        if (sendto(fd, text, sizeof(text) - 1, 0, (struct sockaddr *)&address,
                   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))) < 0)
                die(path);
        close(fd);
}

static double now(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void touch_until_stopped(char *memory, size_t bytes)
{
        double longest = 0;

        while (!stopped) {
                for (size_t i = 0; i < bytes && !stopped; i += 4096) {
                        double before = now(), took;

                        memory[i]++;
                        took = now() - before;
                        longest = took > longest ? took : longest;
                }
        }
        printf("longest write %.1f ms\n", longest * 1e3);
}

int main(int argc, char *argv[])
{
        enum { BIND = MPOL_BIND, PREFER = MPOL_PREFERRED, LOCAL = MPOL_DEFAULT };
        static const struct option options[] = {
                { "node", required_argument, NULL, 'n' },    { "mb", required_argument, NULL, 'm' },
                { "threads", required_argument, NULL, 't' }, { "file", required_argument, NULL, 'f' },
                { "shm", no_argument, NULL, 's' },           { "huge", no_argument, NULL, 'H' },
                { "bind", no_argument, NULL, 'b' },          { "prefer", no_argument, NULL, 'p' },
                { "local", no_argument, NULL, 'l' },         { "touch", no_argument, NULL, 'w' },
                { "hold", no_argument, NULL, 'h' },          { "small", no_argument, NULL, 'S' },
                { "read", required_argument, NULL, 'r' },    { NULL, 0, NULL, 0 },
        };
        long node = 0, mb = 1, read_mb = 0, threads = 0;
        unsigned long mask[16] = { 0 };
        const char *file = NULL;
        bool shared = false, touch = false, small = false;
        int mode = BIND, huge = 0, c;
        char *memory = NULL;
        size_t bytes, read_bytes;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                switch (c) {
                case 'n':
                        node = atol(optarg);
                        break;
                case 'm':
                        mb = atol(optarg);
                        break;
                case 't':
                        threads = atol(optarg);
                        break;
                case 'f':
                        file = optarg;
                        break;
                case 's':
                        shared = true;
                        break;
                case 'H':
                        huge = MAP_HUGETLB;
                        break;
                case 'b':
                        mode = BIND;
                        break;
                case 'p':
                        mode = PREFER;
                        break;
                case 'l':
                        mode = LOCAL;
                        break;
                case 'w':
                        touch = true;
                        break;
                case 'S':
                        small = true;
                        break;
                case 'r':
                        read_mb = atol(optarg);
                        break;
                case 'h': /* what it does anyway */
                        break;
                default:
                        return 2;
                }
        }
        signal(SIGTERM, on_signal);
        signal(SIGINT, on_signal);
        start_threads(threads);
        bytes = (size_t)mb << 20;
        read_bytes = (size_t)read_mb << 20;
        mask[node / 64] |= 1UL << node % 64;
        if (file) {
                if (mode != LOCAL && set_mempolicy(mode, mask, sizeof(mask) * 8) < 0)
                        die("set_mempolicy");
                fill_file(file, bytes);
                (void)set_mempolicy(MPOL_DEFAULT, NULL, 0);
        } else if (bytes > 0) {
                memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                              MAP_ANONYMOUS | huge | (shared ? MAP_SHARED : MAP_PRIVATE), -1, 0);
                if (memory == MAP_FAILED)
                        die("mmap");
                if (mode != LOCAL && mbind(memory, bytes, mode, mask, sizeof(mask) * 8, 0) < 0 &&
                    (mode != PREFER || errno != EINVAL))
                        die("mbind");
                if (small && (madvise(memory, bytes, MADV_NOHUGEPAGE) < 0 ||
                              madvise(memory, read_bytes, MADV_POPULATE_READ) < 0 ||
                              madvise(memory + read_bytes, bytes - read_bytes, MADV_POPULATE_WRITE) < 0))
                        die("madvise");
                if (!small)
                        memset(memory, 1, bytes);
        }
        printf("ready %d\n", (int)getpid());
        fflush(stdout);
        notify_ready();
        if (touch && memory)
                touch_until_stopped(memory, bytes);
        while (!stopped)
                pause();
        return 0;
}
