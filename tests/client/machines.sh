#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Machines whose nodes do not speak for themselves: which are taken for device memory, on what evidence, and what
# is told. The generator that closes the fence at boot must come to the same answer as cdmctl.

. "${srcdir:-.}/tests/client/common.sh"
generator=${CDMD_GENERATOR:-$PWD/daemon/cdmd-generator}

# bare_root MACHINE: no configuration at all, and cdmd enabled
bare_root() {
        make_root "$1"
        rm -r "$root/etc/cdm"
        mkdir -p "$root/etc/cdm/pools.d" "$root/etc/systemd/system/multi-user.target.wants"
        ln -s /usr/lib/systemd/system/cdmd.service "$root/etc/systemd/system/multi-user.target.wants/cdmd.service"
}

# pool NAME LINE...: the file of a pool
pool() {
        file=$root/etc/cdm/pools.d/$1.conf
        shift
        printf '%s\n' '[Pool]' "$@" >"$file"
        chmod go-w "$file"
}

# taken NODES: cdmctl and the generator both find these device memory, and all others with memory ordinary
taken() {
        run 0 nodes --offline --root="$root" --json=short
        json "[n['node'] for n in d if n['pool']] == $1"
        allowed=$(python3 -c 'import json, sys
print(*[n["node"] for n in json.load(open(sys.argv[1])) if n["size"] and not n["pool"]])' "$scratch/out")
        rm -rf "$scratch/units"
        mkdir "$scratch/units"
        "$generator" --root="$root" "$scratch/units" 2>"$scratch/generator"
        fence=$scratch/units/service.d/10-cdmd-fence.conf
        if [ "$1" = "[]" ]; then
                [ ! -e "$fence" ] || complain "the generator fences a machine without device memory"
                return
        fi
        got=$(sed -n 's/^AllowedMemoryNodes=\(.\)/\1/p' "$fence" | python3 -c 'import sys
for part in sys.stdin.read().replace(" ", ",").strip().split(","):
    a, _, b = part.partition("-")
    print(*range(int(a), int(b or a) + 1), end=" ")')
        [ "$(echo $got)" = "$allowed" ] || complain "the generator allows '$got', cdmctl says '$allowed'"
}

# warns WORDS: check warns so; and it is no error
warns() {
        run 0 check --root="$root"
        says err "$1"
        says err '(warning)'
}

quiet() {
        run 0 check --root="$root"
        silent err
}

# HBM that the firmware says nothing of. Without selectors it is taken, with a warning; with some it is not.
bare_root xeonmax
taken '[2, 3]'
json "[n['evidence'] for n in d] == [None, None, 'no-cpu', 'no-cpu']"
warns 'node 2-3 (128G) counts as device memory for no other reason than that it has no CPUs'
warns '256G of ordinary memory remain'
warns 'confirm it with Nodes=2-3'
install -m 644 "$srcdir/policy/examples/pools.d/hbm.conf" "$root/etc/cdm/pools.d/"
taken '[2, 3]'
json "[n['pool'] for n in d] == [None, None, 'hbm', 'hbm']"
pool hbm MinBandwidth=300G
taken '[]'
json "[n['evidence'] for n in d] == [None] * 4"
warns 'pool hbm (/etc/cdm/pools.d/hbm.conf:1) is empty: no node with memory and without CPUs meets its MinBandwidth='
warns 'the firmware has no HMAT for node 2-3'
warns 'write Nodes=2-3 instead of the selectors'
warns 'node 2-3 (128G) has memory and no CPUs, could be device memory, and is in no pool: everybody may use it'
run 0 check --root="$root" --json=short
json "all(m['severity'] == 'warning' and m['file'] == '/etc/cdm/pools.d' and m['line'] is None for m in d) and len(d) == 2"
pool hbm MaxLatency=150ns
warns 'meets its MaxLatency= (at most 150 ns)'
pool hbm Dax=yes
warns 'meets its Dax=yes'
pool hbm Tier=1
warns 'meets its Tier=1'
pool hbm Tier=4
taken '[2, 3]'
json "d[2]['evidence'] == 'no-cpu'"
warns 'every node with memory meets Tier=4 of pool hbm (/etc/cdm/pools.d/hbm.conf:1), also those with CPUs'
pool hbm Nodes=2-3
taken '[2, 3]'
json "[n['evidence'] for n in d] == [None, None, 'list', 'list']"
quiet
pool hbm Nodes=2
warns 'node 3 (64G) has memory and no CPUs, could be device memory, and is in no pool'
pool hbm Nodes=2-4
warns 'pool hbm (/etc/cdm/pools.d/hbm.conf:2) lists node 4, which has no memory here'
pool hbm Nodes=7
warns 'pool hbm (/etc/cdm/pools.d/hbm.conf:2) is empty: node 7 has no memory here'
pool hbm Nodes=2-3
pool rest Nodes=auto
warns 'pool rest (/etc/cdm/pools.d/rest.conf:2) is empty: there is no node for it'

# With HMAT the same machine speaks for itself.
bare_root xeonmax
for node in 0 1 2 3; do
        mkdir -p "$root/sys/devices/system/node/node$node/access0/initiators"
        [ $node -lt 2 ] && mbps=150000 || mbps=400000
        echo $mbps >"$root/sys/devices/system/node/node$node/access0/initiators/read_bandwidth"
done
taken '[2, 3]'
json "d[2]['evidence'] == 'hmat' and d[0]['evidence'] is None"
quiet
pool hbm MinBandwidth=300G
taken '[2, 3]'
quiet
pool hbm MinBandwidth=100M
warns 'every node with memory meets MinBandwidth='
pool hbm MinBandwidth=900G
warns '`cdmctl nodes` shows what is known about node 2-3'

# Plain DRAM, most of it in nodes without CPUs: none of that is taken, unless something marks it or a list names it.
bare_root lpar
taken '[]'
json "all(n['evidence'] is None for n in d)"
warns 'node 1-3,5 (56G of the machine'
warns 'Nodes=auto takes none of it, and everybody may use it'
warns 'write Nodes=1-3,5 in a file of /etc/cdm/pools.d'
pool cdm Nodes=auto
taken '[]'
warns 'pool cdm (/etc/cdm/pools.d/cdm.conf:2) is empty'
pool cdm Nodes=5
taken '[5]'
quiet
rm "$root/etc/cdm/pools.d/cdm.conf"
mkdir -p "$root/sys/bus/dax/drivers/kmem/dax0.0" "$root/sys/bus/dax/devices/dax0.0"
echo 5 >"$root/sys/bus/dax/devices/dax0.0/target_node"
taken '[5]'
json "d[4]['evidence'] == 'dax'"
warns 'node 1-3 (48G of the machine'
# exactly half is not more than half
bare_root lpar
printf 'Node 0 MemTotal:       58720256 kB\nNode 0 MemFree:       0 kB\n' >"$root/sys/devices/system/node/node0/meminfo"
taken '[1, 2, 3, 5]'
warns 'node 1-3,5 (56G) counts as device memory for no other reason'
printf 'Node 0 MemTotal:       58720252 kB\nNode 0 MemFree:       0 kB\n' >"$root/sys/devices/system/node/node0/meminfo"
taken '[]'

# GPUs with MIG: what filled belongs to its GPU, and so does what is empty
bare_root mig
taken '[2, 3, 10]'
json "[n['device'] for n in d] == [None] * 2 + ['0009:01:00.0'] * 8 + ['0019:01:00.0'] * 8"
json "all(n['evidence'] == 'driver' for n in d[2:])"
quiet
run 0 nodes --offline --root="$root"
says out 'Without memory: node 4-9 of device 0009:01:00.0'
says out 'Without memory: node 11-17 of device 0019:01:00.0'
[ "$(wc -l <"$scratch/out")" -eq 8 ] || complain "nodes shows what is empty: $(cat "$scratch/out")"
run 0 nodes --offline --root="$root" --all
[ "$(wc -l <"$scratch/out")" -eq 19 ] || complain "--all hides something: $(cat "$scratch/out")"
run 0 nodes --offline --root="$root" --no-legend
[ "$(wc -l <"$scratch/out")" -eq 5 ] || complain "--no-legend says more than rows: $(cat "$scratch/out")"
# MIG is switched: another node fills, and the first one of the other GPU is empty
printf 'Node 7 MemTotal:       25165824 kB\nNode 7 MemFree:       25165824 kB\n' >"$root/sys/devices/system/node/node7/meminfo"
printf 'Node 10 MemTotal:       0 kB\nNode 10 MemFree:       0 kB\n' >"$root/sys/devices/system/node/node10/meminfo"
printf 'Node 12 MemTotal:       25165824 kB\nNode 12 MemFree:       25165824 kB\n' >"$root/sys/devices/system/node/node12/meminfo"
echo 0-3,7,12 >"$root/sys/devices/system/node/has_memory"
taken '[2, 3, 7, 12]'
quiet
mkdir -p "$root/etc/cdm/policy.d"
printf '[Match]\nUser=guest\n[Grant]\nLimit=infinity\n' >"$root/etc/cdm/policy.d/10-guest.conf"
for case in 0009:01:00.0=2,3,7 0019:01:00.0=12; do
        run 0 explain --offline --root="$root" cdm 1G --unit other --user guest --near "${case%=*}" --json=short
        json "all(n['node'] in [${case#*=}] for n in d['nodes'])"
done
# A kernel that does not list generic initiators: by where the memory is, and by what is empty
rm "$root/sys/devices/system/node/has_generic_initiator"
mkdir -p "$root/sys/devices/system/memory"
echo 20000000 >"$root/sys/devices/system/memory/block_size_bytes"
for block in 2=8448 3=8544 7=8600 12=8960; do
        mkdir "$root/sys/devices/system/node/node${block%=*}/memory${block#*=}"
done
run 0 nodes --offline --root="$root" --json=short
json "[n['device'] for n in d] == [None] * 2 + ['0009:01:00.0'] * 8 + ['0019:01:00.0'] * 8"
# Neither: then memory is nobody's, but for what the driver names, and no GPU gets another one's node.
rm -r "$root/sys/devices/system/memory"
run 0 nodes --offline --root="$root" --json=short
json "d[2]['device'] is None and d[10]['device'] == '0019:01:00.0' and d[11]['device'] is None"
# The driver contradicts the order: it is right.
bare_root mig
printf 'Node:      12\nStatus:    online\n' >"$root/proc/driver/nvidia/gpus/0009:01:00.0/numa_status"
run 0 nodes --offline --root="$root" --json=short
json "[n['node'] for n in d if n['device']] == [10, 12] and d[12]['device'] == '0009:01:00.0'"

# zoneinfo NODE ZONE: all memory of a node is in this zone
zoneinfo() {
        for zone in Normal Movable; do
                [ $zone = "$2" ] && pages=4096 || pages=0
                printf 'Node %d, zone %8s\n  pages free     1\n        spanned  4096\n        managed  %d\n' "$1" $zone $pages
        done >>"$root/proc/zoneinfo"
}

# Kernel data on memory that shall be taken out again: whose zone it is, and where it does not matter
bare_root cxl
for node in 0 1 2 3 4; do zoneinfo $node Normal; done
warns 'memory of node 2-4 was put online in a zone for kernel data'
warns 'memhp_default_state=online_movable'
rm "$root/proc/zoneinfo"
for node in 0 1; do zoneinfo $node Normal; done
for node in 2 3 4; do zoneinfo $node Movable; done
quiet
rm "$root/proc/zoneinfo"
for node in 0 1 2 3; do zoneinfo $node Movable; done
zoneinfo 4 Normal
warns 'memory of node 4 was put online in a zone for kernel data'
# boot memory cannot be taken out, so kernel data there is in nobody's way; what was plugged in can
bare_root xeonmax
pool hbm Nodes=2-3
for node in 0 1 2 3; do zoneinfo $node Normal; done
mkdir -p "$root/sys/devices/system/node/node2/memory64" "$root/sys/devices/system/node/node3/memory96" \
        "$root/sys/devices/system/memory/memory64" "$root/sys/devices/system/memory/memory96"
for block in 64 96; do
        echo online >"$root/sys/devices/system/memory/memory$block/state"
        echo Normal >"$root/sys/devices/system/memory/memory$block/valid_zones"
done
quiet
ln -s ../../../LNXSYSTM:00/LNXSYBUS:00/PNP0C80:00 "$root/sys/devices/system/memory/memory96/firmware_node"
mkdir -p "$root/sys/devices/LNXSYSTM:00/LNXSYBUS:00/PNP0C80:00"
warns 'memory of node 3 was put online in a zone for kernel data'
echo Movable >"$root/sys/devices/system/memory/memory96/valid_zones"
quiet
# what is offline says where it could go
echo offline >"$root/sys/devices/system/memory/memory96/state"
echo 'Normal Movable' >"$root/sys/devices/system/memory/memory96/valid_zones"
quiet
# a copy of a machine without /proc/zoneinfo: a device's memory block by block
bare_root mig
quiet
mkdir -p "$root/sys/devices/system/node/node3/memory8544" "$root/sys/devices/system/memory/memory8544"
echo Normal >"$root/sys/devices/system/memory/memory8544/valid_zones"
warns 'memory of node 3 was put online in a zone for kernel data'
finish
