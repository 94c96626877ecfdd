# The hook that container runtimes run, and the file that makes podman and CRI-O run it.
noinst_LIBRARIES += liboci.a
liboci_a_SOURCES = \
	client/oci/image.c \
	client/oci/image.h \
	client/oci/place.c \
	client/oci/place.h \
	client/oci/state.c \
	client/oci/state.h
oci_libs = liboci.a $(client_libs) $(JSONC_LIBS)

libexec_PROGRAMS += cdmd-oci-hook
cdmd_oci_hook_SOURCES = client/oci/hook.c
cdmd_oci_hook_LDADD = $(oci_libs)

EXTRA_DIST += client/oci/50-cdmd.json.in
ocihooks_DATA = client/oci/50-cdmd.json
CLEANFILES += client/oci/50-cdmd.json
client/oci/50-cdmd.json: client/oci/50-cdmd.json.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && sed -e 's,@libexecdir\@,$(libexecdir),g' $(srcdir)/$@.in >$@.tmp && mv $@.tmp $@
