#!/bin/bash
# Jobs of a real Slurm at a site without the plugin: the examples of a prolog, a task prolog and an epilog ask by GRES.
# site: slurm
# seconds: 300
# last
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
# shellcheck source=tests/vm/guest/slurm.sh
. /usr/lib/cdmd-vm/slurm.sh


mems='grep Mems_allowed_list /proc/self/status'

as() {
        vm_as "$1" "$2"
}
jobs_gone() {
        [ -z "$(squeue --noheader)" ] && slurm_is_idle
}
# left: what must not be left when all jobs have ended
left() {
        site_list '.[].id'
        slurm_jobs_left
        ls -A /run/cdm-slurm
        systemctl list-units --plain --no-legend 'cdm-slurm-*'
        site_leaks
}
nothing_left() {
        [ -z "$(left)" ]
}
ended() {
        check "$1: the jobs end" wait_for 60 jobs_gone
        check "$1: nothing is left" wait_for 60 nothing_left
        [ -z "$(left)" ] || left | sed 's/^/# /'
        like "$1: the node is not drained" "$(sinfo --noheader --format=%T)" '^idle$'
}

# what_jobs_do KIND: what is the same whenever the prolog runs
what_jobs_do() {
        local job
        check "$1: a job without GRES runs" as alice "srun $mems"
        like "$1: with ordinary nodes" "$output" 'Mems_allowed_list:[[:space:]]0-1$'
        as alice "srun --job-name=first --account=ml --comment=' Account=poor UserId=bob(1001) Partition=other ' --gres=cdm:hbm:128M /usr/lib/cdmd-tests/vm-hog --bind --small --node 2 --mb 64" \
                >/tmp/first 2>&1 &
        check "$1: one with GRES has memory, and uses it" wait_for 60 grep -q ready /tmp/first
        job=$(squeue --noheader --name=first --format=%i)
        is "$1: by one reservation of the job, its user's" \
                "$(site_list 'map("\(.pool) \(.size) \(.uid) \(.state) \(.cgroup)") | join(";")')" \
                "hbm $((128 << 20)) $(id -u alice) active $slurm_scope/job_$job"
        is "$1: with what Slurm knows of it" "$(cdmctl show "$(site_list '.[0].id')" --json=short |
                jq --raw-output '.labels | to_entries | map("\(.key)=\(.value)") | join(" ")')" \
                "slurm.account=ml slurm.job=$job slurm.partition=main slurm.user=alice"
        check_status 1 "$1: a task of another job may not have it" as bob \
                "srun /usr/lib/cdmd-tests/vm-hog --bind --small --node 2 --mb 16"
        like "$1: and is told EINVAL" "$output" 'Invalid argument'
        scancel "$job"
        ended "$1: scancel"

        cat >/home/alice/steps.sh <<END
#!/bin/sh
$mems
srun $mems
srun $mems
cdmctl list --json=short
END
        check "$1: a batch job with steps" as alice "sbatch --wait --quiet --gres=cdm:hbm:64M --output=steps.out steps.sh"
        is "$1: it and its steps have the node" "$(grep -cE 'Mems_allowed_list:[[:space:]]0-2$' /home/alice/steps.out)" 3
        is "$1: by one reservation" "$(grep '^\[' /home/alice/steps.out | jq --raw-output 'map(.size) | join(" ")')" $((64 << 20))
        ended "$1: steps"

        as alice "srun --gres=cdm:hbm:384M sh -c 'echo starts'" >/tmp/refused 2>&1
        is "$1: a job that is refused fails" "$(($? != 0))" 1
        like "$1: with cdmd's sentence" "$(cat /tmp/refused)" 'error: cdm: .*05-jobs.conf'
        is "$1: and has not started" "$(grep -c starts /tmp/refused)" 0
        job=$(as alice "sbatch --parsable --gres=cdm:hbm:384M --output=refused.out --wrap='echo starts'")
        check "$1: a batch job that is refused ends" wait_for 60 jobs_gone
        like "$1: as cancelled" "$(scontrol show job "$job")" 'JobState=CANCELLED'
        like "$1: whose output has the sentence" "$(cat /home/alice/refused.out)" 'error: cdm: .*05-jobs.conf'
        is "$1: and which has not started" "$(grep -c starts /home/alice/refused.out)" 0
        ended "$1: refusals"
}

site_write
printf '[Fence]\nSubtree=*slurmstepd.scope:job_*/step_*\n' >/etc/cdm/cdmd.conf
site_rule 05-jobs 'Pool=hbm' "CGroup=$slurm_scope/job_*" 'User=alice bob' -- 'Limit=256M' 'QuotaPerUser=256M'
check "the configuration is good" cdmctl check
systemctl enable --quiet cdmd
check "cdmd starts" systemctl start cdmd
mkdir -p /etc/slurm/cdm
cp /usr/share/doc/cdmd/examples/slurm/prolog /usr/share/doc/cdmd/examples/slurm/task-prolog \
        /usr/share/doc/cdmd/examples/slurm/epilog /etc/slurm/cdm/
slurm_write Prolog=/etc/slurm/cdm/prolog TaskProlog=/etc/slurm/cdm/task-prolog Epilog=/etc/slurm/cdm/epilog
if ! slurm_start; then
        fail "Slurm starts" "$(slurm_log)"
        finish
fi
ok "Slurm starts"
what_jobs_do "a prolog before the job"

if [ "$VM_SUITE" = bookworm ]; then
        skip "a prolog in the job" "Slurm 22.05 has no PrologFlags=RunInJob"
else
        sed -i 's/^PrologFlags=.*/PrologFlags=Contain,RunInJob/' /etc/slurm/slurm.conf
        systemctl restart slurmctld slurmd
        check "Slurm starts with PrologFlags=RunInJob" wait_for 60 slurm_is_idle
        what_jobs_do "a prolog in the job"
fi

systemctl stop slurmd slurmctld
site_down
finish
