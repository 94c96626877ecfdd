/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "policy/decide-internal.h"

int decide_answer(Case *c, Verdict verdict, const char *format, ...)
{
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&c->d->reason, format, ap);
        va_end(ap);
        if (r < 0) {
                c->d->reason = NULL;
                return -ENOMEM;
        }
        c->d->verdict = verdict;
        return 0;
}

const char *decide_format_exact(uint64_t bytes, char buf[static SIZE_EXACT_MAX])
{
        Size back;

        if (size_parse(size_format(bytes, buf), &back) < 0 || back.value != bytes)
                snprintf(buf, SIZE_EXACT_MAX, "%llu bytes", (unsigned long long)bytes);
        return buf;
}
