/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* vm-compare NAME COUNT COMMAND... -- OTHER...: runs the two commands in turn, COUNT times each, and prints how
 * long they take (pairs.h). */

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/vm/programs/pairs.h"

extern char **environ;

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
        Pair *pairs = calloc(n, sizeof(*pairs));
        if (!pairs)
                return 1;
        for (size_t i = 0; i < n; i++) {
                pairs[i].reference_ms = run(argv + other + 1);
                pairs[i].ours_ms = run(argv + 3);
        }
        return pairs_print(argv[1], pairs, n) < 0;
}
