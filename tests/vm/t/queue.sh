#!/bin/bash
# A full pool: who waits gets it in order, who has the higher priority displaces, and all are told.
# suites: bookworm
# seconds: 70
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
mkdir -p /etc/cdm
printf '[Reservations]\nGracePeriod=10s\n' >/etc/cdm/cdmd.conf
site_up
site_rule 20-alice 'Pool=hbm' 'User=alice' -- 'Limit=512M' 'Quota=1G' 'OnFull=queue'
site_rule 30-train 'Pool=hbm' 'Unit=train-*.service' -- 'Limit=infinity' 'OnFull=queue' 'Priority=10'
site_rule 35-vip 'Pool=hbm' 'Unit=vip-*.service' -- 'Limit=infinity' 'OnFull=preempt' 'Priority=50'
cdmctl reload
for unit in train-a train-b train-c vip-a; do
        systemd-run --quiet --collect --unit=$unit sleep infinity
done


# queued UNIT: the id of what waits for it
queued() {
        site_list "[.[] | select(.state == \"queued\" and .unit == \"$1\")][0].id // empty"
}

# waits UNIT: something waits for it
waits() {
        [ -n "$(queued "$1")" ]
}

# size PERCENT: of what the pool has left, in bytes
size() {
        echo $(($(cdmctl pools --json=short | jq '.[0].available') * $1 / 100 / 4096 * 4096))
}

# most: all but 96 MiB of it, because not all of it is left a moment later: CPUs keep pages at hand
most() {
        echo $(($(size 100) - (96 << 20)))
}

# in_background NAME COMMAND...: $! is it; its output and exit status are in /tmp/NAME.*
in_background() {
        local name=$1
        shift
        rm -f "/tmp/$name".*
        { "$@" >"/tmp/$name.out" 2>&1; echo $? >"/tmp/$name.status"; } &
}

# answered NAME STATUS: it has ended with that
answered() {
        [ "$(cat "/tmp/$1.status" 2>/dev/null)" = "$2" ]
}

# The queue: the large one at the head is not overtaken, the higher priority passes.
check "a unit takes most of the pool" cdmctl request hbm "$(size 75)" --unit train-a.service
first=$output
check_status 4 "a full pool is exit status 4" cdmctl request hbm "$(($(size 100) + (256 << 20)))" --unit train-b.service
half=$(($(cdmctl pools --json=short | jq '.[0].size') / 2))
in_background large cdmctl request hbm $half --unit train-b.service --queue
check "with --queue it waits" wait_for 300 waits train-b.service
large=$(queued train-b.service)
is "visible in list" "$(site_list ".[] | select(.id == $large) | [.state, .strength, .used, (.nodes | length)] | @csv")" '"queued",,0,0'
is "and its unit stays fenced" "$(site_mems train-b.service)" 0-1
check_status 4 "a small one that would fit does not overtake" cdmctl request hbm 16M --unit train-c.service
check_status 5 "nor does it with --queue, until its time is over" cdmctl request hbm 16M --unit train-c.service --queue=2s
check "one of a higher priority does" cdmctl request hbm 16M --unit train-c.service --priority 1
check "it is released" cdmctl release "$output"
check "explain says that it would wait" cdmctl explain hbm 16M --unit train-c.service --queue
like "in so many words" "$output" 'queued'

# Cancelled with its client.
in_background gone cdmctl request hbm 16M --unit train-c.service --queue
check "another one waits" wait_for 300 waits train-c.service
gone=$(queued train-c.service)
pkill --full "cdmctl request hbm 16M --unit train-c.service --queue"
check "it goes with its client" wait_for 300 vm_state_is "$gone" ""
wait_for 120 test -e /tmp/gone.status

# It survives a kill of cdmd.
systemctl kill --signal=KILL cdmd
check "cdmd is killed and comes back, with the one that waits" wait_for 300 vm_state_is "$large" queued
check "room is made" cdmctl release "$first"
check "it is granted" wait_for 300 answered large 0
is "under its id" "$(cat /tmp/large.out)" "$large"
like "and its node is open" "$(site_mems train-b.service)" '[23]'
check "it is released" cdmctl release "$large"

# A user's command waits, and runs in its scope.
check "a unit takes all but a little of the pool" cdmctl request hbm "$(most)" --unit train-a.service
first=$output
in_background run vm_as alice 'cdmctl run hbm 384M --queue -- cat /proc/self/cgroup'
scope_waits() {
        [ "$(site_list '[.[] | select(.state == "queued")] | length')" = 1 ]
}
check "alice's command waits" wait_for 300 scope_waits
systemctl kill --signal=KILL cdmd
check "through a kill of cdmd" wait_for 300 scope_waits
check "it has not been started" test ! -s /tmp/run.out
check "room is made" cdmctl release "$first"
check "it runs" wait_for 300 answered run 0
like "in its scope" "$(cat /tmp/run.out)" "/user.slice/user-$(id -u alice).slice/cdm-[0-9]+.scope"
check "and is gone" wait_for 300 site_gone
check "a unit takes all but a little of the pool" cdmctl request hbm "$(most)" --unit train-a.service
first=$output
in_background run vm_as alice 'cdmctl run hbm 384M --queue -- true'
check "alice's command waits" wait_for 300 scope_waits
pkill --full --uid alice '^cdmctl run hbm 384M'
check "until she gives up, with the signal's status" wait_for 300 answered run 143
check "nothing of it is left" wait_for 300 site_has_one
check "it is released" cdmctl release "$first"

# Preemption.
cdmctl monitor --json=short >/tmp/events &
monitor=$!
check "a service fills ordinary memory" vm_eat train-low 0 160M
cgroup=$(vm_cgroup train-low.service)
check "it is granted, and its pages move up" cdmctl request hbm 192M --unit train-low.service --nodes 2 --migrate
small=$output
check "one of the same size has a higher priority" cdmctl request hbm 192M --unit train-b.service --priority 5
other=$output
check "a large one fills the rest" cdmctl request hbm "$(most)" --unit train-c.service --priority 1
big=$output
check_status 4 "one of priority 0 displaces nobody" cdmctl request hbm 192M --unit vip-a.service
check_status 4 "nor one that would not fit with all of them gone" \
        cdmctl request hbm $((half * 2)) --unit vip-a.service --priority 50 --nodes 2
check "all are still there" vm_state_is "$small" active
check "explain says whom it would displace" cdmctl explain hbm 192M --unit vip-a.service --priority 9
like "by its id" "$output" "displaces reservation $small "
in_background vip cdmctl request hbm 192M --unit vip-a.service --priority 9
check "one of priority 9 revokes the one that has the lowest" wait_for 300 vm_state_is "$small" revoking
there() {
        [ "$(vm_node_bytes "$cgroup" 2 anon)" -gt $((128 << 20)) ]
}
check "its pages are there while it is warned" wait_for 5 there
check "then it is granted" wait_for 300 answered vip 0
is "the victim's pages have left" "$(vm_node_bytes "$cgroup" 2)" 0
is "it is fenced" "$(site_mems train-low.service)" 0-1
check "and lives" systemctl is-active train-low
check "nobody else had to go" vm_state_is "$other" active
check "nobody at all" vm_state_is "$big" active
kill $monitor
wait $monitor
is "the victim was told why" \
        "$(jq --raw-output "select(.id == $small and (.kind == \"revoking\" or .kind == \"draining\")) | .kind + \": \" + .reason" /tmp/events)" \
        "revoking: reservation $(cat /tmp/vip.out) of higher priority displaces it
draining: reservation $(cat /tmp/vip.out) of higher priority displaced it"

# Strength: it changes with the neighbours, and reservations of one unit add up.
strength() {
        site_list ".[] | select(.id == $1) | .strength"
}
cdmctl release "$big" "$other" "$(cat /tmp/vip.out)" >/dev/null
check "a unit has a node for itself" cdmctl request hbm 64M --unit train-a.service --nodes 3
one=$output
is "it is exclusive" "$(strength "$one")" exclusive
check "it has a second reservation there" cdmctl request hbm 64M --unit train-a.service --nodes 3
two=$output
is "and is still alone" "$(strength "$one") $(strength "$two")" "exclusive exclusive"
check "a neighbour comes" cdmctl request hbm 64M --unit train-b.service --nodes 3
three=$output
is "all are watched" "$(strength "$one") $(strength "$two") $(strength "$three")" "watched watched watched"
check "one of the unit's is released" cdmctl release "$one"
like "the node stays open to it" "$(site_mems train-a.service)" 3
check "then the other" cdmctl release "$two"
is "and it is closed" "$(site_mems train-a.service)" 0-1
is "the neighbour is alone" "$(strength "$three")" exclusive
systemctl stop train-a train-b train-c train-low vip-a
check "nothing is left" wait_for 300 site_gone
site_down
finish
