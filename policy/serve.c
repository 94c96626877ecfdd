/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "policy/serve.h"

#include <errno.h>

/* True if the request needs a decision: an allowed node is not claimed by an earlier waiter, or the request
 * waits only for what it displaced, and a quota has become too small for it. Else only updates the claims of
 * the request. */
static bool serve_is_due(const Snapshot *s, Queue *q, const Request *request)
{
        const Pool *pool = pool_set_find(s->pools, request->pool);
        const Config *config = s->config;
        NodeSet allowed, claimed;

        if (!pool)
                return true; /* decide() will end the request */
        allowed = decide_allowed_nodes(
                request, pool, rule_find(config->rules, config->n_rules, pool->name, request->subject));
        claimed = queue_claimed(q, request->priority, request->id);
        if (!nodeset_is_subset(&allowed, &claimed) || nodeset_is_empty(&allowed) ||
            (!request->queue && decide_is_over_quota(s, request)))
                return true;
        queue_claim(q, request->id, &allowed);
        return false;
}

static bool serve_act(Queue *q, ServeWalk *walk, const Decision *d, const Request *request, ServeAction *ret)
{
        switch (d->verdict) {
        case VERDICT_GRANTED:
                *ret = SERVE_GRANT;
                /* The grant may have used up the quota. Then earlier waiters of the same rule lose their
                 * claims, and later waiters must not be judged by the old claims. */
                if (d->rule->has_quota || d->rule->has_user_quota)
                        *walk = (ServeWalk){ .cost = walk->cost };
                return true;
        case VERDICT_QUEUED:
                queue_claim(q, request->id, &d->claims);
                *ret = SERVE_DISPLACE;
                return d->n_victims > 0;
        default:
                *ret = SERVE_END;
                return true;
        }
}

int serve_next(const Snapshot *s, Queue *q, ServeWalk *walk, Served *ret)
{
        const Request *request;

        while ((request = queue_next(q, walk->priority, walk->id))) {
                _cleanup_(decision_free_p) Decision *d = NULL;
                ServeAction action;
                int r;

                if (walk->cost >= SERVE_SLICE) {
                        walk->cost = 0;
                        return -EAGAIN;
                }
                *walk = (ServeWalk){ request->priority, request->id, walk->cost + 1 };
                if (!serve_is_due(s, q, request))
                        continue;
                walk->cost += SERVE_DECISION - 1;
                r = decide(s, request, &d);
                if (r < 0)
                        return r;
                if (!serve_act(q, walk, d, request, &action))
                        continue;
                *ret = (Served){ .action = action, .request = request, .decision = TAKE_PTR(d) };
                return 1;
        }
        return 0;
}
