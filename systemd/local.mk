# Units, bus policy, polkit actions, catalog: what the system needs to know about cdmd.
# All of it goes below the prefix (see configure.ac); nothing is written elsewhere, and nothing is enabled.
systemunit_DATA = \
	systemd/cdmd.service \
	systemd/cdmd-static@.service \
	systemd/cdmd-static-required@.service
dist_dbuspolicy_DATA = systemd/org.cdmd1.conf
dist_dbussystemservice_DATA = systemd/org.cdmd1.service
dist_polkitaction_DATA = systemd/org.cdmd1.policy
dist_catalog_DATA = systemd/cdmd.catalog

EXTRA_DIST += $(systemunit_DATA:=.in) systemd/cdmd-nri.service.in
CLEANFILES += $(systemunit_DATA)

# Paths in the units are those of this configuration, which make knows only now.
$(systemunit_DATA): %: %.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && \
	sed -e 's,@sbindir\@,$(sbindir),g' -e 's,@bindir\@,$(bindir),g' -e 's,@libexecdir\@,$(libexecdir),g' \
		'$<' > '$@.tmp' && mv '$@.tmp' '$@'

# Removing the program must not leave a machine fenced by files that nobody reads any more.
uninstall-local:
	@echo 'cdmd: a fence that is up stays up. Mode=off before the removal takes it down; see README.md.'
