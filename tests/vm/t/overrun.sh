#!/bin/bash
# Two tenants on one node, one of them greedy: what it takes beyond its reservation goes back to ordinary memory, the
# neighbour has its bytes, and how far it went is told.
# suites: trixie
# dbus-broker
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
site_write
site_rule 25-warn 'Pool=hbm' 'Unit=warned.service' -- 'Limit=infinity' 'OnOverrun=warn'
site_rule 26-revoke 'Pool=hbm' 'Unit=revoked.service' -- 'Limit=infinity' 'OnOverrun=revoke'
site_up

mib=$((1 << 20))
# on_node UNIT: its bytes on node 2
on_node() {
        vm_node_bytes "$(vm_cgroup "$1.service")" 2 anon
}

# at_most UNIT BYTES, at_least UNIT BYTES: compare them
at_most() {
        [ "$(on_node "$1")" -le "$2" ]
}
at_least() {
        [ "$(on_node "$1")" -ge "$2" ]
}

# A file, because systemd expands ${...} in a command.
cat >/run/tenant <<'TENANT'
cd "/run/$1.d" || exit
while sleep 0.2; do
        for f in ./*.go; do
                [ -e "$f" ] || continue
                mv "$f" "${f%.go}"
                bash "${f%.go}" &
        done
done
TENANT

# tenant UNIT: a service that runs what is put into /run/UNIT.d, a file a program, and reserves 96 MiB of node 2
tenant() {
        mkdir -p "/run/$1.d"
        systemd-run --quiet --collect --unit="$1" bash /run/tenant "$1"
        check "$1 reserves 96 MiB of node 2" cdmctl request hbm 96M --unit "$1.service" --nodes 2
}

# go UNIT NAME COMMAND: the tenant runs it
go() {
        echo "$3" >"/run/$1.d/$2.tmp"
        mv "/run/$1.d/$2.tmp" "/run/$1.d/$2.go"
}

# told UNIT KIND: the journal has such an event of it
told() {
        journalctl --unit cdmd --no-pager --quiet CDM_EVENT="$2" CDM_UNIT="$1.service" | grep -q .
}

tenant train-calm
tenant train-greedy
is "both share the node, and are watched" "$(site_list '[.[].strength] | unique | join(" ")')" watched
go train-calm a 'exec numactl --preferred=2 /usr/lib/cdmd-tests/vm-hog --local --mb 32'
check "the calm one uses 32 MiB" wait_for 60 at_least train-calm $((32 * mib))

go train-greedy a 'exec numactl --preferred=2 /usr/lib/cdmd-tests/vm-hog --local --mb 300'
check "an overrun is told" wait_for 120 told train-greedy overrun
check "the greedy one is pushed back to what it reserved" wait_for 120 at_most train-greedy $((97 * mib))
check "the end is told as well" wait_for 60 told train-greedy overrun-ended
go train-calm b 'exec numactl --preferred=2 /usr/lib/cdmd-tests/vm-hog --local --mb 56'
check "the neighbour gets its bytes" wait_for 120 at_least train-calm $((88 * mib))

# hot_on_node: bytes of the process that uses its pages all the time
hot_on_node() {
        local pages
        pages=$(grep -oh ' N2=[0-9]*' "/proc/$(pgrep --full 'vm-hog --local --touch')/numa_maps" | cut -d= -f2 | paste -sd+)
        echo $(((${pages:-0}) * 4096))
}
go train-greedy h 'exec numactl --preferred=2 /usr/lib/cdmd-tests/vm-hog --local --touch --mb 64'
check "another program of it uses its pages all the time" wait_for 60 pgrep --full 'vm-hog --local --touch'
# filled: it has all its pages, wherever they are; the kernel counts them to within a few
filled() {
        [ "$(awk '/^RssAnon:/ { print $2 }' "/proc/$(pgrep --full 'vm-hog --local --touch')/status")" -ge $((63 << 10)) ]
}
check "and has all it wants" wait_for 120 filled
check "it is above once more" wait_for 60 sh -c '[ $(journalctl --unit cdmd --quiet CDM_EVENT=overrun CDM_UNIT=train-greedy.service | wc -l) -ge 2 ]'
check "and pushed back" wait_for 120 at_most train-greedy $((97 * mib))
check "what is used stays, what is not used went: $(hot_on_node) bytes" test "$(hot_on_node)" -ge $((56 * mib))
pkill --full 'vm-hog --local --touch'

seconds=$([ -n "$CDMD_SOAK" ] && echo 60 || echo 20)
go train-greedy b "end=\$((SECONDS + $seconds))"'; while [ $SECONDS -lt $end ]; do numactl --preferred=2 dd if=/dev/zero of=/dev/null bs=200M count=1 status=none; done; touch ended'
check "for $seconds s it allocates as fast as it can" wait_for 240 test -e /run/train-greedy.d/ended
check "the neighbour still has its bytes" at_least train-calm $((88 * mib))
check "and it is within its own again" wait_for 60 at_most train-greedy $((97 * mib))
sleep 3
worst=$(journalctl --unit cdmd --quiet --output=json CDM_EVENT=overrun-ended CDM_UNIT=train-greedy.service |
        jq --slurp 'map(.CDM_EXCESS | tonumber) | max')
longest=$(journalctl --unit cdmd --quiet --output=json CDM_EVENT=overrun-ended CDM_UNIT=train-greedy.service |
        jq --slurp 'map(.CDM_DURATION_USEC | tonumber) | max')
echo "# worst overrun: $worst bytes; longest: $((longest / 1000)) ms"
check "the worst overrun is known" test "$worst" -gt 0
check "and how long it was" test "$longest" -gt 0
systemctl stop train-greedy

# Page cache goes first: it cannot be moved, and what is mapped is within the reservation.
tenant train-cached
# all_on_node UNIT: its bytes on node 2, with page cache
all_on_node() {
        vm_node_bytes "$(vm_cgroup "$1.service")" 2
}
within() {
        [ "$(all_on_node train-cached)" -le $((97 * mib)) ]
}
go train-cached a 'exec numactl --preferred=2 /usr/lib/cdmd-tests/vm-hog --local --mb 48'
check "one uses 48 MiB" wait_for 60 at_least train-cached $((48 * mib))
go train-cached b 'exec /usr/lib/cdmd-tests/vm-hog --prefer --node 2 --mb 160 --file /var/tmp/cache'
check "and reads a file: an overrun is told" wait_for 120 told train-cached overrun
check "and that it has ended" wait_for 120 told train-cached overrun-ended
check "it is within its reservation" wait_for 60 within
check "its page cache went, and not what it maps" at_least train-cached $((48 * mib))
systemctl stop train-cached
rm /var/tmp/cache

tenant warned
go warned a 'exec numactl --preferred=2 /usr/lib/cdmd-tests/vm-hog --local --mb 150'
check "OnOverrun=warn: it is told" wait_for 60 told warned overrun
check "and nothing is moved" wait_for 60 at_least warned $((140 * mib))
systemctl stop warned
check "the calm one is alone again" wait_for 60 site_has_one
is "and exclusive" "$(site_list '.[0].strength')" exclusive

tenant revoked
go revoked a 'exec numactl --preferred=2 /usr/lib/cdmd-tests/vm-hog --local --mb 150'
check "OnOverrun=revoke: the reservation is released" wait_for 120 site_has_one
# fenced: the drain has ended
fenced() {
        [ "$(site_mems revoked.service)" = 0-1 ]
}
check "and the unit fenced" wait_for 60 fenced
check "without a page there" wait_for 60 at_most revoked 0
systemctl stop revoked train-calm
check "nothing is left" wait_for 60 site_gone
site_down
rm -r /run/tenant /run/{train-calm,train-greedy,train-cached,warned,revoked}.d
finish
