#!/bin/bash
# cdmd at rest, beside other daemons that look after memory or control groups.
# site: rest
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
reservations=${1:-1000} cgroups=${2:-10000} seconds=${3:-60}
mkdir -p /etc/cdm
printf '[Reservations]\nMaxPerUser=100000\n' >/etc/cdm/cdmd.conf
site_up
site_rule 30-train 'Pool=hbm' 'Unit=train-*.service' -- 'Limit=2G' 'Exclusive=yes' # a whole node
check "a rule for it" cdmctl reload

# The others, as their packages start them; cgrulesengd has one rule to watch for.
echo 'nobody cpu /' >/etc/cgrules.conf
touch /etc/cgconfig.conf
mkdir -p /etc/cgconfig.d
for unit in systemd-oomd numad; do check "$unit runs" systemctl start $unit; done
check "cgrulesengd runs" systemd-run --quiet --collect --unit=cgrulesengd cgrulesengd --nodaemon
# The least that any daemon on the bus needs.
check "a program that only waits on the bus runs" systemd-run --quiet --collect --unit=vm-idle /usr/lib/cdmd-tests/vm-idle

# wakeups PID: of all its threads, since they began
wakeups() {
        cat /proc/"$1"/task/*/status | awk '/ctxt_switches/ { n += $2 } END { print n }'
}
# cpu PID: ms
cpu() {
        cat /proc/"$1"/task/*/schedstat | awk '{ n += $1 } END { printf "%.1f\n", n / 1e6 }'
}

# rss NAME: KiB
rss() {
        awk '$1 == "VmRSS:" { print $2 }' "/proc/${pids[$1]}/status"
}

declare -A wakeups cpu pids=([systemd]=1)
names=(systemd)
for name in cdmd vm-idle numad cgrulesengd systemd-oomd dbus systemd-journald systemd-logind systemd-udevd; do
        pid=$(site_pid $name.service)
        [ "$pid" != 0 ] || continue
        pids[$name]=$pid
        names+=("$name")
done

# rest WITH: all of them do nothing for a while
rest() {
        local name now busy
        sleep 20
        for name in "${names[@]}"; do wakeups[$name]=$(wakeups "${pids[$name]}") cpu[$name]=$(cpu "${pids[$name]}"); done
        sleep "$seconds"
        echo "text|$seconds s with $1: wakeups, ms of processor time, KiB of memory"
        for name in "${names[@]}"; do
                now=$(wakeups "${pids[$name]}") busy=$(cpu "${pids[$name]}")
                printf 'text|%-18s %6d %8.1f %8d\n' "$name" $((now - wakeups[$name])) \
                        "$(awk -v a="$busy" -v b="${cpu[$name]}" 'BEGIN { print a - b }')" \
                        "$(rss "$name")"
                [ "$name" != cdmd ] || echo "row|wakeups of cdmd in $seconds s with $1|none|<=0||$((now - wakeups[$name])),1"
        done
        echo 'text|'
        for name in numad cgrulesengd systemd-oomd; do
                [ -n "${pids[$name]-}" ] || continue
                echo "row|memory of cdmd with $1|that of $name|<=1|KiB|$(rss cdmd),$(rss "$name")"
                echo "row|memory of a program that only waits on the bus, beside $1|that of $name||KiB|$(rss vm-idle),$(rss "$name")"
        done
}

systemd-run --quiet --unit=train-alone sleep infinity
check "an exclusive reservation" cdmctl request hbm 64M --unit train-alone.service --exclusive
rest "an exclusive reservation"
systemctl stop train-alone
check "nothing is left of it" wait_for 20 site_gone

# Each node has one tenant, so nobody has to be watched.
for node in 2 3; do
        systemd-run --quiet --unit=train-rest$node sleep infinity
        for ((i = 0; i < reservations / 2; i++)); do
                busctl --quiet call org.cdmd1 /org/cdmd1 org.cdmd1.Manager Request 'sta{sv}' hbm $((1 << 20)) 2 \
                        unit s train-rest$node.service nodes s $node || break 2
        done
done
is "there are reservations" "$(site_list length)" "$reservations"
seq --format=/sys/fs/cgroup/rest/%g 1 "$cgroups" | xargs mkdir --parents
rest "$reservations reservations and $cgroups cgroups"

find /sys/fs/cgroup/rest -depth -type d -exec rmdir {} +
systemctl stop train-rest2 train-rest3 vm-idle cgrulesengd numad systemd-oomd.socket systemd-oomd
check "nothing is left of them" wait_for 60 site_gone
site_down
finish
