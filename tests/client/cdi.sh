#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# cdmctl cdi: the files that it writes and removes.

. "${srcdir:-.}/tests/client/common.sh"

pools=$scratch/etc/cdm/pools.d
mkdir -p "$pools"
printf '[Pool]\nNodes=2\nCdiSizes=8G 1.5G\nCdiSizes=512M\n' >"$pools/hbm.conf"
printf '[Pool]\nNodes=3\n' >"$pools/cxl.conf"
run 0 cdi --root="$scratch"
says out "$scratch/etc/cdi/cdmd.org-hbm.json: cdmd.org/hbm=1.5G"
"${PYTHON3:-python3}" - "$scratch/etc/cdi/cdmd.org-hbm.json" <<'EOF' || complain "the file is not as it should be"
import json, sys
spec = json.load(open(sys.argv[1]))
assert spec["kind"] == "cdmd.org/hbm" and spec["cdiVersion"] == "0.5.0"
assert [d["name"] for d in spec["devices"]] == ["8G", "1.5G", "512M"]
hook, = spec["devices"][1]["containerEdits"]["hooks"]
assert hook["hookName"] == "createRuntime" and hook["path"].endswith("/cdmd-oci-hook")
assert hook["args"] == ["cdmd-oci-hook", "--pool=hbm", "--size=1.5G"]
EOF
[ "$(stat -c %a "$scratch/etc/cdi/cdmd.org-hbm.json")" = 644 ] || complain "the file cannot be read by everybody"
[ "$(ls "$scratch/etc/cdi")" = cdmd.org-hbm.json ] || complain "there are other files: $(ls "$scratch/etc/cdi")"

mkdir "$scratch/other"
touch "$scratch/other/cdmd.org-cxl.json" "$scratch/other/cdmd.org-gone.json" "$scratch/other/vendor.json"
run 0 cdi "$scratch/other" --root="$scratch" --json=short
json "[(f['file'].split('/')[-1], f['devices']) for f in d] == [('cdmd.org-hbm.json', ['cdmd.org/hbm=8G', 'cdmd.org/hbm=1.5G', 'cdmd.org/hbm=512M'])]"
[ "$(cd "$scratch/other" && echo *)" = "cdmd.org-hbm.json vendor.json" ] || complain "left are: $(ls "$scratch/other")"

# An error in any file leaves all as it was.
printf '[Pool]\nNodes=2\nCdiSizes=\n' >"$pools/hbm.conf"
run 1 cdi "$scratch/other" --root="$scratch"
says err 'cdmctl check'
[ -e "$scratch/other/cdmd.org-hbm.json" ] || complain "a file was removed"
printf '[Pool]\nNodes=2\n' >"$pools/hbm.conf"
run 0 cdi "$scratch/other" --root="$scratch" -q
says err 'no pool has CdiSizes='
[ "$(ls "$scratch/other")" = vendor.json ] || complain "left are: $(ls "$scratch/other")"
run 1 cdi "$scratch/no/such" --root="$scratch"
run 2 cdi a b
finish
