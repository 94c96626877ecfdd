/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a container runtime writes to a hook's standard input (the OCI state), and what a container asks for
 * in its annotations. Whoever starts containers chooses all of it, so everything is bounded and checked, and
 * nothing is believed but its words. The only user of json-c, with image.c. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/macro.h"

/* json-c's, whose header names things as client/json.h does. */
typedef struct json_object json_object;

#define OCI_ANNOTATION_PREFIX "org.cdmd1."
/* Of the state and of what is read of an image. Runtimes copy all annotations; Kubernetes allows 256 KiB. */
#define OCI_STATE_BYTES_MAX ((size_t)2 << 20)
#define OCI_REASON_MAX      512

typedef struct OciState {
        pid_t pid;
        char *bundle;             /* NULL: none given */
        json_object *json;        /* owns the rest */
        json_object *annotations; /* an object; NULL: none */
} OciState;

void oci_state_clear(OciState *s);

/* From fd to its end. reason: a sentence, when it fails. -EBADMSG: it is no state; else a negative errno. */
int oci_state_read(int fd, OciState *ret, char reason[static OCI_REASON_MAX]);

/* The object of `json` under that key; NULL: there is none, or it is none. */
json_object *oci_json_object(json_object *json, const char *key);
/* A string without NUL; NULL: there is none. Borrowed. */
const char *oci_json_string(json_object *json, const char *key);
/* Reads a file or pipe to its end and parses it. -EFBIG: it has more than bytes_max; -EBADMSG: no object. */
int oci_json_read(int fd, size_t bytes_max, json_object **ret);

/* What is asked for. */
typedef struct OciAsk {
        char *pool, *size; /* as given */
        bool has_priority;
        int32_t priority;
        bool exclusive;
} OciAsk;

void oci_ask_clear(OciAsk *a);

/* Do the annotations ask for anything: pool or size? */
bool oci_ask_is_made(json_object *annotations);
/* Adds what the annotations say; pool and size only where `a` has none. -EINVAL, with a sentence in reason:
 * one of them is nonsense. */
int oci_ask_read(json_object *annotations, OciAsk *a, char reason[static OCI_REASON_MAX]);
/* -EINVAL, with a sentence: pool or size is missing or nonsense. */
int oci_ask_check(const OciAsk *a, char reason[static OCI_REASON_MAX]);
