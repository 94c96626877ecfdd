/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Uses the buffer that `cdmctl buffer` hands over: maps it, closes the descriptor, writes to every page,
 * says "ready PID BYTES" and waits for a signal. SIGUSR1: says where the pages are ("2=1024", or "2=1000
 * 0=24") and whether they still hold what was written ("same" or "different").
 *
 * vm-buffer [--keep-fd | --keep-path]
 *
 * --keep-fd keeps the descriptor instead of the mapping; --keep-path keeps an O_PATH descriptor, which is no
 * use of the buffer, and tells at the end what the buffer holds when it is opened once more. */

#include <errno.h>
#include <fcntl.h>
#include <numaif.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NODES 16

static void die(const char *what)
{
        fprintf(stderr, "vm-buffer: %s: %s\n", what, strerror(errno));
        exit(1);
}

static char *map(int fd, size_t bytes)
{
        char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        if (memory == MAP_FAILED)
                die("mmap");
        return memory;
}

static void tell(char *memory, size_t bytes)
{
        const size_t page = (size_t)sysconf(_SC_PAGESIZE), n = bytes / page;
        void **pages = calloc(n, sizeof(*pages));
        int *status = calloc(n, sizeof(*status));
        size_t on[NODES] = { 0 }, same = 0;

        if (!pages || !status)
                die("calloc");
        for (size_t i = 0; i < n; i++) {
                pages[i] = memory + i * page;
                same += *(size_t *)pages[i] == i + 1;
        }
        if (move_pages(0, n, pages, NULL, status, 0) < 0)
                die("move_pages");
        for (size_t i = 0; i < n; i++)
                if (status[i] >= 0 && status[i] < NODES)
                        on[status[i]]++;
        for (int i = 0; i < NODES; i++)
                if (on[i])
                        printf("%d=%zu ", i, on[i]);
        puts(same == n ? "same" : "different");
        fflush(stdout);
        free(pages);
        free(status);
}

int main(int argc, char *argv[])
{
        const char *number = getenv("CDM_BUFFER_FD");
        int fd = number ? atoi(number) : -1, path = -1, signal_number;
        struct stat st;
        sigset_t set;
        char name[64];

        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        sigaddset(&set, SIGUSR2);
        sigaddset(&set, SIGTERM);
        sigprocmask(SIG_BLOCK, &set, NULL);
        if (fstat(fd, &st) < 0)
                die("fstat");
        size_t bytes = (size_t)st.st_size;
        char *memory = map(fd, bytes);
        for (size_t i = 0; i < bytes / (size_t)sysconf(_SC_PAGESIZE); i++)
                *(size_t *)(memory + i * (size_t)sysconf(_SC_PAGESIZE)) = i + 1;
        if (ftruncate(fd, st.st_size + 4096) == 0 || ftruncate(fd, 0) == 0)
                die("the size is not sealed");
        snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
        if (argc > 1 && strcmp(argv[1], "--keep-fd") == 0) {
                munmap(memory, bytes);
                memory = NULL;
        } else {
                path = argc > 1 ? open(name, O_PATH | O_CLOEXEC) : -1;
                close(fd);
        }
        printf("ready %d %zu\n", (int)getpid(), bytes);
        fflush(stdout);
        while (sigwait(&set, &signal_number) == 0 && signal_number == SIGUSR1)
                tell(memory ? memory : map(fd, bytes), bytes);
        if (path >= 0) {
                munmap(memory, bytes);
                puts("closed");
                fflush(stdout);
                while (sigwait(&set, &signal_number) == 0 && signal_number != SIGUSR1)
                        ;
                snprintf(name, sizeof(name), "/proc/self/fd/%d", path);
                fd = open(name, O_RDWR | O_CLOEXEC);
                if (fd < 0)
                        die("open");
                tell(map(fd, bytes), bytes);
        }
        return 0;
}
