/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "policy/cdm-names.h"
#include "policy/conf-keys.h"
#include "policy/conf-read.h"
#include "policy/conf-text.h"
#include "policy/conf-users.h"

/* First come, first taken. */
static const char *const places[] = { "/etc", "/run", "/usr/lib" };

typedef struct Loader {
        const char *root; /* "" or a directory without a slash at its end */
        bool own_files;   /* files of the one who calls are as good as root's */
        Config *config;
        ConfMessages *messages;
        bool refused; /* a file was */
} Loader;

static void fd_close_p(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

static char *full_path(const Loader *l, const char *path)
{
        char *full;

        return asprintf(&full, "%s%s", l->root, path) < 0 ? NULL : full;
}

/* Why somebody else could have written this, or NULL. Group root is root. */
static const char *ownership_reason(const Loader *l, const struct stat *st)
{
        if (st->st_uid != 0 && !(l->own_files && st->st_uid == geteuid()))
                return "does not belong to root; correct it with \"chown root\"";
        if (st->st_mode & S_IWOTH)
                return "can be written by everyone; correct it with \"chmod o-w\"";
        if (st->st_mode & S_IWGRP && st->st_gid != 0)
                return "can be written by its group; correct it with \"chmod g-w\"";
        return NULL;
}

static const char *type_reason(mode_t mode)
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

static void report_errno(ConfFile *f, int error)
{
        if (error == ELOOP)
                conf_file_error(f, 0,
                                "is a link that leads in a circle; remove it or let it point to a file");
        else if (error == ENOENT)
                conf_file_error(f, 0, "does not exist, or is a link to nothing; correct or remove it");
        else
                conf_file_error(f, 0, "cannot be read: %s", strerror(error));
}

/* What a link to /dev/null is: by its words, because below --root there may be no /dev, else by where it
 * ends. */
static bool is_mask(const char *full, const struct stat *st)
{
        char target[sizeof("/dev/null")];
        ssize_t n = readlink(full, target, sizeof(target));

        if (n < 0)
                return false;
        if (n == (ssize_t)strlen("/dev/null") && memcmp(target, "/dev/null", (size_t)n) == 0)
                return true;
        return st && S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

/* Opens the file if it is one that root alone can have written. 1: it is open; 0: it is masked, or was
 * reported and refused. It is looked at before it is opened as well as after: opening a device can do
 * something. */
static int open_checked(Loader *l, ConfFile *f, const char *full, int *ret_fd)
{
        _cleanup_(fd_close_p) int fd = -EBADF;
        const char *reason;
        struct stat st;
        bool found = stat(full, &st) == 0;
        int error = errno;

        if (is_mask(full, found ? &st : NULL))
                return 0;
        if (!found) {
                report_errno(f, error);
                return 0;
        }
        reason = type_reason(st.st_mode);
        if (!reason) {
                fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
                if (fd < 0 || fstat(fd, &st) < 0) {
                        report_errno(f, errno);
                        return 0;
                }
                reason = type_reason(st.st_mode);
        }
        if (!reason)
                reason = ownership_reason(l, &st);
        if (reason) {
                conf_file_error(f, 0, "%s", reason);
                return 0;
        }
        *ret_fd = TAKE_FD(fd);
        return 1;
}

/* Reads the whole file. Results as open_checked(). */
static int read_text(Loader *l, ConfFile *f, const char *full, char **ret, size_t *ret_n)
{
        _cleanup_(fd_close_p) int fd = -EBADF;
        _cleanup_free_ char *text = malloc(CONF_FILE_BYTES_MAX + 1);
        size_t n = 0;
        ssize_t part;
        int r;

        if (!text)
                return -ENOMEM;
        r = open_checked(l, f, full, &fd);
        if (r <= 0)
                return r;
        do {
                part = read(fd, text + n, CONF_FILE_BYTES_MAX + 1 - n);
                if (part < 0 && errno != EINTR) {
                        report_errno(f, errno);
                        return 0;
                }
                n += part > 0 ? (size_t)part : 0;
        } while (part != 0 && n <= CONF_FILE_BYTES_MAX);

        if (n > CONF_FILE_BYTES_MAX) {
                conf_file_error(f, 0, "is larger than %zu KiB; split it, or look what it is",
                                CONF_FILE_BYTES_MAX / 1024);
                return 0;
        }
        *ret = TAKE_PTR(text);
        *ret_n = n;
        return 1;
}

/* inih's source of lines. It sees nothing but clean sections and settings; whatever is refused reaches it as
 * an empty line, so that its count of lines stays right. */
typedef struct LineReader {
        ConfFile *file;
        const char *next, *end;
        bool in_section; /* also in a bad one: one mistake, one message */
} LineReader;

#define SECTION_SKIPPED "[?]\n"

static const char *read_section(LineReader *reader, char *line, const char *name)
{
        reader->in_section = true;
        if (!conf_file_section(reader->file, name))
                return SECTION_SKIPPED;
        /* The name was cut out in place: put back what inih looks for. */
        strcpy(line + strlen(line), "]\n");
        return NULL;
}

static const char *read_bad(LineReader *reader, const char *line, const char *reason)
{
        conf_file_error(reader->file, reader->file->line, "\"%s\" %s", line, reason);
        if (line[0] != '[')
                return "\n";
        reader->in_section = true;
        return SECTION_SKIPPED;
}

/* What inih shall see instead of the line, or NULL when the line itself will do. */
static const char *read_line(LineReader *reader, char *line)
{
        const char *detail;

        switch (conf_line_classify(line, &detail)) {
        case CONF_LINE_BLANK:
                return "\n";
        case CONF_LINE_SECTION:
                return read_section(reader, line, detail);
        case CONF_LINE_BAD:
                return read_bad(reader, line, detail);
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

static char *next_line(char *line, int size, void *stream)
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

        if (n > CONF_LINE_BYTES_MAX || n + 3 > (size_t)size)
                conf_file_error(reader->file, reader->file->line,
                                "the line is %zu bytes long, %d are allowed; shorten it or split it", n,
                                CONF_LINE_BYTES_MAX);
        else {
                memcpy(line, start, n);
                line[n] = '\0';
                instead = read_line(reader, line);
        }
        return instead ? strcpy(line, instead) : line;
}

static int on_setting(void *user, const char *section, const char *name, const char *value)
{
        conf_file_set(user, section, name, value);
        return 1;
}

static void parse_text(ConfFile *f, const char *text, size_t n)
{
        LineReader reader = { .file = f, .next = text, .end = text + n };
        int r = ini_parse_stream(next_line, &reader, on_setting, f);

        if (r != 0 && f->n_errors == 0)
                conf_file_error(f, r > 0 ? (unsigned)r : 0,
                                "cannot be parsed; write Key=value below a [Section]");
        conf_file_finish(f);
}

/* Turns checked text into the object it describes. */
static int parse_file(Loader *l, ConfFile *f, const ConfKind *kind, const char *text, size_t n)
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
        r = conf_file_init(f, k, f->path, pool, l->config, l->messages);
        if (r < 0)
                return r;
        parse_text(f, text, n);
        return f->rule && f->error == 0 && f->n_errors == 0 ? conf_users_resolve(f, l->root) : f->error;
}

/* Hands what the file describes to the configuration. */
static int keep_result(Loader *l, ConfFile *f)
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

/* kind NULL: it follows from the path or the text. A file that is refused is no failure here. */
static int load_file(Loader *l, const ConfKind *kind, const char *path)
{
        ConfFile f = { .path = path, .messages = l->messages };
        _cleanup_free_ char *full = full_path(l, path), *text = NULL;
        size_t n;
        int r;

        if (!full)
                return -ENOMEM;
        r = read_text(l, &f, full, &text, &n);
        if (r > 0)
                r = parse_file(l, &f, kind, text, n);
        if (r == 0)
                r = f.error;
        if (r == 0 && f.n_errors == 0)
                r = keep_result(l, &f);
        if (f.n_errors > 0)
                l->refused = true;
        conf_file_clear(&f);
        return r;
}

typedef struct Entry {
        char *name;
        const char *place;
} Entry;

typedef struct Entries {
        Entry *entries;
        size_t n_entries;
} Entries;

static void entries_clear(Entries *list)
{
        for (size_t i = 0; i < list->n_entries; i++)
                free(list->entries[i].name);
        free(list->entries);
}

static int entries_add(Entries *list, const char *name, const char *place)
{
        Entry *entries;
        char *copy;

        for (size_t i = 0; i < list->n_entries; i++)
                if (strcmp(list->entries[i].name, name) == 0)
                        return 0; /* replaced by one further in front */
        entries = reallocarray(list->entries, list->n_entries + 1, sizeof(*entries));
        if (!entries)
                return -ENOMEM;
        list->entries = entries;
        copy = strdup(name);
        if (!copy)
                return -ENOMEM;
        entries[list->n_entries++] = (Entry){ copy, place };
        return 0;
}

static int compare_entries(const void *a, const void *b)
{
        return strcmp(((const Entry *)a)->name, ((const Entry *)b)->name);
}

static void dir_close_p(DIR **dir)
{
        if (*dir)
                closedir(*dir);
}

static int refuse_folder(Loader *l, const char *path, const char *reason)
{
        l->refused = true;
        return conf_messages_add(l->messages, CONF_ERROR, path, 0, "%s", reason);
}

/* Collects the names that end in .conf from one folder; list NULL: only looks whose folder it is. A folder
 * that is missing is empty; one that somebody else can write to is refused like a file. */
static int list_folder(Loader *l, const char *place, const char *path, Entries *list)
{
        _cleanup_free_ char *full = full_path(l, path), *text = NULL;
        _cleanup_(dir_close_p) DIR *dir = NULL;
        const char *reason;
        struct stat st;

        if (!full)
                return -ENOMEM;
        dir = opendir(full);
        if (!dir && errno == ENOENT)
                return 0;
        if (!dir || fstat(dirfd(dir), &st) < 0) {
                if (asprintf(&text, "cannot be read: %s", strerror(errno)) < 0)
                        return -ENOMEM;
                return refuse_folder(l, path, text);
        }
        reason = ownership_reason(l, &st);
        if (reason)
                return refuse_folder(l, path, reason);

        if (!list)
                return 0;
        for (struct dirent *e; (errno = 0, e = readdir(dir));) {
                size_t n = strlen(e->d_name);

                if (e->d_name[0] == '.' || n <= strlen(".conf") ||
                    strcmp(e->d_name + n - strlen(".conf"), ".conf") != 0)
                        continue;
                if (entries_add(list, e->d_name, place) < 0)
                        return -ENOMEM;
        }
        return errno == 0 ? 0 : refuse_folder(l, path, "cannot be read to its end");
}

static int load_folder(Loader *l, ConfKind kind, const char *folder)
{
        _cleanup_(entries_clear) Entries list = { 0 };
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(places) && r == 0; i++) {
                _cleanup_free_ char *path = NULL;

                if (asprintf(&path, "%s/" CDM_CONFIG_DIR "/%s", places[i], folder) < 0)
                        return -ENOMEM;
                r = list_folder(l, places[i], path, &list);
        }
        if (list.n_entries > 0)
                qsort(list.entries, list.n_entries, sizeof(*list.entries), compare_entries);
        for (size_t i = 0; i < list.n_entries && r == 0; i++) {
                _cleanup_free_ char *path = NULL;

                if (asprintf(&path, "%s/" CDM_CONFIG_DIR "/%s/%s", list.entries[i].place, folder,
                             list.entries[i].name) < 0)
                        return -ENOMEM;
                r = load_file(l, &kind, path);
        }
        return r;
}

/* cdmd.conf itself: the first that is there, also when it is a mask. */
static int load_main(Loader *l)
{
        const ConfKind kind = CONF_MAIN;
        bool found = false;
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(places) && r == 0; i++) {
                _cleanup_free_ char *folder = NULL, *path = NULL, *full = NULL;
                struct stat st;

                if (asprintf(&folder, "%s/" CDM_CONFIG_DIR, places[i]) < 0 ||
                    asprintf(&path, "%s/cdmd.conf", folder) < 0)
                        return -ENOMEM;
                full = full_path(l, path);
                if (!full)
                        return -ENOMEM;
                r = list_folder(l, places[i], folder, NULL);
                if (r < 0 || found || (lstat(full, &st) < 0 && (errno == ENOENT || errno == ENOTDIR)))
                        continue;
                found = true;
                r = load_file(l, &kind, path);
        }
        return r;
}

/* A rule for a pool that is not there is most often a slip of the pen. */
static int warn_pools(const Loader *l)
{
        static const char *const default_pool = POOL_DEFAULT_NAME;
        const Config *c = l->config;
        size_t n = c->n_pools > 0 ? c->n_pools : 1;

        for (size_t i = 0; i < c->n_rules; i++)
                for (char **glob = c->rules[i]->pools; glob && *glob; glob++) {
                        bool found = false;

                        for (size_t p = 0; p < n && !found; p++)
                                found = fnmatch(*glob, c->n_pools > 0 ? c->pools[p]->name : default_pool,
                                                0) == 0;
                        if (!found &&
                            conf_messages_add(l->messages, CONF_WARNING, c->rules[i]->file,
                                              c->rules[i]->line,
                                              "Pool=: no pool is called \"%s\" (pools are the files "
                                              "of pools.d); this rule does nothing for it",
                                              *glob) < 0)
                                return -ENOMEM;
                }
        return 0;
}

static int load_rules(Loader *l)
{
        int r = load_folder(l, CONF_POLICY, "policy.d");

        return r == 0 ? warn_pools(l) : r;
}

static int load(const char *root, bool rules, Config **ret, ConfMessages *messages)
{
        _cleanup_(config_free_p) Config *config = NULL;
        _cleanup_free_ char *base = strdup(root ? root : "");
        Loader l = { .messages = messages };
        struct stat st;
        int r;

        if (!base)
                return -ENOMEM;
        for (size_t n = strlen(base); n > 0 && base[n - 1] == '/'; n--)
                base[n - 1] = '\0';
        if (base[0] != '\0' && stat(base, &st) < 0)
                return -errno;
        r = config_new(&config);
        if (r < 0)
                return r;
        l.root = base;
        l.own_files = base[0] != '\0';
        l.config = config;

        r = load_main(&l);
        if (r == 0)
                r = load_folder(&l, CONF_MAIN, "cdmd.conf.d");
        if (r == 0)
                r = load_folder(&l, CONF_POOL, "pools.d");
        if (r == 0 && rules)
                r = load_rules(&l);
        if (r == 0 && l.refused)
                r = -EBADMSG;
        if (r < 0)
                return r;
        *ret = TAKE_PTR(config);
        return 0;
}

int config_load(const char *root, Config **ret, ConfMessages *messages)
{
        return load(root, true, ret, messages);
}

int config_load_fence(const char *root, Config **ret, ConfMessages *messages)
{
        return load(root, false, ret, messages);
}

int config_check_files(char *const *paths, size_t n_paths, ConfMessages *messages)
{
        bool refused = false;

        for (size_t i = 0; i < n_paths; i++) {
                _cleanup_(config_free_p) Config *config = NULL;
                Loader l = { .root = "", .own_files = true, .messages = messages };
                int r = config_new(&config);

                if (r < 0)
                        return r;
                l.config = config;
                r = load_file(&l, NULL, paths[i]);
                if (r < 0)
                        return r;
                refused = refused || l.refused;
        }
        return refused ? -EBADMSG : 0;
}
