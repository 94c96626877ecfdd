#!/bin/bash
# What containers, runtimes and users say about nodes and names themselves: it confines further, and opens nothing.
# suites: trixie
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
# shellcheck source=tests/vm/guest/podman.sh
. /usr/lib/cdmd-vm/podman.sh
podman_image
site_up
site_rule 25-podman 'Pool=hbm' 'Container=podman:*' -- 'Limit=512M'
site_rule 26-other 'Pool=hbm' 'Container=docker:* containerd:* crio:*' -- 'Limit=64M'
check "rules for containers are taken" cdmctl reload

# A container with --cpuset-mems: crun writes it into the cgroup below the scope, which the scope confines.
if podman_run greedy --cpuset-mems=2; then
        check "one that takes a CDM node itself is confined" wait_for 60 podman_closed "$id"
        check_status 1 "and cannot bind to it" podman exec greedy vm-hog --node 2 --mb 1
else
        ok "one that takes a CDM node itself is refused: $(tail -1 /tmp/podman-run)"
fi
podman_start narrow --cpuset-mems=0
is "one may keep to an ordinary node" "$(podman_mems "$id")" 0
check_status 1 "then a grant is of no use to it" cdmctl request hbm 64M --container "$id" --nodes 2
like "and is refused, with the reason" "$output" 'could use memory node 2: .* allows only 0, .*--cpuset-mems'
is "it has that node still" "$(podman_mems "$id")" 0
check "its limits are updated" podman update --memory 512m narrow
check "and its nodes, to more than anybody granted" podman update --cpuset-mems=0-3 narrow
# The crun of Debian 12 writes below the scope; later ones also change the scope's property, which is set back.
check "which opens no CDM node" wait_for 60 podman_closed "$id"
check "now it is granted" cdmctl request hbm 64M --container "$id" --nodes 2
is "what was granted" "$(podman_mems "$id")" 0-2
check "updates take nothing away" podman update --cpuset-mems=0-3 narrow
narrowed() {
        [ "$(podman_mems "$id")" = 0-2 ]
}
check "and give nothing" wait_for 60 narrowed
check "released" cdmctl release "$(site_list '.[0].id')"
check "it has no CDM node" wait_for 60 podman_closed "$id"
is "and nobody has" "$(site_leaks)" ""

# A user may give the scopes of his own manager any name.
fake=$(printf 'ab%062d' 7)
vm_as alice "systemd-run --user --scope --quiet --unit=libpod-$fake.scope sleep 1000" >/tmp/fake 2>&1 &
fake_path() {
        path=$(find /sys/fs/cgroup/user.slice -name "libpod-$fake.scope") && [ "$path" ]
}
check "alice makes a scope" wait_for 60 fake_path
fake_path
check_status 3 "which is no container for a rule" cdmctl explain hbm 64M --cgroup "${path#/sys/fs/cgroup}"
like "none matches" "$output" 'Rule: none'
check_status 1 "and is not found by root" cdmctl explain hbm 64M --container "$fake"
vm_as alice "systemctl --user stop libpod-$fake.scope"

# Scopes as other runtimes name them.
for name in docker crio cri-containerd; do
        scope=$name-$(printf 'cd%062d' 9).scope
        slice=kubepods-burstable-podc0ffee.slice
        [ $name != docker ] || slice=system.slice
        systemd-run --quiet --scope --slice=$slice --unit="$scope" sleep 1000 &
        wait_for 60 systemctl is-active --quiet "$scope"
        check "$name: its scope is a container's" cdmctl request hbm 64M --container cd0000
        is "which a rule knows" "$(site_list '.[0].policy')" /etc/cdm/policy.d/26-other.conf:1
        systemctl stop "$scope"
        check "and whose end ends the reservation" wait_for 60 site_gone
done

podman rm --all --force --time 0 >/dev/null
site_down
finish
