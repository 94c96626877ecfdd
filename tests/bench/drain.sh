#!/bin/bash
# What a drain does to those who are drained; a daemon at rest.
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
n=${1:-10}
site_up
systemd-run --quiet --unit=train-touch --property=Type=notify /usr/lib/cdmd-tests/vm-touch 256 /dev/shm/touch
vm-drain pause train-touch.service "$(site_pid train-touch.service)" 256 /dev/shm/touch "$n"
systemctl stop train-touch
check "nothing is left of it" wait_for 20 site_gone

# At rest: one tenant, the only one of its node.
systemd-run --quiet --unit=train-alone sleep infinity
check "an exclusive reservation" cdmctl request hbm 64M --unit train-alone.service --exclusive
sleep 5
# wakeups PID: of all its threads, since they began
wakeups() {
        cat /proc/"$1"/task/*/status | awk '/ctxt_switches/ { n += $2 } END { print n }'
}
# cpu PID: ms
cpu() {
        cat /proc/"$1"/task/*/schedstat | awk '{ n += $1 } END { printf "%.1f\n", n / 1e6 }'
}
declare -A pids=([cdmd]=$(site_pid cdmd.service) [systemd]=1 [dbus-daemon]=$(site_pid dbus.service)
        [systemd-journald]=$(site_pid systemd-journald.service) [systemd-logind]=$(site_pid systemd-logind.service)
        [systemd-udevd]=$(site_pid systemd-udevd.service))
declare -A wakeups cpu
for name in "${!pids[@]}"; do wakeups[$name]=$(wakeups "${pids[$name]}") cpu[$name]=$(cpu "${pids[$name]}"); done
sleep 60
echo 'text|60 s with an exclusive reservation: wakeups, ms of processor time, KiB of memory'
for name in "${!pids[@]}"; do
        [ "${pids[$name]}" != 0 ] || continue
        now=$(wakeups "${pids[$name]}") busy=$(cpu "${pids[$name]}")
        printf 'text|%-18s %6d %8.1f %8d\n' "$name" $((now - wakeups[$name])) \
                "$(awk -v a="$busy" -v b="${cpu[$name]}" 'BEGIN { print a - b }')" \
                "$(awk '$1 == "VmRSS:" { print $2 }' "/proc/${pids[$name]}/status")"
        [ "$name" != cdmd ] || echo "row|wakeups of cdmd in 60 s with an exclusive reservation|none|<=0||$((now - wakeups[$name])),1"
done
systemctl stop train-alone
site_down
finish
