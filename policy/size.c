/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/macro.h"
#include "policy/size.h"

static const char units[] = "KMGTPE";

/* A decimal number as written: the digits before and after the point. */
typedef struct Decimal {
        uint64_t whole;
        bool too_big; /* whole does not fit */
        bool has_fraction;
        uint64_t fraction; /* of fraction_scale */
        uint64_t fraction_scale;
} Decimal;

/* 10^18 fits into 64 bits, and 10^18 * 2^60 into 128. */
#define FRACTION_DIGITS_MAX 18

static int size_read_decimal(const char **p, Decimal *ret)
{
        Decimal d = { .fraction_scale = 1 };
        unsigned digits = 0;

        if (!isdigit((unsigned char)**p))
                return -EINVAL;
        for (; isdigit((unsigned char)**p); (*p)++)
                if (__builtin_mul_overflow(d.whole, 10, &d.whole) ||
                    __builtin_add_overflow(d.whole, (uint64_t)(**p - '0'), &d.whole))
                        d.too_big = true;

        if (**p == '.') {
                d.has_fraction = true;
                for ((*p)++; isdigit((unsigned char)**p); (*p)++, digits++) {
                        if (digits == FRACTION_DIGITS_MAX)
                                return -EINVAL;
                        d.fraction = d.fraction * 10 + (uint64_t)(**p - '0');
                        d.fraction_scale *= 10;
                }
                if (digits == 0)
                        return -EINVAL;
        }
        *ret = d;
        return 0;
}

/* Reads "", "B", "G", "GB" or "GiB" to the end of the text. */
static int size_read_suffix(const char *p, unsigned *ret_shift)
{
        const char *unit = *p != '\0' ? strchr(units, *p) : NULL;
        unsigned shift = 0;

        if (unit) {
                shift = 10 * (unsigned)(unit - units + 1);
                p++;
                if (p[0] == 'i' && p[1] == 'B')
                        p++;
        }
        if (*p == 'B')
                p++;
        if (*p != '\0')
                return -EINVAL;
        *ret_shift = shift;
        return 0;
}

static int size_parse_percent(const Decimal *d, Size *ret)
{
        if (d->has_fraction)
                return -EINVAL;
        if (d->too_big || d->whole > 100)
                return -ERANGE;
        *ret = (Size){ .value = d->whole, .percent = true };
        return 0;
}

int size_parse(const char *text, Size *ret)
{
        unsigned __int128 bytes;
        unsigned shift;
        Decimal d;
        int r;

        r = size_read_decimal(&text, &d);
        if (r < 0)
                return r;
        if (strcmp(text, "%") == 0)
                return size_parse_percent(&d, ret);
        r = size_read_suffix(text, &shift);
        if (r < 0)
                return r;
        if (d.has_fraction && shift == 0)
                return -EINVAL;
        if (d.too_big)
                return -ERANGE;

        bytes = (unsigned __int128)d.whole << shift;
        bytes += ((unsigned __int128)d.fraction << shift) / d.fraction_scale;
        if (bytes > INT64_MAX)
                return -ERANGE;
        *ret = (Size){ .value = (uint64_t)bytes };
        return 0;
}

uint64_t size_resolve(const Size *size, uint64_t whole_bytes)
{
        if (!size->percent)
                return size->value;
        return (uint64_t)((unsigned __int128)whole_bytes * size->value / 100);
}

uint64_t size_round_up(uint64_t bytes, uint64_t page_bytes)
{
        uint64_t rounded;

        if (__builtin_add_overflow(bytes, page_bytes - 1, &rounded))
                return UINT64_MAX;
        return rounded & ~(page_bytes - 1);
}

const char *size_format(uint64_t bytes, char buf[static SIZE_STR_MAX])
{
        unsigned unit = 0; /* 0: bytes, then as in units[] */
        unsigned tenths;

        while (unit < sizeof(units) - 1 && bytes >> (10 * unit) >= 1024)
                unit++;
        if (unit == 0) {
                snprintf(buf, SIZE_STR_MAX, "%lluB", (unsigned long long)bytes);
                return buf;
        }

        /* Truncate, so that the printed amount is not more than the real one. */
        tenths = (unsigned)((bytes >> (10 * (unit - 1))) % 1024 * 10 / 1024);
        snprintf(buf, SIZE_STR_MAX, "%llu.%u", (unsigned long long)(bytes >> (10 * unit)), tenths);
        if (tenths == 0)
                buf[strlen(buf) - 2] = '\0';
        strncat(buf, &units[unit - 1], 1);
        return buf;
}
