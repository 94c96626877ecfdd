#!/bin/bash
# What ./bootstrap demo runs in the guest: the story of one node of HBM, told with the real commands.
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
bold='' plain=''
[ ! -t 1 ] || bold=$'\e[1m' plain=$'\e[0m'

say() {
        printf '\n%s# %s%s\n' "$bold" "$*" "$plain"
}

# run COMMAND...: shows it, runs it, and tells its exit status if that is not 0
run() {
        local status=0
        printf '$ %s\n' "$*"
        "$@" || status=$?
        [ $status -eq 0 ] || printf '(exit status %s)\n' $status
}

# pinged COMMAND...: the same as run, while PID 1 is pinged
pinged() {
        local pid
        vm-ping org.freedesktop.systemd1 >>/tmp/pings &
        pid=$!
        run "$@"
        kill "$pid"
        wait "$pid"
}

# as USER COMMAND: the same in a login session of USER
as() {
        local status=0
        printf '%s$ %s\n' "$1" "$2"
        vm_as "$1" "$2" || status=$?
        [ $status -eq 0 ] || printf '(exit status %s)\n' $status
}

useradd --create-home trainer
cat >/home/trainer/train <<'EOF'
#!/bin/sh
/usr/lib/cdmd-tests/vm-hog --local --mb 200 >ready &
until [ -s ready ]; do sleep 0.1; done
grep '^anon ' "/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)/memory.numa_stat"
cdmctl list
cdmctl who hbm
kill $!
EOF
chmod 755 /home/trainer/train
useradd --create-home visitor

say "Two ordinary nodes and two of fast memory that has no CPU: coherent device memory (CDM)."
run cdmctl nodes --offline

say "The kernel gives it to whoever asks. An intruder takes 200 MiB before cdmd runs."
run systemd-run --quiet --unit=intruder vm-hog --node 2 --mb 200
wait_for 60 vm_unit_has intruder.service $((200 << 20))
run grep '^anon ' /sys/fs/cgroup/system.slice/intruder.service/memory.numa_stat

say "The admin says which memory it is, and who may have how much."
mkdir -p /etc/cdm/pools.d /etc/cdm/policy.d
printf '[Pool]\nDescription=HBM of the accelerator\nNodes=auto\n' >/etc/cdm/pools.d/hbm.conf
printf '[Match]\nPool=hbm\nUser=trainer\n[Grant]\nLimit=512M\n' >/etc/cdm/policy.d/20-trainer.conf
printf '[Match]\nPool=hbm\nUnit=train-*.service\n[Grant]\nLimit=1G\n' >/etc/cdm/policy.d/30-services.conf
run cat /etc/cdm/pools.d/hbm.conf
run cat /etc/cdm/policy.d/20-trainer.conf
run cat /etc/cdm/policy.d/30-services.conf
run cdmctl check

say "cdmd starts: the intruder is moved off, and everybody is kept out."
run systemctl enable --quiet --now cdmd
run grep '^anon ' /sys/fs/cgroup/system.slice/intruder.service/memory.numa_stat
run cat /sys/fs/cgroup/system.slice/intruder.service/cpuset.mems.effective
run systemd-run --quiet --wait --pipe vm-hog --node 2 --mb 1
run cdmctl status

say "A user without a rule is denied, and told why."
as visitor 'cdmctl run hbm 256M -- true'

say "trainer has a rule: 256 MiB for one command, in a scope of its own, and the pages are on the CDM node."
as trainer 'cat train'
as trainer 'cdmctl run hbm 256M -- ./train'

say "Over the limit of a rule, and told how much may be asked for."
as trainer 'cdmctl request hbm 600M'
run systemd-run --quiet --unit=train-big vm-hog --node 0 --mb 256
run cdmctl request hbm 64G --unit train-big.service

say "A service is granted memory and its pages move up while it runs."
wait_for 60 vm_unit_has train-big.service $((256 << 20))
wait_for 30 sh -c '[ "$(systemctl list-jobs --no-legend | wc -l)" = 0 ]'
pinged cdmctl request hbm 512M --unit train-big.service --nodes 2 --migrate
run grep '^anon ' /sys/fs/cgroup/system.slice/train-big.service/memory.numa_stat
run cdmctl list

say "And gives it back: drained first, narrowed last."
id=$(cdmctl list --json=short | jq '.[0].id')
pinged cdmctl release "$id"
run grep '^anon ' /sys/fs/cgroup/system.slice/train-big.service/memory.numa_stat
say "PID 1 was pinged all the while: $(awk '{ n += $2; if ($3 > max) max = $3 } END { printf "%d answers, the slowest took %d ms", n, max / 1000 }' /tmp/pings) (emulated CPUs)."
systemctl stop intruder train-big
