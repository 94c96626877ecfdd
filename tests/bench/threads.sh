#!/bin/bash
# A process with many threads: Linux 6.1 walks its memory once a thread on every write to cpuset.mems.
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
mkdir -p /etc/cdm
printf '[Fence]\nExempt=bare.service\n' >/etc/cdm/cdmd.conf
site_up
n=${1:-3} threads=${2:-4000}
for unit in train-threads bare; do
        systemd-run --quiet --collect --unit=$unit --property=TasksMax=infinity vm-hog --node 0 --mb 16 --threads "$threads"
        check "$threads threads run" wait_for 120 sh -c "[ \$(cat /sys/fs/cgroup/system.slice/$unit.service/pids.current) -ge $threads ]"
done
vm-release threads train-threads.service bare.service "$threads" "$n"
systemctl stop train-threads bare
site_down
finish
