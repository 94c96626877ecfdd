/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdlib.h>
#include <string.h>

#include "client/text.h"

static size_t sequence_length(unsigned char lead, uint32_t *ret_bits)
{
        if (lead < 0x80) {
                *ret_bits = lead;
                return 1;
        }
        if (lead >= 0xc2 && lead < 0xe0) {
                *ret_bits = lead & 0x1f;
                return 2;
        }
        if (lead >= 0xe0 && lead < 0xf0) {
                *ret_bits = lead & 0x0f;
                return 3;
        }
        if (lead >= 0xf0 && lead < 0xf5) {
                *ret_bits = lead & 0x07;
                return 4;
        }
        return 0;
}

size_t text_decode(const char *s, uint32_t *ret_code)
{
        static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
        uint32_t code;

        size_t n = sequence_length((unsigned char)s[0], &code);

        /* A NUL is no continuation byte, so this stops at the end of a string that is cut short. */
        for (size_t i = 1; i < n; i++) {
                unsigned char c = (unsigned char)s[i];

                if ((c & 0xc0) != 0x80)
                        return 0;
                code = code << 6 | (c & 0x3f);
        }

        if (n == 0 || code < smallest[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
                return 0;

        *ret_code = code;
        return n;
}

bool text_is_printable(uint32_t code)
{
        if (code < 0x20 || (code >= 0x7f && code < 0xa0))
                return false;
        if (code == 0x200e || code == 0x200f || code == 0x061c) /* direction marks */
                return false;
        if (code >= 0x2028 && code <= 0x202e) /* separators, embeddings and overrides */
                return false;
        return code < 0x2066 || code > 0x2069; /* isolates */
}

char *text_sanitise(const char *s)
{
        /* A replacement is never longer than what it replaces. */
        char *copy = malloc(strlen(s) + 1);
        if (!copy)
                return NULL;

        char *out = copy;
        while (*s) {
                uint32_t code;
                size_t n = text_decode(s, &code);

                if (n > 0 && text_is_printable(code)) {
                        out = mempcpy(out, s, n);
                } else {
                        out = mempcpy(out, TEXT_REPLACEMENT, sizeof(TEXT_REPLACEMENT) - 1);
                }
                s += n > 0 ? n : 1;
        }
        *out = '\0';
        return copy;
}
