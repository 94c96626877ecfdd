#!/bin/bash
# Hold=yes: what nobody has reserved of a pool is filled, so that not even a task of the root cgroup can have it.
# suites: bookworm
# seconds: 80
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
site_up
printf '[Pool]\nHold=yes\nHeadroom=64M\n' >/etc/cdm/pools.d/hbm.conf
check "the pool is held from now on" cdmctl reload

mib=$((1 << 20))
# free NODE: bytes that the kernel could give to anybody
free() {
        awk '/MemFree:/ { print $4 * 1024 }' "/sys/devices/system/node/node$1/meminfo"
}
# held_up NODE: no more is free than headroom and what CPUs may have had at hand while it was filled
held_up() {
        [ "$(free "$1")" -le $((120 * mib)) ]
}
# in_root COMMAND...: runs it in the root cgroup, which nothing can fence
in_root() {
        # shellcheck disable=SC2016 # expands there
        sh -c 'echo $$ >/sys/fs/cgroup/cgroup.procs && exec "$@"' sh "$@"
}
# taken PID NODE: bytes of a process on a node
taken() {
        local pages
        pages=$(grep -oh " N$2=[0-9]*" "/proc/$1/numa_maps" | cut -d= -f2 | paste -sd+)
        echo $((${pages:-0} * 4096))
}
# of_cdmd NODE: what cdmd's cgroup has there
of_cdmd() {
        vm_node_bytes /system.slice/cdmd.service "$1" shmem
}

check "node 2 is filled but for its headroom" wait_for 120 held_up 2
check "and node 3" wait_for 120 held_up 3
held=$(of_cdmd 2)
check "by cdmd: $held bytes" test "$held" -ge $((256 * mib))
like "who names it" "$(cdmctl who 2 --json=short | jq --raw-output '[.[] | select(.unit == "cdmd.service") | .kind] | unique | join(" ")')" held
is "pools say so" "$(cdmctl pools --json=short | jq '.[0].hold')" true
check "and still offer it" test "$(cdmctl pools --json=short | jq '.[0].available')" -ge $((512 * mib))

before=$(free 2)
check "a task of the root cgroup wants 200 MiB of node 2" vm_start /tmp/hog in_root vm-hog --node 2 --prefer --mb 200
hog=$(pgrep --exact vm-hog)
took=$(taken "$hog" 2)
check "it had what was free, no page of what is held: $took of $before bytes" test "$took" -le "$before"
check "all that was held still is" test "$(of_cdmd 2)" -ge "$held"
kill "$hog"
wait_for 20 sh -c "! kill -0 $hog"

systemd-run --quiet --collect --unit=train-a sleep infinity
check "a grant" cdmctl request hbm 128M --unit train-a.service --nodes 2
id=$output
now=$(free 2)
check "finds its bytes free as it is acknowledged: $now" test "$now" -ge $((128 * mib))
check "what is left stays held" test "$(of_cdmd 2)" -ge $((held - 192 * mib))
check "the release" cdmctl release "$id"
check "gives them back to the hold" wait_for 120 held_up 2

pid=$(site_pid cdmd.service)
locked=$(awk '/^VmLck:/ { print $2 * 1024 }' "/proc/$pid/status")
check "it is locked, so it cannot be swapped: $locked bytes" test "$locked" -ge "$held"
is "none of it was" "$(cat /sys/fs/cgroup/system.slice/cdmd.service/memory.swap.current 2>/dev/null || echo 0)" 0
is "the OOM killer passes cdmd over" "$(cat "/proc/$pid/oom_score")" 0

kept=yes
systemctl kill --signal=KILL cdmd
for _ in $(seq 40); do
        held_up 2 || kept=no
        sleep 0.05
done
check "cdmd is killed and comes back" wait_for 60 cdmctl status
is "and nothing was open meanwhile" "$kept" yes
check "it is held as before" wait_for 60 held_up 2
# mapped_again: cdmd has mapped, and so locked, all of what it was given back
mapped_again() {
        [ "$(awk '/^RssShmem:/ { print $2 * 1024 }' "/proc/$(site_pid cdmd.service)/status")" -ge "$held" ]
}
check "and locked again" wait_for 60 mapped_again
is "by one descriptor a node" "$(systemctl show --property=NFileDescriptorStore --value cdmd)" 2

# wakeups: how often cdmd was scheduled
wakeups() {
        awk '/^(non)?voluntary_ctxt_switches/ { sum += $2 } END { print sum }' /proc/"$(site_pid cdmd.service)"/task/*/status
}
asleep() {
        local before
        before=$(wakeups)
        sleep 10
        [ "$(wakeups)" = "$before" ]
}
check "when nothing happens it costs nothing" wait_for 60 asleep

printf '[Fence]\nMode=off\n' >/etc/cdm/cdmd.conf
check "Mode=off" cdmctl reload
# let_go: node 2 is as free as it was before
let_go() {
        [ "$(free 2)" -ge "$held" ]
}
check "lets it go" wait_for 60 let_go
gone() {
        [ "$(of_cdmd 2)" = 0 ]
}
check "and nothing is left of it" wait_for 60 gone
rm /etc/cdm/cdmd.conf
systemctl stop train-a
site_down
finish
