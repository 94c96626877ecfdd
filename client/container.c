/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/cdmctl.h"
#include "client/container.h"
#include "policy/cdm-names.h"
#include "policy/container.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
/* A word of fewer digits is a name, such as "db". */
#define PREFIX_MIN 3
#define NAME_MAX_  253
/* Upper bounds for a runtime's output, and for the candidates that are shown. */
#define OUTPUT_MAX     8192
#define CANDIDATES_MAX 8

typedef struct Found {
        Container container;
        char *cgroup;
} Found;

/* The parts of --container, and the cgroups found. */
typedef struct Search {
        const char *root;
        ContainerRuntime runtime; /* _CONTAINER_RUNTIME_MAX: any */
        const char *word;
        const char *id; /* the id, or the beginning of one, that is searched for */
        char own_slice[40];
        Found *found;
        size_t n_found;
} Search;

static void search_clear(Search *s)
{
        for (size_t i = 0; i < s->n_found; i++)
                free(s->found[i].cgroup);
        free(s->found);
        s->found = NULL;
        s->n_found = 0;
}

/* Accepts the names of podman, docker and Kubernetes. The name becomes an argument of their commands. */
static bool is_name(const char *s)
{
        static const char inner[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
        size_t n = strlen(s);

        return n > 0 && n <= NAME_MAX_ && strspn(s, inner) == n && !strchr("_.-", s[0]);
}

static bool is_id_prefix(const char *s)
{
        size_t n = strlen(s);

        return n >= PREFIX_MIN && n <= CONTAINER_ID_MAX && strspn(s, "0123456789abcdef") == n;
}

static int search_init(Search *s, const Args *args)
{
        const char *colon = strchr(args->container, ':');

        *s = (Search){ .root = args->root, .runtime = _CONTAINER_RUNTIME_MAX, .word = args->container };
        if (colon) {
                _cleanup_free_ char *name = strndup(s->word, (size_t)(colon - s->word));

                if (!name)
                        return fail(CDM_EXIT_FAILED, "out of memory");
                if (container_runtime_from_string(name, &s->runtime) < 0)
                        return usage_error(
                                "--container=%s: the runtime is one of podman, docker, containerd "
                                "and crio",
                                args->container);
                s->word = colon + 1;
        }
        if (!is_name(s->word))
                return usage_error("--container=%s is neither a container's id nor a name", args->container);
        snprintf(s->own_slice, sizeof(s->own_slice), "/user.slice/user-%u.slice/", geteuid());
        return 0;
}

int container_check(const Args *args)
{
        Search s;

        return args->container ? search_init(&s, args) : 0;
}

/* --- ids --- */

static bool is_wanted(const Search *s, const char *cgroup, const Container *c)
{
        if (s->runtime != _CONTAINER_RUNTIME_MAX && s->runtime != c->runtime)
                return false;
        if (strncmp(cgroup, "/user.slice/", strlen("/user.slice/")) == 0 &&
            strncmp(cgroup, s->own_slice, strlen(s->own_slice)) != 0)
                return false;
        return strncmp(c->id, s->id, strlen(s->id)) == 0;
}

static int container_keep(Search *s, const char *cgroup, const Container *c)
{
        Found *found = reallocarray(s->found, s->n_found + 1, sizeof(*found));

        if (!found)
                return -ENOMEM;
        s->found = found;
        found[s->n_found] = (Found){ .container = *c, .cgroup = strdup(cgroup) };
        return found[s->n_found].cgroup ? (s->n_found++, 0) : -ENOMEM;
}

/* cgroup: the path of dirfd, "" for the root. Takes ownership of dirfd. A cgroup that cannot be opened was
 * removed meanwhile. */
static int container_walk(Search *s, int dirfd, const char *cgroup)
{
        DIR *dir = dirfd < 0 ? NULL : fdopendir(dirfd);
        const struct dirent *e;
        int r = 0;

        if (!dir) {
                if (dirfd >= 0)
                        close(dirfd);
                return 0;
        }
        while (r >= 0 && (e = readdir(dir))) {
                _cleanup_free_ char *path = NULL;
                Container c;

                if (e->d_type != DT_DIR || strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                        continue;
                if (asprintf(&path, "%s/%s", cgroup, e->d_name) < 0) {
                        path = NULL;
                        r = -ENOMEM;
                } else if (!container_of_cgroup(path, &c, NULL))
                        r = container_walk(s, openat(dirfd, e->d_name, O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW),
                                           path);
                else if (is_wanted(s, path, &c))
                        r = container_keep(s, path, &c);
        }
        closedir(dir);
        return r;
}

/* Fills in found. 0 or an exit status. */
static int look_for_id(Search *s, const char *id)
{
        _cleanup_free_ char *top = NULL;

        search_clear(s);
        s->id = id;
        if (asprintf(&top, "%s%s", s->root, CGROUP_ROOT) < 0) {
                top = NULL;
                return fail(CDM_EXIT_FAILED, "out of memory");
        }
        int fd = open(top, O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 && errno != ENOENT)
                return fail(CDM_EXIT_FAILED, "cannot look for containers in %s: %s", top, strerror(errno));
        return container_walk(s, fd, "") < 0 ? fail(CDM_EXIT_FAILED, "out of memory") : 0;
}

static int fail_ambiguous(const Search *s)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return fail(CDM_EXIT_FAILED, "out of memory");
        for (size_t i = 0; i < s->n_found && i < CANDIDATES_MAX; i++)
                fprintf(f, "\n  %s:%s in %s", container_runtime_to_string(s->found[i].container.runtime),
                        s->found[i].container.id, s->found[i].cgroup);
        if (s->n_found > CANDIDATES_MAX)
                fprintf(f, "\n  and %zu more", s->n_found - CANDIDATES_MAX);
        if (fclose(f) != 0)
                return fail(CDM_EXIT_FAILED, "out of memory");
        return fail(CDM_EXIT_FAILED, "'%s' may be one of several containers; write more of the id:%s",
                    s->word, text);
}

/* --- names --- */

/* The commands that print the ids of the containers with a name, one full id per line. %s: the name; %r: the
 * name as a regular expression. */
static const struct {
        ContainerRuntime runtimes[2];
        const char *argv[9];
} commands[] = {
        { { CONTAINER_PODMAN, CONTAINER_PODMAN },
          { "podman", "container", "inspect", "--format", "{{.Id}}", "--", "%s" } },
        { { CONTAINER_DOCKER, CONTAINER_DOCKER },
          { "docker", "container", "inspect", "--format", "{{.Id}}", "--", "%s" } },
        { { CONTAINER_CONTAINERD, CONTAINER_CONTAINERD },
          { "nerdctl", "container", "inspect", "--format", "{{.Id}}", "--", "%s" } },
        { { CONTAINER_CONTAINERD, CONTAINER_CRIO },
          { "crictl", "ps", "--quiet", "--no-trunc", "--name", "%r" } },
};

/* "a.b" as "^a[.]b$". A name has no other special character. */
static char *name_as_regex(const char *name)
{
        char *s = malloc(3 * strlen(name) + 3), *to = s;

        if (!s)
                return NULL;
        *to++ = '^';
        for (; *name; name++)
                to = *name == '.' ? stpcpy(to, "[.]") : (*to = *name, to + 1);
        strcpy(to, "$");
        return s;
}

static char *read_output(int fd)
{
        char *text = calloc(1, OUTPUT_MAX + 1);

        if (text && pread(fd, text, OUTPUT_MAX, 0) < 0)
                *text = '\0';
        return text;
}

/* Runs a command without a shell, and captures its output in memory files. *ret_status: as from wait().
 * -ENOENT: the command is not in PATH. */
static int container_run_command(const char *const *argv, char **ret_out, char **ret_err, int *ret_status)
{
        posix_spawn_file_actions_t actions;
        int out = memfd_create("out", MFD_CLOEXEC), err = memfd_create("err", MFD_CLOEXEC), r = ENOMEM;
        pid_t pid;

        if (out >= 0 && err >= 0 && posix_spawn_file_actions_init(&actions) == 0) {
                posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
                posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
                posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
                r = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
                posix_spawn_file_actions_destroy(&actions);
        }
        if (r == 0) {
                while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
                        ;
                *ret_out = read_output(out);
                *ret_err = read_output(err);
                r = *ret_out && *ret_err ? 0 : ENOMEM;
        }
        if (out >= 0)
                close(out);
        if (err >= 0)
                close(err);
        return -r;
}

/* Adds the ids in the text to *ids, without duplicates. */
static int keep_ids(char *text, char (*ids)[CONTAINER_ID_MAX + 1], size_t *n)
{
        char *state = NULL;

        for (char *line = strtok_r(text, " \r\n", &state); line; line = strtok_r(NULL, " \r\n", &state)) {
                bool known = false;

                if (!is_id_prefix(line) || strlen(line) != CONTAINER_ID_MAX)
                        return -EBADMSG;
                for (size_t i = 0; i < *n; i++)
                        known = known || strcmp(ids[i], line) == 0;
                if (!known && *n < CANDIDATES_MAX)
                        strcpy(ids[(*n)++], line);
        }
        return 0;
}

typedef struct Asked {
        char ids[CANDIDATES_MAX][CONTAINER_ID_MAX + 1];
        size_t n_ids;
        unsigned n_runtimes;
        char *complaints; /* the errors of the runtimes that found none */
} Asked;

static int container_complain(Asked *a, const char *command, const char *text)
{
        _cleanup_free_ char *old = TAKE_PTR(a->complaints);
        size_t n = strlen(text);

        while (n > 0 && strchr("\r\n", text[n - 1]))
                n--;
        if (asprintf(&a->complaints, "%s\n%s: %.*s", old ? old : "", command, (int)n, text) < 0) {
                a->complaints = NULL;
                return -ENOMEM;
        }
        return 0;
}

static int container_ask(Asked *a, const char *const *pattern, const char *word)
{
        _cleanup_free_ char *regex = name_as_regex(word), *out = NULL, *err = NULL;
        const char *argv[ARRAY_SIZE(commands[0].argv)] = { NULL };
        int status = 0;

        if (!regex)
                return -ENOMEM;
        for (size_t i = 0; pattern[i]; i++)
                argv[i] = strcmp(pattern[i], "%s") == 0   ? word
                          : strcmp(pattern[i], "%r") == 0 ? regex
                                                          : pattern[i];
        int r = container_run_command(argv, &out, &err, &status);
        if (r == -ENOENT)
                return 0;
        a->n_runtimes++;
        if (r < 0)
                return container_complain(a, argv[0], strerror(-r));
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                return container_complain(a, argv[0], *err ? err : "failed and did not say why");
        if (keep_ids(out, a->ids, &a->n_ids) < 0)
                return container_complain(a, argv[0], "its output is not a container's id");
        return 0;
}

static int fail_unknown(const Search *s, const Asked *a)
{
        if (a->n_runtimes == 0)
                return fail(
                        CDM_EXIT_FAILED,
                        "no running container has an id that starts with '%s', and no runtime's command "
                        "(podman, docker, nerdctl or crictl) is in PATH to look up a name; give the id, or "
                        "--unit or --cgroup",
                        s->word);
        return fail(CDM_EXIT_FAILED,
                    "there is no container '%s'; `podman ps` or a similar command shows the running ones%s",
                    s->word, a->complaints ? a->complaints : "");
}

static int look_for_name(Search *s)
{
        Asked a = { 0 };
        int r = 0, status = 0;

        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(commands); i++)
                if (s->runtime == _CONTAINER_RUNTIME_MAX || s->runtime == commands[i].runtimes[0] ||
                    s->runtime == commands[i].runtimes[1])
                        r = container_ask(&a, commands[i].argv, s->word);
        if (r < 0)
                status = fail(CDM_EXIT_FAILED, "out of memory");
        else if (a.n_ids == 0)
                status = fail_unknown(s, &a);
        else if (a.n_ids > 1)
                status = fail(CDM_EXIT_FAILED,
                              "several containers have the name '%s' (%.12s, %.12s); give the id, or "
                              "RUNTIME:NAME",
                              s->word, a.ids[0], a.ids[1]);
        else
                status = look_for_id(s, a.ids[0]);
        if (status == 0 && s->n_found == 0)
                status = fail(CDM_EXIT_FAILED, "the container %s (%.12s) is not running; start it first",
                              s->word, a.ids[0]);
        s->id = NULL;
        free(a.complaints);
        return status;
}

int container_find(const Args *args, char **ret_cgroup)
{
        _cleanup_(search_clear) Search s;

        int status = search_init(&s, args);
        if (status == 0 && is_id_prefix(s.word))
                status = look_for_id(&s, s.word);
        if (status == 0 && s.n_found == 0 && *s.root)
                status =
                        fail(CDM_EXIT_FAILED,
                             "no container below %s has an id that starts with '%s'; names are known to the "
                             "machine's own runtime only",
                             s.root, s.word);
        if (status == 0 && s.n_found == 0)
                status = look_for_name(&s);
        if (status == 0 && s.n_found > 1)
                status = fail_ambiguous(&s);
        if (status != 0)
                return status;
        *ret_cgroup = TAKE_PTR(s.found[0].cgroup);
        return 0;
}
