/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Replaces the names of users, of their home folders and of the host. Only whole words are replaced:
 * letters, digits and "_" belong to a word, everything else ends it. */

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/report.h"

/* Lower ids are system accounts, whose names are not private; 65534 is nobody. */
#define WORDS_UID_MIN    1000
#define WORDS_UID_NOBODY 65534

typedef struct ReportWord {
        char *from, *to;
} ReportWord;

struct ReportWords {
        ReportWord *words; /* sorted by `from` */
        size_t n_words;
        size_t longest;
        unsigned n_users;
};

ReportWords *report_words_free(ReportWords *w)
{
        if (!w)
                return NULL;
        for (size_t i = 0; i < w->n_words; i++) {
                free(w->words[i].from);
                free(w->words[i].to);
        }
        free(w->words);
        free(w);
        return NULL;
}

static int words_compare(const char *word, const char *text, size_t n)
{
        int r = strncmp(word, text, n);

        return r != 0 ? r : (word[n] != '\0');
}

/* The position of the first word that is not less than the text. */
static size_t words_position(const ReportWords *w, const char *text, size_t n)
{
        size_t low = 0, high = w->n_words;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (words_compare(w->words[middle].from, text, n) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static const ReportWord *words_find(const ReportWords *w, const char *text, size_t n)
{
        size_t i = words_position(w, text, n);

        return i < w->n_words && words_compare(w->words[i].from, text, n) == 0 ? &w->words[i] : NULL;
}

int report_words_add(ReportWords *w, const char *from, const char *to)
{
        size_t n = strlen(from), i = words_position(w, from, n);

        if (n == 0 || words_find(w, from, n))
                return 0;
        ReportWord *more = reallocarray(w->words, w->n_words + 1, sizeof(*more));
        if (!more)
                return -ENOMEM;
        w->words = more;
        ReportWord word = { strdup(from), strdup(to) };
        if (!word.from || !word.to) {
                free(word.from);
                free(word.to);
                return -ENOMEM;
        }
        memmove(more + i + 1, more + i, (w->n_words - i) * sizeof(*more));
        more[i] = word;
        w->n_words++;
        w->longest = n > w->longest ? n : w->longest;
        return 0;
}

int report_words_add_user(ReportWords *w, const char *name, const char *home)
{
        char to[32], to_home[sizeof("/home/") + sizeof(to)];

        if (words_find(w, name, strlen(name)))
                return 0;
        snprintf(to, sizeof(to), "user%u", ++w->n_users);
        snprintf(to_home, sizeof(to_home), "/home/%s", to);
        int r = report_words_add(w, name, to);
        /* "/" is the home folder of many users and identifies none. */
        return r >= 0 && strlen(home) > 1 ? report_words_add(w, home, to_home) : r;
}

static int words_add_account(ReportWords *w, const struct passwd *p)
{
        if (!p || p->pw_uid < WORDS_UID_MIN || p->pw_uid == WORDS_UID_NOBODY)
                return 0;
        return report_words_add_user(w, p->pw_name, p->pw_dir);
}

static int words_add_passwd(ReportWords *w, const char *root)
{
        _cleanup_free_ char *path = NULL;
        const struct passwd *p;
        int r = 0;

        if (asprintf(&path, "%s/etc/passwd", root) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        FILE *f = fopen(path, "re");
        if (!f)
                return 0;
        while (r >= 0 && (p = fgetpwent(f)))
                r = words_add_account(w, p);
        fclose(f);
        return r;
}

/* Adds users that only a name service knows: the caller, and users that are logged in. */
static int words_add_present(ReportWords *w)
{
        DIR *d = opendir("/run/user");
        const struct dirent *e;
        int r = words_add_account(w, getpwuid(getuid()));

        const char *sudo_user = getenv("SUDO_USER");
        if (r >= 0 && sudo_user)
                r = words_add_account(w, getpwnam(sudo_user));
        while (d && r >= 0 && (e = readdir(d)))
                if (isdigit((unsigned char)e->d_name[0]))
                        r = words_add_account(w, getpwuid((uid_t)strtoul(e->d_name, NULL, 10)));
        if (d)
                closedir(d);
        return r;
}

/* Adds the host name with and without its domain. */
static int words_add_host(ReportWords *w)
{
        char name[256] = "";

        if (gethostname(name, sizeof(name) - 1) < 0)
                return 0;
        int r = report_words_add(w, name, "host");
        name[strcspn(name, ".")] = '\0';
        return r < 0 ? r : report_words_add(w, name, "host");
}

int report_words_new(const char *root, ReportWords **ret)
{
        _cleanup_(report_words_free_p) ReportWords *w = calloc(1, sizeof(*w));

        if (!w)
                return -ENOMEM;
        int r = words_add_passwd(w, root);
        if (r >= 0 && !*root)
                r = words_add_present(w);
        if (r >= 0)
                r = words_add_host(w);
        if (r >= 0)
                *ret = TAKE_PTR(w);
        return r;
}

static bool words_is_inside(char c)
{
        return isalnum((unsigned char)c) || c == '_';
}

/* The longest word that the text begins with. */
static const ReportWord *words_at(const ReportWords *w, const char *text, size_t n)
{
        for (size_t k = n < w->longest ? n : w->longest; k > 0; k--) {
                const ReportWord *word = k < n && words_is_inside(text[k]) ? NULL : words_find(w, text, k);

                if (word)
                        return word;
        }
        return NULL;
}

int report_words_replace(const ReportWords *w, const char *text, size_t n, char **ret, size_t *ret_n)
{
        FILE *f = open_memstream(ret, ret_n);

        if (!f)
                return -ENOMEM;
        for (size_t i = 0; i < n;) {
                bool starts = i == 0 || !words_is_inside(text[i - 1]);
                const ReportWord *word = starts ? words_at(w, text + i, n - i) : NULL;

                if (word)
                        fputs(word->to, f);
                else
                        fputc(text[i], f);
                i += word ? strlen(word->from) : 1;
        }
        return fclose(f) == 0 ? 0 : -ENOMEM;
}
