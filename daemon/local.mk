# cdmd itself. What cdmctl --offline and the generator share with it is in libmachine.
noinst_LTLIBRARIES += libmachine.la
libmachine_la_SOURCES = \
	daemon/topology-read.c \
	daemon/topology-read.h
