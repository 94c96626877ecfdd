# The rules and what they mean; linked into cdmd, cdmctl and the generator.
noinst_LTLIBRARIES += libpolicy.la
libpolicy_la_SOURCES = \
	policy/cdm-names.h \
	policy/conf-folder.c \
	policy/conf-keys.c \
	policy/conf-keys.h \
	policy/conf-loader.h \
	policy/conf-message.c \
	policy/conf-read.c \
	policy/conf-read.h \
	policy/conf-text.c \
	policy/conf-text.h \
	policy/conf-users.c \
	policy/conf-users.h \
	policy/conf-values.c \
	policy/conf-values.h \
	policy/config.c \
	policy/config.h \
	policy/container.c \
	policy/container.h \
	policy/decide.c \
	policy/decide.h \
	policy/facts.c \
	policy/facts.h \
	policy/ledger.c \
	policy/ledger.h \
	policy/macro.h \
	policy/nodeset.c \
	policy/nodeset.h \
	policy/place.c \
	policy/place.h \
	policy/plan.c \
	policy/plan.h \
	policy/pool.c \
	policy/pool.h \
	policy/reservation.c \
	policy/reservation.h \
	policy/rule.c \
	policy/rule.h \
	policy/size.c \
	policy/size.h \
	policy/subject.c \
	policy/subject.h \
	policy/timespan.c \
	policy/timespan.h \
	policy/topology.c \
	policy/topology.h
libpolicy_la_LIBADD = $(INIH_LIBS)
