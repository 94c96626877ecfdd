# `make bench`: figures, not tests. Each is measured beside its reference, on the same machine, in one run.
EXTRA_DIST += tests/bench/bench tests/bench/baseline tests/bench/beside.sh tests/bench/drain.sh tests/bench/grant.sh tests/bench/reasons tests/bench/report tests/bench/rest.sh tests/bench/start.sh tests/bench/threads.sh
EXTRA_PROGRAMS += tests/bench/bench-bus tests/bench/bench-scale
CLEANFILES += tests/bench/bench-bus tests/bench/bench-scale
tests_bench_bench_bus_SOURCES = tests/bench/bench-bus.c tests/bus/world.c
tests_bench_bench_bus_CPPFLAGS = $(AM_CPPFLAGS) $(test_paths)
tests_bench_bench_bus_LDADD = $(LDADD)
tests_bench_bench_scale_SOURCES = tests/bench/bench-scale.c tests/bench/scale-change.c tests/bench/scale-world.c tests/bench/scale.h tests/bus/world.c tests/vm/programs/questions.h
tests_bench_bench_scale_CPPFLAGS = $(AM_CPPFLAGS) $(test_paths)
tests_bench_bench_scale_LDADD = $(LDADD)

# PARTS: only these, else all
bench: cdmd tests/bench/bench-bus tests/bench/bench-scale tests/bus/fake-polkit tests/bus/fake-systemd
	$(srcdir)/tests/bench/bench $(srcdir) $(PARTS)
bench-save:
	$(srcdir)/tests/bench/bench $(srcdir) --save
.PHONY: bench bench-save
