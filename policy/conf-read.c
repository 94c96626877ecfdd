/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "policy/conf-read.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "policy/conf-keys.h"
#include "policy/conf-loader.h"
#include "policy/conf-start.h"
#include "policy/conf-text.h"
#include "policy/conf-users.h"

static void conf_fd_close_p(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

char *conf_full_path(const ConfLoader *l, const char *path)
{
        char *full;

        return asprintf(&full, "%s%s", l->root, path) < 0 ? NULL : full;
}

const char *conf_ownership_reason(const ConfLoader *l, const struct stat *st)
{
        if (st->st_uid != 0 && !(l->own_files && st->st_uid == geteuid()))
                return "does not belong to root; correct it with \"chown root\"";
        if (st->st_mode & S_IWOTH)
                return "can be written by everyone; correct it with \"chmod o-w\"";
        if (st->st_mode & S_IWGRP && st->st_gid != 0)
                return "can be written by its group; correct it with \"chmod g-w\"";
        return NULL;
}

static const char *conf_type_reason(mode_t mode)
{
        switch (mode & S_IFMT) {
        case S_IFREG:
                return NULL;
        case S_IFDIR:
                return "is a directory; a configuration file is needed here";
        case S_IFIFO:
                return "is a FIFO; a regular file is needed here";
        case S_IFSOCK:
                return "is a socket; a regular file is needed here";
        default:
                return "is a device; a regular file is needed here (a link to /dev/null masks)";
        }
}

static void conf_report_errno(ConfFile *f, int error)
{
        if (error == ELOOP)
                conf_file_error(f, 0,
                                "is a link that leads in a circle; remove it or let it point to a file");
        else if (error == ENOENT)
                conf_file_error(f, 0, "does not exist, or is a link to nothing; correct or remove it");
        else
                conf_file_error(f, 0, "cannot be read: %s", strerror(error));
}

/* Recognizes a link to /dev/null. First by the text of the link, because /dev may not exist below --root;
 * then by its target. */
static bool conf_is_mask(const char *full, const struct stat *st)
{
        char target[sizeof("/dev/null")];
        ssize_t n = readlink(full, target, sizeof(target));

        if (n < 0)
                return false;
        if (n == (ssize_t)strlen("/dev/null") && memcmp(target, "/dev/null", (size_t)n) == 0)
                return true;
        return st && S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

/* Opens a file that only root can have written. 1: opened; 0: masked, or refused and reported. The file is
 * checked before open() as well as after: opening a device can have side effects. */
static int conf_open_checked(ConfLoader *l, ConfFile *f, const char *full, int *ret_fd)
{
        _cleanup_(conf_fd_close_p) int fd = -EBADF;
        const char *reason;
        struct stat st;
        bool found = stat(full, &st) == 0;
        int error = errno;

        if (conf_is_mask(full, found ? &st : NULL))
                return 0;
        if (!found) {
                conf_report_errno(f, error);
                return 0;
        }
        reason = conf_type_reason(st.st_mode);
        if (!reason) {
                fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
                if (fd < 0 || fstat(fd, &st) < 0) {
                        conf_report_errno(f, errno);
                        return 0;
                }
                reason = conf_type_reason(st.st_mode);
        }
        if (!reason)
                reason = conf_ownership_reason(l, &st);
        if (reason) {
                conf_file_error(f, 0, "%s", reason);
                return 0;
        }
        *ret_fd = TAKE_FD(fd);
        return 1;
}

/* Reads the whole file. Results as conf_open_checked(). */
static int conf_read_text(ConfLoader *l, ConfFile *f, const char *full, char **ret, size_t *ret_n)
{
        _cleanup_(conf_fd_close_p) int fd = -EBADF;
        _cleanup_free_ char *text = malloc(CONF_FILE_BYTES_MAX + 1);
        size_t n = 0;
        ssize_t part;
        int r;

        if (!text)
                return -ENOMEM;
        r = conf_open_checked(l, f, full, &fd);
        if (r <= 0)
                return r;
        do {
                part = read(fd, text + n, CONF_FILE_BYTES_MAX + 1 - n);
                if (part < 0 && errno != EINTR) {
                        conf_report_errno(f, errno);
                        return 0;
                }
                n += part > 0 ? (size_t)part : 0;
        } while (part != 0 && n <= CONF_FILE_BYTES_MAX);

        if (n > CONF_FILE_BYTES_MAX) {
                conf_file_error(f, 0, "is larger than %zu KiB; split it, or look what it is",
                                CONF_FILE_BYTES_MAX / 1024);
                return 0;
        }
        text[n] = '\0';
        *ret = TAKE_PTR(text);
        *ret_n = n;
        return 1;
}

/* The source of lines for inih, which receives only valid sections and settings. A refused line is passed as
 * an empty line, so that inih's line numbers stay correct. */
typedef struct LineReader {
        ConfFile *file;
        const char *next, *end;
        bool in_section; /* true also in a bad section, so that one mistake causes one message */
} LineReader;

#define SECTION_SKIPPED "[?]\n"

static const char *conf_read_section(LineReader *reader, char *line, const char *name)
{
        reader->in_section = true;
        if (!conf_file_section(reader->file, name))
                return SECTION_SKIPPED;
        /* conf_line_classify() has cut off the bracket: restore it for inih. */
        strcpy(line + strlen(line), "]\n");
        return NULL;
}

/* An indented header, or one in a line that is too long, still ends the previous section. */
static bool conf_is_header(const char *line)
{
        return line[strspn(line, " \t")] == '[';
}

static const char *conf_read_bad(LineReader *reader, const char *line, const char *reason)
{
        if (conf_is_header(line))
                conf_file_section_lost(reader->file);
        conf_file_error(reader->file, reader->file->line, "\"%s\" %s", line, reason);
        if (line[0] != '[')
                return "\n";
        reader->in_section = true;
        return SECTION_SKIPPED;
}

/* The text that inih gets instead of the line, or NULL to pass the line itself. */
static const char *conf_read_line(LineReader *reader, char *line)
{
        const char *detail;

        switch (conf_line_classify(line, &detail)) {
        case CONF_LINE_BLANK:
                return "\n";
        case CONF_LINE_SECTION:
                return conf_read_section(reader, line, detail);
        case CONF_LINE_BAD:
                return conf_read_bad(reader, line, detail);
        case CONF_LINE_KEY:
                break;
        }
        if (!reader->in_section) {
                conf_file_error(reader->file, reader->file->line,
                                "\"%s\" stands before the first section; write its [Section] above it",
                                line);
                reader->in_section = true;
                return SECTION_SKIPPED;
        }
        strcat(line, "\n");
        return NULL;
}

static char *conf_next_line(char *line, int size, void *stream)
{
        LineReader *reader = stream;
        const char *start = reader->next, *instead = "\n", *newline;
        size_t n;

        if (start == reader->end)
                return NULL;
        newline = memchr(start, '\n', (size_t)(reader->end - start));
        n = (size_t)((newline ? newline : reader->end) - start);
        reader->next = newline ? newline + 1 : reader->end;
        reader->file->line++;

        if (n > CONF_LINE_BYTES_MAX || n + 3 > (size_t)size) {
                if (conf_is_header(start))
                        conf_file_section_lost(reader->file);
                conf_file_error(
                        reader->file, reader->file->line,
                        "the line is %zu bytes long, %d are allowed; shorten it, or write the key of "
                        "a list again on the next line for the rest",
                        n, CONF_LINE_BYTES_MAX);
        } else {
                memcpy(line, start, n);
                line[n] = '\0';
                instead = conf_read_line(reader, line);
        }
        return instead ? strcpy(line, instead) : line;
}

static int conf_on_setting(void *user, const char *section, const char *name, const char *value)
{
        conf_file_set(user, section, name, value);
        return 1;
}

static void conf_parse_text(ConfFile *f, const char *text, size_t n)
{
        LineReader reader = { .file = f, .next = text, .end = text + n };
        int r = ini_parse_stream(conf_next_line, &reader, conf_on_setting, f);

        if (r != 0 && f->n_errors == 0)
                conf_file_error(f, r > 0 ? (unsigned)r : 0,
                                "cannot be parsed; write Key=value below a [Section]");
        conf_file_finish(f);
}

/* Parses a file of kind CONF_MAIN twice. The first result is discarded, so that a refused file changes
 * nothing. */
static int conf_parse_main_at_start(ConfLoader *l, ConfFile *f, const char *text, size_t n)
{
        _cleanup_(config_free_p) Config *scratch = NULL;
        ConfMessages unheard = { 0 };
        int r = config_new(&scratch);

        if (r < 0)
                return r;
        r = conf_file_init(f, CONF_MAIN, f->path, NULL, scratch, l->messages);
        if (r < 0)
                return r;
        conf_parse_text(f, text, n);
        if (f->error != 0 || f->n_errors > 0) {
                f->config = NULL;
                return f->error;
        }
        r = conf_file_init(f, CONF_MAIN, f->path, NULL, l->config, &unheard);
        if (r == 0) {
                conf_parse_text(f, text, n);
                f->messages = l->messages;
                r = f->error;
        }
        conf_messages_clear(&unheard);
        return r;
}

/* Turns checked text into the object it describes. */
static int conf_parse_file(ConfLoader *l, ConfFile *f, const ConfKind *kind, const char *text, size_t n)
{
        _cleanup_free_ char *pool = NULL;
        const char *reason;
        unsigned line;
        ConfKind k;
        int r;

        reason = conf_text_check(text, n, &line);
        if (reason) {
                conf_file_error(f, line, "%s", reason);
                return 0;
        }
        r = kind ? 0 : conf_kind_of_file(f->path, text, n, &k);
        if (r == -ENOENT)
                conf_file_error(
                        f, 0,
                        "could be any kind of configuration: no known section is in it, and it is in "
                        "neither pools.d nor policy.d");
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        if (kind)
                k = *kind;
        if (k == CONF_POOL) {
                r = conf_file_pool_name(f, &pool);
                if (r < 0)
                        return r == -EINVAL ? 0 : r;
        }
        if (k == CONF_MAIN && l->at_start)
                return conf_parse_main_at_start(l, f, text, n);
        r = conf_file_init(f, k, f->path, pool, l->config, l->messages);
        if (r < 0)
                return r;
        conf_parse_text(f, text, n);
        if (!f->rule || f->error != 0 || (f->n_errors > 0 && (f->match_lost || !l->at_start)))
                return f->error;
        return conf_users_init(f);
}

/* Moves the object that the file describes into the configuration. */
static int conf_keep_result(ConfLoader *l, ConfFile *f)
{
        Config *c = l->config;

        if (f->pool) {
                PoolConfig **pools = reallocarray(c->pools, c->n_pools + 1, sizeof(*pools));

                if (!pools)
                        return -ENOMEM;
                c->pools = pools;
                pools[c->n_pools++] = TAKE_PTR(f->pool);
        }
        if (f->rule) {
                Rule **rules = reallocarray(c->rules, c->n_rules + 1, sizeof(*rules));

                if (!rules)
                        return -ENOMEM;
                c->rules = rules;
                rules[c->n_rules++] = TAKE_PTR(f->rule);
        }
        return 0;
}

int conf_load_file(ConfLoader *l, const ConfKind *kind, const char *path)
{
        ConfFile f = { .path = path, .messages = l->messages };
        _cleanup_free_ char *full = conf_full_path(l, path), *text = NULL;
        size_t n, first_message = l->messages->n_messages;
        int r;

        if (!full)
                return -ENOMEM;
        r = conf_read_text(l, &f, full, &text, &n);
        if (r > 0)
                r = conf_parse_file(l, &f, kind, text, n);
        if (r == 0)
                r = f.error;
        if (r == 0 && f.n_errors == 0)
                r = conf_keep_result(l, &f);
        if (r == 0 && f.n_errors > 0 && l->at_start)
                r = conf_start_refuse_file(l, &f, *kind, first_message);
        else if (f.n_errors > 0)
                l->refused = true;
        conf_file_clear(&f);
        return r;
}
