#!/bin/bash
# Machines of libvirt and systemd-nspawn: Static= for their scopes, whose names are new each time.
# site: machines
# seconds: 400
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
# shellcheck source=tests/vm/guest/machines.sh
. /usr/lib/cdmd-vm/machines.sh
site_up
first=$(cdmctl nodes --json=short | jq '[.[] | select(.pool == "hbm") | .node][0]')
site_rule 24-big 'Pool=hbm' 'Unit=machine-qemu*big.scope machine-toobig.scope' -- 'Static=100%' 'StaticRequired=yes'
site_rule 25-alpha 'Pool=hbm' 'Unit=machine-qemu\x2d*\x2dalpha.scope machine-box*.scope' -- 'Static=128M' 'StaticRequired=yes' "Nodes=$first"
check "rules for machines are taken" cdmctl reload
# drop_ins: for scopes of machines
drop_ins() {
        find /run/systemd -path '*/machine-.scope.d/30-cdmd-static.conf'
}
like "a drop-in for their scopes is there" "$(drop_ins)" machine

# said TEXT: cdmd's sentence in the journal of a unit that reserves
said() {
        journalctl --sync
        journalctl --identifier=cdmctl --output=cat --no-pager | grep -F -- "$1"
}
reserved() {
        site_list 'map("\(.pool) \(.size) \(.unit) \(.uid) \(.state)") | join(";")'
}
# is_bound: QEMU has bound the memory of its guest to the node
is_bound() {
        grep "bind[^ ]*:$first" "/proc/$(cat /run/libvirt/qemu/alpha.pid)/numa_maps"
}

# --- systemd-nspawn ---
machines_root /var/lib/machines/box
mkdir -p /var/lib/machines/box/usr
# nspawn NAME COMMAND...
nspawn() {
        local name=$1
        shift
        timeout 120 systemd-nspawn --quiet --machine="$name" --directory=/var/lib/machines/box --register=yes --as-pid2 \
                --private-network --link-journal=no --resolv-conf=off --timezone=off --console=pipe "$@"
}
check "a machine of nspawn starts" nspawn box-1 /bin/grep Mems_allowed_list /proc/self/status
like "and is born with its node" "$output" "Mems_allowed_list:.*$first\$"
check "it ends with the machine" wait_for 60 site_gone
check "another one starts" nspawn other /bin/grep Mems_allowed_list /proc/self/status
like "and is fenced, because no rule is for it" "$output" 'Mems_allowed_list:[[:space:]]0-1$'
check_status 1 "one that cannot have what it needs does not start" nspawn toobig /bin/grep Mems_allowed_list /proc/self/status
like "which nspawn says" "$output" "failed with 'dependency'"
check "its journal has cdmd's sentence" said 'machine-toobig.scope gets no CDM memory'
check "nothing is left" wait_for 60 site_gone

# --- libvirt ---
check "libvirt is up" libvirt_up
check "alpha is defined" libvirt_define alpha "$first" 32
check "big is defined" libvirt_define big "$first" 32
check "poor is defined" libvirt_define poor "$first" 32
check "alpha starts" libvirt_start alpha
unit=$(libvirt_scope alpha)
is "by one reservation for its scope" "$(reserved)" "hbm $((128 << 20)) $unit 0 active"
check "its memory is bound to the node" is_bound
is "nobody else has a node" "$(site_leaks | grep -vF "$unit")" ""
id=$(site_list '.[0].id')

check_status 1 "one without a rule does not start: QEMU may not bind" libvirt_start poor
like "which libvirt says" "$output" 'Invalid argument'
check_status 1 "one that cannot have what it needs does not start" libvirt_start big
like "libvirt says of that that a dependency failed" "$output" "failed with 'dependency'"
check "its journal has cdmd's sentence" said 'x2dbig.scope gets no CDM memory'
mkdir -p /etc/libvirt/hooks
cp /usr/share/doc/cdmd/examples/libvirt/qemu /etc/libvirt/hooks/qemu
systemctl restart libvirtd
check "libvirt is back, with the hook" wait_for 60 timeout 60 virsh list
check_status 1 "with the hook it does not start either" libvirt_start big
like "and libvirt has cdmd's sentence" "$output" 'cdmctl: .*'
is "alpha has what it had" "$(site_list '[.[].id] | join(" ")')" "$id"
check "and its memory" is_bound

systemctl kill --signal=KILL cdmd
check "cdmd was killed: it comes back and has the reservation" wait_for 60 site_has_one
is "the same" "$(site_list '.[].id')" "$id"
check "alpha has its memory" is_bound
check "alpha is ended" timeout 120 virsh destroy alpha
check "the reservation ends with it" wait_for 60 site_gone
is "and nobody has a node" "$(site_leaks)" ""

check "alpha starts again, with the hook" libvirt_start alpha
check "under another name" test "$(libvirt_scope alpha)" != "$unit"
unit=$(libvirt_scope alpha)
is "by one reservation for that" "$(reserved)" "hbm $((128 << 20)) $unit 0 active"
check "its memory is bound to the node" is_bound
check "alpha is ended" timeout 120 virsh destroy alpha
check "the reservation ends with it" wait_for 60 site_gone

systemctl mask --quiet --runtime --now cdmd
check_status 1 "without cdmd it does not start" libvirt_start alpha
like "and libvirt says why" "$output" 'cdmd cannot be reached'
systemctl unmask --quiet --runtime cdmd
check "cdmd is there again" systemctl start cdmd
is "with nothing reserved" "$(site_list length)" 0

rm /etc/cdm/policy.d/2[45]-*.conf
check "without the rules" cdmctl reload
is "no drop-in is left" "$(drop_ins)" ""
for name in alpha big poor; do timeout 60 virsh undefine $name >/dev/null; done
rm -f /etc/libvirt/hooks/qemu /tmp/{alpha,big,poor}.xml
systemctl stop libvirtd 'libvirtd*.socket'
site_down
finish
