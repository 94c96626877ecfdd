#!/bin/bash
# Children of a delegated unit that are tenants of their own (Subtree=), in a tree as Slurm makes it: the unit is open
# only while one of them has a grant, and the others are kept off its nodes all the same.
# suites: bookworm
# last
# seconds: 100
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
top=/sys/fs/cgroup
scope=/system.slice/slurmstepd.scope

mems() {
        cat "$top$scope$1/cpuset.mems.effective"
}

# has CGROUP NODES
has() {
        [ "$(mems "$1")" = "$2" ]
}

# told: what systemd thinks that the unit has
told() {
        systemctl show --property=AllowedMemoryNodes --value slurmstepd.scope
}

on() {
        [ "$(vm_node_bytes "$scope$1" "$2")" -ge $(($3 << 20)) ]
}

off() {
        [ "$(vm_node_bytes "$scope$1" "$2")" -lt $((2 << 20)) ]
}

# sleeper CGROUP: a process in there, as slurmstepd itself
sleeper() {
        bash -c 'echo $$ >"$1/cgroup.procs" && exec sleep infinity' sleeper "$top$scope$1" &
        disown
        wait_for 10 grep -q 'populated 1' "$top$scope$1/cgroup.events"
}

# step JOB STEP: as slurmstepd does it; it writes what the unit has into the job and into user
step() {
        local job=$top$scope/$1 set
        local step=$job/$2
        mkdir -p "$step/slurm" "$step/user"
        echo "+cpuset +memory" >"$job/cgroup.subtree_control"
        echo "+cpuset +memory" >"$step/cgroup.subtree_control"
        echo "+cpuset +memory" >"$step/user/cgroup.subtree_control"
        mkdir -p "$step/user/task_0"
        chown alice: "$step/user/task_0"
        sleeper "/$1/$2/slurm"
        set=$(cat "$top$scope/cpuset.mems")
        [ -n "$set" ] || set=$(cat "$top$scope/cpuset.mems.effective")
        echo "$set" >"$job/cpuset.mems"
        echo "$set" >"$step/user/cpuset.mems"
}

# task CGROUP NODE MIB: a process there fills memory that is bound to the node; fails where it may not be
task() {
        : >/tmp/task
        bash -c 'echo $$ >"$1/cgroup.procs" && exec vm-hog --bind --small --node "$2" --mb "$3"' task "$top$scope$1" "$2" "$3" \
                >/tmp/task 2>&1 &
        disown
        wait_for 60 grep -qE 'ready|mbind' /tmp/task && grep -q ready /tmp/task
}

# admit CGROUP: what Manager.Admit says of it
admit() {
        busctl call org.cdmd1 /org/cdmd1 org.cdmd1.Manager Admit 'a{sv}' 1 cgroup s "$scope$1"
}

# admitted JOB N: makes N steps of the job, each as slurmstepd does it but without processes, and prints how many of them
# had the ordinary nodes as their own set when Admit had answered
admitted() {
        local good=0 i
        for ((i = 0; i < $2; i++)); do
                mkdir "$top$scope/$1/step_a$i"
                admit "/$1/step_a$i" >/dev/null
                [ "$(cat "$top$scope/$1/step_a$i/cpuset.mems")" != 0-1 ] || good=$((good + 1))
                cat $top$scope/cpuset.mems >"$top$scope/$1/cpuset.mems"
        done
        for ((i = 0; i < $2; i++)); do
                rmdir "$top$scope/$1/step_a$i"
        done
        echo $good
}

# together N: N times two jobs request at the same moment, and release at the same moment; prints how often both have had
# their node, and the unit both
together() {
        local good=0 i
        for ((i = 0; i < $1; i++)); do
                cdmctl request hbm 16M --cgroup $scope/job_3 --nodes 2 >/tmp/one &
                cdmctl request hbm 16M --cgroup $scope/job_4 --nodes 3 >/tmp/two
                wait $!
                ! { has '' 0-3 && has /job_3/step_0 0-2 && has /job_4/step_0 0-1,3; } || good=$((good + 1))
                cdmctl release "$(cat /tmp/one)" &
                cdmctl release "$(cat /tmp/two)"
                wait $!
        done
        echo $good
}

# rchar: how many bytes cdmd has read
rchar() {
        sed -n 's/^rchar: //p' "/proc/$(site_pid cdmd.service)/io"
}

# in_task CGROUP COMMAND...: as alice, in there
in_task() {
        bash -c 'echo $$ >"$1/cgroup.procs" && shift && exec setpriv --reuid alice --regid alice --init-groups "$@"' in_task \
                "$top$scope$1" "${@:2}"
}

kill_all() {
        echo 1 >"$top$scope$1/cgroup.kill"
        wait_for 20 grep -q 'populated 0' "$top$scope$1/cgroup.events"
}

# remove CGROUP: with all below it
remove() {
        find "$top$scope$1" -depth -type d -exec rmdir {} \;
}

site_write
printf '[Fence]\nSubtree=*slurmstepd.scope:job_*/step_*\n' >/etc/cdm/cdmd.conf
site_rule 05-jobs 'Pool=hbm' "CGroup=$scope/job_*" -- 'Limit=256M'
check "the configuration is good" cdmctl check
systemctl enable --quiet cdmd
check "cdmd starts" systemctl start cdmd
systemd-run --scope --quiet --slice=system.slice --unit=slurmstepd --property=Delegate=yes sleep infinity &
disown
check "a delegated scope" wait_for 20 grep -q 'populated 1' "$top$scope/cgroup.events"
mkdir $top$scope/system
for pid in $(cat $top$scope/cgroup.procs); do
        echo "$pid" >$top$scope/system/cgroup.procs
done
echo "+cpuset +memory" >$top$scope/cgroup.subtree_control
step job_1 step_0
step job_2 step_0
is "without a grant the unit confines all" "$(mems '') $(mems /job_1/step_0/user/task_0) $(mems /job_2/step_0)" "0-1 0-1 0-1"
check_status 1 "nobody there may use a CDM node" task /job_1/step_0/user/task_0 2 16

check "one job gets a reservation" cdmctl request hbm 128M --cgroup $scope/job_1 --nodes 2
job=$output
is "which is the job's" "$(site_list '.[] | .cgroup + " " + (.unit // "none") + " " + .state')" "$scope/job_1 none active"
is "its tasks have the node" "$(mems /job_1/step_0/user/task_0)" 0-2
is "the other job has not, at its steps" "$(mems /job_2/step_0) $(mems /job_2/step_0/user/task_0)" "0-1 0-1"
is "nor has what is no job" "$(mems /system)" 0-1
is "systemd knows that the unit is open" "$(told)" 0-2
check "a task of the job uses it" task /job_1/step_0/user/task_0 2 64
check "which is there" wait_for 10 on /job_1 2 60
check_status 1 "one of the other job cannot" task /job_2/step_0/user/task_0 2 16
like "and is told EINVAL" "$(cat /tmp/task)" "Invalid argument"
is "the fence is closed" "$(vm_status fence)" closed
is "nobody is in the way" "$(cdmctl who --json=short | jq --raw-output '[.[] | select(.kind == "intruder")] | length')" 0
is "the job has its bytes" "$(cdmctl who --json=short | jq --raw-output '[.[] | select(.kind == "reserved") | .cgroup] | unique | join(" ")')" "$scope/job_1"

step job_2 step_1
check "a new step of the other job, which opens it again, is fenced" wait_for 10 has /job_2/step_1 0-1
is "its task too" "$(mems /job_2/step_1/user/task_0) $(mems /job_2/step_0/user/task_0)" "0-1 0-1"
check_status 1 "so it cannot use the node" task /job_2/step_1/user/task_0 2 16
is "Admit answers when a new step has a set of its own" "$(admitted job_2 10)" 10
mkdir $top$scope/job_2/step_9
is "with its inode, and no node" "$(admit /job_2/step_9)" "tau $(stat --format=%i $top$scope/job_2/step_9) 0"
is "of the one with a grant with its node" "$(admit /job_1/step_0)" "tau $(stat --format=%i $top$scope/job_1/step_0) 1 2"
rmdir $top$scope/job_2/step_9
like "also of a unit" "$(busctl call org.cdmd1 /org/cdmd1 org.cdmd1.Manager Admit 'a{sv}' 1 cgroup s /system.slice/dbus.service)" "tau [0-9]* 0"
check_status 1 "not of what is not there" admit /job_8
like "as is told" "$output" "no such control group"
check_status 1 "nor of a slice" busctl call org.cdmd1 /org/cdmd1 org.cdmd1.Manager Admit 'a{sv}' 1 cgroup s /system.slice
check_status 1 "a user may not ask" vm_as alice "busctl call org.cdmd1 /org/cdmd1 org.cdmd1.Manager Admit 'a{sv}' 1 cgroup s $scope/job_1"
like "as is told" "$output" "Denied|denied|not authorized|may not"
step job_1 step_1
check "a new step of the job has the node" wait_for 10 has /job_1/step_1/user/task_0 0-2
step job_3 step_0
check "a new job is fenced" wait_for 10 has /job_3/step_0/user/task_0 0-1
echo 0-3 >$top$scope/job_3/step_0/cpuset.mems
check "also when somebody opens it" wait_for 10 has /job_3/step_0/user/task_0 0-1
step job_9 step_0
chown alice: $top$scope/job_9
check "one that a user owns is fenced" wait_for 10 has /job_9/step_0/user/task_0 0-1
check_status 3 "and is no tenant" cdmctl request hbm 64M --cgroup $scope/job_9
mkdir $top$scope/job_empty
check_status 1 "nor is one without a process" cdmctl request hbm 64M --cgroup $scope/job_empty
rmdir $top$scope/job_empty

check "a second job gets another node" cdmctl request hbm 64M --cgroup $scope/job_2/step_1 --nodes 3
other=$output
is "by one of its steps" "$(site_list '[.[].cgroup] | sort | join(" ")')" "$scope/job_1 $scope/job_2"
is "each has its own" "$(mems /job_1/step_0/user/task_0) $(mems /job_2/step_0/user/task_0) $(mems /job_3/step_0)" "0-2 0-1,3 0-1"
systemctl daemon-reload
is "a daemon-reload keeps that" "$(mems '') $(mems /job_1/step_0/user/task_0) $(mems /job_2/step_0/user/task_0)" "0-3 0-2 0-1,3"

kill -KILL "$(site_pid cdmd.service)"
step job_3 step_1
check "cdmd is killed and comes back" wait_for 60 cdmctl list
is "with both reservations" "$(site_list '[.[] | select(.state == "active")] | length')" 2
check "a step that came meanwhile is fenced" wait_for 10 has /job_3/step_1/user/task_0 0-1
is "and all is as it was" "$(mems /job_1/step_0/user/task_0) $(mems /job_2/step_0/user/task_0) $(told)" "0-2 0-1,3 0-3"
is "Admit waits as before" "$(admitted job_3 3)" 3
step job_3 step_2
check "steps are fenced as before" wait_for 10 has /job_3/step_2/user/task_0 0-1

# What a user makes in what is his nobody walks through.
many=$([ -n "${CDMD_SOAK:-}" ] && echo 100000 || echo 3000)
vm_as alice "cd $top$scope/job_3/step_0/user/task_0 && seq $many | xargs mkdir"
is "many control groups of a user are there" "$(find $top$scope/job_3/step_0/user/task_0 -mindepth 1 -type d | wc -l)" "$many"
reads=$(rchar)
admit /job_3/step_0 >/dev/null
is "Admit reads none of them" "$(($(rchar) - reads < many * 100))" 1

check "the second one is released" cdmctl release "$other"
is "which closes its node" "$(mems /job_2/step_0/user/task_0) $(mems '') $(told)" "0-1 0-2 0-2"
kill_all /job_1
check "the other one ends with its job" wait_for 20 site_gone
check "the unit is narrow again" wait_for 10 has '' 0-1
check "and systemd knows" [ "$(told)" = 0-1 ]
check "what the job had there is gone" off '' 2
step job_4 step_0
is "a new job is confined by the unit" "$(mems /job_4/step_0/user/task_0)" 0-1
remove /job_1

check "granted once more" cdmctl request hbm 64M --cgroup $scope/job_4 --nodes 2
check "released once more" cdmctl release "$output"
is "the unit is narrow" "$(mems '') $(told)" "0-1 0-1"
times=$([ -n "$CDMD_SOAK" ] && echo 20 || echo 8)
is "two jobs at once do not close the unit for each other" "$(together $times)" "$times"
is "the unit is narrow after them" "$(mems '') $(told)" "0-1 0-1"
is "nobody has changed it but cdmd and systemd" "$(journalctl --unit cdmd --output=cat | grep "$scope are changed again and again")" ""

task=/job_4/step_0/user/task_0
check_status 125 "a user cannot ask for a job of which nobody said that it is his" in_task $task cdmctl run hbm 16M -- true
like "as is told" "$output" "not said to be for the caller"
check_status 3 "explain says the same" in_task $task cdmctl explain hbm 16M
check "Admit says so" busctl call org.cdmd1 /org/cdmd1 org.cdmd1.Manager Admit 'a{sv}' 2 cgroup s $scope/job_4/step_0 \
        for-uid u "$(id --user alice)"
check "explain says that he may" in_task $task cdmctl explain hbm 16M
check "and he may" in_task $task cdmctl run hbm 16M --nodes 2 -- cat /proc/self/cgroup $top$scope$task/cpuset.mems.effective
is "he is not moved, and has the node" "$output" "0::$scope$task
0-2"
check "until his command ends" wait_for 10 site_gone
check_status 125 "a user in another job has nothing of that" in_task /job_3/step_0/user/task_0 cdmctl run hbm 16M -- true
check "root is not moved either" bash -c "echo \$\$ >$top$scope/job_3/step_0/slurm/cgroup.procs && exec cdmctl run hbm 16M -- cat /proc/self/cgroup"
is "root is still in the job" "$output" "0::$scope/job_3/step_0/slurm"
is "the unit is narrow after that" "$(mems '') $(told)" "0-1 0-1"

# Subtree= goes away while a job has a grant.
check "a job has a reservation" cdmctl request hbm 64M --cgroup $scope/job_4 --nodes 2
other=$output
cp /etc/cdm/cdmd.conf /root/cdmd.conf
echo '[Fence]' >/etc/cdm/cdmd.conf
check "a reload without Subtree=" cdmctl reload
is "the job keeps its node, and the others have none" "$(mems /job_4/step_0) $(mems /job_3/step_0)" "0-2 0-1"
check "a restart without Subtree=" systemctl restart cdmd
check "the job keeps its node" wait_for 10 has /job_4/step_0 0-2
is "the others have none" "$(mems /job_3/step_0) $(told)" "0-1 0-2"
step job_5 step_0
check "nor have new ones" wait_for 10 has /job_5/step_0 0-1
check_status 3 "they cannot have a reservation" cdmctl request hbm 64M --cgroup $scope/job_5
check "it is released" cdmctl release "$other"
is "the unit is narrow without Subtree=" "$(mems '') $(mems /job_4/step_0) $(told)" "0-1 0-1 0-1"
cp /root/cdmd.conf /etc/cdm/cdmd.conf
check "a reload with Subtree=" cdmctl reload

chown alice: $top$scope/job_9/cpuset.mems
check_status 1 "a unit with a child that a user could open is not opened" cdmctl request hbm 64M --cgroup $scope/job_4
like "as is told" "$output" "may write its cpuset.mems"
is "nothing stays of that" "$(mems '') $(mems /job_4/step_0) $(told)" "0-1 0-1 0-1"

site_down
check "lifted, all have all nodes" wait_for 20 has /job_2/step_0 0-3
kill_all ''
wait_for 20 test ! -d $top$scope/system || remove ''
finish
