/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmctl release: ask for all, then wait for all. The daemon answers Release() once the reservation is
 * stored as draining and goes on without us, so waiting is only watching: it can be broken off at any time.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "client/objects.h"
#include "client/release.h"
#include "client/text.h"
#include "policy/cdm-names.h"
#include "policy/size.h"

DEFINE_CLEANUP(sd_event, sd_event_unref);

#define PROGRESS_USEC UINT64_C(250000)

typedef struct Waiting {
        sd_bus *bus;
        sd_event *event;
        Release *jobs;
        size_t n_jobs;
        ReleaseMode mode;
        bool progress; /* a line of it is on the terminal */
        int interrupted;
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
        (void)sd_event_exit(w->event, 0);
}

static int on_event(sd_bus_message *m, void *userdata, sd_bus_error *error)
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
                /* The daemon tries again, for as long as it takes: nothing to wait for here. */
                if (failed)
                        job->status = fail(CDM_EXIT_FAILED, "Draining %u failed, and is tried again: %s",
                                           e.id, e.reason ? e.reason : "no reason given");
                job->moved_bytes = e.moved;
                job->evicted_bytes = e.evicted;
                job->residue_bytes = e.residue;
                copy_holders(job, &e);
        }
        end_if_all_ended(w);
        return 0;
}

/* Where it stands, asked for: for the progress line, and after the daemon was away. */
static int update(Waiting *w, Release *job)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        int r = sd_bus_get_property_trivial(w->bus, CDM_BUS_NAME, job->path, CDM_INTERFACE_RESERVATION,
                                            "Used", &error, 't', &job->left_bytes);
        if (r >= 0)
                return 0;
        if (client_exit_status(&error, r) == CDM_EXIT_NO_DAEMON) {
                job->status = client_fail(&error, r);
                note("A release that was told to a daemon goes on when it is back.");
        }
        /* Otherwise the object is gone: released, and its event went by while nobody listened. */
        job->waiting = false;
        return 0;
}

static int update_all(Waiting *w)
{
        for (size_t i = 0; i < w->n_jobs; i++)
                if (w->jobs[i].waiting)
                        (void)update(w, &w->jobs[i]);
        return 0;
}

/* A line that wraps could not be written over: only its last row would be. */
static void put_line(const char *line)
{
        struct winsize size;
        int width = (int)strlen(line);

        if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && width >= size.ws_col)
                width = size.ws_col - 1;
        fprintf(stderr, "\r%.*s\033[K", width, line);
}

static void print_progress(Waiting *w)
{
        char line[2 * SIZE_STR_MAX + 96], which[64] = "", left_text[SIZE_STR_MAX], total_text[SIZE_STR_MAX];
        uint64_t left = 0, total = 0;
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
                snprintf(which, sizeof(which), " %zu of %zu reservations", n, w->n_jobs);
        snprintf(line, sizeof(line), "draining%s: %s of %s left", which, size_format(left, left_text),
                 size_format(total, total_text));
        put_line(line);
        w->progress = true;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
        Waiting *w = userdata;

        update_all(w);
        print_progress(w);
        end_if_all_ended(w);
        (void)sd_event_source_set_time_relative(s, PROGRESS_USEC);
        return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Waiting *w = userdata;

        /* Also when it has just gone: the question starts it again where it is enabled. */
        update_all(w);
        end_if_all_ended(w);
        return 0;
}

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
        Waiting *w = userdata;

        w->interrupted = (int)si->ssi_signo;
        return sd_event_exit(w->event, 0);
}

static int watch(Waiting *w)
{
        static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
        sigset_t mask;

        int r = event_subscribe(w->bus, on_event, w);
        if (r >= 0)
                r = sd_bus_add_match(w->bus, NULL,
                                     "type='signal',sender='org.freedesktop.DBus',"
                                     "interface='org.freedesktop.DBus',member='NameOwnerChanged',"
                                     "arg0='" CDM_BUS_NAME "'",
                                     on_owner_changed, w);
        if (r >= 0)
                r = sd_event_new(&w->event);
        if (r >= 0)
                r = sd_bus_attach_event(w->bus, w->event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0 && w->mode == RELEASE_TELL && isatty(STDERR_FILENO))
                r = sd_event_add_time_relative(w->event, NULL, CLOCK_MONOTONIC, PROGRESS_USEC, 0, on_timer,
                                               w);

        sigemptyset(&mask);
        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(signals); i++) {
                sigaddset(&mask, signals[i]);
                sigprocmask(SIG_BLOCK, &mask, NULL);
                r = sd_event_add_signal(w->event, NULL, signals[i], on_signal, w);
        }
        return r;
}

static int start(Waiting *w, Release *job)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        if (!job->path) {
                int status = client_reservation_path(w->bus, job->id, &job->path);
                if (status != 0)
                        return status;
        }
        (void)sd_bus_get_property_trivial(w->bus, CDM_BUS_NAME, job->path, CDM_INTERFACE_RESERVATION, "Used",
                                          NULL, 't', &job->total_bytes);
        job->left_bytes = job->total_bytes;

        if (w->mode == RELEASE_TELL) {
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

static void tell_interrupted(Waiting *w)
{
        sigset_t mask;

        note("Not waiting any more. The release goes on; `cdmctl list` shows when it is done.");

        /* Die of the signal, so that a shell sees it and stops its script as well. */
        (void)signal(w->interrupted, SIG_DFL);
        (void)raise(w->interrupted);
        sigemptyset(&mask);
        sigaddset(&mask, w->interrupted);
        sigprocmask(SIG_UNBLOCK, &mask, NULL);
}

int release_all(sd_bus *bus, Release *jobs, size_t n_jobs, ReleaseMode mode)
{
        Waiting w = { .bus = bus, .jobs = jobs, .n_jobs = n_jobs, .mode = mode };
        bool any = false;
        int worst = 0;

        int r = watch(&w);
        for (size_t i = 0; r >= 0 && i < n_jobs; i++) {
                jobs[i].status = start(&w, &jobs[i]);
                any = any || jobs[i].waiting;
        }
        if (r >= 0 && any)
                r = sd_event_loop(w.event);
        sd_bus_detach_event(bus);
        sd_event_unref(w.event);

        if (w.progress)
                fputs("\r\033[K", stderr);
        if (w.interrupted != 0)
                tell_interrupted(&w);
        if (r < 0)
                return fail(CDM_EXIT_FAILED, "Cannot wait for the release: %s.", strerror(-r));
        for (size_t i = 0; i < n_jobs; i++)
                worst = jobs[i].status > worst ? jobs[i].status : worst;
        return worst;
}

void release_print_residue(const Release *r, FILE *out)
{
        char size[SIZE_STR_MAX];

        if (r->residue_bytes == 0)
                return;
        fprintf(out, "%u: %s could not be moved and stay reserved until they leave the node\n", r->id,
                size_format(r->residue_bytes, size));
        for (size_t i = 0; i < r->n_holders; i++) {
                const ResidueHolder *h = &r->holders[i];
                _cleanup_free_ char *cgroup = h->cgroup ? text_sanitise(h->cgroup) : NULL;
                _cleanup_free_ char *kind = h->kind ? text_sanitise(h->kind) : NULL;

                fprintf(out, "  %s %s in %s\n", size_format(h->bytes, size), kind ? kind : "?",
                        cgroup ? cgroup : "?");
        }
}

static void print_json(const Release *jobs, size_t n_jobs, JsonMode mode)
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

int verb_release(const Args *args)
{
        _cleanup_(sd_bus_flush_close_unref_p) sd_bus *bus = NULL;
        size_t n = (size_t)args->n_positional;
        int status = 0;

        Release *jobs = calloc(n, sizeof(*jobs));
        if (!jobs)
                return fail(CDM_EXIT_FAILED, "Out of memory.");

        for (size_t i = 0; i < n && status == 0; i++)
                status = args_parse_id(args->positional[i], &jobs[i].id);
        if (status == 0)
                status = client_open(&bus);
        if (status == 0) {
                status = release_all(bus, jobs, n, RELEASE_TELL);
                if (args->style.json != JSON_OFF)
                        print_json(jobs, n, args->style.json);
                for (size_t i = 0; args->style.json == JSON_OFF && i < n; i++)
                        release_print_residue(&jobs[i], stdout);
        }

        for (size_t i = 0; i < n; i++)
                release_clear(&jobs[i]);
        free(jobs);
        return status;
}
