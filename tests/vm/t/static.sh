#!/bin/bash
# Static=: what a unit needs is reserved as it starts, before its main process runs, and given back when it stops.
# suites: trixie
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
site_write
site_rule 25-static 'Pool=hbm' 'Unit=boot-*.service tpl@.service' -- 'Static=64M'
site_rule 26-strict 'Pool=hbm' 'Unit=strict.service' -- 'Static=100%' 'StaticRequired=yes'
site_rule 15-alice 'Pool=hbm' 'Unit=hers.service his.service' 'User=alice' -- 'Static=64M'
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
        tail -n 1 "/run/born/$1.service" | tr -d '[:space:]' | cut -d: -f2
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
systemctl daemon-reload
like "the drop-in survives a daemon-reload" "$(systemctl cat boot-a)" 'cdmctl static'
systemctl stop boot-a
check "it ends as the unit stops" wait_for 120 site_gone
missed=0
for _ in $(seq 12); do
        systemctl start boot-a
        [[ $(born boot-a) == *[23]* ]] || missed=$((missed + 1))
        systemctl stop boot-a
done
is "started 12 times, it never missed its nodes" "$missed" 0
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
systemctl reset-failed strict
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

rm /etc/cdm/policy.d/{15-alice,25-static,26-strict}.conf
check "without the rules" cdmctl reload
is "no drop-in is left" "$(find /run/systemd -name '30-cdmd-static.conf')" ""
systemctl start boot-a
is "and the unit starts fenced" "$(born boot-a)" 0-1
systemctl stop boot-a
rm /run/systemd/system/{boot-a,boot-b,tpl@,strict,hers,his}.service
systemctl daemon-reload
site_down
finish
