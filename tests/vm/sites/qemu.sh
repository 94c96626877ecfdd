#!/bin/bash
# QEMU by itself, with memory that it binds to a CDM node as it starts: by `cdmctl run`, and in a service with Static=.
# site: machines
# seconds: 150
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
# shellcheck source=tests/vm/guest/machines.sh
. /usr/lib/cdmd-vm/machines.sh
site_up
first=$(cdmctl nodes --json=short | jq '[.[] | select(.pool == "hbm") | .node][0]')
site_rule 24-big 'Pool=hbm' 'Unit=vm-big.service' -- 'Static=100%' 'StaticRequired=yes'
site_rule 25-vm 'Pool=hbm' 'Unit=vm-*.service' -- 'Static=64M' 'StaticRequired=yes' "Nodes=$first"
check "rules for machines are taken" cdmctl reload
qemu_command "$first" 32

# has_memory UNIT: QEMU there has what it bound
has_memory() {
        [ "$(vm_node_bytes "$(vm_cgroup "$1")" "$first" anon)" -ge $((32 << 20)) ]
}
# said UNIT TEXT: in its journal
said() {
        journalctl --sync
        journalctl --unit "$1" --output=cat --no-pager | grep -F -- "$2"
}

# Without memory it fails: the test can tell.
check_status 1 "QEMU may not bind to a CDM node" timeout 120 "${qemu[@]}"
like "and says so" "$output" 'Invalid argument'

timeout 300 cdmctl run hbm 64M --nodes "$first" --mem-policy none -- "${qemu[@]}" >/tmp/qemu 2>&1 &
runs=$!
check "cdmctl run: one reservation" wait_for 60 site_has_one
id=$(site_list '.[0].id')
unit=$(site_list '.[0].unit')
check "QEMU has its memory" wait_for 120 has_memory "$unit"
is "nobody else has a node" "$(site_leaks | grep -vF "$unit")" ""
systemctl kill --signal=KILL cdmd
check "cdmd was killed: it comes back and has the reservation" wait_for 60 site_has_one
is "the same" "$(site_list '.[].id')" "$id"
check "QEMU has its memory" has_memory "$unit"
check_status 125 "more than allowed is refused" timeout 120 cdmctl run hbm 100% --nodes "$first" --mem-policy none -- "${qemu[@]}"
like "with cdmd's sentence" "$output" '^cdmctl: .*40-root.conf'
is "which leaves nothing" "$(site_list '.[].id')" "$id"
systemctl kill --kill-whom=all "$unit" 2>/dev/null || systemctl kill --kill-who=all "$unit"
wait $runs
check "it ends with QEMU" wait_for 60 site_gone

# start UNIT: a service that is a machine
start() {
        timeout 120 systemd-run --quiet --collect --unit="$1" --property=Type=exec "${qemu[@]}"
}
for time in first second; do
        check "a service with Static= starts for the $time time" start vm-alpha
        check "and has its memory" wait_for 120 has_memory vm-alpha.service
        is "by one reservation" "$(site_list 'map("\(.pool) \(.size) \(.unit) \(.state)") | join(";")')" \
                "hbm $((64 << 20)) vm-alpha.service active"
        check_status 1 "one that cannot have what it needs does not start" start vm-big
        check "with cdmd's sentence in its journal" said vm-big 'cdmctl: '
        like "which names the rule or the pool" "$(said vm-big 'cdmctl: ')" '24-big.conf|free|full|pool'
        is "and leaves nothing" "$(site_list '[.[].unit] | join(" ")')" vm-alpha.service
        systemctl stop vm-alpha
        check "it ends with its unit" wait_for 60 site_gone
        is "and nobody has a node" "$(site_leaks)" ""
        systemctl reset-failed 2>/dev/null
done
site_down
finish
