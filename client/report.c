/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmctl report: makes a tarball for a bug report. cdmctl --offline --root reads the unpacked tarball. */

#include "client/report.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "build-config.h"
#include "client/cdmctl.h"
#include "daemon/machine/attribute.h"
#include "daemon/machine/name-lookup.h"
#include "policy/cdm-names.h"
#include "policy/conf-read.h"

/* The folder in the tarball. */
#define REPORT_NAME "cdm-report"

static void report_close(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

/* --- commands ------------------------------------------------------------------------------------------- */

/* Sends stdout to fd, and also stderr if `errors`. Returns the status as from wait(), or a negative
 * errno. */
static int report_spawn(const char *const *argv, int fd, bool errors)
{
        posix_spawn_file_actions_t actions;
        int status;
        pid_t pid;

        if (posix_spawn_file_actions_init(&actions) != 0)
                return -ENOMEM;
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, fd, STDOUT_FILENO);
        if (errors)
                posix_spawn_file_actions_adddup2(&actions, fd, STDERR_FILENO);
        int r = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
        posix_spawn_file_actions_destroy(&actions);
        if (r != 0)
                return -r;
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return status;
}

/* Writes the output of the command, including errors, to a file of the report. */
static void report_run(Report *r, const char *path, const char *const *argv)
{
        _cleanup_(report_close) int fd = memfd_create("output", MFD_CLOEXEC);
        _cleanup_free_ char *text = NULL;
        size_t n;

        int status = fd < 0 ? -errno : report_spawn(argv, fd, true);
        if (status >= 0 && (lseek(fd, 0, SEEK_SET) < 0 || report_read(fd, &text, &n) < 0))
                status = -EIO;
        if (status < 0)
                fprintf(r->missing, "%s: %s: %s\n", path, argv[0], strerror(-status));
        else
                report_write(r, path, text, n);
}

static void report_run_all(Report *r)
{
        static const char self[] = "/proc/self/exe";
        static const struct {
                const char *path;
                const char *argv[8];
        } commands[] = {
                { "report/systemd-version", { "systemctl", "--version" } },
                { "report/kernel-version", { "uname", "-srvm" } },
                { "report/kernel-command-line", { "cat", "/proc/cmdline" } },
                { "report/service", { "systemctl", "show", "--no-pager", CDM_UNIT } },
                { "report/journal",
                  { "journalctl", "-u", CDM_UNIT, "-b", "--no-pager", "-o", "short-iso" } },
                { "report/status", { self, "status", "--full" } },
                { "report/status.json", { self, "status", "--json" } },
                { "report/nodes.json", { self, "nodes", "--json" } },
                { "report/pools.json", { self, "pools", "--json" } },
                { "report/list.json", { self, "list", "--json" } },
                { "report/who.json", { self, "who", "--json" } },
        };

        for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
                report_run(r, commands[i].path, commands[i].argv);
}

/* --- users of the rules --------------------------------------------------------------------------------- */

/* Writes the accounts that rules name, because the reader's machine has other users. */
static void report_print_accounts(FILE *f, const char *root, char *const *names, bool group)
{
        for (size_t i = 0; names && names[i]; i++) {
                uint32_t id;

                if (isdigit((unsigned char)names[i][0]) || name_find(group, names[i], &id, (void *)root) < 0)
                        continue;
                if (group)
                        fprintf(f, "%s:x:%u:\n", names[i], id);
                else
                        fprintf(f, "%s:x:%u:%u::/:/bin/sh\n", names[i], id, id);
        }
}

static int report_write_accounts(Report *r, const char *root, const Config *config, bool group)
{
        _cleanup_free_ char *text = NULL;
        size_t n;
        FILE *f = open_memstream(&text, &n);

        if (!f)
                return -ENOMEM;
        fputs(group ? "root:x:0:\n" : "root:x:0:0::/root:/bin/sh\n", f);
        for (size_t i = 0; i < config->n_rules; i++)
                report_print_accounts(f, root, group ? config->rules[i]->groups : config->rules[i]->users,
                                      group);
        if (fclose(f) != 0)
                return -ENOMEM;
        report_write(r, group ? "etc/group" : "etc/passwd", text, n);
        return 0;
}

/* Users of a name service can be found in the rules only. */
static int report_hide_users_of_rules(ReportWords *words, const char *root, const Config *config)
{
        int r = 0;

        for (size_t i = 0; i < config->n_rules; i++)
                for (char **user = config->rules[i]->users; r >= 0 && user && *user; user++) {
                        bool is_number = isdigit((unsigned char)**user);
                        uint32_t id;

                        /* System accounts keep their names. */
                        if (!is_number && (name_find(false, *user, &id, (void *)root) < 0 || id >= 1000))
                                r = report_words_add_user(words, *user, "");
                }
        return r;
}

/* --- the whole ------------------------------------------------------------------------------------------ */

static int report_collect(Report *r, const Args *args, ReportWords *words)
{
        static const char version[] = "cdmctl " PACKAGE_VERSION "\n";
        _cleanup_(config_free_p) Config *config = NULL;
        ConfMessages messages = { 0 };

        /* The reader of the report will see the errors of the configuration. */
        int status = config_load(args->root, &config, &messages);
        conf_messages_clear(&messages);
        if (status >= 0 && words)
                status = report_hide_users_of_rules(words, args->root, config);
        if (status == -ENOMEM)
                return status;
        r->words = words;

        report_copy_machine(r);
        report_copy_configuration(r);
        if (config)
                status = report_write_accounts(r, args->root, config, false);
        if (config && status >= 0)
                status = report_write_accounts(r, args->root, config, true);
        if (config && status < 0)
                return status;
        report_write(r, "report/version", version, strlen(version));
        if (!args->offline)
                report_run_all(r);
        return r->error;
}

/* Collects the files below the folder `stage`. */
static int report_fill(const char *stage, const Args *args)
{
        _cleanup_(report_words_free_p) ReportWords *words = NULL;
        _cleanup_(report_close) int root_fd = attribute_root_open(args->root), stage_fd = -EBADF;
        _cleanup_free_ char *missing = NULL;
        size_t n;

        if (root_fd < 0)
                return root_fd;
        if (mkdir(stage, 0755) < 0)
                return -errno;
        stage_fd = open(stage, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (stage_fd < 0)
                return -errno;
        int r = args_given(args, OPTION_ANONYMOUS) ? report_words_new(args->root, &words) : 0;
        if (r < 0)
                return r;
        Report report = { .root_fd = root_fd,
                          .stage_fd = stage_fd,
                          .missing = open_memstream(&missing, &n) };
        if (!report.missing)
                return -ENOMEM;
        r = report_collect(&report, args, words);
        if (fclose(report.missing) != 0)
                return -ENOMEM;
        if (r >= 0)
                report_write(&report, "report/missing", missing, n);
        return r < 0 ? r : report.error;
}

static int report_remove_one(const char *path, const struct stat *st _unused_, int type _unused_,
                             struct FTW *ftw _unused_)
{
        return remove(path);
}

/* The file must not exist: in a folder such as /tmp another user could have placed a link. */
static int report_pack(const char *folder, const char *file)
{
        const char *const tar[] = { "tar",       "--create",    "--gzip", "--file=-",  "--owner=0",
                                    "--group=0", "--directory", folder,   REPORT_NAME, NULL };
        _cleanup_(report_close) int fd =
                open(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

        if (fd < 0)
                return fail(CDM_EXIT_FAILED, "cannot create %s: %s", file, strerror(errno));
        int status = report_spawn(tar, fd, false);
        if (status == 0)
                return CDM_EXIT_DONE;
        (void)unlink(file);
        return status < 0 ? fail(CDM_EXIT_FAILED, "cannot run tar: %s", strerror(-status))
                          : fail(CDM_EXIT_FAILED, "tar failed; %s is removed", file);
}

static void report_default_name(char *name, size_t n)
{
        time_t now = time(NULL);
        struct tm tm = { 0 };

        (void)localtime_r(&now, &tm);
        (void)strftime(name, n, REPORT_NAME "-%Y%m%d-%H%M%S.tar.gz", &tm);
}

int verb_report(const Args *args)
{
        const char *temporary = getenv("TMPDIR");
        char name[64], folder[PATH_MAX], stage[PATH_MAX + sizeof(REPORT_NAME) + 1];

        report_default_name(name, sizeof(name));
        const char *file = args->n_positional > 0 ? args->positional[0] : name;
        int k = snprintf(folder, sizeof(folder), "%s/" REPORT_NAME "-XXXXXX",
                         temporary && *temporary ? temporary : "/tmp");
        if (k < 0 || (size_t)k >= sizeof(folder) || !mkdtemp(folder))
                return fail(CDM_EXIT_FAILED, "cannot create a folder in %s: %s",
                            temporary && *temporary ? temporary : "/tmp", strerror(errno));
        snprintf(stage, sizeof(stage), "%s/" REPORT_NAME, folder);

        int r = report_fill(stage, args);
        int status = r < 0 ? fail(CDM_EXIT_FAILED, "cannot collect the report: %s", strerror(-r))
                           : report_pack(folder, file);
        (void)nftw(folder, report_remove_one, 16, FTW_DEPTH | FTW_PHYS);
        if (status == CDM_EXIT_DONE)
                puts(file);
        return status;
}
