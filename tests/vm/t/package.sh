#!/bin/bash
# cdmd as a package: started by the bus only where it is enabled, well sealed off, and gone without a trace.
# own-boot
# suites: trixie
# seconds: 20
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh

is "installing starts nothing" "$(systemctl is-active cdmd)" inactive
check "nor fences anybody" site_lifted
check_status 6 "a client of a disabled cdmd is told so" cdmctl status
like "with what to do" "$output" 'systemctl enable --now cdmd'
is "and does not start it" "$(systemctl is-active cdmd)" inactive

site_up
is "it is enabled" "$(systemctl is-enabled cdmd)" enabled
systemctl stop cdmd
check "an enabled one is started by its first client" cdmctl status
check "and runs" wait_for 60 systemctl is-active --quiet cdmd
score=$(systemd-analyze security cdmd.service --no-pager | sed -nE 's/.*exposure level.*: ([0-9.]+).*/\1/p')
check "its exposure level is $score" awk -v score="$score" 'BEGIN { exit !(score != "" && score <= 2.5) }'

# Removal, as the README says.
mkdir -p /run/cdm/cdmd.conf.d
printf '[Fence]\nMode=off\n' >/run/cdm/cdmd.conf.d/zz-removal.conf
systemctl restart cdmd
check "Mode=off" cdmctl reload
check "lifts the fence" site_lifted
systemctl disable --quiet --now cdmd
rm -r /etc/cdm /run/cdm /usr/sbin/cdmd /usr/lib/systemd/system-generators/cdmd-generator /usr/lib/systemd/system/cdmd{,-static@,-static-required@}.service
systemctl daemon-reload
check "without cdmd nothing comes back" site_lifted
is "and no drop-in is left" "$(find /run/systemd /etc/systemd -name '*cdmd*.conf')" ""
systemd-run --quiet --collect --unit=free sleep infinity
is "a new unit is free" "$(cat "/sys/fs/cgroup/$(vm_cgroup free.service)/cpuset.mems.effective" 2>/dev/null || cat /sys/devices/system/node/has_memory)" "$(cat /sys/devices/system/node/has_memory)"
finish
