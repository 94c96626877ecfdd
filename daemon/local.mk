# cdmd itself. What cdmctl --offline and the generator share with it is in libmachine.
noinst_LTLIBRARIES += libmachine.la
libmachine_la_SOURCES = \
	daemon/machine/attribute.c \
	daemon/machine/attribute.h \
	daemon/machine/name-lookup.c \
	daemon/machine/name-lookup.h \
	daemon/machine/topology-device.c \
	daemon/machine/topology-device.h \
	daemon/machine/topology-facts.c \
	daemon/machine/topology-facts.h \
	daemon/machine/topology-gpu.c \
	daemon/machine/topology-gpu.h \
	daemon/machine/topology-node.c \
	daemon/machine/topology-node.h \
	daemon/machine/topology-read.c \
	daemon/machine/topology-read.h \
	daemon/machine/topology-zone.c \
	daemon/pid1/fence-files.c \
	daemon/pid1/fence-files.h

# Everything of the daemon but its main(): cdmd and the tests link it.
noinst_LTLIBRARIES += libdaemon.la
libdaemon_la_SOURCES = \
	daemon/assembly.c \
	daemon/assembly.h \
	daemon/bus/bus-call.c \
	daemon/bus/bus-call.h \
	daemon/bus/bus-callers.c \
	daemon/bus/bus-callers.h \
	daemon/bus/bus-event.c \
	daemon/bus/bus-guard.c \
	daemon/bus/bus-holders.c \
	daemon/bus/bus-internal.h \
	daemon/bus/bus-list.c \
	daemon/bus/bus-manager.c \
	daemon/bus/bus-options.c \
	daemon/bus/bus-options.h \
	daemon/bus/bus-pool.c \
	daemon/bus/bus-reservation.c \
	daemon/bus/bus-text.c \
	daemon/bus/bus-text.h \
	daemon/bus/bus.c \
	daemon/bus/bus.h \
	daemon/caller/authorize.c \
	daemon/caller/authorize.h \
	daemon/caller/identity-read.c \
	daemon/caller/identity-read.h \
	daemon/caller/identity-unit.c \
	daemon/caller/identity-unit.h \
	daemon/caller/identity.c \
	daemon/caller/identity.h \
	daemon/caller/sender.c \
	daemon/caller/sender.h \
	daemon/fence/apply.c \
	daemon/fence/apply.h \
	daemon/fence/fence-check.c \
	daemon/fence/fence-install.c \
	daemon/fence/fence-internal.h \
	daemon/fence/fence-leaf.c \
	daemon/fence/fence-owner.c \
	daemon/fence/fence-read.c \
	daemon/fence/fence-scan.c \
	daemon/fence/fence-scan.h \
	daemon/fence/fence-way.c \
	daemon/fence/fence-way.h \
	daemon/fence/fence.c \
	daemon/fence/fence.h \
	daemon/fence/foreign-fence.c \
	daemon/fence/foreign-internal.h \
	daemon/fence/foreign-mark.c \
	daemon/fence/foreign-mark.h \
	daemon/fence/foreign-plan.c \
	daemon/fence/foreign-plan.h \
	daemon/fence/foreign-tree.c \
	daemon/fence/foreign.c \
	daemon/fence/foreign.h \
	daemon/fence/leaf-reader.c \
	daemon/fence/leaf-reader.h \
	daemon/keeper/drift-slice.c \
	daemon/keeper/drift-tenant.c \
	daemon/keeper/drift.c \
	daemon/keeper/fights.c \
	daemon/keeper/holder-rows.c \
	daemon/keeper/holder-rows.h \
	daemon/keeper/holders.c \
	daemon/keeper/holders.h \
	daemon/keeper/node-drain.c \
	daemon/keeper/nodes.c \
	daemon/keeper/reload.c \
	daemon/keeper/start.c \
	daemon/keeper/tree-events.c \
	daemon/kernel/cgroup-numa.c \
	daemon/kernel/cgroup-walk.c \
	daemon/kernel/cgroup-watch.c \
	daemon/kernel/cgroup-watch.h \
	daemon/kernel/cgroup.c \
	daemon/kernel/cgroup.h \
	daemon/kernel/drain-maps.c \
	daemon/kernel/drain-maps.h \
	daemon/kernel/drain.c \
	daemon/kernel/drain.h \
	daemon/kernel/hold.c \
	daemon/kernel/hold.h \
	daemon/kernel/memory.c \
	daemon/kernel/memory.h \
	daemon/kernel/near.c \
	daemon/kernel/near.h \
	daemon/kernel/observe.c \
	daemon/kernel/observe.h \
	daemon/kernel/owner.c \
	daemon/kernel/owner.h \
	daemon/kernel/pages.c \
	daemon/kernel/pages.h \
	daemon/kernel/tenant-read.c \
	daemon/kernel/tenant-read.h \
	daemon/kernel/used.c \
	daemon/kernel/used.h \
	daemon/loop/event-limit.c \
	daemon/loop/event-limit.h \
	daemon/loop/event.c \
	daemon/loop/event.h \
	daemon/loop/log.c \
	daemon/loop/log.h \
	daemon/loop/match.c \
	daemon/loop/match.h \
	daemon/loop/notify.c \
	daemon/loop/notify.h \
	daemon/loop/peers.c \
	daemon/loop/peers.h \
	daemon/loop/slice.c \
	daemon/loop/slice.h \
	daemon/loop/store-text.c \
	daemon/loop/store-text.h \
	daemon/loop/store.c \
	daemon/loop/store.h \
	daemon/loop/turn.c \
	daemon/loop/turn.h \
	daemon/loop/worker.c \
	daemon/loop/worker.h \
	daemon/machine/hotplug.c \
	daemon/machine/hotplug.h \
	daemon/machine/names.c \
	daemon/machine/names.h \
	daemon/machine/process.c \
	daemon/machine/process.h \
	daemon/machine/rule-names.c \
	daemon/machine/rule-names.h \
	daemon/pid1/fence-property.c \
	daemon/pid1/fence-property.h \
	daemon/pid1/gate.c \
	daemon/pid1/gate.h \
	daemon/pid1/unit-call.c \
	daemon/pid1/unit-call.h \
	daemon/pid1/unit-change.c \
	daemon/pid1/unit-jobs.c \
	daemon/pid1/unit-jobs.h \
	daemon/pid1/unit-owner.c \
	daemon/pid1/unit-watch.c \
	daemon/pid1/unit.c \
	daemon/pid1/unit.h \
	daemon/tenant/buffer-keep.c \
	daemon/tenant/buffer-set.c \
	daemon/tenant/buffer-set.h \
	daemon/tenant/buffers-internal.h \
	daemon/tenant/buffers.c \
	daemon/tenant/buffers.h \
	daemon/tenant/change.c \
	daemon/tenant/degrade.c \
	daemon/tenant/grant.c \
	daemon/tenant/holds.c \
	daemon/tenant/holds.h \
	daemon/tenant/judgement.c \
	daemon/tenant/leases.c \
	daemon/tenant/machine-facts.c \
	daemon/tenant/manager.c \
	daemon/tenant/manager.h \
	daemon/tenant/migrate.c \
	daemon/tenant/migrate.h \
	daemon/tenant/neighbours.c \
	daemon/tenant/neighbours.h \
	daemon/tenant/overruns.c \
	daemon/tenant/overruns.h \
	daemon/tenant/owner-ask.c \
	daemon/tenant/queue-server.c \
	daemon/tenant/queue-server.h \
	daemon/tenant/record.c \
	daemon/tenant/record.h \
	daemon/tenant/release.c \
	daemon/tenant/request.c \
	daemon/tenant/snapshot.c \
	daemon/tenant/statics.c \
	daemon/tenant/statics.h \
	daemon/tenant/unit-check.c \
	daemon/tenant/usage.c \
	daemon/tenant/usage.h \
	daemon/tenant/waiter.c
libdaemon_la_CFLAGS = $(AM_CFLAGS) -pthread
libdaemon_la_LIBADD = libmachine.la libpolicy.la $(SYSTEMD_LIBS) $(NUMA_LIBS) $(CGROUP_LIBS) -lpthread

sbin_PROGRAMS += cdmd
cdmd_SOURCES = daemon/main.c
cdmd_LDADD = libdaemon.la

# Runs before everything else: it links neither libsystemd nor libnuma nor libcgroup.
systemgenerator_PROGRAMS = daemon/cdmd-generator
daemon_cdmd_generator_SOURCES = daemon/generator.c
daemon_cdmd_generator_LDADD = libmachine.la libpolicy.la
