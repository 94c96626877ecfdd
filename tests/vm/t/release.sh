#!/bin/bash
# A release takes every page back and stops nobody: PID 1 and cdmd answer all the while.
# suites: trixie
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
size=$((512 << 20))
site_up

check "a service fills ordinary memory" vm_eat train-big 0 512M
cgroup=$(vm_cgroup train-big.service)

# The yardstick: the same pages taken away by narrowing alone, which PID 1 waits for.
check "it is granted, and its pages move up" cdmctl request hbm $size --unit train-big.service --migrate
id=$output
node=$(cdmctl show "$id" --json=short | jq '.nodes[0].node')
check "they are on node $node" test "$(vm_node_bytes "$cgroup" "$node" anon)" -ge $((size * 95 / 100))
# It can take PID 1 longer than the 25 s that systemctl waits for an answer.
site_pinged systemctl set-property --runtime train-big.service AllowedMemoryNodes=0-1 ||
        echo "# bare narrowing: PID 1 did not answer in time"
bare=$(site_longest org.freedesktop.systemd1)
# away: the pages have left the node
away() {
        [ "$(vm_node_bytes "$cgroup" "$node" anon)" -lt $((size / 10)) ]
}
check "which took all pages away" wait_for 120 away
check "the reservation is released" cdmctl release "$id"

# has_its_bytes: CPUs keep what was just freed at hand for some seconds; over 48 MiB were seen on Linux 7.3
has_its_bytes() {
        [ "$(vm_node_used "$node")" -lt $((before - size * 9 / 10)) ]
}

# A busy host can only add to a pause, so of up to six releases the best one tells what cdmd does.
released_systemd=$bare released_cdmd=$bare
for _ in 1 2 3 4 5 6; do
        check "it is granted again, and its pages move up" cdmctl request hbm $size --unit train-big.service --migrate --nodes "$node"
        id=$output
        check "they are there again" test "$(vm_node_bytes "$cgroup" "$node" anon)" -ge $((size * 95 / 100))
        before=$(vm_node_used "$node")
        check "it is released" site_pinged cdmctl release "$id"
        echo "# $output"
        is "no page of it is on the node" "$(vm_node_bytes "$cgroup" "$node")" 0
        check "the node has its bytes back" wait_for 60 has_its_bytes
        is "the unit is fenced" "$(site_mems train-big.service)" 0-1
        pause=$(site_longest org.freedesktop.systemd1)
        [ "$pause" -ge "$released_systemd" ] || released_systemd=$pause
        pause=$(site_longest org.cdmd1)
        [ "$pause" -ge "$released_cdmd" ] || released_cdmd=$pause
        echo "# longest pause in us so far: PID 1 $released_systemd, cdmd $released_cdmd during a release; PID 1 $bare bare"
        [ "$released_systemd" -ge $((bare / 4)) ] || [ "$released_cdmd" -ge $((bare / 4)) ] || break
done
check "PID 1 paused for less than a quarter of bare narrowing" test "$released_systemd" -lt $((bare / 4))
check "cdmd too" test "$released_cdmd" -lt $((bare / 4))
systemctl stop train-big
check "nothing is left of it" wait_for 20 site_gone

# Two reservations on one node: releasing one takes back only what the other does not cover.
check "a service fills ordinary memory" vm_eat train-two 0 256M
cgroup=$(vm_cgroup train-two.service)
check "it has one reservation" cdmctl request hbm 160M --unit train-two.service --nodes 2
first=$output
check "and another one on the same node" cdmctl request hbm 160M --unit train-two.service --nodes 2 --migrate
check "its pages move up" test "$(vm_node_bytes "$cgroup" 2 anon)" -gt $((240 << 20))
check "one is released" cdmctl release "$first"
left=$(vm_node_bytes "$cgroup" 2 anon)
# What memory.numa_stat tells lags behind; 3 MiB too many were seen on Linux 7.3.
check "what is left of $left bytes is not more than the other one has" test "$left" -le $((168 << 20))
check "and not much less" test "$left" -ge $((140 << 20))
like "the node stays open" "$(site_mems train-two.service)" 2
systemctl stop train-two
check "the other one ends with its unit" wait_for 20 site_gone

# Huge pages, and small ones that look alike: whole ranges of 2 MiB in the same process.
systemd-run --quiet --collect --unit=train-mixed --property=Type=notify --property=NotifyAccess=all python3 -c '
import mmap, os, time
def fill(advice):
        m = mmap.mmap(-1, 34 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        m.madvise(advice)
        m.write(b"x" * len(m))
        return m
maps = fill(mmap.MADV_NOHUGEPAGE), fill(mmap.MADV_HUGEPAGE)
os.system("systemd-notify --ready")
time.sleep(1e6)'
cgroup=$(vm_cgroup train-mixed.service)
# whole: the bytes of its huge pages
whole() {
        awk '$1 == "AnonHugePages:" { print $2 * 1024 }' "/proc/$(site_pid train-mixed.service)/smaps_rollup"
}
huge=$(whole)
check "a process has huge pages: $huge bytes" test "$huge" -ge $((32 << 20))
check "and small ones" test $(($(vm_node_bytes "$cgroup" 0 anon) + $(vm_node_bytes "$cgroup" 1 anon))) -ge $((huge + (33 << 20)))
check "all of them move up" cdmctl request hbm 256M --unit train-mixed.service --nodes 2 --migrate
id=$output
moved=$(vm_node_bytes "$cgroup" 2 anon)
check "they are there: $moved bytes" test "$moved" -ge $((huge + (33 << 20)))
check "the huge ones whole" test "$(whole)" -ge "$huge"
check "all of them move down" cdmctl release "$id"
is "none is left" "$(vm_node_bytes "$cgroup" 2 anon)" 0
check "the huge ones are whole again" test "$(whole)" -ge "$huge"
systemctl stop train-mixed

# Page cache: the kernel leaves it where it is when a cpuset is narrowed.
systemd-run --quiet --collect --unit=train-cache --property=Type=notify --property=NotifyAccess=all bash -c '
        until grep -q "[23]$" /sys/fs/cgroup/system.slice/train-cache.service/cpuset.mems.effective; do sleep 0.1; done
        numactl --preferred=2 dd if=/dev/urandom of=/var/tmp/cache bs=1M count=64 status=none
        numactl --preferred=2 cat /var/tmp/cache >/dev/null
        systemd-notify --ready
        sleep infinity' &
wait_for 10 systemctl show --property=ControlGroup train-cache.service
wait_for 20 test -d /sys/fs/cgroup/system.slice/train-cache.service
check "a service with a file is granted" cdmctl request hbm 128M --unit train-cache.service --nodes 2
id=$output
wait
cgroup=$(vm_cgroup train-cache.service)
check "its page cache is on node 2" test "$(vm_node_bytes "$cgroup" 2 file)" -gt $((48 << 20))
sync
check "it is released" cdmctl release "$id"
check "the page cache went as well" test "$(vm_node_bytes "$cgroup" 2 file)" -lt $((4 << 20))
systemctl stop train-cache
check "everything came back" wait_for 90 site_gone
rm -f /var/tmp/cache
site_down
finish
