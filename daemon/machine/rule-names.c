/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/machine/rule-names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define ROUND_USEC     (UINT64_C(10) * 1000 * 1000)
#define AGAIN_USEC_MIN (UINT64_C(30) * 1000 * 1000)
#define AGAIN_USEC_MAX (UINT64_C(600) * 1000 * 1000)
/* Lookups that hang must leave threads for other lookups. */
#define OPEN_MAX 2

typedef struct RuleName {
        RuleNames *all;
        int error; /* 0: id is known; -EAGAIN: not looked up yet */
        uint32_t id;
        NamesCall *call;
        UT_hash_handle hh;
        char key[]; /* 'u' or 'g', then the name */
} RuleName;

struct RuleNames {
        Names *names;
        sd_event *event;
        RuleName *by_key;
        RuleName *next; /* the next name of this round */
        unsigned n_open;
        bool asking; /* an immediate answer must not call rule_names_go_on() */
        bool ready, found;
        uint64_t again_usec;
        sd_event_source *round, *again;
        rule_names_done_t done;
        void *userdata;
};

static int rule_names_add(RuleNames *r, char kind, char *const *words)
{
        for (; words && *words; words++) {
                size_t n = strlen(*words);
                RuleName *known, *x;

                if ((*words)[strspn(*words, "0123456789")] == '\0')
                        continue;
                x = calloc(1, sizeof(*x) + n + 2);
                if (!x)
                        return -ENOMEM;
                x->all = r;
                x->error = -EAGAIN;
                x->key[0] = kind;
                memcpy(x->key + 1, *words, n + 1);
                HASH_FIND_STR(r->by_key, x->key, known);
                if (known)
                        free(x);
                else
                        HASH_ADD_STR(r->by_key, key, x);
        }
        return 0;
}

int rule_names_find(bool group, const char *name, uint32_t *ret, void *userdata)
{
        const RuleNames *r = userdata;
        size_t n = strlen(name);
        _cleanup_free_ char *key = malloc(n + 2);
        RuleName *x;

        if (!key)
                return -ENOMEM;
        key[0] = group ? 'g' : 'u';
        memcpy(key + 1, name, n + 1);
        HASH_FIND_STR(r->by_key, key, x);
        if (!x)
                return -EAGAIN;
        if (x->error == 0)
                *ret = x->id;
        return x->error;
}

static void rule_names_go_on(RuleNames *r);

static void rule_names_on_answer(int error, const NameRecord *record, void *userdata)
{
        RuleName *x = userdata;
        RuleNames *r = x->all;

        x->call = NULL;
        r->found |= error >= 0 || error == -ENOENT;
        x->error = error < 0 ? error : 0;
        x->id = record ? record->id : 0;
        r->n_open--;
        if (!r->asking)
                rule_names_go_on(r);
}

static bool rule_names_is_known(const RuleName *x)
{
        return x->error == 0 || x->error == -ENOENT;
}

static int rule_names_on_begin(sd_event_source *source, uint64_t usec, void *userdata);

static void rule_names_end_round(RuleNames *r)
{
        bool tell = !r->ready || r->found, missing = false;

        r->round = sd_event_source_disable_unref(r->round);
        for (RuleName *x = r->by_key; x; x = x->hh.next) {
                if (x->call) {
                        x->call = names_call_free(x->call);
                        x->error = -ETIMEDOUT;
                }
                if (x->error == -EAGAIN)
                        x->error = -ETIMEDOUT;
                missing |= !rule_names_is_known(x);
        }
        r->n_open = 0;
        r->next = NULL;
        r->ready = true;
        r->found = false;
        if (missing) {
                uint64_t usec = r->again_usec;

                r->again_usec = usec < AGAIN_USEC_MAX / 2 ? 2 * usec : AGAIN_USEC_MAX;
                /* If this fails, the names are looked up at the next reload. */
                (void)sd_event_add_time_relative(r->event, &r->again, CLOCK_MONOTONIC, usec, 0,
                                                 rule_names_on_begin, r);
        }
        if (tell)
                r->done(r->userdata);
}

static int rule_names_on_round(sd_event_source *source, uint64_t usec, void *userdata)
{
        rule_names_end_round(userdata);
        return 0;
}

static void rule_names_go_on(RuleNames *r)
{
        r->asking = true;
        while (r->next && r->n_open < OPEN_MAX) {
                RuleName *x = r->next;
                NameKind kind = x->key[0] == 'g' ? NAME_GROUP : NAME_USER;

                r->next = x->hh.next;
                if (rule_names_is_known(x))
                        continue;
                r->n_open++;
                int k = names_ask(r->names, kind, x->key + 1, 0, rule_names_on_answer, x, &x->call);
                if (k < 0)
                        rule_names_on_answer(k, NULL, x);
        }
        r->asking = false;
        if (!r->next && r->n_open == 0)
                rule_names_end_round(r);
}

/* Called from the event loop, so that done is not called from within rule_names_new(). */
static int rule_names_on_begin(sd_event_source *source, uint64_t usec, void *userdata)
{
        RuleNames *r = userdata;

        r->again = sd_event_source_disable_unref(r->again);
        int k = sd_event_add_time_relative(r->event, &r->round, CLOCK_MONOTONIC, ROUND_USEC, 0,
                                           rule_names_on_round, r);
        r->next = k < 0 ? NULL : r->by_key;
        rule_names_go_on(r);
        return 0;
}

int rule_names_new(Names *names, sd_event *event, const Config *config, rule_names_done_t done,
                   void *userdata, RuleNames **ret)
{
        _cleanup_(rule_names_free_p) RuleNames *r = calloc(1, sizeof(*r));
        int k = 0;

        if (!r)
                return -ENOMEM;
        r->names = names;
        r->event = sd_event_ref(event);
        r->again_usec = AGAIN_USEC_MIN;
        r->done = done;
        r->userdata = userdata;
        for (size_t i = 0; k >= 0 && i < config->n_rules; i++) {
                k = rule_names_add(r, 'u', config->rules[i]->users);
                if (k >= 0)
                        k = rule_names_add(r, 'g', config->rules[i]->groups);
        }
        r->ready = !r->by_key;
        if (k >= 0 && !r->ready)
                k = sd_event_add_time_relative(event, &r->again, CLOCK_MONOTONIC, 0, 0, rule_names_on_begin,
                                               r);
        if (k < 0)
                return k;
        *ret = TAKE_PTR(r);
        return 0;
}

RuleNames *rule_names_free(RuleNames *r)
{
        RuleName *x, *next;

        if (!r)
                return NULL;
        HASH_ITER (hh, r->by_key, x, next) {
                HASH_DEL(r->by_key, x);
                names_call_free(x->call);
                free(x);
        }
        sd_event_source_disable_unref(r->round);
        sd_event_source_disable_unref(r->again);
        sd_event_unref(r->event);
        free(r);
        return NULL;
}

bool rule_names_is_ready(const RuleNames *r)
{
        return !r || r->ready;
}
