#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every verb that needs the daemon, against one that only talks, on a bus of its own.

. "${srcdir:-.}/tests/client/common.sh"

start_bus

# a bus, but nobody there
run 6 list
says err 'cannot be reached'
run 6 monitor

start_fake

# asked WORDS: the daemon was asked so last
asked() {
        tail -1 "$scratch/log" | grep -qxF -- "$1" || complain "asked for '$(tail -1 "$scratch/log")', not '$1'"
}

# keeps NAME: what was printed last has the keys that it always had, and cdmctl(1) has them all
keeps() {
        "$srcdir/tests/client/json-keys" "$srcdir/tests/data/json/$1" "$srcdir/man/cdmctl.1" <"$scratch/out" >"$scratch/keys" || {
                complain "the JSON of $1:"
                cat "$scratch/keys"
        }
}

keys="['id','pool','size','state','strength','unit','cgroup','uid','priority','nodes','used','policy','expires','requester','labels']"
run 0 list --json=short
json "len(d) == 1 and list(d[0]) == $keys"
json "d[0]['labels'] == {'slurm.account': 'ml', 'slurm.job': '7 7'}"
json "d[0]['id'] == 7 and d[0]['priority'] == -5 and d[0]['nodes'] == [{'node': 0, 'size': 64 << 20}]"
json "d[0]['expires'] is None and d[0]['uid'] == 0 and d[0]['unit'] == 'a\\x1b[31m.service'"
run 0 show 7 --json
json "list(d) == $keys"
run 0 show 7
says out 'a?[31m.service'
says out 'LABELS: slurm.account=ml, slurm.job=7 7'
run 0 list
says out 'STRENGTH'
run 1 show 8
says err 'there is no reservation 8'
run 0 nodes --json=short
json "d[0]['unattributed'] == 0 and d[0]['reserved'] == 64 << 20 and d[0]['device'] is None"
json "d[0]['tier'] is None and d[0]['read_bandwidth_mbps'] is None and d[0]['read_latency_ns'] == 90"
run 0 pools --json=short
json "d[0]['reserved'] == 64 << 20 and d[0]['available'] == 36 << 20 and d[0]['hold'] is False"
run 0 who --json=short
json "len(d) == 3 and list(d[0]) == ['node', 'cgroup', 'unit', 'bytes', 'anon', 'file', 'kind', 'shmem', 'hugetlb', 'name']"
json "[d[0][k] for k in ('bytes', 'anon', 'file', 'shmem', 'hugetlb', 'name')] == [30, 1, 2, 3, 4, None]"
json "d[1]['unit'] is None and d[1]['kind'] == 'unattributed' and d[1]['hugetlb'] == 5"
json "d[1]['name'].startswith('hugetlb')"
run 0 who hbm --json=short
json "[h['node'] for h in d] == [0, 0]"
run 0 who
says out 'hugetlb: all?[31m'
# what programs have comes first, the most of it first of all
sed -n '2,4s/ *[0-9]* *\([a-z]*\).*/\1/p' "$scratch/out" | paste -sd ' ' | grep -qx 'intruder reserved unattributed' ||
        complain "who is not sorted by bytes: $(cat "$scratch/out")"
run 0 who -o kind,what
says out 'KIND '
grep -q CGROUP "$scratch/out" && complain "-o shows other columns as well"
run 2 who -o kindd
says err "no column 'kindd'; did you mean 'KIND'?"
run 0 list -o cgroup,uid
says out '/system.slice/a.service'
says out 'CGROUP'
run 1 who hbn
says err "no pool 'hbn'; did you mean 'hbm'?"
run 0 who 0
run 1 who 99
run 1 who lead
says err "no pool 'lead'"
run 0 status
says out 'leaky'
says out '/odd.slice'
says out '[###############.........] 64M of 100M reserved'
says out 'demotion is on ?[31m'
run 0 status --json=short
json "d['fence'] == 'leaky' and d['unfenced'][0]['unit'] is None and len(d['reservations']) == 1"
json "d['demoted_bytes'] is None and isinstance(d['unfenceable_bytes'], int)"
json "d['warnings'][1].startswith('pool far') and d['named_warnings'][1]['name'] == 'pool-empty'"
json "[w['fault'] for w in d['named_warnings']] == [False, True]"
run 1 status --check
says out 'pool-empty: pool far'
says out 'fence: the fence is leaky, and Mode=enforce wants it to be closed'
says out 'fight: a.service is changed again and again: it has nodes 0'
grep -q demotion "$scratch/out" && complain "advice counts as a fault"
run 1 status --check --ignore=fence --ignore=fight
run 1 status --check --ignore=fence --ignore=pool-empty
run 0 status --check --ignore=fence --ignore=fight --ignore=pool-empty
silent out
run 1 status --check -q
silent out
run 1 status --check --json=short
json "[w['name'] for w in d] == ['pool-empty', 'fence', 'fight']"
run 0 request open-fence 1M
run 1 status --check --ignore=fight --ignore=pool-empty
says out 'fence: the fence is open, and Mode=enforce wants it to be closed'
run 0 request without-nodes 1M
run 0 status --check --ignore=fight --ignore=pool-empty
silent out
run 0 request hbm 1M
run 0
# where the kernel demotes past the fence: how much is there of those who may not be there
run 4 explain demotion 1M
run 0 status
says out 'Fence: open (demotion)'
says out '7M of processes without a reservation'
says out 'nodes 0; fence: open (demotion)'
run 0 status --json=short
json "d['fence'] == 'open (demotion)' and d['demoted_bytes'] == 7 << 20"

run 0 request hbm 16M --lease=1h --priority=-3 --exclusive --migrate --nodes=0-1 --near=0000:01:00.0 --unit=x
asked 'Request hbm 16777216 unit=x.service lease=3600000000 priority=-3 migrate=1 exclusive=1 nodes=0-1 near=0000:01:00.0'
[ "$(cat "$scratch/out")" = 7 ] || complain "the id is not alone on stdout"
run 0 request hbm 50%
asked 'Request hbm 52428800 pidfd'
run 0 request hbm 1 --unit=x --for-nobody
asked 'Request hbm 1 unit=x.service for-nobody=1'
run 0 request hbm 1 --unit=x --for-user=12345 --label slurm.job=7 --label 'slurm.account=a b=c'
asked 'Request hbm 1 unit=x.service for-uid=12345 labels,slurm.account=a b=c,slurm.job=7'
run 1 request hbm 1 --unit=x --for-user=no-such-user
says err "no user 'no-such-user'"
run 2 request hbm 1 --unit=x --label slurm.job
run 2 request hbm 1 --unit=x --label slurm.job=
run 2 request hbm 1 --unit=x --label Slurm.job=1
run 2 request hbm 1 --unit=x --label slurm.job=1 --label slurm.job=1
says err 'given twice'
run 0 list -o id,labels
says out 'slurm.account=ml, slurm.job=7 7'
run 1 request lead 50%
run 0 request hbm 1 --pid=1 --queue
asked 'Request hbm 1 pid=1 queue=18446744073709551615'
run 0 request hbm 1 --cgroup=/x.slice --queue=5s --json=short
json "d['id'] == 7"
run 4 explain queued 1G
run 0 list
says out 'queued'
run 0 list --json=short
json "d[0]['state'] == 'queued' and d[0]['nodes'] == []"
run 0 list --pool=hbm --user=0 --unit=a --state=active
tail -2 "$scratch/log" | grep -qx 'ListReservations used=1 pool=hbm unit=a.service state=active uid=0' ||
        complain "list asked with another filter: $(tail -2 "$scratch/log")"
run 0 request hbm 1M
run 6 request masked 1G
run 4 request full 1G
run 3 request denied 1G
says err 'refused by 10-x.conf:3 ?[31m'
run 1 request none 1G
silent out
run 4 explain hbm 1G --user=trainer --json=short
json "d == {'verdict': 'full', 'reason': 'no room', 'policy': '/etc/cdm/policy.d/a.conf:2', 'size': 1 << 30, 'nodes': [{'node': 2, 'size': 1 << 30}]}"
asked 'Explain hbm 1073741824 pidfd user=trainer'

run 0 release 7
silent out
silent err

# released_on WIDTH: what a release shows on a terminal of that width is what stands on standard input
released_on() {
        run 0 request slow 64M
        script --quiet --return --command "stty cols $1; '$cdmctl' release 7 >'$scratch/out'" /dev/null \
                </dev/null >"$scratch/shown" || complain "a release on a terminal failed"
        tr '\r' '\n' <"$scratch/shown" | sed 's/.\[K$//' >"$scratch/lines"
        # The rate depends on the machine.
        sed 's|, [0-9.]*[BKMGT]*/s, [0-9]*s to go$||' "$scratch/lines" | diff - "$scratch/line" ||
                complain "that is what a release shows on a terminal of $1 columns"
        silent out
}
if command -v script >/dev/null; then
        printf '\ndraining: %s of 64M left' 48M 32M 16M 0B >"$scratch/line"
        printf '\n' >>"$scratch/line"
        released_on 80
        grep -q '16M of 64M left, [0-9.]*M/s, [0-9]*s to go$' "$scratch/lines" || complain "progress has no rate"
        # No row is left for what wraps.
        sed 's/^\(.\{19\}\).*/\1/' "$scratch/line" >"$scratch/cut" && mv "$scratch/cut" "$scratch/line"
        released_on 20
else
        echo "# progress: not tested, there is no script(1)"
fi
# on_terminal WIDTH ARGUMENTS...: what cdmctl prints there is in out
on_terminal() {
        width=$1
        shift
        script --quiet --return --command "stty cols $width; NO_COLOR=1 '$cdmctl' $*" /dev/null </dev/null |
                tr -d '\r' >"$scratch/out"
}

fits() {
        awk -v width="$1" 'length > width { print; bad = 1 } END { exit bad }' "$scratch/out" ||
                complain "wider than $1 columns"
}
if command -v script >/dev/null; then
        for width in 40 60 80; do
                for verb in list 'who --all' nodes pools status --help 'run --help' 'explain-warning fence'; do
                        LC_ALL=C on_terminal "$width" "$verb"
                        fits "$width"
                done
        done
        # A path loses its middle, columns without a value vanish, and --full has it all.
        LC_ALL=C on_terminal 72 list -o id,state,cgroup,policy,unit,strength
        says out '/system....service'
        LC_ALL=C on_terminal 80 nodes
        grep -q 'DEVICE\|TIER' "$scratch/out" && complain "a column without a value is shown"
        on_terminal 40 nodes --full
        says out 'DEVICE'
        LC_ALL=C on_terminal 30 list
        says out 'STATE: active'
        LC_ALL=C on_terminal 50 status
        says out '    pool far (/etc/cdm/pools.d/far.conf:1) is'
        says out 'cdmctl explain-warning NAME'
        # Messages are wrapped as well, below their beginning.
        LC_ALL=C on_terminal 40 request denied 1G
        fits 40
        says out 'cdmctl: refused'
        make_root coherent
        LC_ALL=C on_terminal 50 explain cdm 1M --user=root --offline --root="$root"
        fits 50
        says out '          this; only the administrator can change'
        LC_ALL=C on_terminal 40 show 8 9
        fits 40
        says out '        cdmctl show ID'
else
        echo "# tables on a terminal: not tested, there is no script(1)"
fi
run 0 nodes
says out 'DEVICE'
# Without a terminal nobody looks at Used but we.
run 0 request slow 64M
"$cdmctl" release 7 >"$scratch/shown" 2>&1 &
released=$!
until tail -1 "$scratch/log" | grep -qx Release; do sleep 0.1; done
sleep 0.6
for _ in 1 2 3 4; do "$cdmctl" show 7 >"$scratch/out"; done
wait "$released" || complain "a release without a terminal failed"
[ ! -s "$scratch/shown" ] || complain "progress is shown without a terminal"
run 0 release 7 --json=short
json "d == [{'id': 7, 'moved': 64 << 20, 'evicted': 0, 'residue': 0, 'holders': []}]"
run 1 release 7 8
for choice in --all --unit=a --pool=hbm --user=0; do
        run 0 request hbm 1M
        run 0 release "$choice" --json=short
        json "[r['id'] for r in d] == [7]"
done
run 0 request sticky 1M
run 0 release 7 --quiet
silent out
run 0 request sticky 1M
run 0 release 7
says out '7: 12M could not be moved'
says out '12M file in /system.slice'
run 0 renew 7 2h
asked 'Renew 7200000000'
run 0 renew 7
asked 'Renew 0'
run 0 resize 7 16M
asked 'Resize 16777216'
silent out
run 0 resize 7 50%
asked 'Resize 52428800'
run 4 resize 7 1T
says err 'it does not fit'
run 2 resize 7
run 2 resize 7 0
run 2 resize 7 much
run 0 migrate 7
says out '3M moved, 1M could not be moved'
run 0 drain 2
silent out
run 0 drain 2 --json=short
json "d == {'node': 2, 'moved': 64 << 20, 'evicted': 0, 'residue': 0, 'holders': []}"
run 1 drain 3
says out '12M could not be moved off node 3'
says out '12M file in /a?.slice'
says err 'drained, but not empty'
run 1 drain 3 --json=short
json "d['residue'] == 12 << 20 and d['holders'][0]['kind'] == 'file'"
run 1 drain 9
says err 'there is no node 9'
run 0 undrain 2
run 1 reload
says err 'cdmctl: /etc/cdm/cdmd.conf:3: what?'
says err 'cdmctl: the old one stays'

# The Python example. A library with sanitizers can be loaded only where theirs is already; what the interpreter leaks is
# no fault.
for python in python3 /usr/bin/python3; do
        "$python" -c 'import numpy' 2>"$scratch/err" && break
        python=
done
if [ -e .libs/libcdm.so.0 ] && [ -n "$python" ]; then
        LIBCDM=$PWD/.libs/libcdm.so.0
        asan=$(ldd "$LIBCDM" | sed -n 's/.*=> \(.*libasan[^ ]*\).*/\1/p')
        export LIBCDM
        python_example() {
                LD_PRELOAD=$asan ASAN_OPTIONS=detect_leaks=0 "$python" "$srcdir/examples/cdm_example.py" "$@"
        }
        python_example hbm 4 >"$scratch/out" || complain "the Python example failed"
        says out '4194304 bytes of device memory, mean 499.'
        asked Release
        python_example full 4 2>"$scratch/err" && complain "a full pool went unnoticed"
        says err 'pool full is full'
else
        echo "# the Python example: not tested, there is no libcdm.so.0, or no numpy"
fi

# The promise about keys, for every command that prints JSON.
run 0 request hbm 1M
for verb in list 'show 7' nodes pools who status 'request hbm 1M' 'migrate 7' 'drain 2' explain-warning; do
        # shellcheck disable=SC2086
        run 0 $verb --json=short
        keeps "${verb%% *}"
done
run 1 drain 3 --json=short
keeps drain
run 1 status --check --json=short
keeps status-check
run 4 explain hbm 1G --json=short
keeps explain
run 0 request sticky 1M
run 0 release 7 --json=short
keeps release
make_root plain
printf '[Match]\nPool=cdm\nUser=nobody-here\n[Grant]\nLimit=1G\n' >"$root/etc/cdm/policy.d/50-x.conf"
chmod go-w "$root/etc/cdm/policy.d/50-x.conf"
run 0 check --root="$root" --json=short
keeps check

# run: the status of the command, its signals, its release
run 0 run hbm 1M --mem-policy=none -- true
asked Release
tail -2 "$scratch/log" | grep -qx 'Request hbm 1048576 pidfd scope=1 mem-policy=none' || complain "run asked wrongly"
run 2 run hbm 1M --mem-policy=none -- sh -c 'exit 2'
run 137 run hbm 1M --mem-policy=none -- sh -c 'kill -9 $$'
run 127 run hbm 1M --mem-policy=none -- "$scratch/missing"
run 126 run hbm 1M --mem-policy=none -- "$scratch"
asked Release
run 125 run full 1M -- true
run 125 run denied 1M -- true
# A signal for cdmctl reaches the command, which ends as it likes.
# shellcheck disable=SC2016
"$cdmctl" run hbm 1M --mem-policy=none -- sh -c 'trap "exit 5" TERM; echo up; while :; do sleep 0.1; done' \
        >"$scratch/out" 2>&1 &
command=$!
until grep -q up "$scratch/out"; do kill -0 "$command" 2>/dev/null || break; done
kill -TERM "$command"
wait "$command"
[ $? -eq 5 ] || complain "SIGTERM did not reach the command of run"
# An ignored signal, as under nohup, does not end the wait; SIGTERM does. Both arrive while cdmctl waits.
(trap '' HUP && exec "$cdmctl" run queued 2M --queue -- true) >"$scratch/out" 2>&1 &
command=$!
until grep -q 'Request queued 2097152' "$scratch/log"; do kill -0 "$command" 2>/dev/null || break; done
kill -HUP "$command"
kill -TERM "$command"
status=0
wait "$command" || status=$?
[ "$status" -eq 143 ] || complain "SIGHUP that is ignored ended run with $status"
run 0 request hbm 1M
# With cdmctl its command ends as well. Its end of the pipe closes then, and cat sees it.
sh -c '"$0" run hbm 1M --mem-policy=none -- sh -c "kill -9 \$PPID; exec sleep 1000"' "$cdmctl" | cat >/dev/null

# A signal while the release of run goes on ends the wait, and the exit status stays that of the command.
"$cdmctl" run slow 64M --mem-policy=none -- sh -c 'exit 5' >"$scratch/out" 2>"$scratch/err" &
command=$!
until tail -1 "$scratch/log" | grep -qx Release; do kill -0 "$command" 2>/dev/null || break; done
kill -TERM "$command"
status=0
wait "$command" || status=$?
[ "$status" -eq 5 ] || complain "SIGTERM during the release ended run with $status"
says err 'interrupted; the release continues'

# sanitizers and sandboxes aside, the command has the policy that was asked for
for policy in prefer bind interleave; do
        if "$cdmctl" run hbm 1M --mem-policy=$policy -- cat /proc/self/numa_maps >"$scratch/out" 2>"$scratch/err"; then
                grep -q "$policy.*static" "$scratch/out" || complain "numa_maps shows no static $policy policy"
        else
                says err 'the memory policy'
                echo "# $policy: not tested, set_mempolicy(2) does not work here"
        fi
done

# buffer: the command inherits it, and takes the place of cdmctl
run 0 buffer 7 5000 -- sh -c 'stat -Lc %s "/proc/self/fd/$CDM_BUFFER_FD"'
asked 'OpenBuffer 5000'
says out 8192
run 0 buffer 7 1M --hugetlb -- true
asked 'OpenBufferWithOptions 1048576 hugetlb=0'
run 2 buffer 7 1M -- sh -c 'exit 2'
run 137 buffer 7 1M -- sh -c 'kill -9 $$'
run 127 buffer 7 1M -- "$scratch/missing"
says err "cdmctl: cannot run $scratch/missing: "
run 126 buffer 7 1M -- "$scratch"
run 125 buffer 7 65M -- true
says err 'cdmctl: the reservation has no room'
run 125 buffer 7 13 -- true
says err 'cdmctl: not yours'
run 125 buffer 8 1M -- true
says err 'cdmctl: '
run 125 buffer 7 0 -- true
run 125 buffer 7 50% -- true
run 125 buffer x 1M -- true
run 125 buffer 7 1M
run 125 buffer 7 1M --
run 125 buffer 7 1M --unit=a -- true

# monitor: a line an event, until it is told to stop
"$cdmctl" monitor --json >"$scratch/out" 2>"$scratch/err" &
monitor=$!
until grep -q released "$scratch/out"; do
        "$cdmctl" release 7 >/dev/null || break
done
"$cdmctl" migrate 7 >/dev/null
until grep -q migrated "$scratch/out"; do
        kill -0 "$monitor" || break
done
kill -INT "$monitor"
wait "$monitor" || complain "monitor did not end with 0"
mv "$scratch/out" "$scratch/lines"
grep migrated "$scratch/lines" >"$scratch/out"
keeps monitor
sed -n 1p "$scratch/lines" >"$scratch/out"
json "list(d) == ['time', 'kind', 'id', 'size', 'moved'] and d['id'] == 7 and d['moved'] == 64 << 20"

# The bus goes away while a release is waited for.
run 0 request slow 64M
timeout 60 "$cdmctl" release 7 >"$scratch/out" 2>"$scratch/err" &
released=$!
until tail -1 "$scratch/log" | grep -qx Release; do sleep 0.1; done
# The bus delivers the answer to the release before that to a later call.
"$cdmctl" show 7 >/dev/null
kill -KILL "$bus_pid"
trap 'wait; rm -rf "$scratch"' EXIT
status=0
wait "$released" || status=$?
[ "$status" -eq 6 ] || complain "a release without the bus ended with $status"
says err 'the connection to the system bus was lost; the release continues'
finish
