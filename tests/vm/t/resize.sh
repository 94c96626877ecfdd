#!/bin/bash
# Another size for a reservation, and what is said of a control group: with a real kernel and a real systemd.
# suites: bookworm
# seconds: 50
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
site_up

# size_is ID BYTES
size_is() {
        [ "$(vm_show "$1" size)" = "$2" ]
}

systemd-run --quiet --collect --unit=train-a sleep infinity
check "a reservation" cdmctl request hbm 128M --unit train-a.service --nodes 2
id=$output
check "grows" cdmctl resize "$id" 256M
check "and has that size" size_is "$id" $((256 << 20))
is "on the node that was asked for" "$(site_mems train-a.service)" 0-2
check_status 3 "over Limit= is denied" cdmctl resize "$id" 1025M
like "and told which line decided" "$output" '30-train.conf:[0-9]+'
check_status 4 "more than the node has: full" cdmctl resize "$id" 1024M
check_status 3 "nobody else may" vm_as alice "cdmctl resize $id 64M"
check "it shrinks" cdmctl resize "$id" 64M
check "what was answered outlives a crash" systemctl kill --signal=KILL cdmd
check "cdmd comes back" wait_for 60 size_is "$id" $((64 << 20))
is "with the nodes that it has" "$(site_mems train-a.service)" 0-2
check "released" cdmctl release "$id"

# capped: the scope's own limit goes along, and what is used is not taken away
vm_as alice 'cdmctl run hbm 256M --mem-policy bind -- /usr/lib/cdmd-tests/vm-hog --local --mb 100' >/tmp/hog.out 2>&1 &
runs() {
        [ -s /tmp/hog.out ] && site_list '.[0].id' | grep -q '^[0-9]'
}
check "a command that is bound has 100 MiB" wait_for 60 runs
id=$(site_list '.[0].id')
limit=/sys/fs/cgroup$(vm_show "$id" cgroup)/memory.max
check_status 1 "less than it uses: not changed" cdmctl resize "$id" 64M
like "and told what it uses" "$output" 'uses 1[0-9.]+M'
is "its limit is what it was" "$(cat "$limit")" $((256 << 20))
check "less, but enough" cdmctl resize "$id" 192M
is "the limit went along" "$(cat "$limit")" $((192 << 20))
check "it still runs" grep -q '[0-9]' "${limit%/*}/cgroup.procs"
check "more, as its owner" vm_as alice "cdmctl resize $id 256M"
is "the limit went along again" "$(cat "$limit")" $((256 << 20))
check "released" cdmctl release "$id"
kill "$(head -n 1 "${limit%/*}/cgroup.procs")" 2>/dev/null
wait

# labels stay with the control group, and end with it
site_rule 05-ml 'Pool=hbm' 'Label=slurm.account=ml' 'User=bob' -- 'Limit=128M'
check "a rule with a label" cdmctl reload
systemd-run --quiet --collect --unit=job-1 sleep infinity
check "said of the job's control group" cdmctl request hbm 64M --unit job-1.service --label slurm.account=ml --for-user bob
id=$output
is "bob owns it" "$(vm_show "$id" uid)" "$(id -u bob)"
is "and sees its labels" "$(vm_as bob "cdmctl show $id --json=short" | jq --raw-output '.labels["slurm.account"]')" ml
is "alice does not" "$(vm_as alice "cdmctl show $id --json=short" | jq .labels)" null
check_status 1 "it is said once" cdmctl request hbm 64M --unit job-1.service --label slurm.account=bio
check_status 3 "not everybody may" vm_as alice 'cdmctl request hbm 64M --unit job-1.service --label slurm.account=ml'
check "it counts for whoever asks later" cdmctl request hbm 64M --unit job-1.service
second=$output
is "bob owns that as well" "$(vm_show "$second" uid)" "$(id -u bob)"
said() {
        ls /run/cdmd/tenant-* >/dev/null 2>&1
}
unsaid() {
        ! said
}
check "it is on disk" said
check "cdmd restarts" systemctl restart cdmd
check_status 1 "and knows" cdmctl request hbm 64M --unit job-1.service --label slurm.account=bio
check "bob releases both" vm_as bob "cdmctl release $id $second"
check "it is still said" said
systemctl stop job-1
check "until the control group ends" wait_for 30 unsaid

systemctl stop train-a
check "nothing is left" wait_for 30 site_gone
site_down
check "everybody may have every node again" site_lifted
finish
