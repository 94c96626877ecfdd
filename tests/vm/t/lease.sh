#!/bin/bash
# A lease ends when it was said, with a warning beforehand, whatever is done to the clock.
# suites: trixie
# seconds: 90
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
mkdir -p /etc/cdm
printf '[Reservations]\nGracePeriod=10s\n' >/etc/cdm/cdmd.conf
site_up


# left ID: seconds until its lease ends, as the wall clock has it
left() {
        echo $(($(date --date="$(vm_show "$1" expires)" +%s) - $(date +%s)))
}

cdmctl monitor --json=short >/tmp/events &
monitor=$!
check "a service fills ordinary memory" vm_eat train-lease 0 128M
cgroup=$(vm_cgroup train-lease.service)
check "it is granted for 35 seconds, and its pages move up" \
        cdmctl request hbm 160M --unit train-lease.service --nodes 2 --migrate --lease 35s
id=$output
check "they are on node 2" test "$(vm_node_bytes "$cgroup" 2 anon)" -gt $((120 << 20))
check "before the end it is warned" wait_for 120 vm_state_is "$id" revoking
check "its pages are still there" test "$(vm_node_bytes "$cgroup" 2 anon)" -gt $((120 << 20))
check "a renewal keeps it" cdmctl renew "$id" 20s
check "it is active again" vm_state_is "$id" active
check "then it is warned again" wait_for 120 vm_state_is "$id" revoking
check "and drained" wait_for 300 vm_state_is "$id" ""
is "no page of it is on the node" "$(vm_node_bytes "$cgroup" 2)" 0
is "the unit is fenced" "$(site_mems train-lease.service)" 0-1
wait_for 20 grep -q '"released"' /tmp/events
kill $monitor
wait $monitor
is "the events tell the story" \
        "$(jq --raw-output "select(.id == $id and .kind != \"migrated\") | .kind" /tmp/events | xargs)" \
        "granted revoking revoking draining released"
is "and why" "$(jq --raw-output 'select(.kind == "draining") | .reason' /tmp/events)" "its lease ended"

# Clock jumps. What is set is set back relative to the time since boot.
offset=$(($(date +%s) - $(cut -d. -f1 /proc/uptime)))
check "granted for an hour" cdmctl request hbm 64M --unit train-lease.service --nodes 2 --lease 1h
hour=$output
check "the clock is set forward by two days" date --set='+2 days'
check "granted for four seconds" cdmctl request hbm 64M --unit train-lease.service --nodes 3 --lease 4s
id=$output
check "which ends" wait_for 300 vm_state_is "$id" ""
check "the hour goes on" vm_state_is "$hour" active
check "and ends in an hour, by the clock as it is now" test "$(left "$hour")" -gt 3000 -a "$(left "$hour")" -le 3601
check "granted for six seconds" cdmctl request hbm 64M --unit train-lease.service --nodes 3 --lease 6s
id=$output
check "the clock is set back by four days" date --set='-4 days'
check "the six seconds end all the same" wait_for 300 vm_state_is "$id" ""
check "the hour goes on" vm_state_is "$hour" active
check "and ends in an hour, by the clock as it is now" test "$(left "$hour")" -gt 3000 -a "$(left "$hour")" -le 3601
date --set="@$((offset + $(cut -d. -f1 /proc/uptime)))" >/dev/null

check_status 3 "another user does not renew it" vm_as alice "cdmctl renew $hour"
check "root does" cdmctl renew "$hour" 2h
check "by two hours" test "$(left "$hour")" -gt 7000
systemctl kill --signal=KILL cdmd
check "cdmd is killed and comes back" wait_for 300 vm_state_is "$hour" active
check "the lease is what it was" test "$(left "$hour")" -gt 7000
check "it is released" cdmctl release "$hour"

# The command outlives its lease, on ordinary memory.
check "a command runs longer than its lease" vm_as alice 'cdmctl run hbm 64M --lease 5s -- bash -c "
        until cdmctl list --json=short | grep -q \"^\\[\\]\"; do sleep 0.2; done
        grep Mems_allowed_list /proc/self/status"'
like "and is fenced then" "$output" 'Mems_allowed_list:[[:space:]]*0-1'
systemctl stop train-lease
check "nothing is left" wait_for 120 site_gone
site_down
finish
