/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/event.h"
#include "policy/cdm-names.h"
#include "policy/macro.h"
#include "policy/size.h"
#include "policy/timespan.h"

static const struct {
        const char *key, *type;
        size_t offset;
} detail_table[] = {
        { "pool", "s", offsetof(Event, pool) },
        { "size", "t", offsetof(Event, size) },
        { "unit", "s", offsetof(Event, unit) },
        { "cgroup", "s", offsetof(Event, cgroup) },
        { "uid", "u", offsetof(Event, uid) },
        { "nodes", "s", offsetof(Event, nodes) },
        { "reason", "s", offsetof(Event, reason) },
        { "policy", "s", offsetof(Event, policy) },
        { "error", "s", offsetof(Event, error) },
        { "moved", "t", offsetof(Event, moved) },
        { "failed", "t", offsetof(Event, failed) },
        { "excess", "t", offsetof(Event, excess) },
        { "duration", "t", offsetof(Event, duration_usec) },
        { "evicted", "t", offsetof(Event, evicted) },
        { "residue", "t", offsetof(Event, residue) },
        { "left", "t", offsetof(Event, left) },
        { "holders", "a(sst)", 0 },
};

void event_clear(Event *e)
{
        free(e->holders);
        *e = (Event){ 0 };
}

static int read_holders(sd_bus_message *m, Event *e)
{
        EventHolder h;
        int r;

        if ((r = sd_bus_message_enter_container(m, 'a', "(sst)")) < 0)
                return r;
        while ((r = sd_bus_message_read(m, "(sst)", &h.cgroup, &h.kind, &h.bytes)) > 0) {
                EventHolder *holders = reallocarray(e->holders, e->n_holders + 1, sizeof(*holders));

                if (!holders)
                        return -ENOMEM;
                holders[e->n_holders++] = h;
                e->holders = holders;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_detail(sd_bus_message *m, Event *e)
{
        const char *key, *type;
        size_t i = 0;

        int r = sd_bus_message_read(m, "s", &key);
        if (r >= 0)
                r = sd_bus_message_peek_type(m, NULL, &type);
        if (r < 0)
                return r;

        while (i < ARRAY_SIZE(detail_table) && strcmp(detail_table[i].key, key) != 0)
                i++;
        if (i == ARRAY_SIZE(detail_table) || strcmp(detail_table[i].type, type) != 0)
                return sd_bus_message_skip(m, "v");

        if ((r = sd_bus_message_enter_container(m, 'v', type)) < 0)
                return r;
        if (*type == 'a')
                r = read_holders(m, e);
        else
                r = sd_bus_message_read_basic(m, *type, (char *)e + detail_table[i].offset);
        if (r < 0)
                return r;
        e->given |= UINT32_C(1) << i;
        return sd_bus_message_exit_container(m);
}

int event_read(sd_bus_message *m, Event *ret)
{
        _cleanup_(event_clear) Event e = { 0 };

        int r = sd_bus_message_read(m, "su", &e.kind, &e.id);
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0)
                if ((r = read_detail(m, &e)) < 0 || (r = sd_bus_message_exit_container(m)) < 0)
                        return r;
        if (r < 0)
                return r;

        *ret = e;
        e.holders = NULL;
        return 0;
}

int event_subscribe(sd_bus *bus, sd_bus_message_handler_t handler, void *userdata)
{
        return sd_bus_match_signal_async(bus, NULL, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER, "Event",
                                         handler, NULL, userdata);
}

static void write_holders_json(const Event *e, Json *j)
{
        json_array_begin(j);
        for (size_t i = 0; i < e->n_holders; i++) {
                json_object_begin(j);
                json_key(j, "cgroup");
                json_string(j, e->holders[i].cgroup);
                json_key(j, "kind");
                json_string(j, e->holders[i].kind);
                json_key(j, "bytes");
                json_unsigned(j, e->holders[i].bytes);
                json_object_end(j);
        }
        json_array_end(j);
}

static void write_detail_json(const Event *e, size_t i, Json *j)
{
        const char *field = (const char *)e + detail_table[i].offset;

        json_key(j, detail_table[i].key);
        switch (*detail_table[i].type) {
        case 's':
                json_string(j, *(const char *const *)field);
                break;
        case 't':
                json_unsigned(j, *(const uint64_t *)field);
                break;
        case 'u':
                json_unsigned(j, *(const uint32_t *)field);
                break;
        default:
                write_holders_json(e, j);
        }
}

void event_write_json(const Event *e, uint64_t realtime_usec, Json *j)
{
        json_object_begin(j);
        json_key(j, "time");
        json_time(j, realtime_usec);
        json_key(j, "kind");
        json_string(j, e->kind);
        json_key(j, "id");
        if (e->id > 0)
                json_unsigned(j, e->id);
        else
                json_null(j);
        for (size_t i = 0; i < ARRAY_SIZE(detail_table); i++)
                if (e->given & (UINT32_C(1) << i))
                        write_detail_json(e, i, j);
        json_object_end(j);
}

void event_write_text(const Event *e, FILE *out)
{
        char buf[SIZE_STR_MAX], span[TIMESPAN_STR_MAX];
        const char *sep = "";

        if (e->size > 0 && e->pool) {
                fprintf(out, "%s of %s", size_format(e->size, buf), e->pool);
                sep = ", ";
        }
        if (e->unit && *e->unit)
                fprintf(out, "%sunit %s", sep, e->unit), sep = ", ";
        else if (e->cgroup && *e->cgroup)
                fprintf(out, "%scgroup %s", sep, e->cgroup), sep = ", ";
        if (e->nodes && *e->nodes)
                fprintf(out, "%snodes %s", sep, e->nodes), sep = ", ";
        if (e->moved > 0)
                fprintf(out, "%s%s moved", sep, size_format(e->moved, buf)), sep = ", ";
        if (e->failed > 0)
                fprintf(out, "%s%s could not be moved", sep, size_format(e->failed, buf)), sep = ", ";
        if (e->evicted > 0)
                fprintf(out, "%s%s evicted", sep, size_format(e->evicted, buf)), sep = ", ";
        if (e->residue > 0)
                fprintf(out, "%s%s of residue", sep, size_format(e->residue, buf)), sep = ", ";
        if (e->left > 0)
                fprintf(out, "%sdrained in %s", sep, timespan_format(e->left, span)), sep = ", ";
        if (e->excess > 0)
                fprintf(out, "%s%s above its reservation", sep, size_format(e->excess, buf)), sep = ", ";
        if (e->duration_usec > 0)
                fprintf(out, " at most, for %s", timespan_format(e->duration_usec, span));
        if (e->reason && *e->reason)
                fprintf(out, "%s%s", *sep ? ": " : "", e->reason);
        if (e->policy && *e->policy && !(e->reason && strstr(e->reason, e->policy)))
                fprintf(out, " (%s)", e->policy);
}
