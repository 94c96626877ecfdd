# The library for programs. It exports only the symbols in libcdm.map.
lib_LTLIBRARIES = libcdm.la
include_HEADERS = client/cdm.h
libcdm_la_SOURCES = client/cdm.h client/libcdm.c client/no-daemon.c client/no-daemon.h
libcdm_la_CFLAGS = $(AM_CFLAGS) -fvisibility=hidden
libcdm_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0 -Wl,--version-script=$(srcdir)/client/libcdm.map
libcdm_la_LIBADD = $(SYSTEMD_LIBS)
libcdm_la_DEPENDENCIES = client/libcdm.map
EXTRA_DIST += client/libcdm.map
pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = client/cdm.pc

# cdmctl: one file per verb. It contains the library, because a program in the build tree that uses the shared one would
# be a shell script.
noinst_LIBRARIES += libclient.a
libclient_a_SOURCES = \
	client/args.c \
	client/args.h \
	client/buffer.c \
	client/bus-client.c \
	client/bus-client.h \
	client/cdi.c \
	client/check.c \
	client/cdmctl.h \
	client/container.c \
	client/container.h \
	client/drain.c \
	client/event.c \
	client/event.h \
	client/filter.c \
	client/filter.h \
	client/explain.c \
	client/holders.c \
	client/holders.h \
	client/json.c \
	client/json.h \
	client/list.c \
	client/labels-bus.c \
	client/labels-bus.h \
	client/libcdm.c \
	client/mempolicy.c \
	client/mempolicy.h \
	client/migrate.c \
	client/monitor.c \
	client/no-daemon.c \
	client/no-daemon.h \
	client/nodes.c \
	client/objects-table.c \
	client/objects.c \
	client/objects.h \
	client/offline-subject.c \
	client/offline.c \
	client/offline.h \
	client/pools.c \
	client/progress.c \
	client/progress.h \
	client/release.c \
	client/release.h \
	client/reload.c \
	client/renew.c \
	client/resize.c \
	client/report-tree.c \
	client/report-words.c \
	client/report.c \
	client/report.h \
	client/request.c \
	client/queue.c \
	client/queue.h \
	client/reserve.c \
	client/reserve.h \
	client/run.c \
	client/static.c \
	client/status.c \
	client/table-print.c \
	client/table-internal.h \
	client/table.c \
	client/table.h \
	client/tell.c \
	client/text.c \
	client/text.h \
	client/warnings.c \
	client/warnings.h \
	client/wait.c \
	client/wait.h \
	client/who.c
client_libs = libclient.a $(machine_libs) $(SYSTEMD_LIBS) $(SMARTCOLS_LIBS) $(NUMA_LIBS)

bin_PROGRAMS += cdmctl
cdmctl_SOURCES = client/cdmctl.c
cdmctl_LDADD = $(client_libs)

# Installed under the command's name, under which bash looks for it.
EXTRA_DIST += client/cdmctl.bash-completion
bashcompletion_DATA = client/bash-completion/cdmctl
CLEANFILES += client/bash-completion/cdmctl
client/bash-completion/cdmctl: client/cdmctl.bash-completion
	$(AM_V_GEN)$(MKDIR_P) $(@D) && cp $(srcdir)/client/cdmctl.bash-completion $@

EXTRA_DIST += client/cdmctl.fish-completion client/cdmctl.zsh-completion
zshcompletion_DATA = client/zsh-completion/_cdmctl
fishcompletion_DATA = client/fish-completion/cdmctl.fish
CLEANFILES += $(zshcompletion_DATA) $(fishcompletion_DATA)
client/zsh-completion/_cdmctl: client/cdmctl.zsh-completion
	$(AM_V_GEN)$(MKDIR_P) $(@D) && cp $(srcdir)/client/cdmctl.zsh-completion $@
client/fish-completion/cdmctl.fish: client/cdmctl.fish-completion
	$(AM_V_GEN)$(MKDIR_P) $(@D) && cp $(srcdir)/client/cdmctl.fish-completion $@
