# The SPANK plugin, built if Slurm's headers exist. The programs that load it provide Slurm's functions.
if HAVE_SLURM
slurmplugindir = $(libdir)/slurm
slurmplugin_LTLIBRARIES = spank_cdm.la
spank_cdm_la_SOURCES = \
	client/labels-bus.c \
	client/labels-bus.h \
	client/mempolicy.c \
	client/mempolicy.h \
	client/no-daemon.c \
	client/no-daemon.h \
	policy/label.c \
	policy/nodeset.c \
	policy/size.c \
	slurm/cdm-spank.c \
	slurm/cdmd.c \
	slurm/cdmd.h \
	slurm/step.c \
	slurm/step.h \
	slurm/words.c \
	slurm/words.h
spank_cdm_la_CFLAGS = $(AM_CFLAGS)
spank_cdm_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared \
	-export-symbols-regex '^(plugin_(name|type|version)|spank_plugin_version|slurm_spank_.*)$$'
spank_cdm_la_LIBADD = $(SYSTEMD_LIBS) $(NUMA_LIBS)
endif
