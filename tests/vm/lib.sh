# shellcheck shell=bash
# For test scripts in the guest: . /usr/lib/cdmd-vm/lib.sh
#
# Every assertion prints one line, "ok - WHAT", "not ok - WHAT" or "skip - WHAT # REASON", and is a test of
# its own. A script goes on after a failure; it ends with `finish`, and one that ends without it has failed.

PATH=/usr/lib/cdmd-tests:$PATH
vm_failed=0

ok() {
        echo "ok - $1"
}

# fail WHAT [WHY...]: WHY becomes comment lines
fail() {
        echo "not ok - $1"
        shift
        [ $# -eq 0 ] || printf '%s\n' "$@" | sed 's/^/#   /'
        vm_failed=$((vm_failed + 1))
        return 0
}

skip() {
        echo "skip - $1 # $2"
}

# check WHAT COMMAND...: COMMAND succeeds
check() {
        check_status 0 "$@"
}

# check_status N WHAT COMMAND...: COMMAND exits with N. Its output (both streams) is shown when it does not, and
# stays in $output.
check_status() {
        local expected=$1 what=$2 status=0
        shift 2
        # The shell drops NULs and warns.
        { output=$("$@" 2>&1 </dev/null) || status=$?; } 2>/dev/null
        if [ "$status" -eq "$expected" ]; then
                ok "$what"
        else
                fail "$what" "exit status $status, expected $expected, of: $*" "$output"
        fi
}

# is WHAT ACTUAL EXPECTED
is() {
        if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "is:       $2" "expected: $3"; fi
}

# like WHAT ACTUAL REGEX (extended, as in [[ =~ ]])
like() {
        if [[ $2 =~ $3 ]]; then ok "$1"; else fail "$1" "is:         $2" "should match: $3"; fi
}

# vm_pause SECONDS: sleeps without a process, of which each costs a guest's processor about 50 ms
exec {vm_silence}<> <(:)
vm_pause() {
        read -r -t "$1" -u "$vm_silence" _ || :
}

# wait_for SECONDS COMMAND...: tries COMMAND until it succeeds, less often as time goes by. It should within SECONDS, and
# fails after five times as long, because the host may be busy.
wait_for() {
        local end=$((SECONDS + 5 * $1)) tenths=1
        shift
        until "$@" >/dev/null 2>&1; do
                [ $SECONDS -lt $end ] || return 1
                vm_pause 0.$tenths
                tenths=$((tenths < 5 ? tenths + 1 : 5))
        done
}

# vm_value KEY JSON: its first value there. For what is asked again and again: jq of Debian 12 takes 0.4 s to start here.
vm_value() {
        [[ $2 =~ \"$1\":(\"([^\"]*)\"|([^],}\"]+)) ]] && echo "${BASH_REMATCH[2]}${BASH_REMATCH[3]}"
}

# vm_show ID KEY: a value of a reservation; none if it is gone
vm_show() {
        vm_value "$2" "$(cdmctl show "$1" --json=short)"
}

# vm_state_is ID STATE: that reservation is in that state; "": cdmd has it no more
vm_state_is() {
        local json
        if [ -n "$2" ]; then
                [ "$(vm_show "$1" state)" = "$2" ]
        else
                json=$(cdmctl list --json=short) && [[ $json != *"\"id\":$1,"* ]]
        fi
}

# vm_status KEY: a value of cdmd's state
vm_status() {
        vm_value "$1" "$(cdmctl status --json=short)"
}

# vm_fence_is STATE
vm_fence_is() {
        [ "$(vm_status fence)" = "$1" ]
}

# vm_start FILE COMMAND...: in the background, with its output (both streams) in FILE; returns when it has said
# "ready" there. Its process is $started.
vm_start() {
        local file=$1
        shift
        # What another one has left there is gone before anybody looks: the shell opens FILE in the child.
        : >"$file"
        "$@" >"$file" 2>&1 &
        # shellcheck disable=SC2034 # for the caller
        started=$!
        wait_for 60 grep -q ready "$file" || { cat "$file"; return 1; }
}

# vm_as USER COMMANDS: shell commands in a login session of USER, as after ssh: in a session-N.scope
vm_as() {
        runuser --login "$1" --command "$2"
}

# vm_eat UNIT NODE SIZE [OPTION...]: starts service UNIT, which fills and keeps SIZE (as 512M) of anonymous memory in small
# pages, on NODE if it may have that, else where it may; returns when it has it. OPTIONS are for systemd-run.
# `systemctl stop UNIT` ends it.
vm_eat() {
        local unit=${1%.service} node=$2 size=$3
        shift 3
        systemd-run --quiet --collect --unit="$unit" --property=Type=notify "$@" /usr/lib/cdmd-tests/vm-hog --prefer \
                --node "$node" --mb $(($(numfmt --from=iec "$size") >> 20)) --small
}

# vm_unit_has UNIT BYTES: whether that much memory is charged to it
vm_unit_has() {
        [ "$(systemctl show --property=MemoryCurrent --value "$1")" -ge "$2" ]
}

# vm_cgroup UNIT: its path below /sys/fs/cgroup
vm_cgroup() {
        systemctl show --property=ControlGroup --value "$1"
}

# vm_node_used NODE: bytes
vm_node_used() {
        awk '$3 == "MemUsed:" { print $4 * 1024 }' "/sys/devices/system/node/node$1/meminfo"
}

# vm_node_bytes CGROUP NODE [KIND]: bytes of that kind (anon, file; default both) that memory.numa_stat of
# CGROUP (a path below /sys/fs/cgroup) counts on NODE
vm_node_bytes() {
        awk -v "node=N$2=" -v "kind=${3:-anon|file}" '$1 ~ "^(" kind ")$" {
                for (i = 2; i <= NF; i++) if (index($i, node) == 1) sum += substr($i, length(node) + 1)
        } END { print sum + 0 }' "/sys/fs/cgroup/$1/memory.numa_stat"
}

finish() {
        echo "done"
        [ "$vm_failed" -eq 0 ]
        exit
}
