#!/bin/bash
# Drains that take long are in nobody's way: while as many of them run as there are threads, others get and give
# back memory, the configuration is read anew, and what appears is fenced.
# suites: bookworm
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
slow='train-slow-1 train-slow-2 train-slow-3 train-slow-4'
n_slow=4 # as many as threads that move pages
times=15
[ -z "$CDMD_SOAK" ] || times=50
new=/sys/fs/cgroup/newcomer

# on_cdm UNIT MIB: so much of it at least is on CDM nodes; off_cdm: hardly anything is
on_cdm() {
        local group
        group=$(vm_cgroup "$1.service")
        [ $(($(vm_node_bytes "$group" 2) + $(vm_node_bytes "$group" 3))) -ge $(($2 << 20)) ]
}
off_cdm() {
        local group
        group=$(vm_cgroup "$1.service")
        [ $(($(vm_node_bytes "$group" 2) + $(vm_node_bytes "$group" 3))) -lt $((2 << 20)) ]
}

# n_draining: so many reservations drain
n_draining() {
        site_list '[.[] | select(.state == "draining")] | length'
}

# release ID: without waiting for its drain
release() {
        busctl call --quiet org.cdmd1 "/org/cdmd1/reservation/$1" org.cdmd1.Reservation Release
}

# get_and_give_back N: so many times. Each step would wait for ever if it waited for a drain.
get_and_give_back() {
        local i id
        for ((i = 0; i < $1; i++)); do
                id=$(timeout 300 cdmctl request hbm 8M --unit train-quick.service) || return
                timeout 300 cdmctl release "$id" || return
        done
}

# mems_of CGROUP NODES: it may have those
mems_of() {
        [ "$(cat "$1/cpuset.mems.effective")" = "$2" ]
}

site_up
systemd-run --quiet --unit=train-quick sleep infinity
ids=
for unit in $slow; do
        vm_eat "$unit" 0 400M
        ids="$ids $(cdmctl request hbm 410M --unit "$unit.service" --migrate)"
        check "$unit has its memory on CDM nodes" wait_for 60 on_cdm "$unit" 390
done

# Six minutes for each.
mkdir -p /etc/cdm
printf '[Drain]\nBandwidth=1M\n' >/etc/cdm/cdmd.conf
check "drains are slowed down" cdmctl reload
for id in $ids; do
        release "$id"
done
is "all of them drain" "$(n_draining)" "$n_slow"
started=$SECONDS

check "meanwhile another unit gets memory and gives it back, $times times" get_and_give_back $times
mkdir $new
check "a cgroup that appears is fenced" wait_for 300 mems_of $new 0-1
check "who has what is told" timeout 300 cdmctl who
# The fence is closed anew by that, and leaves open what still drains.
check "the configuration is read anew" timeout 300 cdmctl reload
is "all of those drains still run (after $((SECONDS - started)) s)" "$(n_draining)" "$n_slow"

# A drain ends soon when its unit does.
# shellcheck disable=SC2086 # several
systemctl stop $slow
check "what has ended drains no more" wait_for 300 site_gone

# Without a limit the same drains end, and move all.
printf '[Drain]\nBandwidth=0\n' >/etc/cdm/cdmd.conf
check "drains are fast again" cdmctl reload
vm_eat train-slow-1 0 32M
id=$(cdmctl request hbm 40M --unit train-slow-1.service --migrate)
check "train-slow-1 is there once more" wait_for 60 on_cdm train-slow-1 30
printf '[Drain]\nBandwidth=16M\n' >/etc/cdm/cdmd.conf
check "drains are slowed down a little" cdmctl reload
check "a drain with pauses moves all pages" cdmctl release "$id"
check "and none is left" off_cdm train-slow-1
rmdir $new
systemctl stop train-quick train-slow-1
site_down
finish
