#!/bin/bash
# What an operator sees: tables, JSON, events as they happen, the journal with its explanations.
# suites: trixie
# dbus-broker
# seconds: 50
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
site_up

# keys VERB...: the keys of the first object of its JSON, sorted
keys() {
        cdmctl "$@" --json=short | jq --raw-output 'if type == "array" then .[0] else . end | keys | join(" ")'
}

# saw KIND: the monitor has printed such an event
saw() {
        jq --exit-status --slurp --arg kind "$1" 'any(.[]; .kind == $kind)' /tmp/monitor
}

cdmctl monitor --json=short >/tmp/monitor &
monitor=$!
wait_for 10 busctl status org.cdmd1
sleep 1
check "a service fills ordinary memory" vm_eat train-see 0 64M
check "it is granted" cdmctl request hbm 128M --unit train-see.service --migrate --nodes 2
id=$output
check_status 3 "another one is denied" cdmctl request hbm 64M --unit cdmd-vm-agent.service
check "the monitor shows the grant" wait_for 10 saw granted
check "and the refusal" wait_for 10 saw denied

check "status names the reservation" cdmctl status
like "with its unit" "$output" 'train-see.service'
check "status is JSON, too" sh -c 'cdmctl status --json=short | jq --exit-status .'
is "list has the documented keys" "$(keys list)" \
        "cgroup expires id labels nodes policy pool priority requester size state strength uid unit used"
is "show has them as well" "$(keys show "$id")" "$(keys list)"
is "nodes" "$(keys nodes)" "device evidence free initiators node online pool read_bandwidth_mbps read_latency_ns reserved size tier unattributed used"
is "pools" "$(keys pools)" "available hold name nodes reserved size used"
is "who" "$(keys who)" "anon bytes cgroup file hugetlb kind name node shmem unit"
is "what is reserved of the pool" "$(cdmctl pools --json=short | jq '.[0].reserved')" $((128 << 20))
used=$(cdmctl who --json=short | jq '[.[] | select(.unit == "train-see.service" and .kind == "reserved") | .bytes] | add')
check "who finds its pages" test "$used" -ge $((60 << 20))
# The kernel's numbers of cgroups lag behind by up to two seconds.
adds_up() {
        off=$(($(cdmctl who 2 --json=short | jq '[.[].bytes] | add') - $(vm_node_used 2)))
        [ ${off#-} -le $((2 << 20)) ]
}
check "who accounts for every byte of node 2, within 2 MiB" wait_for 60 adds_up

check "it is released" cdmctl release "$id"
is "silently where there is no terminal" "$output" ""
check "the monitor shows the release" wait_for 10 saw released
kill "$monitor"
wait "$monitor"
is "the monitor prints an object a line" "$(jq --slurp length /tmp/monitor)" "$(wc -l </tmp/monitor)"

journalctl --update-catalog
wait_for 60 sh -c "journalctl --unit cdmd CDM_EVENT=released CDM_RESERVATION=$id --quiet | grep -q ."
explained=$(journalctl --unit cdmd CDM_EVENT=granted --catalog --no-pager --quiet)
like "the journal explains a grant" "$explained" 'Subject: train-see.service was granted'
is "and has its reservation as a field" "$(journalctl --unit cdmd CDM_EVENT=released CDM_RESERVATION="$id" --quiet | wc -l)" 1

# Progress, on a terminal only. Drains are slowed down, so that even a fast machine has some to show.
printf '[Drain]\nBandwidth=16M\n' >/etc/cdm/cdmd.conf
check "drains are slowed down" cdmctl reload
# release_on TERMINAL-WIDTH: grants, and releases with standard error on a terminal; what is printed goes to /tmp/terminal
release_on() {
        local id
        id=$(cdmctl request hbm 128M --unit train-see.service --migrate --nodes 2) &&
                script --quiet --return --command "stty cols $1; cdmctl release $id >/tmp/stdout" /tmp/typescript &&
                tail --lines=+2 /tmp/typescript | sed '/^Script done/d' | head --bytes=-1 >/tmp/terminal
}
# progress: one line each time it was printed
progress() {
        tr '\r' '\n' </tmp/terminal | sed 's/\x1b\[K$//' | grep .
}
check "a release on a terminal" release_on 80
is "prints nothing but its progress" "$(progress | grep --invert-match --extended-regexp '^draining: [0-9.]+[BKM] of [0-9.]+[BKM] left(, [0-9.]+[BKM]/s(, [0-9a-z ]+ to go)?)?$')" ""
# The last bytes are the kernel's, and come and go.
left=$(progress | sed -nE 's/^draining: ([0-9.]+M) of.*/\1/p' | numfmt --from=iec)
check "several times" test "$(wc --lines <<<"$left")" -ge 3
is "with less and less left" "$left" "$(sort --numeric-sort --reverse <<<"$left")"
check "in the end, less than at first" test "$(tail --lines=1 <<<"$left")" -lt "$(head --lines=1 <<<"$left")"
is "each time over the last one" "$(tr --delete --complement '\n' </tmp/terminal | wc --chars)" 0
is "and leaves an empty line" "$(tail --bytes=4 /tmp/terminal)" $'\r\x1b[K'
is "standard output has none of it" "$(grep draining /tmp/stdout)" ""
check "a release on a narrow terminal" release_on 20
is "keeps within it" "$(progress | awk 'length > 19')" ""
check "and shows what it can" sh -c 'grep --quiet "draining: [0-9]" /tmp/terminal'
systemctl stop train-see
site_down
finish
