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
verbs=$("$cdmctl" --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\).*/\1/p')
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
run 2 list --unit=a
run 2 nodes --root=/tmp
run 2 drain two
run 2 drain -- -2
run 2 drain 1024
run 2 undrain 2x

for verb in status nodes pools list 'show 1' 'request cdm 1G' 'release 1' 'renew 1' 'renew 1 1h' 'migrate 1' \
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
