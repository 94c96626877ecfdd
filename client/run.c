/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmctl run: reserves, runs a command with that memory, and releases when the command ends.
 *
 * cdmctl stays as the parent of the command, whether or not the daemon put it into a scope. In a scope it
 * could instead exec the command and leave the release to the daemon, which notices the end of the scope.
 * There are three reasons to stay:
 * - The release is done when `cdmctl run` returns. With exec, the next line of a script would race with the
 *   daemon for the same bytes.
 * - A command killed by signal N gives exit status 128+N to every caller, not only to shells.
 * - If cdmctl is not moved into a scope (inside a service, a container), no one else would release.
 * cdmctl must therefore do what exec would provide for free: it forwards signals, and the command is killed
 * when cdmctl dies (PR_SET_PDEATHSIG). So SIGKILL ends both; then the scope ends and the daemon releases.
 *
 * The bus connection is closed while the command runs, because that can take weeks. */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "client/mempolicy.h"
#include "client/objects.h"
#include "client/release.h"
#include "client/reserve.h"
#include "client/wait.h"
#include "policy/cdm-names.h"

/* --- CPU affinity --- */

typedef struct Affinity {
        cpu_set_t *set; /* NULL: unknown */
        size_t size;
} Affinity;

static void affinity_clear(Affinity *a)
{
        if (a->set)
                CPU_FREE(a->set);
}

/* The kernel refuses a mask that is smaller than its own, and does not say how large its own mask is. */
static void affinity_get(Affinity *a)
{
        for (int n = 1024; n <= 1024 * 1024; n *= 2) {
                a->size = CPU_ALLOC_SIZE(n);
                a->set = CPU_ALLOC(n);
                if (!a->set || sched_getaffinity(0, a->size, a->set) == 0)
                        return;
                affinity_clear(a);
                a->set = NULL;
                if (errno != EINVAL)
                        return;
        }
}

/* Linux 6.1 resets the affinity when a process is moved between cgroups. */
static void affinity_restore(const Affinity *a)
{
        if (a->set && sched_setaffinity(0, a->size, a->set) < 0)
                note("the CPU affinity could not be kept: %s", strerror(errno));
}

/* --- signals --- */

static const int forwarded[] = { SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGUSR1,
                                 SIGUSR2, SIGALRM, SIGTSTP, SIGCONT, SIGWINCH };
/* These end cdmctl itself while there is no command. SIGQUIT still does so immediately. */
static const int ending[] = { SIGINT, SIGTERM, SIGHUP };

static void signal_set(sigset_t *set, const int *signals, size_t n)
{
        sigemptyset(set);
        for (size_t i = 0; i < n; i++)
                if (!signal_is_ignored(signals[i]))
                        sigaddset(set, signals[i]);
}

/* Does not forward signals that the command already has: those of the terminal, which go to the whole
 * foreground group, and those that the command sent to its own group. */
static void run_forward(pid_t child, const struct signalfd_siginfo *si)
{
        bool from_terminal = si->ssi_code == SI_KERNEL;

        if (!from_terminal && (pid_t)si->ssi_pid != child)
                (void)kill(child, (int)si->ssi_signo);
        if (si->ssi_signo == SIGTSTP)
                (void)raise(SIGSTOP);
}

static int exit_status_of(int status)
{
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Returns the command's exit status. */
static int run_wait_child(pid_t child, int fd)
{
        struct signalfd_siginfo si;
        int status;

        for (;;) {
                if (waitpid(child, &status, WNOHANG) == child)
                        return exit_status_of(status);
                if (read(fd, &si, sizeof(si)) == sizeof(si) && si.ssi_signo != SIGCHLD)
                        run_forward(child, &si);
        }
}

/* --- the command --- */

static _Noreturn void child_exec(const Args *args, const ReservationInfo *info, const sigset_t *mask,
                                 pid_t parent)
{
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
                _exit(CDM_EXIT_RUN_FAILED);
        (void)sigprocmask(SIG_SETMASK, mask, NULL);

        int r = mem_policy_set(args->mem_policy, info->shares, info->n_shares);
        if (r < 0)
                _exit(fail(CDM_EXIT_RUN_FAILED, "the memory policy %s cannot be set: %s",
                           mem_policy_to_string(args->mem_policy), strerror(-r)));

        execvp(args->command[0], args->command);
        _exit(fail(errno == ENOENT ? CDM_EXIT_RUN_NOT_FOUND : CDM_EXIT_RUN_CANNOT, "cannot run %s: %s",
                   args->command[0], strerror(errno)));
}

/* 128 + N if signal N arrived during the request, so that no command is started; 0: none. */
static int pending_signal(void)
{
        static const struct timespec now = { 0 };
        sigset_t set;

        signal_set(&set, ending, ARRAY_SIZE(ending));
        int n = sigtimedwait(&set, NULL, &now);
        return n > 0 ? 128 + n : 0;
}

static int run_command(const Args *args, const ReservationInfo *info, const sigset_t *original)
{
        sigset_t mask;

        int status = pending_signal();
        if (status != 0)
                return status;

        signal_set(&mask, forwarded, ARRAY_SIZE(forwarded));
        sigaddset(&mask, SIGCHLD);
        (void)sigprocmask(SIG_BLOCK, &mask, NULL);
        /* With an inherited SIG_IGN the kernel would reap the command, and its status would be lost. */
        (void)signal(SIGCHLD, SIG_DFL);
        int fd = signalfd(-1, &mask, SFD_CLOEXEC);
        if (fd < 0)
                return fail(CDM_EXIT_RUN_FAILED, "cannot wait for signals: %s", strerror(errno));

        fflush(NULL);
        pid_t parent = getpid();
        pid_t child = fork();
        if (child == 0)
                child_exec(args, info, original, parent);
        status = child < 0 ? fail(CDM_EXIT_RUN_FAILED, "cannot start a process: %s", strerror(errno))
                           : run_wait_child(child, fd);
        close(fd);
        return status;
}

/* --- the end --- */

static volatile sig_atomic_t status_on_signal;

static void run_leave(int n _unused_)
{
        _exit(status_on_signal);
}

/* The exit status stays that of the command, even if the release fails. A signal ends the wait for the
 * drain; the daemon continues. */
static void run_release(const ReservationInfo *info, const char *path, int status)
{
        _cleanup_(sd_bus_flush_close_unref_p) sd_bus *bus = NULL;
        Release job = { .id = info->id, .path = strdup(path) };
        sigset_t mask;

        status_on_signal = status;
        signal_set(&mask, ending, ARRAY_SIZE(ending));
        for (size_t i = 0; i < ARRAY_SIZE(ending); i++)
                if (!signal_is_ignored(ending[i]))
                        (void)signal(ending[i], run_leave);
        (void)sigprocmask(SIG_UNBLOCK, &mask, NULL);

        if (job.path && client_open(&bus) == 0)
                (void)release_all(bus, &job, 1, RELEASE_QUIET);
        /* A scope made for this command ends with this process, and so does its residue. */
        if (!info->unit || strncmp(info->unit, CDM_SCOPE_PREFIX, strlen(CDM_SCOPE_PREFIX)) != 0)
                release_print_residue(&job, stderr);
        release_clear(&job);
}

static int run_request(const Args *args, char **ret_path, ReservationInfo *ret_info)
{
        _cleanup_(sd_bus_flush_close_unref_p) sd_bus *bus = NULL;
        _cleanup_free_ char *path = NULL;

        int status = client_open(&bus);
        if (status == 0)
                status = reserve(bus, args, true, &path);
        if (status != 0)
                return status;

        status = reservation_read(bus, path, ret_info);
        if (status != 0) {
                (void)client_call(bus, path, CDM_INTERFACE_RESERVATION, "Release", NULL, "");
                return status;
        }
        *ret_path = TAKE_PTR(path);
        return 0;
}

static int reserve_and_run(const Args *args)
{
        _cleanup_(reservation_info_clear) ReservationInfo info = { 0 };
        _cleanup_(affinity_clear) Affinity affinity = { 0 };
        _cleanup_free_ char *path = NULL;
        sigset_t mask, original;

        /* From here on, Ctrl-C must not leave a forgotten reservation behind. */
        signal_set(&mask, ending, ARRAY_SIZE(ending));
        (void)sigprocmask(SIG_BLOCK, &mask, &original);

        affinity_get(&affinity);
        int requested = run_request(args, &path, &info);
        if (requested != 0)
                return requested > 128 ? requested : CDM_EXIT_RUN_FAILED;
        affinity_restore(&affinity);

        int status = run_command(args, &info, &original);
        run_release(&info, path, status);
        return status;
}

int verb_run(const Args *args)
{
        const char *pool;
        Size size;

        if (args_parse_pool_size(args, &pool, &size) != 0)
                return CDM_EXIT_RUN_FAILED;
        if (!args->command || !args->command[0]) {
                (void)usage_error("CMD is missing; write: cdmctl run POOL SIZE -- CMD...");
                return CDM_EXIT_RUN_FAILED;
        }
        return reserve_and_run(args);
}
