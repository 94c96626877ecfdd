#!/bin/bash
# Containers of podman, as systemd manages them: born fenced, granted while they run, fenced again when they start anew.
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
check "a rule for containers is taken" cdmctl reload

podman_start web
unit=libpod-$id.scope
is "it is born fenced" "$(podman_mems "$id")" 0-1
check_status 1 "and cannot bind memory to a CDM node" podman exec web vm-hog --node 2 --mb 1
like "because of that" "$output" 'mbind: Invalid argument'

check "explain takes a name" cdmctl explain hbm 64M --container web
like "the rule for its container decides" "$output" '25-podman.conf:1'
check "and without a daemon" cdmctl explain hbm 64M --container "${id:0:12}" --offline
like "the same rule does" "$output" '25-podman.conf:1'
check_status 3 "a user may not ask for root's container" vm_as alice "cdmctl request hbm 64M --container $id"
check_status 1 "nor does his own podman know its name" vm_as alice 'cdmctl request hbm 64M --container web'
like "which it says itself" "$output" 'cdmctl: podman: Error: '
check_status 1 "a name that nobody has" cdmctl request hbm 64M --container nosuch

check "granted by name, while it runs" cdmctl request hbm 256M --container web --nodes 2
grant=$output
is "to its scope" "$(site_list '.[0].unit')" "$unit"
like "by the rule" "$(site_list '.[0].policy')" '25-podman.conf:1'
is "its processes may have node 2" "$(podman_mems "$id")" 0-2
is "nobody else may have any" "$(site_leaks | grep -vF "$unit")" ""
check "it fills 64 MiB there" podman exec --detach web vm-hog --node 2 --mb 64
check "which are charged to it, on that node" wait_for 60 podman_holds "$id" 2 63
check "and which it sees from inside" wait_for 60 podman exec web sh -c 'grep -h "anon=16384 .*N2=16384" /proc/[0-9]*/numa_maps'
is "who names it" "$(cdmctl who hbm --json=short | jq --raw-output ".[] | select(.unit == \"$unit\" and .anon > 0) | .kind")" \
        reserved
check "released" cdmctl release "$grant"
is "it is fenced again" "$(podman_mems "$id")" 0-1
left() {
        ! podman_holds "$id" 2 1
}
check "and its pages have left" wait_for 10 left

check "granted by the beginning of its id" cdmctl request hbm 64M --container "${id:0:12}" --nodes 3
like "node 3 is open" "$(podman_mems "$id")" 3
check "podman restarts it" podman restart --time 0 web
check "the reservation ends with the old scope" wait_for 60 site_gone
is "the new one is born fenced" "$(podman_mems "$id")" 0-1
check "and may be granted" cdmctl request hbm 64M --container "$id"
check "podman stops it" podman stop --time 0 web
check "which ends that" wait_for 60 site_gone
check_status 1 "then it is no target" cdmctl request hbm 64M --container web
like "because it does not run" "$output" 'is not running; start it first'

podman rm --all --force --time 0 >/dev/null
site_down
finish
