#!/bin/bash
# What happens when the memory is used up, row by row of the table in cdm-policy(5). The rows of the queue and of
# preemption are shown by queue.sh, that of an overrun by overrun.sh, that of a node that goes by hotplug.sh.
# suites: bookworm
# seconds: 20
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
site_up

mib=$((1 << 20))
size=$(awk '/MemTotal:/ { print $4 * 1024 }' /sys/devices/system/node/node2/meminfo)
too_much=$((size / mib + 64))
hog=/usr/lib/cdmd-tests/vm-hog

# tenant UNIT COMMAND: a service that runs COMMAND once it has 64 MiB of node 2
tenant() {
        # shellcheck disable=SC2016 # expands in the service
        systemd-run --quiet --unit="$1" bash -c '
                until grep -q 2 "/sys/fs/cgroup/system.slice/$0.service/cpuset.mems.effective"; do sleep 0.1; done
                '"$2" "$1"
        check "$1 has a reservation" cdmctl request hbm 64M --unit "$1.service" --nodes 2
}

# ended UNIT: it does not run any more
ended() {
        ! systemctl is-active --quiet "$1"
}

tenant train-bound "exec $hog --node 2 --bind --mb $too_much"
check "a bound task on a full node is killed" wait_for 180 ended train-bound
is "by the OOM killer" "$(systemctl show --property=Result --value train-bound)" oom-kill
like "although other nodes are free" "$(dmesg | tail -n 200)" 'constraint=CONSTRAINT_MEMORY_POLICY'
systemctl reset-failed train-bound
check "its reservation ends" wait_for 60 site_gone

tenant train-prefer "exec $hog --node 2 --prefer --mb $too_much"
cgroup=$(vm_cgroup train-prefer.service)
check "a task that prefers the node gets all it wants" wait_for 180 sh -c "journalctl --unit train-prefer --no-pager | grep -q 'ready '"
check "most of it there" test "$(vm_node_bytes "$cgroup" 2 anon)" -ge $((size / 2))
check "and what has no room in ordinary memory" test $(($(vm_node_bytes "$cgroup" 0 anon) + $(vm_node_bytes "$cgroup" 1 anon))) -ge $((48 * mib))
systemctl stop train-prefer
check "its reservation ends" wait_for 60 site_gone

check "a stranger is larger than what comes now" vm_eat stranger 0 192M
check_status 137 "a bound task under its own limit is killed at that" cdmctl run hbm 64M --mem-policy bind -- "$hog" --local --mb 128
is "the stranger lives" "$(systemctl is-active stranger)" active
like "because it met the limit of its scope" "$(dmesg | tail -n 100)" 'CONSTRAINT_MEMCG'
check "and it gave its memory back" wait_for 60 site_gone
systemctl stop stranger
site_down
finish
