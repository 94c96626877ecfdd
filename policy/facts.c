/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/facts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/facts-pool.h"
#include "policy/size.h"

static const char *const fact_names[_FACT_MAX] = {
        [FACT_CDMM] = "cdmm",
        [FACT_FENCE_DEMOTION] = "fence-demotion",
        [FACT_DEMOTION] = "demotion",
        [FACT_NUMA_BALANCING] = "numa-balancing",
        [FACT_HUGETLB] = "hugetlb",
        [FACT_AUTO_ONLINE] = "auto-online",
        [FACT_POOL_EMPTY] = "pool-empty",
        [FACT_NODES_ABSENT] = "nodes-absent",
        [FACT_SELECTS_ALL] = "selects-all",
        [FACT_NO_EVIDENCE] = "no-evidence",
        [FACT_PASSED_OVER] = "passed-over",
        [FACT_NOT_IN_POOL] = "not-in-pool",
        [FACT_UNMOVABLE] = "unmovable",
};

const char *fact_to_string(Fact f)
{
        return f >= 0 && f < _FACT_MAX ? fact_names[f] : NULL;
}

bool fact_is_of_pools(Fact f)
{
        return f >= FACT_POOL_EMPTY && f < _FACT_MAX;
}

static bool fact_kernel_is_before(const Topology *t, unsigned major, unsigned minor)
{
        return t->kernel_major < major || (t->kernel_major == major && t->kernel_minor < minor);
}

bool facts_pool_takes_demotions(const Topology *t, const NodeSet *ordinary, const NodeSet *pool_nodes)
{
        int fastest = TIER_UNKNOWN;

        if (!t->demotion_enabled || !fact_kernel_is_before(t, 6, 16))
                return false;
        NODESET_FOREACH (node, ordinary) {
                const Node *n = topology_find(t, node);

                if (n && n->tier != TIER_UNKNOWN && (fastest == TIER_UNKNOWN || n->tier < fastest))
                        fastest = n->tier;
        }
        NODESET_FOREACH (node, pool_nodes) {
                const Node *n = topology_find(t, node);

                if (n && fastest != TIER_UNKNOWN && n->tier > fastest)
                        return true;
        }
        return false;
}

static int fact_judge_cdmm(const Topology *t, char **ret)
{
        if (!t->cdmm)
                return 0;
        return fact_sentence(
                ret,
                "the NVIDIA driver runs in CDMM mode (%s) and keeps GPU memory out of NUMA, so that there is "
                "nothing to manage on the GPUs; to have it as nodes, load the nvidia module with "
                "NVreg_CoherentGPUMemoryMode=numa",
                t->cdmm);
}

static const char *fact_kernel_version(const Topology *t, char text[static 32])
{
        if (t->kernel_major == 0)
                return "this kernel";
        snprintf(text, 32, "Linux %u.%u", t->kernel_major, t->kernel_minor);
        return text;
}

static NodeSet fact_demotion_targets(const Topology *t, const PoolSet *pools)
{
        NodeSet nodes = NODESET_EMPTY;

        NODESET_FOREACH (node, &pools->cdm) {
                NodeSet one = nodeset_of(node);

                if (facts_pool_takes_demotions(t, &pools->ordinary, &one))
                        nodeset_add(&nodes, node);
        }
        return nodes;
}

static int fact_judge_fence_demotion(const Topology *t, const PoolSet *pools, char **ret)
{
        NodeSet nodes = fact_demotion_targets(t, pools);
        char list[NODESET_STR_MAX], version[32];

        if (nodeset_is_empty(&nodes))
                return 0;
        return fact_sentence(
                ret,
                "the fence is open to demotion: under pressure %s moves cold pages of any process to the "
                "slower CDM nodes (%s), whatever its cpuset says; to close it, write 0 to "
                "/sys/kernel/mm/numa/demotion_enabled, or run Linux 6.16 or later",
                fact_kernel_version(t, version), nodeset_format(&nodes, list));
}

/* Demotion that respects cpusets still moves a tenant's pages off the fast node that it reserved. */
static int fact_judge_demotion(const Topology *t, const PoolSet *pools, char **ret)
{
        NodeSet nodes = fact_demotion_targets(t, pools);

        if (!t->demotion_enabled || nodeset_is_empty(&pools->cdm) || !nodeset_is_empty(&nodes))
                return 0;
        return fact_sentence(
                ret, "the kernel's demotion is on: under pressure it moves cold pages of programs to "
                     "slower nodes, also off the nodes that they reserved; to keep them there, write 0 "
                     "to /sys/kernel/mm/numa/demotion_enabled");
}

static int fact_judge_numa_balancing(const Topology *t, const PoolSet *pools, char **ret)
{
        if (!t->numa_balancing || nodeset_is_empty(&pools->cdm))
                return 0;
        return fact_sentence(ret,
                             "the kernel's NUMA balancing is on: it moves pages of running programs between "
                             "nodes, also off the nodes that they reserved; `sysctl "
                             "kernel.numa_balancing=0` switches it off");
}

/* vm.nr_hugepages takes memory evenly from all nodes that the writer may use. Pages of the pool that are not
 * mapped belong to no process, and cannot be drained. */
static int fact_judge_hugetlb(const Topology *t, const PoolSet *pools, char **ret)
{
        char list[NODESET_STR_MAX], size[SIZE_STR_MAX];
        NodeSet nodes = NODESET_EMPTY;
        uint64_t bytes = 0;

        NODESET_FOREACH (node, &pools->cdm) {
                const Node *n = topology_find(t, node);

                if (!n || n->hugetlb_bytes == 0)
                        continue;
                nodeset_add(&nodes, node);
                bytes += n->hugetlb_bytes;
        }
        if (bytes == 0)
                return 0;
        return fact_sentence(
                ret,
                "%s of the system's huge pages are on CDM nodes (%s), where no reservation can have that "
                "memory; write 0 to /sys/devices/system/node/nodeN/hugepages/hugepages-*/nr_hugepages of "
                "these nodes, and set the pool up for each ordinary node there instead of with "
                "vm.nr_hugepages",
                size_format(bytes, size), nodeset_format(&nodes, list));
}

/* The driver refuses other zones than ZONE_MOVABLE and says so in the kernel log (open-gpu-kernel-modules,
 * nvidia/os-interface.c: os_numa_verify_gpu_memory_zone()): kernel data there would prevent every reset of
 * the GPU. */
static int fact_judge_auto_online(const Topology *t, char **ret)
{
        if (!t->gpu_needs_movable || !t->auto_online[0] || strcmp(t->auto_online, "online_movable") == 0)
                return 0;
        return fact_sentence(
                ret,
                "/sys/devices/system/memory/auto_online_blocks is %s, and NVIDIA's driver makes GPU memory "
                "a node with online_movable only; write that there (and boot with "
                "memhp_default_state=online_movable), then load the nvidia module again",
                t->auto_online);
}

int fact_judge(Fact f, const Topology *t, const PoolSet *pools, char **ret)
{
        switch (f) {
        case FACT_CDMM:
                return fact_judge_cdmm(t, ret);
        case FACT_FENCE_DEMOTION:
                return fact_judge_fence_demotion(t, pools, ret);
        case FACT_DEMOTION:
                return fact_judge_demotion(t, pools, ret);
        case FACT_NUMA_BALANCING:
                return fact_judge_numa_balancing(t, pools, ret);
        case FACT_HUGETLB:
                return fact_judge_hugetlb(t, pools, ret);
        case FACT_AUTO_ONLINE:
                return fact_judge_auto_online(t, ret);
        case FACT_POOL_EMPTY:
                return fact_pool_empty(t, pools, ret);
        case FACT_NODES_ABSENT:
                return fact_nodes_absent(t, pools, ret);
        case FACT_SELECTS_ALL:
                return fact_selects_all(pools, ret);
        case FACT_NO_EVIDENCE:
                return fact_no_evidence(t, pools, ret);
        case FACT_PASSED_OVER:
                return fact_passed_over(t, pools, ret);
        case FACT_NOT_IN_POOL:
                return fact_not_in_pool(t, pools, ret);
        case FACT_UNMOVABLE:
                return fact_unmovable(t, pools, ret);
        case _FACT_MAX:
                break;
        }
        return 0;
}
