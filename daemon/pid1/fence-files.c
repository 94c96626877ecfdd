/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The fence as files. All drop-ins of a configuration are first built in memory as a list of (path, text).
 * Writing, comparing and removing all use this list, so the generator and cdmd cannot produce different
 * results. A file belongs to cdmd if it has one of the names CDM_DROPIN_*; no other file in these
 * directories is touched. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/pid1/fence-files.h"
#include "policy/cdm-names.h"
#include "policy/word.h"

#define FOLDER_OF_MAX    250 /* the longest unit whose name with ".d" is the name of a file */
#define DROPIN_BYTES_MAX ((size_t)16 * 1024)
#define DIR_DECIDED_NEW  CDM_STATE_DIR "/.fence.new"

typedef struct DropIn {
        char *folder; /* "service.d" */
        const char *name;
        char *text;
} DropIn;

typedef struct DropIns {
        DropIn *items;
        size_t n_items;
} DropIns;

/* Every type of unit that can have processes and is not an inner cgroup. Mount units can have FUSE helpers.
 * All of these units have a cgroup that can be read back. */
static const struct {
        const char *suffix;
        const char *section;
} leaf_types[] = {
        { "service", "Service" }, { "scope", "Scope" }, { "socket", "Socket" },
        { "mount", "Mount" },     { "swap", "Swap" },
};

static void drop_ins_clear(DropIns *d)
{
        for (size_t i = 0; i < d->n_items; i++) {
                free(d->items[i].folder);
                free(d->items[i].text);
        }
        free(d->items);
        *d = (DropIns){ 0 };
}

static void fence_files_close_p(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

static void fence_files_closedir_p(DIR **d)
{
        if (*d)
                closedir(*d);
}

/* Returns the section with AllowedMemoryNodes= for a unit; NULL if this is not the name of a leaf. The name
 * becomes the name of a directory, so it may only contain the characters of unit names. */
static const char *fence_files_unit_section(const char *unit)
{
        const char *dot = strrchr(unit, '.');

        if (!dot || dot == unit || unit[0] == '.' || strlen(unit) > FOLDER_OF_MAX ||
            !word_is_unit_name(unit))
                return NULL;
        for (size_t i = 0; i < ARRAY_SIZE(leaf_types); i++)
                if (strcmp(dot + 1, leaf_types[i].suffix) == 0)
                        return leaf_types[i].section;
        return NULL;
}

/* Takes ownership of text; NULL means that the allocation of text failed. */
static int drop_ins_add(DropIns *d, const char *unit, const char *name, char *text)
{
        _cleanup_free_ char *owned = text, *folder = NULL;
        DropIn *items;

        if (!owned)
                return -ENOMEM;
        if (asprintf(&folder, "%s.d", unit) < 0) {
                folder = NULL;
                return -ENOMEM;
        }
        items = reallocarray(d->items, d->n_items + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        d->items = items;
        d->items[d->n_items++] = (DropIn){ TAKE_PTR(folder), name, TAKE_PTR(owned) };
        return 0;
}

/* Assignments of this list add up, so every file starts with an empty one, which discards the unit's own
 * setting. StartupAllowedMemoryNodes= replaces AllowedMemoryNodes= while the machine starts and stops. It is
 * only reset, and in the same file: if a drop-in sorts after that of a property that is set later
 * (50-AllowedMemoryNodes.conf, which every grant writes), systemd reports that the unit has changed on
 * disk. */
static char *fence_files_text_new(const char *section, const char *comment, const NodeSet *nodes)
{
        char list[NODESET_STR_MAX], *text = NULL;
        int r;

        if (nodes)
                r = asprintf(
                        &text,
                        "%s[%s]\nStartupAllowedMemoryNodes=\nAllowedMemoryNodes=\nAllowedMemoryNodes=%s\n",
                        comment, section, nodeset_format(nodes, list));
        else
                r = asprintf(&text, "%s[%s]\nAllowedMemoryNodes=\n", comment, section);
        return r < 0 ? NULL : text;
}

/* The text does not name the CDM nodes, so a new CDM node changes nothing for systemd. */
static int fence_files_add_fence(DropIns *d, const PoolSet *pools)
{
        static const char comment[] =
                "# Written by cdmd: keeps everyone without a reservation off the CDM nodes, and off nodes "
                "to come.\n"
                "# To lift it: Mode=off in /etc/cdm/cdmd.conf, section [Fence], then `cdmctl reload`.\n"
                "# To lift it for one unit: Exempt= there. See cdmd.conf(5). Do not edit.\n";
        char *text;

        for (size_t i = 0; i < ARRAY_SIZE(leaf_types); i++) {
                int r = drop_ins_add(d, leaf_types[i].suffix, CDM_DROPIN_FENCE,
                                     fence_files_text_new(leaf_types[i].section, comment, &pools->ordinary));

                if (r < 0)
                        return r;
        }
        /* While the machine starts and stops, cdmd is not running and could not close a slice that this
         * setting opens. */
        if (asprintf(&text, "%s[Slice]\nStartupAllowedMemoryNodes=\n", comment) < 0)
                text = NULL;
        return drop_ins_add(d, "slice", CDM_DROPIN_FENCE, text);
}

static bool drop_ins_have(const DropIns *d, const char *folder, const char *name)
{
        for (size_t i = 0; i < d->n_items; i++)
                if (strcmp(d->items[i].folder, folder) == 0 && strcmp(d->items[i].name, name) == 0)
                        return true;
        return false;
}

static bool drop_ins_have_unit(const DropIns *d, const char *unit, const char *name)
{
        char folder[FOLDER_OF_MAX + 3];

        snprintf(folder, sizeof(folder), "%s.d", unit);
        return drop_ins_have(d, folder, name);
}

static int fence_files_add_exempt(DropIns *d, const char *unit, const char *comment)
{
        const char *section = fence_files_unit_section(unit);

        if (!section || drop_ins_have_unit(d, unit, CDM_DROPIN_EXEMPT))
                return 0;
        return drop_ins_add(d, unit, CDM_DROPIN_EXEMPT, fence_files_text_new(section, comment, NULL));
}

static int fence_files_add_pin(DropIns *d, const Pin *pin, const PoolSet *pools)
{
        NodeSet nodes = nodeset_intersect(&pin->nodes, &pools->ordinary);
        const char *section = fence_files_unit_section(pin->unit);

        /* A pin allows ordinary nodes, never CDM nodes. If none of its nodes is left (they went offline),
         * the unit gets the set of the fence: an empty set would be no fence at all. */
        if (!section || nodeset_is_empty(&nodes) || drop_ins_have_unit(d, pin->unit, CDM_DROPIN_PIN))
                return 0;
        return drop_ins_add(d, pin->unit, CDM_DROPIN_PIN,
                            fence_files_text_new(
                                    section,
                                    "# Written by cdmd: Pin= in the section [Fence] of cdmd.conf names this "
                                    "unit. Do not edit.\n",
                                    &nodes));
}

/* Writes the drop-in that makes systemd start another unit first, which reserves, and wait for it. A program
 * that watches units would race with the main process, and an ExecStartPre= would be subject to the root,
 * namespaces and memory policy of the unit. If a specific directory (train-a.service.d) and a general one
 * (train-.service.d) apply to a unit, systemd uses the file of this name from the specific one.
 * A directory for scopes may belong to several rules, and also applies to scopes that no rule names; a
 * request for such a scope reserves nothing. The first of these rules decides whether a scope may start
 * without its reservation. */
static int fence_files_add_static(DropIns *d, const Rule *rule, const char *unit)
{
        char *folder = rule_static_folder(unit), *text;
        int r;

        if (!folder)
                return -ENOMEM;
        if (drop_ins_have(d, folder, CDM_DROPIN_STATIC)) {
                free(folder);
                return 0;
        }
        folder[strlen(folder) - strlen(".d")] = '\0';
        if (asprintf(&text,
                     "# Written by cdmd: Static= in %s reserves memory before the unit starts.\n"
                     "# Do not edit; change the rule, then `cdmctl reload`. See cdm-policy(5).\n"
                     "[Unit]\n%s@%%n.service\nAfter=%s@%%n.service\n",
                     rule->file,
                     rule->static_required ? "Requires=" CDM_UNIT_REQUIRED : "Wants=" CDM_UNIT_STATIC,
                     rule->static_required ? CDM_UNIT_REQUIRED : CDM_UNIT_STATIC) < 0)
                text = NULL;
        r = drop_ins_add(d, folder, CDM_DROPIN_STATIC, text);
        free(folder);
        return r;
}

static int fence_files_add_statics(DropIns *d, const Config *config)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < config->n_rules; i++) {
                const Rule *rule = config->rules[i];

                for (char **unit = rule->units; r >= 0 && rule->has_static && unit && *unit; unit++)
                        r = fence_files_add_static(d, rule, *unit);
        }
        return r;
}

/* Builds the list in the order of writing: exemptions come before the fence. If writing fails halfway (a
 * full disk), an exemption without a fence is harmless, but a fence without the exemption for cdmd is
 * not. */
static int drop_ins_build(const Config *config, const PoolSet *pools, DropIns *d)
{
        int r;

        if (!pool_set_needs_fence(pools))
                return 0;
        if (nodeset_is_empty(&pools->ordinary) || nodeset_intersects(&pools->cdm, &pools->ordinary))
                return -ENOSPC;
        r = fence_files_add_exempt(
                d, CDM_UNIT,
                "# Written by cdmd, which has to reach every node to move pages there. Do not edit.\n");
        if (r < 0)
                return r;
        for (char **unit = config->exempt; unit && *unit; unit++) {
                r = fence_files_add_exempt(
                        d, *unit,
                        "# Written by cdmd: Exempt= in the section [Fence] of cdmd.conf names this "
                        "unit. Do not edit.\n");
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < config->n_pins; i++) {
                r = fence_files_add_pin(d, &config->pins[i], pools);
                if (r < 0)
                        return r;
        }
        r = fence_files_add_statics(d, config);
        return r < 0 ? r : fence_files_add_fence(d, pools);
}

static bool fence_files_file_is(int folder_fd, const char *name, const char *text)
{
        _cleanup_(fence_files_close_p) int fd =
                openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        char buf[DROPIN_BYTES_MAX];
        size_t n = strlen(text);
        ssize_t got;

        if (fd < 0)
                return false;
        got = read(fd, buf, sizeof(buf));
        return got >= 0 && (size_t)got == n && memcmp(buf, text, n) == 0;
}

static int fence_files_write_all(int fd, const char *text)
{
        size_t n = strlen(text);

        while (n > 0) {
                ssize_t done = write(fd, text, n);

                if (done < 0 && errno == EINTR)
                        continue;
                if (done < 0)
                        return -errno;
                text += done;
                n -= (size_t)done;
        }
        return 0;
}

/* systemd may read these directories at any time: it sees the old file or the new one, and ignores the
 * temporary file, whose name is hidden. */
static int fence_files_file_replace(int folder_fd, const char *name, const char *text)
{
        _cleanup_(fence_files_close_p) int fd = -EBADF;
        char temp[64];
        int r;

        snprintf(temp, sizeof(temp), ".#%s.tmp", name);
        if (unlinkat(folder_fd, temp, 0) < 0 && errno != ENOENT)
                return -errno;
        fd = openat(folder_fd, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0)
                return -errno;
        r = fence_files_write_all(fd, text);
        if (r >= 0 && fchmod(fd, 0644) < 0)
                r = -errno;
        if (r >= 0 && renameat(folder_fd, temp, folder_fd, name) < 0)
                r = -errno;
        if (r < 0)
                unlinkat(folder_fd, temp, 0);
        return r;
}

static int drop_in_write(int dir_fd, const DropIn *item, bool *changed)
{
        _cleanup_(fence_files_close_p) int fd = -EBADF;
        int r;

        if (mkdirat(dir_fd, item->folder, 0755) < 0 && errno != EEXIST)
                return -errno;
        fd = openat(dir_fd, item->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (fence_files_file_is(fd, item->name, item->text))
                return 0;
        r = fence_files_file_replace(fd, item->name, item->text);
        if (r >= 0)
                *changed = true;
        return r;
}

/* Calls fn for each of cdmd's files in dir that is not in the list. */
typedef int (*stale_t)(int dir_fd, int folder_fd, const char *folder, const char *name, void *userdata);

static int fence_files_foreach_stale(int dir_fd, const DropIns *wanted, stale_t fn, void *userdata)
{
        static const char *const names[] = { CDM_DROPIN_FENCE, CDM_DROPIN_EXEMPT, CDM_DROPIN_PIN,
                                             CDM_DROPIN_STATIC };
        _cleanup_(fence_files_closedir_p) DIR *dir = NULL;
        struct dirent *e;
        int fd, r = 0;

        fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        dir = fdopendir(fd);
        if (!dir) {
                close(fd);
                return -ENOMEM;
        }
        while ((e = readdir(dir))) {
                _cleanup_(fence_files_close_p) int folder_fd = -EBADF;
                size_t n = strlen(e->d_name);

                if (e->d_name[0] == '.' || n < 3 || strcmp(e->d_name + n - 2, ".d") != 0)
                        continue;
                folder_fd = openat(dir_fd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                if (folder_fd < 0)
                        continue;
                for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                        int k;

                        if (faccessat(folder_fd, names[i], F_OK, AT_SYMLINK_NOFOLLOW) < 0 ||
                            drop_ins_have(wanted, e->d_name, names[i]))
                                continue;
                        /* Continue with the other files if one cannot be removed. */
                        k = fn(dir_fd, folder_fd, e->d_name, names[i], userdata);
                        if (k < 0)
                                r = k;
                }
        }
        return r;
}

static int fence_files_stale_remove(int dir_fd, int folder_fd, const char *folder, const char *name,
                                    void *userdata)
{
        bool *changed = userdata;

        if (unlinkat(folder_fd, name, 0) < 0)
                return -errno;
        *changed = true;
        /* A directory that is not empty contains files of other programs. */
        (void)unlinkat(dir_fd, folder, AT_REMOVEDIR);
        return 0;
}

static int fence_files_stale_notice(int dir_fd _unused_, int folder_fd _unused_, const char *folder _unused_,
                                    const char *name _unused_, void *userdata)
{
        bool *found = userdata;

        *found = true;
        return 0;
}

/* systemd reads these files at a daemon-reload, not before. */
int fence_files_write(const char *dir, const Config *config, const PoolSet *pools, bool *ret_changed)
{
        _cleanup_(drop_ins_clear) DropIns wanted = { 0 };
        _cleanup_(fence_files_close_p) int dir_fd = -EBADF;
        bool changed = false;
        int r;

        r = drop_ins_build(config, pools, &wanted);
        if (r < 0)
                return r;
        if (mkdir(dir, 0755) < 0 && errno != EEXIST)
                return -errno;
        dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                return -errno;
        for (size_t i = 0; i < wanted.n_items; i++) {
                r = drop_in_write(dir_fd, &wanted.items[i], &changed);
                if (r < 0)
                        return r;
        }
        r = fence_files_foreach_stale(dir_fd, &wanted, fence_files_stale_remove, &changed);
        if (r < 0)
                return r;
        *ret_changed = changed;
        return 0;
}

int fence_files_remove(const char *dir, bool *ret_changed)
{
        _cleanup_(fence_files_close_p) int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        bool changed = false;
        int r;

        if (dir_fd < 0 && errno != ENOENT)
                return -errno;
        if (dir_fd >= 0) {
                r = fence_files_foreach_stale(dir_fd, &(DropIns){ 0 }, fence_files_stale_remove, &changed);
                if (r < 0)
                        return r;
        }
        *ret_changed = changed;
        return 0;
}

bool fence_files_present(const char *dir, const Config *config, const PoolSet *pools)
{
        _cleanup_(drop_ins_clear) DropIns wanted = { 0 };
        _cleanup_(fence_files_close_p) int dir_fd = -EBADF;
        bool stale = false;

        if (drop_ins_build(config, pools, &wanted) < 0)
                return false;
        dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                return errno == ENOENT && wanted.n_items == 0;
        for (size_t i = 0; i < wanted.n_items; i++) {
                const DropIn *item = &wanted.items[i];
                _cleanup_(fence_files_close_p) int fd =
                        openat(dir_fd, item->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

                if (fd < 0 || !fence_files_file_is(fd, item->name, item->text))
                        return false;
        }
        return fence_files_foreach_stale(dir_fd, &wanted, fence_files_stale_notice, &stale) == 0 && !stale;
}

static int fence_files_file_read(int folder_fd, const char *name, char **ret)
{
        _cleanup_(fence_files_close_p) int fd =
                openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        _cleanup_free_ char *text = NULL;
        ssize_t n;

        if (fd < 0)
                return -errno;
        text = malloc(DROPIN_BYTES_MAX);
        if (!text)
                return -ENOMEM;
        n = read(fd, text, DROPIN_BYTES_MAX);
        if (n < 0)
                return -errno;
        if ((size_t)n == DROPIN_BYTES_MAX)
                return -EFBIG;
        text[n] = '\0';
        *ret = TAKE_PTR(text);
        return 0;
}

int fence_files_ordinary(const char *dir, NodeSet *ret)
{
        static const char key[] = "\nAllowedMemoryNodes=";
        _cleanup_(fence_files_close_p) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_free_ char *text = NULL;
        int r;

        if (fd < 0)
                return -errno;
        r = fence_files_file_read(fd, "service.d/" CDM_DROPIN_FENCE, &text);
        if (r < 0)
                return r;
        for (char *p = text; (p = strstr(p, key));) {
                char *end;

                p += strlen(key);
                end = strchrnul(p, '\n');
                if (*end == '\n' && end > p) {
                        *end = '\0';
                        return nodeset_parse(p, ret);
                }
        }
        return -ENOENT;
}

/* --- the decision of cdmd ----------------------------------------------------------------------------- */

static char *fence_files_below(const char *root, const char *dir)
{
        char *path;

        return asprintf(&path, "%s%s", root, dir) < 0 ? NULL : path;
}

/* The directory is created atomically: a cdmd that dies meanwhile has decided nothing. Later each file is
 * replaced atomically, so that the fence never disappears in between. */
int fence_files_decide(const char *root, const Config *config, const PoolSet *pools)
{
        _cleanup_free_ char *state = fence_files_below(root, CDM_STATE_DIR),
                            *decided = fence_files_below(root, CDM_DIR_DECIDED),
                            *fresh = fence_files_below(root, DIR_DECIDED_NEW);
        const PoolSet none = { 0 };
        const char *dir;
        bool changed;
        int r;

        if (!state || !decided || !fresh)
                return -ENOMEM;
        if (mkdir(state, 0755) < 0 && errno != EEXIST)
                return -errno;
        dir = access(decided, F_OK) == 0 ? decided : fresh;
        r = fence_files_write(dir, config, pools ? pools : &none, &changed);
        if (r >= 0 && dir == fresh && rename(fresh, decided) < 0)
                r = -errno;
        return r;
}

static int fence_files_copy_one(int dir_fd _unused_, int folder_fd, const char *folder, const char *name,
                                void *userdata)
{
        _cleanup_free_ char *text = NULL, *copy = strdup(folder);
        int r = fence_files_file_read(folder_fd, name, &text);
        bool changed;

        if (r >= 0 && !copy)
                r = -ENOMEM;
        if (r >= 0)
                r = drop_in_write(*(int *)userdata, &(DropIn){ copy, name, text }, &changed);
        return r;
}

int fence_files_copy_decided(const char *root, const char *dir)
{
        _cleanup_free_ char *decided = fence_files_below(root, CDM_DIR_DECIDED);
        _cleanup_(fence_files_close_p) int from_fd = -EBADF, to_fd = -EBADF;

        if (!decided)
                return -ENOMEM;
        from_fd = open(decided, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (from_fd < 0)
                return -errno;
        if (mkdir(dir, 0755) < 0 && errno != EEXIST)
                return -errno;
        to_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (to_fd < 0)
                return -errno;
        return fence_files_foreach_stale(from_fd, &(DropIns){ 0 }, fence_files_copy_one, &to_fd);
}

/* The socket of the bus shows that the machine is running: at boot, generators run before the bus is
 * started, and an initrd, whose cgroups may still exist, has no bus. */
void fence_files_note_cpuset(const char *root)
{
        _cleanup_free_ char *bus = fence_files_below(root, "/run/dbus/system_bus_socket"), *text = NULL,
                            *slice = fence_files_below(root, "/sys/fs/cgroup/system.slice"),
                            *state = fence_files_below(root, CDM_STATE_DIR),
                            *flag = fence_files_below(root, CDM_FLAG_CPUSET);
        _cleanup_(fence_files_close_p) int slice_fd = -EBADF, fd = -EBADF;

        if (!bus || !slice || !state || !flag || access(bus, F_OK) < 0)
                return;
        slice_fd = open(slice, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (slice_fd < 0 || fence_files_file_read(slice_fd, "cgroup.subtree_control", &text) < 0 ||
            strstr(text, "cpuset"))
                return;
        (void)mkdir(state, 0755);
        fd = open(flag, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
}
