#!/bin/bash
# Static=: what a unit needs is reserved as it starts, before its main process runs, and given back when it stops.
# suites: trixie
# seconds: 130
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
times=4
[ -z "$CDMD_SOAK" ] || times=12
site_write
site_rule 25-static 'Pool=hbm' 'Unit=boot-*.service tpl@.service' -- 'Static=64M'
site_rule 26-strict 'Pool=hbm' 'Unit=strict.service' -- 'Static=100%' 'StaticRequired=yes'
site_rule 15-alice 'Pool=hbm' 'Unit=hers.service his.service' 'User=alice' -- 'Static=64M'
site_rule 05-settings 'Pool=hbm' 'Unit=set-*.service' -- 'Static=16M'
site_up

# unit NAME [SETTING...]: one whose main process first of all writes down what it may use
unit() {
        local name=$1
        shift
        # shellcheck disable=SC2016 # systemd expands nothing of it, sh does
        printf '[Service]\nType=notify\nNotifyAccess=all\nExecStart=sh -c "grep ^Mems_allowed_list: /proc/self/status >>/run/born/%%n; systemd-notify --ready; exec sleep infinity"\n' \
                >"/run/systemd/system/$name.service"
        [ $# -eq 0 ] || printf '%s\n' "$@" >>"/run/systemd/system/$name.service"
}

# born UNIT: what the last main process of the unit could use when it was born
born() {
        tail -n 1 "/run/born/$1.service" 2>/dev/null | tr -d '[:space:]' | cut -d: -f2
}

# reserved UNIT: how many bytes it has
reserved() {
        site_list "[.[] | select(.unit == \"$1.service\") | .size] | add // 0"
}

# is_told UNIT REGEX: it stands in the unit's journal, which takes a moment
is_told() {
        journalctl --unit "$1" --output=cat | grep "$2"
}

mkdir -p -m 1777 /run/born
for name in boot-a boot-b tpl@ strict; do unit "$name"; done
unit hers User=alice
unit his User=bob
systemctl daemon-reload

systemctl start boot-a
like "the main process is born with its nodes open" "$(born boot-a)" '[23]'
is "64 MiB are reserved for the unit" "$(reserved boot-a)" $((64 << 20))
id=$(site_list '.[0].id')
systemctl restart boot-a
like "so it is after a restart" "$(born boot-a)" '[23]'
is "with the same reservation" "$(site_list '[.[].id] | join(" ")')" "$id"
check "it is released while the unit runs" cdmctl release "$id"
systemctl restart boot-a
like "a restart reserves again" "$(born boot-a)" '[23]'
unit late
systemctl daemon-reload
systemctl start late
site_rule 27-late 'Pool=hbm' 'Unit=late.service' -- 'Static=64M'
check "a rule comes for a unit that runs" cdmctl reload
systemctl restart late
like "a restart reserves for it" "$(born late)" '[23]'
is "no grant has failed" "$(journalctl --unit cdmd --output=cat | grep "for late.service was not granted")" ""
systemctl stop late
systemctl daemon-reload
like "the drop-in survives a daemon-reload" "$(systemctl cat boot-a)" 'Wants=cdmd-static@'
systemctl stop boot-a
check "it ends as the unit stops" wait_for 120 site_gone
# A property of a unit that systemd has forgotten makes a cgroup for which PID 1 names no unit. cdmd fences that as one
# that systemd does not own. The next start takes it over.
is_left_behind() {
        [ "$(cat /sys/fs/cgroup/system.slice/boot-a.service/cpuset.mems)" = 0-1 ] &&
                [[ $(busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager \
                        GetUnitByControlGroup s /system.slice/boot-a.service) == *system_2eslice* ]]
}
for weight in 101 102; do
        check "a property of the stopped unit is set" systemctl set-property --runtime boot-a CPUWeight=$weight
        check "a cgroup without a unit stays, and is fenced" wait_for 20 is_left_behind
        systemctl start boot-a
        like "the unit that takes it over has its nodes" "$(born boot-a)" '[23]'
        systemctl stop boot-a
        check "and it ends as well" wait_for 120 site_gone
done
missed=0
for _ in $(seq $times); do
        systemctl start boot-a
        [[ $(born boot-a) == *[23]* ]] || missed=$((missed + 1))
        systemctl stop boot-a
done
is "started $times times, it never missed its nodes" "$missed" 0
check "and leaves nothing" wait_for 120 site_gone

systemctl start tpl@7
like "an instance of a template has its nodes" "$(born tpl@7)" '[23]'
systemctl stop tpl@7
systemctl start hers his
like "User= is the unit's user" "$(born hers)" '[23]'
is "and another user's unit is not meant" "$(born his) $(reserved his)" "0-1 0"
is "whose user owns it" "$(site_list '.[] | select(.unit == "hers.service") | .uid')" "$(id -u alice)"
check_status 3 "an ordinary user cannot reserve for a unit" vm_as alice 'cdmctl static boot-a.service'
systemctl stop hers his
check "theirs end with them" wait_for 60 site_gone

check_status 1 "StaticRequired=yes: what does not fit does not start" systemctl start strict
is "it did not run" "$([ -e /run/born/strict.service ] && echo ran)" ""
check "its journal says why" wait_for 20 is_told strict 'cdmctl: '
systemctl reset-failed cdmd-static-required@strict.service.service
check "the pool is filled" systemd-run --quiet --collect --unit=train-full sleep infinity
first=$(cdmctl nodes --json=short | jq '[.[] | select(.pool == "hbm") | .node][0]')
for node in $first $((first + 1)); do
        check "node $node is somebody's" cdmctl request hbm 1M --unit train-full.service --nodes "$node" --exclusive
done
systemctl start boot-a
is "no room: the unit starts" "$(systemctl is-active boot-a)" active
is "fenced" "$(born boot-a)" 0-1
check "and its journal says so" wait_for 20 is_told boot-a 'boot-a.service gets no CDM memory'
systemctl stop boot-a train-full
check "nothing is left" wait_for 60 site_gone

# What a unit says of itself is in nobody's way, because the unit itself reserves nothing.
# settings NAME SETTING...: such a unit, which tells its nodes on standard output
settings() {
        local name=$1
        shift
        printf '[Service]\nExecStart=/bin/sh -c "grep ^Mems_allowed_list: /proc/self/status"\nStandardOutput=append:/run/born/%%n\n' \
                >"/run/systemd/system/$name.service"
        printf '%s\n' "$@" >>"/run/systemd/system/$name.service"
}
# has_started_right NAME: such a unit, started, had its nodes
has_started_right() {
        systemctl start "$1" && [[ $(born "$1") == *[23]* ]]
}
# is_closed UNIT: the next start would be fenced
is_closed() {
        [ "$(systemctl show --property=AllowedMemoryNodes --value "$1.service")" = 0-1 ]
}
settings set-policy Type=oneshot NUMAPolicy=bind NUMAMask=2-3
settings set-private Type=oneshot DynamicUser=yes PrivateUsers=yes PrivateNetwork=yes PrivateMounts=yes ProtectSystem=strict \
        RestrictAddressFamilies=none SystemCallFilter=@system-service IPAddressDeny=any InaccessiblePaths=/run/dbus /run/cdmd
settings set-root Type=oneshot RootDirectory=/var/born-root MountAPIVFS=yes BindReadOnlyPaths=/usr
settings set-several Type=oneshot 'ExecStart=/bin/true' 'ExecStartPre=/bin/true' 'ExecCondition=/bin/true'
settings set-exec Type=exec User=alice RemainAfterExit=yes
settings set-idle Type=idle RemainAfterExit=yes
settings set-forking Type=forking
settings set-byname Type=oneshot
mkdir -p /var/born-root/{usr,proc,sys,dev,run,tmp}
for name in bin lib lib64; do ln -s usr/$name /var/born-root/$name; done
systemctl daemon-reload
for name in policy private root several exec idle forking; do
        check "set-$name.service starts with its nodes" wait_for 20 has_started_right set-$name
        systemctl stop set-$name
        check "and it is closed when it has ended" wait_for 30 is_closed set-$name
done
check "nothing is left of them" wait_for 60 site_gone

# What starts it, and what keeps it from starting
settings set-never Type=oneshot 'ExecCondition=/bin/false'
settings set-unmet Type=oneshot
printf '[Unit]\nConditionPathExists=/nonexistent\n' >>/run/systemd/system/set-unmet.service
settings set-broken Type=oneshot 'ExecStartPre=/bin/false'
settings set-needy Type=oneshot
printf '[Unit]\nRequires=set-never-there.service\nAfter=set-never-there.service\n' >>/run/systemd/system/set-needy.service
printf '[Service]\nType=oneshot\nExecStart=/bin/false\n' >/run/systemd/system/set-never-there.service
printf '[Timer]\nOnActiveSec=1\nAccuracySec=1ms\nUnit=set-byname.service\n' >/run/systemd/system/by-timer.timer
printf '[Socket]\nListenFIFO=/run/by-socket\nService=set-idle.service\n' >/run/systemd/system/by-socket.socket
systemctl daemon-reload
for name in never unmet broken needy; do
        systemctl start set-$name 2>/dev/null
        check "set-$name.service does not start: nothing is reserved for it" wait_for 60 site_gone
        check "and it is closed" wait_for 30 is_closed set-$name
        was_asked_for() { journalctl --unit "set-$name" --output=cat | grep --quiet -E 'is granted|gets no CDM memory'; }
        check "though it was asked for" wait_for 20 was_asked_for
done
systemctl start by-timer.timer
has_come() { [[ $(born set-byname) == *[23]* ]]; }
check "started by a timer it has its nodes" wait_for 60 has_come
rm /run/born/set-idle.service
systemctl start by-socket.socket
echo >/run/by-socket &
has_come_by_socket() { [[ $(born set-idle) == *[23]* ]]; }
check "started by a socket as well" wait_for 60 has_come_by_socket
wait
systemctl stop by-timer.timer by-socket.socket set-idle
check "nothing is left" wait_for 60 site_gone

# Restart=: the same reservation, and nodes from birth
settings set-again Restart=on-failure RestartSec=100ms
sed -i 's,^ExecStart=.*,ExecStart=/bin/sh -c "grep ^Mems_allowed_list: /proc/self/status; exec sleep infinity",' /run/systemd/system/set-again.service
systemctl daemon-reload
systemctl start set-again
check "set-again.service runs" wait_for 30 test -s /run/born/set-again.service
id=$(site_list '.[0].id')
for _ in 1 2 3; do
        before=$(wc -l </run/born/set-again.service)
        # restarted: one more main process has written
        restarted() { [ "$(wc -l </run/born/set-again.service)" -gt "$before" ]; }
        systemctl kill --signal=KILL set-again
        check "it restarts by itself" wait_for 30 restarted
        like "with its nodes" "$(born set-again)" '[23]'
done
is "and the same reservation" "$(site_list '[.[].id] | join(" ")')" "$id"
systemctl stop set-again
check "it ends" wait_for 60 site_gone
check "closed" wait_for 30 is_closed set-again

# Scopes, whose names are new each time: whoever starts one has the process ready, and systemd-run waits before it executes.
site_rule 07-small 'Pool=hbm' 'Unit=vm-*-a.scope' -- 'Static=16M' 'StaticRequired=yes'
site_rule 08-large 'Pool=hbm' 'Unit=vm-*-b.scope' -- 'Static=100%'
check "rules for scopes are taken" cdmctl reload
# scope NAME COMMAND...
scope() {
        local name=$1
        shift
        timeout 120 systemd-run --quiet --scope --unit="$name" "$@"
}
for time in 1 2 3; do
        check "a scope starts" scope vm-$time-a grep ^Mems_allowed_list: /proc/self/status
        like "with its nodes open" "$output" '[23]$'
        check "it ends with the scope" wait_for 60 site_gone
done
check "a scope with a name that systemd escapes" scope "vm-$(systemd-escape a-b)-a" grep ^Mems_allowed_list: /proc/self/status
like "has its nodes" "$output" '[23]$'
check "one for which there is no rule starts" scope vm-1-c grep ^Mems_allowed_list: /proc/self/status
like "fenced" "$output" '[[:space:]]0-1$'
check "nothing is left" wait_for 60 site_gone
check_status 1 "the first rule's StaticRequired= counts: what does not fit does not start" scope vm-1-b true
check "and the journal says why" wait_for 20 is_told vm-1-b.scope 'vm-1-b.scope gets no CDM memory'
is "nothing is reserved" "$(site_list length)" 0
check "nor open" test -z "$(site_leaks)"
systemctl reset-failed
rm /etc/cdm/policy.d/0[78]-*.conf
check "the rules are taken away" cdmctl reload
check "with the drop-in" test ! -e /run/systemd/system/vm-.scope.d

# A start that is given up
mkdir -p /run/systemd/system/cdmd-static@set-again.service.service.d
printf '[Service]\nExecStartPost=/bin/sleep infinity\n' >/run/systemd/system/cdmd-static@set-again.service.service.d/wait.conf
systemctl daemon-reload
systemctl start --no-block set-again
check "reserved, and it waits for its start" wait_for 60 site_has_one
systemctl stop set-again
check "given up before it started: nothing is left" wait_for 60 site_gone
check "and it is closed" wait_for 30 is_closed set-again
systemctl stop cdmd-static@set-again.service.service
rm -r /run/systemd/system/cdmd-static@set-again.service.service.d
check_status 1 "what does not start gets nothing" cdmctl static set-again.service
systemctl daemon-reload

# A slice that keeps them off
mkdir -p /run/systemd/system/narrow.slice.d
printf '[Slice]\nAllowedMemoryNodes=0-1\n' >/run/systemd/system/narrow.slice
settings set-slice Type=oneshot Slice=narrow.slice
systemctl daemon-reload
systemd-run --quiet --collect --unit=keep --slice=narrow.slice sleep infinity
systemctl start set-slice
is "in a slice without those nodes it starts fenced" "$(born set-slice)" 0-1
check "and says why" wait_for 20 is_told set-slice 'a slice that the unit is in'
refusals=$(journalctl --unit cdmd --output=cat | grep -c "for set-slice.service was not granted")
systemctl set-property --runtime set-slice CPUWeight=101 # makes a control group
systemctl start set-slice
is "and so where its control group is there before" "$(born set-slice) $(journalctl --unit cdmd --output=cat |
        grep -c "for set-slice.service was not granted")" "0-1 $((refusals + 1))"
systemctl stop keep
check "with nothing left" wait_for 60 site_gone
rm -r /run/systemd/system/{narrow.slice,narrow.slice.d,by-timer.timer,by-socket.socket,set-*.service} /var/born-root
rm /etc/cdm/policy.d/05-settings.conf
check "the rule is taken away" cdmctl reload

systemctl stop cdmd
systemctl start boot-a
like "cdmd is started for it" "$(born boot-a)" '[23]'
systemctl stop boot-a
check "and it ends" wait_for 120 site_gone
for delay in 0 0.1 0.3; do
        systemctl start boot-b &
        sleep $delay
        systemctl kill --signal=KILL cdmd
        wait
        like "cdmd killed after ${delay}s while the unit starts: it has its nodes" "$(born boot-b)" '[23]'
        is "and one reservation" "$(reserved boot-b)" $((64 << 20))
        systemctl stop boot-b
        wait_for 120 site_gone
done
systemctl mask --runtime --now --quiet cdmd
systemctl start boot-b
is "the fence stays for those to come" "$(systemd-run --quiet --wait --pipe grep ^Mems_allowed_list: /proc/self/status | tr -d '[:space:]')" Mems_allowed_list:0-1
is "without cdmd it starts fenced" "$(born boot-b)" 0-1
check "and says that cdmd was not there" wait_for 20 is_told boot-b 'cdmd cannot be reached'
systemctl stop boot-b
systemctl unmask --runtime --quiet cdmd
systemctl start cdmd

rm /etc/cdm/policy.d/{15-alice,25-static,26-strict,27-late}.conf
check "without the rules" cdmctl reload
is "no drop-in is left" "$(find /run/systemd -name '30-cdmd-static.conf')" ""
systemctl start boot-a
is "and the unit starts fenced" "$(born boot-a)" 0-1
systemctl stop boot-a
systemctl revert boot-a >/dev/null
rm /run/systemd/system/{boot-a,boot-b,tpl@,strict,hers,his}.service
systemctl daemon-reload
site_down
systemctl reset-failed
finish
