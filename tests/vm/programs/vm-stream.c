/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* vm-stream PID COUNT: what does the work of cdmd (PID) take from the bandwidth of memory that a workload sees? Adds up two
 * arrays into a third, two seconds at a time, in turn while cdmd runs and while it is stopped (SIGSTOP); before each such pair
 * it is stopped twice, which says how far two equal measurements lie apart. Prints rows (pairs.h). */

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "tests/vm/programs/pairs.h"

#define ELEMENTS ((size_t)4 << 20) /* 32 MiB an array, more than caches have */
#define WHILE_MS 2000

static double *a, *b, *c;

static void tell(pid_t pid, int number)
{
        if (kill(pid, number) < 0) {
                fprintf(stderr, "vm-stream: %d: %s\n", (int)pid, strerror(errno));
                exit(EXIT_FAILURE);
        }
        usleep(100 * 1000);
}

/* MiB/s, of reading and writing together. */
static double bandwidth(void)
{
        double begin = now_ms(), took;
        size_t rounds = 0;

        do {
                for (size_t i = 0; i < ELEMENTS; i++)
                        a[i] = b[i] + 3 * c[i];
                __asm__ volatile("" ::"r"(a) : "memory");
                rounds++;
                took = now_ms() - begin;
        } while (took < WHILE_MS);
        return (double)(3 * rounds * ELEMENTS * sizeof(double)) / (1 << 20) / took * 1e3;
}

int main(int argc, char **argv)
{
        pid_t pid = argc == 3 ? (pid_t)strtol(argv[1], NULL, 10) : 0;
        size_t n = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;

        if (pid <= 0 || n == 0) {
                fprintf(stderr, "usage: vm-stream PID COUNT\n");
                return 2;
        }
        Pair *noise = calloc(n, sizeof(*noise)), *pairs = calloc(n, sizeof(*pairs));
        a = calloc(ELEMENTS, sizeof(*a));
        b = malloc(ELEMENTS * sizeof(*b));
        c = malloc(ELEMENTS * sizeof(*c));
        if (!noise || !pairs || !a || !b || !c)
                return 1;
        for (size_t i = 0; i < ELEMENTS; i++)
                b[i] = c[i] = (double)i;
        (void)bandwidth();
        for (size_t i = 0; i < n; i++) {
                tell(pid, SIGSTOP);
                noise[i].reference = bandwidth();
                noise[i].ours = bandwidth();
                pairs[i].reference = bandwidth();
                tell(pid, SIGCONT);
                pairs[i].ours = bandwidth();
        }
        pairs_print(
                "bandwidth of memory in two equal measurements, both without cdmd (noise)|the one after the other||MiB/s",
                noise, n);
        pairs_print(
                "bandwidth of memory that a workload sees beside cdmd|while cdmd is stopped|>=0.99|MiB/s",
                pairs, n);
        return 0;
}
