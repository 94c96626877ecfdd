# The NRI plugin, built where Go and the packages that it uses are (Debian 13: golang-go, golang-github-containerd-nri-dev,
# golang-dbus-dev, golang-github-coreos-go-systemd-dev, golang-k8s-utils-dev). Nothing is downloaded: the packages come from
# $(GO_SOURCES).
nri_sources = nri/ask.go nri/main.go nri/mems.go
EXTRA_DIST += $(nri_sources) nri/nri_test.go tests/vm/programs/vm-cri.go

run_go = GO111MODULE=off GOPATH='$(GO_SOURCES)' GOCACHE='$(abs_top_builddir)/nri/cache' CGO_ENABLED=0 '$(GO)'

if HAVE_NRI
libexec_SCRIPTS = nri/cdmd-nri
systemunit_DATA += systemd/cdmd-nri.service
check_SCRIPTS += nri/cdmd-nri-test
vm_go_programs = nri/cdmd-nri-test tests/vm/programs/vm-cri
endif
CLEANFILES += nri/cdmd-nri nri/cdmd-nri-test tests/vm/programs/vm-cri systemd/cdmd-nri.service

nri/cdmd-nri: $(nri_sources) Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && cd '$(srcdir)' && $(run_go) build -trimpath -o '$(abs_top_builddir)/$@' \
		-ldflags '-X main.version=$(PACKAGE_VERSION) -X main.hook=$(libexecdir)/cdmd-oci-hook' $(nri_sources)

nri/cdmd-nri-test: $(nri_sources) nri/nri_test.go Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && cd '$(srcdir)' && \
		$(run_go) test -trimpath -c -o '$(abs_top_builddir)/$@' $(nri_sources) nri/nri_test.go

tests/vm/programs/vm-cri: tests/vm/programs/vm-cri.go Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && cd '$(srcdir)' && \
		$(run_go) build -trimpath -o '$(abs_top_builddir)/$@' tests/vm/programs/vm-cri.go

clean-local:
	rm -rf nri/cache
