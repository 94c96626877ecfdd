#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# A real machine: POWER9 with six V100s, whose memory is nodes 250-255.

. "${srcdir:-.}/tests/client/common.sh"

fixture=${CDM_FIXTURES:-$srcdir/../shared/fixtures}/power9-v100.tar.bz2
if [ ! -e "$fixture" ]; then
        echo "skipped: there is no $fixture"
        exit 77
fi
tar -C "$scratch" -xf "$fixture"
root=$scratch/nvidiagpunumanodes

run 0 nodes --offline --root="$root" --json=short
json "[n['node'] for n in d] == [0, 8, 250, 251, 252, 253, 254, 255]"
json "[n['pool'] for n in d] == [None] * 2 + ['cdm'] * 6"
json "all(n['read_bandwidth_mbps'] is None and n['tier'] is None and n['initiators'] == [] for n in d)"
run 0 pools --offline --root="$root" --json=short
json "len(d) == 1 and d[0]['name'] == 'cdm' and d[0]['nodes'] == [250, 251, 252, 253, 254, 255]"
json "d[0]['size'] > 0 and 0 < d[0]['used'] < d[0]['size']"
run 3 explain cdm 1G --offline --root="$root" --unit a.service
says out 'denied'
finish
