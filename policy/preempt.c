/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The room of a node is its capacity minus the reservations that stay there, so displacing one more never
 * makes the room smaller. The ledger keeps these sums, and keeps the displaceable reservations in order of
 * priority, so that other reservations cost nothing here. The search starts with all candidates displaced
 * and spares them one by one, the largest first, as long as the rest is enough. The result is a minimal set:
 * each of its members is needed. With few candidates the search then tries all sets (branch and bound).
 *
 *      room(n) = capacity(n) - bytes that stay there   (whole pages; 0 while an exclusive one stays) */

#include "policy/preempt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Up to SEARCH_MAX candidates all sets are tried, in at most STEPS_MAX steps. */
#define SEARCH_MAX 16
#define STEPS_MAX  2048

/* The number of candidates: the lowest priorities, an equal number from each node. Some visited reservations
 * cannot be displaced (those of the requesting tenant, or with an exact buffer), so at most
 * VISITS_PER_CANDIDATE times as many are visited. */
#define CANDIDATES_MAX       512
#define CANDIDATES_NODE_MIN  16
#define VISITS_PER_CANDIDATE 4

typedef struct Candidates {
        const Reservation **list;
        size_t n, n_allocated;
} Candidates;

/* The state of one node during the search. */
typedef struct Room {
        int node;
        unsigned __int128 capacity, stay;
        size_t n_stay;  /* reservations of other tenants that stay */
        size_t n_alone; /* the exclusive ones among them */
} Room;

typedef struct Search {
        const PreemptInput *in;
        Room *rooms;
        Candidates c;
        bool *displaced, *best;
        unsigned __int128 cost, best_cost;
        int32_t best_highest;
        bool found;
        size_t n_steps, n_visits;
} Search;

static Room *room_of(Search *s, int node)
{
        for (size_t i = 0; i < s->in->n_nodes; i++)
                if (s->rooms[i].node == node)
                        return &s->rooms[i];
        return NULL;
}

static uint64_t preempt_room_bytes(const PreemptInput *in, const Room *r)
{
        if (r->capacity <= r->stay || r->n_alone > 0 || (in->whole && r->n_stay > 0))
                return 0;
        return (uint64_t)(r->capacity - r->stay) & ~(in->page_bytes - 1);
}

/* Counts a reservation of another tenant. by: 1: it stays; -1: it leaves. */
static void preempt_put(Search *s, const Reservation *r, int by)
{
        for (size_t i = 0; i < r->n_shares; i++) {
                Room *room = r->shares[i].bytes > 0 ? room_of(s, r->shares[i].node) : NULL;

                if (!room)
                        continue;
                if (by > 0)
                        room->stay += r->shares[i].bytes;
                else
                        room->stay -= r->shares[i].bytes;
                room->n_stay += (size_t)by;
                if (r->exclusive)
                        room->n_alone += (size_t)by;
        }
}

static bool preempt_is_enough(const Search *s)
{
        Candidate nodes[NODE_MAX];
        Placement p;
        size_t n = 0;

        for (size_t i = 0; i < s->in->n_nodes; i++) {
                uint64_t bytes = preempt_room_bytes(s->in, &s->rooms[i]);

                if (bytes > 0)
                        nodes[n++] = (Candidate){ .node = s->rooms[i].node, .available_bytes = bytes };
        }
        return place(nodes, n, s->in->size_bytes, s->in->whole, &p);
}

/* An exact buffer is never taken away from its users, so displacing its reservation may free nothing. */
static bool preempt_may_be_displaced(const PreemptInput *in, const Reservation *r)
{
        return r->exact_bytes == 0 && (r->state == RESERVATION_ACTIVE || r->state == RESERVATION_DEGRADED) &&
               r->priority < in->priority && strcmp(ledger_tenant_key(r->target), in->tenant) != 0;
}

static int preempt_remember(Candidates *c, const Reservation *r)
{
        if (c->n == c->n_allocated) {
                size_t n = c->n_allocated ? c->n_allocated * 2 : 32;
                const Reservation **list = realloc(c->list, n * sizeof(*list));

                if (!list)
                        return -ENOMEM;
                c->list = list;
                c->n_allocated = n;
        }
        c->list[c->n++] = r;
        return 0;
}

typedef struct PreemptWalk {
        Search *s;
        size_t n_left, n_visits_left;
} PreemptWalk;

/* 1: ends the walk over this node. */
static int preempt_meet(Reservation *r, void *userdata)
{
        PreemptWalk *w = userdata;

        if (r->priority >= w->s->in->priority || w->n_left == 0 || w->n_visits_left == 0)
                return 1;
        w->n_visits_left--;
        w->s->n_visits++;
        if (!preempt_may_be_displaced(w->s->in, r))
                return 0;
        w->n_left--;
        return preempt_remember(&w->s->c, r);
}

static int preempt_compare_candidate_id(const void *a, const void *b)
{
        const Reservation *x = *(const Reservation *const *)a, *y = *(const Reservation *const *)b;

        return (x->id > y->id) - (x->id < y->id);
}

/* Removes duplicates: a reservation on several nodes was visited on each of them. */
static void preempt_drop_twins(Candidates *c)
{
        size_t n = 0;

        if (c->n > 0)
                qsort(c->list, c->n, sizeof(*c->list), preempt_compare_candidate_id);
        for (size_t i = 0; i < c->n; i++)
                if (i == 0 || c->list[i] != c->list[i - 1])
                        c->list[n++] = c->list[i];
        c->n = n;
}

static int preempt_collect(Search *s)
{
        size_t each = s->in->n_nodes > 0 ? CANDIDATES_MAX / s->in->n_nodes : 0;

        if (each < CANDIDATES_NODE_MIN)
                each = CANDIDATES_NODE_MIN;
        for (size_t i = 0; i < s->in->n_nodes; i++) {
                PreemptWalk w = { s, each, each * VISITS_PER_CANDIDATE };
                int r = ledger_foreach_displaceable(s->in->ledger, s->in->nodes[i].node, preempt_meet, &w);

                if (r < 0)
                        return r;
        }
        preempt_drop_twins(&s->c);
        return 0;
}

/* The order in which candidates are spared: the largest first, then the higher priority, then the older. */
static int preempt_compare(const void *a, const void *b)
{
        const Reservation *x = *(const Reservation *const *)a, *y = *(const Reservation *const *)b;

        if (x->size_bytes != y->size_bytes)
                return x->size_bytes > y->size_bytes ? -1 : 1;
        if (x->priority != y->priority)
                return x->priority > y->priority ? -1 : 1;
        return x->id < y->id ? -1 : 1;
}

static void preempt_displace(Search *s, size_t i)
{
        preempt_put(s, s->c.list[i], -1);
        s->displaced[i] = true;
        s->cost += s->c.list[i]->size_bytes;
}

static void preempt_spare(Search *s, size_t i)
{
        preempt_put(s, s->c.list[i], 1);
        s->displaced[i] = false;
        s->cost -= s->c.list[i]->size_bytes;
}

static void preempt_keep_if_better(Search *s)
{
        int32_t highest = INT32_MIN;

        for (size_t i = 0; i < s->c.n; i++)
                if (s->displaced[i] && s->c.list[i]->priority > highest)
                        highest = s->c.list[i]->priority;
        if (s->found && (s->cost > s->best_cost || (s->cost == s->best_cost && highest >= s->best_highest)))
                return;
        s->found = true;
        s->best_cost = s->cost;
        s->best_highest = highest;
        memcpy(s->best, s->displaced, s->c.n * sizeof(bool));
}

/* The candidates from i on are displaced, but may still be spared. fixed: the bytes of earlier candidates
 * that stay displaced. */
static void preempt_search(Search *s, size_t i, unsigned __int128 fixed)
{
        if (++s->n_steps > STEPS_MAX || (s->found && fixed > s->best_cost))
                return;
        if (i == s->c.n) {
                preempt_keep_if_better(s);
                return;
        }
        preempt_spare(s, i);
        if (preempt_is_enough(s))
                preempt_search(s, i + 1, fixed);
        preempt_displace(s, i);
        preempt_search(s, i + 1, fixed + s->c.list[i]->size_bytes);
}

static int preempt_compare_id(const void *a, const void *b)
{
        const Victim *x = a, *y = b;

        return (x->id > y->id) - (x->id < y->id);
}

static int preempt_hand_over(const Search *s, Victim **ret, size_t *ret_n)
{
        Victim *v = calloc(s->c.n + 1, sizeof(*v));
        size_t n = 0;

        if (!v)
                return -ENOMEM;
        for (size_t i = 0; i < s->c.n; i++) {
                const Reservation *r = s->c.list[i];

                if (s->best[i])
                        v[n++] = (Victim){ r->id, r->priority, r->size_bytes };
        }
        qsort(v, n, sizeof(*v), preempt_compare_id);
        *ret = v;
        *ret_n = n;
        return 0;
}

static int preempt_choose(Search *s, PreemptVerdict *ret_verdict, Victim **ret, size_t *ret_n)
{
        *ret_verdict = PREEMPT_WAIT;
        if (preempt_is_enough(s))
                return 0;
        int r = preempt_collect(s);
        if (r < 0)
                return r;
        s->displaced = calloc(s->c.n + 1, sizeof(bool));
        s->best = calloc(s->c.n + 1, sizeof(bool));
        if (!s->displaced || !s->best)
                return -ENOMEM;
        if (s->c.n > 0)
                qsort(s->c.list, s->c.n, sizeof(*s->c.list), preempt_compare);
        for (size_t i = 0; i < s->c.n; i++)
                preempt_displace(s, i);
        *ret_verdict = PREEMPT_NO_ROOM;
        if (!preempt_is_enough(s))
                return 0;
        *ret_verdict = PREEMPT_DISPLACE;
        if (s->c.n <= SEARCH_MAX)
                preempt_search(s, 0, 0);
        else {
                for (size_t i = 0; i < s->c.n; i++) {
                        preempt_spare(s, i);
                        if (!preempt_is_enough(s))
                                preempt_displace(s, i);
                }
                preempt_keep_if_better(s);
        }
        return preempt_hand_over(s, ret, ret_n);
}

int preempt(const PreemptInput *in, PreemptVerdict *ret_verdict, Victim **ret, size_t *ret_n)
{
        Search s = { .in = in, .rooms = calloc(in->n_nodes + 1, sizeof(Room)) };
        int r = s.rooms ? 0 : -ENOMEM;

        *ret = NULL;
        *ret_n = 0;
        for (size_t i = 0; r == 0 && i < in->n_nodes; i++) {
                const PreemptNode *n = &in->nodes[i];
                LedgerStay stay = ledger_node_staying(in->ledger, n->node, in->tenant);

                s.rooms[i] =
                        (Room){ n->node, n->capacity_bytes, stay.bytes, stay.n_others, stay.n_exclusive };
        }
        if (r == 0)
                r = preempt_choose(&s, ret_verdict, ret, ret_n);
        if (in->ret_n_visits)
                *in->ret_n_visits = s.n_visits;
        free(s.rooms);
        free(s.c.list);
        free(s.displaced);
        free(s.best);
        return r;
}
