/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Events. Each event is reported once: as a structured journal entry, and as a notice, which becomes the
 * signal Event of org.cdmd1.Manager. Every kind has a MESSAGE_ID, by which `journalctl -x` finds the
 * explanation in cdmd.catalog. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <syslog.h>

#include "daemon/loop/event-limit.h"
#include "daemon/loop/notify.h"

/* Columns: kind, name on the bus, journal priority, MESSAGE_ID. tests/ and systemd/cdmd.catalog follow this
 * table. */
#define EVENT_TABLE(X)                                                                                      \
        X(EVENT_GRANTED, "granted", LOG_INFO, "d31152ef6c544da68ab2f529b84d7335")                           \
        X(EVENT_DENIED, "denied", LOG_NOTICE, "2e1798bd044144dc945cb1f51881c5a0")                           \
        X(EVENT_FULL, "full", LOG_NOTICE, "bb31cc7bef154362ac2da6f8d0753e26")                               \
        X(EVENT_RELEASED, "released", LOG_INFO, "9bd14c986ef54261b93a34088dc56d1f")                         \
        X(EVENT_RESIDUE, "residue", LOG_WARNING, "90da3f6e21324617b7091e671eae9d43")                        \
        X(EVENT_ENDED, "ended", LOG_INFO, "234fc46891d34d38ac59b9bc6d5574b7")                               \
        X(EVENT_FAILED, "failed", LOG_ERR, "c892175891e144288efbe11a55312b8e")                              \
        X(EVENT_MIGRATED, "migrated", LOG_INFO, "69f47f6f3a2b498aa1a33f1a907b10aa")                         \
        X(EVENT_DRAINING, "draining", LOG_INFO, "f6212fd5b3624b7bb6351d5ae2b0536b")                         \
        X(EVENT_QUEUED, "queued", LOG_INFO, "7efd40a74193468ea8be4d724504fe2c")                             \
        X(EVENT_DEQUEUED, "dequeued", LOG_NOTICE, "44c6e1886db346b7960e48b80f3eaa94")                       \
        X(EVENT_REVOKING, "revoking", LOG_NOTICE, "55a939d7b7bc4ff09b22a6f0ae12253a")                       \
        X(EVENT_RELOADED, "reloaded", LOG_NOTICE, "849cdb7b9cc34f5aa67f943881c02a19")                       \
        X(EVENT_RELOAD_FAILED, "reload-failed", LOG_ERR, "674049322acd46c18f4870472b8ffe74")                \
        X(EVENT_FENCE_CLOSED, "fence-closed", LOG_NOTICE, "2b9c340edd0e4b4c870616bfab4bda0b")               \
        X(EVENT_FENCE_LEAKY, "fence-leaky", LOG_WARNING, "a830c878d06f4725864e9e6588d1dc61")                \
        X(EVENT_FENCE_LIFTED, "fence-lifted", LOG_NOTICE, "6e525d7a75504e2f8554249cfb2c965a")               \
        X(EVENT_INTRUDER_DRAINED, "intruder-drained", LOG_WARNING, "2513a599fc764e5ab198fad396de1236")      \
        X(EVENT_FENCED, "fenced", LOG_NOTICE, "2ff07aa34b614e4cbee93877e312b80c")                           \
        X(EVENT_REPAIRED, "repaired", LOG_WARNING, "bf628385ccb24ce9b3bae7fff0981e37")                      \
        X(EVENT_OVERRUN, "overrun", LOG_NOTICE, "75d14f500a954c999ba0a8ee962ca2b5")                         \
        X(EVENT_OVERRUN_ENDED, "overrun-ended", LOG_NOTICE, "a880cb826ff244ba989c0e4a6b5b2004")             \
        X(EVENT_BUFFER_OPENED, "buffer-opened", LOG_INFO, "7c9f0991a1184aeba53218467a56bcf6")               \
        X(EVENT_BUFFER_CLOSED, "buffer-closed", LOG_INFO, "5be3e741a9ef4c7fb3107a4832f0d2de")               \
        X(EVENT_BUFFER_MOVED, "buffer-moved", LOG_NOTICE, "dff67e8b363e42aca172fda8cdedcf23")               \
        X(EVENT_NODE_ONLINE, "node-online", LOG_NOTICE, "e417e117d0864ae889e86168a1321d64")                 \
        X(EVENT_NODE_OFFLINE, "node-offline", LOG_WARNING, "0d50aa13e8bf476499c2e5578e8531d4")              \
        X(EVENT_NODE_DRAINED, "node-drained", LOG_NOTICE, "5cd6a939152e420789c37279628ab7e5")               \
        X(EVENT_NODE_UNDRAINED, "node-undrained", LOG_NOTICE, "90d86ec952f3490694a3c9ec0965ded6")           \
        X(EVENT_DEGRADED, "degraded", LOG_WARNING, "70942de75713456da86f7aa16b6c496e")                      \
        X(EVENT_RESTORED, "restored", LOG_NOTICE, "17efeac886b64c41bf2da4839f809440")                       \
        X(EVENT_RECOVERED, "recovered", LOG_INFO, "035fa4ddde6d406eb76862bb9ef7f2bc")                       \
        X(EVENT_DRIFT, "drift", LOG_WARNING, "cea4a0c267344d3eb8be608ff503e667")                            \
        X(EVENT_FIGHT, "fight", LOG_WARNING, "31a93820a0104743a65440c76cfb3039")                            \
        X(EVENT_FIGHT_OVER, "fight-over", LOG_NOTICE, "38c49ef75d964ef18b546801b5fa12c5")

typedef enum EventKind {
#define X(kind, name, priority, id) kind,
        EVENT_TABLE(X)
#undef X
                _EVENT_KIND_MAX,
} EventKind;

const char *event_kind_to_string(EventKind v);
int event_kind_from_string(const char *s, EventKind *ret);
/* 32 hex digits. */
const char *event_kind_message_id(EventKind v);

/* A cgroup that still holds bytes, and the kind of bytes ("anon", "file", "shmem", "other"). */
typedef struct EventHolder {
        const char *cgroup;
        const char *kind;
        uint64_t bytes;
} EventHolder;

/* The numbers in Event that are set. Strings are set if they are not NULL. */
typedef enum EventField {
        EVENT_HAS_SIZE = 1 << 0,
        EVENT_HAS_UID = 1 << 1,
        EVENT_HAS_MOVED = 1 << 2,
        EVENT_HAS_FAILED = 1 << 3,
        EVENT_HAS_EVICTED = 1 << 4,
        EVENT_HAS_RESIDUE = 1 << 5,
        EVENT_HAS_LEFT = 1 << 6,
        EVENT_HAS_EXCESS = 1 << 7,
        EVENT_HAS_DURATION = 1 << 8,
        EVENT_HAS_LEFT_OUT = 1 << 9,
} EventField;

/* All pointers are borrowed during the call. In the journal these are the fields CDM_POOL=, CDM_SIZE=,
 * CDM_UNIT= and so on; on the bus the keys "pool", "size", "unit" of `details`. */
struct Event {
        EventKind kind;
        uint32_t id; /* the reservation, or 0 */
        unsigned has;
        const char *pool;
        const char *unit;
        const char *cgroup;
        const char *nodes;
        const char *reason;
        const char *policy; /* FILE:LINE */
        const char *error;  /* the name of the corresponding D-Bus error */
        uint64_t size_bytes;
        uid_t uid;
        uint64_t moved_bytes, failed_bytes, evicted_bytes, residue_bytes;
        uint64_t left_usec; /* time until the reservation is drained */
        uint64_t excess_bytes, duration_usec;
        uint64_t left_out; /* suppressed events of this user before this one */
        const EventHolder *holders;
        size_t n_holders;
};

/* Detail number i of an event: its key on the bus, and its text or number; neither: not set in this event.
 * Returns false if there is no such detail. uid and holders are not included. */
typedef struct EventDetail {
        const char *key;
        const char *text;
        bool has_number;
        uint64_t number;
} EventDetail;
bool event_detail(const Event *e, size_t i, EventDetail *ret);

/* For events that a user can cause in any number; limit and monotonic_usec as for event_limit_take(). A
 * suppressed event is only sent to client, which waits for it; client may be NULL. EVENT_ALL_CLIENTS: the
 * requester may wait for it on any connection, so it is sent to all clients and only left out of the
 * journal. Root is not limited. */
#define EVENT_ALL_CLIENTS "*"
void event_emit_limited(const Notify *notify, EventLimit *limit, uint64_t monotonic_usec, const char *client,
                        Event *e, const char *message, ...) __attribute__((format(printf, 6, 7)));

/* notify may be NULL: then the event only goes to the journal. message is the text of the journal entry. */
void event_emit(const Notify *notify, const Event *e, const char *message, ...)
        __attribute__((format(printf, 3, 4)));
