#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The commands that pages and documents show are run: those that need no daemon on a made-up machine, where they
# succeed, the others against a daemon that only talks, where none may be a mistake of usage.

. "${srcdir:-.}/tests/client/common.sh"

start_bus
start_fake
make_root hbm4
mv "$root/etc/cdm/policy.d/10-train.conf" "$root/etc/cdm/policy.d/10-hbm.conf"
sed -i 's/^Pool=.*/Pool=hbm/; s/^Limit=.*/Limit=100%/; /^Quota=/d' "$root"/etc/cdm/policy.d/*.conf
printf '[Pool]\nNodes=2-3\n' >"$root/etc/cdm/pools.d/hbm.conf"
mkdir "$scratch/work" "$scratch/bin"
cd "$scratch/work" || exit 1
run 0 report --offline --root="$root" --anonymous r.tar.gz
tar -xzf r.tar.gz
printf '#!/bin/sh\n' >train
chmod +x train
ln -s "$cdmctl" "$scratch/bin/cdmctl"
# The programs that pages start are not what is tested.
cp train "$scratch/bin/qemu-system-x86_64"
PATH=$scratch/bin:$PATH
export PATH

# try COMMAND: with a reservation's id in $id
try() {
        n=$((n + 1))
        case $1 in
        *--offline* | *'cdmctl check'*)
                # what a page asks of the reader's machine is asked of the made-up one
                case $1 in *--root=*) ;; *) set -- "$1 --root=cdm-report" ;; esac
                ;;
        esac
        printf 'id=7\n%s\n' "$1" >script
        # None takes long; one that waits for ever fails with 124.
        timeout 120 sh script >"$scratch/out" 2>"$scratch/err" </dev/null
        status=$?
        case $1 in
        *--root=*) [ "$status" -eq 0 ] && return ;;
        *) [ "$status" -ne 2 ] && [ "$status" -ne 124 ] && ! grep -q "^Try 'cdmctl" "$scratch/err" && return ;;
        esac
        complain "$page: $1: exit status $status"
        sed 's/^/# /' "$scratch/err" "$scratch/out"
}

# The recipes have a test of their own, each with its machine.
n=0
for page in "$srcdir"/man/*.[1-8] "$srcdir/docs/operation.md" "$srcdir/README.md"; do
        "$srcdir/tests/client/page-commands" "$page" >"$scratch/commands" || complain "cannot read $page"
        while read -r command; do
                try "$command"
        done <"$scratch/commands"
done
[ "$n" -gt 10 ] || complain "only $n commands were found"
finish
