/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmd-generator: writes the fence before systemd starts the first unit, so that every unit is fenced from
 * its start.
 *
 * systemd runs the generator at boot and at every daemon-reload, and passes the directories that it may
 * write to. At that time there is no bus, no journal, no network and possibly no writable /etc. So the
 * generator reads plain files, uses no name service, and writes messages for the operator to /dev/kmsg. On
 * any error it exits immediately with success: a machine that boots is more important than a fence.
 *
 * At boot the configuration decides, if cdmd.service will be started and Mode=enforce is set. A refused file
 * opens nothing: a refused rule denies what it matches, in place of a refused pool the nodes that Nodes=auto
 * finds are fenced, and Mode=enforce applies in place of a refused cdmd.conf or drop-in. The only exception
 * are pools that would take all memory.
 *
 * After cdmd has run, its last decision applies until the next boot: cdmd leaves its drop-ins in
 * /run/cdmd/fence (none, if it has lifted the fence), and the generator copies them unchanged. So a
 * daemon-reload does not apply half-edited files that `cdmctl reload` would refuse. Disabling or masking
 * cdmd.service, which triggers a daemon-reload, does not open anything either. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "daemon/machine/topology-read.h"
#include "daemon/pid1/fence-files.h"
#include "policy/cdm-names.h"
#include "policy/conf-read.h"

/* The directories of unit files, highest priority first. */
static const char *const unit_dirs[] = {
        "etc/systemd/system",
        "run/systemd/system",
        "usr/local/lib/systemd/system",
        "usr/lib/systemd/system",
};

static const char *root_dir = "";

static void generator_close_p(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

/* With --root, which examines another system, messages go to stderr. */
static void generator_say(int priority, const char *format, ...) _printf_(2, 3);
static void generator_say(int priority, const char *format, ...)
{
        _cleanup_(generator_close_p) int fd = -EBADF;
        char text[768], line[800];
        va_list ap;
        int n;

        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        if (!root_dir[0])
                fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        n = snprintf(line, sizeof(line), "<%d>cdmd-generator: %s\n", priority, text);
        if (fd < 0 || write(fd, line, (size_t)n) < 0)
                fprintf(stderr, "cdmd-generator: %s\n", text);
}

typedef enum Link { LINK_NONE, LINK_THERE, LINK_MASKED } Link;

/* Reads a path like systemd does: a link to /dev/null and an empty file both mask a unit. */
static Link generator_link_read(int root_fd, const char *path)
{
        char target[16];
        struct stat st;
        ssize_t n;

        if (fstatat(root_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return LINK_NONE;
        if (S_ISREG(st.st_mode))
                return st.st_size == 0 ? LINK_MASKED : LINK_THERE;
        n = readlinkat(root_fd, path, target, sizeof(target));
        if (n == (ssize_t)strlen("/dev/null") && memcmp(target, "/dev/null", (size_t)n) == 0)
                return LINK_MASKED;
        return LINK_THERE;
}

static bool generator_is_masked(int root_fd)
{
        for (size_t i = 0; i < ARRAY_SIZE(unit_dirs); i++) {
                char path[256];
                Link l;

                snprintf(path, sizeof(path), "%s/" CDM_UNIT, unit_dirs[i]);
                l = generator_link_read(root_fd, path);
                if (l != LINK_NONE)
                        return l == LINK_MASKED;
        }
        return false;
}

/* The emergency exit at the boot loader: with systemd.mask=cdmd.service on the kernel command line cdmd is
 * not started, and the fence is not closed. */
static bool generator_is_masked_by_kernel(int root_fd)
{
        _cleanup_(generator_close_p) int fd =
                openat(root_fd, "proc/cmdline", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        char text[4096], *state = NULL;
        ssize_t n;

        n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        if (n < 0)
                return false;
        text[n] = '\0';
        for (char *word = strtok_r(text, " \t\n", &state); word; word = strtok_r(NULL, " \t\n", &state))
                if (strcmp(word, "systemd.mask=" CDM_UNIT) == 0 || strcmp(word, "systemd.mask=cdmd") == 0)
                        return true;
        return false;
}

static bool generator_has_suffix(const char *s, const char *suffix)
{
        size_t n = strlen(s), m = strlen(suffix);

        return n > m && strcmp(s + n - m, suffix) == 0;
}

/* True if `folder` (such as multi-user.target.wants), seen in unit_dirs[dir], has a link that enables cdmd.
 * The link of the directory with the highest priority decides. */
static bool generator_is_wanted_by(int root_fd, size_t dir, const char *folder)
{
        if (!generator_has_suffix(folder, ".wants") && !generator_has_suffix(folder, ".requires") &&
            !generator_has_suffix(folder, ".upholds"))
                return false;
        for (size_t i = 0; i <= dir; i++) {
                char path[512];
                Link l;

                snprintf(path, sizeof(path), "%s/%s/" CDM_UNIT, unit_dirs[i], folder);
                l = generator_link_read(root_fd, path);
                if (l != LINK_NONE)
                        return l == LINK_THERE;
        }
        return false;
}

static bool generator_is_enabled(int root_fd)
{
        for (size_t i = 0; i < ARRAY_SIZE(unit_dirs); i++) {
                int fd = openat(root_fd, unit_dirs[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                DIR *dir = fd < 0 ? NULL : fdopendir(fd);
                bool found = false;
                struct dirent *e;

                if (!dir) {
                        if (fd >= 0)
                                close(fd);
                        continue;
                }
                while (!found && (e = readdir(dir)))
                        found = generator_is_wanted_by(root_fd, i, e->d_name);
                closedir(dir);
                if (found)
                        return true;
        }
        return false;
}

/* False in a container, which shows the nodes of its host, and in an initrd, which lacks the configuration:
 * the fence must not be written there. */
static bool generator_is_on_machine(void)
{
        const char *virtualization = getenv("SYSTEMD_VIRTUALIZATION"), *initrd = getenv("SYSTEMD_IN_INITRD");

        return !(virtualization && strncmp(virtualization, "container:", strlen("container:")) == 0) &&
               !(initrd && strcmp(initrd, "1") == 0);
}

static bool generator_will_start(void)
{
        _cleanup_(generator_close_p) int root_fd =
                open(root_dir[0] ? root_dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return root_fd >= 0 && !generator_is_masked(root_fd) && !generator_is_masked_by_kernel(root_fd) &&
               generator_is_enabled(root_fd);
}

/* The kernel accepts at most ten lines in five seconds. */
#define ERRORS_SAID_MAX 4

static void generator_say_errors(const ConfMessages *messages)
{
        size_t n = 0;

        for (size_t i = 0; i < messages->n_messages; i++) {
                _cleanup_free_ char *text = conf_message_format(&messages->messages[i]);

                if (messages->messages[i].severity == CONF_ERROR && n++ < ERRORS_SAID_MAX && text)
                        generator_say(LOG_ERR, "%s", text);
        }
        if (n > 0)
                generator_say(
                        LOG_ERR,
                        "%zu mistakes in the configuration; refused files are not used: a refused rule "
                        "denies what it matches; in place of pools the nodes of Nodes=auto are fenced; in "
                        "place of cdmd.conf or a drop-in Mode=enforce applies; `cdmctl check` shows all; "
                        "correct them and run `cdmctl reload`",
                        n);
}

/* Resolves the configured pools. If they contradict each other, the fence covers all nodes that they list or
 * that Nodes=auto finds. */
static int generator_resolve(const Topology *t, const Config *config, PoolSet **ret)
{
        _cleanup_free_ char *error = NULL;

        int r = pool_set_resolve_at_start(t, (const PoolConfig *const *)config->pools, config->n_pools,
                                          &NODESET_EMPTY, ret, &error);
        if (error)
                generator_say(LOG_ERR, "%s", error);
        if (r == 0 && error)
                generator_say(LOG_ERR, "also fencing the nodes that Nodes=auto finds");
        return r;
}

static int generator_generate_configured(const char *dir)
{
        _cleanup_(config_free_p) Config *config = NULL;
        _cleanup_(topology_free_p) Topology *topology = NULL;
        _cleanup_(pool_set_free_p) PoolSet *pools = NULL;
        _cleanup_free_ char *unreadable = NULL;
        ConfMessages messages = { 0 };
        bool changed;

        int r = config_load_at_start(root_dir, &config, &messages);
        generator_say_errors(&messages);
        conf_messages_clear(&messages);
        if (r < 0)
                return r;
        if (config->mode != FENCE_MODE_ENFORCE)
                return 0;
        r = topology_read_explained(root_dir, &topology, &unreadable);
        if (unreadable)
                generator_say(LOG_ERR, "%s", unreadable);
        if (r < 0)
                return r;
        if (topology->unread)
                generator_say(LOG_WARNING, "%s", topology->unread);
        r = generator_resolve(topology, config, &pools);
        if (r < 0)
                return r;
        if (!pool_set_needs_fence(pools))
                return 0;
        r = fence_files_write(dir, config, pools, &changed);
        if (r >= 0)
                fence_files_note_cpuset(root_dir);
        return r;
}

static int generator_write_fence(const char *dir)
{
        if (!generator_is_on_machine())
                return 0;
        int r = fence_files_copy_decided(root_dir, dir);
        if (r != -ENOENT)
                return r;
        return generator_will_start() ? generator_generate_configured(dir) : 0;
}

int main(int argc, char *argv[])
{
        if (argc > 1 && strncmp(argv[1], "--root=", strlen("--root=")) == 0) {
                root_dir = argv[1] + strlen("--root=");
                argc--;
                argv++;
        }
        if (argc < 2 || argv[1][0] == '-') {
                fprintf(stderr, "usage: cdmd-generator [--root=DIR] NORMAL-DIR [EARLY-DIR LATE-DIR]\n"
                                "systemd runs this at boot, see systemd.generator(7) and cdmd(8)\n");
                return EXIT_FAILURE;
        }
        umask(0022);
        int r = generator_write_fence(argv[1]);
        if (r == -ENOSPC)
                generator_say(LOG_CRIT,
                              "nothing is fenced: no ordinary memory would be left, or %s is full; "
                              "every process may use every node",
                              argv[1]);
        else if (r < 0)
                generator_say(LOG_CRIT, "nothing is fenced: %s; every process may use every node",
                              strerror(-r));
        return EXIT_SUCCESS;
}
