#!/bin/bash
# Jobs of a real Slurm: memory by --cdm, kept off each other's, refused, requeued, cancelled, killed.
# site: slurm
# seconds: 900
# last
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
# shellcheck source=tests/vm/guest/slurm.sh
. /usr/lib/cdmd-vm/slurm.sh

mems='grep Mems_allowed_list /proc/self/status'

# as USER COMMANDS: from a login of that user, in his home
as() {
        vm_as "$1" "$2"
}
# hog NODE MIB: words of a command that is bound there
hog() {
        echo "/usr/lib/cdmd-tests/vm-hog --bind --small --node $1 --mb $2"
}
# job_runs NAME: Slurm has one of that name that runs
job_runs() {
        [ "$(squeue --noheader --states=R --name="$1" --format=%i)" ]
}
jobs_gone() {
        [ -z "$(squeue --noheader)" ] && slurm_is_idle
}
# left: what must not be left when all jobs have ended
left() {
        site_list '.[].id'
        slurm_jobs_left
        site_leaks
}
nothing_left() {
        [ -z "$(left)" ]
}
# ended WHAT: all jobs end, and leave nothing
ended() {
        check "$1: the jobs end" wait_for 60 jobs_gone
        check "$1: nothing is left" wait_for 60 nothing_left
        [ -z "$(left)" ] || left | sed 's/^/# /'
        like "$1: the node is not drained" "$(sinfo --noheader --format=%T)" '^idle$'
}

site_write
printf '[Fence]\nSubtree=*slurmstepd.scope:job_*/step_*\n' >/etc/cdm/cdmd.conf
site_rule 04-poor 'Pool=hbm' "CGroup=$slurm_scope/job_*" 'Label=slurm.account=poor' -- 'Limit=16M'
site_rule 05-jobs 'Pool=hbm' "CGroup=$slurm_scope/job_*" 'User=alice bob' -- 'Limit=256M' 'QuotaPerUser=256M'
check "the configuration is good" cdmctl check
systemctl enable --quiet cdmd
check "cdmd starts" systemctl start cdmd
slurm_write
slurm_with_cdm
if ! slurm_start; then
        fail "Slurm starts" "$(slurm_log)"
        finish
fi
ok "Slurm starts"

check "a job that asks for nothing runs" as alice "srun $mems"
like "with ordinary nodes" "$output" 'Mems_allowed_list:[[:space:]]0-1$'
is "and has asked for nothing" "$(site_list length)" 0

# What runs in a job asks for itself, by the rules for its account.
cat >/home/alice/run.sh <<END
#!/bin/sh
cat /proc/self/cgroup
cdmctl run hbm 16M -- sh -c 'cat /proc/self/cgroup; $mems; cdmctl list --json=short; exit 7'
echo status \$?
$mems
cdmctl list --json=short
END
chmod 755 /home/alice/run.sh
check "in a job that has not asked, cdmctl run does" as alice "srun --account=poor ./run.sh"
is "it is not moved" "$(grep -c '^0::' <<<"$output") $(grep '^0::' <<<"$output" | sort -u | grep -c "$slurm_scope/job_[0-9]*/step_0/user/task_0")" "2 1"
like "its command has memory" "$(grep Mems_allowed_list <<<"$output" | head -n 1)" '0-1,3$|0-2$'
like "by one reservation of the job, its user's" "$(grep '^\[{' <<<"$output" | jq --raw-output 'map("\(.cgroup) \(.uid) \(.state) \(.policy)") | join(";")')" \
        "^$slurm_scope/job_[0-9]* $(id -u alice) active [^;]*04-poor.conf:[0-9]*\$"
like "its exit status is the command's" "$output" 'status 7'
like "which ends with the command" "$(grep Mems_allowed_list <<<"$output" | tail -n 1) $(grep '^\[\]' <<<"$output")" '0-1 \[\]$'
check_status 125 "more than the rule for its account gives is refused" as alice "srun --account=poor cdmctl run hbm 32M -- true"
like "by that rule" "$output" '04-poor.conf'
forged=ALL,SLURM_JOB_ACCOUNT=ml,SLURM_ACCOUNT=ml,SALLOC_ACCOUNT=ml
check_status 125 "a job that says in its environment that it has another account is refused" \
        as alice "srun --account=poor --export=$forged cdmctl run hbm 32M -- true"
like "by the same rule" "$output" '04-poor.conf'
check_status 1 "so is one that asks with --cdm" \
        as alice "SLURM_JOB_ACCOUNT=ml srun --account=poor --export=$forged --cdm=hbm:32M true"
like "by the same rule" "$output" '04-poor.conf'
check "another account has the other rule" as alice "srun --account=ml cdmctl run hbm 32M -- $mems"
check "in a batch job, too" as alice "sbatch --wait --quiet --account=ml --output=run.out --wrap='cdmctl run hbm 32M -- $mems'"
like "whose command has memory" "$(cat /home/alice/run.out)" '(0-1,3|0-2)$'
check "what a job asks for and does not release" as alice "srun cdmctl request hbm 32M"
ended "jobs that ask for themselves"

check "salloc asks" as alice "salloc --quiet --cdm=hbm:64M sh -c '$mems; srun $mems; srun --cdm=hbm:32M $mems; cdmctl list --json=short'"
is "its steps have memory, and its own command on the login node has not" \
        "$(grep Mems_allowed_list <<<"$output" | cut -f2 | paste -sd' ')" "0-1 0-2 0-2"
is "by one reservation" "$(grep '^\[' <<<"$output" | jq --raw-output 'map(.size) | join(" ")')" $((64 << 20))
check_status 1 "more than the rule gives is refused there" as alice "salloc --quiet --cdm=hbm:512M srun true"
like "with cdmd's sentence" "$output" 'error: cdm: .*05-jobs.conf'
ended "salloc"

# A login that pam_slurm_adopt puts into the user's job.
cp /etc/pam.d/su /tmp/su.pam
printf '%s\n' 'auth sufficient pam_rootok.so' 'account required pam_slurm_adopt.so service=su' 'session required pam_permit.so' \
        >/etc/pam.d/su
as alice "sbatch --quiet --job-name=login --account=ml --output=/dev/null --wrap='exec sleep infinity'"
check "a job to log into" wait_for 60 job_runs login
check "a login there asks" su alice --command="sh -c 'cat /proc/self/cgroup; exec cdmctl run hbm 32M -- $mems'"
like "for the job" "$output" "/job_$(squeue --noheader --name=login --format=%i)/step_extern/"
like "and has memory" "$output" '(0-1,3|0-2)$'
cp /tmp/su.pam /etc/pam.d/su
scancel --name=login
ended "logins"

# Two jobs on the node: one is granted.
as alice "srun --job-name=first --account=ml --cdm=hbm:128M $(hog 2 64)" >/tmp/first 2>&1 &
check "a job asks for memory, and uses it" wait_for 60 grep -q ready /tmp/first
is "it has one reservation, its user's" "$(site_list 'map("\(.pool) \(.size) \(.uid) \(.state)") | join(";")')" \
        "hbm $((128 << 20)) $(id -u alice) active"
job=$(squeue --noheader --name=first --format=%i)
is "of its control group" "$(site_list '.[0].cgroup')" "$slurm_scope/job_$job"
like "by the rule for jobs" "$(site_list '.[0].policy')" '05-jobs.conf'
is "with what Slurm knows of it" "$(cdmctl show "$(site_list '.[0].id')" --json=short | jq --raw-output '.labels | to_entries | map("\(.key)=\(.value)") | join(" ")')" \
        "slurm.account=ml slurm.job=$job slurm.partition=main slurm.user=alice"
like "Slurm has counted it" "$(scontrol show job "$job" | grep -i tres)" "cdm:hbm"
check_status 1 "a task of another job may not have it" as bob "srun $(hog 2 16)"
like "and is told EINVAL" "$output" 'Invalid argument'
is "nobody else may" "$(site_leaks | grep -v "^$slurm_scope/job_$job/")" ""
scancel "$job"
ended "scancel"

# What is refused is the job's error, in cdmd's words.
check_status 1 "more than the rule gives is refused" as alice "srun --cdm=hbm:512M true"
like "with cdmd's sentence" "$output" 'error: cdm: .*05-jobs.conf'
check_status 1 "so is what the rule for its account does not give" as alice "srun --account=poor --cdm=hbm:32M true"
like "with that rule" "$output" 'error: cdm: .*04-poor.conf'
check "which gives less" as alice "srun --account=poor --cdm=hbm:16M $mems"
like "from the first instruction" "$output" 'Mems_allowed_list:.*[23]$'
check_status 1 "more than its GRES is refused" as alice "srun --gres=cdm:hbm:16M --cdm=hbm:32M true"
like "with both sizes" "$output" 'error: cdm: --cdm asks for 32M of hbm, and the job has --gres=cdm:hbm for 16M'
check_status 1 "in a batch job, too" as alice "sbatch --wait --quiet --cdm=hbm:512M --output=refused.out --wrap='echo starts'"
like "whose output has the sentence" "$(cat /home/alice/refused.out)" 'error: cdm: .*05-jobs.conf'
is "and which has not started" "$(grep -c starts /home/alice/refused.out)" 0
check_status 255 "what is no size is an error of srun" as alice "srun --cdm=hbm:lots true"
like "with a sentence" "$output" 'cdm: --cdm=hbm:lots has no size such as 16G'
ended "refusals"

# A job asks once, and all its steps have it.
cat >/home/alice/steps.sh <<END
#!/bin/sh
$mems
srun $mems
srun --cdm=hbm:32M $mems
srun --cdm-policy=bind grep --max-count=1 -o bind=static:2 /proc/self/numa_maps
srun grep --max-count=1 -o 'prefer (many)=static:2' /proc/self/numa_maps
srun --cdm-policy=none grep -c static /proc/self/numa_maps
cdmctl list --json=short
srun --cdm=hbm:128M true
END
check_status 1 "a batch job with steps" as alice "sbatch --wait --quiet --cdm=hbm:64M --output=steps.out steps.sh"
steps=$(cat /home/alice/steps.out)
is "it and two of its steps have the node" "$(grep -cE 'Mems_allowed_list:[[:space:]]0-2$' /home/alice/steps.out)" 3
is "by one reservation" "$(grep '^\[' /home/alice/steps.out | jq --raw-output 'map(.size) | join(" ")')" $((64 << 20))
like "a step that wants more is refused" "$steps" 'error: cdm: the step asks for 128M of hbm, and the job has 64M'
like "tasks are bound where they want that" "$steps" 'bind=static:2'
like "and prefer the node where they say nothing" "$steps" 'prefer \(many\)=static:2'
is "or have no policy" "$(grep -cx 0 /home/alice/steps.out)" 1
ended "steps"

# What ends a job.
cat >/home/alice/keep.sh <<END
#!/bin/sh
exec $(hog 2 64)
END
# keep NAME: a batch job that keeps its memory
keep() {
        rm -f "/home/alice/$1.out"
        as alice "sbatch --quiet --requeue --job-name=$1 --cdm=hbm:128M --output=$1.out --open-mode=append keep.sh"
        wait_for 60 grep -q ready "/home/alice/$1.out"
}
check "a job keeps its memory" keep again
job=$(squeue --noheader --name=again --format=%i)
inode=$(stat --format=%i "$slurm_top/job_$job")
check "it is put back into the queue" scontrol requeue "$job"
again() {
        [ "$(grep -c ready /home/alice/again.out)" = 2 ]
}
check "and runs again, with memory" wait_for 60 again
check "of a new control group" [ "$(stat --format=%i "$slurm_top/job_$job")" != "$inode" ]
is "by one reservation" "$(site_list 'map(.cgroup) | join(" ")')" "$slurm_scope/job_$job"
scancel "$job"
ended "requeue"

check "slurmd is restarted while a job has memory" keep slurmd
job=$(squeue --noheader --name=slurmd --format=%i)
systemctl restart slurmd
check "the job still has it" site_has_one
check "another job runs" as bob "srun $mems"
like "without memory" "$output" 'Mems_allowed_list:[[:space:]]0-1$'
scancel "$job"
ended "restarted slurmd"

check "slurmstepd is killed while its job has memory" keep stepd
job=$(squeue --noheader --name=stepd --format=%i)
xargs kill -KILL <"$slurm_top/job_$job/step_batch/slurm/cgroup.procs"
scancel "$job"
check "killed slurmstepd: the job ends" wait_for 60 jobs_gone
check "killed slurmstepd: its memory is free" wait_for 60 site_gone
is "and nobody has a node" "$(site_leaks)" ""
if [ -d "$slurm_top/job_$job" ]; then
        echo 1 >"$slurm_top/job_$job/cgroup.kill"
        wait_for 20 grep -q 'populated 0' "$slurm_top/job_$job/cgroup.events"
        find "$slurm_top/job_$job" -depth -type d -exec rmdir {} \;
fi
ended "killed slurmstepd"

check "cdmd stands still while a job has memory" keep cdmd
job=$(squeue --noheader --name=cdmd --format=%i)
cdmd=$(site_pid cdmd)
rm -f /home/bob/started
kill -STOP "$cdmd"
as bob "srun --job-name=waits sh -c 'touch started; $mems'" >/tmp/waits 2>&1 &
waits=$!
check "a step is made" wait_for 60 slurm_has_step waits
sleep 2
check "and its task waits for cdmd" test ! -e /home/bob/started
kill -CONT "$cdmd"
wait $waits
is "until it is admitted" "$?" 0
like "without memory" "$(cat /tmp/waits)" 'Mems_allowed_list:[[:space:]]0-1$'
kill -KILL "$(site_pid cdmd)"
check "a job that starts then runs" as bob "srun $mems"
like "without memory" "$output" 'Mems_allowed_list:[[:space:]]0-1$'
check "cdmd comes back with the reservation" wait_for 60 site_has_one
systemctl mask --quiet --runtime --now cdmd
is "Slurm is open for that job" "$(cat "$slurm_top/cpuset.mems.effective")" 0-2
check "without cdmd, who asks for nothing starts" as bob "srun $mems"
like "with ordinary nodes" "$output" 'Mems_allowed_list:[[:space:]]0-1$'
check_status 1 "who asks is refused" as bob "srun --cdm=hbm:16M true"
like "which is told" "$output" 'error: cdm: cdmd cannot be reached'
systemctl unmask --quiet --runtime cdmd
check "cdmd is there again" systemctl start cdmd
check "with the reservation" wait_for 60 site_has_one
scancel "$job"
ended "killed cdmd"

# Slurm gives the processors of a job to the next one when its memory is free.
check "a job keeps its memory until its end" keep waits
cdmd=$(site_pid cdmd)
kill -STOP "$cdmd"
scancel --name=waits
completes() {
        [ "$(squeue --noheader --name=waits --format=%t)" = CG ]
}
check "its end is there" wait_for 60 completes
sleep 8
check "and lasts until cdmd has answered" completes
kill -CONT "$cdmd"
ended "waiting for cdmd"

check "50 short jobs" as alice "sbatch --wait --quiet --array=1-50 --cdm=hbm:16M --output=/dev/null --wrap=true"
ended "short jobs"

systemctl stop slurmd slurmctld
site_down
finish
