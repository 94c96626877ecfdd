/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The nodes of NVIDIA's GPUs. /proc/driver/nvidia/gpus/DDDD:BB:DD.F/numa_status names one node:
 *
 *   Node:      2              -1 without a node, such as when the memory is divided between MIG instances
 *   Status:    online
 *   Address:   42000000000    the address of the memory, while the GPU is in use
 *   Size:      80000000
 *
 * In CDMM mode the file does not exist (open-gpu-kernel-modules, nvidia/nv-procfs.c). On Grace each GPU has
 * up to eight nodes: the firmware allocates one range of proximity domains per GPU, all of the same length
 * and in the order of the GPUs (nv_init_coherent_link_info(), "nvidia,gpu-mem-pxm-start" and "-count").
 * Without MIG all memory is in the first node; with MIG each instance puts its memory into a free node.
 * Unused nodes have neither memory nor CPUs, and are online as generic initiators.
 *
 * So a node belongs to a GPU if the driver says so, or if its memory is in the GPU's address range.
 * Otherwise its position among the generic initiators decides, if that agrees with the driver. */

#include "daemon/machine/topology-gpu.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/machine/attribute.h"
#include "daemon/machine/topology-node.h"

#define GPU_DIR       "proc/driver/nvidia/gpus"
#define GPU_NODES_MAX 8

typedef struct Gpu {
        char *name;
        int node;              /* -1 */
        uint64_t address, end; /* of the memory; 0: unknown */
} Gpu;

typedef struct GpuList {
        Gpu *gpus;
        size_t n_gpus;
} GpuList;

static void gpu_list_clear(GpuList *l)
{
        for (size_t i = 0; i < l->n_gpus; i++)
                free(l->gpus[i].name);
        free(l->gpus);
}

/* Returns the text after a key such as "Node:" at the start of a line that ends with a newline; NULL:
 * none. */
static char *gpu_line(const char *text, const char *key)
{
        for (const char *line = text; *line;) {
                const char *end = strchr(line, '\n');

                if (!end)
                        return NULL;
                if (strncmp(line, key, strlen(key)) == 0)
                        return strndup(line + strlen(key), (size_t)(end - line) - strlen(key));
                line = end + 1;
        }
        return NULL;
}

static uint64_t gpu_hex(const char *text, const char *key)
{
        _cleanup_free_ char *value = gpu_line(text, key);
        uint64_t v;
        int n = 0;

        return value && sscanf(value, " %" SCNx64 " %n", &v, &n) == 1 && n > 0 && value[n] == '\0' ? v : 0;
}

static int gpu_read(int root_fd, const char *name, void *userdata)
{
        _cleanup_free_ char *text = NULL, *node = NULL;
        GpuList *l = userdata;
        uint64_t v, size;

        if (attribute_read(root_fd, &text, GPU_DIR "/%s/numa_status", name) < 0)
                return 0;
        Gpu *gpus = reallocarray(l->gpus, l->n_gpus + 1, sizeof(*gpus));
        if (!gpus)
                return -ENOMEM;
        l->gpus = gpus;
        Gpu *g = &gpus[l->n_gpus];
        *g = (Gpu){ .name = strdup(name), .node = -1 };
        if (!g->name)
                return -ENOMEM;
        l->n_gpus++;
        node = gpu_line(text, "Node:");
        if (node && attribute_number(node, &v) == 0 && v < NODE_MAX)
                g->node = (int)v;
        g->address = gpu_hex(text, "Address:");
        size = gpu_hex(text, "Size:");
        g->end = size <= UINT64_MAX - g->address ? g->address + size : 0;
        return 0;
}

/* strcmp() sorts PCI addresses correctly: they are hexadecimal numbers of fixed length. */
static int gpu_compare(const void *a, const void *b)
{
        return strcmp(((const Gpu *)a)->name, ((const Gpu *)b)->name);
}

static int gpu_name_known(int root_fd, Topology *t, const GpuList *l)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < l->n_gpus; i++) {
                Node *n = l->gpus[i].node < 0 ? NULL : topology_get(t, l->gpus[i].node);

                r = n ? topology_set_device(n, l->gpus[i].name) : 0;
        }
        for (size_t i = 0; r >= 0 && i < t->n_nodes; i++) {
                Node *n = &t->nodes[i];
                uint64_t address;

                if (n->device || n->has_cpu || n->size_bytes == 0 ||
                    topology_node_address(root_fd, n->id, &address) < 0)
                        continue;
                for (size_t k = 0; r >= 0 && k < l->n_gpus; k++)
                        if (address >= l->gpus[k].address && address < l->gpus[k].end)
                                r = topology_set_device(n, l->gpus[k].name);
        }
        return r;
}

/* Returns the generic initiators without CPUs; if the kernel does not list them, online nodes without CPUs
 * and memory. Nodes that already have a device are included. */
static NodeSet gpu_candidates(int root_fd, const Topology *t)
{
        _cleanup_free_ char *text = NULL;
        NodeSet initiators, nodes = NODESET_EMPTY;
        bool known = attribute_read(root_fd, &text, "sys/devices/system/node/has_generic_initiator") == 0 &&
                     nodeset_parse(text, &initiators) == 0;

        for (size_t i = 0; i < t->n_nodes; i++) {
                const Node *n = &t->nodes[i];

                if (n->has_cpu)
                        continue;
                if (n->device || (known ? nodeset_contains(&initiators, n->id) : n->size_bytes == 0))
                        nodeset_add(&nodes, n->id);
        }
        return nodes;
}

/* Assigns equal shares of the nodes in the order of the GPUs, unless a known node contradicts. */
static int gpu_name_by_place(Topology *t, const GpuList *l, const NodeSet *nodes)
{
        size_t n = nodeset_count(nodes), share = n / l->n_gpus, i = 0;
        int r = 0;

        if (n % l->n_gpus != 0 || share > GPU_NODES_MAX)
                return 0;
        NODESET_FOREACH (node, nodes) {
                const char *device = topology_find(t, node)->device;

                if (device && strcmp(device, l->gpus[i / share].name) != 0)
                        return 0;
                i++;
        }
        i = 0;
        NODESET_FOREACH (node, nodes) {
                r = topology_set_device(topology_get(t, node), l->gpus[i++ / share].name);
                if (r < 0)
                        break;
        }
        return r;
}

int topology_read_gpus(int root_fd, Topology *t)
{
        _cleanup_(gpu_list_clear) GpuList l = { 0 };

        int r = attribute_foreach(root_fd, GPU_DIR, gpu_read, &l);
        if (r < 0 || l.n_gpus == 0)
                return r;
        qsort(l.gpus, l.n_gpus, sizeof(*l.gpus), gpu_compare);
        r = gpu_name_known(root_fd, t, &l);
        if (r < 0)
                return r;
        NodeSet nodes = gpu_candidates(root_fd, t);
        return gpu_name_by_place(t, &l, &nodes);
}
