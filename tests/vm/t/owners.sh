#!/bin/bash
# Cgroups with the names of units that systemd did not make, as Nomad and Slurm make them: PID 1 says whose a cgroup is.
# own-boot
# seconds: 40
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
top=/sys/fs/cgroup

# has CGROUP NODES: what it can have
has() {
        [ "$(cat "$top$1/cpuset.mems.effective")" = "$2" ]
}
mems() {
        cat "$top$1/cpuset.mems.effective"
}
# free CGROUP: it can have all nodes, by its own set, or without the controller, which systemd disables without a fence
free() {
        [ ! -e "$top$1/cpuset.mems" ] || has "$1" 0-3
}
# told CGROUP: the journal says that it was fenced
told() {
        journalctl --unit cdmd CDM_EVENT=fenced CDM_CGROUP="$1" --quiet | grep -q .
}

# is_foreign CGROUP: cdmd has noted what it was
is_foreign() {
        grep -Fqx "$1" /run/cdmd/foreign/*
}

site_write
site_rule 05-nomad 'Pool=hbm' 'CGroup=/nomad.slice/* /system.slice/*' -- 'Limit=256M'
# There before cdmd.
mkdir -p $top/system.slice/before.scope $top/early.slice/x.scope $top/idle.slice
echo +cpuset >$top/cgroup.subtree_control
echo 0,2 >$top/early.slice/cpuset.mems
sleep infinity &
sleeper=$!
echo $sleeper >$top/early.slice/x.scope/cgroup.procs
systemctl enable --quiet cdmd
check "cdmd starts" systemctl start cdmd
check "the fence is closed" vm_fence_is closed
is "one that was there is fenced" "$(mems /system.slice/before.scope)" 0-1
is "so is a slice that is none of systemd's, within its own set" "$(mems /early.slice)" 0
is "and one in which nothing is" "$(mems /idle.slice)" 0-1

# Nomad
mkdir -p $top/nomad.slice/reserve.slice
echo "+cpuset +memory" >$top/nomad.slice/cgroup.subtree_control
echo "+cpuset +memory" >$top/nomad.slice/reserve.slice/cgroup.subtree_control
begin=${EPOCHREALTIME/./}
mkdir $top/nomad.slice/reserve.slice/{a,b}.task.scope
a=/nomad.slice/reserve.slice/a.task.scope b=/nomad.slice/reserve.slice/b.task.scope
check "one like Nomad's is fenced" wait_for 30 has $a 0-1
echo "# after $((${EPOCHREALTIME/./} - begin)) us"
check "by the uppermost one that is not systemd's" wait_for 30 told /nomad.slice
check "it gets a reservation" cdmctl request hbm 64M --cgroup $a --nodes 2
id=$output
is "its node is open" "$(mems $a)" 0-2
is "those above it are widened" "$(mems /nomad.slice) $(mems /nomad.slice/reserve.slice)" "0-2 0-2"
is "the one beside it is not" "$(mems $b)" 0-1
kill -KILL "$(site_pid cdmd.service)"
check "cdmd is killed and comes back" wait_for 60 cdmctl list
check "with a fence" wait_for 60 vm_fence_is closed
is "and the same" "$(mems $a) $(mems $b)" "0-2 0-1"
check "the release" cdmctl release "$id"
is "closes all of it" "$(mems $a) $(mems /nomad.slice)" "0-1 0-1"

# Slurm
begin=${EPOCHREALTIME/./}
mkdir -p $top/system.slice/slurmstepd.scope/job_1
check "one like Slurm's is fenced" wait_for 30 has /system.slice/slurmstepd.scope 0-1
echo "# after $((${EPOCHREALTIME/./} - begin)) us"
check "as one that systemd does not own" wait_for 30 told /system.slice/slurmstepd.scope

# What is systemd's stays so, and what it takes over becomes so.
systemd-run --quiet --unit=mine sleep infinity
check "a unit is fenced" wait_for 30 has /system.slice/mine.service 0-1
is "by systemd" "$(journalctl --unit cdmd CDM_CGROUP=/system.slice/mine.service --output=cat)" ""
mkdir $top/system.slice/taken.service
check "a cgroup with the name of a unit that will be" wait_for 30 told /system.slice/taken.service
systemd-run --quiet --unit=taken sleep infinity
site_rule 06-taken 'Pool=hbm' 'Unit=taken.service mine.service' -- 'Limit=256M'
check "rules for units" cdmctl reload
check "the unit that took it over gets a reservation" cdmctl request hbm 64M --unit taken.service --nodes 3
id=$output
is "its node" "$(mems /system.slice/taken.service)" 0-1,3
systemctl daemon-reload
check "which it keeps over a daemon-reload" wait_for 30 has /system.slice/taken.service 0-1,3
check "and releases" cdmctl release "$id"
is "as a unit" "$(mems /system.slice/taken.service)" 0-1

# While PID 1 does not answer: it closes its connections when it begins anew, so that a call may have to be repeated.
later_runs() {
        systemctl --quiet is-active later || systemd-run --quiet --unit=later sleep infinity
}
systemctl daemon-reexec &
mkdir $top/system.slice/unknown.scope
systemctl daemon-reload 2>/dev/null || :
check "a unit is started" wait_for 60 later_runs
check "one that is made while systemd begins anew is fenced" wait_for 60 has /system.slice/unknown.scope 0-1
check "so is a unit" wait_for 60 has /system.slice/later.service 0-1
wait $!
check "systemd has said whose the first one is" wait_for 60 is_foreign /system.slice/unknown.scope
systemctl stop later mine taken

site_down
for cgroup in $a $b /idle.slice /system.slice/{slurmstepd,unknown,before}.scope; do
        check "lifted, $cgroup has what it had" free "$cgroup"
done
is "one with a set of its own has that" "$(cat $top/early.slice/cpuset.mems)" 0,2
kill $sleeper
wait $sleeper 2>/dev/null
rmdir $top$a $top$b $top/nomad.slice/reserve.slice $top/nomad.slice $top/system.slice/slurmstepd.scope/job_1 \
        $top/system.slice/slurmstepd.scope $top/system.slice/before.scope $top/system.slice/unknown.scope
rmdir $top/idle.slice $top/early.slice/x.scope $top/early.slice
finish
