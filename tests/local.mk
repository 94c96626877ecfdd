# Tests that need no guest: `make check`. A test program a module, corpora as data.
UNIT_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
UNIT_LIBS = libpolicy.la $(CHECK_LIBS)
noinst_HEADERS = \
	tests/unit/check-main.h \
	tests/unit/machine.h \
	tests/unit/temp-root.h

check_PROGRAMS += \
	tests/unit/test-conf-corpus \
	tests/unit/test-conf-read \
	tests/unit/test-decide \
	tests/unit/test-ledger \
	tests/unit/test-nodeset \
	tests/unit/test-plan \
	tests/unit/test-pool \
	tests/unit/test-rule \
	tests/unit/test-size \
	tests/unit/test-subject \
	tests/unit/test-timespan \
	tests/unit/test-topology

tests_unit_test_conf_corpus_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_conf_corpus_LDADD = $(UNIT_LIBS)
tests_unit_test_conf_read_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_conf_read_LDADD = $(UNIT_LIBS)
tests_unit_test_decide_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_decide_LDADD = $(UNIT_LIBS)
tests_unit_test_ledger_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_ledger_LDADD = $(UNIT_LIBS)
tests_unit_test_nodeset_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_nodeset_LDADD = $(UNIT_LIBS)
tests_unit_test_plan_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_plan_LDADD = $(UNIT_LIBS)
tests_unit_test_pool_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_pool_LDADD = $(UNIT_LIBS)
tests_unit_test_rule_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_rule_LDADD = $(UNIT_LIBS)
tests_unit_test_size_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_size_LDADD = $(UNIT_LIBS)
tests_unit_test_subject_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_subject_LDADD = $(UNIT_LIBS)
tests_unit_test_timespan_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_timespan_LDADD = $(UNIT_LIBS)
tests_unit_test_topology_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_topology_LDADD = $(UNIT_LIBS)

TESTS += \
	tests/unit/test-conf-corpus \
	tests/unit/test-conf-read \
	tests/unit/test-decide \
	tests/unit/test-ledger \
	tests/unit/test-nodeset \
	tests/unit/test-plan \
	tests/unit/test-pool \
	tests/unit/test-rule \
	tests/unit/test-size \
	tests/unit/test-subject \
	tests/unit/test-timespan \
	tests/unit/test-topology

# what the sources themselves must keep to
dist_check_SCRIPTS += \
	tests/check-format \
	tests/check-rooms

TESTS += \
	tests/check-format \
	tests/check-rooms

# good and bad configuration as files
EXTRA_DIST += tests/data/conf
# what reads or writes files below a root
UNIT_DATA_CPPFLAGS = $(AM_CPPFLAGS) -DTEST_DATA_DIR='"$(abs_top_srcdir)/tests/data"'
noinst_HEADERS += tests/unit/tree.h
EXTRA_DIST += tests/data/machine

check_PROGRAMS += \
	tests/unit/test-fence-files \
	tests/unit/test-fence-scan \
	tests/unit/test-generator \
	tests/unit/test-topology-read

tests_unit_test_fence_files_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_fence_files_LDADD = libmachine.la $(UNIT_LIBS)

tests_unit_test_fence_scan_CFLAGS = $(UNIT_CFLAGS) $(SYSTEMD_CFLAGS)
tests_unit_test_fence_scan_LDADD = libdaemon.la libmachine.la $(UNIT_LIBS)
tests_unit_test_generator_CPPFLAGS = $(UNIT_DATA_CPPFLAGS) \
	-DGENERATOR='"$(abs_top_builddir)/daemon/cdmd-generator"'
tests_unit_test_generator_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_generator_LDADD = $(UNIT_LIBS)
tests_unit_test_topology_read_CPPFLAGS = $(UNIT_DATA_CPPFLAGS) \
	-DFIXTURE='"$(abs_top_srcdir)/../shared/fixtures/power9-v100.tar.bz2"'
tests_unit_test_topology_read_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_topology_read_LDADD = libmachine.la $(UNIT_LIBS)

TESTS += \
	tests/unit/test-fence-files \
	tests/unit/test-fence-scan \
	tests/unit/test-generator \
	tests/unit/test-topology-read

# What is not code: manual pages, units, policy files. Each script says what it checks, and why it skips.
file_checks = \
	tests/check-bus-doc \
	tests/check-bus-files \
	tests/check-catalog \
	tests/check-cli-doc \
	tests/check-conf-doc \
	tests/check-examples \
	tests/check-man \
	tests/check-unit
dist_check_SCRIPTS += $(file_checks)
EXTRA_DIST += tests/bus-introspect.c
TESTS += $(file_checks)
# Programs that only make sense in the guest: `make vm-programs`, `make install-vm-programs DESTDIR=...`.
guest_tests = \
	tests/vm/programs/vm-apply \
	tests/vm/programs/vm-fence \
	tests/vm/programs/vm-hog
EXTRA_PROGRAMS = $(guest_tests)
CLEANFILES += $(guest_tests)
vmprogramsdir = $(prefix)/lib/cdmd-tests

tests_vm_programs_vm_apply_CFLAGS = $(AM_CFLAGS) $(SYSTEMD_CFLAGS)
tests_vm_programs_vm_apply_LDADD = libdaemon.la libmachine.la libpolicy.la $(SYSTEMD_LIBS)
tests_vm_programs_vm_fence_CFLAGS = $(AM_CFLAGS) $(SYSTEMD_CFLAGS)
tests_vm_programs_vm_fence_LDADD = libdaemon.la libmachine.la libpolicy.la $(SYSTEMD_LIBS)
tests_vm_programs_vm_hog_CFLAGS = $(AM_CFLAGS) $(NUMA_CFLAGS) -pthread
tests_vm_programs_vm_hog_LDADD = $(NUMA_LIBS)

vm-programs: $(guest_tests)
install-vm-programs: $(guest_tests)
	$(MKDIR_P) "$(DESTDIR)$(vmprogramsdir)"
	for p in $(guest_tests); do \
		$(LIBTOOL) --quiet --mode=install $(INSTALL_PROGRAM) "$$p" "$(DESTDIR)$(vmprogramsdir)"; \
	done
.PHONY: vm-programs install-vm-programs

# Tests of the kernel and systemd rooms, as far as they go without a kernel that has them.
check_PROGRAMS += \
	tests/unit/test-apply \
	tests/unit/test-cgroup \
	tests/unit/test-worker
tests_unit_test_apply_CFLAGS = $(UNIT_CFLAGS) $(SYSTEMD_CFLAGS)
tests_unit_test_apply_LDADD = libdaemon.la $(UNIT_LIBS) $(SYSTEMD_LIBS)
tests_unit_test_cgroup_CFLAGS = $(UNIT_CFLAGS) $(SYSTEMD_CFLAGS)
tests_unit_test_cgroup_LDADD = libdaemon.la libmachine.la $(UNIT_LIBS)
tests_unit_test_worker_CFLAGS = $(UNIT_CFLAGS) $(SYSTEMD_CFLAGS) -pthread
tests_unit_test_worker_LDADD = libdaemon.la $(UNIT_LIBS) $(SYSTEMD_LIBS) -lpthread
TESTS += \
	tests/unit/test-apply \
	tests/unit/test-cgroup \
	tests/unit/test-worker
