/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reserves device memory for the unit that it runs in, fills a buffer of it, and gives both back.
 *
 *   cc cdm-example.c $(pkg-config --cflags --libs cdm) -o cdm-example
 *   ./cdm-example hbm 64 [huge] */

#include <cdm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int fill(int fd)
{
        struct stat st;

        if (fstat(fd, &st) < 0) {
                perror("fstat");
                return -1;
        }
        size_t bytes = (size_t)st.st_size;
        char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (memory == MAP_FAILED) {
                perror("mmap");
                return -1;
        }
        memset(memory, 42, bytes);
        printf("%zu bytes of device memory\n", bytes);
        munmap(memory, bytes);
        return 0;
}

static int use(Cdm *cdm, const char *pool, uint64_t bytes, unsigned flags)
{
        uint32_t id;
        int fd, r;

        r = cdm_request(cdm, pool, bytes, &id);
        if (r < 0)
                return r;
        r = cdm_buffer(cdm, id, bytes, flags, &fd);
        if (r < 0) {
                /* cdm_error() returns the sentence of the last call, so print it before cdm_release(). */
                fprintf(stderr, "no buffer: %s\n", cdm_error(cdm));
        } else {
                r = fill(fd);
                close(fd);
        }
        int r2 = cdm_release(cdm, id);
        return r < 0 ? r : r2;
}

int main(int argc, char **argv)
{
        Cdm *cdm;

        if (argc < 3) {
                fprintf(stderr, "usage: %s POOL MEBIBYTES [huge]\n", argv[0]);
                return EXIT_FAILURE;
        }
        int r = cdm_open(0, &cdm);
        if (r < 0) {
                fprintf(stderr, "no connection: %s\n", strerror(-r));
                return EXIT_FAILURE;
        }
        r = use(cdm, argv[1], strtoull(argv[2], NULL, 10) << 20, argc > 3 ? CDM_HUGETLB : 0);
        if (r < 0)
                fprintf(stderr, "failed (%s): %s\n", strerror(-r), cdm_error(cdm));
        cdm_close(cdm);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
