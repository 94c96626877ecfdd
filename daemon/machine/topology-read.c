/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reads the machine's nodes from sysfs and procfs. Every attribute is read independently and may be missing,
 * truncated or invalid (old kernels, support bundles, firmware): then its value is unknown. If a value
 * decides whether a node is fenced, unknown means no fence: a node counts as a node with CPUs unless the
 * kernel clearly reports that it has none. */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/machine/attribute.h"
#include "daemon/machine/topology-device.h"
#include "daemon/machine/topology-read.h"

#define NODE_DIR "sys/devices/system/node"
#define TIER_DIR "sys/devices/virtual/memory_tiering"

static void topology_close_p(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

static int topology_collect_node(int root_fd _unused_, const char *name, void *userdata)
{
        int node = attribute_name_number(name, "node");

        if (node >= 0)
                nodeset_add(userdata, node);
        return 0;
}

/* Reads a list of nodes, such as `online`. -ENOENT: no such file; other errors: unusable. */
static int topology_read_list(int root_fd, const char *name, NodeSet *ret)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = attribute_read(root_fd, &text, NODE_DIR "/%s", name);
        if (r < 0)
                return r;
        /* The kernel writes at least a newline: an empty file has lost its contents. */
        return text[0] == '\0' ? -ENODATA : nodeset_parse(text, ret);
}

/* Returns the message, or NULL when out of memory: then the caller only has the errno. */
#define set_error(ret, ...) (asprintf((ret), __VA_ARGS__) < 0 ? (void)(*(ret) = NULL) : (void)0)

/* Explains why `online` is unusable. */
static int topology_refuse_online(int root_fd, const char *root, char **ret_error)
{
        _cleanup_free_ char *text = NULL;
        int r = attribute_read(root_fd, &text, NODE_DIR "/online");

        set_error(ret_error,
                  "%s/" NODE_DIR
                  "/online %s; write the list of nodes that are online there, such as 0-3, or "
                  "remove it: then the directories nodeN are used",
                  root,
                  r < 0          ? attribute_reason(r)
                  : text[0] == 0 ? "is empty"
                                 : "is not a list of nodes");
        return -EIO;
}

static int topology_read_online(int root_fd, const char *root, NodeSet *ret, char **ret_error)
{
        NodeSet online = NODESET_EMPTY;
        int r;

        r = attribute_exists(root_fd, NODE_DIR);
        if (r < 0) {
                set_error(ret_error,
                          "%s/" NODE_DIR " %s: the kernel has no NUMA support, or --root names the wrong "
                          "directory",
                          root, attribute_reason(r));
                return r;
        }
        r = topology_read_list(root_fd, "online", &online);
        if (r == -ENOMEM)
                return r;
        if (r == -ENOENT) {
                r = attribute_foreach(root_fd, NODE_DIR, topology_collect_node, &online);
                if (r < 0)
                        return r;
                if (nodeset_is_empty(&online)) {
                        set_error(ret_error,
                                  "%s/" NODE_DIR " has neither the file `online` nor a folder nodeN; name a "
                                  "directory that holds a whole copy of /sys",
                                  root);
                        return -EIO;
                }
        }
        if (r < 0 || nodeset_is_empty(&online))
                return topology_refuse_online(root_fd, root, ret_error);
        *ret = online;
        return 0;
}

/* Parses one line of meminfo: "Node 250 MemTotal:       15728640 kB". */
static int topology_meminfo_value(const char *text, const char *key, uint64_t *ret_bytes)
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
        /* Without the unit the line is truncated, and possibly the number too. */
        if (strncmp(end, " kB", 3) != 0)
                return -EINVAL;
        *ret_bytes = kib * 1024;
        return 0;
}

/* ret_reason: set on failure to the reason why the size is unknown; may be NULL. */
static int topology_read_node_meminfo(int root_fd, int node, uint64_t *ret_size, uint64_t *ret_free,
                                      const char **ret_reason)
{
        _cleanup_free_ char *text = NULL;
        uint64_t size, avail;
        int r;

        r = attribute_read(root_fd, &text, NODE_DIR "/node%d/meminfo", node);
        if (r < 0) {
                if (ret_reason)
                        *ret_reason = attribute_reason(r);
                return r;
        }
        r = topology_meminfo_value(text, " MemTotal:", &size);
        if (r < 0) {
                if (ret_reason)
                        *ret_reason = "has no line \"MemTotal: NUMBER kB\"";
                return r;
        }
        if (topology_meminfo_value(text, " MemFree:", &avail) < 0)
                avail = 0;
        *ret_size = size;
        *ret_free = avail < size ? avail : size;
        return 0;
}

static int topology_collect_cpu(int root_fd _unused_, const char *name, void *userdata)
{
        if (strncmp(name, "cpu", 3) == 0 && isdigit((unsigned char)name[3]))
                *(bool *)userdata = true;
        return 0;
}

/* has_cpu and cpulist only contain online CPUs, but the links cpuN also exist for CPUs that an administrator
 * has taken offline. A DRAM node whose CPUs are offline must not become a CDM node. */
static bool topology_node_has_cpu(int root_fd, int node, const NodeSet *has_cpu)
{
        _cleanup_free_ char *list = NULL, *folder = NULL;
        bool link = false;

        if (has_cpu && nodeset_contains(has_cpu, node))
                return true;
        if (asprintf(&folder, NODE_DIR "/node%d", node) < 0) {
                folder = NULL;
                return true;
        }
        attribute_foreach(root_fd, folder, topology_collect_cpu, &link);
        if (link)
                return true;
        if (attribute_read(root_fd, &list, NODE_DIR "/node%d/cpulist", node) < 0)
                return !has_cpu;
        /* An empty file carries no information. */
        return list[0] == '\0' ? !has_cpu : list[strspn(list, " \t\r\n")] != '\0';
}

/* Parses the `distance` of a node: one number for each online node, in order. NULL: missing or invalid. */
static int topology_read_distance(int root_fd, int node, size_t n_nodes, uint16_t **ret)
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
                /* The SLIT of ACPI has one byte per entry; values below 10 are reserved. */
                if (v < 10 || v > 255)
                        return 0;
                distance[i] = (uint16_t)v;
        }
        if (p[strspn(p, " \t\r\n")] != '\0')
                return 0;
        *ret = TAKE_PTR(distance);
        return 0;
}

/* Reads HMAT data as shown by the kernel. Access class 1 only covers CPUs, class 0 any initiator (including
 * the copy engine of a GPU), so class 1 is preferred. */
static uint64_t topology_read_performance(int root_fd, int node, const char *name)
{
        for (int level = 1; level >= 0; level--) {
                _cleanup_free_ char *text = NULL;
                uint64_t v;

                if (attribute_read(root_fd, &text, NODE_DIR "/node%d/access%d/initiators/%s", node, level,
                                   name) < 0)
                        continue;
                if (attribute_number(text, &v) == 0 && v > 0)
                        return v;
        }
        return 0;
}

static NodeSet topology_read_initiators(int root_fd, int node)
{
        NodeSet nodes = NODESET_EMPTY;

        for (int level = 1; level >= 0 && nodeset_is_empty(&nodes); level--) {
                _cleanup_free_ char *folder = NULL;

                if (asprintf(&folder, NODE_DIR "/node%d/access%d/initiators", node, level) < 0) {
                        folder = NULL;
                        break;
                }
                attribute_foreach(root_fd, folder, topology_collect_node, &nodes);
        }
        return nodes;
}

static int topology_read_tier(int root_fd, const char *name, void *userdata)
{
        _cleanup_free_ char *text = NULL;
        int tier = attribute_name_number(name, "memory_tier");
        Topology *t = userdata;
        NodeSet nodes;

        if (tier < 0 || attribute_read(root_fd, &text, TIER_DIR "/%s/nodelist", name) < 0 ||
            nodeset_parse(text, &nodes) < 0)
                return 0;
        NODESET_FOREACH (node, &nodes) {
                Node *n = topology_get(t, node);

                if (n)
                        n->tier = tier;
        }
        return 0;
}

static int topology_note_unread(Topology *t, int node, const char *reason)
{
        char *lines;

        if (asprintf(&lines,
                     "%s%sthe size of node %d is unknown, so nothing of it can be reserved, and Nodes=auto "
                     "leaves it out: /" NODE_DIR "/node%d/meminfo %s",
                     t->unread ? t->unread : "", t->unread ? "\n" : "", node, node, reason) < 0)
                return -ENOMEM;
        free(t->unread);
        t->unread = lines;
        return 0;
}

/* -ENOMEM is the only failure: every other error leaves a value unknown. */
static int topology_read_node(int root_fd, const NodeSet *has_cpu, const NodeSet *has_memory, Topology *t,
                              size_t n_nodes, Node *n)
{
        n->tier = TIER_UNKNOWN;
        n->has_cpu = topology_node_has_cpu(root_fd, n->id, has_cpu);
        if (!has_memory || nodeset_contains(has_memory, n->id)) {
                const char *reason;

                if (topology_read_node_meminfo(root_fd, n->id, &n->size_bytes, &n->free_bytes, &reason) <
                            0 &&
                    topology_note_unread(t, n->id, reason) < 0)
                        return -ENOMEM;
        }
        n->online = n->has_cpu || n->size_bytes > 0;
        n->read_bandwidth_mbps = topology_read_performance(root_fd, n->id, "read_bandwidth");
        n->read_latency_ns = topology_read_performance(root_fd, n->id, "read_latency");
        n->initiators = topology_read_initiators(root_fd, n->id);
        return topology_read_distance(root_fd, n->id, n_nodes, &n->distance);
}

static int topology_read_nodes(int root_fd, const NodeSet *online, Topology *t)
{
        NodeSet has_cpu, has_memory;
        bool cpu_known, memory_known;
        size_t n_nodes = nodeset_count(online);

        /* Every machine has CPUs and memory, so an empty list carries no information. */
        cpu_known = topology_read_list(root_fd, "has_cpu", &has_cpu) == 0 && !nodeset_is_empty(&has_cpu);
        memory_known = topology_read_list(root_fd, "has_memory", &has_memory) == 0 &&
                       !nodeset_is_empty(&has_memory);
        t->nodes = calloc(n_nodes, sizeof(*t->nodes));
        if (!t->nodes)
                return -ENOMEM;
        NODESET_FOREACH (node, online) {
                Node *n = &t->nodes[t->n_nodes++];
                int r;

                n->id = node;
                r = topology_read_node(root_fd, cpu_known ? &has_cpu : NULL,
                                       memory_known ? &has_memory : NULL, t, n_nodes, n);
                if (r < 0)
                        return r;
        }
        return 0;
}

int topology_read(const char *root, Topology **ret)
{
        _cleanup_free_ char *error = NULL;

        return topology_read_explained(root, ret, &error);
}

int topology_read_explained(const char *root, Topology **ret, char **ret_error)
{
        _cleanup_(topology_free_p) Topology *t = NULL;
        _cleanup_(topology_close_p) int root_fd = -EBADF;
        NodeSet online;
        int r;

        root_fd = attribute_root_open(root);
        if (root_fd < 0) {
                set_error(ret_error,
                          "there is no %s/" NODE_DIR
                          ", because %s %s; name a directory that holds a copy of "
                          "a machine",
                          root, root, attribute_reason(root_fd));
                return root_fd;
        }
        r = topology_read_online(root_fd, root ? root : "", &online, ret_error);
        if (r < 0)
                return r;
        t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;
        /* The kernel refuses to hot-add a node that is not in this list (add_memory_resource). */
        if (topology_read_list(root_fd, "possible", &t->possible) < 0)
                t->possible = NODESET_EMPTY;
        r = topology_read_nodes(root_fd, &online, t);
        if (r < 0)
                return r;
        r = topology_read_devices(root_fd, t);
        if (r >= 0)
                r = topology_read_zones(root_fd, t);
        if (r < 0)
                return r;
        r = attribute_foreach(root_fd, TIER_DIR, topology_read_tier, t);
        if (r < 0)
                return r;
        r = topology_read_facts(root, t);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

int topology_read_meminfo(const char *root, int node, uint64_t *ret_size_bytes, uint64_t *ret_free_bytes)
{
        _cleanup_(topology_close_p) int root_fd = attribute_root_open(root);

        if (root_fd < 0)
                return root_fd;
        return topology_read_node_meminfo(root_fd, node, ret_size_bytes, ret_free_bytes, NULL);
}

/* "Node 2, zone   Normal" starts a zone; "    pagesets" starts a list of CPUs with "count:    378" each. */
static uint64_t topology_read_cpu_lists(int root_fd, int node)
{
        _cleanup_free_ char *line = NULL;
        bool here = false;
        uint64_t pages = 0;
        size_t size = 0;
        int fd, n;
        FILE *f;

        fd = attribute_open(root_fd, "proc/zoneinfo");
        f = fd < 0 ? NULL : fdopen(fd, "r");
        if (!f) {
                if (fd >= 0)
                        close(fd);
                return 0;
        }
        while (getline(&line, &size, f) > 0) {
                unsigned count;

                if (sscanf(line, "Node %4d, zone", &n) == 1)
                        here = n == node;
                else if (here && sscanf(line, " count: %9u", &count) == 1)
                        pages += count;
        }
        fclose(f);
        return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

int topology_read_usage(const char *root, int node, NodeUsage *ret)
{
        _cleanup_(topology_close_p) int root_fd = attribute_root_open(root);
        _cleanup_free_ char *text = NULL;
        uint64_t page_tables = 0, secondary = 0;
        NodeUsage u = { 0 };
        int r;

        if (root_fd < 0)
                return root_fd;
        r = attribute_read(root_fd, &text, NODE_DIR "/node%d/meminfo", node);
        if (r < 0)
                return r;
        r = topology_meminfo_value(text, " MemTotal:", &u.size_bytes);
        if (r < 0)
                return r;
        (void)topology_meminfo_value(text, " MemFree:", &u.free_bytes);
        (void)topology_meminfo_value(text, " Slab:", &u.slab_bytes);
        (void)topology_meminfo_value(text, " KernelStack:", &u.stack_bytes);
        (void)topology_meminfo_value(text, " PageTables:", &page_tables);
        (void)topology_meminfo_value(text, " SecPageTables:", &secondary);
        u.page_table_bytes = page_tables + secondary;
        u.cpu_list_bytes = topology_read_cpu_lists(root_fd, node);
        *ret = u;
        return 0;
}
