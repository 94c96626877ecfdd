# Tests that need no guest: `make check`. A test program a module, corpora as data.

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
