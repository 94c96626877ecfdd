# The rules and what they mean; linked into cdmd, cdmctl and the generator.
noinst_LTLIBRARIES += libpolicy.la
libpolicy_la_SOURCES = \
	policy/cdm-names.h \
	policy/macro.h
libpolicy_la_CFLAGS = $(AM_CFLAGS) $(INIH_CFLAGS)
libpolicy_la_LIBADD = $(INIH_LIBS)
