#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Exit statuses of cdmctl's own: usage errors are told before anybody is asked, and no daemon is 6.

. "${srcdir:-.}/tests/client/common.sh"

DBUS_SYSTEM_BUS_ADDRESS=unix:path=$scratch/no-bus
export DBUS_SYSTEM_BUS_ADDRESS

run 0 --help
says out 'Exit status'
run 0 -h
run 0 --version
says out 'cdmctl '
verbs=$("$cdmctl" --help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p')
[ "$(echo "$verbs" | wc -w)" -gt 10 ] || complain "--help lists no verbs"
for verb in $verbs; do
        run 0 "$verb" --help
        says out "cdmctl $verb"
        silent err
        run_status=2
        case $verb in run | buffer) run_status=125 ;; esac
        run "$run_status" "$verb" --no-such-option
        says err 'no-such-option'
        run "$run_status" "$verb" --json=yaml
done

run 2 frobnicate
says err "unknown verb 'frobnicate'"
run 2 reqest cdm 1G
says err "unknown verb 'reqest'; did you mean 'request'?"
run 2 request cdm 1G --prioritty=3
says err 'unknown option --prioritty=3; did you mean --priority?'
says err "Try 'cdmctl request --help'."
run 0 help
says out 'Reserving:'
run 0 help run
says out 'cdmctl run'
run 2 help runn
says err "did you mean 'run'?"
run 2 request cdm 1G --queue 10m
says err "unexpected argument '10m'; write --queue=10m"
run 2 list --json short
says err "unexpected argument 'short'; write --json=short"
run 2 request cdm
says err 'SIZE is missing; write: cdmctl request POOL SIZE'
run 125 run hbm 1G
says err 'CMD is missing; write: cdmctl run POOL SIZE -- CMD...'
run 125 buffer 7 1G
says err 'CMD is missing; write: cdmctl buffer ID SIZE -- CMD...'
run 125 run cdm 1G ls -l
says err 'put -- before the command: cdmctl run cdm 1G -- ls ...'
run 125 run --lease 1h cdm 1G env
says err 'put -- before the command: cdmctl run --lease 1h cdm 1G -- env'
run 125 buffer 7 1M ./train --deep
says err 'put -- before the command: cdmctl buffer 7 1M -- ./train ...'
run 6 list -o id,used
run 2 list -o id -j
says err '-o is for tables'
run 2 list --state=actve
run 2 list --unit=a/b
run 1 list --user=nobody-of-that-name
run 2 status --ignore=fence
run 2 status --check --ignore=fance
says err "did you mean 'fence'?"
run 6 status --check
run 0 explain-warning
says out 'fence-demotion'
run 0 explain-warning pool-empty
says out 'pool-empty (fault)'
run 1 explain-warning pool-emty
says err "did you mean 'pool-empty'?"
run 2 release --all 7
run 6 release --all
run 6 release --unit=a
run 2 list extra
run 2 show
run 2 show seven
run 2 show 0
run 2 show -- -1
says err "'-1' is not a reservation's id"
run 2 show 4294967296
run 2 show 1 2
run 2 release
run 2 release 1 x
run 2 renew 1 soon
run 2 request cdm
for size in 0 0G -1 9223372036854775808 99999999999999999999 8E 1Z G 101% -5% '' 1e3 ' 1G'; do
        run 2 request cdm -- "$size"
        says err "'$size'"
done
run 6 request cdm -- 1G
run 6 -- list
run 2 request cdm 1G --lease=never
run 2 request cdm 1G --lease=0
run 2 request cdm 1G --queue=x
run 2 request cdm 1G --priority=high
run 2 request cdm 1G --priority=2147483648
run 2 request cdm 1G --pid=0
run 2 request cdm 1G --pid=-3
run 2 request cdm 1G --nodes=1-
run 2 request cdm 1G --nodes=
run 2 request cdm 1G --nodes=1024
run 2 request cdm 1G --cgroup=system.slice
run 2 request cdm 1G --unit=a/b
run 2 request cdm 1G --unit=a --pid=1
run 2 request cdm 1G --lease
run 2 request cdm 1G --offline
run 2 request cdm 1G --mem-policy=bind
run 2 show 7 --unit=a
run 2 nodes --root=/tmp
run 2 drain two
run 2 drain -- -2
run 2 drain 1024
run 2 undrain 2x

for verb in status nodes pools list 'show 1' 'request cdm 1G' 'release 1' 'renew 1' 'renew 1 1h' 'resize 1 1G' 'migrate 1' \
        'explain cdm 1G' who 'who cdm' monitor reload 'drain 2' 'undrain 2'; do
        # shellcheck disable=SC2086
        run 6 $verb
        says err 'cannot be reached'
        silent out
done
run 6

run 125 run cdm 1G -- true
run 125 run cdm 1G
run 125 run cdm 0 -- true
run 125 run cdm 1G --unit=x -- true
run 125 run
run 0 run --help

# a result that cannot be written is no success
"$cdmctl" --help >/dev/full 2>"$scratch/err"
[ $? -eq 1 ] || complain "a full disk went unnoticed"
finish
