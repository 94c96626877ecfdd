#!/bin/bash
# Nodes come and go while cdmd runs: nobody has them before it is decided, and nothing fails open.
# hotplug
# last
# suites: bookworm
# seconds: 80
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh

sys=/sys/devices/system/node

# set_memory NODE online|offline: all its blocks; a busy one is tried again. Once no block of the node is in the zone for
# movable pages any more, a plain `online` would put them where the kernel has data of its own.
set_memory() {
        local block how=$2
        [ "$2" = offline ] || how=online_movable
        for block in "$sys/node$1"/memory[0-9]*/state; do
                [ "$(cat "$block")" = "$2" ] || echo "$how" >"$block" || return
        done
}
# try_memory NODE online|offline: within a minute
try_memory() {
        wait_for 60 set_memory "$1" "$2"
}
# node_is NODE QUERY: jq, over what cdmctl says of it
node_is() {
        cdmctl nodes --json=short | jq --exit-status ".[] | select(.node == $1) | $2"
}
mems_are() {
        [ "$(site_mems "$1")" = "$2" ]
}
# told KIND: so many events of that kind are in the journal
told() {
        journalctl --unit cdmd --output=cat CDM_EVENT="$1" | wc -l
}
is_told() {
        [ "$(told "$1")" -ge "$2" ]
}
# watch_effective UNIT FILE: notes every set that the unit had, looking every few milliseconds (a pipe that nobody writes
# to is a sleep that starts no process)
watch_effective() {
        local file last='' now
        file=/sys/fs/cgroup$(vm_cgroup "$1")/cpuset.mems.effective
        exec 8<> <(:)
        while read -r now <"$file"; do
                [ "$now" = "$last" ] || echo "$now"
                last=$now
                read -r -t 0.003 -u 8
        done 2>/dev/null >"$2"
}

site_up
auto=$(cat /sys/devices/system/memory/auto_online_blocks)
echo online_movable >/sys/devices/system/memory/auto_online_blocks # else the kernel puts data of its own there, and it cannot be taken offline
is "node 4 may come" "$(cat $sys/possible)" 0-4
check "a bystander" systemd-run --quiet --collect --unit=by sleep infinity
watch_effective by.service /tmp/by & watcher=$!
before=$(site_pid cdmd.service)

# --- a CDM node appears
check "memory is plugged into node 4" vm-monitor object_add memory-backend-ram,id=hm,size=512M
check "(the DIMM)" vm-monitor device_add pc-dimm,id=d0,memdev=hm,node=4
check "it comes online" wait_for 60 grep -qx 0-4 $sys/has_memory
check "it joins the pool" wait_for 30 node_is 4 '.pool == "hbm" and .online'
check "with its memory" wait_for 60 node_is 4 ".size > ($((400 << 20)))"
check "the journal says so" wait_for 30 is_told node-online 1
check "a workload" vm_eat train-a 0 64M
check "is granted the new node" cdmctl request hbm 128M --unit train-a.service --nodes 4 --migrate
a=$output
# has_pages: it has some on node 4
has_pages() {
        [ "$(vm_node_bytes "$(vm_cgroup train-a.service)" 4)" -ge 10000000 ]
}
check "and has pages there" wait_for 10 has_pages
is "nobody else may use it" "$(site_leaks | grep -v train-a)" ""
is "cdmd was not restarted" "$(site_pid cdmd.service)" "$before"

# --- its memory goes offline
check "a neighbour with two nodes" systemd-run --quiet --collect --unit=train-b sleep infinity
check "of which one" cdmctl request hbm 64M --unit train-b.service --nodes 4
b=$output
check "and one" cdmctl request hbm 64M --unit train-b.service --nodes 3
c=$output
watch_effective train-a.service /tmp/a & watcher_a=$!
check "the memory of node 4 goes offline" try_memory 4 offline
check "its reservation is degraded" wait_for 30 vm_state_is "$a" degraded
check "so is the neighbour's" wait_for 30 vm_state_is "$b" degraded
check "not that on the other node" vm_state_is "$c" active
check "the journal says so" wait_for 30 is_told degraded 2
check "and of the node" wait_for 60 is_told node-offline 1
check "the unit keeps ordinary memory only" wait_for 30 mems_are train-a.service 0-1
check "the neighbour its other node as well" wait_for 30 mems_are train-b.service 0-1,3
check "the node is offline for cdmctl" node_is 4 '.online | not'
check_status 1 "nothing is granted there" cdmctl request hbm 64M --unit train-b.service --nodes 4
check "the fence stays closed" wait_for 60 vm_fence_is closed

# --- and a restart of cdmd
check "cdmd restarts meanwhile" systemctl restart cdmd
check "degraded stays degraded" vm_state_is "$a" degraded
is "closed stays closed" "$(site_mems train-a.service)" 0-1

# --- it comes back
check "the memory comes back" try_memory 4 online
check "the reservation heals" wait_for 60 vm_state_is "$a" active
check "both do" wait_for 60 vm_state_is "$b" active
like "the unit has its node" "$(site_mems train-a.service)" '4'
check "the journal says so" wait_for 30 is_told restored 2
check "and it can be used" cdmctl migrate "$a"
check "with pages there" wait_for 10 has_pages
kill $watcher_a
is "the unit never had a node but its own" "$(grep -vxE '0-1(,4)?' /tmp/a)" ""
check "released" cdmctl release "$a" "$b" "$c"

# --- released while it is away
check "a reservation" cdmctl request hbm 64M --unit train-a.service --nodes 4 --migrate
a=$output
check "goes offline" try_memory 4 offline
check "degraded" wait_for 30 vm_state_is "$a" degraded
check "can be released" cdmctl release "$a"
check "is gone" wait_for 30 site_gone

# --- the DIMM itself is taken out
check "the DIMM is pulled" vm-monitor device_del d0
check "the node goes" wait_for 60 test ! -e $sys/node4
check "cdmctl forgets it" wait_for 30 bash -c '! cdmctl nodes --json=short | jq --exit-status ".[] | select(.node == 4)"'
kill $watcher
is "the bystander never had a CDM node" "$(grep -vx 0-1 /tmp/by)" ""

# --- an ordinary node appears: the pool lists its nodes
printf '[Pool]\nNodes=2-3\n' >/etc/cdm/pools.d/hbm.conf
cat >/etc/cdm/cdmd.conf <<'CONF'
[Fence]
Pin=pinned.service:4
Exempt=free.service
CONF
check "a pool with a list of nodes" cdmctl reload
check "a tenant" cdmctl request hbm 64M --unit train-a.service --nodes 2
a=$output
for unit in free narrow; do systemd-run --quiet --collect --unit=$unit sleep infinity; done
systemctl set-property --runtime narrow.service AllowedMemoryNodes=1
wait_for 10 vm-monitor object_add memory-backend-ram,id=hn,size=512M
check "a node comes that no pool has" vm-monitor device_add pc-dimm,id=d1,memdev=hn,node=4
check "it comes online" wait_for 60 grep -qx 0-4 $sys/has_memory
check "it is everyone's" wait_for 120 mems_are by.service 0-1,4
check "the tenant's as well, beside what it has reserved" wait_for 60 mems_are train-a.service 0-2,4
check "its reservation is active" vm_state_is "$a" active
is "the exempt unit has all" "$(site_mems free.service)" 0-4
is "a unit's own smaller set is respected" "$(site_mems narrow.service)" 1
is "a new unit has it as well" "$(systemd-run --quiet --wait --pipe cat /proc/self/status | awk '/^Mems_allowed_list/ { print $2 }')" 0-1,4
systemd-run --quiet --collect --unit=pinned sleep infinity
is "and a unit that is pinned there, that alone" "$(site_mems pinned.service)" 4
check "released" cdmctl release "$a"
is "the tenant is as everyone again" "$(site_mems train-a.service)" 0-1,4

# --- and goes: a unit that was confined to it must not get all
check "the ordinary node goes offline" try_memory 4 offline
check "the pinned unit has the other ordinary nodes" wait_for 120 mems_are pinned.service 0-1
check "so has everyone" wait_for 60 mems_are by.service 0-1
check "the fence is closed" wait_for 60 vm_fence_is closed
is "nobody has a CDM node" "$(site_leaks | grep -v -e free -e narrow)" ""
check "no reservation is left" site_gone

echo "$auto" >/sys/devices/system/memory/auto_online_blocks
systemctl stop by train-a train-b free narrow pinned 2>/dev/null
site_down
finish
