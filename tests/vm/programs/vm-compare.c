/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* vm-compare NAME COUNT COMMAND... -- OTHER...: runs the two commands in turn, COUNT times each, and compares
 * how long they take. Prints a line: NAME, COUNT, then median and p95 of COMMAND and of OTHER in
 * milliseconds, the ratio of the medians, and the quartiles of the ratio of each pair. */

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double now_ms(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double run(char **argv)
{
        double begin = now_ms();
        int status;
        pid_t pid;

        if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0 || waitpid(pid, &status, 0) != pid ||
            status != 0) {
                fprintf(stderr, "vm-compare: %s failed\n", argv[0]);
                exit(1);
        }
        return now_ms() - begin;
}

static int compare(const void *a, const void *b)
{
        const double *x = a, *y = b;

        return (*x > *y) - (*x < *y);
}

static double *sorted(double *v, size_t n)
{
        qsort(v, n, sizeof(*v), compare);
        return v;
}

int main(int argc, char **argv)
{
        size_t n = argc > 3 ? strtoul(argv[2], NULL, 10) : 0;
        int other = 3;

        while (other < argc && strcmp(argv[other], "--") != 0)
                other++;
        /* COMMAND may have a `--` of its own: the last one counts. */
        for (int i = other; i < argc; i++)
                if (strcmp(argv[i], "--") == 0)
                        other = i;
        if (n == 0 || other + 1 >= argc) {
                fprintf(stderr, "usage: vm-compare NAME COUNT COMMAND... -- OTHER...\n");
                return 2;
        }
        argv[other] = NULL;
        double *a = calloc(n, sizeof(*a)), *b = calloc(n, sizeof(*b)), *ratio = calloc(n, sizeof(*ratio));
        if (!a || !b || !ratio)
                return 1;
        for (size_t i = 0; i < n; i++) {
                b[i] = run(argv + other + 1);
                a[i] = run(argv + 3);
                ratio[i] = a[i] / b[i];
        }
        sorted(a, n);
        sorted(b, n);
        sorted(ratio, n);
        printf("%-28s %5zu %8.1f %8.1f %8.1f %8.1f %6.2f %6.2f %6.2f\n", argv[1], n, a[n / 2],
               a[n * 95 / 100], b[n / 2], b[n * 95 / 100], a[n / 2] / b[n / 2], ratio[n / 4],
               ratio[n * 3 / 4]);
        return 0;
}
