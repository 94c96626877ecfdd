/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmctl release: starts all releases, then waits for all. The daemon replies to Release() once the
 * reservation is stored as draining. It continues without cdmctl, so waiting can be interrupted at any
 * time. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "client/filter.h"
#include "client/objects.h"
#include "client/progress.h"
#include "client/release.h"
#include "client/text.h"
#include "client/wait.h"
#include "policy/cdm-names.h"
#include "policy/size.h"

typedef struct Waiting {
        sd_bus *bus;
        BusWait wait;
        Release *jobs;
        size_t n_jobs;
        ReleaseMode mode;
        Progress progress;
} Waiting;

void release_clear(Release *r)
{
        for (size_t i = 0; i < r->n_holders; i++) {
                free(r->holders[i].cgroup);
                free(r->holders[i].kind);
        }
        free(r->holders);
        free(r->path);
        *r = (Release){ 0 };
}

static void copy_holders(Release *job, const Event *e)
{
        job->holders = calloc(e->n_holders + 1, sizeof(*job->holders));
        for (size_t i = 0; job->holders && i < e->n_holders; i++) {
                ResidueHolder h = { strdup(e->holders[i].cgroup), strdup(e->holders[i].kind),
                                    e->holders[i].bytes };

                job->holders[job->n_holders++] = h;
        }
}

static void end_if_all_ended(Waiting *w)
{
        for (size_t i = 0; i < w->n_jobs; i++)
                if (w->jobs[i].waiting)
                        return;
        wait_stop(&w->wait);
}

static int release_on_event(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Waiting *w = userdata;
        _cleanup_(event_clear) Event e = { 0 };

        if (event_read(m, &e) < 0)
                return 0;
        bool failed = strcmp(e.kind, "failed") == 0;
        if (!failed && strcmp(e.kind, "residue") != 0 && strcmp(e.kind, "released") != 0)
                return 0;

        for (size_t i = 0; i < w->n_jobs; i++) {
                Release *job = &w->jobs[i];

                if (!job->waiting || job->id != e.id)
                        continue;
                job->waiting = false;
                /* Do not wait: the daemon retries for as long as necessary. */
                if (failed)
                        job->status = fail(CDM_EXIT_FAILED,
                                           "reservation %u could not be drained (%s); cdmd tries again",
                                           e.id, e.reason ? e.reason : "no reason given");
                job->moved_bytes = e.moved;
                job->evicted_bytes = e.evicted;
                job->residue_bytes = e.residue;
                copy_holders(job, &e);
        }
        end_if_all_ended(w);
        return 0;
}

/* Reads the current state: for the progress line, and after a restart of the daemon. */
static int release_update(Waiting *w, Release *job)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        int r = sd_bus_get_property_trivial(w->bus, CDM_BUS_NAME, job->path, CDM_INTERFACE_RESERVATION,
                                            "Used", &error, 't', &job->left_bytes);
        if (r >= 0)
                return 0;
        if (client_exit_status(&error, r) == CDM_EXIT_NO_DAEMON) {
                job->status = client_fail(&error, r);
                note("the release continues when cdmd runs again; `cdmctl list` shows it");
        }
        /* Otherwise the object no longer exists: the reservation was released, and its event was missed. */
        job->waiting = false;
        return 0;
}

static int update_all(Waiting *w)
{
        for (size_t i = 0; i < w->n_jobs; i++)
                if (w->jobs[i].waiting)
                        (void)release_update(w, &w->jobs[i]);
        return 0;
}

static void print_progress(Waiting *w)
{
        uint64_t left = 0, total = 0;
        char what[64] = "draining";
        size_t n = 0;

        for (size_t i = 0; i < w->n_jobs; i++) {
                Release *job = &w->jobs[i];

                if (job->total_bytes < job->left_bytes)
                        job->total_bytes = job->left_bytes;
                total += job->total_bytes;
                left += job->waiting ? job->left_bytes : 0;
                n += job->waiting;
        }
        if (w->n_jobs > 1)
                snprintf(what, sizeof(what), "draining %zu of %zu reservations", n, w->n_jobs);
        progress_show(&w->progress, what, left, total);
}

static void release_show_progress(void *userdata)
{
        Waiting *w = userdata;

        update_all(w);
        print_progress(w);
        end_if_all_ended(w);
}

static int release_on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Waiting *w = userdata;

        /* Also call when the daemon has just stopped: the call starts it again if it is enabled. */
        update_all(w);
        end_if_all_ended(w);
        return 0;
}

static int release_watch(Waiting *w)
{
        int r = wait_begin(&w->wait, w->bus, w->mode == RELEASE_TELL ? release_show_progress : NULL, w);
        if (r >= 0)
                r = event_subscribe(w->bus, release_on_event, w);
        if (r >= 0)
                r = client_watch_daemon(w->bus, release_on_owner_changed, w);
        if (r >= 0)
                r = sd_bus_set_exit_on_disconnect(w->bus, true); /* ends the loop with EXIT_FAILURE */
        return r;
}

static int release_call(Waiting *w, Release *job)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        if (!job->path) {
                int status = client_reservation_path(w->bus, job->id, &job->path);
                if (status != 0)
                        return status;
        }
        if (w->mode == RELEASE_TELL)
                (void)sd_bus_get_property_trivial(w->bus, CDM_BUS_NAME, job->path, CDM_INTERFACE_RESERVATION,
                                                  "Used", NULL, 't', &job->total_bytes);
        job->left_bytes = job->total_bytes;

        if (w->mode != RELEASE_QUIET) {
                int status = client_call(w->bus, job->path, CDM_INTERFACE_RESERVATION, "Release", NULL, "");
                job->waiting = status == 0;
                return status;
        }

        int r = sd_bus_call_method(w->bus, CDM_BUS_NAME, job->path, CDM_INTERFACE_RESERVATION, "Release",
                                   &error, NULL, "");
        job->waiting = r >= 0;
        if (r >= 0 || sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_OBJECT) ||
            sd_bus_error_has_name(&error, CDM_ERROR_NO_SUCH_RESERVATION))
                return 0;
        return client_fail(&error, r);
}

int release_all(sd_bus *bus, Release *jobs, size_t n_jobs, ReleaseMode mode)
{
        Waiting w = { .bus = bus, .jobs = jobs, .n_jobs = n_jobs, .mode = mode };
        bool any = false;
        int worst = 0;

        int r = release_watch(&w);
        for (size_t i = 0; r >= 0 && i < n_jobs; i++) {
                jobs[i].status = release_call(&w, &jobs[i]);
                any = any || jobs[i].waiting;
        }
        if (r >= 0 && any)
                r = wait_loop(&w.wait);
        wait_end(&w.wait);

        progress_clear(&w.progress);
        if (w.wait.signal != 0) {
                note("interrupted; the release continues, and `cdmctl list` shows when it is done");
                if (mode != RELEASE_QUIET)
                        wait_die(&w.wait);
        }
        if (r < 0)
                return fail(CDM_EXIT_FAILED, "cannot wait for the release: %s", strerror(-r));
        if (r == EXIT_FAILURE)
                return fail(CDM_EXIT_NO_DAEMON,
                            "the connection to the system bus was lost; the release continues, and "
                            "`cdmctl list` shows when it is done");
        for (size_t i = 0; i < n_jobs; i++)
                worst = jobs[i].status > worst ? jobs[i].status : worst;
        return worst;
}

void release_print_residue(const Release *r, FILE *out)
{
        char size[SIZE_STR_MAX];

        if (r->residue_bytes == 0)
                return;
        fprintf(out, "reservation %u: %s could not be moved; they stay reserved until they leave the node\n",
                r->id, size_format(r->residue_bytes, size));
        for (size_t i = 0; i < r->n_holders; i++) {
                const ResidueHolder *h = &r->holders[i];
                _cleanup_free_ char *cgroup = h->cgroup ? text_sanitise(h->cgroup) : NULL;
                _cleanup_free_ char *kind = h->kind ? text_sanitise(h->kind) : NULL;

                fprintf(out, "  %s %s in %s\n", size_format(h->bytes, size), kind ? kind : "?",
                        cgroup ? cgroup : "?");
        }
}

static void release_print_json(const Release *jobs, size_t n_jobs, JsonMode mode)
{
        Json j = JSON_WRITER(stdout, mode);

        json_array_begin(&j);
        for (size_t i = 0; i < n_jobs; i++) {
                if (jobs[i].status != 0)
                        continue;
                json_object_begin(&j);
                json_key(&j, "id");
                json_unsigned(&j, jobs[i].id);
                json_key(&j, "moved");
                json_unsigned(&j, jobs[i].moved_bytes);
                json_key(&j, "evicted");
                json_unsigned(&j, jobs[i].evicted_bytes);
                json_key(&j, "residue");
                json_unsigned(&j, jobs[i].residue_bytes);
                json_key(&j, "holders");
                json_array_begin(&j);
                for (size_t k = 0; k < jobs[i].n_holders; k++) {
                        json_object_begin(&j);
                        json_key(&j, "cgroup");
                        json_string(&j, jobs[i].holders[k].cgroup);
                        json_key(&j, "kind");
                        json_string(&j, jobs[i].holders[k].kind);
                        json_key(&j, "bytes");
                        json_unsigned(&j, jobs[i].holders[k].bytes);
                        json_object_end(&j);
                }
                json_array_end(&j);
                json_object_end(&j);
        }
        json_array_end(&j);
        json_finish(&j);
}

/* Finds the reservations that the options choose. Draining reservations are waited for like the others. */
static int choose_jobs(sd_bus *bus, const Args *args, Release **ret_jobs, size_t *ret_n)
{
        _cleanup_(objects_free_p) Objects *objects = calloc(1, sizeof(*objects));
        ReservationFilter filter = { 0 };

        if (!objects)
                return fail(CDM_EXIT_FAILED, "out of memory");
        int status = filter_from_args(args, &filter);
        if (status == 0 && args_given(args, OPTION_ALL) && !args->user) {
                filter.by_uid = true;
                filter.uid = getuid();
        }
        if (status == 0)
                status = objects_read_reservations(bus, &filter, objects);
        if (status == 0 && objects->n_reservations == 0)
                status = filter_tell_none(bus, args);
        if (status != 0)
                return status;

        *ret_jobs = calloc(objects->n_reservations + 1, sizeof(**ret_jobs));
        if (!*ret_jobs)
                return fail(CDM_EXIT_FAILED, "out of memory");
        for (size_t i = 0; i < objects->n_reservations; i++)
                (*ret_jobs)[i].id = objects->reservations[i].id;
        *ret_n = objects->n_reservations;
        return 0;
}

static int parse_jobs(const Args *args, Release **ret_jobs, size_t *ret_n)
{
        int status = 0;

        *ret_jobs = calloc((size_t)args->n_positional, sizeof(**ret_jobs));
        if (!*ret_jobs)
                return fail(CDM_EXIT_FAILED, "out of memory");
        for (int i = 0; i < args->n_positional && status == 0; i++)
                status = args_parse_id(args->positional[i], &(*ret_jobs)[i].id);
        *ret_n = (size_t)args->n_positional;
        return status;
}

static int check_choice(const Args *args)
{
        bool chosen = (args->given & (OPTIONS_FILTER | OPTION_BIT(OPTION_ALL))) != 0;

        if (chosen && args->n_positional > 0)
                return usage_error("ids and --all, --user, --pool, --unit or --state exclude each other");
        if (!chosen && args->n_positional == 0)
                return usage_error("ID is missing; write: cdmctl release ID..., or --all for all of yours");
        return 0;
}

int verb_release(const Args *args)
{
        _cleanup_(sd_bus_flush_close_unref_p) sd_bus *bus = NULL;
        bool human = args->style.json == JSON_OFF;
        Release *jobs = NULL;
        size_t n = 0;

        int status = check_choice(args);
        if (status == 0 && args->n_positional > 0)
                status = parse_jobs(args, &jobs, &n);
        if (status == 0)
                status = client_open(&bus);
        if (status == 0 && args->n_positional == 0)
                status = choose_jobs(bus, args, &jobs, &n);
        if (status == 0) {
                status = release_all(bus, jobs, n,
                                     progress_is_wanted(&args->style) ? RELEASE_TELL : RELEASE_WAIT);
                if (!human)
                        release_print_json(jobs, n, args->style.json);
                for (size_t i = 0; human && !args->style.quiet && i < n; i++)
                        release_print_residue(&jobs[i], stdout);
        }

        for (size_t i = 0; i < n; i++)
                release_clear(&jobs[i]);
        free(jobs);
        return status;
}
