# `make bench`: figures, not tests, printed and written to PERFORMANCE.md. Each is measured beside its own idle figure, on the same machine, in one run.
EXTRA_DIST += tests/bench/bench tests/bench/grant.sh
EXTRA_PROGRAMS += tests/bench/bench-bus
CLEANFILES += tests/bench/bench-bus
tests_bench_bench_bus_SOURCES = tests/bench/bench-bus.c tests/bus/world.c
tests_bench_bench_bus_CPPFLAGS = $(AM_CPPFLAGS) $(test_paths)
tests_bench_bench_bus_LDADD = $(LDADD)

bench: cdmd tests/bench/bench-bus tests/bus/fake-polkit tests/bus/fake-systemd
	$(srcdir)/tests/bench/bench $(srcdir)
.PHONY: bench
