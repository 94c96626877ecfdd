#!/bin/bash
# Many daemon-reloads while grants and releases go on: in the end every leaf has what the ledger says.
# suites: bookworm
# last
# seconds: 50
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
reloads=16 grants=4 releases=2
[ -z "$CDMD_SOAK" ] || reloads=200 grants=10 releases=5

site_up

units='train-0 train-1 train-2 train-3'
printf '[Service]\nExecStart=sleep infinity\n' | tee /run/systemd/system/train-{0,1}.service >/dev/null
systemctl daemon-reload
systemctl start train-0 train-1
for unit in train-2 train-3; do
        systemd-run --quiet --unit=$unit sleep infinity
done
check "a user has his own" systemd-run --quiet --uid=alice --unit=alices sleep infinity

# reload N: at least so many, one after the other, until enough was granted; PID 1 may be busy for longer than busctl waits
reload() {
        local i
        for ((i = 0;; i++)); do
                [ $i -lt "$1" ] || [ ! -e /tmp/enough ] || break
                busctl --quiet --timeout=300 call org.freedesktop.systemd1 /org/freedesktop/systemd1 \
                        org.freedesktop.systemd1.Manager Reload || break
        done
        echo "$i" >>/tmp/reloaded
}

# differ: cgroups that have not what the ledger says
differ() {
        local leaf nodes unit expected
        cdmctl list --json=short | jq --raw-output '.[] | "\(.unit) \(.nodes[].node)"' >/tmp/ledger
        site_leaves | while read -r leaf nodes; do
                unit=${leaf##*/}
                expected=0-1
                ! grep -qx "$unit 3" /tmp/ledger || expected=0-1,3
                ! grep -qx "$unit 2" /tmp/ledger || { [ $expected = 0-1 ] && expected=0-2 || expected=0-3; }
                [ "$nodes" = $expected ] || echo "$unit has $nodes, not $expected"
        done
        return 0
}
# none_differs: likewise
none_differs() {
        [ -z "$(differ)" ]
}

start=$SECONDS
reload $((reloads / 2)) &
reload $((reloads - reloads / 2)) &
granted=0 released=0 failed=0 i=0
ids=()
while [ -n "$(jobs -rp)" ]; do
        # shellcheck disable=SC2086 # words
        set -- $units
        shift $((i % $#))
        if id=$(cdmctl request hbm 16M --unit "$1.service" --nodes $((2 + i / 2 % 2)) 2>>/tmp/errors); then
                granted=$((granted + 1))
                ids+=("$id")
        else
                failed=$((failed + 1))
        fi
        if [ ${#ids[@]} -gt 2 ]; then
                if cdmctl release "${ids[0]}" >>/tmp/errors 2>&1; then released=$((released + 1)); else failed=$((failed + 1)); fi
                ids=("${ids[@]:1}")
        fi
        i=$((i + 1))
        [ $granted -lt $grants ] || [ $released -lt $releases ] || touch /tmp/enough
        # Without this a request that fails each time would never end.
        [ $failed -lt 50 ] || touch /tmp/enough
done
wait
echo "# $((SECONDS - start)) s for $reloads reloads, $granted grants and $released releases; drift was repaired $(vm_status drift_repaired) times"
cdmctl status | sed 's/^/# /'
like "there are leaves to compare, open ones too" "$(site_leaves)" 'train-[0-3]\.service 0-(2|3|1,3)'
check "PID 1 reloaded $reloads times or more" test "$(awk '{ n += $1 } END { print n }' /tmp/reloaded)" -ge $reloads
check "grants and releases went on meanwhile" test $granted -ge $grants -a $released -ge $releases
is "none of them failed" "$failed" 0
[ $failed = 0 ] || sed 's/^/# /' /tmp/errors
check "every leaf has what the ledger says" wait_for 60 none_differs
is "(those that have not)" "$(differ)" ""
# What was seen open in between is looked at again soon.
check "the fence is closed" wait_for 300 vm_fence_is closed
vm_fence_is closed || cdmctl status | sed 's/^/# /'
is "there was no fight" "$(cdmctl status --json=short | jq '.fights | length')" 0
like "reservations are there to be compared" "$(cdmctl list --json=short | jq length)" '^[1-9]'

for id in "${ids[@]}"; do cdmctl release "$id" >/dev/null; done
is "released, nobody has a node" "$(site_leaks)" ""
# shellcheck disable=SC2086 # words
systemctl stop $units alices
rm -rf /tmp/{enough,reloaded,errors,ledger} /run/systemd/system/train-?.service
systemctl daemon-reload
site_down
finish
