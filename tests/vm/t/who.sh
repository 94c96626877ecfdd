#!/bin/bash
# Who has what on a CDM node: every byte has a name, whatever it is.
# suites: trixie
# dbus-broker
# seconds: 40
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
MIB=$((1 << 20))

# who QUERY: jq, over the rows of node 2
who() {
        cdmctl who 2 --json=short | jq --raw-output "$1"
}

# has KEY MIB: train-who is listed with at least that much
has() {
        [ "$(who "[.[] | select(.unit == \"train-who.service\" and .kind == \"reserved\") | .$1] | add // 0")" -ge $(($2 * MIB)) ]
}

# adds_up NODE: its rows are what is used of it. The kernel's numbers of cgroups lag behind by up to two seconds.
adds_up() {
        local sum
        sum=$(cdmctl who "$1" --json=short | jq '[.[].bytes] | add // 0')
        off=$(((sum - $(vm_node_used "$1")) / 1024))
        [ ${off#-} -le 2048 ]
}

# all_add_up WHEN
all_add_up() {
        local node
        for node in 2 3; do
                adds_up $node || :
                echo "# node $node, at once: $off KiB off"
                if wait_for 60 adds_up $node; then
                        ok "$1: node $node adds up ($off KiB)"
                else
                        fail "$1: node $node adds up" "$off KiB off" "$(cdmctl who $node)"
                fi
        done
}

# Whoever asked for the hugetlb controller before, as container managers do: first, nobody counts huge pages.
find /sys/fs/cgroup -depth -name cgroup.subtree_control -exec grep -qw hugetlb {} \; -exec sh -c 'echo -hugetlb >"$1"' sh {} \;
# Before there is a fence: huge pages, and page cache of a unit that ends.
echo 8 >/sys/devices/system/node/node2/hugepages/hugepages-2048kB/nr_hugepages
systemd-run --quiet --unit=gone vm-hog --node 2 --mb 12 --file /var/tmp/gone
wait_for 60 sh -c 'journalctl --unit gone --quiet | grep -q ready'
systemctl stop gone
site_up

# One service with all kinds of memory; it starts each when its file appears.
# shellcheck disable=SC2016 # expands in the service
systemd-run --quiet --collect --unit=train-who --setenv=PATH="$PATH" bash -c '
        await() { until [ -e /run/who/$1 ]; do sleep 0.1; done; }
        await 1
        vm-hog --node 2 --mb 40 &
        vm-hog --node 2 --mb 24 --shm &
        vm-hog --node 2 --mb 16 --file /var/tmp/who &
        vm-hog --node 2 --mb 4 --huge &
        await 2
        vm-hog --node 2 --mb 6 --huge &
        wait
'
check "it is granted" cdmctl request hbm 256M --unit train-who.service --nodes 2
all_add_up "with little there"
mkdir -p /run/who
: >/run/who/1
check "its anonymous memory" wait_for 60 has anon 40
check "its page cache" wait_for 60 has file 16
check "its shared memory" wait_for 60 has shmem 24
is "what huge pages hold is the system's, where nobody counts them" \
        "$(who '[.[] | select(.kind == "unattributed" and .cgroup == null and (.name | startswith("hugetlb"))) | .hugetlb] | add')" $((16 * MIB))
check "page cache of a unit that ended is named by its slice" \
        test "$(who '[.[] | select(.cgroup == "/system.slice" and .kind == "residue") | .file] | add // 0')" -ge $((12 * MIB))
all_add_up "with all kinds of memory"
like "status says that huge pages are there" "$(cdmctl status --json=short | jq --raw-output '.warnings[]')" '16M of the system.s huge pages are on CDM nodes \(2\)'
echo "# unattributed: $(who '[.[] | select(.kind == "unattributed") | "\(.bytes) \(.name)"] | join("; ")')"

other=$(who '[.[] | select(.kind == "unattributed" and (.name | startswith("other"))) | .bytes] | add // 0')
check "of little nothing is known ($((other / 1024)) KiB)" test "$other" -le $((16 * MIB))

if grep -qw hugetlb /sys/fs/cgroup/cgroup.controllers; then
        echo +hugetlb >/sys/fs/cgroup/cgroup.subtree_control
        echo +hugetlb >/sys/fs/cgroup/system.slice/cgroup.subtree_control
        : >/run/who/2
        check "with the hugetlb controller they are the cgroup's" wait_for 60 has hugetlb 6
        is "and no longer the pool's" "$(who '[.[] | select(.kind == "unattributed") | .hugetlb] | add')" $((10 * MIB))
        all_add_up "with the hugetlb controller"
else
        skip "huge pages by cgroup" "this kernel has no hugetlb controller"
fi
check "as a table" cdmctl who 2
like "which says what is not in a cgroup" "$output" 'hugetlb: '

systemctl stop train-who
rm -f /var/tmp/who
check "its reservation ends" wait_for 60 site_gone
all_add_up "after its end"
echo 0 >/sys/devices/system/node/node2/hugepages/hugepages-2048kB/nr_hugepages
is "the warning goes with its cause" "$(cdmctl status --json=short | jq --raw-output '.warnings[]' | grep 'huge pages')" ""
rm -rf /run/who /var/tmp/gone
site_down
finish
