/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "policy/reservation.h"

#include <errno.h>
#include <string.h>

static const char *const reservation_state_table[_RESERVATION_STATE_MAX] = {
        [RESERVATION_QUEUED] = "queued",     [RESERVATION_ACTIVE] = "active",
        [RESERVATION_DEGRADED] = "degraded", [RESERVATION_REVOKING] = "revoking",
        [RESERVATION_DRAINING] = "draining",
};

const char *reservation_state_to_string(ReservationState v)
{
        return v < _RESERVATION_STATE_MAX ? reservation_state_table[v] : NULL;
}

int reservation_state_from_string(const char *s, ReservationState *ret)
{
        for (ReservationState v = 0; v < _RESERVATION_STATE_MAX; v++)
                if (strcmp(s, reservation_state_table[v]) == 0) {
                        *ret = v;
                        return 0;
                }
        return -EINVAL;
}

static const char *const strength_table[_STRENGTH_MAX] = {
        [STRENGTH_EXCLUSIVE] = "exclusive", [STRENGTH_WATCHED] = "watched",   [STRENGTH_CAPPED] = "capped",
        [STRENGTH_EXACT] = "exact",         [STRENGTH_ADVISORY] = "advisory",
};

const char *strength_to_string(Strength v)
{
        return v < _STRENGTH_MAX ? strength_table[v] : NULL;
}

int reservation_new(Reservation **ret)
{
        Reservation *r = calloc(1, sizeof(Reservation));

        if (!r)
                return -ENOMEM;
        *ret = r;
        return 0;
}

Wait *wait_free(Wait *w)
{
        if (!w)
                return NULL;
        free(w->client);
        free(w->scope_slice);
        free(w);
        return NULL;
}

Reservation *reservation_free(Reservation *r)
{
        if (!r)
                return NULL;
        free(r->pool);
        free(r->rule_file);
        subject_free(r->target);
        wait_free(r->wait);
        free(r->shares);
        free(r);
        return NULL;
}

int reservation_set_shares(Reservation *r, const Share *shares, size_t n_shares)
{
        Share *own = NULL;

        if (n_shares > 0) {
                own = calloc(n_shares, sizeof(*own));
                if (!own)
                        return -ENOMEM;
                memcpy(own, shares, n_shares * sizeof(*own));
        }
        free(r->shares);
        r->shares = own;
        r->n_shares = n_shares;
        return 0;
}

NodeSet reservation_nodes(const Reservation *r)
{
        NodeSet nodes = NODESET_EMPTY;

        for (size_t i = 0; i < r->n_shares; i++)
                if (r->shares[i].bytes > 0)
                        nodeset_add(&nodes, r->shares[i].node);
        return nodes;
}

int reservation_copy_terms(const Reservation *r, Reservation **ret)
{
        _cleanup_(reservation_free_p) Reservation *c = NULL;

        int k = reservation_new(&c);
        if (k >= 0)
                k = string_copy(r->rule_file, &c->rule_file);
        if (k >= 0)
                k = reservation_set_shares(c, r->shares, r->n_shares);
        if (k < 0)
                return k;
        c->rule_line = r->rule_line;
        *ret = TAKE_PTR(c);
        return 0;
}
