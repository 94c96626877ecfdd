#!/bin/bash
# Who may have how much: grants, refusals and bad input, with the exit status a script relies on.
# suites: bookworm
# seconds: 30
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
site_up

systemctl is-active --quiet train-a || systemd-run --quiet --collect --unit=train-a sleep infinity
systemd-run --quiet --collect --unit=other sleep infinity
is "a service is born fenced" "$(site_mems train-a.service)" 0-1

check "a service with a rule is granted" cdmctl request hbm 256M --unit train-a.service
id=$output
like "the id stands alone on stdout" "$id" '^[0-9]+$'
like "its nodes are open to it" "$(site_mems train-a.service)" '^0-[23]|^0-1,[23]$'
is "its state is active" "$(vm_show "$id" state)" active
is "alone on its node, it is exclusive" "$(vm_show "$id" strength)" exclusive
is "nobody else can have a CDM node" "$(site_leaks | grep -v train-a)" ""
like "the rule is named" "$(vm_show "$id" policy)" '30-train.conf:1$'

check "a second tenant is granted" cdmctl request hbm 256M --pid "$(site_pid train-a.service)"
second=$output
is "reservations of one unit add up" "$(site_list '[.[].size] | add')" $((512 << 20))
check "and release one by one" cdmctl release "$second"
like "the node stays open while one holds it" "$(site_mems train-a.service)" '[23]'

check_status 3 "no rule: denied" cdmctl request hbm 64M --unit other.service
like "and told that no rule matches" "$output" '^cdmctl: .*policy.d'
check_status 3 "over Limit= is denied" cdmctl request hbm 1025M --unit train-a.service
like "and told which line decided" "$output" '30-train.conf:[0-9]+'
check_status 4 "more than there is: full" cdmctl request hbm 1000M --unit train-a.service --nodes 2 --exclusive
check_status 1 "unknown pool" cdmctl request nopool 64M --unit train-a.service
check_status 2 "size 0" cdmctl request hbm 0 --unit train-a.service
check_status 2 "negative size" cdmctl request hbm -5 --unit train-a.service
check_status 2 "size beyond 2^63" cdmctl request hbm 9223372036854775808 --unit train-a.service
check_status 1 "a unit that does not exist" cdmctl request hbm 64M --unit nosuch.service
check_status 1 "a cgroup path with .." cdmctl request hbm 64M --cgroup /system.slice/../system.slice/train-a.service
check "a unit's cgroup as target" cdmctl request hbm 64M --cgroup /system.slice/train-a.service
check "released again" cdmctl release "$output"
check_status 1 "a released id" cdmctl release "$second"
check_status 1 "an id that never was" cdmctl show 999999
check_status 3 "an ordinary user cannot ask for a service" vm_as alice 'cdmctl request hbm 64M --unit train-a.service'
check_status 3 "nor with the PID of another user" vm_as alice "cdmctl request hbm 64M --pid $(site_pid train-a.service)"
check_status 3 "nor release somebody else's" vm_as alice "cdmctl release $id"
check "but everyone may look" vm_as alice "cdmctl show $id"

check "explain says yes" cdmctl explain hbm 256M --unit train-a.service
check_status 3 "explain says no" cdmctl explain hbm 256M --unit other.service
check_status 3 "explain for another user" cdmctl explain hbm 64M --user bob
like "and names his rule" "$output" '10-bob.conf:[0-9]+'

check "the last one is released" cdmctl release "$id"
is "and the unit fenced again" "$(site_mems train-a.service)" 0-1
is "nothing is left in the list" "$(site_list length)" 0

# Whoever made a cgroup below a unit may have kept it to some nodes: what is granted has to be of use there.
cat >/tmp/narrowed <<'END'
#!/bin/sh
# Its only process, in a cgroup below it that is kept to node 0.
top=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)
mkdir "$top/inner"
echo $$ >"$top/inner/cgroup.procs"
echo +cpuset >"$top/cgroup.subtree_control"
echo 0 >"$top/inner/cpuset.mems"
exec sleep infinity
END
chmod 755 /tmp/narrowed
inner=/sys/fs/cgroup/system.slice/train-n.service/inner
systemd-run --quiet --collect --unit=train-n --property=Type=exec --property=Delegate=yes /tmp/narrowed
check "a unit narrows what is below it" wait_for 30 grep -qx 0 "$inner/cpuset.mems"
check_status 1 "what no process there could use is refused" cdmctl request hbm 64M --unit train-n.service --nodes 2
like "with the cgroup that is in the way" "$output" 'memory node 2: /system.slice/train-n.service/inner allows only 0,'
is "and is not reserved" "$(site_list length)" 0
is "nor open" "$(site_mems train-n.service)" 0-1
echo 0-3 >"$inner/cpuset.mems"
check "where it is not in the way any more, it is granted" cdmctl request hbm 64M --unit train-n.service --nodes 2
is "to the process" "$(cat "$inner/cpuset.mems.effective")" 0-2
check "released" cdmctl release "$output"

# systemd names the cgroup of a unit differently where the kernel could have a file of its name.
site_rule 31-memory 'Pool=hbm' 'Unit=memory.service' -- 'Limit=256M'
check "a rule for memory.service" cdmctl reload
systemd-run --quiet --collect --unit=memory sleep infinity
is "its cgroup has another name" "$(systemctl show --property=ControlGroup --value memory)" /system.slice/_memory.service
check "it is granted" cdmctl request hbm 64M --unit memory.service --nodes 2
id=$output
is "its node is open to it" "$(site_mems memory.service)" 0-2
check "the fence is closed once more" cdmctl reload
is "and leaves it the node" "$(site_mems memory.service)" 0-2
check "released" cdmctl release "$id"
is "it is fenced" "$(site_mems memory.service)" 0-1
systemctl stop train-a train-n other memory
rm /tmp/narrowed
site_down
check "everybody may have every node again" site_lifted
finish
