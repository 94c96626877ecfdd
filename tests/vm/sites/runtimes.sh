#!/bin/bash
# crun and runc by themselves, with the hook in config.json: as systemd makes the cgroup, and as they make it.
# site: podman
# seconds: 100
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
site_up
site_rule 25-boxes 'Pool=hbm' 'Slice=boxes.slice' -- 'Limit=128M'
site_rule 26-cgroups 'Pool=hbm' 'CGroup=/boxes/*' -- 'Limit=128M'
check "rules for containers are taken" cdmctl reload

mkdir -p /tmp/box/rootfs/{bin,proc,dev,sys}
cp "$(command -v busybox)" /tmp/box/rootfs/bin/
ln -s busybox /tmp/box/rootfs/bin/grep
# bundle RUNTIME CGROUP SIZE: writes config.json
bundle() {
        (cd /tmp/box && rm -f config.json && "$1" spec)
        jq --arg cgroup "$2" --arg size "$3" '.process.terminal = false | .root.readonly = false
                | .process.args = ["/bin/grep", "Mems_allowed_list", "/proc/self/status"]
                | .linux.cgroupsPath = $cgroup
                | .annotations = {"org.cdmd1.pool": "hbm", "org.cdmd1.size": $size}
                | .hooks = {"createRuntime": [{"path": "/usr/libexec/cdmd-oci-hook"}]}' \
                /tmp/box/config.json >/tmp/box/new
        mv /tmp/box/new /tmp/box/config.json
}

# refused COMMAND...: it fails; runc does so with 1, crun with 255
refused() {
        ! "$@"
}

for runtime in crun runc; do
        bundle $runtime "boxes.slice:box:one" 64M
        check "$runtime runs a container in a scope" $runtime --systemd-cgroup run --bundle /tmp/box one
        like "which has its node" "$output" 'Mems_allowed_list:.*[23]$'
        check "until it ends" wait_for 60 site_gone
        bundle $runtime "/boxes/two" 64M
        check "$runtime runs one in a cgroup that it makes" $runtime run --bundle /tmp/box two
        like "which has its node" "$output" 'Mems_allowed_list:.*[23]$'
        check "until it ends" wait_for 60 site_gone
        bundle $runtime "/boxes/three" 1G
        check "$runtime: more than allowed is refused" refused $runtime run --bundle /tmp/box three
        bundle $runtime "/others/four" 64M
        check "$runtime: as is one without a rule" refused $runtime run --bundle /tmp/box four
        is "nothing is left" "$(site_list length)" 0
done
site_down
finish
