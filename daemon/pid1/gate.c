/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/pid1/gate.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <utlist.h>
#include <uthash.h>

/* The states of a pass:
 *
 *   gate_enter() -> in a queue -> admitted (on_admit) -> gate_leave()
 *
 * The states of a message:
 *
 *   gate_send() -> open, of a pass -> answered
 *                  open, of none (the pass was left) -> answered
 *                  late (the timeout came first) -> answered
 *
 * An admitted pass counts as the maximum number of messages that it was taken for. */

#define OPEN_MAX    64  /* half of the limit of the bus, 128 */
#define CLASS_MAX   48  /* of either class: the rest is enough for one pass of the other class */
#define BUS_MAX     120 /* including late messages */
#define ADMIT_BATCH 64  /* per turn of the loop */

_Static_assert(OPEN_MAX - CLASS_MAX >= GATE_PASS_MAX, "each class must have room for one pass");

typedef enum GateClass { CLASS_OWN, CLASS_USERS, _CLASS_MAX } GateClass;

typedef struct GateLine {
        uid_t uid;
        GatePass *head;
        struct GateLine *prev, *next; /* in the round-robin list */
        UT_hash_handle hh;
} GateLine;

typedef struct GateCall {
        Gate *gate;
        GatePass *pass; /* NULL: the reply is no longer wanted */
        GateClass class;
        bool late;
        uint64_t due_usec;
        gate_reply_t reply;
        void *userdata;
        sd_bus_slot *slot;
        struct GateCall *prev, *next; /* in the list of open calls, by time of sending, or of late calls */
        struct GateCall *pass_prev, *pass_next;
} GateCall;

struct GatePass {
        Gate *gate;
        GateLine *line; /* NULL: admitted */
        GateClass class;
        unsigned n_max, n_open;
        GateCall *calls;
        gate_open_t open;
        void *userdata;
        GatePass *prev, *next;
};

struct Gate {
        sd_event *event;
        sd_bus *bus;
        uint64_t timeout_usec;
        sd_event_source *admit, *timer;
        GateLine own;
        GateLine *lines; /* by uid */
        GateLine *round; /* the same queues, in round-robin order */
        GateCall *open, *late;
        unsigned n_open[_CLASS_MAX];
        unsigned n_late;
};

static bool gate_has_room(const Gate *g, unsigned n)
{
        unsigned n_open = g->n_open[CLASS_OWN] + g->n_open[CLASS_USERS];

        return n_open + n <= OPEN_MAX && n_open + n + g->n_late <= BUS_MAX;
}

/* Selects the next pass to admit; NULL: none is waiting, or there is no room for the first one. */
static GatePass *gate_next(const Gate *g)
{
        GatePass *p = g->own.head;

        if (!p || g->n_open[CLASS_OWN] + p->n_max > CLASS_MAX)
                p = g->round ? g->round->head : NULL;
        if (!p || g->n_open[p->class] + p->n_max > CLASS_MAX)
                return NULL;
        return gate_has_room(g, p->n_max) ? p : NULL;
}

static void gate_wake(Gate *g)
{
        if (gate_next(g))
                (void)sd_event_source_set_enabled(g->admit, SD_EVENT_ONESHOT);
}

static int gate_line_get(Gate *g, uid_t uid, GateLine **ret)
{
        GateLine *l;

        if (uid == GATE_OWN) {
                *ret = &g->own;
                return 0;
        }
        HASH_FIND(hh, g->lines, &uid, sizeof(uid), l);
        if (!l) {
                l = calloc(1, sizeof(*l));
                if (!l)
                        return -ENOMEM;
                l->uid = uid;
                HASH_ADD(hh, g->lines, uid, sizeof(l->uid), l);
                DL_APPEND(g->round, l);
        }
        *ret = l;
        return 0;
}

/* Removes a pass from its queue. served: the queue moves to the end of the round. */
static void gate_line_remove(GatePass *p, bool served)
{
        Gate *g = p->gate;
        GateLine *l = p->line;

        DL_DELETE(l->head, p);
        p->line = NULL;
        if (l == &g->own)
                return;
        if (!l->head) {
                DL_DELETE(g->round, l);
                HASH_DEL(g->lines, l);
                free(l);
        } else if (served) {
                DL_DELETE(g->round, l);
                DL_APPEND(g->round, l);
        }
}

static int gate_on_admit(sd_event_source *source _unused_, void *userdata)
{
        Gate *g = userdata;
        GatePass *p;

        for (size_t i = 0; i < ADMIT_BATCH && (p = gate_next(g)); i++) {
                gate_line_remove(p, true);
                g->n_open[p->class] += p->n_max;
                p->open(p, p->userdata); /* may leave p */
        }
        gate_wake(g);
        return 0;
}

/* One timer serves all calls: the call that was sent first expires first. */
static void gate_timer_set(Gate *g)
{
        int r = g->open ? sd_event_source_set_time(g->timer, g->open->due_usec) : 0;

        if (r >= 0)
                (void)sd_event_source_set_enabled(g->timer, g->open ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

/* Detaches the call from its pass. A call without a pass counts by itself, so its room is given back. */
static void gate_call_detach(GateCall *c)
{
        if (c->pass) {
                DL_DELETE2(c->pass->calls, c, pass_prev, pass_next);
                c->pass->n_open--;
                c->pass = NULL;
        } else {
                c->gate->n_open[c->class]--;
        }
}

static int gate_on_timer(sd_event_source *source _unused_, uint64_t usec, void *userdata)
{
        Gate *g = userdata;

        while (g->open && g->open->due_usec <= usec) {
                GateCall *c = g->open;
                bool wanted = c->pass;

                gate_call_detach(c);
                DL_DELETE(g->open, c);
                DL_APPEND(g->late, c);
                c->late = true;
                g->n_late++;
                if (wanted)
                        c->reply(NULL, c->userdata);
        }
        gate_timer_set(g);
        gate_wake(g);
        return 0;
}

static void gate_call_free(GateCall *c)
{
        sd_bus_slot_unref(c->slot);
        free(c);
}

static int gate_on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_)
{
        GateCall *c = userdata;
        Gate *g = c->gate;
        bool wanted = c->pass;

        if (c->late) {
                DL_DELETE(g->late, c);
                g->n_late--;
        } else {
                gate_call_detach(c);
                DL_DELETE(g->open, c);
                gate_timer_set(g);
        }
        if (wanted)
                c->reply(m, c->userdata);
        gate_call_free(c);
        gate_wake(g);
        return 0;
}

int gate_new(sd_event *event, sd_bus *bus, uint64_t timeout_usec, Gate **ret)
{
        _cleanup_(gate_free_p) Gate *g = calloc(1, sizeof(*g));

        if (!g)
                return -ENOMEM;
        g->event = sd_event_ref(event);
        g->bus = sd_bus_ref(bus);
        g->timeout_usec = timeout_usec;
        int r = sd_event_add_defer(event, &g->admit, gate_on_admit, g);
        if (r >= 0)
                r = sd_event_source_set_enabled(g->admit, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time(event, &g->timer, CLOCK_MONOTONIC, 0, 0, gate_on_timer, g);
        if (r >= 0)
                r = sd_event_source_set_enabled(g->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        (void)sd_event_source_set_description(g->admit, "gate");
        *ret = TAKE_PTR(g);
        return 0;
}

static void gate_calls_free(GateCall **calls)
{
        while (*calls) {
                GateCall *c = *calls;

                DL_DELETE(*calls, c);
                gate_call_free(c);
        }
}

Gate *gate_free(Gate *g)
{
        if (!g)
                return NULL;
        gate_calls_free(&g->open);
        gate_calls_free(&g->late);
        sd_event_source_disable_unref(g->admit);
        sd_event_source_disable_unref(g->timer);
        sd_bus_unref(g->bus);
        sd_event_unref(g->event);
        free(g);
        return NULL;
}

sd_bus *gate_bus(const Gate *g)
{
        return g->bus;
}

sd_bus *gate_pass_bus(const GatePass *p)
{
        return p->gate->bus;
}

int gate_enter(Gate *g, uid_t uid, unsigned n_messages, gate_open_t open, void *userdata, GatePass **ret)
{
        if (n_messages == 0 || n_messages > GATE_PASS_MAX)
                return -EINVAL;
        GatePass *p = calloc(1, sizeof(*p));

        if (!p)
                return -ENOMEM;
        *p = (GatePass){ .gate = g,
                         .class = uid == GATE_OWN ? CLASS_OWN : CLASS_USERS,
                         .n_max = n_messages,
                         .open = open,
                         .userdata = userdata };
        int r = gate_line_get(g, uid, &p->line);
        if (r < 0) {
                free(p);
                return r;
        }
        DL_APPEND(p->line->head, p);
        gate_wake(g);
        *ret = p;
        return 0;
}

int gate_send(GatePass *p, sd_bus_message *m, gate_reply_t reply, void *userdata)
{
        Gate *g = p->gate;
        uint64_t now_usec;

        if (p->line || p->n_open == p->n_max)
                return -EBUSY;
        int r = sd_event_now(g->event, CLOCK_MONOTONIC, &now_usec);
        if (r < 0)
                return r;
        GateCall *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        *c = (GateCall){ .gate = g,
                         .pass = p,
                         .class = p->class,
                         .due_usec = now_usec + g->timeout_usec,
                         .reply = reply,
                         .userdata = userdata };
        /* Disables the timeout of sd-bus: after that timeout a late reply would go unnoticed. */
        r = sd_bus_call_async(g->bus, &c->slot, m, gate_on_reply, c, UINT64_MAX);
        if (r < 0) {
                free(c);
                return r;
        }
        DL_APPEND(g->open, c);
        DL_APPEND2(p->calls, c, pass_prev, pass_next);
        p->n_open++;
        if (g->open == c)
                gate_timer_set(g);
        return 0;
}

GatePass *gate_leave(GatePass *p)
{
        if (!p)
                return NULL;
        Gate *g = p->gate;
        GateCall *c;

        if (p->line) {
                gate_line_remove(p, false);
        } else {
                /* From now on the open calls count individually. */
                DL_FOREACH2 (p->calls, c, pass_next)
                        c->pass = NULL;
                g->n_open[p->class] -= p->n_max - p->n_open;
        }
        free(p);
        gate_wake(g);
        return NULL;
}
