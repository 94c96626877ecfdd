#!/bin/bash
# Nothing is forgotten: cdmd is killed, restarted and stopped while workloads go on.
# suites: bookworm
# seconds: 80
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
site_up

# back: cdmd serves. It answers already while it repairs what it found, but is active only after that.
back() {
        cdmctl status && systemctl is-active --quiet cdmd
}

check "a workload" vm_eat train-a 0 64M
check "and one that ends while cdmd is away" systemd-run --quiet --collect --unit=train-b sleep infinity
check "are granted" cdmctl request hbm 128M --unit train-a.service --migrate
a=$output
check "both" cdmctl request hbm 128M --unit train-b.service
b=$output
mems=$(site_mems train-a.service)
cgroup=$(vm_cgroup train-a.service)
on_cdm=$(($(vm_node_bytes "$cgroup" 2) + $(vm_node_bytes "$cgroup" 3)))
check "with pages on CDM nodes" test $on_cdm -ge $((60 << 20))

systemctl restart cdmd
is "a restart keeps the reservations" "$(site_list '[.[].id] | sort | join(" ")')" "$a $b"
is "and the workload's nodes" "$(site_mems train-a.service)" "$mems"
check "and its pages" test $(($(vm_node_bytes "$cgroup" 2) + $(vm_node_bytes "$cgroup" 3))) -ge $((on_cdm - (1 << 20)))

systemctl stop cdmd
is "stopped: the fence stays" "$(site_leaks | grep -v train-)" ""
is "and the grants" "$(site_mems train-a.service)" "$mems"
systemd-run --quiet --collect --unit=late sleep infinity
is "a unit that starts meanwhile is fenced" "$(site_mems late.service)" 0-1
systemctl stop late train-b
systemctl start cdmd
is "the reservation of a unit that ended meanwhile is gone" "$(site_list '[.[].id] | join(" ")')" "$a"

# only_a: no other reservation is left
only_a() {
        [ "$(site_list '[.[].id] | join(" ")')" = "$a" ]
}
kills=0
for delay in 0 0.05 0.1 0.2 0.4 0.8; do
        systemd-run --quiet --collect --unit=train-k sleep infinity
        cdmctl request hbm 64M --unit train-k.service >/tmp/acknowledged 2>/dev/null &
        sleep $delay
        systemctl kill --signal=KILL cdmd
        wait
        wait_for 300 back
        [ ! -s /tmp/acknowledged ] || check "acknowledged before the kill after ${delay}s: still there" cdmctl show "$(cat /tmp/acknowledged)"
        granted=$(site_list '[.[] | select(.unit == "train-k.service")] | length')
        if [ "$granted" = 0 ]; then
                is "not granted (killed after ${delay}s): the unit is fenced" "$(site_mems train-k.service)" 0-1
        else
                like "granted (killed after ${delay}s): the unit has its node" "$(site_mems train-k.service)" '[23]'
        fi
        systemctl stop train-k
        kills=$((kills + 1))
        wait_for 120 only_a
done
check "after $kills kills only the first reservation is left" wait_for 30 only_a
is "and nobody else has a node" "$(site_leaks | grep -v train-a)" ""

check "one comes" cdmctl request hbm 64M --unit train-a.service
last=$output
check "and goes" cdmctl release "$last"
systemctl restart cdmd
check "a new reservation" cdmctl request hbm 64M --unit train-a.service
new=$output
check "has an id larger than all before" test "$new" -gt "$last"
check "and is released" cdmctl release "$new"

files=$(grep -lrw train-a.service /run/cdmd)
for file in $files; do echo garbage >"$file"; done
systemctl restart cdmd
is "garbage in the state: the unit is closed" "$(site_mems train-a.service)" 0-1
is "its pages are gone" $(($(vm_node_bytes "$cgroup" 2) + $(vm_node_bytes "$cgroup" 3))) 0

cp /etc/cdm/policy.d/30-train.conf /tmp/
echo 'Limt=3' >>/etc/cdm/policy.d/30-train.conf
check_status 1 "a reload with a bad file is refused" cdmctl reload
like "with FILE:LINE" "$output" '30-train.conf:[0-9]+: '
check "the policy in force stays" cdmctl explain hbm 64M --unit train-a.service
cp /tmp/30-train.conf /etc/cdm/policy.d/
check "a good one is taken" cdmctl reload
systemctl stop train-a
site_down
finish
