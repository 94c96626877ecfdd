/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/cdm-names.h"
#include "policy/macro.h"
#include "tests/bus/world.h"
#include "tests/unit/temp-dir.h"

char world_error[128], world_message[1024], world_reason[512], world_event_error[128];

static const char bus_config[] =
        "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\""
        " \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
        "<busconfig><type>system</type><auth>EXTERNAL</auth><listen>unix:path=%s/bus</listen>\n"
        "<policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/><allow send_destination=\"*\" "
        "eavesdrop=\"false\"/><allow receive_sender=\"*\"/></policy></busconfig>\n";

static const char policy_all[] = "[Match]\nPool=*\n[Grant]\nLimit=1G\nLease=1h\n";

void world_put(World *w, const char *path, const char *text)
{
        char full[1024];

        snprintf(full, sizeof(full), "%s%s", w->root, path);
        for (char *p = full + strlen(w->root) + 1; (p = strchr(p, '/')); p++) {
                *p = '\0';
                mkdir(full, 0755);
                *p = '/';
        }
        /* Never empty in between: cdmd may be reading it, and a file of the kernel never is. */
        int fd = open(full, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        size_t n = strlen(text);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(write(fd, text, n), (ssize_t)n);
        ck_assert_int_eq(ftruncate(fd, (off_t)n), 0);
        ck_assert_int_eq(close(fd), 0);
}

const char *world_get(World *w, const char *path)
{
        static char text[65536];
        char full[1024];

        snprintf(full, sizeof(full), "%s%s", w->root, path);
        FILE *f = fopen(full, "r");
        size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
        if (f)
                fclose(f);
        text[n] = '\0';
        text[strcspn(text, "\n")] = '\0';
        return text;
}

void world_wait_file(World *w, const char *path, const char *text)
{
        for (int i = 0; i < 15000 && strcmp(world_get(w, path), text) != 0; i++)
                usleep(20000);
        ck_assert_str_eq(world_get(w, path), text);
}

/* Starts a program; *ret_out gets its stdout when it is not NULL. */
static pid_t spawn(World *w, int *ret_out, const char *const *argv)
{
        int fds[2];
        pid_t pid;

        ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
        pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                dup2(fds[1], STDOUT_FILENO);
                execvp(argv[0], (char *const *)argv);
                _exit(127);
        }
        close(fds[1]);
        if (ret_out)
                *ret_out = fds[0];
        else
                close(fds[0]);
        return pid;
}

/* What a program prints. One that is silent for so long is not slow: it was never asked, and the test is to
 * fail, not to hang. */
#define SILENT_MS (120 * 1000)

static void read_line(int fd, char *buf, size_t size)
{
        struct pollfd p = { .fd = fd, .events = POLLIN };
        size_t n = 0;

        while (n < size - 1 && poll(&p, 1, SILENT_MS) == 1 && read(fd, buf + n, 1) == 1 && buf[n] != '\n')
                n++;
        buf[n] = '\0';
}

static void end(pid_t *pid, int signal_number)
{
        if (*pid <= 0)
                return;
        kill(*pid, signal_number);
        waitpid(*pid, NULL, 0);
        *pid = 0;
}

static void start_bus(World *w)
{
        char config[1024], path[128], option[160], line[256];
        int out;

        snprintf(config, sizeof(config), bus_config, w->root);
        world_put(w, "/bus.conf", config);
        snprintf(path, sizeof(path), "%s/bus.conf", w->root);
        snprintf(option, sizeof(option), "--config-file=%s", path);
        w->bus = spawn(w, &out,
                       (const char *[]){ "dbus-daemon", option, "--nofork", "--nopidfile",
                                         "--print-address=1", NULL });
        read_line(out, line, sizeof(line));
        ck_assert_msg(strncmp(line, "unix:", 5) == 0, "dbus-daemon did not start: %s", line);
        snprintf(w->address, sizeof(w->address), "unix:path=%s/bus", w->root);
        setenv("DBUS_SYSTEM_BUS_ADDRESS", w->address, 1);
}

static void start_systemd(World *w)
{
        char line[64];
        int out;

        w->systemd = spawn(w, &out, (const char *[]){ BUILD_DIR "/tests/bus/fake-systemd", w->root, NULL });
        read_line(out, line, sizeof(line));
        ck_assert_str_eq(line, "ready");
}

void world_start_polkit(World *w, const char *mode)
{
        char line[64];

        end(&w->polkit, SIGKILL);
        if (!mode)
                return;
        w->polkit =
                spawn(w, &w->polkit_out, (const char *[]){ BUILD_DIR "/tests/bus/fake-polkit", mode, NULL });
        read_line(w->polkit_out, line, sizeof(line));
        ck_assert_str_eq(line, "ready");
}

const char *world_polkit_asked(World *w)
{
        static char line[128];

        read_line(w->polkit_out, line, sizeof(line));
        ck_assert(strncmp(line, "asked ", 6) == 0);
        return line + 6;
}

static void make_notify(World *w)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };

        w->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        snprintf(a.sun_path, sizeof(a.sun_path), "%s/notify", w->root);
        ck_assert_int_eq(bind(w->notify, (struct sockaddr *)&a, sizeof(a)), 0);
        setenv("NOTIFY_SOCKET", a.sun_path, 1);
}

void world_spawn_cdmd(World *w)
{
        char option[80];

        snprintf(option, sizeof(option), "--root=%s", w->root);
        w->cdmd = spawn(w, NULL, (const char *[]){ BUILD_DIR "/cdmd", option, NULL });
}

void world_start_cdmd(World *w)
{
        char message[4096];
        ssize_t n;

        world_spawn_cdmd(w);
        do {
                n = recv(w->notify, message, sizeof(message) - 1, 0);
                ck_assert_int_gt(n, 0);
                message[n] = '\0';
        } while (!strstr(message, "READY=1"));
}

void world_kill_cdmd(World *w, int signal_number)
{
        end(&w->cdmd, signal_number);
}

static void put_reservation(World *w, uint32_t id, unsigned unit)
{
        char path[64], cgroup[256], text[1024];
        struct stat st;

        snprintf(cgroup, sizeof(cgroup), "%s/sys/fs/cgroup/system.slice/bulk-%u.service", w->root, unit);
        ck_assert_int_eq(stat(cgroup, &st), 0);
        snprintf(path, sizeof(path), "/run/cdmd/reservation-%" PRIu32, id);
        snprintf(text, sizeof(text),
                 "cdmd-reservation 1\nId=%" PRIu32 "\nPhase=granted\nPool=cdm\nSize=%" PRIu64
                 "\nState=active\n"
                 "Unit=bulk-%u.service\nSlice=system.slice\nControlGroup=/system.slice/bulk-%u.service\n"
                 "ControlGroupId=%" PRIu64 "\nUid=0\nUnitUid=0\nPriority=0\nFlags=\nRule=10-all.conf:4\n"
                 "Lease=%" PRIu64 "\nTerm=%" PRIu64 "\nExpires=%" PRIu64 "\nBase=0-1\nShares=2:%" PRIu64
                 "\nend\n",
                 id, BULK_BYTES, unit, unit, (uint64_t)st.st_ino, UINT64_MAX, UINT64_MAX, UINT64_MAX,
                 BULK_BYTES);
        world_put(w, path, text);
}

void world_put_reservations(World *w, uint32_t first, uint32_t last, unsigned n_units)
{
        char name[64], cgroup[128];

        for (unsigned i = 0; i < n_units; i++) {
                snprintf(name, sizeof(name), "bulk-%u.service", i);
                snprintf(cgroup, sizeof(cgroup), "/system.slice/%s", name);
                world_add_unit(w, name, "system.slice", cgroup, "");
        }
        for (uint32_t id = first; id <= last; id++)
                put_reservation(w, id, id % n_units);
        snprintf(name, sizeof(name), "%" PRIu32 "\n", last + 1);
        world_put(w, "/run/cdmd/next-id", name);
}

/* A copy of that descriptor of cdmd, if it is the connection to the bus; else -1. */
static int bus_socket(World *w, int pidfd, int number)
{
        struct sockaddr_un a = { 0 };
        socklen_t size = sizeof(a);
        int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);

        if (fd < 0)
                return -1;
        if (getpeername(fd, (struct sockaddr *)&a, &size) == 0 && strstr(w->address, a.sun_path) &&
            a.sun_path[0])
                return fd;
        close(fd);
        return -1;
}

void world_cut_cdmd(World *w)
{
        int pidfd = (int)syscall(SYS_pidfd_open, w->cdmd, 0);
        struct dirent *entry;
        unsigned n = 0;
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/fd", w->cdmd);
        DIR *d = opendir(path);
        ck_assert_ptr_nonnull(d);
        while ((entry = readdir(d))) {
                int fd = bus_socket(w, pidfd, atoi(entry->d_name));
                if (fd < 0)
                        continue;
                ck_assert_int_eq(shutdown(fd, SHUT_RDWR), 0);
                close(fd);
                n++;
        }
        closedir(d);
        close(pidfd);
        ck_assert_uint_eq(n, 1);
}

sd_bus *world_connect(World *w, uid_t uid)
{
        sd_bus *bus;

        ck_assert_int_ge(sd_bus_new(&bus), 0);
        ck_assert_int_ge(sd_bus_set_address(bus, w->address), 0);
        ck_assert_int_ge(sd_bus_set_bus_client(bus, 1), 0);
        ck_assert_int_ge(sd_bus_negotiate_fds(bus, 1), 0);
        /* The bus takes the credentials that the socket has when it is connected. */
        if (uid != geteuid())
                ck_assert_int_eq(seteuid(uid), 0);
        /* A busy machine takes longer than the 25 s of libsystemd for hundreds of calls. */
        ck_assert_int_ge(sd_bus_set_method_call_timeout(bus, UINT64_C(600) * 1000 * 1000), 0);
        int r = sd_bus_start(bus);
        if (geteuid() != getuid())
                ck_assert_int_eq(seteuid(getuid()), 0);
        ck_assert_int_ge(r, 0);
        return bus;
}

void world_be(World *w, uid_t uid, const char *cgroup)
{
        char path[64], text[512];

        snprintf(path, sizeof(path), "/proc/%d/status", getpid());
        snprintf(text, sizeof(text), "Name:\ttest\nUid:\t%u\t%u\t%u\t%u\n", uid, uid, uid, uid);
        world_put(w, path, text);
        snprintf(path, sizeof(path), "/proc/%d/cgroup", getpid());
        snprintf(text, sizeof(text), "0::%s\n", cgroup);
        world_put(w, path, text);
}

static void test_call(World *w, const char *member, const char *types, ...)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        va_list ap;

        ck_assert_int_ge(sd_bus_message_new_method_call(w->client, &m, "org.freedesktop.systemd1", "/test",
                                                        "org.cdmd1.Test", member),
                         0);
        va_start(ap, types);
        ck_assert_int_ge(sd_bus_message_appendv(m, types, ap), 0);
        va_end(ap);
        ck_assert_int_ge(sd_bus_call(w->client, m, 0, NULL, NULL), 0);
}

void world_add_unit_delegate(World *w, const char *name, const char *slice, const char *cgroup,
                             const char *user, bool delegate)
{
        test_call(w, "Add", "ssssb", name, slice, cgroup, user, (int)delegate);
}

void world_add_unit(World *w, const char *name, const char *slice, const char *cgroup, const char *user)
{
        world_add_unit_delegate(w, name, slice, cgroup, user, false);
}

void world_unit_state(World *w, const char *name, const char *state, bool job)
{
        test_call(w, "State", "ssb", name, state, (int)job);
}

void world_remove_unit(World *w, const char *name)
{
        test_call(w, "Remove", "s", name);
}

uint32_t world_steer(World *w, const char *what, uint32_t value)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        uint32_t answer;

        ck_assert_int_ge(sd_bus_call_method(w->client, "org.freedesktop.systemd1",
                                            "/org/freedesktop/systemd1", "org.cdmd1.Test", what, NULL, &m,
                                            "u", value),
                         0);
        ck_assert_int_ge(sd_bus_message_read(m, "u", &answer), 0);
        return answer;
}

void world_start(World *w)
{
        char command[512];

        *w = (World){ 0 };
        snprintf(w->root, sizeof(w->root), "%s/cdmd-bus.XXXXXX", temp_dir());
        umask(022);
        ck_assert_ptr_nonnull(mkdtemp(w->root));
        ck_assert_int_eq(chmod(w->root, 0755), 0);
        snprintf(command, sizeof(command), "cp -r '%s/machine/hbm4/.' '%s' && chmod -R u+w '%s'",
                 TEST_DATA_DIR, w->root, w->root);
        ck_assert_int_eq(system(command), 0);
        world_put(w, "/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n");
        world_put(w, "/sys/fs/cgroup/cgroup.subtree_control", "cpuset cpu io memory pids\n");
        world_put(w, "/etc/cdm/policy.d/10-all.conf", policy_all);
        world_put(w, "/etc/passwd", "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n");
        world_put(w, "/run/systemd/system/.keep", "");
        start_bus(w);
        start_systemd(w);
        make_notify(w);
        w->client = world_connect(w, geteuid());
        world_add_unit(w, "db.service", "system.slice", "/system.slice/db.service", "");
        world_add_unit(w, "train.service", "system.slice", "/system.slice/train.service", "");
        world_start_cdmd(w);
        ck_assert_int_ge(sd_bus_match_signal(w->client, NULL, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                             "Event", NULL, NULL),
                         0);
}

void world_stop(World *w)
{
        char command[128];

        sd_bus_flush_close_unref(w->client);
        end(&w->cdmd, SIGTERM);
        end(&w->polkit, SIGKILL);
        end(&w->systemd, SIGKILL);
        end(&w->bus, SIGKILL);
        snprintf(command, sizeof(command), "rm -rf '%s'", w->root);
        ck_assert_int_eq(system(command), 0);
}

static int keep_error(int r, const sd_bus_error *e)
{
        snprintf(world_error, sizeof(world_error), "%s", e->name ? e->name : "");
        snprintf(world_message, sizeof(world_message), "%s", e->message ? e->message : "");
        return r;
}

static int append_labels(sd_bus_message *m, const char *option, const char *labels)
{
        _cleanup_free_ char *copy = strdup(labels);
        char *rest = copy, *word;

        int r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", option);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "a{ss}");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{ss}");
        while (r >= 0 && (word = strsep(&rest, ",")) && *word) {
                char *equals = strchr(word, '=');

                *equals = '\0';
                r = sd_bus_message_append(m, "{ss}", word, equals + 1);
        }
        for (int i = 0; r >= 0 && i < 3; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

int world_request(sd_bus *bus, const char *pool, uint64_t size, uint32_t *ret_id, unsigned n, ...)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        const char *path;
        va_list ap;

        ck_assert_int_ge(sd_bus_message_new_method_call(bus, &m, CDM_BUS_NAME, CDM_PATH,
                                                        CDM_INTERFACE_MANAGER, "Request"),
                         0);
        ck_assert_int_ge(sd_bus_message_append(m, "st", pool, size), 0);
        ck_assert_int_ge(sd_bus_message_open_container(m, 'a', "{sv}"), 0);
        va_start(ap, n);
        for (unsigned i = 0; i < n; i++) {
                const char *key = va_arg(ap, const char *), *type = va_arg(ap, const char *);
                int r;
                if (*type == 's')
                        r = sd_bus_message_append(m, "{sv}", key, type, va_arg(ap, const char *));
                else if (*type == 't')
                        r = sd_bus_message_append(m, "{sv}", key, type, va_arg(ap, uint64_t));
                else if (*type == 'a')
                        r = append_labels(m, key, va_arg(ap, const char *));
                else
                        r = sd_bus_message_append(m, "{sv}", key, type, va_arg(ap, int));
                ck_assert_int_ge(r, 0);
        }
        va_end(ap);
        ck_assert_int_ge(sd_bus_message_close_container(m), 0);
        int r = sd_bus_call(bus, m, 0, &error, &reply);
        if (r < 0)
                return keep_error(r, &error);
        ck_assert_int_ge(sd_bus_message_read(reply, "o", &path), 0);
        ck_assert_int_eq(sscanf(path, CDM_PATH_RESERVATION "/%" SCNu32, ret_id), 1);
        return 0;
}

int world_release(sd_bus *bus, uint32_t id)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        char path[64];

        snprintf(path, sizeof(path), CDM_PATH_RESERVATION "/%" PRIu32, id);
        int r = sd_bus_call_method(bus, CDM_BUS_NAME, path, CDM_INTERFACE_RESERVATION, "Release", &error,
                                   NULL, NULL);
        return r < 0 ? keep_error(r, &error) : 0;
}

const char *world_reservation(World *w, uint32_t id, const char *property)
{
        static char value[256];
        _cleanup_free_ char *s = NULL;
        char path[64];

        snprintf(path, sizeof(path), CDM_PATH_RESERVATION "/%" PRIu32, id);
        int r = sd_bus_get_property_string(w->client, CDM_BUS_NAME, path, CDM_INTERFACE_RESERVATION,
                                           property, NULL, &s);
        snprintf(value, sizeof(value), "%s", r < 0 ? "" : s);
        return value;
}

void world_reservation_get(World *w, uint32_t id, const char *property, char type, void *ret)
{
        char path[64];

        snprintf(path, sizeof(path), CDM_PATH_RESERVATION "/%" PRIu32, id);
        ck_assert_int_ge(sd_bus_get_property_trivial(w->client, CDM_BUS_NAME, path,
                                                     CDM_INTERFACE_RESERVATION, property, NULL, type, ret),
                         0);
}

void world_set_policy(World *w, const char *text)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        world_put(w, "/etc/cdm/policy.d/10-all.conf", text);
        int r = sd_bus_call_method(w->client, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER, "Reload",
                                   &error, NULL, "");
        ck_assert_msg(r >= 0, "%s", error.message);
}

void world_granted(int r)
{
        ck_assert_msg(r == 0, "%s: %s", world_error, world_message);
}

void world_refused(int r, const char *error, const char *part)
{
        ck_assert_int_lt(r, 0);
        ck_assert_msg(strcmp(world_error, error) == 0 && strstr(world_message, part), "%s: %s", world_error,
                      world_message);
}

uint64_t world_available(World *w)
{
        uint64_t v;

        ck_assert_int_ge(sd_bus_get_property_trivial(w->client, CDM_BUS_NAME, CDM_PATH_POOL "/cdm",
                                                     CDM_INTERFACE_POOL, "Available", NULL, 't', &v),
                         0);
        return v;
}

static void keep_reason(sd_bus_message *m)
{
        const char *key, *value;

        world_reason[0] = world_event_error[0] = '\0';
        ck_assert_int_ge(sd_bus_message_enter_container(m, 'a', "{sv}"), 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                ck_assert_int_ge(sd_bus_message_read(m, "s", &key), 0);
                if (strcmp(key, "reason") == 0) {
                        ck_assert_int_ge(sd_bus_message_read(m, "v", "s", &value), 0);
                        snprintf(world_reason, sizeof(world_reason), "%s", value);
                } else if (strcmp(key, "error") == 0) {
                        ck_assert_int_ge(sd_bus_message_read(m, "v", "s", &value), 0);
                        snprintf(world_event_error, sizeof(world_event_error), "%s", value);
                } else
                        ck_assert_int_ge(sd_bus_message_skip(m, "v"), 0);
                ck_assert_int_ge(sd_bus_message_exit_container(m), 0);
        }
}

void world_wait_event(World *w, const char *kind, uint32_t id)
{
        for (;;) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
                const char *k;
                uint32_t i;

                int r = sd_bus_process(w->client, &m);
                ck_assert_int_ge(r, 0);
                if (r == 0)
                        ck_assert_int_ge(sd_bus_wait(w->client, UINT64_MAX), 0);
                if (!m || !sd_bus_message_is_signal(m, CDM_INTERFACE_MANAGER, "Event"))
                        continue;
                ck_assert_int_ge(sd_bus_message_read(m, "su", &k, &i), 0);
                if (strcmp(k, kind) != 0 || i != id)
                        continue;
                keep_reason(m);
                return;
        }
}
