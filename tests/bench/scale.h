/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of bench-scale share. A function that fails ends the program. */

#include <stddef.h>
#include <stdint.h>

#include "tests/bus/world.h"

void fatal(const char *what, int r);
void must(const char *what, int r);
void *allocate(size_t n, size_t size);
double median(double *values, size_t n);
void print_point(const char *curve, const char *unit, double x, double y);

/* A world with n reservations, with n cgroups of units, or with n cgroups that systemd does not own. */
typedef struct Scale {
        const char *of; /* "reservations", "cgroups", "foreign cgroups" */
        uint32_t n;
        World w;
} Scale;

/* What is started from now on belongs to that world. */
void world_enter(World *w);
void world_new(World *w);
/* Puts what the Scale is of into a new world, whose cdmd ends. */
void scale_fill(Scale *s);
void scale_point(const Scale *s, const char *what, const char *unit, double y);
/* The number after key in a file below /proc/PID of cdmd. */
uint64_t status_number(const World *w, const char *file, const char *key);
double cpu_ms(const World *w);
/* Until cdmd reads nothing any more: what a start leaves for later is no part of what comes then. */
void settle(const World *w);
double restart_ms(World *w);
/* Until a Request is answered; *ret_release: until the reservation is gone again, may be NULL. */
double grant_ms(World *w, double *ret_release);
void call(World *w, const char *member, const char *types, ...);
double reload_ms(World *w);
/* Sees all that cdmd sends. */
sd_bus *monitor_new(World *w);
/* How many signals and calls there were, until there is nothing for so long. Answers do not count: somebody has asked
 * for them. */
unsigned monitor_read(sd_bus *monitor, uint64_t patience_usec);

/* Prints the curves, and rows of the sizes small and large, whose worlds stay. */
void curves_of_worlds(const char *of, uint32_t last, uint32_t small, uint32_t large);
void measure_answers(void);
void measure_vanishing(uint32_t last);
void measure_foreign(uint32_t last);
void measure_nodes(void);
