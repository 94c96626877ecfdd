#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# cdmd-oci-hook: what it takes from a state, an image and a device, and where it asks for nothing. Against a daemon that
# only talks, and a made-up machine.

. "${srcdir:-.}/tests/client/common.sh"

hook=$PWD/cdmd-oci-hook
root=$scratch/root
start_bus

# hook STATUS STATE [ARGUMENTS...]: output goes to $scratch/out and err
hook() {
        want=$1 state=$2
        shift 2
        printf '%s' "$state" | "$hook" --root="$root" "$@" >"$scratch/out" 2>"$scratch/err"
        got=$?
        [ "$got" -eq "$want" ] && return 0
        complain "the hook with $state $*: exit status $got instead of $want"
        sed 's/^/# /' "$scratch/out" "$scratch/err"
}

# container CGROUP: its process is 77
container() {
        rm -rf "$root/proc" "$root/sys"
        mkdir -p "$root/proc/77" "$root/proc/self" "$root/sys/fs/cgroup$1"
        printf '1:cpu:/x\n0::%s\n' "$1" >"$root/proc/77/cgroup"
        echo '         0          0 4294967295' >"$root/proc/self/uid_map"
}

# state ANNOTATIONS [BUNDLE]
state() {
        printf '{"ociVersion":"1.0","id":"c","pid":77,"status":"creating","bundle":"%s","annotations":{%s}}' "${2:-/b}" "$1"
}

# requests: how many there were
requests() {
        grep -c '^Request ' "$scratch/log"
}

# asked WORDS: the daemon was asked so last
asked() {
        tail -1 "$scratch/log" | grep -qxF -- "$1" || complain "asked for '$(tail -1 "$scratch/log")', not '$1'"
}

pool='"org.cdmd1.pool":"hbm"'
size='"org.cdmd1.size":"8G"'
container /machine.slice/libpod-1.scope/container

# Who asks for nothing needs no bus, nor anything else to be right.
hook 0 '{"pid":77}'
hook 0 '{"pid":999999,"annotations":{"org.cdmd1.priority":"1","x":7}}'
silent err
# Without a daemon only who asks is refused.
hook 6 "$(state "$pool,$size")"
says err 'cdmd-oci-hook: cdmd cannot be reached'

start_fake

# What is no state, or no request.
for bad in '' 'x' '[]' '"x"' '{"pid":77' '{}' '{"pid":"77"}' '{"pid":0}' '{"pid":-1}' '{"pid":4294967373}' '{"pid":77.5}'; do
        hook 1 "$bad" --pool=hbm --size=8G
        says err 'this program is for container runtimes'
done
deep=$(head -c 5000 /dev/zero | tr '\0' '[')
hook 1 "$deep" --pool=hbm --size=8G
head -c 3000000 /dev/zero | tr '\0' ' ' | "$hook" --root="$root" 2>"$scratch/err" && complain "a state without end is read"
says err 'too long'
hook 1 "$(state "$pool")"
says err 'the annotation org.cdmd1.size is missing'
hook 1 "$(state "$size")"
says err 'the annotation org.cdmd1.pool is missing'
hook 1 "$(state "$pool,\"org.cdmd1.size\":\"lots\"")"
says err '"lots" is no size'
hook 1 "$(state "$pool,\"org.cdmd1.size\":\"0\"")"
hook 1 "$(state "$pool,\"org.cdmd1.size\":\"\"")"
hook 1 "$(state "$pool,\"org.cdmd1.size\":8}")"
hook 1 "$(state "$pool,\"org.cdmd1.size\":8")"
says err 'is no text'
hook 1 "$(state "$pool,\"org.cdmd1.size\":\"8G\\u0000\"")"
hook 1 "$(state '"org.cdmd1.pool":"../x","org.cdmd1.size":"1G"')"
says err "cannot be a pool's name"
hook 1 "$(state "$pool,\"org.cdmd1.size\":\"a\\ncdmctl: b\"")"
says err '"a?cdmctl: b" is no size'
hook 1 "$(state "$pool,$size,\"org.cdmd1.prority\":\"1\"")"
says err 'org.cdmd1.prority'
for bad in x '' 2147483648 ' 1' 1x; do
        hook 1 "$(state "$pool,$size,\"org.cdmd1.priority\":\"$bad\"")"
        says err 'is no number'
done
hook 1 "$(state "$pool,$size,\"org.cdmd1.exclusive\":\"maybe\"")"
says err 'is neither yes nor no'
hook 2 "$(state '')" --pool=hbm
hook 2 "$(state '')" --size=1G --pool
hook 2 "$(state '')" --pool=a --pool=b --size=1G
hook 2 "$(state '')" --sise=1G
hook 2 "$(state '')" hbm
hook 2 "$(state '')" --label=k8s.pod=a
says err 'need --pool= and --size='
hook 2 "$(state '')" --exclusive=yes
hook 2 "$(state '')" --priority=1
for bad in --label=x --label==x --label=K=x --label=a= --priority=x --priority --exclusive --exclusive=maybe; do
        hook 2 "$(state '')" --pool=hbm --size=8G "$bad"
done
hook 2 "$(state '')" --pool=hbm --size=8G --label=a=1 --label=a=2
says err 'has a key that is given twice'
hook 0 '' --help
hook 0 '' --version
[ "$(requests)" = 0 ] || complain "nonsense was asked for"

# Where a user could put whatever he likes.
refused() {
        hook 3 "$(state '')" --pool=hbm --size=8G
        says err 'cdmd-oci-hook: cdmctl run hbm 8G -- env DBUS_SESSION_BUS_ADDRESS=none podman --cgroup-manager=cgroupfs run --cgroups=disabled ...'
}
container /user.slice/user-1000.slice/user@1000.service/user.slice/libpod-1.scope
refused
container /machine.slice/libpod-1.scope
echo '0 1000 1' >"$root/proc/self/uid_map"
refused
echo '0 100000 65536' >"$root/proc/self/uid_map"
refused
container /../x
hook 1 "$(state '')" --pool=hbm --size=8G
container /gone.scope
rmdir "$root/sys/fs/cgroup/gone.scope"
hook 1 "$(state '')" --pool=hbm --size=8G
says err 'the control group of the container'
ln -s / "$root/sys/fs/cgroup/gone.scope"
hook 1 "$(state '')" --pool=hbm --size=8G
container /a
rm "$root/proc/77/cgroup"
hook 1 "$(state '')" --pool=hbm --size=8G
[ "$(requests)" = 0 ] || complain "something was asked for a user's container"

[ "$(id -u)" = 0 ] || { echo "skipped: the rest needs control groups that root owns"; exit $((failed ? failed : 77)); }
container /machine.slice/libpod-1.scope/container
chown 1000 "$root/sys/fs/cgroup/machine.slice/libpod-1.scope/container"
refused
container /machine.slice/libpod-1.scope/container
chown 1000 "$root/sys/fs/cgroup/machine.slice/libpod-1.scope"
refused
[ "$(requests)" = 0 ] || complain "something was asked for a user's container"
# What below its unit is the container's own, by its user namespace, is not a user's.
container /machine.slice/libpod-1.scope/container
chown 100000 "$root/sys/fs/cgroup/machine.slice/libpod-1.scope/container"
echo '0 100000 65536' >"$root/proc/77/uid_map"
hook 0 "$(state '')" --pool=hbm --size=8G
echo '0 100001 65536' >"$root/proc/77/uid_map"
refused
chown 100001 "$root/sys/fs/cgroup/machine.slice/libpod-1.scope"
refused
container /boxes/one
chown 100000 "$root/sys/fs/cgroup/boxes/one"
echo '0 100000 65536' >"$root/proc/77/uid_map"
refused
# Only the whole name is that of a user's manager.
container /machine.slice/xuser@1000.service/user@x.service/user@.service

# What is asked for.
hook 0 "$(state "$pool,$size")"
asked 'Request hbm 8589934592 pid=77 for-nobody=1'
silent err
hook 0 "$(state "$pool,$size,\"org.cdmd1.priority\":\"-5\",\"org.cdmd1.exclusive\":\"yes\",\"other\":[1]")"
asked 'Request hbm 8589934592 pid=77 for-nobody=1 priority=-5 exclusive=1'
hook 0 "$(state '"org.cdmd1.exclusive":"no"')" --pool=hbm --size=1.5G
asked 'Request hbm 1610612736 pid=77 for-nobody=1'
hook 0 "$(state "$pool,\"org.cdmd1.size\":\"50%\"")"
asked 'Request hbm 52428800 pid=77 for-nobody=1'
hook 0 "$(state "$pool,$size")" --pool=hbm --size=1G
asked 'Request hbm 1073741824 pid=77 for-nobody=1'
hook 0 "$(state '')" --pool=hbm --size=1G --priority=-3 --exclusive=yes --label=k8s.namespace=ml --label=k8s.pod=a
asked 'Request hbm 1073741824 pid=77 for-nobody=1 labels,k8s.namespace=ml,k8s.pod=a priority=-3 exclusive=1'
hook 3 "$(state '')" --pool=denied --size=1G
says err 'cdmd-oci-hook: refused by 10-x.conf:3 ?[31m'
hook 4 "$(state '')" --pool=full --size=1G
says err 'cdmd-oci-hook: pool full is full'

# One control group has one size of a pool. Reservation 7 has 64M on node 0.
n=$(requests)
container /system.slice/a.service/container
echo 0-1 >"$root/sys/fs/cgroup/system.slice/a.service/cpuset.mems.effective"
hook 0 "$(state '')" --pool=hbm --size=64M
hook 0 "$(state '')" --pool=hbm --size=67108863
[ "$(requests)" = "$n" ] || complain "the same is asked for again"
hook 3 "$(state '')" --pool=hbm --size=32M
says err 'has 64M of hbm already (reservation 7)'
[ "$(requests)" = "$n" ] || complain "another size is asked for"
# One that has no node of the reservation is a new one of the same path.
echo 1 >"$root/sys/fs/cgroup/system.slice/a.service/cpuset.mems.effective"
hook 0 "$(state '')" --pool=hbm --size=32M
asked 'Request hbm 33554432 pid=77 for-nobody=1'
container /system.slice/a.serviceman
hook 0 "$(state '')" --pool=hbm --size=32M
asked 'Request hbm 33554432 pid=77 for-nobody=1'

# What an image says itself, as podman copies it.
n=$(requests)
store=/var/lib/containers/storage
bundle=$store/overlay-containers/c0ffee/userdata
image=$root$store/overlay-images/abc
mkdir -p "$root$store/overlay-containers" "$image"
table=$root$store/overlay-containers/containers.json
hook 1 "$(state "$pool,$size" $bundle)"
says err "the image's own annotations cannot be told apart"
echo '[{"id":"other","image":"x"},7,{"id":"c0ffee","image":"abc"}]' >"$table"
hook 1 "$(state "$pool,$size" $bundle)"
hook 0 "$(state '"org.cdmd1.exclusive":"no"' $bundle)"
[ "$(requests)" = "$n" ] || complain "it was asked for before the image was looked at"
echo "{\"annotations\":{$pool,$size,\"org.cdmd1.junk\":\"1\",\"o\":1}}" >"$image/manifest"
hook 0 "$(state "$pool,$size,\"org.cdmd1.junk\":\"1\"" $bundle)"
says err 'annotations of the image itself are ignored'
[ "$(requests)" = "$n" ] || complain "an image has asked"
hook 1 "$(state "$pool,\"org.cdmd1.size\":\"4G\"" $bundle)"
says err 'the annotation org.cdmd1.pool is missing'
hook 0 "$(state "\"org.cdmd1.pool\":\"cxl\",\"org.cdmd1.size\":\"4G\",\"org.cdmd1.junk\":\"1\"" $bundle)"
asked 'Request cxl 4294967296 pid=77 for-nobody=1'
hook 0 "$(state "$pool,$size,\"org.cdmd1.junk\":\"1\"" $bundle)" --pool=hbm --size=1G
asked 'Request hbm 1073741824 pid=77 for-nobody=1'
echo '{}' >"$image/manifest"
hook 0 "$(state "$pool,$size" $bundle)"
asked 'Request hbm 8589934592 pid=77 for-nobody=1'
# podman run --rm, and --rootfs, which has no image
mv "$table" "$root$store/overlay-containers/volatile-containers.json"
echo '[]' >"$table"
hook 0 "$(state "$pool,$size" $bundle)"
echo '[{"id":"c0ffee","image":""}]' >"$table"
hook 0 "$(state "$pool,$size" $bundle)"
n=$(requests)
for bad in '' '{}' '[{"id":"c0ffee","image":"../abc"}]' '[{"id":"c0ffee","image":"def"}]'; do
        echo "$bad" >"$table"
        hook 1 "$(state "$pool,$size" $bundle)"
done
echo '[{"id":"c0ffee","image":"abc"}]' >"$table"
rm "$image/manifest"
mkfifo "$image/manifest"
hook 1 "$(state "$pool,$size" $bundle)"
[ "$(requests)" = "$n" ] || complain "an image that cannot be read was taken for one that says nothing"

# The file for podman names the program.
"${PYTHON3:-python3}" - "$PWD/client/oci/50-cdmd.json" <<'EOF' || complain "the file of the hook is not as it should be"
import json, re, sys
hook = json.load(open(sys.argv[1]))
(key, value), = hook["when"]["annotations"].items()
assert hook["hook"]["path"].endswith("/cdmd-oci-hook") and hook["stages"] == ["createRuntime"]
assert all(bool(re.search(key, a)) == wanted for a, wanted in (
    ("org.cdmd1.pool", True), ("org.cdmd1.size", True), ("org.cdmd1.sizes", False), ("xorg.cdmd1.pool", False)))
EOF

finish
