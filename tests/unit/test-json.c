/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/json.h"
#include "client/text.h"
#include "policy/macro.h"
#include "tests/unit/check-main.h"

static const struct {
        const char *in, *terminal, *json;
} texts[] = {
        { "plain", "plain", "\"plain\"" },
        { "", "", "\"\"" },
        { "a\"b\\c", "a\"b\\c", "\"a\\\"b\\\\c\"" },
        { "\033[31mred\007", "?[31mred?", "\"\\u001b[31mred\\u0007\"" },
        { "a\nb\tc\r", "a?b?c?", "\"a\\nb\\tc\\u000d\"" },
        { "\x7f", "?", "\"\\u007f\"" },
        { "\xc2\x9b", "?", "\"\\u009b\"" },     /* CSI in one character */
        { "\xe2\x80\xae", "?", "\"\\u202e\"" }, /* right-to-left override */
        { "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\"" },
        { "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\"" },
        { "\xff", "?", "\"\\ufffd\"" },
        { "\xc0\x80", "??", "\"\\ufffd\\ufffd\"" },             /* overlong NUL */
        { "\xc3", "?", "\"\\ufffd\"" },                         /* cut short */
        { "\xed\xa0\x80", "???", "\"\\ufffd\\ufffd\\ufffd\"" }, /* surrogate */
        { "\xf4\x90\x80\x80", "????", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },
};

/* What fn writes, as a string that the caller frees. */
static char *written(void (*fn)(Json *j, const void *data), const void *data, JsonMode mode)
{
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        ck_assert_ptr_nonnull(f);
        Json j = JSON_WRITER(f, mode);
        fn(&j, data);
        ck_assert_int_eq(fclose(f), 0);
        return text;
}

START_TEST(test_sanitise)
{
        _cleanup_free_ char *s = text_sanitise(texts[_i].in);

        ck_assert_str_eq(s, texts[_i].terminal);
}
END_TEST

static void write_text(Json *j, const void *data)
{
        json_string(j, data);
}

START_TEST(test_string)
{
        _cleanup_free_ char *s = written(write_text, texts[_i].in, JSON_SHORT);

        ck_assert_str_eq(s, texts[_i].json);
}
END_TEST

static void write_document(Json *j, const void *data)
{
        NodeSet nodes = nodeset_of(2);

        nodeset_add(&nodes, 255);
        json_object_begin(j);
        json_key(j, "a");
        json_array_begin(j);
        json_array_end(j);
        json_key(j, "b");
        json_array_begin(j);
        json_object_begin(j);
        json_key(j, "n");
        json_unsigned(j, UINT64_MAX);
        json_key(j, "m");
        json_signed(j, INT64_MIN);
        json_object_end(j);
        json_null(j);
        json_array_end(j);
        json_key(j, "c");
        json_nodes(j, &nodes);
        json_key(j, "d");
        json_bool(j, true);
        json_key(j, "e");
        json_string(j, NULL);
        json_object_end(j);
        json_finish(j);
}

START_TEST(test_short)
{
        _cleanup_free_ char *s = written(write_document, NULL, JSON_SHORT);

        ck_assert_str_eq(s, "{\"a\":[],\"b\":[{\"n\":18446744073709551615,\"m\":-9223372036854775808},null],"
                            "\"c\":[2,255],\"d\":true,\"e\":null}\n");
}
END_TEST

START_TEST(test_pretty)
{
        _cleanup_free_ char *s = written(write_document, NULL, JSON_PRETTY);

        ck_assert_str_eq(s, "{\n"
                            "  \"a\": [],\n"
                            "  \"b\": [\n"
                            "    {\n"
                            "      \"n\": 18446744073709551615,\n"
                            "      \"m\": -9223372036854775808\n"
                            "    },\n"
                            "    null\n"
                            "  ],\n"
                            "  \"c\": [\n"
                            "    2,\n"
                            "    255\n"
                            "  ],\n"
                            "  \"d\": true,\n"
                            "  \"e\": null\n"
                            "}\n");
}
END_TEST

/* `monitor` writes one document a line with one writer each, `list` many rows with one. */
static void write_two(Json *j, const void *data)
{
        for (int i = 0; i < 2; i++) {
                json_object_begin(j);
                json_object_end(j);
                json_finish(j);
        }
}

START_TEST(test_two_documents)
{
        _cleanup_free_ char *s = written(write_two, NULL, JSON_SHORT);

        ck_assert_str_eq(s, "{}\n{}\n");
}
END_TEST

START_TEST(test_time)
{
        char buf[JSON_TIME_STR_MAX];

        ck_assert_str_eq(json_time_format(UINT64_C(1777636800999999), buf), "2026-05-01T12:00:00Z");
        ck_assert_str_eq(json_time_format(0, buf), "1970-01-01T00:00:00Z");
        ck_assert_ptr_null(json_time_format(UINT64_MAX, buf));
        ck_assert_ptr_null(json_time_format(UINT64_MAX - 1, buf));
}
END_TEST

START_TEST(test_mode)
{
        JsonMode mode = JSON_SHORT;

        for (unsigned i = 0; i < _JSON_MODE_MAX; i++) {
                ck_assert_int_eq(json_mode_from_string(json_mode_to_string((JsonMode)i), &mode), 0);
                ck_assert_uint_eq(mode, i);
        }
        mode = JSON_SHORT;
        ck_assert_int_eq(json_mode_from_string("long", &mode), -EINVAL);
        ck_assert_int_eq(mode, JSON_SHORT);
        ck_assert_ptr_null(json_mode_to_string(_JSON_MODE_MAX));
}
END_TEST

int main(void)
{
        Suite *s = suite_create("json");
        TCase *c = tcase_create("json");

        tcase_add_loop_test(c, test_sanitise, 0, ARRAY_SIZE(texts));
        tcase_add_loop_test(c, test_string, 0, ARRAY_SIZE(texts));
        tcase_add_test(c, test_short);
        tcase_add_test(c, test_pretty);
        tcase_add_test(c, test_two_documents);
        tcase_add_test(c, test_time);
        tcase_add_test(c, test_mode);
        suite_add_tcase(s, c);
        return check_main(s);
}
