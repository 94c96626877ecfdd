#!/bin/bash
# The fence is closed over a system that runs already, and lifted again: drop-ins, a reload, and whatever this
# systemd needs to apply them to what is there.
# topology: fast
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh

# The leaves that are open to nodes 2 or 3, but for cdmd itself; subtrees of users are confined by user@.
open_leaves() {
        local d mems
        find /sys/fs/cgroup -mindepth 1 -type d | while read -r d; do
                [[ $d == *.service/* || $d == *.scope/* || $d == *.slice || $d == *cdmd.service ]] && continue
                mems=$(cat "$d/cpuset.mems.effective" 2>/dev/null) || mems=none
                [[ $mems =~ ^(0|1|0-1)$ ]] || echo "${d#/sys/fs/cgroup} $mems"
        done
}

# nodes_of UNIT: what it may use, now
nodes_of() {
        cat "/sys/fs/cgroup$(vm_cgroup "$1")/cpuset.mems.effective"
}

mkdir -p /etc/cdm
printf '[Fence]\nExempt=free.service\nPin=pinned.service:1\n' >/etc/cdm/cdmd.conf
runuser --login alice --command 'sleep infinity' &
for unit in free pinned plain; do
        systemd-run --quiet --unit="$unit" sleep infinity
done
systemd-run --quiet --unit=own --property=AllowedMemoryNodes=3 sleep infinity
systemd-run --quiet --unit=below --slice=some-deep.slice sleep infinity
check "an intruder takes 128 MiB of node 2" vm_eat intruder 2 128M
sleep 1

check "the fence closes" vm-fence close
report=$output
like "it is closed" "$report" "state closed"
like "the intruder was drained" "$report" "drained [1-9][0-9]{8}"
like "that the controller was enabled late is remembered" "$report" "cpuset (yes|no)"
is "no leaf is open but for the exempt one" "$(open_leaves | grep -v free.service)" ""
is "init.scope is fenced" "$(cat /sys/fs/cgroup/init.scope/cpuset.mems.effective)" 0-1
is "the session of alice is fenced" "$(cat /sys/fs/cgroup/user.slice/user-1000.slice/session-*.scope/cpuset.mems.effective | sort -u)" 0-1
is "user@1000.service is fenced" "$(nodes_of user@1000.service)" 0-1
is "a unit below two slices is fenced" "$(nodes_of below)" 0-1
is "a unit's own AllowedMemoryNodes= is overridden" "$(nodes_of own)" 0-1
is "an exempt unit is not fenced" "$(nodes_of free)" 0-3
is "a pinned unit has its node" "$(nodes_of pinned)" 1
check "the intruder's memory left node 2" test "$(vm_node_bytes "$(vm_cgroup intruder)" 2 anon)" -lt 1000000
systemd-run --quiet --unit=late sleep infinity
is "a unit that starts later is fenced" "$(nodes_of late)" 0-1
systemd-run --quiet --unit=late-own --property=AllowedMemoryNodes=2 sleep infinity
is "one that asks for CDM nodes as well" "$(nodes_of late-own)" 0-1
is "nothing is left behind in system.control" "$(find /run/systemd/system.control -name '50-*' 2>/dev/null)" ""

check "a second time changes nothing" vm-fence close
like "and it is closed" "$output" "state closed"

systemctl set-property --runtime plain.service AllowedMemoryNodes=0-2
is "somebody opens a node to a unit" "$(nodes_of plain)" 0-2
systemctl set-property --runtime sleeper.service AllowedMemoryNodes=2 2>/dev/null
check "the fence closes again" vm-fence close
is "that unit is set back" "$(nodes_of plain)" 0-1

printf '[Fence]\nExempt=plain.service\n' >/etc/cdm/cdmd.conf
printf '[Pool]\nNodes=3\n' >/tmp/pool.conf
mkdir -p /etc/cdm/pools.d
mv /tmp/pool.conf /etc/cdm/pools.d/cdm.conf
check "another configuration is applied" vm-fence close
like "it is closed with it" "$output" "state closed"
is "node 2 is ordinary now" "$(nodes_of dbus)" 0-2
is "the unit that was exempt is fenced" "$(nodes_of free)" 0-2
rm /etc/cdm/pools.d/cdm.conf

mkdir /sys/fs/cgroup/foreign
check_status 0 "a cgroup that systemd does not own is reported" vm-fence close
like "with its reason" "$output" "unfenced /foreign .*systemd does not own it"
like "and the fence is leaky" "$output" "state leaky"
rmdir /sys/fs/cgroup/foreign

check "the fence is lifted" vm-fence lift
like "it is open" "$output" "state open"
is "init.scope may use everything" "$(cat /sys/fs/cgroup/init.scope/cpuset.mems.effective)" 0-3
is "dbus may use everything" "$(nodes_of dbus 2>/dev/null || echo 0-3)" 0-3
is "a unit below two slices as well" "$(nodes_of below 2>/dev/null || echo 0-3)" 0-3
is "no drop-in is left" "$(find /run/systemd/system -name '*cdmd*')" ""

finish
