/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Finds the nodes with removable memory, and determines whether any of it is in a zone for kernel data. When
 * a block goes online or offline, an event causes a new read of everything. So the values are current
 * without a read for every caller. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/machine/attribute.h"
#include "daemon/machine/topology-device.h"

#define NODE_DIR "sys/devices/system/node"
#define MEM_DIR  "sys/devices/system/memory"

/* "Node 2, zone   Normal" starts a zone of /proc/zoneinfo; "        managed  262144" is its number of
 * pages. */
static void zone_read_nodes(int root_fd, Topology *t, NodeSet *ret_known)
{
        int fd = attribute_open(root_fd, "proc/zoneinfo");
        FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
        _cleanup_free_ char *line = NULL;
        Node *n = NULL;
        char zone[16] = "";
        size_t size = 0;
        int node;

        if (!f) {
                if (fd >= 0)
                        close(fd);
                return;
        }
        while (getline(&line, &size, f) > 0) {
                unsigned long long managed;

                if (sscanf(line, "Node %4d, zone %15s", &node, zone) == 2) {
                        n = topology_get(t, node);
                        if (n)
                                nodeset_add(ret_known, node);
                } else if (n && sscanf(line, " managed %llu", &managed) == 1 && managed > 0 &&
                           strcmp(zone, "Movable") != 0 && strcmp(zone, "Device") != 0) {
                        n->kernel_zone = true;
                }
        }
        fclose(f);
}

/* Collects the state of the memory blocks of a node. */
typedef struct ZoneLook {
        bool plugged_only;
        bool plugged;
        bool kernel_zone;
} ZoneLook;

/* Hot-added memory belongs to an ACPI memory device, and the kernel links its blocks to the device
 * (acpi_bind_memblk()). Memory present at boot has no such link. */
static bool zone_is_plugged(int root_fd, const char *block)
{
        char path[128];

        snprintf(path, sizeof(path), MEM_DIR "/%s/firmware_node", block);
        return attribute_exists(root_fd, path) == 0;
}

/* valid_zones of an online block names the zone of the block. */
static bool zone_is_for_kernel(int root_fd, const char *block)
{
        _cleanup_free_ char *state = NULL, *zones = NULL;

        if (attribute_read(root_fd, &state, MEM_DIR "/%s/state", block) == 0 &&
            strncmp(state, "online", strlen("online")) != 0)
                return false;
        return attribute_read(root_fd, &zones, MEM_DIR "/%s/valid_zones", block) == 0 &&
               strncmp(zones, "Movable", strlen("Movable")) != 0 &&
               strncmp(zones, "none", strlen("none")) != 0;
}

static int zone_look_at_block(int root_fd, const char *name, void *userdata)
{
        ZoneLook *l = userdata;
        uint64_t block;
        int n = 0;

        if (sscanf(name, "memory%" SCNu64 "%n", &block, &n) != 1 || n == 0 || name[n] != '\0' ||
            l->kernel_zone)
                return 0;
        if (l->plugged_only) {
                if (!zone_is_plugged(root_fd, name))
                        return 0;
                l->plugged = true;
        }
        l->kernel_zone = zone_is_for_kernel(root_fd, name);
        return 0;
}

/* All memory of a device's node is removed with its driver, so zoneinfo describes that memory. A copy of a
 * machine may lack zoneinfo: then the blocks are read. On other nodes only hot-added blocks count. */
static int zone_read_node(int root_fd, Node *n, const NodeSet *known)
{
        ZoneLook l = { .plugged_only = !n->dax && !n->device };
        char folder[sizeof(NODE_DIR "/nodeXXXXXXXXXXX")];

        n->removable = !l.plugged_only;
        if (n->removable && nodeset_contains(known, n->id))
                return 0;
        snprintf(folder, sizeof(folder), NODE_DIR "/node%d", n->id);
        int r = attribute_foreach(root_fd, folder, zone_look_at_block, &l);
        n->removable |= l.plugged;
        n->kernel_zone = l.kernel_zone;
        return r == -ENOMEM ? r : 0;
}

int topology_read_zones(int root_fd, Topology *t)
{
        NodeSet known = NODESET_EMPTY;
        int r = 0;

        zone_read_nodes(root_fd, t, &known);
        for (size_t i = 0; r >= 0 && i < t->n_nodes; i++)
                if (!t->nodes[i].has_cpu && t->nodes[i].size_bytes > 0)
                        r = zone_read_node(root_fd, &t->nodes[i], &known);
        return r;
}
