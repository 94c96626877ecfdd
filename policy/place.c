/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "policy/place.h"

/* Chooses the node that fits the rest most tightly. If no node can hold the rest, chooses the largest, so
 * that few nodes are needed. */
static int place_compare_fit(const Candidate *a, const Candidate *b, uint64_t left_bytes)
{
        bool a_holds = a->available_bytes >= left_bytes, b_holds = b->available_bytes >= left_bytes;

        if (a_holds != b_holds)
                return a_holds ? -1 : 1;
        if (a->available_bytes == b->available_bytes)
                return 0;
        return (a->available_bytes < b->available_bytes) == a_holds ? -1 : 1;
}

/* Negative: a is the better place for left_bytes. */
static int place_compare(const Candidate *a, const Candidate *b, uint64_t left_bytes)
{
        int fit;

        if ((a->n_others > 0) != (b->n_others > 0))
                return a->n_others > 0 ? 1 : -1;
        if (a->distance != b->distance)
                return a->distance < b->distance ? -1 : 1;
        if (a->bandwidth_mbps != b->bandwidth_mbps)
                return a->bandwidth_mbps > b->bandwidth_mbps ? -1 : 1;
        fit = place_compare_fit(a, b, left_bytes);
        return fit != 0 ? fit : a->node - b->node;
}

static Candidate *place_best_single(Candidate *candidates, size_t n, uint64_t size_bytes)
{
        Candidate *best = NULL;

        for (size_t i = 0; i < n; i++) {
                Candidate *c = &candidates[i];

                if (c->available_bytes >= size_bytes && (!best || place_compare(c, best, size_bytes) < 0))
                        best = c;
        }
        return best;
}

static Candidate *place_best_next(Candidate *candidates, size_t n, uint64_t left_bytes, bool largest_first)
{
        Candidate *best = NULL;

        for (size_t i = 0; i < n; i++) {
                Candidate *c = &candidates[i];
                bool better;

                if (c->taken || c->available_bytes == 0)
                        continue;
                if (largest_first)
                        better = !best || c->available_bytes > best->available_bytes;
                else
                        better = !best || place_compare(c, best, left_bytes) < 0;
                if (better)
                        best = c;
        }
        return best;
}

static void place_add_share(Placement *p, Candidate *c, uint64_t left_bytes, bool whole)
{
        uint64_t bytes = whole || c->available_bytes < left_bytes ? c->available_bytes : left_bytes;

        c->taken = true;
        p->shares[p->n_shares++] = (Share){ .node = c->node, .bytes = bytes };
        p->total_bytes += bytes;
}

static bool place_several(Candidate *candidates, size_t n, uint64_t size_bytes, bool whole,
                          bool largest_first, Placement *ret)
{
        Placement p = { .n_shares = 0 };

        for (size_t i = 0; i < n; i++)
                candidates[i].taken = false;
        while (p.total_bytes < size_bytes && p.n_shares < SHARES_MAX) {
                uint64_t left_bytes = size_bytes - p.total_bytes;
                Candidate *c = place_best_next(candidates, n, left_bytes, largest_first);

                if (!c)
                        return false;
                place_add_share(&p, c, left_bytes, whole);
        }
        if (p.total_bytes < size_bytes)
                return false;
        *ret = p;
        return true;
}

bool place(Candidate *candidates, size_t n, uint64_t size_bytes, bool whole, Placement *ret)
{
        Candidate *single = place_best_single(candidates, n, size_bytes);

        if (single) {
                *ret = (Placement){ .n_shares = 0 };
                place_add_share(ret, single, size_bytes, whole);
                return true;
        }
        /* The preferred nodes can be too many. If they are more than SHARES_MAX, only the size counts. */
        return place_several(candidates, n, size_bytes, whole, false, ret) ||
               place_several(candidates, n, size_bytes, whole, true, ret);
}
