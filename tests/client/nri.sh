#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# cdmd-nri, where it is built: what it takes from a pod, and what it makes of the nodes that a kubelet asks for.

. "${srcdir:-.}/tests/client/common.sh"

[ -x nri/cdmd-nri-test ] || { echo "skipped: cdmd-nri is not built here, because Go or the packages of NRI are missing"; exit 77; }
nri/cdmd-nri-test || complain "cdmd-nri: its own tests fail"
nri/cdmd-nri --version | grep -qx 'cdmd-nri [0-9.]*' || complain "cdmd-nri --version says something else"
nri/cdmd-nri x 2>"$scratch/err"
[ $? -eq 2 ] || complain "a word that is no option is accepted"
timeout 3 nri/cdmd-nri --socket="$scratch/none" 2>"$scratch/err"
[ $? -eq 124 ] || complain "it does not wait for a socket that is missing"
says err 'enable NRI'
unformatted=$(cd "${srcdir:-.}" && find nri tests -name '*.go' -exec gofmt -l {} +) || complain "gofmt fails"
[ -z "$unformatted" ] || complain "not as gofmt has them: $unformatted"
finish
