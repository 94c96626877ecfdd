# shellcheck shell=bash
# The site that the tests of cdmd share, after lib.sh: a pool `hbm` of all CDM nodes, a few rules, cdmd running.

# site_write: the configuration
site_write() {
        mkdir -p /etc/cdm/pools.d /etc/cdm/policy.d
        printf '[Pool]\nDescription=HBM of the accelerator\n' >/etc/cdm/pools.d/hbm.conf
        site_rule 10-bob 'Pool=hbm' 'User=bob' -- 'Deny=yes'
        site_rule 20-alice 'Pool=hbm' 'User=alice' -- 'Limit=512M' 'Quota=768M'
        site_rule 30-train 'Pool=hbm' 'Unit=train-*.service' -- 'Limit=1G' 'Exclusive=yes'
        site_rule 40-root 'Pool=hbm' 'User=root' 'Unit=cdmd-vm-job@*.service' -- 'Limit=50%'
}

# site_rule NAME MATCH... -- GRANT...
site_rule() {
        local file=/etc/cdm/policy.d/$1.conf
        shift
        echo '[Match]' >"$file"
        while [ "$1" != -- ]; do
                echo "$1" >>"$file"
                shift
        done
        shift
        printf '[Grant]\n' >>"$file"
        printf '%s\n' "$@" >>"$file"
}

site_up() {
        site_write
        # cdmd causes a daemon-reload as it starts. systemctl of Debian 13 would like one before.
        systemctl enable --quiet --no-reload cdmd
        if systemctl start cdmd 2>/run/site-start; then
                ok "cdmd starts"
        else
                fail "cdmd starts" "$(cat /run/site-start)" "$(journalctl --unit cdmd --no-pager --lines 20)"
                finish
        fi
}

# site_down: the machine as it was before
site_down() {
        mkdir -p /etc/cdm
        printf '[Fence]\nMode=off\n' >/etc/cdm/cdmd.conf
        check "the fence is lifted by Mode=off and a reload" cdmctl reload
        systemctl stop cdmd
        systemctl disable --quiet --no-reload cdmd
        rm -rf /etc/cdm
}

# site_mems UNIT: the nodes it can have memory on
site_mems() {
        cat "/sys/fs/cgroup/$(vm_cgroup "$1")/cpuset.mems.effective"
}

# site_leaves: every cgroup with processes, apart from the root and cdmd's own, and what nodes it may have
site_leaves() {
        local leaf nodes process
        find /sys/fs/cgroup -mindepth 2 -name cgroup.procs | while read -r leaf; do
                leaf=${leaf%/cgroup.procs}
                [ "$leaf" != /sys/fs/cgroup/system.slice/cdmd.service ] || continue
                # The kernel says 0 for the size of this file, whoever is in it.
                read -r process <"$leaf/cgroup.procs" && [ -n "$process" ] || continue
                read -r nodes <"$leaf/cpuset.mems.effective" || continue
                echo "${leaf#/sys/fs/cgroup} $nodes"
        done 2>/dev/null
}

# site_leaks: those that may have a CDM node (nodes 2 and up)
site_leaks() {
        site_leaves | grep -vE ' (0-1|0|1)$'
}

# site_lifted: no cgroup is kept off a node; without the cpuset controller none can be
site_lifted() {
        local all narrow
        all=$(cat /sys/devices/system/node/has_memory)
        narrow=$(find /sys/fs/cgroup -name cpuset.mems.effective -exec grep -Lx "$all" {} +)
        [ -z "$narrow" ] || { echo "$narrow"; return 1; }
}

# site_list QUERY: a jq query over the reservations
site_list() {
        cdmctl list --json=short | jq --raw-output "$1"
}

# site_pid UNIT: its main process
site_pid() {
        systemctl show --property=MainPID --value "$1"
}

# site_has_one: exactly one reservation is live
site_has_one() {
        local json
        json=$(cdmctl list --json=short)
        [[ $json = *'"state":"active"'* && ${json#*'"state":"active"'} != *'"state":"active"'* ]]
}

# site_gone: none is
site_gone() {
        [ "$(cdmctl list --json=short)" = '[]' ]
}

# site_pinged COMMAND...: runs it while PID 1 and cdmd are pinged
site_pinged() {
        local pid status=0
        vm_start /tmp/pings vm-ping org.freedesktop.systemd1 org.cdmd1 || return
        pid=$started
        "$@" || status=$?
        kill "$pid"
        wait "$pid"
        return $status
}

# site_longest NAME: the longest pause of a bus name during the last site_pinged, in microseconds
site_longest() {
        awk -v name="$1" '$1 == name { print $3 }' /tmp/pings
}
