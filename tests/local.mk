# `make check`: what needs no guest. A test program a module, corpora as data, and scripts for what is not code.
noinst_HEADERS = \
	tests/bus/fake.h \
	tests/bus/world.h \
	tests/unit/bus-pair.h \
	tests/unit/check-main.h \
	tests/unit/machine.h \
	tests/unit/data.h \
	tests/unit/fake-clients.h \
	tests/unit/temp-dir.h \
	tests/unit/temp-root.h \
	tests/unit/tree.h \
	tests/unit/whole-cdmd.h
EXTRA_DIST += \
	tests/client/common.sh \
	tests/client/json-keys \
	tests/client/page-commands \
	tests/data/compat \
	tests/data/conf \
	tests/data/container-paths \
	tests/data/json \
	tests/data/machine \
	tests/vm

# Each program is made of the one source of its name.
AM_DEFAULT_SOURCE_EXT = .c
LDADD = $(daemon_libs) $(CHECK_LIBS)

unit_tests = \
	tests/unit/test-apply \
	tests/unit/test-buffer \
	tests/unit/test-bus-holders \
	tests/unit/test-callers \
	tests/unit/test-cgroup \
	tests/unit/test-compat \
	tests/unit/test-conf-corpus \
	tests/unit/test-conf-read \
	tests/unit/test-conf-start \
	tests/unit/test-container \
	tests/unit/test-decide \
	tests/unit/test-degrade \
	tests/unit/test-desk \
	tests/unit/test-event-limit \
	tests/unit/test-facts \
	tests/unit/test-fence \
	tests/unit/test-fence-files \
	tests/unit/test-fence-scan \
	tests/unit/test-fight \
	tests/unit/test-foreign \
	tests/unit/test-gate \
	tests/unit/test-generator \
	tests/unit/test-grant \
	tests/unit/test-holders \
	tests/unit/test-json \
	tests/unit/test-label \
	tests/unit/test-leaf-reader \
	tests/unit/test-lease \
	tests/unit/test-ledger \
	tests/unit/test-memory \
	tests/unit/test-names \
	tests/unit/test-neighbours \
	tests/unit/test-nodeset \
	tests/unit/test-offline \
	tests/unit/test-overrun \
	tests/unit/test-owner \
	tests/unit/test-plan \
	tests/unit/test-pool \
	tests/unit/test-power9 \
	tests/unit/test-pool-record \
	tests/unit/test-preempt \
	tests/unit/test-queue \
	tests/unit/test-reload \
	tests/unit/test-rule \
	tests/unit/test-sequences \
	tests/unit/test-serve \
	tests/unit/test-size \
	tests/unit/test-slurm-words \
	tests/unit/test-store \
	tests/unit/test-subject \
	tests/unit/test-subtenant \
	tests/unit/test-subtree \
	tests/unit/test-timespan \
	tests/unit/test-topology \
	tests/unit/test-topology-read \
	tests/unit/test-turns \
	tests/unit/test-usage \
	tests/unit/test-waiters \
	tests/unit/test-watch \
	tests/unit/test-worker
check_PROGRAMS += $(unit_tests)
tests_unit_test_json_LDADD = $(client_libs) $(CHECK_LIBS)
tests_unit_test_offline_LDADD = $(client_libs) $(CHECK_LIBS)
tests_unit_test_slurm_words_SOURCES = tests/unit/test-slurm-words.c slurm/words.c
tests_unit_test_slurm_words_LDADD = $(policy_libs) $(CHECK_LIBS)

test_paths = \
	-DTEST_DATA_DIR='"$(abs_top_srcdir)/tests/data"' \
	-DFIXTURES='"$(abs_top_srcdir)/../shared/fixtures"' \
	-DGENERATOR='"$(abs_top_builddir)/daemon/cdmd-generator"' \
	-DBUILD_DIR='"$(abs_top_builddir)"'
tests_unit_test_fence_files_CPPFLAGS = $(AM_CPPFLAGS) $(test_paths)
tests_unit_test_fence_scan_CPPFLAGS = $(AM_CPPFLAGS) $(test_paths)
tests_unit_test_generator_CPPFLAGS = $(AM_CPPFLAGS) $(test_paths)
tests_unit_test_power9_CPPFLAGS = $(AM_CPPFLAGS) $(test_paths)
tests_unit_test_topology_read_CPPFLAGS = $(AM_CPPFLAGS) $(test_paths)
tests_unit_test_degrade_CPPFLAGS = $(AM_CPPFLAGS) $(test_paths)
tests_unit_test_degrade_LDFLAGS = -Wl,--wrap=follows_add
tests_unit_test_fence_LDFLAGS = -Wl,--wrap=slice_set
tests_unit_test_fight_LDFLAGS = -Wl,--wrap=sd_event_add_time
tests_unit_test_grant_CPPFLAGS = $(AM_CPPFLAGS) $(test_paths)
tests_unit_test_grant_LDFLAGS = -Wl,--wrap=memory_make,--wrap=mlock2,--wrap=pages_prefer
tests_unit_test_preempt_LDFLAGS = -Wl,--wrap=place
tests_unit_test_reload_CPPFLAGS = $(AM_CPPFLAGS) $(test_paths)
tests_unit_test_reload_LDFLAGS = -Wl,--wrap=config_load,--wrap=topology_read_explained
tests_unit_test_turns_CPPFLAGS = $(AM_CPPFLAGS) $(test_paths)
tests_unit_test_turns_LDFLAGS = \
	-Wl,--wrap=book_store,--wrap=cgroup_open,--wrap=drift_leaf,--wrap=tenant_looks_add,--wrap=fence_leaf_open,--wrap=fence_leaf_reserved,--wrap=owner_asks_add,--wrap=unit_checks_add,--wrap=ledger_walk_tenants_of_node

# A whole cdmd on a private bus, with a made-up systemd and polkit.
bus_tests = \
	tests/bus/test-bus \
	tests/bus/test-bus-admit \
	tests/bus/test-bus-gate \
	tests/bus/test-bus-limits \
	tests/bus/test-bus-list \
	tests/bus/test-bus-nodes \
	tests/bus/test-bus-labels \
	tests/bus/test-bus-policy \
	tests/bus/test-bus-queue \
	tests/bus/test-bus-resize \
	tests/bus/test-bus-who \
	tests/bus/test-hotplug
check_PROGRAMS += $(bus_tests) tests/bus/fake-polkit tests/bus/fake-systemd
tests_bus_fake_polkit_SOURCES = tests/bus/fake-polkit.c tests/bus/fake.c
tests_bus_fake_systemd_SOURCES = tests/bus/fake-systemd.c tests/bus/fake.c
tests_bus_test_bus_SOURCES = tests/bus/test-bus.c tests/bus/world.c
tests_bus_test_bus_CPPFLAGS = $(AM_CPPFLAGS) $(test_paths)
tests_bus_test_bus_admit_SOURCES = tests/bus/test-bus-admit.c tests/bus/world.c
tests_bus_test_bus_admit_CPPFLAGS = $(AM_CPPFLAGS) $(test_paths)
tests_bus_test_bus_gate_SOURCES = tests/bus/test-bus-gate.c tests/bus/world.c
tests_bus_test_bus_gate_CPPFLAGS = $(AM_CPPFLAGS) $(test_paths)
tests_bus_test_bus_list_SOURCES = tests/bus/test-bus-list.c tests/bus/world.c
tests_bus_test_bus_list_CPPFLAGS = $(AM_CPPFLAGS) $(test_paths)
tests_bus_test_bus_nodes_SOURCES = tests/bus/test-bus-nodes.c tests/bus/world.c
tests_bus_test_bus_nodes_CPPFLAGS = $(AM_CPPFLAGS) $(test_paths)
tests_bus_test_bus_labels_SOURCES = tests/bus/test-bus-labels.c tests/bus/world.c
tests_bus_test_bus_labels_CPPFLAGS = $(AM_CPPFLAGS) $(test_paths)
tests_bus_test_bus_resize_SOURCES = tests/bus/test-bus-resize.c tests/bus/world.c
tests_bus_test_bus_resize_CPPFLAGS = $(AM_CPPFLAGS) $(test_paths)
tests_bus_test_bus_policy_SOURCES = tests/bus/test-bus-policy.c tests/bus/world.c
tests_bus_test_bus_policy_CPPFLAGS = $(AM_CPPFLAGS) $(test_paths)
tests_bus_test_bus_limits_SOURCES = tests/bus/test-bus-limits.c tests/bus/world.c
tests_bus_test_bus_limits_CPPFLAGS = $(AM_CPPFLAGS) $(test_paths)
tests_bus_test_bus_queue_SOURCES = tests/bus/test-bus-queue.c tests/bus/world.c
tests_bus_test_bus_queue_CPPFLAGS = $(AM_CPPFLAGS) $(test_paths)
tests_bus_test_bus_who_SOURCES = tests/bus/test-bus-who.c tests/bus/world.c
tests_bus_test_bus_who_CPPFLAGS = $(AM_CPPFLAGS) $(test_paths) \
	-DCDMCTL_PAGE='"$(abs_top_srcdir)/man/cdmctl.1"' \
	-DCDMD_PAGE='"$(abs_top_srcdir)/man/cdmd.8"'
tests_bus_test_hotplug_SOURCES = tests/bus/test-hotplug.c tests/bus/world.c
tests_bus_test_hotplug_CPPFLAGS = $(AM_CPPFLAGS) $(UMOCKDEV_CFLAGS) $(test_paths)
tests_bus_test_hotplug_LDADD = $(LDADD) $(UMOCKDEV_LIBS)

# cdmctl, alone or against a daemon that only talks.
client_tests = \
	tests/client/bus.sh \
	tests/client/cdi.sh \
	tests/client/check.sh \
	tests/client/libcdm.sh \
	tests/client/container.sh \
	tests/client/machines.sh \
	tests/client/nri.sh \
	tests/client/oci-hook.sh \
	tests/client/offline.sh \
	tests/client/pages.sh \
	tests/client/power9.sh \
	tests/client/report.sh \
	tests/client/usage.sh
check_PROGRAMS += tests/client/fake-cdmd
LOG_COMPILER = $(top_srcdir)/tests/run
dist_check_SCRIPTS += tests/run
# CC and so on are for the test that compiles against the library.
AM_TESTS_ENVIRONMENT = PATH='$(PYTHON3_DIR)'":$$PATH" CC='$(CC)' MAKE='$(MAKE)' SANITIZE_CFLAGS='$(SANITIZE_CFLAGS)'; \
	export PATH CC MAKE SANITIZE_CFLAGS;

# What the sources themselves keep to, and what is not code: pages, units, policy files.
file_tests = \
	tests/check-bus-doc \
	tests/check-bus-files \
	tests/check-catalog \
	tests/check-cli-doc \
	tests/check-completion \
	tests/check-conf-doc \
	tests/check-examples \
	tests/check-format \
	tests/check-man \
	tests/check-messages \
	tests/check-readme \
	tests/check-recipes \
	tests/check-rooms \
	tests/check-unit
check_PROGRAMS += tests/bus-introspect

dist_check_SCRIPTS += $(client_tests) $(file_tests)
# The longest first, so that they do not run alone at the end.
TESTS += $(client_tests) $(bus_tests) $(file_tests) $(unit_tests)

# Programs that only make sense in the guest: `make vm-programs`, `make install-vm-programs DESTDIR=...`.
vm_programs = \
	examples/cdm-example \
	tests/vm/programs/vm-apply \
	tests/vm/programs/vm-buffer \
	tests/vm/programs/vm-compare \
	tests/vm/programs/vm-drain \
	tests/vm/programs/vm-foreign \
	tests/vm/programs/vm-grant \
	tests/vm/programs/vm-hog \
	tests/vm/programs/vm-hostile \
	tests/vm/programs/vm-idle \
	tests/vm/programs/vm-pin \
	tests/vm/programs/vm-ping \
	tests/vm/programs/vm-release \
	tests/vm/programs/vm-scopes \
	tests/vm/programs/vm-stream \
	tests/vm/programs/vm-touch \
	tests/vm/programs/vm-watch
EXTRA_PROGRAMS = $(vm_programs)
CLEANFILES += $(vm_programs)
vmprogramsdir = $(prefix)/lib/cdmd-tests
examples_cdm_example_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/client
examples_cdm_example_LDADD = libcdm.la
tests_vm_programs_vm_buffer_LDADD = $(NUMA_LIBS)
vm_bench_headers = tests/vm/programs/calls.h tests/vm/programs/pairs.h tests/vm/programs/touch.h
vm_least_headers = $(vm_bench_headers) tests/vm/programs/least.h tests/vm/programs/questions.h
tests_vm_programs_vm_compare_SOURCES = tests/vm/programs/vm-compare.c $(vm_bench_headers)
tests_vm_programs_vm_grant_SOURCES = tests/vm/programs/vm-grant.c $(vm_least_headers)
tests_vm_programs_vm_grant_LDADD = $(SYSTEMD_LIBS)
tests_vm_programs_vm_hog_LDADD = $(NUMA_LIBS) -lpthread
tests_vm_programs_vm_hostile_LDADD = $(SYSTEMD_LIBS)
tests_vm_programs_vm_idle_SOURCES = tests/vm/programs/vm-idle.c $(vm_bench_headers)
tests_vm_programs_vm_idle_LDADD = $(SYSTEMD_LIBS)
tests_vm_programs_vm_pin_LDADD = $(NUMA_LIBS)
tests_vm_programs_vm_release_SOURCES = tests/vm/programs/vm-release.c $(vm_least_headers)
tests_vm_programs_vm_release_LDADD = $(SYSTEMD_LIBS) -lpthread
tests_vm_programs_vm_drain_SOURCES = tests/vm/programs/vm-drain.c $(vm_bench_headers)
tests_vm_programs_vm_drain_LDADD = $(NUMA_LIBS) $(SYSTEMD_LIBS) -lpthread
tests_vm_programs_vm_scopes_SOURCES = tests/vm/programs/vm-scopes.c $(vm_bench_headers)
tests_vm_programs_vm_scopes_LDADD = $(SYSTEMD_LIBS)
tests_vm_programs_vm_touch_SOURCES = tests/vm/programs/vm-touch.c $(vm_bench_headers)
tests_vm_programs_vm_touch_LDADD = $(NUMA_LIBS) $(SYSTEMD_LIBS)
tests_vm_programs_vm_foreign_SOURCES = tests/vm/programs/vm-foreign.c $(vm_bench_headers)
tests_vm_programs_vm_foreign_LDADD = -lpthread
tests_vm_programs_vm_stream_SOURCES = tests/vm/programs/vm-stream.c $(vm_bench_headers)
tests_vm_programs_vm_watch_SOURCES = tests/vm/programs/vm-watch.c $(vm_bench_headers)
tests_vm_programs_vm_watch_LDADD = $(SYSTEMD_LIBS)
tests_vm_programs_vm_ping_LDADD = $(SYSTEMD_LIBS) -lpthread

# What the demo in the guest is compared with.
vm_files = README.md tests/check-readme tests/vm/demo.sh

vm-programs: $(vm_programs) $(vm_go_programs)
install-vm-programs: $(vm_programs) $(vm_go_programs)
	$(MKDIR_P) "$(DESTDIR)$(vmprogramsdir)"
	for p in $(vm_programs) $(vm_go_programs); do \
		$(LIBTOOL) --quiet --mode=install $(INSTALL_PROGRAM) "$$p" "$(DESTDIR)$(vmprogramsdir)"; \
	done
	for f in $(vm_files); do $(INSTALL_DATA) "$(srcdir)/$$f" "$(DESTDIR)$(vmprogramsdir)"; done
.PHONY: vm-programs install-vm-programs
