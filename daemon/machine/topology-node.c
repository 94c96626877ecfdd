/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/machine/topology-node.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/machine/attribute.h"

#define DEVICE_NAME_CHARS "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.:-_"

bool topology_device_name_is_valid(const char *name)
{
        size_t n = strlen(name);

        return n > 0 && n < DEVICE_NAME_MAX && strspn(name, DEVICE_NAME_CHARS) == n;
}

int topology_set_device(Node *n, const char *name)
{
        if (n->device || !topology_device_name_is_valid(name))
                return 0;
        n->device = strdup(name);
        return n->device ? 0 : -ENOMEM;
}

int topology_read_hex(int root_fd, const char *path, uint64_t *ret)
{
        _cleanup_free_ char *text = NULL;
        char *end;
        int r;

        r = attribute_read(root_fd, &text, "%s", path);
        if (r < 0)
                return r;
        errno = 0;
        *ret = strtoull(text, &end, 16);
        return errno || end == text || end[strspn(end, " \t\r\n")] != '\0' ? -EINVAL : 0;
}

static int topology_find_lowest_block(int root_fd _unused_, const char *name, void *userdata)
{
        uint64_t *lowest = userdata, block;
        int n = 0;

        if (sscanf(name, "memory%" SCNu64 "%n", &block, &n) == 1 && n > 0 && name[n] == '\0' &&
            block < *lowest)
                *lowest = block;
        return 0;
}

int topology_node_address(int root_fd, int node, uint64_t *ret)
{
        uint64_t lowest = UINT64_MAX, block_bytes;
        char folder[64];

        snprintf(folder, sizeof(folder), "sys/devices/system/node/node%d", node);
        int r = attribute_foreach(root_fd, folder, topology_find_lowest_block, &lowest);
        if (r >= 0)
                r = topology_read_hex(root_fd, TOPOLOGY_MEMORY_DIR "/block_size_bytes", &block_bytes);
        if (r < 0)
                return r;
        if (block_bytes == 0 || lowest > UINT64_MAX / block_bytes)
                return -ENODATA;
        *ret = lowest * block_bytes;
        return 0;
}
