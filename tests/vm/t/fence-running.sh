#!/bin/bash
# The fence is closed over a system that runs already, changed, and lifted again: drop-ins, a reload, and
# whatever this systemd needs to apply them to what is there.
# topology: fast
# own-boot
# suites: trixie
# seconds: 80
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh

# configure LINE...: the section [Fence] of cdmd.conf
configure() {
        mkdir -p /etc/cdm/pools.d
        printf '%s\n' '[Fence]' "$@" >/etc/cdm/cdmd.conf
}

# status QUERY: a jq query over the status
status() {
        cdmctl status --json=short | jq --raw-output "$1"
}

# holders QUERY: over who has pages on CDM nodes
holders() {
        cdmctl who --json=short | jq --raw-output "$1"
}

# membind NODE: what the kernel says to a service that insists on a node
membind() {
        systemd-run --quiet --wait --pipe --collect --property=RuntimeMaxSec=60 vm-hog --bind --node "$1" --mb 1 2>&1
}

all_mems() {
        find /sys/fs/cgroup -name cpuset.mems -not -path '*/cdmd-vm-job*' -not -path '*/intruder*' -exec grep -H . {} + | sort
}

# on_cdm UNIT: bytes it has on nodes 2 and 3
on_cdm() {
        echo $(($(vm_node_bytes "$(vm_cgroup "$1")" 2) + $(vm_node_bytes "$(vm_cgroup "$1")" 3)))
}

# left UNIT: it has hardly anything there
left() {
        [ "$(on_cdm "$1")" -lt 1000000 ]
}

configure Exempt=free.service Pin=pinned.service:1
runuser --login alice --command 'sleep infinity' &
for unit in free pinned plain; do
        systemd-run --quiet --unit="$unit" sleep infinity
done
systemd-run --quiet --unit=below --slice=some-deep.slice sleep infinity
# What systemd 257 sometimes leaves of units that have ended; to ask it for one of those changes nothing for the others.
mkdir /sys/fs/cgroup/some.slice/some-deep.slice/ended{1..8}.service
check "an intruder takes 128 MiB of node 2" vm_eat intruder 2 128M
in_session() {
        grep -q . /sys/fs/cgroup/user.slice/user-1000.slice/session-*.scope/cgroup.procs
}
check "alice has a session" wait_for 120 in_session
grep -qw cpuset /sys/fs/cgroup/system.slice/cgroup.subtree_control
enabled=$?

systemctl enable --quiet cdmd
check "cdmd starts" systemctl start cdmd
is "the fence is closed" "$(vm_status fence)" closed
if [ $enabled -ne 0 ]; then
        like "it is told that the controller was enabled late" "$(status '.warnings[]')" "cpuset controller had to be enabled"
else
        skip "it is told that the controller was enabled late" "systemd has a use for it already"
fi
is "no leaf is open but for the exempt one" "$(site_leaks | grep -v free.service)" ""
is "init.scope is fenced" "$(cat /sys/fs/cgroup/init.scope/cpuset.mems.effective)" 0-1
is "the session of alice is fenced" "$(cat /sys/fs/cgroup/user.slice/user-1000.slice/session-*.scope/cpuset.mems.effective | sort -u)" 0-1
is "user@1000.service is fenced" "$(site_mems user@1000.service)" 0-1
is "a unit below two slices is fenced" "$(site_mems below.service)" 0-1
rmdir /sys/fs/cgroup/some.slice/some-deep.slice/ended*.service
is "an exempt unit is not fenced" "$(site_mems free.service)" 0-3
is "a pinned unit has its node" "$(site_mems pinned.service)" 1
is "cdmd is not" "$(site_mems cdmd.service)" 0-3
check "the intruder's memory left" wait_for 10 left intruder
like "who insists on a CDM node gets EINVAL" "$(membind 2)" "Invalid argument"
systemd-run --quiet --unit=late sleep infinity
is "a unit that starts later is fenced" "$(site_mems late.service)" 0-1
systemd-run --quiet --unit=late-own --property=AllowedMemoryNodes=2 sleep infinity
is "one that asks for CDM nodes as well" "$(site_mems late-own.service)" 0-1
is "nothing is left behind in system.control" "$(find /run/systemd/system.control -name '50-*' 2>/dev/null)" ""

systemctl restart cdmd
is "a restart finds it closed" "$(vm_status fence)" closed
systemctl set-property --runtime plain.service AllowedMemoryNodes=0-2
# has UNIT NODES: it can have memory there
has() {
        [ "$(site_mems "$1")" = "$2" ]
}
check "what somebody opens to a unit is closed again" wait_for 60 has plain.service 0-1

# 90- comes after the fence's drop-in, and wins
mkdir -p /run/systemd/system/opened.service.d
printf '[Service]\nAllowedMemoryNodes=2\n' >/run/systemd/system/opened.service.d/90-later.conf
printf '[Service]\nExecStart=sleep infinity\n' >/run/systemd/system/opened.service
systemctl daemon-reload
systemctl start opened
check "what a later drop-in opens as well" wait_for 60 has opened.service 0-1
# told: systemd thinks so, too
told() {
        [ "$(systemctl show --property=AllowedMemoryNodes --value opened)" = 0-1 ]
}
check "and systemd is told" wait_for 60 told
is "and systemd has the same idea" "$(systemctl show --property=AllowedMemoryNodes --value opened)" 0-1
is "the fence is closed" "$(vm_status fence)" closed
systemctl stop opened
rm -r /run/systemd/system/opened.service*

configure Exempt=free.service Exempt=free2.service
check "one more unit is exempt" cdmctl reload
check "it takes 64 MiB of node 2" vm_eat free2 2 64M
is "which who calls exempt" "$(holders '[.[] | select(.unit == "free2.service") | .kind] | unique | join(" ")')" exempt
is "nobody is an intruder" "$(holders '.[] | select(.kind == "intruder") | .cgroup')" ""
systemctl stop free2

configure Mode=off
systemctl daemon-reload
systemd-run --quiet --unit=late2 sleep infinity
is "an edit that was not accepted changes nothing at a daemon-reload" "$(site_mems late2.service)" 0-1
echo 'not a configuration' >/etc/cdm/cdmd.conf
systemctl daemon-reload
check_status 1 "a reload refuses broken files" cdmctl reload
like "with the line" "$output" "cdmd.conf:1"
is "and the unit that was exempt still is" "$(site_mems free.service)" 0-3

configure Exempt=plain.service
printf '[Pool]\nNodes=3\n' >/etc/cdm/pools.d/cdm.conf
check "another configuration is applied" cdmctl reload
is "the fence is closed with it" "$(vm_status fence)" closed
is "node 2 is ordinary now" "$(site_mems dbus.service)" 0-2
is "for a unit that ran as well" "$(site_mems below.service)" 0-2
is "for one that was exempt" "$(site_mems free.service)" 0-2
is "the one that is exempt now is free" "$(site_mems plain.service)" 0-3
printf '[Pool]\nNodes=0-3\n' >/etc/cdm/pools.d/cdm.conf
check_status 1 "pools that take all memory are refused" cdmctl reload
is "the fence stays" "$(site_mems dbus.service)" 0-2
rm /etc/cdm/pools.d/cdm.conf
configure
check "and the first one again" cdmctl reload
is "with it node 2 is kept" "$(site_mems dbus.service)" 0-1
is "no leaf is open" "$(site_leaks)" ""

mkdir /sys/fs/cgroup/foreign
check "a cgroup that systemd does not own" cdmctl reload
is "is fenced as well" "$(cat /sys/fs/cgroup/foreign/cpuset.mems.effective)" 0-1
is "and the fence is closed" "$(vm_status fence)" closed
rmdir /sys/fs/cgroup/foreign

systemctl stop late-own
configure Mode=off
check "Mode=off" cdmctl reload
is "opens it" "$(vm_status fence)" open
is "for every cgroup" "$(site_lifted)" ""
is "no drop-in is left" "$(find /run/systemd -name '*cdmd*.conf')" ""
systemctl daemon-reload
is "and none comes back at a daemon-reload" "$(find /run/systemd -name '*cdmd*.conf')" ""

before=$(all_mems)
configure Mode=observe
check "Mode=observe" cdmctl reload
check "an intruder takes 64 MiB of node 3" vm_eat intruder2 3 64M
is "and is only told of" "$(holders '[.[] | select(.unit == "intruder2.service" and .node == 3) | .kind] | unique | join(" ")')" intruder
check "it keeps its pages" test "$(on_cdm intruder2)" -ge $((60 << 20))
is "no cgroup was written" "$(comm -13 <(echo "$before") <(all_mems))" ""
systemd-run --quiet --unit=own --property=AllowedMemoryNodes=3 sleep infinity
is "a unit that runs has a CDM node of its own" "$(site_mems own.service)" 3

configure Mode=enforce
check "Mode=enforce" cdmctl reload
is "closes the fence again" "$(vm_status fence)" closed
check "the intruder is drained" wait_for 10 left intruder2
is "a unit's own AllowedMemoryNodes= is overridden" "$(site_mems own.service)" 0-1
check "which is counted" test "$(vm_status intruder_bytes_drained)" -ge $((60 << 20))

systemctl stop cdmd
systemd-run --quiet --unit=late3 sleep infinity
is "cdmd stops, the fence stays" "$(site_mems late3.service)" 0-1
systemctl start cdmd
systemctl stop own
site_down
is "for every cgroup" "$(site_lifted)" ""
finish
