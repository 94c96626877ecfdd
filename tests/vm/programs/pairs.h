/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Two things that were measured in turn, pair by pair. */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct Pair {
        double ours_ms, reference_ms;
} Pair;

static inline double now_ms(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static inline int pairs_compare(const void *a, const void *b)
{
        const double *x = a, *y = b;

        return (*x > *y) - (*x < *y);
}

/* Prints a line: name, n, then median and p95 of ours and of the reference in milliseconds, the ratio of the
 * medians, and the quartiles of the ratio of each pair. */
static inline int pairs_print(const char *name, const Pair *pairs, size_t n)
{
        double *a = calloc(3 * n, sizeof(*a));

        if (!a)
                return -1;
        double *b = a + n, *ratio = b + n;
        for (size_t i = 0; i < n; i++) {
                a[i] = pairs[i].ours_ms;
                b[i] = pairs[i].reference_ms;
                ratio[i] = a[i] / b[i];
        }
        qsort(a, n, sizeof(*a), pairs_compare);
        qsort(b, n, sizeof(*b), pairs_compare);
        qsort(ratio, n, sizeof(*ratio), pairs_compare);
        printf("%-28s %5zu %8.1f %8.1f %8.1f %8.1f %6.2f %6.2f %6.2f\n", name, n, a[n / 2], a[n * 95 / 100],
               b[n / 2], b[n * 95 / 100], a[n / 2] / b[n / 2], ratio[n / 4], ratio[n * 3 / 4]);
        free(a);
        return 0;
}
