/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/word.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "policy/macro.h"

bool word_ends_with(const char *word, const char *suffix)
{
        size_t n = strlen(word), m = strlen(suffix);

        return n > m && strcmp(word + n - m, suffix) == 0;
}

bool word_is_below(const char *path, const char *top)
{
        size_t n = strlen(top);

        return strncmp(path, top, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* Flags 0: a star also stands for a path of several levels, and a leading dot is not special. */
bool word_matches(const char *glob, const char *word)
{
        if (fnmatch(glob, word, 0) == 0)
                return true;
        /* systemd escapes a '-' that is no separator as "\x2d": the backslash is then a part of the name. */
        return strchr(glob, '\\') && fnmatch(glob, word, FNM_NOESCAPE) == 0;
}

bool word_is_unit_name(const char *word)
{
        size_t n = strspn(word, WORD_UNIT_CHARS);

        return n > 0 && n <= WORD_UNIT_NAME_MAX && word[n] == '\0';
}

const char *word_unit_of_name(const char *name)
{
        return name[0] == '_' ? name + 1 : name;
}

const char *word_unit_of_path(const char *path)
{
        const char *slash = strrchr(path, '/');

        return word_unit_of_name(slash ? slash + 1 : path);
}

/* As cg_needs_escape() of systemd: names of files of the kernel begin with "cgroup." or with the name of a
 * controller and a dot. A name that begins with '_' gets another one. */
const char *word_unit_escape(const char *unit)
{
        static const char *const files[] = { "cgroup",
                                             "cpu",
                                             "cpuacct",
                                             "cpuset",
                                             "io",
                                             "blkio",
                                             "memory",
                                             "devices",
                                             "pids",
                                             "bpf-firewall",
                                             "bpf-devices",
                                             "bpf-foreign",
                                             "bpf-socket-bind",
                                             "bpf-restrict-network-interfaces" };

        if (unit[0] == '_')
                return "_";
        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                size_t n = strlen(files[i]);

                if (strncmp(unit, files[i], n) == 0 && unit[n] == '.')
                        return "_";
        }
        return "";
}

int word_parse_number(const char *word, int64_t min, int64_t max, int64_t *ret)
{
        const char *digits = word + (word[0] == '-');

        if (!isdigit((unsigned char)digits[0]) || digits[strspn(digits, "0123456789")] != '\0')
                return -EINVAL;
        errno = 0;
        long long number = strtoll(word, NULL, 10);
        if (errno != 0 || number < min || number > max)
                return -ERANGE;
        *ret = number;
        return 0;
}

int word_parse_bool(const char *word, bool *ret)
{
        static const char *const yes[] = { "yes", "true", "on", "1" };
        static const char *const no[] = { "no", "false", "off", "0" };

        for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
                if (strcmp(word, yes[i]) == 0 || strcmp(word, no[i]) == 0) {
                        *ret = strcmp(word, yes[i]) == 0;
                        return 0;
                }
        return -EINVAL;
}
