/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Pins memory for long, as RDMA and VFIO do: registers it as buffers of an io_uring. With `cdmctl buffer`
 * that memory is the buffer; else it is anonymous, BYTES of it, preferably on NODE. Every page is written to
 * first.
 *
 * vm-pin [BYTES NODE]
 *
 * Says "before WHERE", "after WHERE" and "ready PID", and waits for a signal. SIGUSR1: says "now WHERE";
 * SIGUSR2: gives up the pins, and says "unpinned". WHERE are the nodes and their pages: "2=1024" or
 * "0=24 2=1000". Where the kernel refuses to pin: "refused: WHY". */

#include <errno.h>
#include <linux/io_uring.h>
#include <numaif.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define NODES      16
#define VECTOR_MAX ((size_t)64 << 20) /* the kernel takes up to 1 GiB in one */

static void die(const char *what)
{
        fprintf(stderr, "vm-pin: %s: %s\n", what, strerror(errno));
        exit(1);
}

static void tell(const char *when, char *memory, size_t bytes)
{
        const size_t page = (size_t)sysconf(_SC_PAGESIZE), n = bytes / page;
        void **pages = calloc(n, sizeof(*pages));
        int *status = calloc(n, sizeof(*status));
        size_t on[NODES] = { 0 };

        if (!pages || !status)
                die("calloc");
        for (size_t i = 0; i < n; i++)
                pages[i] = memory + i * page;
        if (move_pages(0, n, pages, NULL, status, 0) < 0)
                die("move_pages");
        for (size_t i = 0; i < n; i++)
                if (status[i] >= 0 && status[i] < NODES)
                        on[status[i]]++;
        fputs(when, stdout);
        for (int i = 0; i < NODES; i++)
                if (on[i])
                        printf(" %d=%zu", i, on[i]);
        putchar('\n');
        fflush(stdout);
        free(pages);
        free(status);
}

static char *memory_new(int argc, char *argv[], size_t *ret_bytes)
{
        const char *number = getenv("CDM_BUFFER_FD");
        unsigned long nodes = argc > 2 ? 1UL << atoi(argv[2]) : 0;
        struct stat st;
        char *memory;

        if (number) {
                if (fstat(atoi(number), &st) < 0)
                        die("fstat");
                *ret_bytes = (size_t)st.st_size;
                memory = mmap(NULL, *ret_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, atoi(number), 0);
        } else {
                *ret_bytes = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
                memory = mmap(NULL, *ret_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        }
        if (memory == MAP_FAILED)
                die("mmap");
        if (!number && mbind(memory, *ret_bytes, MPOL_PREFERRED, &nodes, NODES + 1, 0) < 0)
                die("mbind");
        for (size_t i = 0; i < *ret_bytes; i += (size_t)sysconf(_SC_PAGESIZE))
                memory[i] = 1;
        return memory;
}

/* Returns the ring: the pins last until it is closed. */
static int pin(char *memory, size_t bytes)
{
        struct io_uring_params params = { 0 };
        struct iovec vectors[64];
        unsigned n = 0;
        int ring = (int)syscall(SYS_io_uring_setup, 4, &params);

        if (ring < 0)
                return -errno;
        for (size_t at = 0; at < bytes && n < 64; at += VECTOR_MAX, n++)
                vectors[n] =
                        (struct iovec){ memory + at, bytes - at < VECTOR_MAX ? bytes - at : VECTOR_MAX };
        if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, vectors, n) < 0)
                return -errno;
        return ring;
}

int main(int argc, char *argv[])
{
        int signal_number, r;
        size_t bytes;
        sigset_t set;
        char *memory;

        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        sigaddset(&set, SIGUSR2);
        sigaddset(&set, SIGTERM);
        sigprocmask(SIG_BLOCK, &set, NULL);
        memory = memory_new(argc, argv, &bytes);
        tell("before", memory, bytes);
        r = pin(memory, bytes);
        if (r < 0)
                printf("refused: %s\n", strerror(-r));
        tell("after", memory, bytes);
        printf("ready %d\n", getpid());
        fflush(stdout);
        while (sigwait(&set, &signal_number) == 0 && signal_number != SIGTERM) {
                if (signal_number == SIGUSR1)
                        tell("now", memory, bytes);
                else if (close(r) == 0)
                        puts("unpinned");
                fflush(stdout);
        }
        return 0;
}
