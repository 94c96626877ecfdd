#!/bin/bash
# Containers of LXC that have memory from their first instruction, by the example of a hook.
# site: machines
# seconds: 120
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
# shellcheck source=tests/vm/guest/machines.sh
. /usr/lib/cdmd-vm/machines.sh
hook=/usr/share/doc/cdmd/examples/lxc/cdm-lxc-hook
site_up
site_rule 25-lxc 'Pool=hbm' 'CGroup=/lxc.payload.*' -- 'Limit=128M'
check "a rule for containers is taken" cdmctl reload
first=$(cdmctl nodes --json=short | jq '[.[] | select(.pool == "hbm") | .node][0]')

# said TEXT: the hook has said so in the journal
said() {
        journalctl --sync
        journalctl --identifier=cdm-lxc-hook --output=cat --no-pager | grep -F -- "$1"
}
# nothing_left NAME
nothing_left() {
        lxc_gone "$1" && site_gone
}
reserved() {
        site_list 'map("\(.pool) \(.size) \(.uid) \(.state) \(.cgroup)") | join(";")'
}

lxc_container plain "$first"
lxc_container one "$first" "lxc.hook.start-host = $hook hbm 64M --nodes $first"
lxc_container big "$first" "lxc.hook.start-host = $hook hbm 256M --nodes $first"
lxc_container wrong "$first" "lxc.hook.start-host = $hook"

# What binds fails without memory: the test can tell.
lxc_start plain >/dev/null
is_refused_memory() { grep -q 'vm-hog: .*Invalid argument' /var/lib/lxc/plain/rootfs/hog; }
check "one without the hook may not bind to a CDM node" wait_for 60 is_refused_memory
check "it is gone" wait_for 60 lxc_gone plain

check "one with the hook starts" lxc_start one
check "what it binds is there" wait_for 60 lxc_hogs one
like "its first program was born with a CDM node" "$(lxc_file one born)" "[,-]$first\$"
is "by one reservation, of its control group" "$(reserved)" "hbm $((64 << 20)) 0 active /lxc.payload.one"
like "by the rule for it" "$(site_list '.[0].policy')" '25-lxc.conf:1'
is "nobody else has a node" "$(site_leaks | grep -v '^/lxc.payload.one')" ""
id=$(site_list '.[0].id')

check_status 1 "one that asks for more than allowed does not start" lxc_start big
check "cdmd's sentence is in the journal" said 'big does not start: cdmctl: '
like "and names the rule" "$(said 'big does not start')" '25-lxc.conf'
if [ "$VM_SUITE" = bookworm ]; then
        check "and in LXC's log" grep -F 'big does not start: cdmctl: ' /var/log/lxc/big.log
else
        skip "and in LXC's log" "LXC 6.0 leaves that empty"
fi
check "its program has not run" test ! -e /var/lib/lxc/big/rootfs/born
check "it leaves nothing" wait_for 60 lxc_gone big
is "the other has what it had" "$(site_list '.[].id')" "$id"
check_status 1 "a hook that does not say how much fails the start" lxc_start wrong
check "and says so" said 'write which pool and how much'
check "it leaves nothing" wait_for 60 lxc_gone wrong

# cdmd is killed in between: the container keeps what it has, and cdmd knows of it.
systemctl kill --signal=KILL cdmd
check "cdmd comes back and has the reservation" wait_for 60 site_has_one
is "the same" "$(site_list '.[].id')" "$id"
check "stopped" lxc_stop one
check "it leaves nothing" wait_for 120 nothing_left one
is "and nobody has a node" "$(site_leaks)" ""

rm /var/lib/lxc/one/rootfs/{born,hog}
check "it starts again" lxc_start one
check "and has its memory" wait_for 60 lxc_hogs one
check "by a new reservation" test "$(site_list '.[].id')" != "$id"
check "stopped" lxc_stop one
check "it leaves nothing" wait_for 120 nothing_left one

# Killed while the hook waits.
rm /var/lib/lxc/one/rootfs/{born,hog}
cdmd=$(site_pid cdmd)
kill -STOP "$cdmd"
lxc_start one >/dev/null 2>&1 &
waits=$!
check "the hook waits for cdmd" wait_for 60 pgrep -x cdmctl
kill -KILL "$cdmd"
wait $waits
case $? in
0) check "cdmd was killed meanwhile: it has started, and has its memory" wait_for 60 lxc_hogs one ;;
*) check "cdmd was killed meanwhile: it has not started" test ! -e /var/lib/lxc/one/rootfs/born ;;
esac
lxc_stop one
check "it leaves nothing" wait_for 120 nothing_left one

systemctl mask --quiet --runtime --now cdmd
check_status 1 "without cdmd, one that asks does not start" lxc_start one
check "which is told" said 'cdmd cannot be reached'
check "it leaves nothing" wait_for 60 lxc_gone one
systemctl unmask --quiet --runtime cdmd
check "cdmd is there again" systemctl start cdmd
is "with nothing reserved" "$(site_list length)" 0

rm -rf /var/lib/lxc/{plain,one,big,wrong} /var/log/lxc/{plain,one,big,wrong}.log
site_down
finish
