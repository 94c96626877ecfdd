#!/bin/bash
# Long-term pins (RDMA, VFIO, registered buffers of io_uring): the kernel moves pages out of ZONE_MOVABLE before it
# pins them, and pinned pages move no more. What that means for exact buffers, and for what a grant let a unit have.
# hotplug
# last
# suites: bookworm
# seconds: 50
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
pages=$((16 * 256))

# told REGEX: vm-pin has said so
told() {
        grep -q -x "$1" /tmp/pin
}
# pid: vm-pin's
pid() {
        awk '$1 == "ready" { print $2 }' /tmp/pin
}
# now: where its pages are
now() {
        local n
        n=$(grep -c '^now ' /tmp/pin)
        kill -USR1 "$(pid)"
        wait_for 30 sh -c "[ \$(grep -c '^now ' /tmp/pin) -gt $n ]"
        grep '^now ' /tmp/pin | tail -n 1
}
now_is() {
        [ "$(now)" = "now $1" ]
}
warns() {
        cdmctl status --json=short | jq --exit-status '[.warnings[] | select(test("exact buffers"))] | length == 1'
}
warns_not() {
        cdmctl status --json=short | jq --exit-status '[.warnings[] | select(test("exact buffers"))] | length == 0'
}
# The kernel's own memory for the unit, some bytes, may come to the node as well.
no_buffer() {
        [ "$(vm_show "$id" used)" -lt $((1 << 20)) ]
}

site_up
echo online_movable >/sys/devices/system/memory/auto_online_blocks
check "memory is plugged into node 4" vm-monitor object_add memory-backend-ram,id=hm,size=512M
check "(the DIMM)" vm-monitor device_add pc-dimm,id=d0,memdev=hm,node=4
has_joined() {
        cdmctl nodes --json=short | jq --exit-status '.[] | select(.node == 4) | .pool == "hbm" and .size > 400000000'
}
check "it joins the pool" wait_for 60 has_joined
is "node 4 is all movable" "$(cat /sys/devices/system/node/node4/memory*/valid_zones | sort -u)" Movable
is "node 2 is not" "$(cat /sys/devices/system/node/node2/memory*/valid_zones | sort -u)" Normal

# --- an exact buffer
systemd-run --quiet --collect --unit=train-a sleep infinity
check "ordinary zones: a reservation on node 2" cdmctl request hbm 64M --unit train-a.service --nodes 2
id=$output
check "its buffer is pinned" vm_start /tmp/pin cdmctl buffer "$id" 16M -- vm-pin
check "and stays where it is" told "after 2=$pages"
kill "$(pid)"
check "it is given back" wait_for 60 no_buffer
check "that reservation ends" cdmctl release "$id"

check "movable zone: a reservation on node 4" cdmctl request hbm 64M --unit train-a.service --nodes 4
id=$output
check "its buffer is pinned" vm_start /tmp/pin cdmctl buffer "$id" 16M -- vm-pin
check "it was there before" told "before 4=$pages"
check "the kernel has moved it off to pin it" told "after [01]=.*"
check "status warns of it" wait_for 60 warns
check "the journal tells" wait_for 20 journalctl --quiet --boot --unit cdmd --grep 'are still elsewhere'
kill -USR2 "$(pid)"
check "once it is unpinned" wait_for 30 told unpinned
check "it comes back" wait_for 60 now_is "4=$pages"
check "and status warns no more" wait_for 30 warns_not
kill "$(pid)"
check "it is given back" wait_for 60 no_buffer
check "that reservation ends" cdmctl release "$id"
systemctl stop train-a

# --- memory of a unit that has a grant
# pins NODE: a service that has 16M there, and pins them
pins() {
        rm -f /run/go
        systemd-run --quiet --collect --unit=train-b --property=StandardOutput=truncate:/tmp/pin \
                sh -c "until [ -e /run/go ]; do sleep 0.1; done; exec /usr/lib/cdmd-tests/vm-pin $((pages * 4096)) $1"
        cdmctl request hbm 64M --unit train-b.service --nodes "$1" || return
        touch /run/go
        wait_for 60 told 'ready .*'
}
check "ordinary zones: a unit pins what it has on node 2" pins 2
check "which stays there" told "after 2=$pages"
check "a release leaves it" cdmctl release "$(site_list '.[] | select(.unit == "train-b.service") | .id')"
like "and says so" "$output" 'could not be moved'
like "by the name of the unit" "$(cdmctl who --no-legend)" 'residue .*train-b.service'
systemctl stop train-b
check "with the unit it goes" wait_for 60 site_gone
check "movable zone: a unit pins what it has on node 4" pins 4
check "which leaves for that" told "after [01]=.*"
check "so a release finds the node empty" cdmctl release "$(site_list '.[] | select(.unit == "train-b.service") | .id')"
check "and node 4 can be drained" cdmctl drain 4
systemctl stop train-b
check "nothing is left" wait_for 60 site_gone
check "node 4 is in use again" cdmctl undrain 4
site_down
finish
