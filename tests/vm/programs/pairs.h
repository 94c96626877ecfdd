/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Two things that were measured in turn, pair by pair. tests/bench/report reads what is printed. */

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

typedef struct Pair {
        double ours, reference;
} Pair;

static inline double now_ms(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Prints a line. row: "NAME|REFERENCE|TARGET|UNIT", the target as "<=1.25". */
static inline void pairs_print(const char *row, const Pair *pairs, size_t n)
{
        printf("row|%s|", row);
        for (size_t i = 0; i < n; i++)
                printf("%s%.6g,%.6g", i ? " " : "", pairs[i].ours, pairs[i].reference);
        putchar('\n');
        fflush(stdout);
}

/* How long a command takes; ends this process when it fails. */
static inline double run_ms(const char *const *argv)
{
        extern char **environ;
        double begin = now_ms();
        int status;
        pid_t pid;

        if (posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)argv, environ) != 0 ||
            waitpid(pid, &status, 0) != pid || status != 0) {
                fprintf(stderr, "%s failed\n", argv[0]);
                exit(1);
        }
        return now_ms() - begin;
}
