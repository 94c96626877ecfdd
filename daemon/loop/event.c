/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "daemon/loop/event.h"
#include "daemon/loop/log.h"
#include "policy/macro.h"

static const struct {
        const char *name;
        int priority;
        const char *message_id;
} kinds[_EVENT_KIND_MAX] = {
#define X(kind, name, priority, id) [kind] = { name, priority, id },
        EVENT_TABLE(X)
#undef X
};

/* One row per detail: the key on the bus, the field in the journal, and the offset in Event. */
static const struct {
        const char *key;
        const char *field;
        size_t offset;
        EventField has; /* 0: a string */
} details[] = {
        { "pool", "CDM_POOL", offsetof(Event, pool), 0 },
        { "unit", "CDM_UNIT", offsetof(Event, unit), 0 },
        { "cgroup", "CDM_CGROUP", offsetof(Event, cgroup), 0 },
        { "nodes", "CDM_NODES", offsetof(Event, nodes), 0 },
        { "reason", "CDM_REASON", offsetof(Event, reason), 0 },
        { "policy", "CDM_POLICY", offsetof(Event, policy), 0 },
        { "error", "CDM_ERROR", offsetof(Event, error), 0 },
        { "size", "CDM_SIZE", offsetof(Event, size_bytes), EVENT_HAS_SIZE },
        { "moved", "CDM_MOVED", offsetof(Event, moved_bytes), EVENT_HAS_MOVED },
        { "failed", "CDM_FAILED", offsetof(Event, failed_bytes), EVENT_HAS_FAILED },
        { "excess", "CDM_EXCESS", offsetof(Event, excess_bytes), EVENT_HAS_EXCESS },
        { "duration", "CDM_DURATION_USEC", offsetof(Event, duration_usec), EVENT_HAS_DURATION },
        { "evicted", "CDM_EVICTED", offsetof(Event, evicted_bytes), EVENT_HAS_EVICTED },
        { "residue", "CDM_RESIDUE", offsetof(Event, residue_bytes), EVENT_HAS_RESIDUE },
        { "left", "CDM_LEFT_USEC", offsetof(Event, left_usec), EVENT_HAS_LEFT },
        { "left-out", "CDM_LEFT_OUT", offsetof(Event, left_out), EVENT_HAS_LEFT_OUT },
};

const char *event_kind_to_string(EventKind v)
{
        return v < _EVENT_KIND_MAX ? kinds[v].name : NULL;
}

int event_kind_from_string(const char *s, EventKind *ret)
{
        for (size_t i = 0; i < _EVENT_KIND_MAX; i++)
                if (strcmp(s, kinds[i].name) == 0) {
                        *ret = (EventKind)i;
                        return 0;
                }
        return -EINVAL;
}

const char *event_kind_message_id(EventKind v)
{
        return kinds[v].message_id;
}

static const char *event_detail_string(const Event *e, size_t i)
{
        return *(const char *const *)((const char *)e + details[i].offset);
}

static uint64_t event_detail_number(const Event *e, size_t i)
{
        return *(const uint64_t *)((const char *)e + details[i].offset);
}

#define FIELDS_MAX (ARRAY_SIZE(details) + 8)

static void event_add_field(struct iovec *fields, size_t *n, const char *name, const char *format, ...)
        _printf_(4, 5);
static void event_add_field(struct iovec *fields, size_t *n, const char *name, const char *format, ...)
{
        _cleanup_free_ char *value = NULL;
        char *line;
        va_list ap;

        va_start(ap, format);
        int r = vasprintf(&value, format, ap);
        va_end(ap);
        if (r < 0) {
                value = NULL;
                return;
        }
        r = asprintf(&line, "%s=%s", name, value);
        if (r < 0)
                return;
        fields[(*n)++] = (struct iovec){ line, (size_t)r };
}

static void event_emit_journal(const Event *e, const char *message)
{
        struct iovec fields[FIELDS_MAX];
        size_t n = 0;

        event_add_field(fields, &n, "MESSAGE", "%s", message);
        event_add_field(fields, &n, "MESSAGE_ID", "%s", kinds[e->kind].message_id);
        event_add_field(fields, &n, "PRIORITY", "%i", kinds[e->kind].priority);
        event_add_field(fields, &n, "CDM_EVENT", "%s", kinds[e->kind].name);
        if (e->id)
                event_add_field(fields, &n, "CDM_RESERVATION", "%" PRIu32, e->id);
        if (e->has & EVENT_HAS_UID)
                event_add_field(fields, &n, "CDM_UID", "%u", e->uid);
        for (size_t i = 0; i < ARRAY_SIZE(details); i++) {
                if (details[i].has == 0 && event_detail_string(e, i))
                        event_add_field(fields, &n, details[i].field, "%s", event_detail_string(e, i));
                else if (details[i].has & e->has)
                        event_add_field(fields, &n, details[i].field, "%" PRIu64, event_detail_number(e, i));
        }
        log_fields(kinds[e->kind].priority, message, fields, n);
        for (size_t i = 0; i < n; i++)
                free(fields[i].iov_base);
}

bool event_detail(const Event *e, size_t i, EventDetail *ret)
{
        if (i >= ARRAY_SIZE(details))
                return false;
        *ret = (EventDetail){ .key = details[i].key };
        if (details[i].has == 0)
                ret->text = event_detail_string(e, i);
        else if (details[i].has & e->has) {
                ret->has_number = true;
                ret->number = event_detail_number(e, i);
        }
        return true;
}

static void event_notify(const Notify *n, const Event *e, const char *client)
{
        notify_tell(n, &(Notice){ .kind = NOTICE_EVENT, .event = e, .client = client });
}

static void event_tell(const Notify *notify, const Event *e, const char *message, va_list ap)
{
        _cleanup_free_ char *text = NULL, *longer = NULL;

        if (vasprintf(&text, message, ap) < 0) {
                text = NULL;
                return;
        }
        if ((e->has & EVENT_HAS_LEFT_OUT) &&
            asprintf(&longer,
                     "%s (%" PRIu64
                     " earlier events of user %u are not in the journal: there were too many.)",
                     text, e->left_out, e->uid) < 0)
                longer = NULL;
        event_emit_journal(e, longer ? longer : text);
        event_notify(notify, e, NULL);
}

void event_emit(const Notify *notify, const Event *e, const char *message, ...)
{
        va_list ap;

        va_start(ap, message);
        event_tell(notify, e, message, ap);
        va_end(ap);
}

void event_emit_limited(const Notify *notify, EventLimit *limit, uint64_t monotonic_usec, const char *client,
                        Event *e, const char *message, ...)
{
        va_list ap;

        if (e->uid != 0 && !event_limit_take(limit, e->uid, monotonic_usec, &e->left_out)) {
                if (client)
                        event_notify(notify, e, strcmp(client, EVENT_ALL_CLIENTS) == 0 ? NULL : client);
                return;
        }
        if (e->left_out > 0)
                e->has |= EVENT_HAS_LEFT_OUT;
        va_start(ap, message);
        event_tell(notify, e, message, ap);
        va_end(ap);
}
