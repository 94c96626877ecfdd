/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/warning.h"

#include <string.h>

#include "policy/macro.h"

static const WarningInfo warnings[] = {
        { "auto-online", false,
          "NVIDIA's driver turns GPU memory into NUMA nodes only where the kernel puts new memory online as "
          "movable. With any other setting the nodes do not appear, and pools of GPU memory stay empty.\n"
          "Write online_movable to /sys/devices/system/memory/auto_online_blocks, boot with "
          "memhp_default_state=online_movable to make it last, and load the nvidia module again." },
        { WARNING_BUFFERS, true,
          "An exact buffer promises that its bytes are on the reserved nodes. Some are not: something moved "
          "them, and the nodes have no room to take them back.\n"
          "Free memory on the nodes of the reservation: `cdmctl who` shows who uses them. cdmd moves the "
          "bytes back by itself." },
        { "cdmm", false,
          "The NVIDIA driver runs in CDMM mode. GPU memory is then no NUMA node, so there is nothing for cdmd "
          "to reserve.\n"
          "Load the nvidia module with NVreg_CoherentGPUMemoryMode=numa to have nodes, or keep CDMM and do "
          "not use cdmd for this GPU." },
        { WARNING_CGROUPS_UNWATCHED, false,
          "cdmd could not get enough inotify watches or instances. New control groups that systemd does not "
          "own are then found once a minute instead of immediately.\n"
          "Raise fs.inotify.max_user_watches or fs.inotify.max_user_instances with sysctl, then restart "
          "cdmd." },
        { WARNING_CONFIGURATION, true,
          "A file of the configuration was refused when cdmd started. A refused rule grants nothing; the "
          "sentence names the file and the line.\n"
          "Correct the file, run `cdmctl check`, then `cdmctl reload`." },
        { WARNING_CONFIGURATION_HINT, false,
          "The configuration is valid, but a part of it has no effect or an unusual one: for example, a rule "
          "names a user that does not exist.\n"
          "Change the line that the sentence names, then run `cdmctl reload`." },
        { WARNING_CPUSET_ENABLED, false,
          "cdmd had to enable the cpuset controller while services were running. The kernel may have reset "
          "CPU affinities that services had set themselves.\n"
          "Restart services that pin their threads. After the next boot the controller is enabled from the "
          "beginning." },
        { "demotion", false,
          "Under memory pressure the kernel demotes cold pages to slower nodes, also those of programs that "
          "reserved a fast node.\n"
          "Write 0 to /sys/kernel/mm/numa/demotion_enabled if reservations should keep their pages." },
        { WARNING_FENCE, true,
          "The fence is not what Mode= wants: a control group could not be fenced, or a change of the fence "
          "failed. Processes without a reservation may use CDM nodes.\n"
          "`cdmctl status` lists what is not fenced and why. `cdmctl reload` tries again." },
        { "fence-demotion", true,
          "Kernels before Linux 6.16 ignore cpusets when they demote cold pages, so that pages of any process "
          "can reach a slow pool in spite of the fence.\n"
          "Write 0 to /sys/kernel/mm/numa/demotion_enabled, or run Linux 6.16 or later." },
        { WARNING_FIGHT, true,
          "Another program changes a value of the fence or of a reservation each time that cdmd has set it. cdmd "
          "backs off and leaves the value alone for a while: nodes may be open to processes without a "
          "reservation, or closed to those with one.\n"
          "Find the program, and have it leave cpuset.mems, AllowedMemoryNodes= or the controllers alone. The "
          "sentence says of which unit, slice or control group." },
        { "hugetlb", false,
          "Huge pages of the system's pool are on CDM nodes. No reservation can use that memory, and it "
          "cannot be drained.\n"
          "Write 0 to nr_hugepages of these nodes below /sys/devices/system/node, and size the pool for each "
          "ordinary node instead of with vm.nr_hugepages." },
        { "no-evidence", false,
          "Nodes were taken into a pool only because they have no CPUs. Some firmware puts plain memory into "
          "such nodes.\n"
          "List the right nodes with Nodes= in a file of /etc/cdm/pools.d; that also ends the warning." },
        { WARNING_NODE_DRAINED, false,
          "A node was emptied with `cdmctl drain`. Nothing is granted on it.\n"
          "Run `cdmctl undrain NODE` to use it again." },
        { "nodes-absent", false,
          "A pool lists nodes that have no memory now. They join the pool when their memory comes.\n"
          "If it never comes, remove them from Nodes=." },
        { WARNING_NODES_LEFT, true,
          "A node that was in a pool before the last boot is in none now, so that everybody may use it.\n"
          "List it with Nodes= in a file of /etc/cdm/pools.d, or confirm that it is ordinary memory as the "
          "sentence says." },
        { WARNING_NODES_UNREAD, true,
          "cdmd could not read what sysfs says of some nodes, so that they may be missing from their pools.\n"
          "See the reason in the sentence, and run `cdmctl reload` when it is gone." },
        { WARNING_NODES_UNWATCHED, false,
          "cdmd cannot watch nodes come and go.\n"
          "Run `cdmctl reload` after memory was added or removed." },
        { "not-in-pool", false,
          "A node with memory and without CPUs is in no pool, so that everybody may use it.\n"
          "Put it into a pool with Nodes= if it is device memory." },
        { "numa-balancing", false,
          "The kernel moves pages of running programs between nodes, also off the nodes that they reserved.\n"
          "Switch it off with `sysctl kernel.numa_balancing=0`." },
        { "passed-over", true,
          "Nodes without CPUs are most of the machine's memory, and nothing says that they are device memory. "
          "No pool takes them by itself, and everybody may use them.\n"
          "If they are device memory, list them with Nodes= in a file of /etc/cdm/pools.d; if they are not, "
          "add a pool file that lists the nodes that are." },
        { "pool-empty", true,
          "A configured pool has no memory, so that every request for it fails.\n"
          "Compare Nodes= or the selectors of the pool with `cdmctl nodes`." },
        { "selects-all", true,
          "Every node with memory meets the selectors of a pool, so that they select nothing.\n"
          "Choose a value between those of ordinary and device memory; `cdmctl nodes` shows them." },
        { "unmovable", false,
          "Memory of a CDM node was put online in a zone that may hold kernel data, which cannot be moved. A "
          "drain for a reset or removal may not empty the node.\n"
          "Have new memory put online as online_movable, then take it offline and online again." },
};

const WarningInfo *warning_all(size_t *ret_n)
{
        *ret_n = ARRAY_SIZE(warnings);
        return warnings;
}

const WarningInfo *warning_find(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(warnings); i++)
                if (strcmp(warnings[i].name, name) == 0)
                        return &warnings[i];
        return NULL;
}

bool warning_is_fault(const char *name)
{
        const WarningInfo *w = warning_find(name);

        return !w || w->fault;
}
