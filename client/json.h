/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Writes JSON to a stream, value by value.
 *
 * Why not a library: libsmartcols wraps every table into an object of its own ({"table": [...]}) and cannot
 * nest `nodes` as an array of objects or write null, and json-c would build a tree of all reservations only
 * to print it. Without them, only commas, escapes and indentation are left to do. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "policy/nodeset.h"

typedef enum JsonMode { JSON_OFF, JSON_SHORT, JSON_PRETTY, _JSON_MODE_MAX } JsonMode;

const char *json_mode_to_string(JsonMode v);
/* -EINVAL: not a mode. */
int json_mode_from_string(const char *s, JsonMode *ret);

/* A value type, made by JSON_WRITER(), that needs no freeing. Errors stay in the stream (ferror()). */
typedef struct Json {
        FILE *out;
        bool pretty;
        unsigned depth;
        bool comma;     /* a value precedes on this level */
        bool after_key; /* the next value goes on the line of its key */
} Json;

#define JSON_WRITER(stream, mode) ((Json){ .out = (stream), .pretty = (mode) == JSON_PRETTY })

void json_object_begin(Json *j);
void json_object_end(Json *j);
void json_array_begin(Json *j);
void json_array_end(Json *j);
void json_key(Json *j, const char *key);

void json_null(Json *j);
void json_bool(Json *j, bool v);
void json_unsigned(Json *j, uint64_t v);
void json_signed(Json *j, int64_t v);
/* NULL becomes null. Bytes that are not UTF-8 become U+FFFD; unprintable characters are escaped. */
void json_string(Json *j, const char *s);
/* Writes an array of numbers. */
void json_nodes(Json *j, const NodeSet *nodes);
/* Ends a document with a newline. */
void json_finish(Json *j);

/* RFC 3339 in UTC, "2026-05-01T12:00:00Z"; null for UINT64_MAX (never) and for years after 9999. */
void json_time(Json *j, uint64_t realtime_usec);
#define JSON_TIME_STR_MAX 40
/* The same as text; NULL instead of null. */
const char *json_time_format(uint64_t realtime_usec, char buf[static JSON_TIME_STR_MAX]);
