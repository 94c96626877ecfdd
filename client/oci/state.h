/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The OCI state, which a container runtime writes to a hook's standard input, and the request in a
 * container's annotations. The user who starts a container chooses all of it, so everything is bounded and
 * checked. The only user of json-c, with image.c. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/macro.h"

/* Declared here, because names in json-c's header collide with those of client/json.h. */
typedef struct json_object json_object;

#define OCI_ANNOTATION_PREFIX "org.cdmd1."
/* For the state and for files of an image. Runtimes copy all annotations; Kubernetes allows 256 KiB. */
#define OCI_STATE_BYTES_MAX ((size_t)2 << 20)
#define OCI_REASON_MAX      512

typedef struct OciState {
        pid_t pid;
        char *bundle;             /* NULL: not given */
        json_object *json;        /* owns the rest */
        json_object *annotations; /* an object; NULL: none */
} OciState;

void oci_state_clear(OciState *s);

/* Reads fd to its end. On failure reason is a sentence. -EBADMSG: not a state; other negative errno. */
int oci_state_read(int fd, OciState *ret, char reason[static OCI_REASON_MAX]);

/* The object of `json` under that key; NULL: no such key, or not an object. */
json_object *oci_json_object(json_object *json, const char *key);
/* Likewise a string without embedded NUL. Borrowed. */
const char *oci_json_string(json_object *json, const char *key);
/* Reads a file or pipe to its end and parses it. -EFBIG: more than bytes_max; -EBADMSG: not JSON. */
int oci_json_read(int fd, size_t bytes_max, json_object **ret);

/* The request. */
typedef struct OciAsk {
        char *pool, *size; /* as given */
        bool has_priority;
        int32_t priority;
        bool exclusive;
} OciAsk;

void oci_ask_clear(OciAsk *a);

/* True if the annotations contain a pool or a size. */
bool oci_ask_is_made(json_object *annotations);
/* Adds one annotation, whose name is given without the prefix; pool and size only if `a` has none. NULL, or
 * the rest of the sentence `the annotation ...`, which says why it is invalid. */
const char *oci_ask_take(OciAsk *a, const char *name, const char *value);
/* Adds the request in the annotations; pool and size only if `a` has none. -EINVAL, with a sentence in
 * reason: an annotation is invalid. */
int oci_ask_read(json_object *annotations, OciAsk *a, char reason[static OCI_REASON_MAX]);
/* -EINVAL, with a sentence in reason: pool or size is missing or invalid. */
int oci_ask_check(const OciAsk *a, char reason[static OCI_REASON_MAX]);
