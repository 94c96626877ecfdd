#!/bin/bash
# The only CDM node comes after boot, and goes again: the fence is there before it, and stays for when it comes back.
# suites: trixie
# topology: none
# hotplug
# seconds: 30
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh

sys=/sys/devices/system/node
# set_memory online_movable|offline: all its blocks; a plain `online` would put it where the kernel has data of its own
set_memory() {
        local block
        for block in "$sys/node2"/memory[0-9]*/state; do
                [ "$(cat "$block")" = "${1%_movable}" ] || echo "$1" >"$block" || return
        done
}
has_node() {
        cdmctl pools --json=short | jq --exit-status '.[] | select(.name == "cdm") | .nodes == [2] and .size > 419430400'
}

mkdir -p /etc/cdm/policy.d
site_rule 10-all 'Pool=cdm' 'User=root' -- 'Limit=1G'
is "a node may come" "$(cat $sys/possible)" 0-2
check "cdmd starts" systemctl enable --quiet --now cdmd
check "the fence is closed before there is a CDM node" vm_fence_is closed
check_status 4 "a request finds the pool empty" cdmctl request cdm 64M
systemd-run --quiet --collect --unit=by sleep infinity
is "everyone has the ordinary nodes by name" "$(cat "/sys/fs/cgroup$(vm_cgroup by.service)/cpuset.mems")" 0-1

auto=$(cat /sys/devices/system/memory/auto_online_blocks)
echo online_movable >/sys/devices/system/memory/auto_online_blocks # else it cannot be taken offline again
check "memory is plugged in" vm-monitor object_add memory-backend-ram,id=hm,size=512M
check "(the DIMM)" vm-monitor device_add pc-dimm,id=d0,memdev=hm,node=2
check "and comes online" wait_for 60 grep -qx 0-2 $sys/has_memory
is "nobody has it" "$(site_leaks)" ""
check "the pool has it" wait_for 30 has_node
check "a workload is granted it" vm_eat train-a 0 48M
check "by a request" cdmctl request cdm 64M --unit train-a.service --migrate
id=$output
is "it alone" "$(site_leaks)" "/system.slice/train-a.service 0-2"

check "the memory goes offline" wait_for 60 set_memory offline
check "the reservation is degraded" wait_for 30 vm_state_is "$id" degraded
check "the fence stays closed" wait_for 60 vm_fence_is closed
is "and files are there" "$(grep -h ^AllowedMemoryNodes=. /run/systemd/*/service.d/10-cdmd-fence.conf | sort -u)" AllowedMemoryNodes=0-1
systemctl restart cdmd
check "a restart changes nothing" vm_state_is "$id" degraded
check "nor of the fence" vm_fence_is closed
check "the memory is back" wait_for 60 set_memory online_movable
check "the reservation heals" wait_for 60 vm_state_is "$id" active
is "it alone has the node" "$(site_leaks)" "/system.slice/train-a.service 0-2"
systemctl stop train-a by
check "the reservation ends with its unit" wait_for 30 site_gone
# The kernel refuses an ejection for good when a page cannot be moved at once.
check "its memory goes offline once more" wait_for 60 set_memory offline
check "the DIMM is pulled" vm-monitor device_del d0
check "and gone" wait_for 60 test ! -e $sys/node2
echo "$auto" >/sys/devices/system/memory/auto_online_blocks
site_down
finish
