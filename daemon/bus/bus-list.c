/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Manager.ListReservations, and Get for a reservation's Used and Labels.
 *
 *   call ── waits for its turn (bus-callers.h) ── collect ids ── a worker reads Used ── append ── reply
 *
 * There are two listers, so that lists without Used do not wait for a worker. Each lister works on one call
 * at a time. Ids are collected and rows are appended in slices, one for each iteration of the event loop, so
 * neither the size of a page nor the number of callers delays other messages. No pointer to a reservation is
 * kept between slices; a reservation that ends in between is left out of the page. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bus/bus-callers.h"
#include "daemon/bus/bus-internal.h"
#include "daemon/kernel/used.h"
#include "daemon/loop/slice.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/buffers.h"
#include "daemon/tenant/core.h"
#include "policy/cdm-names.h"

/* A filter may match few reservations, so a call visits no more than this, and returns where the next call
 * must continue. */
#define VISITS_MAX   4096
#define VISITS_SLICE 128
#define ROWS_SLICE   8

/* While the bus transports a long message, other messages wait. A page ends with the row that exceeds this
 * limit, so it has at least one row. */
#define PAGE_BYTES (UINT64_C(16) << 10)
#define ROW_BYTES  448 /* bytes that every row has */

/* The message owns the strings. */
typedef struct Query {
        uint32_t after, max;
        const char *pool, *unit, *state; /* NULL: any */
        uint32_t uid;
        bool has_uid, used;
} Query;

typedef enum Phase {
        PHASE_IDLE,
        PHASE_COLLECT, /* ids of the page are collected */
        PHASE_READ,    /* the worker reads Used */
        PHASE_APPEND,  /* rows are appended to the reply */
} Phase;

struct BusLister {
        Book *book;
        const BufferSet *buffers;
        BusCallers *callers;
        Slice *slice;
        bool reads_used; /* for calls that also ask for Used */
        /* the call in progress; NULL: none */
        sd_bus_message *call, *reply;
        uid_t uid; /* of the caller */
        Phase phase;
        Query query;
        uint32_t *ids;
        Used *used; /* one for each id; the worker owns it while there is a job */
        size_t n_ids, n_used, next_row;
        uint32_t position; /* the last id that was visited */
        unsigned n_visits;
        uint64_t n_bytes; /* of the page, approximately */
        bool is_get;      /* Get for Used or Labels of the reservation query.after + 1 */
        bool complete;    /* no reservation follows the page */
        Job *job;
        bool stopping;
};

static void lister_on_slice(void *userdata);

static void lister_clear(BusLister *l)
{
        for (size_t i = 0; l->used && i < l->n_used; i++)
                free(l->used[i].cgroup);
        free(l->used);
        free(l->ids);
        sd_bus_message_unref(l->reply);
        sd_bus_message_unref(l->call);
        *l = (BusLister){ .book = l->book,
                          .buffers = l->buffers,
                          .callers = l->callers,
                          .slice = l->slice,
                          .reads_used = l->reads_used,
                          .stopping = l->stopping };
}

static void lister_on_ready(void *userdata)
{
        BusLister *l = userdata;

        if (!l->call)
                slice_set(l->slice, true);
}

int bus_lister_new(Book *book, const BufferSet *buffers, bool reads_used, BusLister **ret)
{
        BusLister *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        l->book = book;
        l->buffers = buffers;
        l->reads_used = reads_used;
        int r = bus_callers_new(book->core->senders, book->core->peers, &bus_limits_lists, lister_on_ready,
                                l, &l->callers);
        if (r >= 0)
                r = slice_new_patient(book->core->event, lister_on_slice, l, &l->slice);
        if (r < 0) {
                bus_callers_free(l->callers);
                free(l);
                return r;
        }
        *ret = l;
        return 0;
}

/* The worker may still write to `used`; worker_free() waits for the worker, and then the job's callback
 * frees the rest. */
BusLister *bus_lister_free(BusLister *l)
{
        if (!l)
                return NULL;
        l->stopping = true;
        l->callers = bus_callers_free(l->callers);
        l->slice = slice_free(l->slice);
        if (!l->job) {
                lister_clear(l);
                free(l);
        }
        return NULL;
}

/* --- the question ------------------------------------------------------------------------------------- */

static const struct {
        const char *key, *type;
} filters[] = {
        { CDM_FILTER_POOL, "s" },  { CDM_FILTER_UID, "u" },  { CDM_FILTER_UNIT, "s" },
        { CDM_FILTER_STATE, "s" }, { CDM_FILTER_USED, "b" },
};

static int find_filter(const char *key)
{
        for (size_t i = 0; i < ARRAY_SIZE(filters); i++)
                if (strcmp(filters[i].key, key) == 0)
                        return (int)i;
        return -ENOENT;
}

static int read_filter_value(sd_bus_message *m, const char *key, Query *q, sd_bus_error *error)
{
        ReservationState state;
        int used, r;

        if (strcmp(key, CDM_FILTER_POOL) == 0)
                return sd_bus_message_read(m, "s", &q->pool);
        if (strcmp(key, CDM_FILTER_UNIT) == 0)
                return sd_bus_message_read(m, "s", &q->unit);
        if (strcmp(key, CDM_FILTER_UID) == 0) {
                q->has_uid = true;
                return sd_bus_message_read(m, "u", &q->uid);
        }
        if (strcmp(key, CDM_FILTER_USED) == 0) {
                r = sd_bus_message_read(m, "b", &used);
                q->used = r >= 0 && used;
                return r;
        }
        r = sd_bus_message_read(m, "s", &q->state);
        if (r >= 0 && reservation_state_from_string(q->state, &state) < 0)
                return sd_bus_error_setf(error, CDM_ERROR_INVALID,
                                         "there is no state '%s'; org.cdmd1(5) lists them", q->state);
        return r;
}

static int read_filter(sd_bus_message *m, Query *q, unsigned *seen, sd_bus_error *error)
{
        const char *key, *contents;

        int r = sd_bus_message_read(m, "s", &key);
        if (r < 0)
                return r;
        int i = find_filter(key);
        if (i < 0)
                return sd_bus_error_setf(error, CDM_ERROR_INVALID, "there is no filter '%s'", key);
        if (*seen & (1u << i))
                return sd_bus_error_setf(error, CDM_ERROR_INVALID, "the filter '%s' is given twice", key);
        *seen |= 1u << i;
        const char *type = filters[i].type;
        r = sd_bus_message_peek_type(m, NULL, &contents);
        if (r < 0)
                return r;
        if (strcmp(contents, type) != 0)
                return sd_bus_error_setf(error, CDM_ERROR_INVALID,
                                         "the filter '%s' is of type '%s', not '%s'", key, type, contents);
        r = sd_bus_message_enter_container(m, 'v', type);
        if (r >= 0)
                r = read_filter_value(m, key, q, error);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int query_read(sd_bus_message *m, Query *ret, sd_bus_error *error)
{
        Query q = { 0 };
        unsigned seen = 0;

        int r = sd_bus_message_read(m, "uu", &q.after, &q.max);
        if (r < 0)
                return r;
        if (q.max == 0 || q.max > CDM_PAGE_MAX)
                return sd_bus_error_setf(error, CDM_ERROR_INVALID,
                                         "a page has from 1 to %d reservations, not %" PRIu32, CDM_PAGE_MAX,
                                         q.max);
        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_filter(m, &q, &seen, error);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r < 0)
                return r;
        *ret = q;
        return 0;
}

/* --- collecting --------------------------------------------------------------------------------------- */

static bool bus_list_matches(const Query *q, const Entry *e)
{
        const Subject *target = e->r->target;

        return e->known && (!q->pool || strcmp(q->pool, e->r->pool) == 0) &&
               (!q->has_uid || q->uid == target->uid) &&
               (!q->unit || (target->unit && strcmp(q->unit, target->unit) == 0)) &&
               (!q->state || strcmp(q->state, bus_reservation_state(e)) == 0);
}

static size_t text_bytes(const char *s)
{
        return s ? strlen(s) : 0;
}

static size_t labels_bytes(const Labels *labels)
{
        size_t n = 0;

        for (size_t i = 0; i < labels->n; i++)
                n += strlen(labels->items[i].key) + strlen(labels->items[i].value) + 16;
        return n;
}

static uint64_t row_bytes(const Reservation *r)
{
        return ROW_BYTES + r->n_shares * sizeof(Share) + text_bytes(r->pool) + text_bytes(r->rule_file) +
               text_bytes(r->target->unit) + text_bytes(r->target->cgroup) +
               labels_bytes(&r->target->labels);
}

static int take_id(BusLister *l, const Reservation *r)
{
        if (l->used) {
                Used *u = &l->used[l->n_used];

                *u = (Used){ .nodes = reservation_nodes(r) };
                if (r->target->cgroup && !(u->cgroup = strdup(r->target->cgroup)))
                        return -ENOMEM;
                l->n_used++;
        }
        l->ids[l->n_ids++] = r->id;
        l->n_bytes += row_bytes(r);
        return 0;
}

typedef struct Visit {
        BusLister *lister;
        unsigned n_visits;
} Visit;

/* 1: the slice ends; 2: the page ends. */
static int collect_one(Reservation *r, void *userdata)
{
        Visit *s = userdata;
        BusLister *l = s->lister;
        const Entry *e = book_find(l->book, r->id);
        bool is_match = e && bus_list_matches(&l->query, e);

        if (is_match && (l->n_ids == l->query.max || l->n_bytes >= PAGE_BYTES))
                return 2;
        int k = is_match ? take_id(l, r) : 0;
        if (k < 0)
                return k;
        l->position = r->id;
        l->n_visits++;
        if (++s->n_visits == VISITS_SLICE)
                return l->n_visits >= VISITS_MAX ? 2 : 1;
        return 0;
}

/* 1: the page is complete. */
static int lister_collect(BusLister *l)
{
        Visit s = { l, 0 };

        int r = ledger_foreach_after(l->book->ledger, l->position, collect_one, &s);
        if (r < 0)
                return r;
        l->complete = r == 0;
        return r != 1;
}

/* --- the answer --------------------------------------------------------------------------------------- */

static int append_used(BusLister *l, sd_bus_message *m, size_t row)
{
        uint64_t bytes = l->used[row].bytes + buffers_bytes(l->buffers, l->ids[row], -1, true);

        return sd_bus_message_append(m, "{sv}", "Used", "t", bytes);
}

static bool may_see_labels(const BusLister *l, const Entry *e)
{
        return l->uid == 0 || l->uid == e->r->target->uid;
}

/* Appends the labels as a variant. */
static int append_labels(sd_bus_message *m, const Labels *labels)
{
        int r = sd_bus_message_open_container(m, 'v', "a{ss}");

        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{ss}");
        for (size_t i = 0; r >= 0 && i < labels->n; i++)
                r = sd_bus_message_append(m, "{ss}", labels->items[i].key, labels->items[i].value);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_labels_entry(sd_bus_message *m, const Labels *labels)
{
        int r = sd_bus_message_open_container(m, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append(m, "s", "Labels");
        if (r >= 0)
                r = append_labels(m, labels);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int list_append_row(BusLister *l, size_t row)
{
        sd_bus_message *m = l->reply;
        Entry *e = book_find(l->book, l->ids[row]);

        if (!e || !e->known)
                return 0;
        int r = sd_bus_message_open_container(m, 'r', "ua{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "u", e->id);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = bus_reservation_append(e, m);
        if (r >= 0 && l->used)
                r = append_used(l, m, row);
        if (r >= 0 && may_see_labels(l, e))
                r = append_labels_entry(m, &e->r->target->labels);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int lister_reply_page(BusLister *l)
{
        int r = sd_bus_message_close_container(l->reply);

        if (r >= 0)
                r = sd_bus_message_append(l->reply, "u", l->complete ? 0 : l->position);
        return r < 0 ? r : sd_bus_send(NULL, l->reply, NULL);
}

/* 1: the reply was sent. */
static int lister_append(BusLister *l)
{
        int r = 0;

        if (!l->reply) {
                r = sd_bus_message_new_method_return(l->call, &l->reply);
                if (r >= 0)
                        r = sd_bus_message_open_container(l->reply, 'a', "(ua{sv})");
        }
        for (unsigned n = 0; r >= 0 && n < ROWS_SLICE && l->next_row < l->n_ids; n++)
                r = list_append_row(l, l->next_row++);
        if (r < 0 || l->next_row < l->n_ids)
                return r < 0 ? r : 0;
        r = lister_reply_page(l);
        return r < 0 ? r : 1;
}

/* 1: the reply was sent. */
static int lister_reply_labels(BusLister *l, const Entry *e)
{
        int r;

        if (!may_see_labels(l, e))
                r = sd_bus_reply_method_errorf(
                        l->call, CDM_ERROR_DENIED,
                        "labels are shown to the owner of the reservation and to root");
        else {
                r = sd_bus_message_new_method_return(l->call, &l->reply);
                if (r >= 0)
                        r = append_labels(l->reply, &e->r->target->labels);
                if (r >= 0)
                        r = sd_bus_send(NULL, l->reply, NULL);
        }
        return r < 0 ? r : 1;
}

/* 1: the reply was sent. */
static int lister_reply_get(BusLister *l)
{
        uint32_t id = l->query.after + 1;
        Entry *e = book_find(l->book, id);
        int r;

        if (e && e->known && l->n_ids > 0 && l->ids[0] == id && !l->used)
                return lister_reply_labels(l, e);
        if (!e || !e->known || l->n_ids == 0 || l->ids[0] != id)
                r = sd_bus_reply_method_errorf(l->call, SD_BUS_ERROR_UNKNOWN_OBJECT,
                                               "the reservation ended meanwhile");
        else
                r = sd_bus_reply_method_return(l->call, "v", "t",
                                               l->used[0].bytes + buffers_bytes(l->buffers, id, -1, true));
        return r < 0 ? r : 1;
}

/* --- one step after the other ------------------------------------------------------------------------- */

static void lister_finish(BusLister *l, int error)
{
        if (error < 0)
                (void)sd_bus_reply_method_errno(l->call, error, NULL);
        lister_clear(l);
        bus_callers_pause(l->callers, l->book->core->bus);
        slice_set(l->slice, true); /* for the next call */
}

static int lister_on_worker(Job *job, void *userdata)
{
        BusLister *l = userdata;

        return used_read(l->used, l->n_used, job);
}

static void lister_on_read(int result, void *userdata)
{
        BusLister *l = userdata;

        l->job = NULL;
        if (l->stopping) {
                lister_clear(l);
                free(l);
                return;
        }
        l->phase = PHASE_APPEND;
        if (result < 0)
                lister_finish(l, result);
        else
                slice_set(l->slice, true);
}

static int lister_read(BusLister *l)
{
        slice_set(l->slice, false);
        l->phase = PHASE_READ;
        return worker_submit(l->book->core->reader, lister_on_worker, lister_on_read, NULL, l, &l->job);
}

/* The arguments are valid: bus_list_reservations() has already read them once. */
static int lister_begin(BusLister *l)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        l->is_get = sd_bus_message_is_method_call(l->call, CDM_INTERFACE_MANAGER, NULL) == 0;
        if (l->is_get) {
                /* Handled as a list of one row. */
                uint32_t id = bus_reservation_id(sd_bus_message_get_path(l->call));
                l->query = (Query){ .after = id - 1, .max = 1, .used = l->reads_used };
        } else {
                r = sd_bus_message_rewind(l->call, true);
                if (r >= 0)
                        r = query_read(l->call, &l->query, &error);
                if (r < 0)
                        return r;
        }
        l->position = l->query.after;
        l->ids = calloc(l->query.max, sizeof(*l->ids));
        if (l->query.used)
                l->used = calloc(l->query.max, sizeof(*l->used));
        if (!l->ids || (l->query.used && !l->used))
                return -ENOMEM;
        l->phase = PHASE_COLLECT;
        return 0;
}

/* 1: the call is answered. */
static int lister_step(BusLister *l)
{
        int r;

        switch (l->phase) {
        case PHASE_IDLE:
                return lister_begin(l);
        case PHASE_COLLECT:
                r = lister_collect(l);
                if (r <= 0)
                        return r;
                l->phase = PHASE_APPEND;
                return l->n_used > 0 ? lister_read(l) : 0;
        case PHASE_APPEND:
                return l->is_get ? lister_reply_get(l) : lister_append(l);
        default:
                return 0;
        }
}

static void lister_on_slice(void *userdata)
{
        BusLister *l = userdata;

        if (!l->call && !(l->call = bus_callers_next(l->callers, &l->uid, NULL))) {
                slice_set(l->slice, false);
                return;
        }
        int r = lister_step(l);
        if (r != 0)
                lister_finish(l, r);
}

/* --- asked for ---------------------------------------------------------------------------------------- */

int bus_list_reservations(Bus *b, sd_bus_message *message, sd_bus_error *error)
{
        Query q;

        int r = query_read(message, &q, error);
        if (r < 0)
                return r;
        BusLister *l = q.used ? b->lister_used : b->lister;
        return bus_callers_add(l->callers, message, "lists of reservations", NULL);
}

/* Called before the vtable, for all calls to the path and to paths below it. With such a callback sd-bus
 * treats every path below as an object, so calls to unknown objects must be refused here. */
static int lister_on_get(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        const char *path = sd_bus_message_get_path(call), *interface, *property;
        Bus *b = userdata;

        if (strcmp(path, CDM_PATH_RESERVATION) == 0)
                return 0;
        Entry *e = book_find(b->book, bus_reservation_id(path));
        if (!e || !e->known)
                return sd_bus_error_setf(error, SD_BUS_ERROR_UNKNOWN_OBJECT, "unknown object '%s'", path);
        if (!sd_bus_message_is_method_call(call, "org.freedesktop.DBus.Properties", "Get"))
                return 0;
        int r = sd_bus_message_read(call, "ss", &interface, &property);
        if (r < 0 || strcmp(interface, CDM_INTERFACE_RESERVATION) != 0 ||
            (strcmp(property, "Used") != 0 && strcmp(property, "Labels") != 0))
                return 0;
        if (strcmp(property, "Labels") == 0)
                return bus_callers_add(b->lister->callers, call, "questions for Labels", NULL);
        return bus_callers_add(b->lister_used->callers, call, "questions for Used", NULL);
}

int bus_list_install(Bus *b)
{
        return sd_bus_add_fallback(b->bus, NULL, CDM_PATH_RESERVATION, lister_on_get, b);
}
