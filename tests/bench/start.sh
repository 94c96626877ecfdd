#!/bin/bash
# A start of cdmd on a machine with many units, compared with what systemd needs to read its own files again.
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
scopes=${1:-2000} n=${2:-5}
site_up
vm_start /tmp/scopes vm-scopes "$scopes"
holder=$started
# made: all of them have their process
made() {
        [ "$(cat /sys/fs/cgroup/system.slice/bench-*.scope/pids.current | grep -cx 1)" = "$scopes" ]
}
check "all of them run" wait_for 300 made
systemctl stop cdmd
VM_AFTER='systemctl stop cdmd' vm-compare "start of cdmd with $scopes scopes, until READY|\`systemctl daemon-reload\`|<=1|ms" "$n" \
        systemctl start cdmd -- systemctl daemon-reload
systemctl start cdmd
echo "text|RSS of cdmd with $scopes scopes: $(awk '$1 == "VmRSS:" { print $2 }' "/proc/$(site_pid cdmd.service)/status") KiB; of systemd: $(
        awk '$1 == "VmRSS:" { print $2 }' /proc/1/status) KiB"
kill "$holder"
site_down
finish
