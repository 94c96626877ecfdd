/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/oci/state.h"
#include "policy/conf-text.h"
#include "policy/size.h"
#include "policy/word.h"

/* A state has two levels of objects; an image's manifest has four. */
#define JSON_DEPTH_MAX 32

void oci_state_clear(OciState *s)
{
        json_object_put(s->json);
        free(s->bundle);
        *s = (OciState){ 0 };
}

void oci_ask_clear(OciAsk *a)
{
        free(a->pool);
        free(a->size);
        *a = (OciAsk){ 0 };
}

/* *ret is not terminated. */
static int read_all(int fd, size_t bytes_max, char **ret, size_t *ret_n)
{
        _cleanup_free_ char *text = NULL;
        size_t n = 0, room = 0;

        for (;;) {
                if (n == room) {
                        char *longer = reallocarray(text, room > 0 ? room * 2 : 16384, 1);

                        if (!longer)
                                return -ENOMEM;
                        text = longer;
                        room = room > 0 ? room * 2 : 16384;
                }
                ssize_t k = read(fd, text + n, room - n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return -errno;
                if (k == 0)
                        break;
                n += (size_t)k;
                if (n > bytes_max)
                        return -EFBIG;
        }
        *ret = TAKE_PTR(text);
        *ret_n = n;
        return 0;
}

int oci_json_read(int fd, size_t bytes_max, json_object **ret)
{
        _cleanup_free_ char *text = NULL;
        size_t n = 0;

        int r = read_all(fd, bytes_max, &text, &n);
        if (r < 0)
                return r;
        json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
        if (!tokener)
                return -ENOMEM;
        json_tokener_set_flags(tokener, JSON_TOKENER_VALIDATE_UTF8);
        json_object *json = json_tokener_parse_ex(tokener, text, (int)n);
        json_tokener_free(tokener);
        if (!json)
                return -EBADMSG;
        *ret = json;
        return 0;
}

json_object *oci_json_object(json_object *json, const char *key)
{
        json_object *o;

        return json_object_object_get_ex(json, key, &o) && json_object_is_type(o, json_type_object) ? o
                                                                                                    : NULL;
}

const char *oci_json_string(json_object *json, const char *key)
{
        json_object *o;

        if (!json_object_object_get_ex(json, key, &o) || !json_object_is_type(o, json_type_string))
                return NULL;
        const char *s = json_object_get_string(o);
        return strlen(s) == (size_t)json_object_get_string_len(o) ? s : NULL;
}

static int state_fail(int r, char reason[static OCI_REASON_MAX], const char *what)
{
        snprintf(
                reason, OCI_REASON_MAX,
                "%s; this program is for container runtimes, which write an OCI state to its standard input",
                what);
        return r;
}

int oci_state_read(int fd, OciState *ret, char reason[static OCI_REASON_MAX])
{
        _cleanup_(oci_state_clear) OciState s = { 0 };
        json_object *pid;

        int r = oci_json_read(fd, OCI_STATE_BYTES_MAX, &s.json);
        if (r == -EFBIG)
                return state_fail(r, reason, "the container's state is too long, with all its annotations");
        if (r < 0)
                return state_fail(r, reason, "the container's state cannot be read");
        if (!json_object_is_type(s.json, json_type_object))
                return state_fail(-EBADMSG, reason, "the container's state is no JSON object");
        if (!json_object_object_get_ex(s.json, "pid", &pid) || !json_object_is_type(pid, json_type_int) ||
            json_object_get_int64(pid) <= 0 || json_object_get_int64(pid) > INT32_MAX)
                return state_fail(-EBADMSG, reason, "the container's state names no process");
        s.pid = (pid_t)json_object_get_int64(pid);
        s.annotations = oci_json_object(s.json, "annotations");
        const char *bundle = oci_json_string(s.json, "bundle");
        if (string_copy(bundle, &s.bundle) < 0)
                return state_fail(-ENOMEM, reason, "out of memory");
        *ret = s;
        s = (OciState){ 0 };
        return 0;
}

bool oci_ask_is_made(json_object *annotations)
{
        return annotations && (json_object_object_get_ex(annotations, OCI_ANNOTATION_PREFIX "pool", NULL) ||
                               json_object_object_get_ex(annotations, OCI_ANNOTATION_PREFIX "size", NULL));
}

/* Formats untrusted text for a message: truncated, and without control characters, which could fake another
 * line. */
#define SHOWN_MAX 81

static const char *state_shown(const char *s, char buf[static SHOWN_MAX])
{
        size_t n = 0;

        for (; s[n] && n < SHOWN_MAX - 1; n++)
                buf[n] = (unsigned char)s[n] < ' ' || s[n] == 127 ? '?' : s[n];
        buf[n] = '\0';
        return buf;
}

const char *oci_ask_take(OciAsk *a, const char *name, const char *value)
{
        if (strcmp(name, "pool") == 0)
                return a->pool || string_copy(value, &a->pool) >= 0 ? NULL : "out of memory";
        if (strcmp(name, "size") == 0)
                return a->size || string_copy(value, &a->size) >= 0 ? NULL : "out of memory";
        if (strcmp(name, "priority") == 0) {
                int64_t priority = 0;
                int r = word_parse_number(value, INT32_MIN, INT32_MAX, &priority);

                a->has_priority = true;
                a->priority = (int32_t)priority;
                return r < 0 ? "is no number, or one that is too large" : NULL;
        }
        if (strcmp(name, "exclusive") == 0)
                return word_parse_bool(value, &a->exclusive) == 0 ? NULL : "is neither yes nor no";
        return "is not known; there are pool, size, priority and exclusive";
}

int oci_ask_read(json_object *annotations, OciAsk *a, char reason[static OCI_REASON_MAX])
{
        size_t n = strlen(OCI_ANNOTATION_PREFIX);

        json_object_object_foreach(annotations, key, unused)
        {
                const char *value = oci_json_string(annotations, key), *why;
                char its_key[SHOWN_MAX], its_value[SHOWN_MAX];

                (void)unused;
                if (strncmp(key, OCI_ANNOTATION_PREFIX, n) != 0)
                        continue;
                why = value ? oci_ask_take(a, key + n, value) : "is no text";
                if (why) {
                        snprintf(reason, OCI_REASON_MAX, "the annotation %s (\"%s\") %s",
                                 state_shown(key, its_key), state_shown(value ? value : "", its_value), why);
                        return -EINVAL;
                }
        }
        return 0;
}

int oci_ask_check(const OciAsk *a, char reason[static OCI_REASON_MAX])
{
        const char *missing = !a->pool ? "pool" : !a->size ? "size" : NULL;
        const char *why = missing ? NULL : conf_check_pool_name(a->pool);
        char word[SHOWN_MAX];
        Size size;

        if (missing)
                snprintf(reason, OCI_REASON_MAX,
                         "the annotation " OCI_ANNOTATION_PREFIX
                         "%s is missing; give both, as in --annotation " OCI_ANNOTATION_PREFIX
                         "pool=hbm --annotation " OCI_ANNOTATION_PREFIX "size=8G",
                         missing);
        else if (why)
                snprintf(reason, OCI_REASON_MAX, "\"%s\" %s", state_shown(a->pool, word), why);
        else if (size_parse(a->size, &size) < 0 || size.value == 0)
                snprintf(reason, OCI_REASON_MAX,
                         "\"%s\" is no size; write 8G, 512M, bytes, or 50%% of the pool",
                         state_shown(a->size, word));
        else
                return 0;
        return -EINVAL;
}
