/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A SPANK plugin: --cdm=POOL:SIZE for srun, sbatch and salloc.
 *
 * In each step's slurmstepd, before its first task, the plugin requests the job's memory, once per job and
 * node. Then it asks cdmd to admit the step's control group, so that no task starts before the step is
 * fenced or granted. Slurm opens job_N and step_X/user again with each step, so cdmd fences a step at
 * step_X.
 *
 * The first step of a job on a node also gives cdmd the job's user and labels, whether or not the job uses
 * --cdm: a command in the job may ask later, under the rules for its account.
 *
 * How Slurm handles errors decides where they are reported. An error of init, init_post_opt or user_init
 * drains the node, and srun does not fail. So a refusal is kept until task_init_privileged, whose error is
 * the task's: the message goes to the user, and the exit status is not 0. In slurmstepd every other function
 * always succeeds.
 *
 * At the end of the job its reservations are released in job_epilog, for which Slurm waits: the next job on
 * these processors finds the bytes free. cdmd would also end them when the job's control group ends. */

#include <errno.h>
#include <pwd.h>
#include <slurm/slurm.h>
#include <slurm/spank.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/mempolicy.h"
#include "policy/macro.h"
#include "policy/size.h"
#include "slurm/cdmd.h"
#include "slurm/step.h"
#include "slurm/words.h"

/* The name is part of the environment variables in which Slurm passes options on. */
SPANK_PLUGIN(cdm, 1);

static struct {
        CdmAsk ask; /* pool NULL: no --cdm */
        MemPolicy policy;
        bool without_gres;             /* gres=no: the administrator does not count with GRES */
        char refusal[CDMD_REASON_MAX]; /* empty: the tasks may start */
        CdmdReservation reservation;
        bool is_known; /* slurmctld has supplied the fields below */
        CdmdWords words;
        uint64_t counted_bytes; /* GRES of the job for the requested pool */
} state;

/* Keeps the first refusal. */
static void spank_refuse(const char *format, ...) _printf_(1, 2);
static void spank_refuse(const char *format, ...)
{
        va_list ap;

        if (state.refusal[0])
                return;
        va_start(ap, format);
        vsnprintf(state.refusal, sizeof(state.refusal), format, ap);
        va_end(ap);
}

/* --- options --- */

/* Reports the error. 0, or in srun and sbatch -1, which is an error there. */
static int bad_option(int remote, const char *name, const char *value, const char *reason)
{
        if (remote)
                spank_refuse("--%s=%s %s", name, value, reason);
        else
                slurm_error("cdm: --%s=%s %s", name, value, reason);
        return remote ? 0 : -1;
}

static int spank_on_cdm(int val _unused_, const char *text, int remote)
{
        const char *reason = "cannot be read: out of memory";
        CdmAsk ask;

        if (cdm_ask_parse(text, &ask, &reason) < 0)
                return bad_option(remote, "cdm", text, reason);
        cdm_ask_clear(&state.ask);
        state.ask = ask;
        return 0;
}

static int spank_on_cdm_policy(int val _unused_, const char *text, int remote)
{
        if (mem_policy_from_string(text, &state.policy) < 0)
                return bad_option(remote, "cdm-policy", text,
                                  "is none of prefer, bind, interleave and none");
        return 0;
}

static struct spank_option options[] = {
        { (char *)"cdm", (char *)"POOL:SIZE",
          (char *)"reserve memory of cdmd on each node of the job, such as hbm:16G", 1, 0, spank_on_cdm },
        { (char *)"cdm-policy", (char *)"prefer|bind|interleave|none",
          (char *)"the memory policy of tasks for what --cdm reserves", 1, 0, spank_on_cdm_policy },
};

static void read_arguments(int argc, char **argv)
{
        for (int i = 0; i < argc; i++) {
                if (strcmp(argv[i], "gres=no") == 0)
                        state.without_gres = true;
                else
                        slurm_error(
                                "cdm: the argument %s in plugstack.conf is unknown; the only one is gres=no",
                                argv[i]);
        }
}

int slurm_spank_init(spank_t spank, int argc, char **argv)
{
        spank_context_t context = spank_context();

        if (context == S_CTX_SLURMD || context == S_CTX_JOB_SCRIPT)
                return 0;
        read_arguments(argc, argv);
        for (size_t i = 0; i < ARRAY_SIZE(options); i++)
                if (spank_option_register(spank, &options[i]) != ESPANK_SUCCESS)
                        slurm_error("cdm: the option --%s cannot be registered", options[i].name);
        return 0;
}

/* --- what Slurm knows of the job --- */

typedef struct SlurmJob {
        uint32_t id;
        uid_t uid;
} SlurmJob;

static bool read_job(spank_t spank, SlurmJob *ret)
{
        return spank_get_item(spank, S_JOB_ID, &ret->id) == ESPANK_SUCCESS &&
               spank_get_item(spank, S_JOB_UID, &ret->uid) == ESPANK_SUCCESS;
}

/* Leaves out a value that no label can have: no rule can match it. */
static int spank_add_label(Labels *labels, const char *key, const char *value)
{
        int r = value && *value ? labels_add(labels, key, value) : 0;

        return r == -ENOMEM ? r : 0;
}

static int add_labels(const SlurmJob *job, const slurm_job_info_t *info, Labels *labels)
{
        const struct passwd *user = getpwuid(job->uid);
        char id[16];

        snprintf(id, sizeof(id), "%u", (unsigned)job->id);
        int r = spank_add_label(labels, CDMD_LABEL_JOB, id);
        if (r >= 0)
                r = spank_add_label(labels, "slurm.account", info->account);
        if (r >= 0)
                r = spank_add_label(labels, "slurm.partition", info->partition);
        return r < 0 ? r : spank_add_label(labels, "slurm.user", user ? user->pw_name : NULL);
}

static const slurm_job_info_t *find_info(const job_info_msg_t *message, uint32_t id)
{
        for (uint32_t i = 0; i < message->record_count; i++)
                if (message->job_array[i].job_id == id)
                        return &message->job_array[i];
        return NULL;
}

/* Asks slurmctld, once per step. The job's environment is no source, because the user can write it. */
static int spank_learn(const SlurmJob *job, char reason[static CDMD_REASON_MAX])
{
        job_info_msg_t *message = NULL;
        int r = -ENODATA;

        if (state.is_known)
                return 0;
        if (slurm_load_job(&message, job->id, SHOW_ALL) != SLURM_SUCCESS) {
                snprintf(reason, CDMD_REASON_MAX, "job %u cannot be read from slurmctld", (unsigned)job->id);
                return r;
        }
        const slurm_job_info_t *info = find_info(message, job->id);
        if (!info) {
                snprintf(reason, CDMD_REASON_MAX, "slurmctld does not know job %u", (unsigned)job->id);
        } else if ((r = add_labels(job, info, &state.words.labels)) < 0) {
                snprintf(reason, CDMD_REASON_MAX, "out of memory");
        } else {
                state.words.uid = job->uid;
                state.counted_bytes =
                        state.ask.pool ? cdm_gres_bytes(info->tres_per_node, state.ask.pool) : 0;
                state.is_known = true;
        }
        slurm_free_job_info_msg(message);
        return r;
}

/* False: refused, because the job's GRES count is less than the request. */
static bool is_counted(void)
{
        char asked[SIZE_STR_MAX], has[SIZE_STR_MAX];

        if (state.without_gres || state.counted_bytes >= state.ask.bytes)
                return true;
        spank_refuse("--cdm asks for %s of %s, and the job has --gres=cdm:%s for %s",
                     size_format(state.ask.bytes, asked), state.ask.pool, state.ask.pool,
                     size_format(state.counted_bytes, has));
        return false;
}

/* --- a step --- */

/* Finds the reservation that an earlier step of the job made. -ENOENT: none. */
static int find_granted(sd_bus *bus, int job_fd)
{
        _cleanup_free_ char *path = NULL;
        char reason[CDMD_REASON_MAX], asked[SIZE_STR_MAX], has[SIZE_STR_MAX];
        int r = step_mark_read(job_fd, state.ask.pool, &path);

        if (r < 0)
                spank_refuse("the job's control group cannot be read: %s", strerror(-r));
        if (r < 0 || !path)
                return r < 0 ? r : -ENOENT;
        r = cdmd_reservation_read(bus, path, &state.reservation, reason);
        if (r < 0 && r != -ENOENT)
                spank_refuse("%s", reason);
        if (r >= 0 && state.reservation.bytes < state.ask.bytes) {
                spank_refuse("the step asks for %s of %s, and the job has %s",
                             size_format(state.ask.bytes, asked), state.ask.pool,
                             size_format(state.reservation.bytes, has));
                r = -EACCES;
        }
        return r;
}

static void spank_request(sd_bus *bus, const StepPlace *place, const SlurmJob *job, int job_fd)
{
        const CdmdRequest q = {
                .pool = state.ask.pool, .bytes = state.ask.bytes, .cgroup = place->job, .words = &state.words
        };
        _cleanup_free_ char *path = NULL;
        char reason[CDMD_REASON_MAX];

        int r = spank_learn(job, reason);
        if (r >= 0 && !is_counted())
                return;
        if (r >= 0)
                r = cdmd_request(bus, &q, &path, reason);
        if (r >= 0)
                r = cdmd_reservation_read(bus, path, &state.reservation, reason);
        if (r < 0)
                spank_refuse("%s", r == -ENOMEM ? "out of memory" : reason);
        else if ((r = step_mark_write(job_fd, state.ask.pool, path)) < 0)
                slurm_error("cdm: the job's control group cannot be marked, the next step asks again: %s",
                            strerror(-r));
}

/* Requests once per job: its steps wait for each other. */
static void spank_reserve(sd_bus *bus, const StepPlace *place, const SlurmJob *job)
{
        int fd = -EBADF, r = step_job_lock(place, &fd);

        if (r < 0) {
                spank_refuse("the job's control group cannot be opened: %s", strerror(-r));
                return;
        }
        if (find_granted(bus, fd) == -ENOENT)
                spank_request(bus, place, job, fd);
        close(fd);
}

/* Admits the step, and gives cdmd the job's user and labels once. If that fails, the step is still
 * admitted. */
static int admit_saying(sd_bus *bus, const StepPlace *place, const SlurmJob *job,
                        char reason[static CDMD_REASON_MAX])
{
        int fd = -EBADF, r = step_job_open(place, &fd);
        bool is_said = r < 0 || step_is_said(fd);

        if (!is_said) {
                r = spank_learn(job, reason);
                if (r >= 0)
                        r = cdmd_admit(bus, place->step, &state.words, reason);
                if (r >= 0)
                        (void)step_say(fd); /* without the mark the next step repeats it */
                else if (r != -ENOTCONN)
                        slurm_info("cdm: job %u has no labels: %s", (unsigned)job->id, reason);
        }
        if (fd >= 0)
                close(fd);
        return is_said || (r < 0 && r != -ENOTCONN) ? cdmd_admit(bus, place->step, NULL, reason) : r;
}

/* Fails closed: if cdmd does not admit the step, the step is kept to the ordinary nodes. job NULL:
 * unknown. */
static void spank_admit(sd_bus *bus, const StepPlace *place, const SlurmJob *job, const char *unreachable)
{
        char reason[CDMD_REASON_MAX];
        int r = !bus  ? -ENOTCONN
                : job ? admit_saying(bus, place, job, reason)
                      : cdmd_admit(bus, place->step, NULL, reason);

        if (r >= 0)
                return;
        if (state.ask.pool)
                spank_refuse("%s", bus ? reason : unreachable);
        slurm_info("cdm: %s; the step is kept to the ordinary nodes", bus ? reason : unreachable);
        r = step_keep_out(place);
        if (r < 0)
                spank_refuse("the step cannot be kept off device memory: %s", strerror(-r));
}

static void spank_enter(spank_t spank)
{
        _cleanup_(sd_bus_flush_close_unref_p) sd_bus *bus = NULL;
        _cleanup_(step_place_clear) StepPlace place = { 0 };
        char reason[CDMD_REASON_MAX];
        SlurmJob job;

        int r = step_place_read(&place);
        if (r < 0 && state.ask.pool)
                spank_refuse("the job has no control group of its own (%s); slurm.conf needs "
                             "ProctrackType=proctrack/cgroup, and cgroup.conf CgroupPlugin=cgroup/v2",
                             strerror(-r));
        if (r < 0)
                return;
        bool has_job = read_job(spank, &job);
        r = cdmd_open(&bus, reason);
        if (state.ask.pool && !state.refusal[0]) {
                if (r < 0)
                        spank_refuse("%s", reason);
                else if (!has_job)
                        spank_refuse("Slurm does not say which job this is");
                else
                        spank_reserve(bus, &place, &job);
        }
        spank_admit(bus, &place, has_job ? &job : NULL, reason);
}

int slurm_spank_init_post_opt(spank_t spank, int argc _unused_, char **argv _unused_)
{
        if (spank_context() == S_CTX_REMOTE)
                spank_enter(spank);
        return 0;
}

/* Runs as root, in the task's process. Only the first task prints the message. */
int slurm_spank_task_init_privileged(spank_t spank, int argc _unused_, char **argv _unused_)
{
        int task = 0;

        if (!state.refusal[0])
                return 0;
        if (spank_get_item(spank, S_TASK_ID, &task) != ESPANK_SUCCESS || task == 0)
                slurm_error("cdm: %s", state.refusal);
        return -1;
}

/* Runs as the user, in the task's process. */
int slurm_spank_task_init(spank_t spank _unused_, int argc _unused_, char **argv _unused_)
{
        const CdmdReservation *r = &state.reservation;

        if (r->n_shares == 0)
                return 0;
        int k = mem_policy_set(state.policy, r->shares, r->n_shares);
        if (k < 0)
                slurm_error("cdm: the memory policy %s cannot be set: %s",
                            mem_policy_to_string(state.policy), strerror(-k));
        return k < 0 ? -1 : 0;
}

/* Always succeeds: an error would drain the node. */
int slurm_spank_job_epilog(spank_t spank, int argc _unused_, char **argv _unused_)
{
        _cleanup_(sd_bus_flush_close_unref_p) sd_bus *bus = NULL;
        char reason[CDMD_REASON_MAX], id[16];
        SlurmJob job;

        if (!read_job(spank, &job))
                return 0;
        snprintf(id, sizeof(id), "%u", (unsigned)job.id);
        int r = cdmd_open(&bus, reason);
        if (r >= 0)
                r = cdmd_release_job(bus, job.uid, id, reason);
        if (r < 0)
                slurm_info("cdm: job %s: %s", id, reason);
        return 0;
}
