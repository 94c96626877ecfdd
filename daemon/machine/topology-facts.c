/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Settings of the kernel and of drivers that affect CDM nodes. Administrators change them at run time, so
 * they are read again for each query. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/machine/attribute.h"
#include "daemon/machine/topology-facts.h"

#define NODE_DIR   "sys/devices/system/node"
#define NVIDIA_DIR "proc/driver/nvidia"

/* Parses "6.1.0-18-amd64" as 6.1. */
static void facts_read_kernel(int root_fd, Topology *t)
{
        _cleanup_free_ char *text = NULL;
        unsigned major, minor;

        t->kernel_major = t->kernel_minor = 0;
        if (attribute_read(root_fd, &text, "proc/sys/kernel/osrelease") == 0 &&
            sscanf(text, "%4u.%4u", &major, &minor) == 2) {
                t->kernel_major = major;
                t->kernel_minor = minor;
        }
}

static void facts_read_switches(int root_fd, Topology *t)
{
        _cleanup_free_ char *demotion = NULL, *balancing = NULL, *online = NULL;
        uint64_t v;

        t->demotion_enabled = t->numa_balancing = false;
        t->auto_online[0] = '\0';
        if (attribute_read(root_fd, &demotion, "sys/kernel/mm/numa/demotion_enabled") == 0)
                t->demotion_enabled = demotion[0] == 't' || demotion[0] == '1';
        if (attribute_read(root_fd, &balancing, "proc/sys/kernel/numa_balancing") == 0)
                t->numa_balancing = attribute_number(balancing, &v) == 0 && v != 0;
        if (attribute_read(root_fd, &online, "sys/devices/system/memory/auto_online_blocks") == 0) {
                size_t n = strspn(online, "abcdefghijklmnopqrstuvwxyz_");

                if (n < sizeof(t->auto_online)) {
                        memcpy(t->auto_online, online, n);
                        t->auto_online[n] = '\0';
                }
        }
}

/* Returns the value of a line `Name: value` in the driver's params; NULL: no such line. */
static const char *facts_param(const char *text, const char *name, char value[static 32])
{
        size_t n = strlen(name);

        for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
                size_t length;

                if (strncmp(line, name, n) != 0 || line[n] != ':')
                        continue;
                line += n + 1;
                line += strspn(line, " \t\"");
                length = strcspn(line, "\"\r\n");
                snprintf(value, 32, "%.*s", (int)(length < 32 ? length : 31), line);
                return value;
        }
        return NULL;
}

typedef struct Gpus {
        bool any;     /* the driver has a GPU */
        bool numa;    /* numa_status exists: the memory of a GPU is a node, or will become one */
        bool offline; /* the memory of a GPU is not online as a node now */
} Gpus;

static int facts_look_at_gpu(int root_fd, const char *name, void *userdata)
{
        _cleanup_free_ char *text = NULL;
        Gpus *g = userdata;

        g->any = true;
        if (attribute_read(root_fd, &text, NVIDIA_DIR "/gpus/%s/numa_status", name) < 0)
                return 0;
        g->numa = true;
        if (!strstr(text, "online\n"))
                g->offline = true;
        return 0;
}

/* CDMM (coherent driver-based memory management, since driver R580, the default of R615):
 * /proc/driver/nvidia/params has `CoherentGPUMemoryMode: "driver"`, which implies `EnableUserNUMAManagement:
 * 0`. If the administrator has set no preference, only the latter shows the mode (open-gpu-kernel-modules,
 * nvidia/os-registry.c). In this mode no GPU has a numa_status. */
static int facts_read_nvidia(int root_fd, Topology *t)
{
        _cleanup_free_ char *params = NULL;
        char mode[32] = "", manage[32] = "";
        Gpus g = { 0 };
        int r;

        free(t->cdmm);
        t->cdmm = NULL;
        r = attribute_foreach(root_fd, NVIDIA_DIR "/gpus", facts_look_at_gpu, &g);
        if (r < 0)
                return r;
        t->gpu_numa = g.numa;
        if (!g.any || attribute_read(root_fd, &params, NVIDIA_DIR "/params") < 0)
                return 0;
        /* The driver for POWER9 puts memory online differently, and has no such parameter. */
        bool coherent = facts_param(params, "CoherentGPUMemoryMode", mode) != NULL;
        t->gpu_needs_movable = g.numa && (coherent || g.offline);
        if (g.numa)
                return 0;
        if (strcmp(mode, "driver") == 0)
                t->cdmm = strdup("CoherentGPUMemoryMode=driver");
        else if (facts_param(params, "EnableUserNUMAManagement", manage) && strcmp(manage, "0") == 0)
                t->cdmm = strdup("EnableUserNUMAManagement=0");
        else
                return 0;
        return t->cdmm ? 0 : -ENOMEM;
}

/* Sums up nodeN/hugepages/hugepages-2048kB/nr_hugepages over all sizes. */
typedef struct Hugetlb {
        const char *folder, *file;
        uint64_t bytes;
} Hugetlb;

static int facts_add_hugetlb(int root_fd, const char *name, void *userdata)
{
        _cleanup_free_ char *text = NULL;
        Hugetlb *h = userdata;
        uint64_t kib, count;
        int n = 0;

        if (sscanf(name, "hugepages-%" SCNu64 "kB%n", &kib, &n) == 1 && n > 0 && name[n] == '\0' &&
            attribute_read(root_fd, &text, "%s/%s/%s", h->folder, name, h->file) == 0 &&
            attribute_number(text, &count) == 0 && kib < UINT64_MAX / 1024 &&
            (count == 0 || kib * 1024 <= (UINT64_MAX - h->bytes) / count))
                h->bytes += count * kib * 1024;
        return 0;
}

static int facts_read_hugetlb(int root_fd, int node, const char *file, uint64_t *ret_bytes)
{
        char folder[sizeof(NODE_DIR "/nodeXXXXXXXXXXX/hugepages")];
        Hugetlb h = { .folder = folder, .file = file };
        int r;

        snprintf(folder, sizeof(folder), NODE_DIR "/node%d/hugepages", node);
        r = attribute_foreach(root_fd, folder, facts_add_hugetlb, &h);
        if (r >= 0)
                *ret_bytes = h.bytes;
        return r;
}

int topology_read_hugetlb(const char *root, int node, uint64_t *ret_bytes, uint64_t *ret_free_bytes)
{
        int root_fd = attribute_root_open(root), r;

        if (root_fd < 0)
                return root_fd;
        r = facts_read_hugetlb(root_fd, node, "nr_hugepages", ret_bytes);
        if (r >= 0)
                r = facts_read_hugetlb(root_fd, node, "free_hugepages", ret_free_bytes);
        close(root_fd);
        return r;
}

int topology_read_facts(const char *root, Topology *t)
{
        int root_fd = attribute_root_open(root), r;

        if (root_fd < 0)
                return root_fd;
        facts_read_kernel(root_fd, t);
        facts_read_switches(root_fd, t);
        r = facts_read_nvidia(root_fd, t);
        for (size_t i = 0; r >= 0 && i < t->n_nodes; i++)
                r = facts_read_hugetlb(root_fd, t->nodes[i].id, "nr_hugepages", &t->nodes[i].hugetlb_bytes);
        close(root_fd);
        return r;
}
