/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* vm-touch MIB FILE: has so much memory in small pages on node 0 if there is room, and one thread that writes to all of it
 * for ever. FILE is a Touch that is shared with vm-drain. Tells systemd when it is ready. */

#include <fcntl.h>
#include <numaif.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <systemd/sd-daemon.h>

#include "tests/vm/programs/pairs.h"
#include "tests/vm/programs/touch.h"

static void die(const char *what)
{
        perror(what);
        exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
        if (argc != 3)
                return 2;
        size_t bytes = strtoul(argv[1], NULL, 10) << 20;
        unsigned long mask = 1;
        Touch *t = touch_map(argv[2]);
        char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
        if (!t || memory == MAP_FAILED || mbind(memory, bytes, MPOL_PREFERRED, &mask, 8, 0) < 0 ||
            madvise(memory, bytes, MADV_NOHUGEPAGE) < 0 || madvise(memory, bytes, MADV_POPULATE_WRITE) < 0)
                die("memory");
        (void)sd_notify(0, "READY=1");
        for (;;) {
                for (size_t i = 0; i < bytes; i += 4096) {
                        double before = now_ms();

                        memory[i]++;
                        double took = now_ms() - before;
                        if (took > t->longest_ms)
                                t->longest_ms = took;
                }
        }
}
