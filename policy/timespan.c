/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "policy/macro.h"
#include "policy/timespan.h"

#define USEC_PER_SEC  UINT64_C(1000000)
#define USEC_PER_MIN  (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MIN)
#define USEC_PER_DAY  (24 * USEC_PER_HOUR)

/* The names of systemd.time(7); a month is 30.44 days there and a year 365.25. */
static const struct {
        const char *name;
        uint64_t usec;
} units[] = {
        { "us", 1 },
        { "usec", 1 },
        { "\302\265s", 1 }, /* U+00B5 micro sign */
        { "\316\274s", 1 }, /* U+03BC Greek mu */
        { "ms", 1000 },
        { "msec", 1000 },
        { "s", USEC_PER_SEC },
        { "sec", USEC_PER_SEC },
        { "second", USEC_PER_SEC },
        { "seconds", USEC_PER_SEC },
        { "m", USEC_PER_MIN },
        { "min", USEC_PER_MIN },
        { "minute", USEC_PER_MIN },
        { "minutes", USEC_PER_MIN },
        { "h", USEC_PER_HOUR },
        { "hr", USEC_PER_HOUR },
        { "hour", USEC_PER_HOUR },
        { "hours", USEC_PER_HOUR },
        { "d", USEC_PER_DAY },
        { "day", USEC_PER_DAY },
        { "days", USEC_PER_DAY },
        { "w", 7 * USEC_PER_DAY },
        { "week", 7 * USEC_PER_DAY },
        { "weeks", 7 * USEC_PER_DAY },
        { "M", 2629800 * USEC_PER_SEC },
        { "month", 2629800 * USEC_PER_SEC },
        { "months", 2629800 * USEC_PER_SEC },
        { "y", 31557600 * USEC_PER_SEC },
        { "year", 31557600 * USEC_PER_SEC },
        { "years", 31557600 * USEC_PER_SEC },
};

static int timespan_find_unit(const char *name, size_t n, uint64_t *ret)
{
        for (size_t i = 0; i < ARRAY_SIZE(units); i++)
                if (strlen(units[i].name) == n && memcmp(units[i].name, name, n) == 0) {
                        *ret = units[i].usec;
                        return 0;
                }
        return -EINVAL;
}

/* Adds one component ("30min", "1.5 h") to *usec and moves *p past it and the white space after it. A bare
 * number is seconds, but only on its own: "1h 30" is ambiguous and refused. */
static int timespan_read_component(const char **p, bool first, bool *too_big, unsigned __int128 *usec)
{
        unsigned __int128 whole = 0, fraction = 0, scale = 1;
        uint64_t unit = USEC_PER_SEC;
        const char *name;
        size_t n;

        if (!isdigit((unsigned char)**p))
                return -EINVAL;
        for (; isdigit((unsigned char)**p); (*p)++)
                if (whole <= UINT64_MAX)
                        whole = whole * 10 + (unsigned)(**p - '0');
        if (**p == '.') {
                (*p)++;
                if (!isdigit((unsigned char)**p))
                        return -EINVAL;
                for (; isdigit((unsigned char)**p); (*p)++)
                        if (scale < 1000000000000) { /* more digits are ignored */
                                fraction = fraction * 10 + (unsigned)(**p - '0');
                                scale *= 10;
                        }
        }

        *p += strspn(*p, " \t");
        name = *p;
        for (n = 0; isalpha((unsigned char)name[n]) || (unsigned char)name[n] >= 0x80; n++)
                ;
        if (n > 0 ? timespan_find_unit(name, n, &unit) < 0 : !first || *name != '\0')
                return -EINVAL;
        *p += n;
        *p += strspn(*p, " \t");

        if (whole > UINT64_MAX)
                *too_big = true;
        else
                *usec += whole * unit + fraction * unit / scale;
        if (*usec >= TIMESPAN_INFINITY)
                *too_big = true;
        return 0;
}

int timespan_parse(const char *text, uint64_t *ret_usec)
{
        unsigned __int128 usec = 0;
        bool too_big = false;
        const char *p = text + strspn(text, " \t");

        if (strcmp(p, "infinity") == 0) {
                *ret_usec = TIMESPAN_INFINITY;
                return 0;
        }
        for (bool first = true; first || *p != '\0'; first = false) {
                int r = timespan_read_component(&p, first, &too_big, &usec);

                if (r < 0)
                        return r;
                if (too_big)
                        usec = 0; /* continue, to check the syntax of the rest */
        }
        if (too_big)
                return -ERANGE;
        *ret_usec = (uint64_t)usec;
        return 0;
}

const char *timespan_format(uint64_t usec, char buf[static TIMESPAN_STR_MAX])
{
        static const struct {
                const char *name;
                uint64_t usec;
        } shown[] = {
                { "d", USEC_PER_DAY }, { "h", USEC_PER_HOUR }, { "min", USEC_PER_MIN },
                { "s", USEC_PER_SEC }, { "ms", 1000 },         { "us", 1 },
        };
        unsigned n_units = 0;
        size_t n = 0;

        if (usec == TIMESPAN_INFINITY)
                return strcpy(buf, "infinity");
        if (usec == 0)
                return strcpy(buf, "0s");
        for (size_t i = 0; i < ARRAY_SIZE(shown) && n_units < 3; i++) {
                if (usec < shown[i].usec)
                        continue;
                n += (size_t)snprintf(buf + n, TIMESPAN_STR_MAX - n, "%s%llu%s", n_units > 0 ? " " : "",
                                      (unsigned long long)(usec / shown[i].usec), shown[i].name);
                usec %= shown[i].usec;
                n_units++;
        }
        return buf;
}
