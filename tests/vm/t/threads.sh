#!/bin/bash
# A process with 1,000 threads: Linux 6.1 walks its memory once a thread on every write to cpuset.mems. PID 1 must not
# wait for that.
# suites: bookworm
# seconds: 40
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
site_up

systemd-run --quiet --collect --unit=train-threads --property=TasksMax=infinity vm-hog --node 0 --mb 16 --threads 1000
check "1,000 threads run" wait_for 120 sh -c '[ "$(cat /sys/fs/cgroup/system.slice/train-threads.service/pids.current)" -ge 1000 ]'

# Ten seconds after the last session of alice, whom a script before logged in, her manager is stopped. On Linux 6.1
# whatever PID 1 does for that would wait for the writes that are measured here.
wait_for 120 sh -c '! systemctl is-active --quiet user@1000.service && [ -z "$(systemctl list-jobs --no-legend)" ]'
pid1=org.freedesktop.systemd1
check "granted" site_pinged cdmctl request hbm 64M --unit train-threads.service --nodes 2
id=$output
grant=$(site_longest $pid1)
check "released" site_pinged cdmctl release "$id"
release=$(site_longest $pid1)

site_pinged systemctl set-property --runtime train-threads.service AllowedMemoryNodes=0-2
bare_grant=$(site_longest $pid1)
site_pinged systemctl set-property --runtime train-threads.service AllowedMemoryNodes=0-1 ||
        echo "# bare narrowing: PID 1 did not answer in time"
bare_release=$(site_longest $pid1)
echo "# longest pause of PID 1 in us: grant $grant, bare $bare_grant; release $release, bare $bare_release"
if [ "$VM_SUITE" = bookworm ]; then
        check "PID 1 paused for less than a quarter of the bare narrowing" test "$release" -lt $((bare_release / 4))
else
        skip "PID 1 paused for less than a quarter of the bare narrowing" "this kernel walks once a process"
fi
systemctl stop train-threads
site_down
finish
