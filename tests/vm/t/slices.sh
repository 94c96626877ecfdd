#!/bin/bash
# What an ancestor of a unit allows: a slice, or a cgroup of somebody else's, without an ordinary node opens those below it.
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
top=/sys/fs/cgroup
dir=$top/ex.slice/ex-in.slice

# has CGROUP NODES: what it can have
has() {
        [ "$(cat "$top$1/cpuset.mems.effective")" = "$2" ]
}
# own CGROUP NODES: what its cpuset.mems says
own() {
        [ "$(cat "$top$1/cpuset.mems")" = "$2" ]
}
# allows UNIT NODES: what systemd thinks
allows() {
        [ "$(systemctl show --property=AllowedMemoryNodes --value "$1")" = "$2" ]
}
# told UNIT REGEX: the reason of an event "drift" about it
told() {
        journalctl --unit cdmd --output=json CDM_EVENT=drift CDM_UNIT="$1" | jq --raw-output .CDM_REASON | grep -Eq "$2"
}
# status QUERY: a jq query over the status
status() {
        cdmctl status --json=short | jq --raw-output "$1"
}

site_write
site_rule 05-ex 'Pool=hbm' 'Unit=ex-*.service' -- 'Limit=256M'
systemctl enable --quiet cdmd
check "cdmd starts" systemctl start cdmd
systemd-run --quiet --unit=ex-one --slice=ex-in.slice sleep infinity
systemd-run --quiet --unit=ex-two --slice=ex.slice sleep infinity
one=/ex.slice/ex-in.slice/ex-one.service two=/ex.slice/ex-two.service
check "two units are fenced" wait_for 30 has $one 0-1
has $two 0-1 || fail "both of them"

systemctl set-property --runtime ex.slice AllowedMemoryNodes=2
check "a slice that is left a device's node only is closed" wait_for 30 has $one 0-1
check "for all that is in it" wait_for 30 has $two 0-1
is "it keeps what it was given, with ordinary nodes" "$(cat $top/ex.slice/cpuset.mems)" 0-2
check "systemd has the same idea" wait_for 30 allows ex.slice 0-2
check "the slice is told of" wait_for 30 told ex.slice "no ordinary node"
is "the units are not" "$(journalctl --unit cdmd CDM_UNIT=ex-one.service CDM_UNIT=ex-two.service --output=cat)" ""
systemctl daemon-reload
check "it stays so over a daemon-reload" wait_for 30 own /ex.slice 0-2
is "and closed" "$(vm_status fence)" closed

check "a node of it can be had" cdmctl request hbm 64M --unit ex-two.service --nodes 2
is "as reserved" "$(cat $top$two/cpuset.mems.effective)" 0-2
check "and given back" cdmctl release "$output"

echo 3 >$dir/cpuset.mems
check "one in it that is written to by hand is closed" wait_for 30 has $one 0-1
check "and told of" wait_for 30 told ex-in.slice "no ordinary node"
is "with what was written" "$(cat $dir/cpuset.mems)" 0-1,3

# What a slice leaves of the ordinary nodes is a will of its own.
systemctl set-property --runtime ex.slice AllowedMemoryNodes=1-2
check "a slice may leave some ordinary nodes only" wait_for 30 has $two 1
echo 0 >$top$two/cpuset.mems
check "a unit of which it allows none gets those of the slice" wait_for 30 own $two 1
is "which stays as it is" "$(cat $top/ex.slice/cpuset.mems)" 1-2

systemctl stop ex-one ex-two
wait_for 30 has /ex.slice 1-2
echo 2-3 >$top/ex.slice/cpuset.mems
check "a slice in which nothing runs is closed, too" wait_for 30 own /ex.slice 0-3

# cpuset partitions change CPUs only.
systemd-run --quiet --unit=part-one --slice=part.slice sleep infinity
systemctl set-property --runtime part.slice AllowedCPUs=1
for type in root isolated; do
        echo $type >$top/part.slice/cpuset.cpus.partition
        like "a partition, $type" "$(cat $top/part.slice/cpuset.cpus.partition)" "^$type"
        check "changes nothing" has /part.slice/part-one.service 0-1
        echo 2 >$top/part.slice/cpuset.mems
        check "and a set of a device's node there is closed" wait_for 30 own /part.slice 0-2
        is "for the unit in it" "$(cat $top/part.slice/part-one.service/cpuset.mems.effective)" 0-1
done
echo member >$top/part.slice/cpuset.cpus.partition
systemctl stop part-one

# Without the controller a unit has no set of its own.
# can UNIT NODES: its main process can have memory there
can() {
        [ "$(awk '$1 == "Mems_allowed_list:" { print $2 }' "/proc/$(site_pid "$1")/status")" = "$2" ]
}
systemd-run --quiet --unit=ex-one --slice=ex-in.slice sleep infinity
systemd-run --quiet --unit=ex-two --slice=ex.slice sleep infinity
check "with a unit in each slice" wait_for 30 can ex-one 0-1
check "ex-two.service has node 2" cdmctl request hbm 64M --unit ex-two.service --nodes 2
id=$output
echo -cpuset >$top/ex.slice/ex-in.slice/cgroup.subtree_control
check "a slice that loses the cpuset controller has it again" wait_for 30 grep -qw cpuset $top/ex.slice/ex-in.slice/cgroup.subtree_control
check "what is in it is closed" wait_for 30 can ex-one 0-1
check "and the slice told of" wait_for 30 told ex-in.slice "does not enable the cpuset controller"
check "the fence is closed" wait_for 60 vm_fence_is closed
echo -cpuset >$top/ex.slice/ex-in.slice/cgroup.subtree_control
echo -cpuset >$top/ex.slice/cgroup.subtree_control
check "so it is with one above" wait_for 30 told ex.slice "does not enable the cpuset controller"
check "for all that is in it" wait_for 30 can ex-one 0-1
check "a reservation is kept" wait_for 30 can ex-two 0-2
check "the fence is closed" wait_for 60 vm_fence_is closed
check "(released)" cdmctl release "$id"
mkdir -p /run/systemd/system/off.slice.d
printf '[Slice]\nDisableControllers=cpuset\n' >/run/systemd/system/off.slice.d/off.conf
systemctl daemon-reload
systemd-run --quiet --unit=off-one --slice=off.slice sleep infinity
check "a unit in a slice with DisableControllers=cpuset is closed" wait_for 30 can off-one 0-1
check "the slice is told of" wait_for 30 told off.slice "does not enable the cpuset controller"
systemd-run --quiet --unit=off-two --slice=off.slice sleep infinity
check "so is the next one" wait_for 30 can off-two 0-1
check "the fence is closed" wait_for 60 vm_fence_is closed
systemctl stop off-one off-two

# While cdmd is not there
systemctl stop cdmd
echo 2 >$top/ex.slice/cpuset.mems
echo 2 >$dir/cpuset.mems
check "without cdmd two slices above a unit open it" has $one 2
systemctl start cdmd
is "cdmd closes it as it starts" "$(cat $top$one/cpuset.mems.effective)" 0-1
like "both have ordinary nodes" "$(cat $top/ex.slice/cpuset.mems.effective $dir/cpuset.mems.effective | paste -sd' ')" '^0-[23] 0-[23]$'
is "all of it" "$(vm_status fence)" closed
is "nobody fights" "$(status '.fights | length')" 0

# fights CGROUP: about it
fights() {
        status '.fights[] | tojson' | grep -F "\"$1\""
}
(while echo 2 >$top/ex.slice/cpuset.mems; do sleep 0.1; done) &
writer=$!
check "who sets a slice again and again is in a fight" wait_for 60 fights /ex.slice
like "with its name and the cause" "$(fights /ex.slice)" 'no ordinary node.*cpuset.mems'
check "which the journal tells" wait_for 30 journalctl --quiet --unit cdmd --grep 'the nodes of /ex.slice are changed again and again'
check_status 1 "and --check finds" cdmctl status --check
kill $writer
wait $writer 2>/dev/null
check "when that ends it is closed" wait_for 60 own /ex.slice 0-2
[ -z "$CDMD_SOAK" ] || check "and the fight over" wait_for 180 eval '! fights /ex.slice'

systemctl stop ex-one ex-two ex.slice part.slice off.slice
rm -rf /run/systemd/system.control/{ex,ex-in,part}.slice.d /run/systemd/system/off.slice.d
systemctl daemon-reload
site_down
finish
