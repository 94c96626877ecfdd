/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* vm-foreign PARENT OTHER THIRD NODES COUNT: how long is a new cgroup open? In turn makes one below PARENT, which cdmd
 * closes, and below OTHER and THIRD, which cdmd leaves alone. There two children of this program wait with inotify and write
 * NODES to cpuset.mems. The first one does nothing else. The second one does what any daemon has to do that never waits for
 * the kernel where it takes calls, knows what a cgroup had before, and sees what happens to the cgroup later. Each ends when
 * cpuset.mems says NODES. Prints rows (pairs.h). */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/vm/programs/pairs.h"

#define PAUSE_USEC 100
#define STATE      "/run/vm-foreign"

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

/* --- the second reference ------------------------------------------------------------------------------- */

static int closing[2]; /* a pipe of names of cgroups, for the thread that closes them */

static void read_file(int directory, const char *name)
{
        static char text[1 << 16];
        int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                die(name);
        while (read(fd, text, sizeof(text)) > 0)
                ;
        close(fd);
}

/* As cdmd does, without fsync(2): /run is memory. */
static void store(const char *text)
{
        int fd = open(STATE ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        if (fd < 0 || write(fd, text, strlen(text)) < 0 || close(fd) < 0 || rename(STATE ".new", STATE) < 0)
                die(STATE);
}

typedef struct Closer {
        int parent;
        const char *nodes;
} Closer;

/* Reads what the cgroup may use and what it uses, and stores the former. */
static void *close_thread(void *userdata)
{
        const Closer *c = userdata;
        char name[256];

        while (read(closing[0], name, sizeof(name)) == sizeof(name)) {
                int fd = openat(c->parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

                if (fd < 0)
                        die(name);
                read_file(fd, "cpuset.mems");
                read_file(fd, "cpuset.mems.effective");
                read_file(fd, "memory.numa_stat");
                close(fd);
                store(name);
                close_cgroup(c->parent, name, c->nodes);
        }
        return NULL;
}

static void close_start(const Closer *c)
{
        pthread_t thread;

        if (pipe2(closing, O_CLOEXEC) < 0 || pthread_create(&thread, NULL, close_thread, (void *)c) != 0)
                die("the thread that closes");
}

/* The event loop's part: is the cgroup delegated, what happens in it from now on, and what is in it already? */
static void hand_over(int parent, int inotify, const char *name)
{
        int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        char self[32], copy[256] = "";

        if (fd < 0)
                die(name);
        (void)fgetxattr(fd, "user.delegate", copy, sizeof(copy));
        snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
        if (inotify_add_watch(inotify, self, IN_CREATE | IN_DELETE | IN_CLOSE_WRITE | IN_ONLYDIR) < 0)
                die(name);
        snprintf(copy, sizeof(copy), "%s", name);
        if (write(closing[1], copy, sizeof(copy)) != sizeof(copy))
                die("pipe");
        DIR *d = fdopendir(fd);
        while (d && readdir(d))
                ;
        if (d)
                closedir(d);
}

/* --- both ----------------------------------------------------------------------------------------------- */

/* Closes every cgroup that is made below the directory. Says when it watches. */
static void watch(const char *directory, const char *nodes, bool all, int ready)
{
        char buffer[4096] __attribute__((aligned(8)));
        int parent = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = inotify_init1(IN_CLOEXEC);
        int wd = fd < 0 ? -1 : inotify_add_watch(fd, directory, IN_CREATE | IN_ONLYDIR);
        Closer closer = { parent, nodes };

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (parent < 0 || wd < 0)
                die(directory);
        if (all)
                close_start(&closer);
        if (write(ready, "", 1) != 1)
                die(directory);
        for (;;) {
                ssize_t n = read(fd, buffer, sizeof(buffer));

                if (n < 0)
                        die("inotify");
                for (char *p = buffer; p < buffer + n;) {
                        const struct inotify_event *e = (const void *)p;

                        if (e->wd == wd && all)
                                hand_over(parent, fd, e->name);
                        else if (e->wd == wd)
                                close_cgroup(parent, e->name, nodes);
                        p += sizeof(*e) + e->len;
                }
        }
}

static pid_t watch_start(const char *directory, const char *nodes, bool all)
{
        int ready[2];
        char byte;

        if (pipe2(ready, O_CLOEXEC) < 0)
                die("pipe");
        pid_t pid = fork();
        if (pid < 0)
                die("fork");
        if (pid == 0)
                watch(directory, nodes, all, ready[1]);
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
        size_t n = argc == 6 ? strtoul(argv[5], NULL, 10) : 0;

        if (n == 0) {
                fprintf(stderr, "usage: vm-foreign PARENT OTHER THIRD NODES COUNT\n");
                return 2;
        }
        Pair *pairs = calloc(n, sizeof(*pairs)), *least = calloc(n, sizeof(*least));
        if (!pairs || !least)
                die("calloc");
        pid_t children[] = { watch_start(argv[2], argv[4], false), watch_start(argv[3], argv[4], true) };
        for (size_t i = 0; i < n; i++) {
                pairs[i].reference = open_ms(argv[2], argv[4]);
                least[i].ours = pairs[i].ours = open_ms(argv[1], argv[4]);
                least[i].reference = open_ms(argv[3], argv[4]);
        }
        for (size_t i = 0; i < sizeof(children) / sizeof(*children); i++)
                kill(children[i], SIGKILL);
        pairs_print(
                "a new cgroup that systemd does not know, from mkdir until it is closed|a bare program: inotify and one write of "
                "`cpuset.mems`|<=1.5|ms",
                pairs, n);
        pairs_print(
                "a new cgroup, as above|a program of two threads that watches the cgroup, reads what it may use and uses, and stores "
                "that||ms",
                least, n);
        return 0;
}
