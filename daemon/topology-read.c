/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The machine's nodes, from sysfs and procfs. Every attribute is read on its own and may be missing, cut off
 * or nonsense (old kernels, support bundles, firmware): then that one value is unknown. Where a value
 * decides whether a node is taken from everybody, unknown means "leave it alone": a node counts as one with
 * CPUs unless the kernel says clearly that it has none. */

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/topology-read.h"

#define NODE_DIR "sys/devices/system/node"
#define TIER_DIR "sys/devices/virtual/memory_tiering"
#define KMEM_DIR "sys/bus/dax/drivers/kmem"
#define GPU_DIR  "proc/driver/nvidia/gpus"

/* The longest attribute that is read here is the distance list of 1024 nodes (under 5 KiB). sysfs itself
 * does not give out more than a page. What is longer is not what it claims to be. */
#define ATTRIBUTE_BYTES_MAX ((size_t)16 * 1024)

static void close_p(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

static int root_open(const char *root)
{
        int fd = open(root && root[0] ? root : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

/* Reads all of a small file. -EBADMSG: binary; -EFBIG: too long; -EINVAL: no regular file. */
static int fd_read_text(int fd, char **ret)
{
        _cleanup_free_ char *text = malloc(ATTRIBUTE_BYTES_MAX + 1);
        struct stat st;
        size_t n = 0;

        if (!text)
                return -ENOMEM;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        for (;;) {
                ssize_t got = read(fd, text + n, ATTRIBUTE_BYTES_MAX + 1 - n);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return -errno;
                if (got == 0)
                        break;
                n += (size_t)got;
                if (n > ATTRIBUTE_BYTES_MAX)
                        return -EFBIG;
        }
        text[n] = '\0';
        if (strlen(text) != n)
                return -EBADMSG;
        *ret = TAKE_PTR(text);
        return 0;
}

/* The text of the file whose path below root_fd the format gives. */
static int attribute_read(int root_fd, char **ret, const char *format, ...) _printf_(3, 4);
static int attribute_read(int root_fd, char **ret, const char *format, ...)
{
        _cleanup_free_ char *path = NULL;
        _cleanup_(close_p) int fd = -EBADF;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&path, format, ap);
        va_end(ap);
        if (r < 0) {
                path = NULL;
                return -ENOMEM;
        }
        /* O_NONBLOCK: below a --root there may be a FIFO in the place of a file. */
        fd = openat(root_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        return fd_read_text(fd, ret);
}

/* A decimal number and nothing else but white space around it. */
static int number_parse(const char *text, uint64_t *ret)
{
        unsigned long long v;
        char *end;

        text += strspn(text, " \t");
        if (!isdigit((unsigned char)*text))
                return -EINVAL;
        errno = 0;
        v = strtoull(text, &end, 10);
        if (errno)
                return -errno;
        if (end[strspn(end, " \t\r\n")] != '\0')
                return -EINVAL;
        *ret = v;
        return 0;
}

/* "node12" with prefix "node" is 12; -1 for anything else, also for more than the kernel can number. */
static int name_number(const char *name, const char *prefix)
{
        size_t n = strlen(prefix);
        uint64_t v;

        if (strncmp(name, prefix, n) != 0 || strlen(name + n) > 4 || number_parse(name + n, &v) < 0 ||
            isspace((unsigned char)name[n]) || v >= NODE_MAX)
                return -1;
        return (int)v;
}

/* Calls fn for every entry of a folder, dax2.0 before dax10.0; no folder is no entry. Stops at the first
 * negative return. */
typedef int (*entry_t)(int root_fd, const char *name, void *userdata);

static int is_visible(const struct dirent *e)
{
        return e->d_name[0] != '.';
}

static int folder_foreach(int root_fd, const char *path, entry_t fn, void *userdata)
{
        struct dirent **entries = NULL;
        int n, r = 0;

        n = scandirat(root_fd, path, &entries, is_visible, versionsort);
        if (n < 0)
                return errno == ENOMEM ? -ENOMEM : 0;
        for (int i = 0; i < n; i++) {
                if (r >= 0)
                        r = fn(root_fd, entries[i]->d_name, userdata);
                free(entries[i]);
        }
        free(entries);
        return r < 0 ? r : 0;
}

static int collect_node(int root_fd _unused_, const char *name, void *userdata)
{
        int node = name_number(name, "node");

        if (node >= 0)
                nodeset_add(userdata, node);
        return 0;
}

/* A list of nodes, such as `online`. -ENOENT: no such file; other errors: unusable. */
static int read_list(int root_fd, const char *name, NodeSet *ret)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = attribute_read(root_fd, &text, NODE_DIR "/%s", name);
        if (r < 0)
                return r;
        return nodeset_parse(text, ret);
}

static int read_online(int root_fd, NodeSet *ret)
{
        NodeSet online = NODESET_EMPTY;
        int r;

        if (faccessat(root_fd, NODE_DIR, F_OK, 0) < 0)
                return -errno;
        r = read_list(root_fd, "online", &online);
        if (r == -ENOMEM)
                return r;
        if (r == -ENOENT)
                r = folder_foreach(root_fd, NODE_DIR, collect_node, &online);
        if (r < 0 || nodeset_is_empty(&online))
                return -EIO;
        *ret = online;
        return 0;
}

/* One line of meminfo: "Node 250 MemTotal:       15728640 kB". */
static int meminfo_value(const char *text, const char *key, uint64_t *ret_bytes)
{
        const char *p = strstr(text, key);
        unsigned long long kib;
        char *end;

        if (!p)
                return -ENODATA;
        p += strlen(key);
        p += strspn(p, " \t");
        if (!isdigit((unsigned char)*p))
                return -EINVAL;
        errno = 0;
        kib = strtoull(p, &end, 10);
        if (errno || kib > UINT64_MAX / 1024)
                return -ERANGE;
        /* Without its unit the line has been cut off, and perhaps the number with it. */
        if (strncmp(end, " kB", 3) != 0)
                return -EINVAL;
        *ret_bytes = kib * 1024;
        return 0;
}

static int read_meminfo(int root_fd, int node, uint64_t *ret_size, uint64_t *ret_free)
{
        _cleanup_free_ char *text = NULL;
        uint64_t size, avail;
        int r;

        r = attribute_read(root_fd, &text, NODE_DIR "/node%d/meminfo", node);
        if (r < 0)
                return r;
        r = meminfo_value(text, " MemTotal:", &size);
        if (r < 0)
                return r;
        if (meminfo_value(text, " MemFree:", &avail) < 0)
                avail = 0;
        *ret_size = size;
        *ret_free = avail < size ? avail : size;
        return 0;
}

static int collect_cpu(int root_fd _unused_, const char *name, void *userdata)
{
        if (strncmp(name, "cpu", 3) == 0 && isdigit((unsigned char)name[3]))
                *(bool *)userdata = true;
        return 0;
}

/* has_cpu and cpulist know only CPUs that are online; the links cpuN stay for those that an admin has taken
 * offline. A DRAM node whose CPUs sleep must not become precious by that. */
static bool node_has_cpu(int root_fd, int node, const NodeSet *has_cpu)
{
        _cleanup_free_ char *list = NULL, *folder = NULL;
        bool link = false;

        if (has_cpu && nodeset_contains(has_cpu, node))
                return true;
        if (asprintf(&folder, NODE_DIR "/node%d", node) < 0) {
                folder = NULL;
                return true;
        }
        folder_foreach(root_fd, folder, collect_cpu, &link);
        if (link)
                return true;
        if (attribute_read(root_fd, &list, NODE_DIR "/node%d/cpulist", node) < 0)
                return !has_cpu;
        return list[strspn(list, " \t\r\n")] != '\0';
}

/* The `distance` of a node: one number for each online node, in their order. NULL when it is not that. */
static int read_distance(int root_fd, int node, size_t n_nodes, uint16_t **ret)
{
        _cleanup_free_ uint16_t *distance = NULL;
        _cleanup_free_ char *text = NULL;
        char *p;

        *ret = NULL;
        if (attribute_read(root_fd, &text, NODE_DIR "/node%d/distance", node) < 0)
                return 0;
        distance = calloc(n_nodes, sizeof(*distance));
        if (!distance)
                return -ENOMEM;
        p = text;
        for (size_t i = 0; i < n_nodes; i++) {
                unsigned long v;

                p += strspn(p, " \t");
                if (!isdigit((unsigned char)*p))
                        return 0;
                v = strtoul(p, &p, 10);
                /* ACPI's SLIT has one byte an entry; below 10 is reserved. */
                if (v < 10 || v > 255)
                        return 0;
                distance[i] = (uint16_t)v;
        }
        if (p[strspn(p, " \t\r\n")] != '\0')
                return 0;
        *ret = TAKE_PTR(distance);
        return 0;
}

/* HMAT as the kernel shows it: access class 1 is about CPUs only, class 0 about any initiator (a GPU's own
 * copy engine as well), so the former comes first. */
static uint64_t read_performance(int root_fd, int node, const char *name)
{
        for (int level = 1; level >= 0; level--) {
                _cleanup_free_ char *text = NULL;
                uint64_t v;

                if (attribute_read(root_fd, &text, NODE_DIR "/node%d/access%d/initiators/%s", node, level,
                                   name) < 0)
                        continue;
                if (number_parse(text, &v) == 0 && v > 0)
                        return v;
        }
        return 0;
}

static NodeSet read_initiators(int root_fd, int node)
{
        NodeSet nodes = NODESET_EMPTY;

        for (int level = 1; level >= 0 && nodeset_is_empty(&nodes); level--) {
                _cleanup_free_ char *folder = NULL;

                if (asprintf(&folder, NODE_DIR "/node%d/access%d/initiators", node, level) < 0) {
                        folder = NULL;
                        break;
                }
                folder_foreach(root_fd, folder, collect_node, &nodes);
        }
        return nodes;
}

static Node *find_node(Topology *t, uint64_t node)
{
        for (size_t i = 0; i < t->n_nodes; i++)
                if (t->nodes[i].id >= 0 && (uint64_t)t->nodes[i].id == node)
                        return &t->nodes[i];
        return NULL;
}

static int read_tier(int root_fd, const char *name, void *userdata)
{
        _cleanup_free_ char *text = NULL;
        int tier = name_number(name, "memory_tier");
        Topology *t = userdata;
        NodeSet nodes;

        if (tier < 0 || attribute_read(root_fd, &text, TIER_DIR "/%s/nodelist", name) < 0 ||
            nodeset_parse(text, &nodes) < 0)
                return 0;
        NODESET_FOREACH (node, &nodes) {
                Node *n = find_node(t, (uint64_t)node);

                if (n)
                        n->tier = tier;
        }
        return 0;
}

#define DEVICE_NAME_CHARS "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.:-_"

/* A name of the kernel's that goes to terminals and JSON: nothing but what device names are made of. */
static bool device_name_is_valid(const char *name)
{
        size_t n = strlen(name);

        return n > 0 && n < 64 && strspn(name, DEVICE_NAME_CHARS) == n;
}

static int node_set_device(Node *n, const char *name)
{
        if (n->device || !device_name_is_valid(name))
                return 0;
        n->device = strdup(name);
        return n->device ? 0 : -ENOMEM;
}

/* NVIDIA's driver says which node is a GPU's memory: "Node:      255" (-1 when it is not a node). */
static int read_gpu(int root_fd, const char *name, void *userdata)
{
        _cleanup_free_ char *text = NULL;
        Topology *t = userdata;
        const char *line;
        uint64_t node;
        char *end;
        Node *n;

        if (attribute_read(root_fd, &text, GPU_DIR "/%s/numa_status", name) < 0)
                return 0;
        line = strstr(text, "Node:");
        if (!line || (line != text && line[-1] != '\n'))
                return 0;
        line += strlen("Node:");
        end = strchr(line, '\n');
        if (!end)
                return 0;
        text[end - text] = '\0';
        n = number_parse(line, &node) < 0 ? NULL : find_node(t, node);
        return n ? node_set_device(n, name) : 0;
}

/* Devices bound to dax' kmem driver are memory that was put online by hand or by a udev rule: the folder of
 * the driver has an entry for each. */
static int read_dax(int root_fd, const char *name, void *userdata)
{
        _cleanup_free_ char *text = NULL;
        Topology *t = userdata;
        uint64_t node;
        Node *n;

        if (strncmp(name, "dax", 3) != 0 ||
            attribute_read(root_fd, &text, "sys/bus/dax/devices/%s/target_node", name) < 0 ||
            number_parse(text, &node) < 0)
                return 0;
        n = find_node(t, node);
        if (!n)
                return 0;
        n->dax = true;
        return node_set_device(n, name);
}

/* -ENOMEM is the only failure: what else is wrong leaves a value unknown. */
static int read_node(int root_fd, const NodeSet *has_cpu, const NodeSet *has_memory, size_t n_nodes, Node *n)
{
        n->online = true;
        n->tier = TIER_UNKNOWN;
        n->has_cpu = node_has_cpu(root_fd, n->id, has_cpu);
        if (!has_memory || nodeset_contains(has_memory, n->id))
                read_meminfo(root_fd, n->id, &n->size_bytes, &n->free_bytes);
        n->read_bandwidth_mbps = read_performance(root_fd, n->id, "read_bandwidth");
        n->read_latency_ns = read_performance(root_fd, n->id, "read_latency");
        n->initiators = read_initiators(root_fd, n->id);
        return read_distance(root_fd, n->id, n_nodes, &n->distance);
}

static int read_nodes(int root_fd, const NodeSet *online, Topology *t)
{
        NodeSet has_cpu, has_memory;
        bool cpu_known, memory_known;
        size_t n_nodes = nodeset_count(online);

        cpu_known = read_list(root_fd, "has_cpu", &has_cpu) == 0;
        memory_known = read_list(root_fd, "has_memory", &has_memory) == 0;
        t->nodes = calloc(n_nodes, sizeof(*t->nodes));
        if (!t->nodes)
                return -ENOMEM;
        NODESET_FOREACH (node, online) {
                Node *n = &t->nodes[t->n_nodes++];
                int r;

                n->id = node;
                r = read_node(root_fd, cpu_known ? &has_cpu : NULL, memory_known ? &has_memory : NULL,
                              n_nodes, n);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void read_switches(int root_fd, Topology *t)
{
        _cleanup_free_ char *demotion = NULL, *balancing = NULL;
        uint64_t v;

        if (attribute_read(root_fd, &demotion, "sys/kernel/mm/numa/demotion_enabled") == 0)
                t->demotion_enabled = demotion[0] == 't' || demotion[0] == '1';
        if (attribute_read(root_fd, &balancing, "proc/sys/kernel/numa_balancing") == 0)
                t->numa_balancing = number_parse(balancing, &v) == 0 && v != 0;
}

int topology_read(const char *root, Topology **ret)
{
        _cleanup_(topology_free_p) Topology *t = NULL;
        _cleanup_(close_p) int root_fd = -EBADF;
        NodeSet online;
        int r;

        root_fd = root_open(root);
        if (root_fd < 0)
                return root_fd;
        r = read_online(root_fd, &online);
        if (r < 0)
                return r;
        t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;
        r = read_nodes(root_fd, &online, t);
        if (r < 0)
                return r;
        /* What a node belongs to, best source first: the first that names a device stays. */
        r = folder_foreach(root_fd, GPU_DIR, read_gpu, t);
        if (r < 0)
                return r;
        r = folder_foreach(root_fd, KMEM_DIR, read_dax, t);
        if (r < 0)
                return r;
        r = folder_foreach(root_fd, TIER_DIR, read_tier, t);
        if (r < 0)
                return r;
        read_switches(root_fd, t);
        *ret = TAKE_PTR(t);
        return 0;
}

int topology_read_meminfo(const char *root, int node, uint64_t *ret_size_bytes, uint64_t *ret_free_bytes)
{
        _cleanup_(close_p) int root_fd = root_open(root);

        if (root_fd < 0)
                return root_fd;
        return read_meminfo(root_fd, node, ret_size_bytes, ret_free_bytes);
}
