/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/wait.h"
#include "policy/size.h"

/* An earlier estimate would be useless. */
#define RATE_USEC_MIN UINT64_C(500000)
/* A longer time means that the drain makes no progress. */
#define LEFT_SECONDS_MAX UINT64_C(359999)

bool progress_is_wanted(const TableStyle *style)
{
        return !style->quiet && isatty(STDERR_FILENO);
}

static const char *format_seconds(uint64_t seconds, char buf[static 24])
{
        if (seconds >= 3600)
                snprintf(buf, 24, "%uh %umin", (unsigned)(seconds / 3600), (unsigned)(seconds % 3600 / 60));
        else if (seconds >= 60)
                snprintf(buf, 24, "%umin %us", (unsigned)(seconds / 60), (unsigned)(seconds % 60));
        else
                snprintf(buf, 24, "%us", (unsigned)seconds);
        return buf;
}

const char *progress_rate(uint64_t moved_bytes, uint64_t usec, uint64_t left_bytes,
                          char buf[static PROGRESS_RATE_MAX])
{
        char rate_text[SIZE_STR_MAX], left_text[24];

        buf[0] = '\0';
        if (moved_bytes == 0 || usec < RATE_USEC_MIN)
                return buf;
        double rate = (double)moved_bytes * 1e6 / (double)usec;
        double seconds = (double)left_bytes / rate + 0.5;
        if (rate < 1 || seconds > (double)LEFT_SECONDS_MAX)
                return buf;
        snprintf(buf, PROGRESS_RATE_MAX, ", %s/s, %s to go", size_format((uint64_t)rate, rate_text),
                 format_seconds((uint64_t)seconds, left_text));
        return buf;
}

/* Truncates the line to the width of the terminal: of a wrapped line only the last row could be
 * overwritten. */
static void put_line(const char *line)
{
        struct winsize size;
        int width = (int)strlen(line);

        if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && width >= size.ws_col)
                width = size.ws_col - 1;
        fprintf(stderr, "\r%.*s\033[K", width, line);
}

void progress_show(Progress *p, const char *what, uint64_t left_bytes, uint64_t total_bytes)
{
        char line[256], rate[PROGRESS_RATE_MAX], left_text[SIZE_STR_MAX], total_text[SIZE_STR_MAX];
        uint64_t now = clock_usec(CLOCK_MONOTONIC);

        if (!p->shown) {
                p->begin_usec = now;
                p->begin_bytes = left_bytes;
        }
        uint64_t moved = p->begin_bytes > left_bytes ? p->begin_bytes - left_bytes : 0;
        snprintf(line, sizeof(line), "%s: %s of %s left%s", what, size_format(left_bytes, left_text),
                 size_format(total_bytes, total_text),
                 progress_rate(moved, now - p->begin_usec, left_bytes, rate));
        put_line(line);
        p->shown = true;
}

void progress_clear(Progress *p)
{
        if (p->shown)
                fputs("\r\033[K", stderr);
        p->shown = false;
}
