/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/machine/names.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "daemon/loop/clock.h"
#include "daemon/loop/worker.h"

#define THREADS_MAX   4
#define ANSWER_USEC   (UINT64_C(30) * 1000 * 1000)
#define QUESTIONS_MAX 4096

/* The job owns this until done is called: a thread may use it after the Names were freed. */
typedef struct NamesJob {
        struct NamesQuestion *question; /* used by the event loop only, never by the thread */
        names_lookup_t lookup;
        NameKind kind;
        NameRecord record;
        char *root;
        char name[];
} NamesJob;

typedef struct NamesQuestion {
        Names *names;
        bool busy;      /* the job is not done */
        bool answering; /* the job is done, and the waiting calls are being answered */
        bool forgotten; /* the answer is for the waiting calls only */
        int error;
        NameRecord record;
        uint64_t until_usec; /* end of validity of the answer; 0: no answer */
        NamesCall *calls;
        struct NamesQuestion *prev, *next; /* in names->questions, the oldest first */
        UT_hash_handle hh;
        char key[]; /* kind, then name */
} NamesQuestion;

/* Counts the open calls of a user. */
typedef struct NamesUser {
        uid_t uid;
        size_t n_calls;
        UT_hash_handle hh;
} NamesUser;

struct NamesCall {
        NamesQuestion *question;
        NamesUser *user; /* NULL: root */
        sd_event_source *patience;
        bool again; /* waits for the next lookup, because the result of the current one may be outdated */
        names_done_t done;
        void *userdata;
        NamesCall *prev, *next;
};

struct Names {
        sd_event *event;
        Worker *worker;
        char *root;
        names_lookup_t lookup;
        uint64_t patience_usec;
        NamesQuestion *by_key, *questions;
        NamesUser *users;
};

/* --- questions ---------------------------------------------------------------------------------------- */

static void names_question_free(NamesQuestion *q)
{
        HASH_DELETE(hh, q->names->by_key, q);
        DL_DELETE(q->names->questions, q);
        name_record_clear(&q->record);
        free(q);
}

static bool names_question_is_idle(const NamesQuestion *q)
{
        return !q->busy && !q->calls;
}

/* Drops the oldest idle question. A question with a lookup in flight stays, so that there is only one lookup
 * per name. */
static bool names_make_room(Names *n)
{
        NamesQuestion *q, *next;

        if (HASH_COUNT(n->by_key) < QUESTIONS_MAX)
                return true;
        DL_FOREACH_SAFE (n->questions, q, next)
                if (names_question_is_idle(q)) {
                        names_question_free(q);
                        return true;
                }
        return false;
}

static int names_question_get(Names *n, NameKind kind, const char *name, NamesQuestion **ret)
{
        size_t size = strlen(name) + 2;
        NamesQuestion *q = calloc(1, sizeof(*q) + size), *known;

        if (!q)
                return -ENOMEM;
        q->names = n;
        q->key[0] = (char)('a' + kind);
        memcpy(q->key + 1, name, size - 1);
        HASH_FIND_STR(n->by_key, q->key, known);
        if (known || !names_make_room(n)) {
                free(q);
                *ret = known;
                return known ? 0 : -EBUSY;
        }
        HASH_ADD_STR(n->by_key, key, q);
        DL_APPEND(n->questions, q);
        *ret = q;
        return 0;
}

static NamesJob *names_job_free(NamesJob *j)
{
        if (!j)
                return NULL;
        name_record_clear(&j->record);
        free(j->root);
        free(j);
        return NULL;
}

static int names_run(Job *job, void *userdata)
{
        NamesJob *j = userdata;

        return j->lookup(j->root, j->kind, j->name, &j->record);
}

static int names_question_look_up(NamesQuestion *q);

/* A callback may create new calls or free other calls. New calls are added to the end of the list. */
static void names_question_answer(NamesQuestion *q, int error, const NameRecord *record)
{
        q->answering = true;
        while (q->calls && !q->calls->again) {
                NamesCall *c = q->calls;
                names_done_t done = c->done;
                void *userdata = c->userdata;

                names_call_free(c);
                done(error, error < 0 ? NULL : record, userdata);
        }
        q->answering = false;
}

/* Starts the lookup for calls with `again`, or frees the question. No other function frees a busy
 * question. */
static void names_question_go_on(NamesQuestion *q)
{
        NamesCall *c;
        int r = 0;

        q->busy = false;
        if (q->calls) {
                DL_FOREACH (q->calls, c)
                        c->again = false;
                r = names_question_look_up(q);
                q->busy = true;
                if (r < 0)
                        names_question_answer(q, r, NULL);
                q->busy = r >= 0;
        }
        if (names_question_is_idle(q) && q->until_usec == 0)
                names_question_free(q);
}

static void names_on_done(int error, void *userdata)
{
        NamesJob *j = userdata;
        NamesQuestion *q = j->question;
        NameRecord record = j->record;

        j->record = (NameRecord){ 0 };
        names_job_free(j);
        name_record_clear(&q->record);
        q->record = record;
        q->error = error;
        /* A failure is passed to the waiting calls and not cached. */
        q->until_usec = error >= 0 || error == -ENOENT ? clock_boottime_usec() + ANSWER_USEC : 0;
        if (q->forgotten)
                q->until_usec = 0;
        names_question_answer(q, error, &q->record);
        names_question_go_on(q);
}

static int names_question_look_up(NamesQuestion *q)
{
        size_t size = strlen(q->key);
        NamesJob *j = calloc(1, sizeof(*j) + size);

        if (!j)
                return -ENOMEM;
        j->question = q;
        j->lookup = q->names->lookup;
        j->kind = (NameKind)(q->key[0] - 'a');
        memcpy(j->name, q->key + 1, size);
        j->root = strdup(q->names->root);
        int r = j->root ? worker_submit(q->names->worker, names_run, names_on_done, NULL, j, NULL) : -ENOMEM;
        if (r < 0) {
                names_job_free(j);
                return r;
        }
        q->until_usec = 0;
        q->busy = true;
        q->forgotten = false;
        /* Moves the question to the end: names_make_room() drops the oldest first. */
        DL_DELETE(q->names->questions, q);
        DL_APPEND(q->names->questions, q);
        return 0;
}

/* --- calls -------------------------------------------------------------------------------------------- */

static int names_call_count(NamesCall *c, Names *n, uid_t asker)
{
        NamesUser *u;

        if (asker == 0)
                return 0;
        HASH_FIND(hh, n->users, &asker, sizeof(asker), u);
        if (u && u->n_calls >= NAMES_CALLS_MAX)
                return -EBUSY;
        if (!u) {
                u = calloc(1, sizeof(*u));
                if (!u)
                        return -ENOMEM;
                u->uid = asker;
                HASH_ADD(hh, n->users, uid, sizeof(u->uid), u);
        }
        u->n_calls++;
        c->user = u;
        return 0;
}

NamesCall *names_call_free(NamesCall *c)
{
        if (!c)
                return NULL;
        Names *n = c->question->names;
        if (c->user && --c->user->n_calls == 0) {
                HASH_DELETE(hh, n->users, c->user);
                free(c->user);
        }
        DL_DELETE(c->question->calls, c);
        sd_event_source_disable_unref(c->patience);
        free(c);
        return NULL;
}

static int names_on_patience(sd_event_source *source, uint64_t usec, void *userdata)
{
        NamesCall *c = userdata;
        names_done_t done = c->done;
        void *data = c->userdata;

        names_call_free(c);
        done(-ETIMEDOUT, NULL, data);
        return 0;
}

static int names_call_new(NamesQuestion *q, uid_t asker, names_done_t done, void *userdata, NamesCall **ret)
{
        NamesCall *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        c->question = q;
        c->done = done;
        c->userdata = userdata;
        DL_APPEND(q->calls, c);
        uint64_t usec = q->names->patience_usec;
        if (q->key[0] == 'a' + NAME_UID) /* only for messages, which can show the number */
                usec /= 10;
        int r = names_call_count(c, q->names, asker);
        if (r >= 0)
                r = sd_event_add_time_relative(q->names->event, &c->patience, CLOCK_MONOTONIC, usec, 0,
                                               names_on_patience, c);
        if (r < 0) {
                names_call_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

int names_ask(Names *n, NameKind kind, const char *name, uid_t asker, names_done_t done, void *userdata,
              NamesCall **ret)
{
        NamesQuestion *q = NULL;
        NamesCall *c = NULL;

        int r = names_question_get(n, kind, name, &q);
        if (r < 0)
                return r;
        if (q->until_usec > clock_boottime_usec()) {
                done(q->error, q->error < 0 ? NULL : &q->record, userdata);
                return 1;
        }
        r = names_call_new(q, asker, done, userdata, &c);
        if (r >= 0 && q->busy)
                c->again = q->answering || q->forgotten;
        else if (r >= 0)
                r = names_question_look_up(q);
        if (r < 0) {
                names_call_free(c);
                if (names_question_is_idle(q))
                        names_question_free(q);
                return r;
        }
        *ret = c;
        return 0;
}

void names_forget(Names *n)
{
        NamesQuestion *q, *next;

        DL_FOREACH_SAFE (n->questions, q, next) {
                q->forgotten = q->busy;
                q->until_usec = 0;
                if (names_question_is_idle(q))
                        names_question_free(q);
        }
}

int names_new(sd_event *event, const char *root, names_lookup_t lookup, uint64_t patience_usec, Names **ret)
{
        _cleanup_(names_free_p) Names *n = calloc(1, sizeof(*n));

        if (!n)
                return -ENOMEM;
        n->root = strdup(root);
        if (!n->root)
                return -ENOMEM;
        n->lookup = lookup;
        n->patience_usec = patience_usec;
        n->event = sd_event_ref(event);
        int r = worker_new(event, THREADS_MAX, &n->worker);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(n);
        return 0;
}

static bool left;

bool names_are_left(void)
{
        return left;
}

Names *names_free(Names *n)
{
        NamesQuestion *q, *next;

        if (!n)
                return NULL;
        left |= worker_leave(n->worker);
        DL_FOREACH_SAFE (n->questions, q, next) {
                while (q->calls)
                        names_call_free(q->calls);
                names_question_free(q);
        }
        sd_event_unref(n->event);
        free(n->root);
        free(n);
        return NULL;
}
