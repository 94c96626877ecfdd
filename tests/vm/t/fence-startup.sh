#!/bin/bash
# The fence while the machine starts and stops, when StartupAllowedMemoryNodes= has precedence in systemd.
# last
# before-boot: mkdir -p /etc/cdm /etc/systemd/system/multi-user.target.wants /etc/systemd/system/sysinit.target.wants /etc/systemd/system.control/sup-set.service.d; printf '[Fence]\nMode=enforce\n' >/etc/cdm/cdmd.conf; ln -s /usr/lib/systemd/system/cdmd.service /etc/systemd/system/multi-user.target.wants/; for n in sup sup-set sup-in sup-dev; do printf '[Unit]\nDefaultDependencies=no\nAfter=local-fs.target\n[Service]\nExecStart=bash -c "while read -r _ now < <(grep ^Mems_allowed_list: /proc/self/status); do if [ $now != $last ]; then echo $now >>/run/%%p; fi; last=$now; sleep 0.1; done"\nEnvironment=last=-\nKillMode=process\nExecStop=sleep 30\n' >/etc/systemd/system/$n.service; ln -s ../$n.service /etc/systemd/system/sysinit.target.wants/; done; echo 'StartupAllowedMemoryNodes=2' >>/etc/systemd/system/sup.service; echo 'Slice=sups.slice' >>/etc/systemd/system/sup-in.service; printf '[Slice]\nStartupAllowedMemoryNodes=2\n' >/etc/systemd/system/sups.slice; echo 'Slice=dev.slice' >>/etc/systemd/system/sup-dev.service; printf '[Slice]\nAllowedMemoryNodes=2\n' >/etc/systemd/system/dev.slice; printf '[Service]\nStartupAllowedMemoryNodes=\nStartupAllowedMemoryNodes=3\n' >/etc/systemd/system.control/sup-set.service.d/50-StartupAllowedMemoryNodes.conf
# suites: trixie
# seconds: 30
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh

has_started() {
        [[ $(systemctl is-system-running) =~ running|degraded ]]
}
stops() {
        [ "$(systemctl is-system-running)" = stopping ]
}
# saw NAME: every set that it had
saw() {
        sort -u "/run/$1" | tr '\n' ' '
}

check "the machine has started" wait_for 300 has_started
check "cdmd runs" wait_for 120 systemctl is-active cdmd
is "a unit's own StartupAllowedMemoryNodes= opened nothing meanwhile" "$(saw sup)" '0-1 '
is "a property that was set for good is reset" "$(tail -n 1 /run/sup-set) $(systemctl show --property=StartupAllowedMemoryNodes --value sup-set)" '0-1 '
is "nor has that of a slice" "$(saw sup-in)" '0-1 '
is "a slice with a device's node only is closed" "$(tail -n 1 /run/sup-dev) $(cat /sys/fs/cgroup/dev.slice/cpuset.mems)" '0-1 0-2'
is "which systemd knows" "$(systemctl show --property=AllowedMemoryNodes --value dev.slice)" 0-2
is "no leaf is open" "$(site_leaks)" ""
is "the fence is closed" "$(vm_status fence)" closed

# This job outlives the beginning of the end: it is not told of it, and systemd waits for it.
mkdir -p /run/systemd/system/cdmd-vm-job@.service.d
printf '[Service]\nKillSignal=SIGCONT\nTimeoutStopSec=300\n' >/run/systemd/system/cdmd-vm-job@.service.d/stay.conf
systemctl daemon-reload
systemctl poweroff --no-block
check "the machine stops" wait_for 120 stops
open=0
for _ in $(seq 20); do
        nodes=$(sort -u /sys/fs/cgroup/{system.slice/sup,sups.slice/sup-in}.service/cpuset.mems.effective) || continue
        [ "$nodes" = 0-1 ] || open=$((open + 1))
        sleep 0.2
done
is "neither unit is open while it does" "$open $(saw sup)$(saw sup-in)" '0 0-1 0-1 '
finish
