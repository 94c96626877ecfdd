#!/bin/bash
# Containers whose cgroups podman makes itself (--cgroup-manager=cgroupfs), beside systemd: fenced as they appear, granted
# and released like others.
# suites: bookworm
# seconds: 40
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
# shellcheck source=tests/vm/guest/podman.sh
. /usr/lib/cdmd-vm/podman.sh
# shellcheck disable=SC2034 # for podman.sh
podman_manager=cgroupfs
podman_image
site_up
site_rule 25-podman 'Pool=hbm' 'Container=podman:*' -- 'Limit=512M'
check "a rule for containers is taken" cdmctl reload

podman_start web
cgroup=$(podman_cgroup "$id")
check "it is fenced" wait_for 30 podman_closed "$id"
check_status 1 "and cannot bind memory to a CDM node" podman exec web vm-hog --node 2 --mb 1
check "explain takes a name" cdmctl explain hbm 64M --container web
like "the rule for its container decides" "$output" '25-podman.conf:1'
check "granted by name, while it runs" cdmctl request hbm 256M --container web --nodes 2
grant=$output
is "to its cgroup, which is no unit's" "$(site_list '.[0] | .cgroup, .unit' | xargs)" "$cgroup null"
is "its processes may have node 2" "$(podman_mems "$id")" 0-2
is "nobody else may have any" "$(site_leaks | grep -vF "$cgroup")" ""
check "it fills 64 MiB there" podman exec --detach web vm-hog --node 2 --mb 64
check "which are charged to it, on that node" wait_for 60 podman_holds "$id" 2 63
check "and which it sees from inside" wait_for 60 podman exec web sh -c 'grep -h "anon=16384 .*N2=16384" /proc/[0-9]*/numa_maps'
check "an update of its limits" podman update --memory 512m web
is "leaves it its nodes" "$(podman_mems "$id")" 0-2
check "released" cdmctl release "$grant"
is "it is fenced again" "$(podman_mems "$id")" 0-1
left() {
        ! podman_holds "$id" 2 1
}
check "and its pages have left" wait_for 10 left
check "an update of its nodes" podman update --cpuset-mems=0-3 web
check "opens nothing for long" wait_for 60 podman_closed "$id"

check "granted by the beginning of its id" cdmctl request hbm 64M --container "${id:0:12}" --nodes 3
like "node 3 is open" "$(podman_mems "$id")" 3
check "podman restarts it" podman restart --time 0 web
check "the reservation ends with the old cgroup" wait_for 60 site_gone
check "the new one is fenced" wait_for 30 podman_closed "$id"
check "podman stops it" podman stop --time 0 web

if podman_run greedy --cpuset-mems=2; then
        check "one that takes a CDM node itself is confined" wait_for 60 podman_closed "$id"
        check_status 1 "and cannot bind to it" podman exec greedy vm-hog --node 2 --mb 1
else
        ok "one that takes a CDM node itself is refused: $(tail -1 /tmp/podman-run)"
fi

podman rm --all --force --time 0 >/dev/null
site_down
check "everybody may have every node again" site_lifted
finish
