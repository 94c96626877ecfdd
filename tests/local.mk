# Tests that need no guest: `make check`. A test program a module, corpora as data.
UNIT_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
UNIT_LIBS = libpolicy.la $(CHECK_LIBS)
noinst_HEADERS = tests/unit/check-main.h

check_PROGRAMS += \
	tests/unit/test-conf-read \
	tests/unit/test-nodeset \
	tests/unit/test-size \
	tests/unit/test-timespan \
	tests/unit/test-topology

tests_unit_test_conf_read_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_conf_read_LDADD = $(UNIT_LIBS)
tests_unit_test_nodeset_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_nodeset_LDADD = $(UNIT_LIBS)
tests_unit_test_size_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_size_LDADD = $(UNIT_LIBS)
tests_unit_test_timespan_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_timespan_LDADD = $(UNIT_LIBS)
tests_unit_test_topology_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_topology_LDADD = $(UNIT_LIBS)

TESTS += \
	tests/unit/test-conf-read \
	tests/unit/test-nodeset \
	tests/unit/test-size \
	tests/unit/test-timespan \
	tests/unit/test-topology

UNIT_DATA_CPPFLAGS = $(AM_CPPFLAGS) -DTEST_DATA_DIR='"$(abs_top_srcdir)/tests/data"'
noinst_HEADERS += tests/unit/tree.h
EXTRA_DIST += tests/data/machine

check_PROGRAMS += \
	tests/unit/test-topology-read

tests_unit_test_topology_read_CPPFLAGS = $(UNIT_DATA_CPPFLAGS) \
	-DFIXTURE='"$(abs_top_srcdir)/../shared/fixtures/power9-v100.tar.bz2"'
tests_unit_test_topology_read_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_topology_read_LDADD = libmachine.la $(UNIT_LIBS)

TESTS += \
	tests/unit/test-topology-read
# good and bad configuration as files
EXTRA_DIST += tests/data/conf

# cdmctl
check_PROGRAMS += \
	tests/client/fake-cdmd \
	tests/unit/test-json \
	tests/unit/test-offline

tests_client_fake_cdmd_CFLAGS = $(AM_CFLAGS) $(SYSTEMD_CFLAGS)
tests_client_fake_cdmd_LDADD = $(SYSTEMD_LIBS)
tests_unit_test_json_CFLAGS = $(UNIT_CFLAGS)
tests_unit_test_json_LDADD = libclient.la $(UNIT_LIBS)
tests_unit_test_offline_CFLAGS = $(UNIT_CFLAGS) $(SYSTEMD_CFLAGS)
tests_unit_test_offline_LDADD = libclient.la $(UNIT_LIBS)

EXTRA_DIST += tests/client/common.sh
dist_check_SCRIPTS += \
	tests/client/bus.sh \
	tests/client/check.sh \
	tests/client/offline.sh \
	tests/client/power9.sh \
	tests/client/usage.sh

TESTS += \
	tests/client/bus.sh \
	tests/client/check.sh \
	tests/client/offline.sh \
	tests/client/power9.sh \
	tests/client/usage.sh \
	tests/unit/test-json \
	tests/unit/test-offline
