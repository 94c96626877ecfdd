#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# --container: ids among control groups below a root, names by made-up runtimes in PATH.

. "${srcdir:-.}/tests/client/common.sh"

DBUS_SYSTEM_BUS_ADDRESS=unix:path=$scratch/no-bus
export DBUS_SYSTEM_BUS_ADDRESS
tools=$scratch/tools
mkdir "$tools"
system_path=$PATH

# id DIGITS: a full id that starts so
id() {
        printf '%s%064d\n' "$1" 0 | cut -c1-64
}
abc=$(id abc1)
abd=$(id abd2)
cafe=$(id cafe)
dead=$(id dead)
beef=$(id beef)

make_root hbm4
groups=$root/sys/fs/cgroup
mkdir -p "$groups/machine.slice/libpod-$abc.scope/container" "$groups/machine.slice/libpod-conmon-$abc.scope" \
        "$groups/machine.slice/libpod-$abd.scope" "$groups/system.slice/docker-$cafe.scope/docker/$dead" \
        "$groups/libpod_parent/libpod-$beef" "$groups/kubepods/burstable/pod1/$(id f00)" \
        "$groups/user.slice/user-4242.slice/user@4242.service/user.slice/libpod-$(id bad).scope" \
        "$groups/user.slice/user-4242.slice/user@4242.service/user.slice/libpod-$abc.scope"
rm "$root"/etc/cdm/policy.d/*
printf '[Match]\nContainer=podman:abc*\n[Grant]\nLimit=1G\n' >"$root/etc/cdm/policy.d/10-podman.conf"
printf '[Match]\nContainer=docker:* containerd:*\n[Grant]\nDeny=yes\n' >"$root/etc/cdm/policy.d/20-docker.conf"
printf '[Match]\nCGroup=/libpod_parent/libpod-beef*\n[Grant]\nLimit=infinity\n' >"$root/etc/cdm/policy.d/30-cgroup.conf"
explain="explain --offline --root=$root cdm 512M"

# shellcheck disable=SC2086
{
        # an id, a beginning of one, the runtime said as well
        run 0 $explain --container "$abc"
        says out 10-podman.conf
        run 0 $explain --container=abc
        run 0 $explain --container "podman:$abc"
        run 3 $explain --container "$(echo "$cafe" | cut -c1-12)"
        says out 20-docker.conf
        run 3 $explain --container f00
        says out 20-docker.conf
        run 0 $explain --container beef
        says out 30-cgroup.conf
        # the same scopes as units and cgroups; a monitor is no container, and neither is what a user made
        run 0 $explain --unit "libpod-$abc.scope"
        run 0 $explain --cgroup "/machine.slice/libpod-$abc.scope"
        run 3 $explain --unit "libpod-conmon-$abc.scope"
        says out 'Rule: none'
        run 3 $explain --cgroup "/user.slice/user-4242.slice/user@4242.service/user.slice/libpod-$abc.scope"
        says out 'Rule: none'
        run 3 $explain --unit "libpod-$abc.service"
        # several, none, another runtime's, one inside another, another user's
        run 1 $explain --container "$(id ab | cut -c1-2)"
        run 1 $explain --container ab
        run 1 $explain --container abcd
        says err "no container below $root"
        run 1 $explain --container docker:abc
        run 1 $explain --container dead
        run 1 $explain --container bad
        mkdir -p "$groups/system.slice/docker-$(id abc2).scope"
        run 1 $explain --container abc
        says err "'abc' may be one of several containers"
        says err "podman:$abc in /machine.slice/libpod-$abc.scope"
        says err "docker:$(id abc2)"
        run 0 $explain --container podman:abc
        # nonsense
        for word in '' - -x -- ../x 'a b' a/b ':x' 'podman:' 'lxc:abc' 'podman:-x' 'podman:a:b' _x .x 'a;b' "$(id a)$(id b)$(id c)$(id d)"; do
                run 2 $explain --container="$word"
                says err '--container='
        done
        run 2 request cdm 1G --container=abc --unit=x
        run 2 list --container=abc
        run 125 run cdm 1G --container=abc -- true
        run 2 request cdm 0 --container=nosuch
}

# Names. This machine's own containers, if it has any, are not those of the test.
tool() {
        printf '#!/bin/sh\nprintf "%%s\\n" "$0 $*" >>"%s/calls"\n%s\n' "$scratch" "$2" >"$tools/$1"
        chmod +x "$tools/$1"
}
# asks STATUS NAME: `explain --container NAME`, with no tools but those of the test
asks() {
        : >"$scratch/calls"
        PATH=$tools
        run_with_path "$@"
}
run_with_path() {
        want=$1
        shift
        "$cdmctl" explain cdm 1G --container "$1" >"$scratch/out" 2>"$scratch/err"
        got=$?
        PATH=$system_path
        [ "$got" -eq "$want" ] || {
                complain "--container $1: exit status $got instead of $want"
                sed 's/^/# /' "$scratch/out" "$scratch/err"
        }
}
called() {
        grep -qxF -- "$tools/$1" "$scratch/calls" || {
                complain "not called: $1"
                sed 's/^/# /' "$scratch/calls"
        }
}

asks 1 web
says err 'is in PATH to look up a name'
tool podman "echo 'Error: no such container' >&2; exit 125"
asks 1 web
called 'podman container inspect --format {{.Id}} -- web'
says err "there is no container 'web'"
says err 'podman: Error: no such container'
tool podman "echo $(id 123456)"
asks 1 web
says err "the container web (123456000000) is not running; start it first"
tool docker "echo 'cannot connect' >&2; exit 1"
asks 1 web
says err 'is not running'
tool docker "echo $(id 123456)"
asks 1 web
says err 'is not running'
tool docker "echo $(id 654321)"
asks 1 web
says err "several containers have the name 'web'"
asks 1 docker:web
says err '(654321000000) is not running'
if grep -q podman "$scratch/calls"; then complain "podman was asked for docker's"; fi
tool podman 'echo; echo garbage'
asks 1 podman:web
says err "its output is not a container's id"
tool podman 'printf "\033[31m" >&2; exit 1'
asks 1 podman:web
if grep -q "$(printf '\033')" "$scratch/err"; then complain "an escape reached the terminal"; fi
tool podman 'kill -9 $$'
asks 1 podman:web
says err 'failed and did not say why'
tool crictl "echo $(id 123456); echo $(id 654321)"
asks 1 crio:web.1
called 'crictl ps --quiet --no-trunc --name ^web[.]1$'
says err 'several containers'
rm "$tools"/*
asks 2 '$(id)'
finish
