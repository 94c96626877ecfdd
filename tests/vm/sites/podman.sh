#!/bin/bash
# Containers that podman starts with memory: by annotation, by device, refused, started again, without cdmd, removed.
# site: podman
# seconds: 400
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
# shellcheck source=tests/vm/guest/podman.sh
. /usr/lib/cdmd-vm/podman.sh
podman_image
site_up
site_rule 25-podman 'Pool=hbm' 'Container=podman:*' -- 'Limit=128M' 'Priority=5'
echo 'CdiSizes=64M 128M' >>/etc/cdm/pools.d/hbm.conf
check "rules and sizes for containers are taken" cdmctl reload
check "cdi writes the devices" cdmctl cdi
is "one a size" "$(jq --raw-output '.kind + " " + (.devices | map(.name) | join(" "))' /etc/cdi/cdmd.org-hbm.json)" \
        "cdmd.org/hbm 64M 128M"

mems='Mems_allowed_list:.*([23])'
# run_once OPTION...: a container that says which nodes it has, and ends
run_once() {
        podman run --rm --network=none "$@" localhost/hog grep Mems_allowed_list /proc/self/status
}
asked() {
        run_once --annotation org.cdmd1.pool=hbm --annotation "org.cdmd1.size=$1" "${@:2}"
}
# said TEXT: the hook has said so in the journal; crun gives its standard error to nobody
said() {
        journalctl --sync
        journalctl --identifier=cdmd-oci-hook --output=cat --no-pager | grep -F -- "$1"
}

check "one that asks for nothing starts" run_once
like "with ordinary nodes" "$output" 'Mems_allowed_list:[[:space:]]0-1$'
is "and no hook has run" "$(journalctl --identifier=cdmd-oci-hook --output=cat --no-pager)" ""
check "one with annotations has its node" asked 64M
like "from its first instruction" "$output" "$mems"
check "which ends with it" wait_for 60 site_gone
check "with runc as well" asked 64M --runtime=runc
like "from its first instruction" "$output" "$mems"
check "which ends with it" wait_for 60 site_gone

check_status 126 "more than the rule gives: refused, and not started" asked 256M
check "cdmd's sentence is in the journal" said '25-podman.conf'
check_status 126 "by runc" asked 256M --runtime=runc
like "which shows the sentence" "$output" 'cdmd-oci-hook: .*25-podman.conf'
check_status 126 "a pool that is not there" run_once --annotation org.cdmd1.pool=nosuch --annotation org.cdmd1.size=1M
check "is told" said "there is no pool 'nosuch'"
check_status 126 "a pool without a size" run_once --annotation org.cdmd1.pool=hbm
check "is told" said 'org.cdmd1.size is missing'
check_status 126 "a size that is none" asked lots
check "is told" said '"lots" is no size'
check_status 126 "an annotation that is misspelt" asked 64M --annotation org.cdmd1.prority=1
check "is told" said 'org.cdmd1.prority'
check_status 126 "a higher priority than allowed" asked 64M --annotation org.cdmd1.priority=6
is "none of these has left anything" "$(site_list length)" 0

podman_start web --device cdmd.org/hbm=64M --annotation org.cdmd1.priority=5
is "a device: one reservation" "$(site_list 'map("\(.pool) \(.size) \(.unit) \(.uid) \(.priority)") | join(";")')" \
        "hbm $((64 << 20)) libpod-$id.scope 0 5"
like "the rule for its container decides" "$(site_list '.[0].policy')" '25-podman.conf:1'
like "its nodes are open" "$(podman_mems "$id")" '[23]$'
is "nobody else may have any" "$(site_leaks | grep -vF "libpod-$id.scope")" ""
first=$(site_list '.[0].id')
check "podman restarts it" podman restart --time 0 web
check "it has one reservation" wait_for 60 site_has_one
check "which is new" test "$(site_list '.[0].id')" != "$first"
like "and is granted" "$(podman_mems "$id")" '[23]$'
podman rm --all --force --time 0 >/dev/null
check "removed, it leaves nothing" wait_for 60 site_gone
is "and nobody has a node" "$(site_leaks)" ""

check "the same by annotation and device is one" asked 64M --device cdmd.org/hbm=64M
like "and open" "$output" "$mems"
check_status 126 "another size is refused" asked 64M --device cdmd.org/hbm=128M
check "which is told" said 'ask for one size of a pool only'
check "nothing is left" wait_for 60 site_gone
check_status 126 "a size that has no device" run_once --device cdmd.org/hbm=1G
like "podman does not know it" "$output" 'cdmd.org/hbm=1G'

# cdmd is killed while a hook waits for it.
cdmd=$(site_pid cdmd)
kill -STOP "$cdmd"
asked 64M >/tmp/during 2>&1 &
waits=$!
check "a hook waits" wait_for 60 pgrep -x cdmd-oci-hook
kill -KILL "$cdmd"
wait $waits
like "the container has not started, or has its node" "$? $(cat /tmp/during)" "^126 |$mems"
check "nothing is left" wait_for 60 site_gone
is "and nobody has a node" "$(site_leaks)" ""

podman_start keeps --device cdmd.org/hbm=64M
systemctl mask --quiet --runtime --now cdmd
like "one that runs keeps what it has" "$(podman_mems "$id")" '[23]$'
check_status 126 "without cdmd, who asks is refused" asked 64M
check "which is told" said 'cdmd cannot be reached'
check "who does not ask starts" run_once
like "with ordinary nodes" "$output" 'Mems_allowed_list:[[:space:]]0-1$'
systemctl unmask --quiet --runtime cdmd
check "cdmd is there again" systemctl start cdmd
check "and has the reservation" site_has_one
podman rm --all --force --time 0 >/dev/null
check "removed, it leaves nothing" wait_for 60 site_gone

echo 'CdiSizes=' >>/etc/cdm/pools.d/hbm.conf
check_status 1 "no size is an error" cdmctl cdi
sed -i '/^CdiSizes/d' /etc/cdm/pools.d/hbm.conf
check "without sizes" cdmctl cdi
check "the devices are gone" test ! -e /etc/cdi/cdmd.org-hbm.json
site_down
finish
