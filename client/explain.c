/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmctl explain: shows which rule decides a request, and the result. The daemon's answer and that of
 * --offline are the same record, printed and turned into an exit status in one place. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "client/filter.h"
#include "client/offline.h"
#include "client/reserve.h"
#include "client/text.h"
#include "policy/cdm-names.h"
#include "policy/size.h"

typedef struct Answer {
        char *verdict, *reason, *policy; /* policy: FILE:LINE, or "" */
        uint64_t size;
        Share shares[SHARES_MAX];
        size_t n_shares;
} Answer;

static void answer_clear(Answer *a)
{
        free(a->verdict);
        free(a->reason);
        free(a->policy);
}

/* The words are those of verdict_to_string(), so that scripts see one vocabulary. */
static int exit_status(const char *verdict)
{
        static const struct {
                Verdict verdict;
                int status;
        } table[] = {
                { VERDICT_GRANTED, CDM_EXIT_DONE },
                { VERDICT_QUEUED, CDM_EXIT_DONE },
                { VERDICT_DENIED, CDM_EXIT_DENIED },
                { VERDICT_FULL, CDM_EXIT_FULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++)
                if (strcmp(verdict_to_string(table[i].verdict), verdict) == 0)
                        return table[i].status;
        return CDM_EXIT_FAILED; /* no such pool, invalid, or a verdict of a newer daemon */
}

static void write_line(const char *label, const char *text)
{
        _cleanup_free_ char *clean = text_sanitise(text);

        printf("%8s: ", label);
        text_wrap(stdout, clean ? clean : TEXT_REPLACEMENT, 10, text_terminal_width());
}

static void explain_print_human(const Answer *a)
{
        char list[NODESET_STR_MAX], size[SIZE_STR_MAX], bytes[32];
        NodeSet nodes = NODESET_EMPTY;

        write_line("Verdict", a->verdict);
        if (*a->reason)
                write_line("Reason", a->reason);
        write_line("Rule", *a->policy ? a->policy : "none");
        if (a->n_shares == 0)
                return;

        snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long)a->size);
        printf("%8s: %s (%s bytes)\n", "Size", size_format(a->size, size), bytes);
        for (size_t i = 0; i < a->n_shares; i++)
                nodeset_add(&nodes, a->shares[i].node);
        printf("%8s: %s", "Nodes", nodeset_format(&nodes, list));
        for (size_t i = 0; a->n_shares > 1 && i < a->n_shares; i++)
                printf("%s%s on %d", i > 0 ? ", " : " (", size_format(a->shares[i].bytes, size),
                       a->shares[i].node);
        puts(a->n_shares > 1 ? ")" : "");
}

static void explain_print_json(const Answer *a, JsonMode mode)
{
        Json j = JSON_WRITER(stdout, mode);

        json_object_begin(&j);
        json_key(&j, "verdict");
        json_string(&j, a->verdict);
        json_key(&j, "reason");
        json_string(&j, a->reason);
        json_key(&j, "policy");
        json_string(&j, *a->policy ? a->policy : NULL);
        json_key(&j, "size");
        json_unsigned(&j, a->size);
        json_key(&j, "nodes");
        json_array_begin(&j);
        for (size_t i = 0; i < a->n_shares; i++) {
                json_object_begin(&j);
                json_key(&j, "node");
                json_signed(&j, a->shares[i].node);
                json_key(&j, "size");
                json_unsigned(&j, a->shares[i].bytes);
                json_object_end(&j);
        }
        json_array_end(&j);
        json_object_end(&j);
        json_finish(&j);
}

static int explain_tell(const Answer *a, const TableStyle *style)
{
        if (!a->verdict || !a->reason || !a->policy)
                return fail(CDM_EXIT_FAILED, "cdmd's answer has no verdict: is it of another version?");
        if (style->json != JSON_OFF)
                explain_print_json(a, style->json);
        else
                explain_print_human(a);
        return exit_status(a->verdict);
}

static int explain_offline(const Args *args, const char *pool, const Size *size)
{
        _cleanup_(answer_clear) Answer answer = { 0 };
        _cleanup_(decision_free_p) Decision *d = NULL;
        _cleanup_(offline_free_p) Offline *o = NULL;

        int status = offline_new(args->root, &o);
        if (status == 0)
                status = offline_decide(o, args, pool, size, &d);
        if (status != 0)
                return status;

        answer.verdict = strdup(verdict_to_string(d->verdict));
        answer.reason = strdup(d->reason ? d->reason : "");
        if (!d->rule)
                answer.policy = strdup("");
        else if (asprintf(&answer.policy, "%s:%u", d->rule->file, d->line) < 0)
                answer.policy = NULL;
        if (!answer.verdict || !answer.reason || !answer.policy)
                return fail(CDM_EXIT_FAILED, "out of memory");

        answer.size = d->size_bytes;
        answer.n_shares = d->n_shares;
        memcpy(answer.shares, d->shares, sizeof(answer.shares));
        return explain_tell(&answer, &args->style);
}

static int explain_read_shares(sd_bus_message *m, Answer *a)
{
        uint32_t node;
        uint64_t bytes;
        int r;

        if ((r = sd_bus_message_enter_container(m, 'v', "a(ut)")) < 0 ||
            (r = sd_bus_message_enter_container(m, 'a', "(ut)")) < 0)
                return r;
        while ((r = sd_bus_message_read(m, "(ut)", &node, &bytes)) > 0) {
                if (node >= NODE_MAX || a->n_shares == SHARES_MAX)
                        return -ERANGE;
                a->shares[a->n_shares++] = (Share){ .node = (int)node, .bytes = bytes };
        }
        if (r < 0 || (r = sd_bus_message_exit_container(m)) < 0)
                return r;
        return sd_bus_message_exit_container(m);
}

static int read_text(sd_bus_message *m, char **field)
{
        const char *s;

        int r = sd_bus_message_read(m, "v", "s", &s);
        if (r < 0)
                return r;
        free(*field);
        *field = strdup(s);
        return *field ? 0 : -ENOMEM;
}

static int read_entry(sd_bus_message *m, Answer *a)
{
        const char *key;

        int r = sd_bus_message_read(m, "s", &key);
        if (r < 0)
                return r;
        if (strcmp(key, "verdict") == 0)
                return read_text(m, &a->verdict);
        if (strcmp(key, "reason") == 0)
                return read_text(m, &a->reason);
        if (strcmp(key, "policy") == 0)
                return read_text(m, &a->policy);
        if (strcmp(key, "size") == 0)
                return sd_bus_message_read(m, "v", "t", &a->size);
        if (strcmp(key, "nodes") == 0)
                return explain_read_shares(m, a);
        return sd_bus_message_skip(m, "v");
}

static int read_answer(sd_bus_message *m, Answer *a)
{
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0)
                if ((r = read_entry(m, a)) < 0 || (r = sd_bus_message_exit_container(m)) < 0)
                        return r;
        return r;
}

static int explain_online(const Args *args)
{
        _cleanup_(sd_bus_flush_close_unref_p) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unref_p) sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_(answer_clear) Answer answer = { 0 };

        int status = client_open(&bus);
        if (status == 0)
                status = reserve_message(bus, "Explain", args, false, &m);
        if (status == 0)
                status = client_send(bus, m, &reply);
        if (status != 0)
                return status;

        int r = read_answer(reply, &answer);
        if (r < 0)
                return client_garbled(r);
        status = explain_tell(&answer, &args->style);
        if (status == CDM_EXIT_FAILED && args->style.json == JSON_OFF)
                hint_at_names(bus, args->positional[0], args->unit);
        return status;
}

int verb_explain(const Args *args)
{
        _cleanup_free_ char *cgroup = NULL;
        const char *pool;
        Args resolved;
        Size size;

        int status = args_parse_pool_size(args, &pool, &size);
        if (status == 0)
                status = reserve_resolve(args, &resolved, &cgroup);
        if (status != 0)
                return status;
        return args->offline ? explain_offline(&resolved, pool, &size) : explain_online(&resolved);
}
