/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The text of a reservation's file: a version line, Key=value lines, and a last line `end`, which shows that
 * the file is complete. No key occurs twice. Unknown keys are refused, because this version of cdmd could
 * not preserve their meaning. */

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "daemon/loop/store-escape.h"
#include "daemon/loop/store-text.h"
#include "policy/nodeset.h"
#include "policy/timespan.h"

#define STORE_HEADER  "cdmd-reservation 1"
#define STORE_TRAILER "end"

static const char *const phase_names[_STORE_PHASE_MAX] = {
        [STORE_GRANTING] = "granting",
        [STORE_GRANTED] = "granted",
        [STORE_QUEUED] = "queued",
};

const char *store_phase_to_string(StorePhase v)
{
        return v < _STORE_PHASE_MAX ? phase_names[v] : NULL;
}

int store_phase_from_string(const char *s, StorePhase *ret)
{
        for (size_t i = 0; i < _STORE_PHASE_MAX; i++)
                if (strcmp(s, phase_names[i]) == 0) {
                        *ret = (StorePhase)i;
                        return 0;
                }
        return -EINVAL;
}

/* The result while a file is parsed. The phase is not part of the reservation. */
typedef struct StoreDraft {
        Reservation *r;
        StorePhase phase;
} StoreDraft;

static int store_text_set_id(StoreDraft *d, const char *v)
{
        int r = store_parse_u32(v, &d->r->id);
        return r < 0 || d->r->id == 0 ? -EINVAL : 0;
}

static int store_text_set_phase(StoreDraft *d, const char *v)
{
        return store_phase_from_string(v, &d->phase);
}

static int store_text_set_pool(StoreDraft *d, const char *v)
{
        return store_unescape(v, &d->r->pool);
}

static int store_text_set_size(StoreDraft *d, const char *v)
{
        return store_parse_u64(v, &d->r->size_bytes);
}

static int store_text_set_state(StoreDraft *d, const char *v)
{
        return reservation_state_from_string(v, &d->r->state);
}

static int store_text_set_unit(StoreDraft *d, const char *v)
{
        return store_unescape(v, &d->r->target->unit);
}

static int store_text_set_slice(StoreDraft *d, const char *v)
{
        return store_unescape(v, &d->r->target->slice);
}

static int store_text_set_cgroup(StoreDraft *d, const char *v)
{
        return store_unescape(v, &d->r->target->cgroup);
}

static int store_text_set_cgroup_id(StoreDraft *d, const char *v)
{
        return store_parse_u64(v, &d->r->target->cgroup_id);
}

static int store_text_set_container(StoreDraft *d, const char *v)
{
        return store_unescape(v, &d->r->target->container);
}

static int store_text_set_uid(StoreDraft *d, const char *v)
{
        return store_parse_u32(v, &d->r->target->uid);
}

static int store_text_set_requester(StoreDraft *d, const char *v)
{
        return store_parse_u32(v, &d->r->requester);
}

static int store_text_set_labels(StoreDraft *d, const char *v)
{
        return store_parse_labels(v, &d->r->target->labels);
}

static int store_text_set_unit_uid(StoreDraft *d, const char *v)
{
        return store_parse_u32(v, &d->r->target->unit_uid);
}

static int store_text_set_priority(StoreDraft *d, const char *v)
{
        bool negative = *v == '-';
        uint32_t n;

        if (store_parse_u32(v + negative, &n) < 0 || n > (uint32_t)INT32_MAX + negative)
                return -EINVAL;
        d->r->priority = (int32_t)(negative ? -(int64_t)n : n);
        return 0;
}

static Wait *store_text_wait_of(StoreDraft *d)
{
        if (!d->r->wait)
                d->r->wait = calloc(1, sizeof(Wait));
        return d->r->wait;
}

static bool store_text_set_wait_flag(StoreDraft *d, const char *word)
{
        bool patient = strcmp(word, "patient") == 0, migrate = strcmp(word, "migrate") == 0,
             bind = strcmp(word, "bind") == 0;

        if ((!patient && !migrate && !bind) || !store_text_wait_of(d))
                return false;
        d->r->wait->patient |= patient;
        d->r->wait->migrate |= migrate;
        d->r->wait->bind |= bind;
        return true;
}

static int store_text_set_wait_nodes(StoreDraft *d, const char *v)
{
        return store_text_wait_of(d) ? nodeset_parse(v, &d->r->wait->nodes) : -ENOMEM;
}

static int store_text_set_wait_near(StoreDraft *d, const char *v)
{
        return store_text_wait_of(d) ? nodeset_parse(v, &d->r->wait->near) : -ENOMEM;
}

static int store_text_set_deadline(StoreDraft *d, const char *v)
{
        return store_text_wait_of(d) ? store_parse_u64(v, &d->r->wait->deadline_usec) : -ENOMEM;
}

static int store_text_set_client(StoreDraft *d, const char *v)
{
        return store_text_wait_of(d) ? store_unescape(v, &d->r->wait->client) : -ENOMEM;
}

static int store_text_set_client_scope(StoreDraft *d, const char *v)
{
        return store_text_wait_of(d) ? store_unescape(v, &d->r->wait->scope_slice) : -ENOMEM;
}

/* The PID and start time of the process. */
static int store_text_set_client_process(StoreDraft *d, const char *v)
{
        int pid, n;

        if (!store_text_wait_of(d))
                return -ENOMEM;
        if (sscanf(v, "%d %" SCNu64 "%n", &pid, &d->r->wait->pid_start, &n) != 2 || v[n] || pid <= 0)
                return -EINVAL;
        d->r->wait->pid = pid;
        return 0;
}

/* The names of the flags that are set: exclusive, capped, scope, with-start, nobody, below-unit; for a waiting
 * request also patient, migrate, bind. */
static int store_text_set_flags(StoreDraft *d, const char *v)
{
        char word[16];
        int n;

        for (; sscanf(v, " %15s%n", word, &n) == 1; v += n)
                if (store_text_set_wait_flag(d, word))
                        continue;
                else if (strcmp(word, "exclusive") == 0)
                        d->r->exclusive = true;
                else if (strcmp(word, "capped") == 0)
                        d->r->capped = true;
                else if (strcmp(word, "scope") == 0)
                        d->r->scope = true;
                else if (strcmp(word, "with-start") == 0)
                        d->r->with_start = true;
                else if (strcmp(word, "nobody") == 0)
                        d->r->target->nobody = true;
                else if (strcmp(word, "below-unit") == 0)
                        d->r->target->below_unit = true;
                else
                        return -EINVAL;
        return 0;
}

static int store_text_set_rule(StoreDraft *d, const char *v)
{
        const char *colon = strrchr(v, ':');

        if (!colon || store_parse_u32(colon + 1, &d->r->rule_line) < 0)
                return -EINVAL;
        _cleanup_free_ char *file = strndup(v, (size_t)(colon - v));
        return file ? store_unescape(file, &d->r->rule_file) : -ENOMEM;
}

static int store_text_set_lease(StoreDraft *d, const char *v)
{
        return store_parse_u64(v, &d->r->lease_usec);
}

static int store_text_set_expires(StoreDraft *d, const char *v)
{
        return store_parse_u64(v, &d->r->expires_usec);
}

static int store_text_set_term(StoreDraft *d, const char *v)
{
        return store_parse_u64(v, &d->r->term_usec);
}

/* The time, and the reservation for which this one is revoked. */
static int store_text_set_revoke(StoreDraft *d, const char *v)
{
        int n;

        if (sscanf(v, "%" SCNu64 " %" SCNu32 "%n", &d->r->revoke_usec, &d->r->revoked_for, &n) != 2 || v[n])
                return -EINVAL;
        return 0;
}

static int store_text_set_asked(StoreDraft *d, const char *v)
{
        return nodeset_parse(v, &d->r->asked);
}

static int store_text_set_base(StoreDraft *d, const char *v)
{
        return nodeset_parse(v, &d->r->base);
}

/* NODE:BYTES, separated by a space. */
static int store_text_set_shares(StoreDraft *d, const char *v)
{
        Share shares[SHARES_MAX];
        size_t n_shares = 0;
        int n;

        for (; *v; v += n + (v[n] == ' ')) {
                Share share;
                if (n_shares == SHARES_MAX)
                        return -EINVAL;
                if (sscanf(v, "%d:%" SCNu64 "%n", &share.node, &share.bytes, &n) != 2 || share.node < 0 ||
                    share.node >= NODE_MAX || (v[n] && v[n] != ' '))
                        return -EINVAL;
                for (size_t i = 0; i < n_shares; i++)
                        if (shares[i].node == share.node)
                                return -EINVAL;
                shares[n_shares++] = share;
        }
        return reservation_set_shares(d->r, shares, n_shares);
}

static const struct {
        const char *key;
        bool required;
        int (*set)(StoreDraft *d, const char *value);
} keys[] = {
        { "Id", true, store_text_set_id },
        { "Phase", true, store_text_set_phase },
        { "Pool", true, store_text_set_pool },
        { "Size", true, store_text_set_size },
        { "State", true, store_text_set_state },
        { "Unit", false, store_text_set_unit },
        { "Slice", false, store_text_set_slice },
        { "ControlGroup", false, store_text_set_cgroup },
        { "ControlGroupId", true, store_text_set_cgroup_id },
        { "Container", false, store_text_set_container },
        { "Uid", true, store_text_set_uid },
        { "Requester", false, store_text_set_requester },
        { "Labels", false, store_text_set_labels },
        { "UnitUid", true, store_text_set_unit_uid },
        { "Priority", true, store_text_set_priority },
        { "Flags", true, store_text_set_flags },
        { "Rule", false, store_text_set_rule },
        { "Lease", true, store_text_set_lease },
        { "Term", true, store_text_set_term },
        { "Expires", true, store_text_set_expires },
        { "Revoke", false, store_text_set_revoke },
        { "Asked", false, store_text_set_asked },
        { "Base", true, store_text_set_base },
        { "Shares", true, store_text_set_shares },
        { "Deadline", false, store_text_set_deadline },
        { "Nodes", false, store_text_set_wait_nodes },
        { "Near", false, store_text_set_wait_near },
        { "Client", false, store_text_set_client },
        { "ClientProcess", false, store_text_set_client_process },
        { "ClientScope", false, store_text_set_client_scope },
};

static void store_text_print_wait(FILE *f, const Wait *w)
{
        char list[NODESET_STR_MAX];

        fprintf(f, "Deadline=%" PRIu64 "\nNodes=%s\n", w->deadline_usec, nodeset_format(&w->nodes, list));
        fprintf(f, "Near=%s\n", nodeset_format(&w->near, list));
        store_print_escaped(f, "Client", w->client);
        if (w->pid > 0)
                fprintf(f, "ClientProcess=%d %" PRIu64 "\n", w->pid, w->pid_start);
        store_print_escaped(f, "ClientScope", w->scope_slice);
}

_Static_assert(ARRAY_SIZE(keys) <= 64, "`seen` has one bit per key");

int store_format(const Reservation *r, StorePhase phase, char **ret)
{
        char base[NODESET_STR_MAX];
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return -ENOMEM;
        fprintf(f, STORE_HEADER "\nId=%" PRIu32 "\nPhase=%s\n", r->id, store_phase_to_string(phase));
        store_print_escaped(f, "Pool", r->pool);
        fprintf(f, "Size=%" PRIu64 "\nState=%s\n", r->size_bytes, reservation_state_to_string(r->state));
        store_print_escaped(f, "Unit", r->target->unit);
        store_print_escaped(f, "Slice", r->target->slice);
        store_print_escaped(f, "ControlGroup", r->target->cgroup);
        fprintf(f, "ControlGroupId=%" PRIu64 "\n", r->target->cgroup_id);
        store_print_escaped(f, "Container", r->target->container);
        fprintf(f, "Uid=%u\n", r->target->uid);
        if (r->requester != r->target->uid)
                fprintf(f, "Requester=%u\n", r->requester);
        store_print_labels(f, "Labels", &r->target->labels);
        fprintf(f, "UnitUid=%u\nPriority=%" PRIi32 "\n", r->target->unit_uid, r->priority);
        fprintf(f, "Flags=%s%s%s%s%s%s", r->exclusive ? "exclusive " : "", r->capped ? "capped " : "",
                r->scope ? "scope " : "", r->with_start ? "with-start " : "",
                r->target->nobody ? "nobody " : "", r->target->below_unit ? "below-unit " : "");
        if (r->wait)
                fprintf(f, "%s%s%s", r->wait->patient ? "patient " : "", r->wait->migrate ? "migrate " : "",
                        r->wait->bind ? "bind " : "");
        fputc('\n', f);
        if (r->rule_file) {
                _cleanup_free_ char *rule = NULL;
                if (asprintf(&rule, "%s:%u", r->rule_file, r->rule_line) < 0)
                        rule = NULL;
                store_print_escaped(f, "Rule", rule);
        }
        fprintf(f, "Lease=%" PRIu64 "\nTerm=%" PRIu64 "\nExpires=%" PRIu64 "\n", r->lease_usec, r->term_usec,
                r->expires_usec);
        if (r->revoke_usec)
                fprintf(f, "Revoke=%" PRIu64 " %" PRIu32 "\n", r->revoke_usec, r->revoked_for);
        if (!nodeset_is_empty(&r->asked))
                fprintf(f, "Asked=%s\n", nodeset_format(&r->asked, base));
        fprintf(f, "Base=%s\nShares=", nodeset_format(&r->base, base));
        for (size_t i = 0; i < r->n_shares; i++)
                fprintf(f, "%s%d:%" PRIu64, i ? " " : "", r->shares[i].node, r->shares[i].bytes);
        fputc('\n', f);
        if (r->wait)
                store_text_print_wait(f, r->wait);
        fprintf(f, STORE_TRAILER "\n");
        if (fclose(f) != 0) {
                free(text);
                return -ENOMEM;
        }
        *ret = text;
        return 0;
}

static int store_text_parse_line(StoreDraft *d, char *line, uint64_t *seen, const char **ret_reason)
{
        char *value = strchr(line, '=');

        *ret_reason = "it has a line that is not Key=value";
        if (!value)
                return -EBADMSG;
        *value++ = '\0';
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                if (strcmp(line, keys[i].key) != 0)
                        continue;
                *ret_reason = "a key occurs twice";
                if (*seen & (UINT64_C(1) << i))
                        return -EBADMSG;
                *seen |= UINT64_C(1) << i;
                *ret_reason = "a value is garbled";
                int r = keys[i].set(d, value);
                return r < 0 && r != -ENOMEM ? -EBADMSG : r;
        }
        *ret_reason = "it has a key that this version does not know";
        return -EBADMSG;
}

static int store_text_check_whole(const StoreDraft *d, uint64_t seen, bool ended, const char **ret_reason)
{
        *ret_reason = "it is cut off";
        if (!ended)
                return -EBADMSG;
        *ret_reason = "a key is missing";
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                if (keys[i].required && !(seen & (UINT64_C(1) << i)))
                        return -EBADMSG;
        *ret_reason = "it waits, but lacks the details of the request";
        if ((d->phase == STORE_QUEUED) != (d->r->state == RESERVATION_QUEUED) ||
            (d->phase == STORE_QUEUED && !d->r->wait))
                return -EBADMSG;
        *ret_reason = "it names no unit or cgroup";
        if (!d->r->target->unit && !d->r->target->cgroup)
                return -EBADMSG;
        return 0;
}

int store_parse(const char *text, Reservation **ret, StorePhase *ret_phase, const char **ret_reason)
{
        _cleanup_(reservation_free_p) Reservation *r = NULL;
        _cleanup_free_ char *copy = strdup(text);
        StoreDraft d = { 0 };
        uint64_t seen = 0;
        bool first = true, ended = false;
        char *save = NULL;

        if (!copy || reservation_new(&r) < 0)
                return -ENOMEM;
        if (!r->target)
                r->target = calloc(1, sizeof(*r->target));
        if (!r->target)
                return -ENOMEM;
        d.r = r;
        r->requester = UID_NONE;
        for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                *ret_reason = "it has text after its end";
                if (ended)
                        return -EBADMSG;
                *ret_reason = "it has another version, or is not a reservation";
                if (first && strcmp(line, STORE_HEADER) != 0)
                        return -EBADMSG;
                if (!first && strcmp(line, STORE_TRAILER) == 0)
                        ended = true;
                else if (!first) {
                        int k = store_text_parse_line(&d, line, &seen, ret_reason);
                        if (k < 0)
                                return k;
                }
                first = false;
        }
        int c = store_text_check_whole(&d, seen, ended, ret_reason);
        if (c < 0)
                return c;
        if (r->requester == UID_NONE)
                r->requester = r->target->uid;
        *ret = TAKE_PTR(r);
        *ret_phase = d.phase;
        return 0;
}
