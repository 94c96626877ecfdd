#!/bin/bash
# The generator at boot: every unit is born fenced.
# topology: fast
# own-boot
# before-boot: mkdir -p /etc/cdm /etc/systemd/system/multi-user.target.wants; printf '[Fence]\nMode=enforce\nExempt=free.service\nPin=pinned.service:1\n' >/etc/cdm/cdmd.conf; ln -sf /usr/lib/systemd/system/cdmd.service /etc/systemd/system/multi-user.target.wants/cdmd.service
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh

generated=/run/systemd/generator

nodes_of() {
        cat "/sys/fs/cgroup$(vm_cgroup "$1")/cpuset.mems.effective"
}

# Below a unit the unit confines; the exempt ones are asked by name.
open_leaves() {
        local d mems
        find /sys/fs/cgroup -mindepth 1 -type d | while read -r d; do
                [[ $d == *.service/* || $d == *.scope/* || $d == *.slice || $d == */cdmd.service ]] && continue
                mems=$(cat "$d/cpuset.mems.effective" 2>/dev/null) || mems=none
                [[ $mems =~ ^(0|1|0-1)$ ]] || echo "${d#/sys/fs/cgroup} $mems"
        done
}

check "the generator has written the fence" test -f $generated/service.d/10-cdmd-fence.conf
is "no leaf is open" "$(open_leaves)" ""
is "init.scope is fenced" "$(cat /sys/fs/cgroup/init.scope/cpuset.mems.effective)" 0-1
is "the journal is fenced" "$(nodes_of systemd-journald)" 0-1
# shellcheck disable=SC2016 # expands in the session
like "a session is fenced" "$(vm_as alice 'cat /sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)/cpuset.mems.effective')" '^0-1$'
for unit in free pinned; do
        systemd-run --quiet --unit="$unit" sleep infinity
done
systemd-run --quiet --unit=own --property=AllowedMemoryNodes=3 sleep infinity
is "an exempt unit is not fenced" "$(nodes_of free)" 0-3
is "a pinned unit has its node" "$(nodes_of pinned)" 1
is "a unit's own AllowedMemoryNodes= is overridden" "$(nodes_of own)" 0-1

check "closing it has nothing to do" vm-fence close
like "it is closed" "$output" "state closed"
like "the controller was enabled at boot, not later" "$output" "cpuset no"
is "no second set of drop-ins" "$(find /run/systemd/system -name '*cdmd*')" ""

printf 'not a configuration\n' >/etc/cdm/cdmd.conf
systemctl daemon-reload
check "files that do not parse do not open the machine" test -f $generated/service.d/10-cdmd-fence.conf
like "the kernel's log says why" "$(dmesg)" 'cdmd-generator: .*cdmd.conf:1'

printf '[Fence]\nMode=off\n' >/etc/cdm/cdmd.conf
check "the fence is lifted" vm-fence lift
check "the generator writes none any more" test ! -e $generated/service.d/10-cdmd-fence.conf
is "init.scope may use everything" "$(cat /sys/fs/cgroup/init.scope/cpuset.mems.effective)" 0-3

finish
