/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* vm-compare ROW COUNT COMMAND... -- OTHER...: runs the two commands in turn, COUNT times each, and prints how
 * long they take (pairs.h). $VM_AFTER is run by a shell after each of them, and does not count. */

#include <string.h>

#include "tests/vm/programs/pairs.h"

static double run(const char *const *argv)
{
        char *after = getenv("VM_AFTER");
        double took = run_ms(argv);

        if (after)
                (void)run_ms((const char *[]){ "sh", "-c", after, NULL });
        return took;
}

int main(int argc, char **argv)
{
        size_t n = argc > 3 ? strtoul(argv[2], NULL, 10) : 0;
        int other = 3;

        /* COMMAND may have a `--` of its own: the last one counts. */
        for (int i = other; i < argc; i++)
                if (strcmp(argv[i], "--") == 0)
                        other = i;
        if (n == 0 || other == 3 || other + 1 >= argc) {
                fprintf(stderr, "usage: vm-compare ROW COUNT COMMAND... -- OTHER...\n");
                return 2;
        }
        argv[other] = NULL;
        Pair *pairs = calloc(n, sizeof(*pairs));
        if (!pairs)
                return 1;
        for (size_t i = 0; i < n; i++) {
                pairs[i].reference = run((const char *const *)argv + other + 1);
                pairs[i].ours = run((const char *const *)argv + 3);
        }
        pairs_print(argv[1], pairs, n);
        return 0;
}
