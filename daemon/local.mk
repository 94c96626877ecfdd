# cdmd itself. What cdmctl --offline and the generator share with it is in libmachine.
noinst_LTLIBRARIES += libmachine.la
libmachine_la_SOURCES = \
	daemon/fence-files.c \
	daemon/fence-files.h \
	daemon/topology-read.c \
	daemon/topology-read.h

# Everything of the daemon but its main(): cdmd and the tests link it.
noinst_LTLIBRARIES += libdaemon.la
libdaemon_la_SOURCES = \
	daemon/apply.c \
	daemon/apply.h \
	daemon/cgroup-walk.c \
	daemon/cgroup.c \
	daemon/cgroup.h \
	daemon/drain.c \
	daemon/drain.h \
	daemon/fence-property.c \
	daemon/fence-property.h \
	daemon/fence-scan.c \
	daemon/fence-scan.h \
	daemon/fence.c \
	daemon/fence.h \
	daemon/observe.c \
	daemon/observe.h \
	daemon/unit-change.c \
	daemon/unit-internal.h \
	daemon/unit-watch.c \
	daemon/unit.c \
	daemon/unit.h \
	daemon/worker.c \
	daemon/worker.h
libdaemon_la_CFLAGS = $(AM_CFLAGS) $(SYSTEMD_CFLAGS) $(NUMA_CFLAGS) $(CGROUP_CFLAGS) -pthread
libdaemon_la_LIBADD = libmachine.la libpolicy.la $(SYSTEMD_LIBS) $(NUMA_LIBS) $(CGROUP_LIBS) -lpthread

# Runs before everything else: it links neither libsystemd nor libnuma nor libcgroup.
systemgenerator_PROGRAMS = daemon/cdmd-generator
daemon_cdmd_generator_SOURCES = daemon/generator.c
daemon_cdmd_generator_LDADD = libmachine.la libpolicy.la
