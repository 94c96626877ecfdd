/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* vm-fence close|lift: does with the fence what cdmd does, with the configuration of this machine and nobody
 * holding a reservation. Prints "state STATE", "drained BYTES", "cpuset yes|no" and a line
 * "unfenced CGROUP UNIT REASON" for each cgroup that stayed open. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "daemon/cgroup.h"
#include "daemon/fence.h"
#include "daemon/topology-read.h"
#include "daemon/worker.h"
#include "policy/conf-read.h"

static void done(Fence *f, int error, void *userdata)
{
        const Unfenced *list;
        size_t n;

        printf("error %s\nstate %s\ndrained %" PRIu64 "\ncpuset %s\n", error ? strerror(-error) : "none",
               fence_state_to_string(fence_state(f)), fence_intruder_bytes_drained(f),
               fence_enabled_cpuset(f) ? "yes" : "no");
        list = fence_unfenced(f, &n);
        for (size_t i = 0; i < n; i++)
                printf("unfenced %s %s %s\n", list[i].cgroup, list[i].unit, list[i].reason);
        sd_event_exit(userdata, error < 0);
}

static int run(sd_event *event, sd_bus *bus, const char *verb)
{
        _cleanup_(ledger_free_p) Ledger *ledger = NULL;
        _cleanup_(topology_free_p) Topology *topology = NULL;
        _cleanup_(config_free_p) Config *config = NULL;
        _cleanup_(pool_set_free_p) PoolSet *pools = NULL;
        _cleanup_(worker_free_p) Worker *worker = NULL;
        _cleanup_(fence_free_p) Fence *fence = NULL;
        _cleanup_free_ char *error = NULL;
        ConfMessages messages = { 0 };
        int r;

        r = cgroup_setup("", &error);
        if (r >= 0)
                r = ledger_new(&ledger);
        if (r >= 0)
                r = topology_read("", &topology);
        if (r >= 0)
                r = config_load("", &config, &messages);
        if (r >= 0)
                r = pool_set_resolve(topology, (const PoolConfig *const *)config->pools, config->n_pools,
                                     &pools, &error);
        if (r >= 0)
                r = worker_new(event, 2, &worker);
        if (r >= 0)
                r = fence_new(&(FenceContext){ bus, worker, ledger, "" }, &fence);
        if (r >= 0)
                r = strcmp(verb, "lift") == 0 ? fence_lift(fence, pools, done, event)
                                              : fence_close(fence, config, pools, done, event);
        if (r < 0) {
                fprintf(stderr, "vm-fence: %s\n", error ? error : strerror(-r));
                return r;
        }
        return sd_event_loop(event);
}

int main(int argc, char **argv)
{
        sd_event *event = NULL;
        sd_bus *bus = NULL;
        int r;

        if (argc != 2)
                return 2;
        r = sd_event_new(&event);
        if (r >= 0)
                r = sd_bus_open_system(&bus);
        if (r >= 0)
                r = sd_bus_attach_event(bus, event, 0);
        if (r >= 0)
                r = run(event, bus, argv[1]);
        sd_bus_flush_close_unref(bus);
        sd_event_unref(event);
        return r != 0;
}
