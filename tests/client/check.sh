#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# cdmctl check: whole configurations and single files.

. "${srcdir:-.}/tests/client/common.sh"

make_root hbm4
run 0 check --root="$root"
says out 'ok: 1 pool, 3 rules'
silent err
run 0 check --offline --root="$root" --json=short
json 'd == []'

# every mistake is told, with its line
printf '[Pool]\nNodes=2\nColour=red\n' >"$root/etc/cdm/pools.d/hbm.conf"
printf '[Match]\nPool=hbm\n[Grant]\nLimit=many\n' >"$root/etc/cdm/policy.d/40-bad.conf"
run 1 check --root="$root"
says err '/etc/cdm/pools.d/hbm.conf:3: '
says err '/etc/cdm/policy.d/40-bad.conf:4: '
silent out
run 1 check --root="$root" --json=short
json "sorted(m['line'] for m in d) == [3, 4] and all(m['severity'] == 'error' for m in d)"
json "all(list(m) == ['file', 'line', 'severity', 'text'] for m in d)"

# files that are right, and pools that would take all memory
rm "$root/etc/cdm/policy.d/40-bad.conf"
printf '[Pool]\nNodes=0-3\n' >"$root/etc/cdm/pools.d/hbm.conf"
run 1 check --root="$root"
says err 'hbm.conf'
printf '[Pool]\nNodes=3\n' >"$root/etc/cdm/pools.d/hbm.conf"
run 0 check --root="$root"

# a user that nobody knows is a warning
printf '[Match]\nUser=nobody-here\n[Grant]\nLimit=1G\n' >"$root/etc/cdm/policy.d/50-warn.conf"
run 0 check --root="$root"
says err '50-warn.conf:2: '
says err '(warning)'
says out 'ok: 1 pool, 4 rules'

# a --root that is not there
run 1 check --root="$scratch/nowhere"
says err "--root=$scratch/nowhere: "
says err 'No such file or directory'
printf 'x\n' >"$scratch/file"
run 1 check --root="$scratch/file"
says err 'is not a directory'

# single files
run 0 check "$root/etc/cdm/policy.d/10-train.conf" "$root/etc/cdm/pools.d/hbm.conf"
says out 'ok: 2 files'
printf '[Match]\n' >"$root/etc/cdm/policy.d/60-empty.conf"
run 1 check "$root/etc/cdm/policy.d/10-train.conf" "$root/etc/cdm/policy.d/60-empty.conf"
says err '60-empty.conf'
run 1 check "$scratch/missing.conf"
mkdir "$root/etc/cdm/policy.d/70-dir.conf"
run 1 check "$root/etc/cdm/policy.d/70-dir.conf"
finish
