/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/fence/subtenant-settle.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "daemon/loop/clock.h"

#define SETTLING_USEC (UINT64_C(5) * 1000 * 1000)

typedef struct Settling Settling;

struct Settling {
        char *unit;
        uint64_t until_usec; /* CLOCK_MONOTONIC */
        Settling *next;
};

/* There are as many as units with subtenants that were changed within five seconds. */
static Settling *settling;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Called with the lock held. Frees what has settled. */
static Settling *settling_find(const char *unit, uint64_t now_usec)
{
        Settling *s, *next, *found = NULL;

        LL_FOREACH_SAFE(settling, s, next)
        {
                if (s->until_usec > now_usec) {
                        found = strcmp(s->unit, unit) == 0 ? s : found;
                        continue;
                }
                LL_DELETE(settling, s);
                free(s->unit);
                free(s);
        }
        return found;
}

/* Called with the lock held. NULL when out of memory: then a check may find a drift that is none. */
static Settling *settling_add(const char *unit)
{
        Settling *s = calloc(1, sizeof(*s));

        if (!s || !(s->unit = strdup(unit))) {
                free(s);
                return NULL;
        }
        LL_PREPEND(settling, s);
        return s;
}

void subtenant_settles(const char *unit)
{
        uint64_t now_usec = clock_monotonic_usec();

        pthread_mutex_lock(&lock);
        Settling *s = settling_find(unit, now_usec);
        if (!s)
                s = settling_add(unit);
        if (s)
                s->until_usec = now_usec + SETTLING_USEC;
        pthread_mutex_unlock(&lock);
}

bool subtenant_is_settling(const char *unit)
{
        pthread_mutex_lock(&lock);
        bool is = settling_find(unit, clock_monotonic_usec());
        pthread_mutex_unlock(&lock);
        return is;
}
