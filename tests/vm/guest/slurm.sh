# shellcheck shell=bash
# For tests with Slurm, after lib.sh: one node that is its own controller, two processors, cgroups v2. The job of each
# user is one of Slurm's, in a control group of its own.

slurm_scope=/system.slice/$(hostname)_slurmstepd.scope
# shellcheck disable=SC2034 # for the caller
slurm_top=/sys/fs/cgroup$slurm_scope

# slurm_write [LINE...]: the configuration; LINEs are more of slurm.conf
slurm_write() {
        cat >/etc/slurm/slurm.conf <<END
ClusterName=guest
SlurmctldHost=$(hostname)
SlurmUser=slurm
AuthType=auth/munge
AuthInfo=cred_expire=30
StateSaveLocation=/var/lib/slurm/slurmctld
SlurmdSpoolDir=/var/lib/slurm/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/cgroup
TaskPlugin=task/cgroup,task/affinity
PrologFlags=Contain
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
ReturnToService=2
SlurmdTimeout=600
UnkillableStepTimeout=300
MessageTimeout=60
KillWait=5
GresTypes=cdm
NodeName=$(hostname) CPUs=2 RealMemory=3000 Gres=cdm:hbm:512M State=UNKNOWN
PartitionName=main Nodes=$(hostname) Default=YES MaxTime=INFINITE
END
        [ $# -eq 0 ] || printf '%s\n' "$@" >>/etc/slurm/slurm.conf
        printf 'CgroupPlugin=cgroup/v2\nConstrainCores=yes\nConstrainRAMSpace=yes\n' >/etc/slurm/cgroup.conf
        echo 'Name=cdm Type=hbm Count=512M Flags=CountOnly' >/etc/slurm/gres.conf
}

# slurm_with_cdm: the plugin, and the GRES from --cdm
slurm_with_cdm() {
        cp /usr/share/doc/cdmd/examples/slurm/plugstack.conf /usr/share/doc/cdmd/examples/slurm/job_submit.lua /etc/slurm/
        echo JobSubmitPlugins=lua >>/etc/slurm/slurm.conf
}

slurm_start() {
        # Slurm looks up names as for a machine with a network, and the guest has none.
        busybox ip address add 10.0.0.1/32 dev lo 2>/dev/null
        systemctl start munge slurmctld slurmd && wait_for 60 slurm_is_idle
}

slurm_is_idle() {
        [ "$(sinfo --noheader --format=%T)" = idle ]
}

# slurm_has_step NAME: the job of that name has a process in one of its steps, if only slurmstepd
slurm_has_step() {
        grep -q 'populated 1' "$slurm_top/job_$(squeue --noheader --name="$1" --format=%i)"/step_*/cgroup.events
}

# slurm_jobs_left: control groups of jobs. Not the empty ones of Slurm 24.11, whose extern step now and then has the user's
# rights when it wants to remove its own ("Unable to move pid ... to system cgroup").
slurm_jobs_left() {
        local job
        for job in "$slurm_top"/job_*; do
                [ -d "$job" ] || continue
                [ "$VM_SUITE" = trixie ] && grep -qx 'populated 0' "$job/cgroup.events" &&
                        [ "$(cat "$job/cpuset.mems.effective")" = 0-1 ] || echo "$job"
        done
}

# slurm_log: what its daemons have written last
slurm_log() {
        tail -n "${1:-15}" /var/log/slurm/*.log
}
