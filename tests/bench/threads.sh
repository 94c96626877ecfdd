#!/bin/bash
# A process with 4,000 threads: Linux 6.1 walks its memory once a thread on every write to cpuset.mems.
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
mkdir -p /etc/cdm
printf '[Fence]\nExempt=bare.service\n' >/etc/cdm/cdmd.conf
site_up
n=${1:-3}
for unit in train-threads bare; do
        systemd-run --quiet --collect --unit=$unit --property=TasksMax=infinity vm-hog --node 0 --mb 16 --threads 4000
        check "4,000 threads run" wait_for 120 sh -c "[ \$(cat /sys/fs/cgroup/system.slice/$unit.service/pids.current) -ge 4000 ]"
done
vm-release threads train-threads.service bare.service "$n"
systemctl stop train-threads bare
site_down
finish
