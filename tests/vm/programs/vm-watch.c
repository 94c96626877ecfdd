/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* vm-watch PID TENANTS COUNT: what does it cost cdmd (PID) to watch tenants that share a node? bench-0.scope and so on each
 * get a reservation on node 2. Whenever cdmd has read their memory.numa_stat, this program reads the same files, and nothing
 * else. Each pair is the processor time of cdmd from one reading to the next, with all that it does besides, and of this
 * program's reading. Prints a row (pairs.h), in milliseconds a reading. */

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>

#include "tests/vm/programs/calls.h"

/* cdmd is done with a reading of which the first file was opened so long ago. */
#define SETTLE_USEC (300 * 1000)

static void die(const char *what)
{
        fprintf(stderr, "vm-watch: %s: %s\n", what, strerror(errno));
        exit(EXIT_FAILURE);
}

static double cpu_ms(void)
{
        struct timespec t;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Of all threads of a process. */
static double cpu_ms_of(const char *pid)
{
        char path[512], line[128];
        double ns = 0;

        snprintf(path, sizeof(path), "/proc/%s/task", pid);
        DIR *d = opendir(path);
        if (!d)
                die(path);
        for (struct dirent *e; (e = readdir(d));) {
                if (e->d_name[0] == '.')
                        continue;
                snprintf(path, sizeof(path), "/proc/%s/task/%s/schedstat", pid, e->d_name);
                FILE *f = fopen(path, "re");
                if (!f)
                        continue;
                if (fgets(line, sizeof(line), f))
                        ns += strtod(line, NULL);
                fclose(f);
        }
        closedir(d);
        return ns / 1e6;
}

static void path_of(unsigned i, char path[static 128])
{
        snprintf(path, 128, "/sys/fs/cgroup/system.slice/bench-%u.scope/memory.numa_stat", i);
}

/* Reads and adds up what the tenants have on node 2, as cdmd does. */
static uint64_t read_all(unsigned tenants)
{
        static char text[1 << 16];
        uint64_t bytes = 0;

        for (unsigned i = 0; i < tenants; i++) {
                char path[128], *p;

                path_of(i, path);
                int fd = open(path, O_RDONLY | O_CLOEXEC);
                ssize_t n = -1;
                size_t length = 0;

                while (fd >= 0 && (n = read(fd, text + length, sizeof(text) - 1 - length)) > 0)
                        length += (size_t)n;
                if (n < 0)
                        die(path);
                text[length] = '\0';
                for (p = text; (p = strstr(p, " N2=")); p += 4)
                        bytes += strtoull(p + 4, NULL, 10);
                close(fd);
        }
        return bytes;
}

static void forget_events(int fd)
{
        char buffer[4096];

        while (read(fd, buffer, sizeof(buffer)) > 0)
                ;
}

/* Returns when cdmd has read all of them once more. */
static void wait_for_reading(int fd)
{
        struct pollfd p = { .fd = fd, .events = POLLIN };

        forget_events(fd);
        if (poll(&p, 1, 120 * 1000) <= 0) {
                fprintf(stderr, "vm-watch: cdmd does not read\n");
                exit(EXIT_FAILURE);
        }
        usleep(SETTLE_USEC);
}

int main(int argc, char **argv)
{
        unsigned tenants = argc == 4 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
        size_t n = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
        char path[128], row[256];
        uint64_t bytes = 0;

        if (tenants < 2 || n == 0) {
                fprintf(stderr, "usage: vm-watch PID TENANTS COUNT\n");
                return 2;
        }
        Pair *pairs = calloc(n, sizeof(*pairs));
        int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (!pairs || fd < 0)
                die("inotify");
        connect_bus();
        for (unsigned i = 0; i < tenants; i++) {
                snprintf(path, sizeof(path), "bench-%u.scope", i);
                (void)request(path, 4 * MIB, "2");
        }
        path_of(0, path);
        if (inotify_add_watch(fd, path, IN_OPEN) < 0)
                die(path);
        /* The pauses between the readings grow to what they are in the long run. */
        for (int i = 0; i < 10; i++)
                wait_for_reading(fd);
        double before = cpu_ms_of(argv[1]);
        for (size_t i = 0; i < n; i++) {
                wait_for_reading(fd);
                double now = cpu_ms_of(argv[1]), begin = cpu_ms();

                bytes += read_all(tenants);
                pairs[i] = (Pair){ now - before, cpu_ms() - begin };
                before = now;
        }
        fprintf(stderr, "vm-watch: %" PRIu64 " bytes a reading\n", bytes / n);
        snprintf(
                row, sizeof(row),
                "processor time of cdmd for a look at %u tenants of one node|a program that reads the same `memory.numa_stat` "
                "as often|<=1.2|ms",
                tenants);
        pairs_print(row, pairs, n);
        return 0;
}
