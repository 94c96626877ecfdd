# cdmd itself. What cdmctl --offline and the generator share with it is in libmachine.
noinst_LTLIBRARIES += libmachine.la
libmachine_la_SOURCES = \
	daemon/attribute.c \
	daemon/attribute.h \
	daemon/fence-files.c \
	daemon/fence-files.h \
	daemon/name-lookup.c \
	daemon/name-lookup.h \
	daemon/topology-device.c \
	daemon/topology-device.h \
	daemon/topology-facts.c \
	daemon/topology-facts.h \
	daemon/topology-gpu.c \
	daemon/topology-gpu.h \
	daemon/topology-node.c \
	daemon/topology-node.h \
	daemon/topology-read.c \
	daemon/topology-zone.c \
	daemon/topology-read.h

# Everything of the daemon but its main(): cdmd and the tests link it.
noinst_LTLIBRARIES += libdaemon.la
libdaemon_la_SOURCES = \
	daemon/apply.c \
	daemon/apply.h \
	daemon/assembly.c \
	daemon/assembly.h \
	daemon/authorize.c \
	daemon/authorize.h \
	daemon/bus-call.c \
	daemon/bus-call.h \
	daemon/bus-event.c \
	daemon/bus-guard.c \
	daemon/bus-holders.c \
	daemon/bus-internal.h \
	daemon/bus-list.c \
	daemon/bus-manager.c \
	daemon/match.c \
	daemon/match.h \
	daemon/bus-options.c \
	daemon/bus-options.h \
	daemon/bus-pool.c \
	daemon/bus-reservation.c \
	daemon/bus-text.c \
	daemon/bus-text.h \
	daemon/bus.c \
	daemon/bus.h \
	daemon/bus-callers.c \
	daemon/bus-callers.h \
	daemon/cgroup-numa.c \
	daemon/cgroup-walk.c \
	daemon/cgroup.c \
	daemon/cgroup.h \
	daemon/drain-maps.c \
	daemon/drain-maps.h \
	daemon/drain.c \
	daemon/drain.h \
	daemon/event-limit.c \
	daemon/event-limit.h \
	daemon/event.c \
	daemon/event.h \
	daemon/fence-check.c \
	daemon/fence-install.c \
	daemon/fence-internal.h \
	daemon/fence-leaf.c \
	daemon/fence-owner.c \
	daemon/fence-property.c \
	daemon/fence-property.h \
	daemon/fence-read.c \
	daemon/fence-scan.c \
	daemon/fence-scan.h \
	daemon/fence-way.c \
	daemon/fence-way.h \
	daemon/fence.c \
	daemon/fence.h \
	daemon/hotplug.c \
	daemon/hotplug.h \
	daemon/foreign-fence.c \
	daemon/foreign-internal.h \
	daemon/foreign-mark.c \
	daemon/foreign-mark.h \
	daemon/foreign-plan.c \
	daemon/foreign-plan.h \
	daemon/foreign-tree.c \
	daemon/foreign.c \
	daemon/foreign.h \
	daemon/gate.c \
	daemon/gate.h \
	daemon/hold.c \
	daemon/hold.h \
	daemon/identity-read.c \
	daemon/identity-read.h \
	daemon/identity-unit.c \
	daemon/identity-unit.h \
	daemon/identity.c \
	daemon/identity.h \
	daemon/leaf-reader.c \
	daemon/leaf-reader.h \
	daemon/log.c \
	daemon/log.h \
	daemon/manager-buffer-internal.h \
	daemon/manager-buffer-keep.c \
	daemon/manager-buffer-set.c \
	daemon/manager-buffer-set.h \
	daemon/manager-buffer.c \
	daemon/manager-buffer.h \
	daemon/manager-change.c \
	daemon/manager-config.c \
	daemon/manager-decide.c \
	daemon/manager-degrade.c \
	daemon/manager-drain.c \
	daemon/manager-drift-slice.c \
	daemon/manager-drift-tenant.c \
	daemon/manager-drift.c \
	daemon/manager-fight.c \
	daemon/manager-grant.c \
	daemon/manager-hold.c \
	daemon/manager-hold.h \
	daemon/manager-holders-rows.c \
	daemon/manager-holders-rows.h \
	daemon/manager-holders.c \
	daemon/manager-holders.h \
	daemon/manager-lease.c \
	daemon/manager-machine.c \
	daemon/manager-migrate.c \
	daemon/manager-migrate.h \
	daemon/manager-nodes.c \
	daemon/manager-overrun.c \
	daemon/manager-overrun.h \
	daemon/manager-owner.c \
	daemon/manager-release.c \
	daemon/manager-request.c \
	daemon/manager-snapshot.c \
	daemon/manager-start.c \
	daemon/manager-static.c \
	daemon/manager-static.h \
	daemon/manager-unit.c \
	daemon/manager-wait.c \
	daemon/manager-watch.c \
	daemon/manager.c \
	daemon/manager.h \
	daemon/memory.c \
	daemon/memory.h \
	daemon/names.c \
	daemon/names.h \
	daemon/near.c \
	daemon/near.h \
	daemon/neighbours.c \
	daemon/neighbours.h \
	daemon/notify.c \
	daemon/notify.h \
	daemon/observe.c \
	daemon/observe.h \
	daemon/owner.c \
	daemon/owner.h \
	daemon/pages.c \
	daemon/pages.h \
	daemon/peers.c \
	daemon/peers.h \
	daemon/process.c \
	daemon/process.h \
	daemon/queue-server.c \
	daemon/queue-server.h \
	daemon/record.c \
	daemon/record.h \
	daemon/rule-names.c \
	daemon/rule-names.h \
	daemon/sender.c \
	daemon/sender.h \
	daemon/slice.c \
	daemon/slice.h \
	daemon/store-text.c \
	daemon/store-text.h \
	daemon/store.c \
	daemon/store.h \
	daemon/tenant-read.c \
	daemon/tenant-read.h \
	daemon/turn.c \
	daemon/turn.h \
	daemon/unit-change.c \
	daemon/unit-call.c \
	daemon/unit-call.h \
	daemon/unit-jobs.c \
	daemon/unit-jobs.h \
	daemon/unit-owner.c \
	daemon/unit-watch.c \
	daemon/unit.c \
	daemon/unit.h \
	daemon/usage.c \
	daemon/usage.h \
	daemon/used.c \
	daemon/used.h \
	daemon/watch.c \
	daemon/watch.h \
	daemon/worker.c \
	daemon/worker.h
libdaemon_la_CFLAGS = $(AM_CFLAGS) -pthread
libdaemon_la_LIBADD = libmachine.la libpolicy.la $(SYSTEMD_LIBS) $(NUMA_LIBS) $(CGROUP_LIBS) -lpthread

sbin_PROGRAMS += cdmd
cdmd_SOURCES = daemon/main.c
cdmd_LDADD = libdaemon.la

# Runs before everything else: it links neither libsystemd nor libnuma nor libcgroup.
systemgenerator_PROGRAMS = daemon/cdmd-generator
daemon_cdmd_generator_SOURCES = daemon/generator.c
daemon_cdmd_generator_LDADD = libmachine.la libpolicy.la
