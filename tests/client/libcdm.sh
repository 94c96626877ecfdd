#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# libcdm as it is installed: found by pkg-config, with nothing but its own names, and the example runs with it.

. "${srcdir:-.}/tests/client/common.sh"

for program in dbus-daemon pkg-config "${CC:=cc}"; do
        command -v "${program%% *}" >/dev/null || {
                echo "skipped: there is no $program"
                exit 77
        }
done
make=${MAKE:-make}

# Only the library: everything else has nothing to do with it.
$make --silent install-libLTLIBRARIES install-includeHEADERS install-pkgconfigDATA DESTDIR="$scratch/installed" \
        >"$scratch/install" 2>&1 || {
        cat "$scratch/install"
        exit 1
}
pc=$(find "$scratch/installed" -name cdm.pc)
lib=$(dirname "$(dirname "$pc")")
PKG_CONFIG_PATH=$(dirname "$pc")
PKG_CONFIG_SYSROOT_DIR=$scratch/installed
LD_LIBRARY_PATH=$lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR LD_LIBRARY_PATH

# shellcheck disable=SC2046 # words on purpose
$CC ${SANITIZE_CFLAGS:-} -Wall -Wextra -Werror "$srcdir/examples/cdm-example.c" $(pkg-config --cflags --libs cdm) \
        -o "$scratch/example" >"$scratch/compile" 2>&1 || {
        cat "$scratch/compile"
        exit 1
}
nm -D --defined-only "$lib/libcdm.so" | awk '$2 ~ /[TDBRW]/ { print $3 }' | grep -v '^cdm_[a-z]*@@CDM_0$' |
        grep -v -e __asan -e __ubsan -e __odr >"$scratch/others"
[ ! -s "$scratch/others" ] || complain "libcdm.so has other names than its own: $(cat "$scratch/others")"
# The header is one for C++ too, where there is a compiler for that.
if command -v c++ >/dev/null; then
        echo '#include <cdm.h>' >"$scratch/header.cc"
        # shellcheck disable=SC2046
        c++ -Wall -Wextra -Werror -c $(pkg-config --cflags cdm) "$scratch/header.cc" -o "$scratch/header.o" ||
                complain "cdm.h does not compile as C++"
fi

DBUS_SYSTEM_BUS_ADDRESS=unix:path=$scratch/bus
export DBUS_SYSTEM_BUS_ADDRESS
example() {
        want=$1
        shift
        "$scratch/example" "$@" >"$scratch/out" 2>"$scratch/err"
        got=$?
        [ "$got" -eq "$want" ] && return 0
        complain "example $*: exit status $got instead of $want"
        sed 's/^/# /' "$scratch/out" "$scratch/err"
}

example 1 hbm 1
says err 'no connection'
cat >"$scratch/bus.conf" <<END
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>$DBUS_SYSTEM_BUS_ADDRESS</listen>
  <policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>
END
dbus-daemon --config-file="$scratch/bus.conf" --nofork 2>"$scratch/bus.log" &
bus_pid=$!
trap 'kill "$bus_pid"; wait; rm -rf "$scratch"' EXIT
until [ -S "$scratch/bus" ]; do
        kill -0 "$bus_pid" 2>/dev/null || { cat "$scratch/bus.log"; exit 1; }
done
example 1 hbm 1
says err 'Transport endpoint is not connected'

"$PWD/tests/client/fake-cdmd" >"$scratch/log" &
until grep -q ready "$scratch/log"; do
        kill -0 $! 2>/dev/null || { complain "the fake daemon ended"; finish; }
done
example 0 hbm 3
says out '3145728 bytes of device memory'
grep -qx 'Request hbm 3145728 pidfd' "$scratch/log" || complain "the example asked wrongly: $(cat "$scratch/log")"
grep -qx 'OpenBuffer 3145728' "$scratch/log" || complain "no buffer was asked for: $(cat "$scratch/log")"
tail -1 "$scratch/log" | grep -qx Release || complain "the example released nothing"
example 0 hbm 3 huge
grep -qx 'OpenBufferWithOptions 3145728 hugetlb=0' "$scratch/log" || complain "no huge pages were asked for"
example 1 hbm 65
says err 'no buffer: the reservation has no room'
says err 'No space left on device'
tail -1 "$scratch/log" | grep -qx Release || complain "a buffer that failed leaves its reservation"
# OnFull=preempt: the reservation is queued first
example 0 granted-later 3
says out '3145728 bytes of device memory'
example 1 ended-early 3
says err 'the reservation ended before it was granted'
example 1 full 1
says err 'pool full is full'
example 1 denied 1
says err 'Permission denied'
example 1 none 1
says err 'No such file or directory'
example 1 masked 1
says err 'Transport endpoint is not connected'
finish
