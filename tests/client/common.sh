# shellcheck shell=sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the tests of cdmctl share. Every one runs the program that was built, in a directory of its own.

srcdir=${srcdir:-.}
srcdir=$(cd "$srcdir" && pwd)
cdmctl=${CDMCTL:-$PWD/cdmctl}
machines=$srcdir/tests/data/machine
failed=0

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# run STATUS ARGUMENTS...: output goes to $scratch/out and err
run() {
        want=$1
        shift
        "$cdmctl" "$@" >"$scratch/out" 2>"$scratch/err"
        got=$?
        [ "$got" -eq "$want" ] && return 0
        complain "cdmctl $*: exit status $got instead of $want"
        sed 's/^/# /' "$scratch/out" "$scratch/err"
}

complain() {
        echo "not ok: $*"
        failed=1
}

# says FILE WORDS: out or err has these words
says() {
        grep -qF -- "$2" "$scratch/$1" || {
                complain "std$1 does not say '$2':"
                sed 's/^/# /' "$scratch/$1"
        }
}

silent() {
        [ ! -s "$scratch/$1" ] || complain "std$1 is not empty: $(head -1 "$scratch/$1")"
}

# json EXPRESSION: true of the parsed output d
json() {
        python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
sys.exit(0 if eval(sys.argv[2]) else 1)' "$scratch/out" "$1" || {
                complain "not so: $1"
                sed 's/^/# /' "$scratch/out"
        }
}

# A root directory with the nodes of a made-up machine and a policy of its own.
make_root() {
        root=$scratch/root
        rm -rf "$root"
        mkdir -p "$root/etc/cdm/pools.d" "$root/etc/cdm/policy.d"
        cp -r "$machines/$1/." "$root/"
        chmod -R u+w,go-w "$root"
        cat >"$root/etc/passwd" <<-EOF
		root:x:0:0::/root:/bin/sh
		trainer:x:4711:4711::/:/bin/sh
		guest:x:4712:4712::/:/bin/sh
		EOF
        cat >"$root/etc/group" <<-EOF
		root:x:0:
		trainer:x:4711:
		guest:x:4712:
		ml:x:5000:guest
		EOF
        printf '[Match]\nPool=cdm\nUnit=train-*.service\nUser=trainer\n[Grant]\nLimit=1G\nQuota=3G\n' \
                >"$root/etc/cdm/policy.d/10-train.conf"
        printf '[Match]\nPool=cdm\nGroup=ml\nSlice=system.slice\n[Grant]\nLimit=infinity\n' >"$root/etc/cdm/policy.d/20-ml.conf"
        printf '[Match]\nPool=cdm\nUser=root\n[Grant]\nDeny=yes\n' >"$root/etc/cdm/policy.d/90-root.conf"
}

# A bus of its own, on which nobody is.
start_bus() {
        command -v dbus-daemon >/dev/null || {
                echo "skipped: there is no dbus-daemon"
                exit 77
        }

        DBUS_SYSTEM_BUS_ADDRESS=unix:path=$scratch/bus
        export DBUS_SYSTEM_BUS_ADDRESS

        # The configuration allows everything and names no service to start.
        cat >"$scratch/bus.conf" <<EOF
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>$DBUS_SYSTEM_BUS_ADDRESS</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>
EOF
        # It prints its address once it listens.
        dbus-daemon --config-file="$scratch/bus.conf" --nofork --print-address \
                >"$scratch/bus.address" 2>"$scratch/bus.log" &
        bus_pid=$!
        until [ -s "$scratch/bus.address" ]; do
                kill -0 "$bus_pid" 2>/dev/null || {
                        cat "$scratch/bus.log"
                        exit 1
                }
        done
        trap 'kill "$bus_pid"; wait; rm -rf "$scratch"' EXIT
}

# A daemon that only talks, and writes to $scratch/log what it was asked.
start_fake() {
        "$PWD/tests/client/fake-cdmd" >"$scratch/log" &
        until grep -qs ready "$scratch/log"; do
                kill -0 $! 2>/dev/null || {
                        complain "the fake daemon ended"
                        finish
                }
        done
}

finish() {
        exit "$failed"
}
