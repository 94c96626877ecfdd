/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/kernel/drain-targets.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SPARE_BYTES (16ULL << 20) /* left free on a target */

typedef struct Target {
        int node;
        uint64_t room_bytes;
} Target;

struct DrainTargets {
        pthread_mutex_t lock; /* lanes of one move take from the same room */
        size_t n;
        Target items[];
};

/* Reads the distances from a node. On machines with device memory the nearest node is the socket whose CPUs
 * use that memory. */
static void targets_read_distances(int from, int *distance)
{
        char path[64];
        int n = 0, value;
        FILE *f;

        snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/distance", from);
        f = fopen(path, "re");
        if (!f)
                return;
        /* Column i belongs to the i-th online node; numbers may be sparse. */
        for (int node = 0; node < NODE_MAX && fscanf(f, "%d", &value) == 1; node++, n++) {
                for (;; node++) {
                        snprintf(path, sizeof(path), "/sys/devices/system/node/node%d", node);
                        if (node >= NODE_MAX || access(path, F_OK) == 0)
                                break;
                }
                if (node < NODE_MAX)
                        distance[node] = value;
        }
        fclose(f);
}

static uint64_t targets_read_free_bytes(int node)
{
        char path[64], line[256];
        uint64_t kib = 0;
        FILE *f;

        snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo", node);
        f = fopen(path, "re");
        if (!f)
                return 0;
        while (fgets(line, sizeof(line), f))
                if (sscanf(line, "Node %*d MemFree: %" SCNu64, &kib) == 1)
                        break;
        fclose(f);
        return kib * 1024;
}

void drain_targets_read_room(DrainTargets *t)
{
        for (size_t i = 0; i < t->n; i++) {
                uint64_t free_bytes = targets_read_free_bytes(t->items[i].node);

                t->items[i].room_bytes = free_bytes > SPARE_BYTES ? free_bytes - SPARE_BYTES : 0;
        }
}

int drain_targets_new(const NodeSet *from, const NodeSet *to, DrainTargets **ret)
{
        size_t n = nodeset_count(to), n_placed = 0;
        int distance[NODE_MAX] = { 0 };

        if (n == 0 || nodeset_is_empty(from) || nodeset_intersects(from, to))
                return -EINVAL;
        DrainTargets *t = calloc(1, sizeof(*t) + n * sizeof(t->items[0]));
        if (!t)
                return -ENOMEM;
        pthread_mutex_init(&t->lock, NULL);
        t->n = n;
        targets_read_distances(nodeset_next(from, 0), distance);
        NODESET_FOREACH (node, to) {
                size_t i = n_placed++;

                for (; i > 0 && distance[t->items[i - 1].node] > distance[node]; i--)
                        t->items[i] = t->items[i - 1];
                t->items[i] = (Target){ .node = node };
        }
        drain_targets_read_room(t);
        *ret = t;
        return 0;
}

DrainTargets *drain_targets_free(DrainTargets *t)
{
        if (!t)
                return NULL;
        pthread_mutex_destroy(&t->lock);
        free(t);
        return NULL;
}

static int targets_pick(DrainTargets *t, uint64_t page_bytes)
{
        for (size_t i = 0; i < t->n; i++) {
                if (t->items[i].room_bytes < page_bytes)
                        continue;
                t->items[i].room_bytes -= page_bytes;
                return t->items[i].node;
        }
        return t->items[0].node;
}

void drain_targets_take(DrainTargets *t, size_t n, uint64_t page_bytes, int *node)
{
        pthread_mutex_lock(&t->lock);
        for (size_t i = 0; i < n; i++)
                node[i] = targets_pick(t, page_bytes);
        pthread_mutex_unlock(&t->lock);
}
