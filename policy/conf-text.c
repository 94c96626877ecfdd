/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/cdm-names.h"
#include "policy/conf-text.h"
#include "policy/label.h"
#include "policy/macro.h"
#include "policy/size.h"
#include "policy/word.h"

#define POOL_NAME_MAX 64
#define WORD_MAX      32  /* longest section name */
#define NEAREST_MAX   255 /* longest word that is compared; unit names are not longer */
#define LETTERS       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS        "0123456789"
#define GLOB          "*?[]!^"
#define POOL_CHARS    LETTERS DIGITS "-_."
#define BLANKS        " \t"

/* The length of the UTF-8 character at p; 0 if it is invalid (overlong, surrogate, beyond U+10FFFF). */
static size_t conf_text_read_utf8(const unsigned char *p, size_t n, uint32_t *ret)
{
        static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
        size_t length = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
        uint32_t c;

        if (length == 0 || length > n)
                return 0;
        c = length == 1 ? p[0] : p[0] & (0xffU >> (length + 1));
        for (size_t i = 1; i < length; i++) {
                if (p[i] >> 6 != 2)
                        return 0;
                c = c << 6 | (p[i] & 0x3f);
        }
        if (c < smallest[length] || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
                return 0;
        *ret = c;
        return length;
}

const char *conf_text_check(const char *text, size_t n, unsigned *ret_line)
{
        const unsigned char *p = (const unsigned char *)text, *end = p + n;

        *ret_line = 1;
        if (n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
                return "the file starts with a byte order mark; save it as UTF-8 without one";
        while (p < end) {
                uint32_t c = 0;
                size_t length = conf_text_read_utf8(p, (size_t)(end - p), &c);

                if (length == 0)
                        return "the line is not valid UTF-8; save the file as UTF-8";
                if (c == '\0')
                        return "the line holds a NUL byte; this is not a text file, or it was damaged";
                if (c == '\r')
                        return "the line ends with CR LF as on Windows; convert the file with "
                               "\"sed -i 's/\\r$//' FILE\"";
                if ((c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7f && c < 0xa0))
                        return "the line holds a control character; remove it";
                if (c == '\n')
                        ++*ret_line;
                p += length;
        }
        return NULL;
}

static void conf_text_cut_comment(char *line)
{
        for (char *p = line; *p != '\0'; p++)
                if (strchr("#;", *p) && (p == line || strchr(BLANKS, p[-1]))) {
                        *p = '\0';
                        break;
                }
        for (size_t n = strlen(line); n > 0 && strchr(BLANKS, line[n - 1]); n--)
                line[n - 1] = '\0';
}

static ConfLineKind conf_text_classify_section(char *line, const char **ret)
{
        size_t n = strspn(line + 1, LETTERS DIGITS);

        if (n == 0 || n > WORD_MAX || line[n + 1] != ']' || line[n + 2] != '\0') {
                *ret = "is not a section; write its name between brackets and nothing after it, as in "
                       "[Grant]";
                return CONF_LINE_BAD;
        }
        line[n + 1] = '\0';
        *ret = line + 1;
        return CONF_LINE_SECTION;
}

ConfLineKind conf_line_classify(char *line, const char **ret)
{
        bool indented = strchr(BLANKS, line[0]) != NULL;
        size_t n;

        conf_text_cut_comment(line);
        *ret = NULL;
        if (line[0] == '\0')
                return CONF_LINE_BLANK;
        if (indented) {
                *ret = "is indented; values do not continue on the next line, and keys start in the first "
                       "column";
                return CONF_LINE_BAD;
        }
        if (line[0] == '[')
                return conf_text_classify_section(line, ret);

        n = strspn(line, LETTERS DIGITS);
        if (n > 0 && line[n + strspn(line + n, BLANKS)] == '=') {
                if (line[strlen(line) - 1] != '\\')
                        return CONF_LINE_KEY;
                *ret = "ends with a backslash; values do not continue on the next line";
        } else
                *ret = "is neither a section nor a setting; write Key=value, or # in front of a comment";
        return CONF_LINE_BAD;
}

/* Levenshtein's distance, letters compared without case. b has NEAREST_MAX bytes at most. */
static unsigned conf_text_distance(const char *a, const char *b)
{
        unsigned row[NEAREST_MAX + 1];
        size_t n = strlen(b);

        for (size_t j = 0; j <= n; j++)
                row[j] = (unsigned)j;
        for (; *a != '\0'; a++) {
                unsigned diagonal = row[0]++;

                for (size_t j = 1; j <= n; j++) {
                        unsigned best =
                                diagonal + (tolower((unsigned char)*a) != tolower((unsigned char)b[j - 1]));

                        diagonal = row[j];
                        if (row[j] + 1 < best)
                                best = row[j] + 1;
                        if (row[j - 1] + 1 < best)
                                best = row[j - 1] + 1;
                        row[j] = best;
                }
        }
        return row[n];
}

const char *conf_text_nearest(const char *word, const char *const *candidates, size_t n)
{
        const char *nearest = NULL;
        unsigned best = 3;

        size_t length = strlen(word);

        if (length > NEAREST_MAX)
                return NULL;
        for (size_t i = 0; i < n; i++) {
                size_t other = strlen(candidates[i]);

                /* The difference in length is a lower bound of the distance. A longer candidate would not
                 * fit into the row. */
                if (other > NEAREST_MAX || (other > length ? other - length : length - other) >= best)
                        continue;
                unsigned d = conf_text_distance(word, candidates[i]);

                /* Less than half of a word may differ. Otherwise every short word would be near to
                 * another. */
                if (d < best && d * 2 < strlen(candidates[i])) {
                        best = d;
                        nearest = candidates[i];
                }
        }
        return nearest;
}

char **conf_words_free(char **words)
{
        for (char **word = words; word && *word; word++)
                free(*word);
        free(words);
        return NULL;
}

int conf_words_split(const char *value, char ***ret)
{
        /* At most every second byte starts a word. */
        char **words = calloc(strlen(value) / 2 + 2, sizeof(*words));
        size_t n = 0;

        if (!words)
                return -ENOMEM;
        for (const char *p = value + strspn(value, BLANKS); *p != '\0'; p += strspn(p, BLANKS)) {
                size_t length = strcspn(p, BLANKS);

                words[n] = strndup(p, length);
                if (!words[n]) {
                        conf_words_free(words);
                        return -ENOMEM;
                }
                n++;
                p += length;
        }
        *ret = words;
        return 0;
}

static bool conf_text_consists_of(const char *word, const char *chars)
{
        return word[0] != '\0' && word[strspn(word, chars)] == '\0';
}

static bool conf_text_is_glob(const char *word)
{
        return strpbrk(word, "*?[") != NULL;
}

/* fnmatch(3) treats an unclosed bracket as an ordinary character, which is not what the author of the
 * pattern meant. */
static const char *conf_text_check_glob(const char *word, const char *chars, const char *reason)
{
        const char *bracket = strchr(word, '[');

        if (strchr(word, ','))
                return "holds a comma; separate alternatives with spaces";
        if (!conf_text_consists_of(word, chars))
                return reason;
        if (bracket && !strchr(bracket, ']'))
                return "has a [ without a ]";
        return NULL;
}

const char *conf_check_unit(const char *word)
{
        if (conf_text_is_glob(word))
                return "is a pattern; name the unit itself";
        if (!word_is_unit_name(word) || word[0] == '@' || word[0] == '.')
                return "is not a unit's name";
        if (!word_ends_with(word, ".service") && !word_ends_with(word, ".scope"))
                return "is neither a service nor a scope; write it in full, as in example.service";
        return NULL;
}

const char *conf_check_pool_name(const char *word)
{
        if (!conf_text_consists_of(word, POOL_CHARS) || word[0] == '.' || strlen(word) > POOL_NAME_MAX)
                return "cannot be a pool's name; use at most 64 letters, digits, \"-\", \"_\" and \".\"";
        return NULL;
}

const char *conf_check_cdi_class(const char *word)
{
        size_t n = strlen(word);

        if (n < 2 || !conf_text_consists_of(word, LETTERS DIGITS "-_") || !strchr(LETTERS, word[0]) ||
            !strchr(LETTERS DIGITS, word[n - 1]))
                return "cannot be the class of a CDI device; name the pool with a letter first, a letter or "
                       "digit last, and at most \"-\" and \"_\" between";
        return NULL;
}

const char *conf_check_cdi_size(const char *word)
{
        Size size;

        if (size_parse(word, &size) < 0 || size.value == 0)
                return "is no size; write 8G, 512M or bytes";
        if (size.percent)
                return "is a percentage, which the name of a CDI device cannot have; write 8G, 512M or bytes";
        return NULL;
}

const char *conf_check_unit_glob(const char *word)
{
        const char *reason =
                conf_text_check_glob(word, WORD_UNIT_CHARS GLOB, "is not a unit's name or a pattern of one");

        if (reason)
                return reason;
        if (word_ends_with(word, ".slice"))
                return "is a slice; use Slice= for what is below it";
        if (!conf_text_is_glob(word) && !word_ends_with(word, ".service") && !word_ends_with(word, ".scope"))
                return "is neither a service nor a scope; write it in full, as in example.service";
        return NULL;
}

const char *conf_check_slice_glob(const char *word)
{
        const char *reason = conf_text_check_glob(word, WORD_UNIT_CHARS GLOB,
                                                  "is not a slice's name or a pattern of one");

        if (reason)
                return reason;
        if (!conf_text_is_glob(word) && !word_ends_with(word, ".slice"))
                return "is not a slice; write it in full, as in example.slice";
        return NULL;
}

const char *conf_check_pool_glob(const char *word)
{
        return conf_text_check_glob(word, POOL_CHARS GLOB, "is not a pool's name or a pattern of one");
}

const char *conf_check_cgroup_glob(const char *word)
{
        if (word[0] != '/' && word[0] != '*')
                return "is not a cgroup's path; write it from the cgroup root on, as in /example/job-*";
        if (strstr(word, "/../") || word_ends_with(word, "/.."))
                return "leads upwards; write the path without \"..\"";
        return strchr(word, '[') && !strchr(strchr(word, '['), ']') ? "has a [ without a ]" : NULL;
}

const char *conf_check_container_glob(const char *word)
{
        const char *colon = strchr(word, ':');

        if (!colon || colon == word || colon[1] == '\0')
                return "is not RUNTIME:ID; write for example podman:* for every container of podman";
        return conf_text_check_glob(word, WORD_UNIT_CHARS GLOB, "is not RUNTIME:ID or a pattern of it");
}

const char *conf_check_label_glob(const char *word)
{
        const char *equals = strchr(word, '='), *bracket;
        char key[LABEL_KEY_MAX + 1];

        if (!equals || equals[1] == '\0')
                return "is not KEY=VALUE; write for example slurm.account=ml-*";
        if (equals - word > LABEL_KEY_MAX)
                return "has a key of more than 63 bytes";
        memcpy(key, word, (size_t)(equals - word));
        key[equals - word] = '\0';
        if (label_check(key, "*"))
                return label_check(key, "*");
        bracket = strchr(equals, '[');
        return bracket && !strchr(bracket, ']') ? "has a [ without a ]" : NULL;
}

const char *conf_check_user(const char *word)
{
        if (conf_text_is_glob(word))
                return "is a pattern; write names or numbers here, or leave the key out for everyone";
        if (strchr(word, ',') || strchr(word, ':') || strchr(word, '/'))
                return "is not a name; separate several with spaces";
        return NULL;
}

/* Scopes have names that are new each time, such as machine-qemu\x2d7\x2dalpha.scope. systemd reads drop-ins for
 * all that begin with machine-, and cdmd is asked for each of these. */
static const char *conf_check_static_scope(const char *word)
{
        size_t fixed = strcspn(word, "*?[");

        if (strcmp(word, "init.scope") == 0)
                return "has to run before cdmd can reserve anything; name a scope that starts later";
        if (strncmp(word, CDM_SCOPE_PREFIX, strlen(CDM_SCOPE_PREFIX)) == 0)
                return "is or would be a scope that cdmctl run makes, which has a reservation; name another scope";
        if (word[fixed] && !memchr(word, '-', fixed))
                return "cannot be known before it starts; with Static= write a scope in full, or how its name "
                       "begins up to a \"-\", as in machine-qemu*.scope";
        if (strlen(word) > WORD_UNIT_NAME_MAX - strlen(CDM_UNIT_REQUIRED "@.service"))
                return "is too long: " CDM_UNIT_REQUIRED "@NAME.service must be the name of a unit";
        return NULL;
}

const char *conf_check_static_unit(const char *word)
{
        char name[WORD_UNIT_NAME_MAX + 1];
        size_t n = strlen(word);
        const char *star = strchr(word, '*');

        if (word_ends_with(word, ".scope"))
                return conf_check_static_scope(word);
        if (!word_ends_with(word, ".service") || n > WORD_UNIT_NAME_MAX)
                return "is neither a service nor a scope; Static= is for these, as in train-*.service";
        memcpy(name, word, n + 1);
        if (star) {
                /* prefix-*.service is the drop-in folder prefix-.service.d, name@*.service is
                 * name@.service.d */
                if (star == word || !strchr("-@", star[-1]) || strcmp(star + 1, ".service") != 0)
                        return "cannot be known before it starts; with Static= write a service in full, a "
                               "template (name@.service) or prefix-*.service";
                memmove(name + (star - word), star + 1, strlen(star + 1) + 1);
        }
        if (conf_text_is_glob(name))
                return "cannot be known before it starts; with Static= write a service in full, a template "
                       "(name@.service) or prefix-*.service";
        if (strcmp(word, CDM_UNIT) == 0 || strcmp(word, "dbus.service") == 0 ||
            strcmp(word, "dbus-broker.service") == 0)
                return "has to run before cdmd can reserve anything; name a service that starts later";
        /* The drop-in would also apply to the units of `cdmctl static`, which would then wait for each
         * other. */
        if (strncmp(word, "cdmd-", strlen("cdmd-")) == 0)
                return "is or would be one of cdmd's own units; name another service";
        if (n > WORD_UNIT_NAME_MAX - strlen(CDM_UNIT_REQUIRED "@.service"))
                return "is too long: " CDM_UNIT_REQUIRED "@NAME.service must be the name of a unit";
        return conf_check_unit(name);
}
