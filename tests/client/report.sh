#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# A report of a made-up machine, unpacked, is that machine for the verbs that need no daemon; with --anonymous nobody
# is named in it.

. "${srcdir:-.}/tests/client/common.sh"

# report ARGUMENTS...: unpacked in $scratch/cdm-report
report() {
        rm -rf "$scratch/cdm-report" "$scratch/r.tar.gz"
        run 0 report --offline --root="$root" "$@" "$scratch/r.tar.gz"
        [ "$(cat "$scratch/out")" = "$scratch/r.tar.gz" ] || complain "the file's name is not printed"
        silent err
        [ "$(stat -c %a "$scratch/r.tar.gz")" = 600 ] || complain "others may read the report"
        tar -C "$scratch" -xzf "$scratch/r.tar.gz" || complain "no tarball"
}

# same WORDS...: the verb says of the report what it says of the machine
same() {
        "$cdmctl" "$@" --offline --root="$root" --json >"$scratch/machine" 2>"$scratch/machine-errors"
        wanted=$?
        run "$wanted" "$@" --offline --root="$scratch/cdm-report" --json
        diff "$scratch/machine" "$scratch/out" >"$scratch/diff" || {
                complain "cdmctl $* says something else of the report:"
                cat "$scratch/diff"
        }
}

TMPDIR=$scratch/tmp
export TMPDIR
mkdir "$TMPDIR"
for machine in cdmm coherent cxl hbm4 lpar mig plain sparse xeonmax; do
        make_root "$machine"
        ln -s /dev/null "$root/etc/cdm/policy.d/50-masked.conf"
        report
        same nodes
        same pools
        same explain cdm 512M --unit train-1 --user trainer --near 0000:0d:00.0
        same explain cdm 512M --unit train-1 --user trainer --near 0019:01:00.0
        same explain cdm 512M --unit train-1 --user trainer
        [ -L "$scratch/cdm-report/etc/cdm/policy.d/50-masked.conf" ] || complain "$machine: a mask is no link"
        [ -s "$scratch/cdm-report/report/version" ] || complain "$machine: no version"
        [ -e "$scratch/cdm-report/report/missing" ] || complain "$machine: no list of what is missing"
done

# what is there is never overwritten, and nothing of the collection stays
run 1 report --offline --root="$root" "$scratch/r.tar.gz"
says err 'File exists'
run 1 report --offline --root="$root" "$scratch/no/r.tar.gz"
[ -z "$(ls "$TMPDIR")" ] || complain "left behind: $(ls "$TMPDIR")"

# only users of rules are in it
make_root hbm4
echo 'stranger:x:4800:4800::/home/stranger:/bin/sh' >>"$root/etc/passwd"
report
grep -q '^trainer:x:4711:' "$scratch/cdm-report/etc/passwd" || complain "a user of a rule is missing"
grep -q stranger "$scratch/cdm-report/etc/passwd" && complain "a user is in it whom no rule names"

# nobody is named, and each decision is still the same
sed -i 's|/:/bin/sh|/home/&|; s|::/home/::|::|; s|^trainer:.*|trainer:x:4711:4711::/srv/people/trainer:/bin/sh|' "$root/etc/passwd"
printf '# trainer has trainers and a retrainer in /srv/people/trainer/x on %s\n' "$(uname -n)" >>"$root/etc/cdm/policy.d/10-train.conf"
cp "$root/etc/cdm/policy.d/20-ml.conf" "$root/etc/cdm/policy.d/20-trainer.conf"
report --anonymous
grep -rE '\btrainer\b|/srv/people' "$scratch/cdm-report" && complain "a user is named"
find "$scratch/cdm-report" -name '*trainer*' | grep . && complain "a user is named by a file"
grep -rwF -- "$(uname -n)" "$scratch/cdm-report/etc" && complain "the host is named"
user=$(sed -n 's/^User=\(user[0-9]*\)$/\1/p' "$scratch/cdm-report/etc/cdm/policy.d/10-train.conf")
[ -n "$user" ] || complain "the user of the rule has no other name"
grep -qx "# $user has trainers and a retrainer in /home/$user/x on host" "$scratch/cdm-report/etc/cdm/policy.d/10-train.conf" ||
        complain "replaced otherwise: $(tail -1 "$scratch/cdm-report/etc/cdm/policy.d/10-train.conf")"
[ -e "$scratch/cdm-report/etc/cdm/policy.d/20-$user.conf" ] || complain "no file is named after $user"
run 0 explain --offline --root="$scratch/cdm-report" cdm 512M --unit train-1 --user "$user"
says out '10-train.conf'

run 2 report a b
finish
