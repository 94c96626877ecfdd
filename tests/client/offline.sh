#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# nodes, pools and explain without a daemon, below a root directory: values, keys, nulls, exit statuses.

. "${srcdir:-.}/tests/client/common.sh"

node_keys="['node','pool','size','free','used','reserved','unattributed','online','device',
'read_bandwidth_mbps','read_latency_ns','initiators','tier','evidence']"
pool_keys="['name','nodes','size','reserved','available','used','hold']"

make_root hbm4
run 0 nodes --offline --root="$root" --json=short
[ "$(wc -l <"$scratch/out")" -eq 1 ] || complain "short is not one line"
json 'len(d) == 4'
json "all(list(n) == $node_keys for n in d)"
json "[n['pool'] for n in d] == [None, None, 'cdm', 'cdm']"
json "d[2]['size'] == 2 << 30 and d[2]['used'] == 0 and d[2]['tier'] == 1 and d[2]['online'] is True"
json "d[2]['read_bandwidth_mbps'] == 800000 and d[2]['initiators'] == [0] and d[2]['device'] == 'dax2.0'"
json "all(n['reserved'] is None and n['unattributed'] is None for n in d)"
run 0 nodes --offline --root="$root" --json
json 'len(d) == 4'
run 0 nodes --offline --root="$root" --json=off
says out 'NODE POOL'
run 0 nodes --offline --root="$root" --no-legend --no-pager
if grep -q NODE "$scratch/out"; then complain "--no-legend prints headings"; fi

run 0 pools --offline --root="$root" --json=pretty
json "len(d) == 1 and list(d[0]) == $pool_keys"
json "d[0]['nodes'] == [2, 3] and d[0]['size'] == 4 << 30 and d[0]['used'] == 0 and d[0]['hold'] is False"
json "d[0]['reserved'] is None and d[0]['available'] is None"

# a machine without CDM nodes is no error
make_root plain
run 0 pools --offline --root="$root" --json=short
json 'd == []'
run 0 nodes --offline --root="$root"

# explain exits as the request would, and names the rule
make_root hbm4
explain="explain --offline --root=$root"
# shellcheck disable=SC2086
{
        run 0 $explain cdm 512M --unit train-1 --user trainer --json=short
        json "d['verdict'] == 'granted' and d['size'] == 512 << 20 and sum(n['size'] for n in d['nodes']) == d['size']"
        json "'/etc/cdm/policy.d/10-train.conf:' in d['policy']"
        json "list(d) == ['verdict', 'reason', 'policy', 'size', 'nodes']"
        run 0 $explain cdm 25% --unit train-1.service --user 4711
        says out 'granted'
        run 3 $explain cdm 2G --unit train-1 --user trainer
        says out '10-train.conf:6'
        # for nobody: no rule with a user or a group
        run 3 $explain cdm 1M --unit train-1 --for-nobody
        says out 'and no user'
        run 2 $explain cdm 1M --unit train-1 --for-nobody --user trainer
        printf '[Match]\nSlice=system.slice\n[Grant]\nLimit=1M\n' >"$root/etc/cdm/policy.d/95-nobody.conf"
        run 0 $explain cdm 1M --unit train-1 --for-nobody
        says out '95-nobody.conf'
        rm "$root/etc/cdm/policy.d/95-nobody.conf"
        # labels, and for another user
        printf '[Match]\nLabel=slurm.account=ml-*\nUser=trainer\n[Grant]\nLimit=1M\n' >"$root/etc/cdm/policy.d/02-label.conf"
        run 0 $explain cdm 1M --unit other --for-user trainer --label slurm.account=ml-x --label a.b=c
        says out '02-label.conf'
        run 3 $explain cdm 1M --unit other --for-user trainer --label slurm.account=bio
        run 3 $explain cdm 1M --unit other --for-user root --label slurm.account=ml-x
        run 2 $explain cdm 1M --unit other --for-user trainer --user trainer
        run 2 $explain cdm 1M --unit other --for-user trainer --for-nobody
        run 1 $explain cdm 1M --unit other --for-user no-such-user
        rm "$root/etc/cdm/policy.d/02-label.conf"
        run 3 $explain cdm 1M --unit other --user trainer
        says out 'denied'
        run 3 $explain cdm 1M --unit train-1 --user root
        says out '90-root.conf'
        run 0 $explain cdm 1G --unit other --user guest
        run 4 $explain cdm 4G --unit other --user guest --json=short
        json "d['verdict'] == 'full'"
        run 0 $explain cdm 1G --cgroup /system.slice/x.service --user guest
        run 3 $explain cdm 1G --cgroup /user.slice/user-4712.slice/session-1.scope --user guest
        run 0 $explain cdm 1G --unit other --user guest --nodes 3 --json=short
        json "[n['node'] for n in d['nodes']] == [3]"
        run 1 $explain nosuch 1G --unit train-1 --user trainer
        run 1 $explain cdm 1G --unit train-1 --user nobody-here
        says err 'nobody-here'
        run 1 $explain cdm 1G --unit other --user guest --nodes 0
        run 1 $explain cdm 1G --unit other --user guest --near 0000:00:1f.7
}

# which device a node belongs to
make_root cxl
run 0 nodes --offline --root="$root" --json=short
json "[n['device'] for n in d] == [None, None, 'mem0', 'region1', 'mem3']"
make_root coherent
run 0 nodes --offline --root="$root" --json=short
json "[n['device'] for n in d] == [None, None, '0009:01:00.0', '0019:01:00.0']"

# near: a device's own memory, else what is nearest to the node that it hangs on; --nodes has the last word
explain="explain --offline --root=$root cdm 512M --unit other --user guest --json=short"
# shellcheck disable=SC2086
{
        for case in 0009:01:00.0=2 0019:01:00.0=3 0000:65:00.0=3 65:00.0=3 0000:66:00.0=2; do
                run 0 $explain --near "${case%=*}"
                json "[n['node'] for n in d['nodes']] == [${case#*=}]"
        done
        run 0 $explain --near 0019:01:00.0 --nodes 2
        json "[n['node'] for n in d['nodes']] == [2]"
        run 1 $explain --near 0000:67:00.0
        says err 'there is no PCI device 0000:67:00.0'
        run 2 $explain --near 67
        says err 'no PCI address'
        run 1 $explain --nodes 0-2
        says out 'nodes'
}

# demotion past cpusets: nobody can be alone on a slower node
make_root cxl
printf '[Match]\nUser=guest\n[Grant]\nLimit=infinity\nExclusive=yes\n' >"$root/etc/cdm/policy.d/00-guest.conf"
explain="explain --offline --root=$root cdm 512M --unit other --user guest"
# shellcheck disable=SC2086
{
        run 0 $explain
        run 3 $explain --exclusive
        says out 'demote'
        echo 6.16.0 >"$root/proc/sys/kernel/osrelease"
        run 0 $explain --exclusive
}

make_root hbm4
explain="explain --offline --root=$root"
# a terminal never sees what a file smuggles in
printf '[Match]\nPool=cdm\nUnit=train-*\nFoo=\033[31m\n' >"$root/etc/cdm/policy.d/30-bad.conf"
# shellcheck disable=SC2086
run 1 $explain cdm 1M --unit train-1 --user trainer
says err '30-bad.conf:4'
if grep -q "$(printf '\033')" "$scratch/err"; then complain "an escape reached the terminal"; fi

run 1 nodes --offline --root="$scratch/nothing"
says err 'sys/devices/system/node'
finish
