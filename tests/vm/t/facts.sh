#!/bin/bash
# What kernel and drivers are set to: warnings that go away with their cause, devices, near ones.
# topology: slow
# own-boot
# seconds: 50
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
demotion=/sys/kernel/mm/numa/demotion_enabled

warnings() {
        cdmctl status --json=short | jq --raw-output '.warnings[]'
}

fence() {
        vm_status fence
}

# granted_on OPTION...: the nodes that a request with these is granted, which is released again
granted_on() {
        local id
        id=$(cdmctl request hbm 64M --unit train-near.service "$@") || return
        cdmctl show "$id" --json=short | jq --compact-output '[.nodes[].node]'
        cdmctl release "$id" >/dev/null
}

# inside COMMAND...: where cdmd sees it; what is mounted over a part of /proc elsewhere need not reach it
inside() {
        nsenter --mount --target "$(site_pid cdmd.service)" "$@"
}

# driver MODE: the /proc of a driver with two GPUs, made up: their memory is nodes, or kept by the driver
driver() {
        # shellcheck disable=SC2016 # expands there
        inside bash -c '
                mountpoint --quiet /proc/driver || mount -t tmpfs tmpfs /proc/driver
                cd /proc/driver && mkdir -p nvidia/gpus/0009:01:00.0 nvidia/gpus/0019:01:00.0
                printf "EnableUserNUMAManagement: 1\nCoherentGPUMemoryMode: \"%s\"\n" "$1" >nvidia/params
                rm -f nvidia/gpus/*/numa_status
                [ "$1" = numa ] || exit 0
                printf "Node:      2\nStatus:    online\n" >nvidia/gpus/0009:01:00.0/numa_status
                printf "Node:      3\nStatus:    online\n" >nvidia/gpus/0019:01:00.0/numa_status
        ' driver "$1"
}

old=no # demotion minds cpusets from 6.16 on
[ "$(printf '6.16\n%s\n' "$(uname -r)" | sort --version-sort | head -n 1)" = 6.16 ] || old=yes
if [ $old = yes ]; then
        # Before 6.7 only memory that dax/kmem put online is in a slower tier. What it would look like:
        mount -t tmpfs tmpfs /sys/devices/virtual/memory_tiering
        mkdir /sys/devices/virtual/memory_tiering/memory_tier4 /sys/devices/virtual/memory_tiering/memory_tier961
        echo 0-1 >/sys/devices/virtual/memory_tiering/memory_tier4/nodelist
        echo 2-3 >/sys/devices/virtual/memory_tiering/memory_tier961/nodelist
fi
echo 0 >$demotion
sysctl --quiet kernel.numa_balancing=0
site_up
systemd-run --quiet --collect --unit=train-near sleep infinity

is "a well kept machine has no warnings" "$(warnings | grep -v cpuset)" ""
is "and a closed fence" "$(fence)" closed
sysctl --quiet kernel.numa_balancing=1
like "NUMA balancing is told" "$(warnings)" 'sysctl kernel.numa_balancing=0'
sysctl --quiet kernel.numa_balancing=0
is "and is gone when switched off" "$(warnings | grep balancing)" ""

check "the nodes are in a slower tier" test "$(cdmctl nodes --json=short | jq '.[2].tier > .[0].tier')" = true
echo 1 >$demotion
if [ $old = yes ]; then
        is "demotion opens the fence" "$(fence)" "open (demotion)"
        like "which the warnings explain" "$(warnings)" 'open to demotion.*\(2-3\).*demotion_enabled'
        like "status has the bytes" "$(cdmctl status)" 'of processes without a reservation are on nodes that demotion reaches'
        check "a plain request is granted there" granted_on
        check_status 3 "an exclusive one is denied" cdmctl request hbm 64M --unit train-near.service --exclusive
        like "with the reason and what to do" "$output" 'demote.*demotion_enabled'
else
        is "demotion minds the fence" "$(fence)" closed
        like "and takes from tenants only" "$(warnings)" 'off the nodes that they reserved'
        check "an exclusive request is granted" granted_on --exclusive
fi
echo 0 >$demotion
is "without it the fence is closed" "$(fence)" closed
check "and exclusive requests are granted" granted_on --exclusive
journalctl --sync
journal=$(journalctl --unit cdmd --quiet --grep demotion_enabled | wc -l)
warnings >/dev/null
journalctl --sync
is "a warning is journalled when it is news" "$(journalctl --unit cdmd --quiet --grep demotion_enabled | wc -l)" "$journal"

driver driver
like "CDMM: nothing to manage" "$(warnings)" 'keeps GPU memory out of NUMA, so that there is nothing to manage'
driver numa
is "not in NUMA mode" "$(warnings | grep CDMM)" ""
online=$(cat /sys/devices/system/memory/auto_online_blocks)
echo online >/sys/devices/system/memory/auto_online_blocks
like "the driver needs online_movable" "$(warnings)" 'auto_online_blocks is online,.*online_movable'
echo online_movable >/sys/devices/system/memory/auto_online_blocks
is "and is content with it" "$(warnings | grep auto_online)" ""
echo "$online" >/sys/devices/system/memory/auto_online_blocks
check "reload" cdmctl reload
is "a node belongs to its GPU" "$(cdmctl nodes --json=short | jq --compact-output 'map(.device)')" '[null,null,"0009:01:00.0","0019:01:00.0"]'

is "near a GPU is its own memory" "$(granted_on --near 0019:01:00.0)$(granted_on --near 0009:01:00.0)" "[3][2]"
device=$(basename "$(find /sys/bus/pci/devices/ -name '*:1f.0')")
for node in 0 1; do
        echo $node >"/sys/bus/pci/devices/$device/numa_node"
        is "near a device on node $node is node $((node + 2))" "$(granted_on --near "$device")" "[$((node + 2))]"
done
is "without the domain as well" "$(granted_on --near "${device#0000:}")" "[3]"
is "--nodes has the last word" "$(granted_on --near "$device" --nodes 2)" "[2]"
is "--nodes of several" "$(granted_on --nodes 3)" "[3]"
check_status 1 "a device that is not there" cdmctl request hbm 64M --unit train-near.service --near 0000:7f:1f.7
like "is named" "$output" 'no PCI device 0000:7f:1f.7'
check_status 1 "what is no address" cdmctl request hbm 64M --unit train-near.service --near ../../devices
like "is told so" "$output" 'PCI address, such as'
check_status 1 "a node outside of the pool" cdmctl request hbm 64M --unit train-near.service --nodes 1-2
like "is told with the pool's" "$output" 'nodes 1-2 are not all in pool hbm, which has 2-3'
check_status 2 "no list of nodes" cdmctl request hbm 64M --unit train-near.service --nodes 2-
is "nothing is left of all this" "$(site_list length)" 0

is "which nodes are in which pool is noted for the next boot" "$(cat /var/lib/cdmd/pools)" "hbm 2-3"
inside umount /proc/driver
check "reload without the driver" cdmctl reload
is "the nodes are there on the firmware's word" "$(cdmctl nodes --json=short | jq --compact-output 'map(.evidence | . != null and test("tier|hmat"))')" '[false,false,true,true]'
is "no zone matters of memory that stays until the end" "$(warnings | grep 'zone for kernel data')" ""
zone_is_told() {
        warnings | grep -q 'memory of node 3 was put online in a zone for kernel data'
}
online=$(cat /sys/devices/system/memory/auto_online_blocks)
echo online >/sys/devices/system/memory/auto_online_blocks
check "a DIMM is plugged into node 3" vm-monitor object_add memory-backend-ram,id=hz,size=256M
check "(the DIMM)" vm-monitor device_add pc-dimm,id=dz,memdev=hz,node=3
check "that kernel data may come to it is told" wait_for 60 zone_is_told
echo "$online" >/sys/devices/system/memory/auto_online_blocks
systemctl stop train-near
site_down
finish
