#!/bin/bash
# What cdmd does without being asked, compared with the least that has to be done: it closes new cgroups that systemd does not
# know, and watches tenants that share a node. What of that does a workload notice?
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
tenants=${1:-100} n=${2:-40} streams=${3:-20}
mkdir -p /etc/cdm
printf '[Fence]\nExempt=bare.service\n[Reservations]\nMaxPerUser=2000\n' >/etc/cdm/cdmd.conf
site_up
site_rule 05-bench 'Pool=hbm' 'Unit=bench-*.scope' -- 'Limit=64M'
check "a rule for it" cdmctl reload

# Below a delegated cgroup cdmd writes nothing.
systemd-run --quiet --unit=bare --property=Delegate=yes --property=DelegateSubgroup=main sleep infinity
bare=/sys/fs/cgroup/system.slice/bare.service
check "a cgroup that cdmd leaves alone" wait_for 10 sh -c "echo +cpuset +memory >$bare/cgroup.subtree_control"
mkdir "$bare/third"
echo +cpuset +memory >"$bare/third/cgroup.subtree_control"
vm-foreign /sys/fs/cgroup "$bare" "$bare/third" 0-1 "$n"
rmdir "$bare/third"
systemctl stop bare

vm_start /tmp/scopes vm-scopes "$tenants"
holder=$started
vm-watch "$(site_pid cdmd.service)" "$tenants" "$n"
vm-stream "$(site_pid cdmd.service)" "$streams"
kill "$holder"
check "nothing is left of it" wait_for 60 site_gone
site_down
finish
