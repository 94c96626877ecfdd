#!/bin/bash
# The machine is what the other tests take for granted.
# topology: fast none@bookworm three@soak slow@bookworm
# seconds: 10
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh

declare -A memory=([fast]=0-3 [none]=0-1 [three]=0-4 [slow]=0-3)
declare -A latency=([fast]=120 [three]=120 [slow]=250)
declare -A bandwidth=([fast]=409600 [three]=409600 [slow]=30720)
node=/sys/devices/system/node

like "the release is the one asked for" "$(cat /etc/os-release)" "VERSION_CODENAME=$VM_SUITE"
is "PID 1 is systemd" "$(cat /proc/1/comm)" systemd
is "no unit has failed" "$(systemctl list-units --failed --plain --no-legend)" ""
is "nodes 0 and 1 have the CPUs" "$(cat $node/has_cpu)" 0-1
is "nodes with memory" "$(cat $node/has_memory)" "${memory[$VM_TOPOLOGY]}"
check "pressure is accounted" test -r /proc/pressure/memory
check "cpuset is there for cgroup v2" grep -qw cpuset /sys/fs/cgroup/cgroup.controllers

if [ "$VM_TOPOLOGY" = none ]; then
        skip "nodes 2 and 3 describe themselves" "this machine has none"
        finish
fi
for n in 2 3; do
        near=$node/node$n/access1/initiators
        check "the near CPU of node $n" test -e "$near/node$((n % 2))"
        is "the read latency of node $n" "$(cat $near/read_latency)" "${latency[$VM_TOPOLOGY]}"
        is "the read bandwidth of node $n" "$(cat $near/read_bandwidth)" "${bandwidth[$VM_TOPOLOGY]}"
done

# tier_of NODE: a smaller one is faster
tier_of() {
        grep -l "^$1" /sys/devices/virtual/memory_tiering/memory_tier*/nodelist | tr -dc '0-9'
}
if [ "$VM_SUITE" = bookworm ]; then
        is "Linux 6.1 makes one tier of all" "$(cat /sys/devices/virtual/memory_tiering/memory_tier4/nodelist)" "${memory[$VM_TOPOLOGY]}"
elif [ "$VM_TOPOLOGY" = slow ]; then
        check "node 2 is in a slower tier" test "$(tier_of 2)" -gt "$(tier_of 0)"
else
        check "node 2 is in a faster tier" test "$(tier_of 2)" -lt "$(tier_of 0)"
fi

check "a service fills node 2" vm_eat eat 2 256M
# there: what is charged to a unit first, its shell and page tables, is no page of what it eats
there() {
        [ "$(vm_node_bytes "$(vm_cgroup eat.service)" 2 anon)" -ge $((256 << 20)) ]
}
check "its pages are there" wait_for 60 there
systemctl stop eat
check "they are gone with it" wait_for 10 test ! -e "/sys/fs/cgroup/system.slice/eat.service"

like "a login session has a scope" "$(vm_as alice 'cat /proc/self/cgroup')" '/user.slice/user-[0-9]+.slice/session-.*\.scope'
like "QEMU's monitor can be asked from here" "$(vm-monitor info numa)" 'node 1 cpus: 1'
check_status 1 "and says so when it refuses" vm-monitor nonsense

finish
