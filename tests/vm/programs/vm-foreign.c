/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* vm-foreign PARENT OTHER NODES COUNT: how long is a new cgroup open? In turn makes one below PARENT, which cdmd closes, and
 * below OTHER, which cdmd leaves alone: there a child of this program waits with inotify and writes NODES to cpuset.mems, the
 * least that has to be done. Both end when cpuset.mems says NODES. Prints a row (pairs.h). */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/vm/programs/pairs.h"

#define PAUSE_USEC 100

static void die(const char *what)
{
        fprintf(stderr, "vm-foreign: %s: %s\n", what, strerror(errno));
        exit(EXIT_FAILURE);
}

static void close_cgroup(int parent, const char *name, const char *nodes)
{
        char path[512];

        snprintf(path, sizeof(path), "%s/cpuset.mems", name);
        int fd = openat(parent, path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, nodes, strlen(nodes)) < 0)
                die(path);
        close(fd);
}

/* The reference: closes every cgroup that is made below the directory. Says when it watches. */
static void watch(const char *directory, const char *nodes, int ready)
{
        char buffer[4096] __attribute__((aligned(8)));
        int parent = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = inotify_init1(IN_CLOEXEC);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (parent < 0 || fd < 0 || inotify_add_watch(fd, directory, IN_CREATE | IN_ONLYDIR) < 0 ||
            write(ready, "", 1) != 1)
                die(directory);
        for (;;) {
                ssize_t n = read(fd, buffer, sizeof(buffer));

                if (n < 0)
                        die("inotify");
                for (char *p = buffer; p < buffer + n;) {
                        const struct inotify_event *e = (const void *)p;

                        close_cgroup(parent, e->name, nodes);
                        p += sizeof(*e) + e->len;
                }
        }
}

static pid_t watch_start(const char *directory, const char *nodes)
{
        int ready[2];
        char byte;

        if (pipe2(ready, O_CLOEXEC) < 0)
                die("pipe");
        pid_t pid = fork();
        if (pid < 0)
                die("fork");
        if (pid == 0)
                watch(directory, nodes, ready[1]);
        close(ready[1]);
        if (read(ready[0], &byte, 1) != 1)
                die("the child that watches");
        close(ready[0]);
        return pid;
}

static bool is_closed(int fd, const char *nodes)
{
        char text[256];
        ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

        if (n <= 0)
                die("cpuset.mems");
        text[n] = '\0';
        text[strcspn(text, "\n")] = '\0';
        return strcmp(text, nodes) == 0;
}

static double open_ms(const char *parent, const char *nodes)
{
        char directory[256], path[300];

        snprintf(directory, sizeof(directory), "%s/fresh", parent);
        snprintf(path, sizeof(path), "%s/cpuset.mems", directory);
        double begin = now_ms(), took;
        if (mkdir(directory, 0755) < 0)
                die(directory);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                die(path);
        while (!is_closed(fd, nodes)) {
                if (now_ms() - begin > 60e3) {
                        fprintf(stderr, "vm-foreign: %s stays open\n", directory);
                        exit(EXIT_FAILURE);
                }
                usleep(PAUSE_USEC);
        }
        took = now_ms() - begin;
        close(fd);
        if (rmdir(directory) < 0)
                die(directory);
        usleep(200 * 1000);
        return took;
}

int main(int argc, char **argv)
{
        size_t n = argc == 5 ? strtoul(argv[4], NULL, 10) : 0;

        if (n == 0) {
                fprintf(stderr, "usage: vm-foreign PARENT OTHER NODES COUNT\n");
                return 2;
        }
        Pair *pairs = calloc(n, sizeof(*pairs));
        if (!pairs)
                die("calloc");
        pid_t child = watch_start(argv[2], argv[3]);
        for (size_t i = 0; i < n; i++) {
                pairs[i].reference = open_ms(argv[2], argv[3]);
                pairs[i].ours = open_ms(argv[1], argv[3]);
        }
        kill(child, SIGKILL);
        pairs_print(
                "a new cgroup that systemd does not know, from mkdir until it is closed|a bare program: inotify and one write of "
                "`cpuset.mems`|<=1.5|ms",
                pairs, n);
        return 0;
}
