#!/bin/bash
# The generator at boot: every unit is born fenced.
# topology: fast
# last
# before-boot: mkdir -p /etc/cdm /etc/systemd/system/multi-user.target.wants; printf '[Fence]\nMode=enforce\nExempt=free.service\nPin=pinned.service:1\n' >/etc/cdm/cdmd.conf; ln -sf /usr/lib/systemd/system/cdmd.service /etc/systemd/system/multi-user.target.wants/cdmd.service
# seconds: 40
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh

generated=/run/systemd/generator

# status QUERY: a jq query over the status
status() {
        cdmctl status --json=short | jq --raw-output "$1"
}

# as_at_boot: the generator as if cdmd had not run yet
as_at_boot() {
        systemctl stop cdmd
        rm -rf /run/cdmd
        systemctl daemon-reload
}

check "the generator has written the fence" test -f $generated/service.d/10-cdmd-fence.conf
check "cdmd runs" wait_for 120 systemctl is-active cdmd
is "it found the fence closed" "$(vm_status fence)" closed
is "the controller was enabled at boot, not later" "$(status '.warnings[]' | grep cpuset)" ""
is "there is no second set of drop-ins" "$(find /run/systemd/system -name '*cdmd*')" ""
is "no leaf is open" "$(site_leaks)" ""
is "init.scope is fenced" "$(cat /sys/fs/cgroup/init.scope/cpuset.mems.effective)" 0-1
is "the journal is fenced" "$(site_mems systemd-journald.service)" 0-1
# shellcheck disable=SC2016 # expands in the session
like "a session is fenced" "$(vm_as alice 'cat /sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)/cpuset.mems.effective')" '^0-1$'
for unit in free pinned; do
        systemd-run --quiet --unit="$unit" sleep infinity
done
systemd-run --quiet --unit=own --property=AllowedMemoryNodes=3 sleep infinity
is "an exempt unit is not fenced" "$(site_mems free.service)" 0-3
is "a pinned unit has its node" "$(site_mems pinned.service)" 1
is "a unit's own AllowedMemoryNodes= is overridden" "$(site_mems own.service)" 0-1

echo 'not a configuration' >/etc/cdm/cdmd.conf
systemctl daemon-reload
check "what cdmd accepted holds until it accepts something else" test -f $generated/free.service.d/20-cdmd-exempt.conf

as_at_boot
check "files that do not parse do not open the machine at boot" test -f $generated/service.d/10-cdmd-fence.conf
like "the kernel's log says why" "$(dmesg)" 'cdmd-generator: .*cdmd.conf:1'
check "cdmd starts with them" systemctl start cdmd
is "and keeps what auto finds" "$(vm_status fence) $(site_mems systemd-journald.service)" "closed 0-1"
like "it says that no rule is in force" "$(status '.warnings[]')" "every request is denied"

rm /etc/cdm/cdmd.conf
mkdir -p /etc/cdm/pools.d
printf '[Pool]\nNodes=0-3\n' >/etc/cdm/pools.d/all.conf
as_at_boot
check "pools that take all memory fence nothing" test ! -e $generated/service.d/10-cdmd-fence.conf
like "which the kernel's log says" "$(dmesg)" 'cdmd-generator: nothing is fenced'
check "cdmd starts with them" systemctl start cdmd
is "the fence is open" "$(vm_status fence)" open
like "which it says" "$(status '.warnings[]')" "nothing is fenced"
rm -r /etc/cdm/pools.d
check "corrected" cdmctl reload
is "it is closed" "$(vm_status fence)" closed
is "no leaf is open any more" "$(site_leaks)" ""

systemctl stop own
systemd-run --quiet --unit=cpus --property=AllowedCPUs=0-1 sleep infinity # keeps the cpuset controller enabled
site_down
check "the generator writes none any more" test ! -e $generated/service.d/10-cdmd-fence.conf
is "no cgroup is kept off a node" "$(site_lifted)" ""

finish
