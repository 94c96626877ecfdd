#!/bin/bash
# A node is taken away from its tenants, for a reset or removal, and given back.
# suites: bookworm
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh

# on UNIT NODE: its bytes there
on() {
        vm_node_bytes "$(vm_cgroup "$1")" "$2"
}
answers() {
        cdmctl status
}

site_up
check_status 1 "an ordinary node cannot be drained" cdmctl drain 0
like "and cdmctl says why" "$output" 'ordinary memory'
check_status 1 "nor one that does not exist" cdmctl drain 9
like "with where to look" "$output" 'cdmctl nodes'
check_status 1 "a node that is not drained cannot be undrained" cdmctl undrain 2
check_status 3 "and not everybody may" vm_as alice 'cdmctl drain 2'
check_status 2 "'two' is no node" cdmctl drain two

check "a workload" vm_eat train-a 0 64M
check "another" vm_eat train-b 0 48M
check "has 128M of node 2" cdmctl request hbm 128M --unit train-a.service --nodes 2 --migrate
a=$output
check "and 64M of node 3" cdmctl request hbm 64M --unit train-a.service --nodes 3
a3=$output
check "the other 64M of node 2" cdmctl request hbm 64M --unit train-b.service --nodes 2 --migrate
b=$output
check "with pages there" test "$(on train-a.service 2)" -ge $((60 << 20))

check "the node is drained" bash -c 'cdmctl drain 2 --json=short >/tmp/drained'
like "its pages were moved" "$(jq .moved /tmp/drained)" '^[0-9]{8,}$'
is "nothing is left" "$(jq .residue /tmp/drained)" 0
is "of the one" "$(on train-a.service 2)" 0
is "of the other" "$(on train-b.service 2)" 0
is "the tenant keeps its other node" "$(site_mems train-a.service)" 0-1,3
is "the other has ordinary memory" "$(site_mems train-b.service)" 0-1
for id in "$a" "$b"; do check "reservation $id is degraded" vm_state_is "$id" degraded; done
check "that on the other node is active" vm_state_is "$a3" active
is "their terms are kept" "$(cdmctl show "$a" --json=short | jq '.nodes[0].size')" $((128 << 20))
like "nodes shows it" "$(cdmctl nodes)" 'drained'
like "status as well, with what to do" "$(cdmctl status)" 'cdmctl undrain 2'
check_status 4 "nothing is granted there" cdmctl request hbm 64M --nodes 2
check "elsewhere it is" cdmctl request hbm 64M
e=$output
is "on the other node" "$(cdmctl show "$e" --json=short | jq '.nodes[0].node')" 3
check "released" cdmctl release "$e"
check "draining it again finds it empty" cdmctl drain 2

systemctl kill --signal=KILL cdmd
check "cdmd is killed, and comes back" wait_for 60 answers
check "the node is drained still" bash -c 'cdmctl nodes | grep -q drained'
check "the reservation degraded" vm_state_is "$a" degraded
is "the node closed" "$(site_mems train-b.service)" 0-1
systemctl daemon-reload
is "also after a daemon-reload" "$(site_mems train-b.service)" 0-1
check "a tenant is released meanwhile" cdmctl release "$b"

sys=/sys/devices/system/node/node2
# set_memory online|offline
set_memory() {
        local block
        for block in $sys/memory[0-9]*/state; do
                [ "$(cat "$block")" = "$1" ] || echo "$1" >"$block" || return
        done
}
gone() {
        cdmctl nodes --json=short | jq --exit-status '.[] | select(.node == 2) | .online | not'
}
back() {
        cdmctl nodes --json=short | jq --exit-status '.[] | select(.node == 2) | .online'
}
if wait_for 2 set_memory offline; then
        check "cdmd sees that its memory is offline" wait_for 60 gone
        check "and online again" wait_for 60 set_memory online
        check "cdmd sees that as well" wait_for 60 back
else
        skip "its memory can be taken offline" "the kernel has data of its own there, since boot"
        wait_for 60 set_memory online
fi
check "it is drained all the while" vm_state_is "$a" degraded

check "it is taken into use again" cdmctl undrain 2
check "the reservation is restored" wait_for 60 vm_state_is "$a" active
is "its node is open" "$(site_mems train-a.service)" 0-3
check "its pages can be moved up" cdmctl migrate "$a"
check "and are there" test "$(on train-a.service 2)" -ge $((60 << 20))
check "no warning is left of it" bash -c '! cdmctl status | grep -q undrain'

# --- residue has a name
systemd-run --quiet --collect --unit=train-c bash -c 'until [ -e /tmp/go ]; do sleep 0.1; done
        dd if=/dev/zero of=/var/tmp/big bs=1M count=64 status=none; sync; touch /tmp/went; exec sleep infinity'
check "a tenant that makes page cache" cdmctl request hbm 128M --unit train-c.service --nodes 2
touch /tmp/go
check "writes a file" wait_for 60 test -e /tmp/went
status=0
cdmctl drain 2 --json=short >/tmp/drained 2>/dev/null || status=$?
left=$(jq .residue /tmp/drained)
if [ "$left" = 0 ]; then
        is "page cache is evicted: empty, exit status 0" $status 0
else
        is "page cache that stays: exit status 1" $status 1
        like "with its cgroup" "$(jq --raw-output '.holders[].cgroup' /tmp/drained)" '^/'
fi
is "what cdmctl says is so" "$(on train-c.service 2 file)" "$(jq '[.holders[] | select(.cgroup == "/system.slice/train-c.service") | .bytes] | add // 0' /tmp/drained)"
check "undrained" cdmctl undrain 2

rm -f /tmp/go /tmp/went /var/tmp/big
systemctl stop train-a train-b train-c
check "all reservations ended" wait_for 60 site_gone

# --- pages that were only read are on no node
# about BYTES MIB: within 2 MiB
about() {
        [ "$1" -ge $((($2 - 2) << 20)) ] && [ "$1" -le $((($2 + 2) << 20)) ] || { echo "$1"; return 1; }
}
systemd-run --quiet --collect --unit=train-z bash -c 'until [ -e /tmp/go ]; do sleep 0.1; done
        exec /usr/lib/cdmd-tests/vm-hog --prefer --node 2 --mb 128 --small --read 64 >/tmp/went'
check "a tenant" cdmctl request hbm 32M --unit train-z.service --nodes 2
z=$output
check "with as much again" cdmctl request hbm 32M --unit train-z.service --nodes 2
again=$output
touch /tmp/go
check "reads one half of its memory, and writes the other" wait_for 60 grep -q ready /tmp/went
check "which alone is on the node" about "$(on train-z.service 2 anon)" 64
check "one of its reservations is released" cdmctl release "$again"
check "the other has its bytes, and no more" about "$(on train-z.service 2 anon)" 32
check "the node is drained" bash -c 'cdmctl drain 2 --json=short >/tmp/drained'
check "what was moved is what had been there" about "$(jq .moved /tmp/drained)" 32
check "undrained" cdmctl undrain 2
check "and the reservation is restored" wait_for 60 vm_state_is "$z" active
check "its pages can be moved up" cdmctl migrate "$z"
check "and they are there" about "$(on train-z.service 2 anon)" 32
rm -f /tmp/go /tmp/went
systemctl stop train-z
check "its reservation ended" wait_for 60 site_gone
site_down
finish
