#!/bin/bash
# Cgroups that systemd does not own: fenced as they appear, granted and released with those above them in order,
# and given back what they had when the fence is lifted.
# own-boot
# suites: trixie
# seconds: 80
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
top=/sys/fs/cgroup

# mems CGROUP, own CGROUP: what it can have; what its cpuset.mems says
mems() {
        cat "$top$1/cpuset.mems.effective"
}
own() {
        cat "$top$1/cpuset.mems"
}

# has CGROUP NODES
has() {
        [ "$(mems "$1")" = "$2" ]
}

# hog CGROUP NODE MIB: a process in there fills memory on a node that it may use
hog() {
        vm_start /tmp/hog bash -c 'echo $$ >"$1/cgroup.procs" && exec vm-hog --prefer --node "$2" --mb "$3"' hog "$top$1" "$2" "$3"
        hog=$started
        disown
}

# on CGROUP NODE MIB: it has that much there, at least; off: hardly anything
on() {
        [ "$(vm_node_bytes "$1" "$2")" -ge $(($3 << 20)) ]
}
off() {
        [ "$(vm_node_bytes "$1" "$2")" -lt $((2 << 20)) ]
}

# told KIND CGROUP: the journal has such an event
told() {
        journalctl --unit cdmd CDM_EVENT="$1" CDM_CGROUP="$2" --quiet | grep -q .
}

# reload_and COMMAND...: after a reload
reload_and() {
        cdmctl reload && "$@"
}

kill_all() {
        echo 1 >"$top$1/cgroup.kill"
        wait_for 20 grep -q 'populated 0' "$top$1/cgroup.events"
}

site_write
site_rule 05-foreign 'Pool=hbm' 'CGroup=/foreign/* /lonely.slice/*' -- 'Limit=256M'
mkdir $top/before $top/narrow
echo +cpuset >$top/cgroup.subtree_control
echo 1 >$top/narrow/cpuset.mems
hog /before 2 128
check "a process in a cgroup of its own has 128 MiB of node 2" wait_for 10 on /before 2 120
systemctl enable --quiet cdmd
check "cdmd starts" systemctl start cdmd
is "the fence is closed" "$(vm_status fence)" closed
is "that cgroup is fenced" "$(mems /before)" 0-1
check "and its pages have left" wait_for 10 off /before 2
is "one with a smaller set of its own has that" "$(own /narrow)" 1

# As they appear
worst=0 sum=0 end=$((SECONDS + 60))
for i in {1..20}; do
        begin=${EPOCHREALTIME/./}
        mkdir $top/new
        until read -r is <$top/new/cpuset.mems.effective && [ "$is" = 0-1 ]; do
                [ $SECONDS -lt $end ] || break
        done
        usec=$((${EPOCHREALTIME/./} - begin))
        [ "$is" = 0-1 ] || break
        sum=$((sum + usec))
        [ $usec -le $worst ] || worst=$usec
        rmdir $top/new
done
is "new ones are fenced as they appear" "$is" 0-1
echo "# open for $((sum / i)) us on average, $worst us at worst, of $i"
check "which is told" wait_for 10 told fenced /new
echo "# cdmd says, in us: $(journalctl --unit cdmd CDM_EVENT=fenced CDM_CGROUP=/new --output=cat --output-fields=CDM_REASON | tr -dc '0-9\n' | tr '\n' ' ')"

kill -STOP "$(site_pid cdmd.service)"
mkdir -p $top/slow/below
echo +memory >$top/slow/cgroup.subtree_control
hog /slow/below 3 100
kill -CONT "$(site_pid cdmd.service)"
check "what slipped in while cdmd did not look is drained" wait_for 30 off /slow 3
check "the new cgroup is fenced, as is what was made in it" wait_for 30 has /slow 0-1
check "and told of" wait_for 10 told fenced /slow
kill_all /slow
rmdir $top/slow/below $top/slow

mkdir $top/open
check "another one" wait_for 10 has /open 0-1
echo 0-3 >$top/open/cpuset.mems
check "which somebody opens is closed again" wait_for 10 has /open 0-1
rmdir $top/open

mkdir $top/system.slice/not-systemd.service $top/not-systemd.slice
check "one with the name of a unit is fenced, too" wait_for 30 has /system.slice/not-systemd.service 0-1
rmdir $top/system.slice/not-systemd.service
hog /not-systemd.slice 0 1
check "one with that of a slice" reload_and has /not-systemd.slice 0-1
kill_all /not-systemd.slice
rmdir $top/not-systemd.slice

like "status tells what cannot be fenced, with its bytes" "$(cdmctl status)" "root cgroup and kernel threads cannot be fenced: they have [0-9]"
is "as JSON, too" "$(cdmctl status --json=short | jq --raw-output '.unfenceable_bytes | type')" number

# Grants
mkdir -p $top/foreign/a $top/foreign/b
check "two cgroups of a container manager" wait_for 10 has /foreign 0-1
check_status 1 "without the cpuset controller they have no grant" cdmctl request hbm 64M --cgroup /foreign/a
like "and it is told what to do" "$output" "cpuset controller is not enabled.*cgroup.subtree_control"
is "nothing stays of that" "$(mems /foreign)" 0-1
echo "+cpuset +memory" >$top/foreign/cgroup.subtree_control
hog /foreign/a 0 48
check "one gets a reservation by its path" cdmctl request hbm 64M --cgroup /foreign/a --nodes 2 --migrate
a=$output
is "its nodes are open to it" "$(mems /foreign/a)" 0-2
check "its pages were moved there" wait_for 10 on /foreign/a 2 40
is "the one above it was widened" "$(mems /foreign)" 0-2
is "the one beside it has a fence of its own" "$(mems /foreign/b)" 0-1
mkdir $top/foreign/late
check "so has one that comes later" wait_for 10 has /foreign/late 0-1
hog /foreign/b 0 16
check "the other one gets a reservation by a process" cdmctl request hbm 64M --pid "$hog" --nodes 3

is "it has its node" "$(mems /foreign/b)" 0-1,3
is "and nobody else has" "$(mems /foreign) $(mems /foreign/a) $(mems /foreign/late)" "0-3 0-2 0-1"
is "the reservation names the cgroup" "$(site_list '[.[].cgroup] | sort | join(" ")')" "/foreign/a /foreign/b"
check_status 3 "policy is asked" cdmctl request hbm 64M --cgroup /narrow
check_status 3 "a user may not ask for it" vm_as alice 'cdmctl request hbm 64M --cgroup /foreign/late'
like "as polkit says, or policy" "$output" "[A-Za-z]"

kill -KILL "$(site_pid cdmd.service)"
check "cdmd is killed and comes back" wait_for 60 cdmctl list
is "with both reservations" "$(site_list '[.[] | select(.state == "active")] | length')" 2
is "and all sets" "$(mems /foreign) $(mems /foreign/a) $(mems /foreign/b) $(mems /foreign/late)" "0-3 0-2 0-1,3 0-1"

check "a release" cdmctl release "$a"
is "closes the node" "$(mems /foreign/a)" 0-1
check "with what it had there moved off" wait_for 10 off /foreign/a 2
is "and those above it, but for what others need" "$(mems /foreign)" 0-1,3
kill_all /foreign/b
rmdir $top/foreign/b
check "the other reservation ends with its cgroup" wait_for 20 site_gone
check "and those above it are narrowed" wait_for 10 has /foreign 0-1

check "granted once more" cdmctl request hbm 64M --cgroup /foreign/late --nodes 3
systemctl stop cdmd
rmdir $top/foreign/late
mkdir $top/foreign/late
systemctl start cdmd
check "a cgroup that was replaced while cdmd was away has no reservation" site_gone
is "nor its nodes" "$(mems /foreign/late) $(mems /foreign)" "0-1 0-1"

# In a slice, and below what is delegated
systemctl start lonely.slice
mkdir $top/lonely.slice/x
check "one in a slice without units is fenced" wait_for 10 has /lonely.slice/x 0-1
check "and can be granted" cdmctl request hbm 64M --cgroup /lonely.slice/x --nodes 2
is "its node" "$(mems /lonely.slice/x)" 0-2
check "and released" cdmctl release "$output"
rmdir $top/lonely.slice/x
systemctl stop lonely.slice

site_rule 06-deleg 'Pool=hbm' 'Unit=deleg.service' -- 'Limit=256M'
check "a rule for a unit" cdmctl reload
systemd-run --quiet --unit=deleg --property=Delegate=yes --property=User=alice \
        sh -c 'mkdir "/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)/sub"; exec sleep infinity'
deleg=$(vm_cgroup deleg)
check "a delegatee makes a cgroup" wait_for 10 test -d "$top$deleg/sub"
check "a grant to that" cdmctl request hbm 64M --cgroup "$deleg/sub" --nodes 2
is "is one to the unit" "$(site_list '.[].unit')" deleg.service
is "which has the node" "$(mems "$deleg")" 0-2
check "the grant is released" cdmctl release "$output"
systemctl stop deleg

# What a user owns. alice sets the attribute with which older versions noted what a cgroup had, and makes a cgroup.
mkdir $top/theirs
check "a cgroup that is given to a user" wait_for 10 has /theirs 0-1
echo 1 >$top/theirs/cpuset.mems
chown -R alice: $top/theirs
chown root: $top/theirs/cpuset.mems
vm_as alice "perl -e 'my (\$p, \$n, \$v) = @ARGV; syscall(188, \$p, \$n, \$v, length \$v, 0) == 0 or die \$!' $top/theirs user.cdmd.mems '0-1;1'" # setxattr
check "its owner makes one in there" vm_as alice "mkdir $top/theirs/sub"
mkdir $top/marker
check "and cdmd has looked" wait_for 10 has /marker 0-1
rmdir $top/marker
check "also at everything" cdmctl reload
is "the administrator's set stays" "$(own /theirs)" 1
watches() {
        cat /proc/"$(site_pid cdmd.service)"/fdinfo/* 2>/dev/null | grep -c '^inotify'
}
systemd-run --quiet --unit=deleg --property=Delegate=yes --property=User=alice sleep infinity
deleg=$(vm_cgroup deleg)
check "the owner of a delegated cgroup makes many and removes the mark" vm_as alice \
        "bash -c 'mkdir -p $top$deleg/{0..99}/{0..9}' && perl -e 'my (\$p, \$n) = @ARGV; syscall(197, \$p, \$n)' $top$deleg user.delegate" # removexattr
before=$(watches)
systemctl restart cdmd
check "cdmd starts again" wait_for 60 cdmctl list
after=$(watches)
check "it watches none of those ($before, then $after)" [ "$after" -lt $((before + 100)) ]
systemctl stop deleg
rmdir $top/theirs/sub $top/theirs

kill_all /before
kill_all /foreign
site_down
is "lifted, everybody inherits again" "$(mems /before) $(mems /foreign) $(mems /foreign/a) $(mems /foreign/late)" "0-3 0-3 0-3 0-3"
is "and a set of its own stays" "$(own /narrow)" 1
rmdir $top/foreign/late $top/foreign/a $top/foreign $top/before $top/narrow
finish
