/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/overrun.h"

#include <stddef.h>

static const char *const state_names[_OVERRUN_STATE_MAX] = {
        [OVERRUN_NONE] = "none",
        [OVERRUN_OVER] = "over",
};

const char *overrun_state_to_string(OverrunState v)
{
        return v < _OVERRUN_STATE_MAX ? state_names[v] : NULL;
}

OverrunChange overrun_look(OverrunEpisode *e, uint64_t used_bytes, uint64_t held_bytes, uint64_t slack_bytes,
                           uint64_t now_usec)
{
        uint64_t above = used_bytes > held_bytes ? used_bytes - held_bytes : 0;
        bool over = above > slack_bytes;

        if (e->state == OVERRUN_NONE && !over)
                return OVERRUN_UNCHANGED;
        if (e->state == OVERRUN_NONE) {
                *e = (OverrunEpisode){ OVERRUN_OVER, now_usec, above, 0 };
                return OVERRUN_BEGAN;
        }
        e->duration_usec = now_usec > e->since_usec ? now_usec - e->since_usec : 0;
        if (above > e->worst_bytes)
                e->worst_bytes = above;
        if (over)
                return OVERRUN_GOES_ON;
        e->state = OVERRUN_NONE;
        return OVERRUN_ENDED;
}

static uint64_t overrun_clamp(uint64_t v, uint64_t low, uint64_t high)
{
        return v < low ? low : v > high ? high : v;
}

uint64_t overrun_pause_usec(uint64_t left_bytes, uint64_t headroom_bytes, uint64_t bandwidth_mbps,
                            bool moving, uint64_t last_usec)
{
        /* 1 MB/s is 1 byte per microsecond. */
        uint64_t rate = bandwidth_mbps > 0 ? bandwidth_mbps : OVERRUN_BANDWIDTH_MBPS;
        uint64_t fill = left_bytes / rate + headroom_bytes / rate;

        if (!moving && last_usec > 0 && fill < 2 * last_usec)
                fill = 2 * last_usec;
        return overrun_clamp(fill, OVERRUN_PAUSE_MIN_USEC, OVERRUN_PAUSE_MAX_USEC);
}
