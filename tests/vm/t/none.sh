#!/bin/bash
# A machine without CDM nodes: cdmd runs, says so, and costs nothing.
# topology: none
# suites: bookworm
# seconds: 40
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh

systemctl enable --quiet --now cdmd
is "cdmd runs" "$(systemctl is-active cdmd)" active
check "status answers" cdmctl status
like "and says that there is nothing to manage" "$output" '[Nn]o (CDM|coherent)'
check "and finds no fault" cdmctl status --check
is "no node belongs to a pool" "$(cdmctl nodes --json=short | jq '[.[] | select(.pool != null)] | length')" 0
check_status 1 "a request finds no pool" cdmctl request cdm 64M --unit cdmd-vm-agent.service
is "no unit is restricted" "$(site_mems systemd-journald.service 2>/dev/null || echo 0-1)" 0-1
check "nothing was written for systemd" test ! -e /run/systemd/system/service.d/10-cdmd-fence.conf

# wakeups: how often cdmd was scheduled
wakeups() {
        awk '/^(non)?voluntary_ctxt_switches/ { sum += $2 } END { print sum }' /proc/"$(site_pid cdmd.service)"/task/*/status
}
# asleep: it was not scheduled for 15 seconds
asleep() {
        local before
        before=$(wakeups)
        sleep 15
        [ "$(wakeups)" = "$before" ]
}
check "left alone, it comes to sleep without a timer" wait_for 60 asleep
systemctl disable --quiet --now cdmd
finish
