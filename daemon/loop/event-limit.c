/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <uthash.h>

#include "daemon/loop/event-limit.h"

#define TOKEN_USEC (UINT64_C(1) * 1000 * 1000)
/* Full buckets carry no information. They are dropped when there are this many buckets. */
#define BUCKETS_KEPT 64

typedef struct Bucket {
        uid_t uid;
        unsigned tokens;
        uint64_t filled_usec; /* time of the last added token */
        uint64_t left_out;
        UT_hash_handle hh;
} Bucket;

struct EventLimit {
        Bucket *buckets;
};

int event_limit_new(EventLimit **ret)
{
        EventLimit *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        *ret = l;
        return 0;
}

static void bucket_drop(EventLimit *l, Bucket *b)
{
        HASH_DEL(l->buckets, b);
        free(b);
}

EventLimit *event_limit_free(EventLimit *l)
{
        if (!l)
                return NULL;
        while (l->buckets)
                bucket_drop(l, l->buckets);
        free(l);
        return NULL;
}

static void bucket_fill(Bucket *b, uint64_t now_usec)
{
        uint64_t n = now_usec > b->filled_usec ? (now_usec - b->filled_usec) / TOKEN_USEC : 0;

        b->filled_usec += n * TOKEN_USEC;
        b->tokens = n >= EVENT_LIMIT_BURST - b->tokens ? EVENT_LIMIT_BURST : b->tokens + (unsigned)n;
        if (b->tokens == EVENT_LIMIT_BURST)
                b->filled_usec = now_usec;
}

static void event_limit_drop_full(EventLimit *l, uint64_t now_usec)
{
        Bucket *b, *next;

        HASH_ITER (hh, l->buckets, b, next) {
                bucket_fill(b, now_usec);
                if (b->tokens == EVENT_LIMIT_BURST && b->left_out == 0)
                        bucket_drop(l, b);
        }
}

static Bucket *bucket_get(EventLimit *l, uid_t uid, uint64_t now_usec)
{
        Bucket *b;

        HASH_FIND(hh, l->buckets, &uid, sizeof(uid), b);
        if (b)
                return b;
        if (HASH_COUNT(l->buckets) >= BUCKETS_KEPT)
                event_limit_drop_full(l, now_usec);
        b = calloc(1, sizeof(*b));
        if (!b)
                return NULL;
        *b = (Bucket){ .uid = uid, .tokens = EVENT_LIMIT_BURST, .filled_usec = now_usec };
        HASH_ADD(hh, l->buckets, uid, sizeof(b->uid), b);
        return b;
}

bool event_limit_take(EventLimit *l, uid_t uid, uint64_t now_usec, uint64_t *ret_left_out)
{
        Bucket *b = bucket_get(l, uid, now_usec);

        if (b) {
                bucket_fill(b, now_usec);
                if (b->tokens == 0) {
                        b->left_out++;
                        return false;
                }
                b->tokens--;
        }
        *ret_left_out = b ? b->left_out : 0;
        if (b)
                b->left_out = 0;
        return true;
}
