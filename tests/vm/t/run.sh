#!/bin/bash
# cdmctl run: a command gets its memory for as long as it lives, whoever starts it and however it ends.
# suites: trixie
# dbus-broker
# seconds: 70
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
site_up


check "an ordinary user runs a command in a scope of his slice" vm_as alice \
        'cdmctl run hbm 256M -- cat /proc/self/cgroup'
like "which is cdm-ID.scope" "$output" "/user.slice/user-$(id -u alice).slice/cdm-[0-9]+.scope"
check "the memory is given back when it ends" wait_for 20 site_gone
check "he may use the node" vm_as alice 'cdmctl run hbm 256M -- grep Mems_allowed_list /proc/self/status'
like "and ordinary memory as well" "$output" 'Mems_allowed_list:[[:space:]]*0(-1)?,?[-123,]*[23]'
check "prefer: pages come from the node" vm_as alice \
        'cdmctl run hbm 256M -- bash -c "coproc /usr/lib/cdmd-tests/vm-hog --local --mb 100; read -r <&\${COPROC[0]}; grep -h ^anon /sys/fs/cgroup\$(cut -d: -f3 /proc/self/cgroup)/memory.numa_stat; kill \$COPROC_PID"'
like "as memory.numa_stat counts them" "$output" 'N[23]=[0-9]{8,}'
check "the policy is prefer by default" vm_as alice 'cdmctl run hbm 64M -- cat /proc/self/numa_maps'
like "as numa_maps says" "$output" 'prefer[a-z _()]*(=static)?(\|[a-z]*)*:[23]'
check "bind" vm_as alice 'cdmctl run hbm 64M --mem-policy bind -- cat /proc/self/numa_maps'
like "is bound to static nodes" "$output" 'bind=static:[23]'
check "interleave" vm_as alice 'cdmctl run hbm 64M --mem-policy interleave -- cat /proc/self/numa_maps'
like "is interleaved over static nodes" "$output" 'interleave=static:[23]'
check "none" vm_as alice 'cdmctl run hbm 64M --mem-policy none -- cat /proc/self/numa_maps'
like "leaves the policy alone" "$output" ' default '
check "bind is capped by MemoryMax" vm_as alice \
        'cdmctl run hbm 64M --mem-policy bind -- bash -c "cat /sys/fs/cgroup\$(cut -d: -f3 /proc/self/cgroup)/memory.max"'
is "at the size of the reservation" "$output" $((64 << 20))
check "the CPU affinity is kept" vm_as alice 'taskset 2 cdmctl run hbm 64M -- grep Cpus_allowed_list /proc/self/status'
like "on CPU 1" "$output" 'Cpus_allowed_list:[[:space:]]*1'

check_status 7 "the exit status is the command's" vm_as alice 'cdmctl run hbm 64M -- sh -c "exit 7"'
check_status 127 "127: no such command" vm_as alice 'cdmctl run hbm 64M -- /no/such/command'
check_status 126 "126: cannot be run" vm_as alice 'cdmctl run hbm 64M -- /etc/passwd'
check_status 125 "125: refused" vm_as alice 'cdmctl run hbm 1G -- true'
like "with the line that decided" "$output" '20-alice.conf:[0-9]+'
check_status 125 "125: denied by a rule" vm_as bob 'cdmctl run hbm 64M -- true'
like "whose file is named" "$output" '10-bob.conf:[0-9]+'
check_status 143 "128+N: a signal" vm_as alice 'cdmctl run hbm 64M -- sh -c "kill -TERM \$\$"'
check "nothing is left of all these" wait_for 20 site_gone

check "root runs in system.slice" cdmctl run hbm 64M -- cat /proc/self/cgroup
like "in a scope too" "$output" '/system.slice/cdm-[0-9]+.scope'
check "a service with User= is not moved" systemd-run --quiet --wait --pipe --collect --unit=alices --uid=alice \
        cdmctl run hbm 64M -- cat /proc/self/cgroup
like "the unit itself gets the memory" "$output" '/system.slice/alices.service'

# A script as alice would have: it sends a signal to the cdmctl that it started.
cat >/tmp/signals <<'END'
cdmctl run hbm 64M -- bash -c 'trap "exit 9" USR1; echo ready; until false; do sleep 0.1; done' >/tmp/alice.out &
until [ -s /tmp/alice.out ]; do sleep 0.1; done
kill -USR1 $!
wait $!
END
check_status 9 "a signal to cdmctl is passed on to the command" vm_as alice 'bash /tmp/signals'
rm -f /tmp/signals /tmp/alice.out

runuser --login alice --command 'cdmctl run hbm 64M -- sleep 1000' &
check "a reservation that is running" wait_for 120 site_has_one
check "and its command" wait_for 60 pgrep --exact --uid alice sleep
pkill --signal KILL --exact cdmctl --uid alice
wait
check "SIGKILL to cdmctl ends the command as well" wait_for 20 sh -c '! pgrep --exact sleep --uid alice'
check "and its reservation" wait_for 20 site_gone

runuser --login alice --command 'cdmctl run hbm 64M -- sleep 1000' &
check "a reservation that is running" wait_for 120 site_has_one
check "and its command" wait_for 60 pgrep --exact --uid alice sleep
pkill --exact sleep --uid alice
wait
check "ends when the command is killed" wait_for 20 site_gone
site_down
finish
