/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/machine/topology-device.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/machine/attribute.h"
#include "daemon/machine/topology-gpu.h"
#include "daemon/machine/topology-node.h"

/* Three sources:
 *
 *   NVIDIA   topology-gpu.c
 *   DAX      /sys/bus/dax/drivers/kmem has an entry for each device whose memory the kernel uses, and
 *            /sys/bus/dax/devices/daxX.Y/target_node its node (Documentation/ABI/testing/sysfs-bus-dax).
 *   CXL      A DAX device made of CXL memory is .../regionN/dax_regionN/daxN.0 below /sys/devices. Memory
 *            that firmware gave to the kernel has a region, but no DAX device: then the memory block at the
 *            region's `resource` has the node. /sys/bus/cxl/devices/regionN/targetI names an endpoint
 *            decoder, which is below its endpoint, whose `uport` links to the memdev
 *            (Documentation/ABI/testing/sysfs-bus-cxl). */

#define CXL_DIR              "sys/bus/cxl/devices"
#define DAX_DIR              "sys/bus/dax/devices"
#define KTOPOLOGY_MEMORY_DIR "sys/bus/dax/drivers/kmem"
#define PCI_DIR              "sys/bus/pci/devices"

static Node *device_find_node(Topology *t, uint64_t node)
{
        return node < NODE_MAX ? topology_get(t, (int)node) : NULL;
}

/* Finds the component of a path that is prefix followed by a digit, such as "region12". */
static bool device_path_component(const char *path, const char *prefix, char ret[static DEVICE_NAME_MAX])
{
        for (const char *p = path; *p;) {
                size_t n = strcspn(p, "/"), k = strlen(prefix);

                if (n > k && n < DEVICE_NAME_MAX && strncmp(p, prefix, k) == 0 &&
                    isdigit((unsigned char)p[k])) {
                        memcpy(ret, p, n);
                        ret[n] = '\0';
                        return true;
                }
                p += n;
                p += *p == '/';
        }
        return false;
}

/* Returns the last component of a path. */
static const char *device_path_last(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

/* Returns the memdev, such as "mem0", of the endpoint decoder that a region's target names. */
static int device_decoder_memdev(int root_fd, const char *decoder, char ret[static DEVICE_NAME_MAX])
{
        _cleanup_free_ char *link = NULL, *memdev = NULL;
        char endpoint[DEVICE_NAME_MAX];

        if (!topology_device_name_is_valid(decoder) ||
            attribute_read_link(root_fd, &link, CXL_DIR "/%s", decoder) < 0 ||
            !device_path_component(link, "endpoint", endpoint) ||
            attribute_read_link(root_fd, &memdev, CXL_DIR "/%s/uport", endpoint) < 0 ||
            !device_path_component(device_path_last(memdev), "mem", ret))
                return -ENOENT;
        return 0;
}

/* Returns the only memdev of a region; the name of the region if it has several, or they are unknown. */
static void device_region_device(int root_fd, const char *region, char ret[static DEVICE_NAME_MAX])
{
        _cleanup_free_ char *first = NULL, *second = NULL;
        char memdev[DEVICE_NAME_MAX];

        snprintf(ret, DEVICE_NAME_MAX, "%s", region);
        if (attribute_read(root_fd, &first, CXL_DIR "/%s/target0", region) < 0 ||
            attribute_read(root_fd, &second, CXL_DIR "/%s/target1", region) != -ENOENT)
                return;
        first[strcspn(first, " \t\r\n")] = '\0';
        if (device_decoder_memdev(root_fd, first, memdev) == 0)
                memcpy(ret, memdev, sizeof(memdev));
}

static int device_read_dax(int root_fd, const char *name, void *userdata)
{
        _cleanup_free_ char *text = NULL, *link = NULL;
        char device[DEVICE_NAME_MAX], region[DEVICE_NAME_MAX];
        Topology *t = userdata;
        uint64_t node;
        Node *n;

        if (strncmp(name, "dax", 3) != 0 || !topology_device_name_is_valid(name) ||
            attribute_read(root_fd, &text, DAX_DIR "/%s/target_node", name) < 0 ||
            attribute_number(text, &node) < 0)
                return 0;
        n = device_find_node(t, node);
        if (!n)
                return 0;
        n->dax = true;
        snprintf(device, sizeof(device), "%s", name);
        /* Only CXL has dax_regionN; regionN also occurs with persistent memory. */
        if (attribute_read_link(root_fd, &link, DAX_DIR "/%s", name) >= 0 &&
            device_path_component(link, "dax_region", region))
                device_region_device(root_fd, region + strlen("dax_"), device);
        return topology_set_device(n, device);
}

typedef struct BlockNodes {
        Topology *topology;
        const char *device;
} BlockNodes;

static int device_name_block_node(int root_fd _unused_, const char *name, void *userdata)
{
        BlockNodes *b = userdata;
        int node = attribute_name_number(name, "node");
        Node *n = node < 0 ? NULL : topology_get(b->topology, node);

        return n ? topology_set_device(n, b->device) : 0;
}

static int device_read_region(int root_fd, const char *name, void *userdata)
{
        _cleanup_free_ char *path = NULL, *block = NULL;
        char device[DEVICE_NAME_MAX];
        uint64_t address, block_bytes;

        if (strncmp(name, "region", 6) != 0 || !topology_device_name_is_valid(name))
                return 0;
        if (asprintf(&path, CXL_DIR "/%s/resource", name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        if (topology_read_hex(root_fd, path, &address) < 0 ||
            topology_read_hex(root_fd, TOPOLOGY_MEMORY_DIR "/block_size_bytes", &block_bytes) < 0 ||
            block_bytes == 0)
                return 0;
        device_region_device(root_fd, name, device);
        if (asprintf(&block, TOPOLOGY_MEMORY_DIR "/memory%" PRIu64, address / block_bytes) < 0) {
                block = NULL;
                return -ENOMEM;
        }
        return attribute_foreach(root_fd, block, device_name_block_node,
                                 &(BlockNodes){ .topology = userdata, .device = device });
}

int topology_read_devices(int root_fd, Topology *t)
{
        int r;

        r = topology_read_gpus(root_fd, t);
        if (r >= 0)
                r = attribute_foreach(root_fd, KTOPOLOGY_MEMORY_DIR, device_read_dax, t);
        if (r >= 0)
                r = attribute_foreach(root_fd, CXL_DIR, device_read_region, t);
        return r;
}

#define PCI_ADDRESS_SHAPE "xxxx:xx:xx.x"

/* Parses DDDD:BB:DD.F, or BB:DD.F for domain 0, and returns it in lower case as in sysfs. Rejects everything
 * that could leave the directory. Domains above ffff (of virtual root ports) have five or more digits, and
 * no GPU. */
static int device_pci_address(const char *text, char ret[static sizeof(PCI_ADDRESS_SHAPE)])
{
        static const char shape[] = PCI_ADDRESS_SHAPE;
        char full[2 * sizeof(shape)];
        size_t n = strlen(text);

        if (n != sizeof(shape) - 1 && n != sizeof(shape) - 1 - strlen("xxxx:"))
                return -EINVAL;
        snprintf(full, sizeof(full), "%s%s", n == sizeof(shape) - 1 ? "" : "0000:", text);
        for (size_t i = 0; i < sizeof(shape) - 1; i++) {
                if (shape[i] == 'x' ? !isxdigit((unsigned char)full[i]) : full[i] != shape[i])
                        return -EINVAL;
                ret[i] = (char)tolower((unsigned char)full[i]);
        }
        ret[sizeof(shape) - 1] = '\0';
        return 0;
}

bool topology_pci_is_valid(const char *pci)
{
        char address[sizeof(PCI_ADDRESS_SHAPE)];

        return device_pci_address(pci, address) >= 0;
}

/* True if the CXL memdev is part of this PCI device: its link is .../0000:0d:00.0/mem0. */
static bool device_memdev_is_of(int root_fd, const char *memdev, const char *pci)
{
        _cleanup_free_ char *link = NULL;

        return strncmp(memdev, "mem", 3) == 0 &&
               attribute_read_link(root_fd, &link, CXL_DIR "/%s", memdev) >= 0 && strstr(link, pci) != NULL;
}

int topology_read_near(const char *root, const Topology *t, const char *pci, NodeSet *ret)
{
        char address[sizeof(PCI_ADDRESS_SHAPE)];
        _cleanup_free_ char *text = NULL;
        NodeSet nodes = NODESET_EMPTY;
        uint64_t node;
        int root_fd, r;

        if (device_pci_address(pci, address) < 0)
                return -EINVAL;
        root_fd = attribute_root_open(root);
        if (root_fd < 0)
                return root_fd;
        for (size_t i = 0; i < t->n_nodes; i++) {
                const Node *n = &t->nodes[i];

                if (n->device &&
                    (strcmp(n->device, address) == 0 || device_memdev_is_of(root_fd, n->device, address)))
                        nodeset_add(&nodes, n->id);
        }
        r = attribute_read(root_fd, &text, PCI_DIR "/%s/numa_node", address);
        close(root_fd);
        if (nodeset_is_empty(&nodes)) {
                if (r < 0)
                        return -ENOENT;
                /* -1: unknown to the firmware. */
                if (attribute_number(text, &node) == 0 && node < NODE_MAX)
                        nodeset_add(&nodes, (int)node);
        }
        *ret = nodes;
        return 0;
}
