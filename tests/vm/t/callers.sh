#!/bin/bash
# Who asks from where: root and users in sessions, below user@.service and in system services, with a real PID 1, logind
# and polkit. The table of cdmctl(1) has all cases.
# seconds: 40
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
site_write
site_rule 05-callers 'Pool=hbm' 'User=root alice bob' -- 'Limit=64M'
systemctl enable --quiet cdmd
check "cdmd starts" systemctl start cdmd
uid=$(id -u alice)
manager=/user.slice/user-$uid.slice/user@$uid.service
run='cdmctl run hbm 32M -- cat /proc/self/cgroup'

# in_cgroup PATH COMMAND...: as what sudo starts there
in_cgroup() {
        # shellcheck disable=SC2016 # expands in there
        bash -c 'echo $$ >"/sys/fs/cgroup$1/cgroup.procs" && shift && exec "$@"' - "$@"
}

# as_user USER COMMAND...: without PAM, so without a session
as_user() {
        setpriv --reuid="$1" --regid="$1" --init-groups "${@:2}"
}

# in_service OPTION... COMMAND: a system service, whose output is shown
in_service() {
        systemd-run --quiet --wait --pipe --collect "$@"
}

# with_manager COMMAND...: alice at her service manager, as from a job without a session
with_manager() {
        as_user alice env XDG_RUNTIME_DIR="/run/user/$uid" "$@"
}

# --- below user@UID.service
# Without that her service manager would end some seconds after her last session.
check "alice has a service manager" loginctl enable-linger alice
check "which runs" wait_for 120 systemctl --quiet is-active "user@$uid.service"
check "and runs a terminal" with_manager systemd-run --user --quiet --unit=terminal sleep infinity
terminal=$(with_manager systemctl --user show --property=ControlGroup --value terminal.service)
like "below user@$uid.service" "$terminal" "^$manager/"
# shellcheck disable=SC2086 # a command with its arguments
check "root there runs a command" in_cgroup "$terminal" $run
like "in a scope of system.slice" "$output" '/system.slice/cdm-[0-9]+.scope$'
check "which is given back" wait_for 60 site_gone
check_status 3 "a request of root there is refused" in_cgroup "$terminal" cdmctl request hbm 32M
like "with the advice to use run" "$output" 'use .cdmctl run., which starts a scope'
# shellcheck disable=SC2086
check "alice there runs a command" in_cgroup "$terminal" setpriv --reuid=alice --regid=alice --init-groups $run
like "in a scope of her slice" "$output" "/user.slice/user-$uid.slice/cdm-[0-9]+.scope$"
# shellcheck disable=SC2086
check_status 125 "bob there is refused" in_cgroup "$terminal" setpriv --reuid=bob --regid=bob --init-groups $run
like "and told where to ask" "$output" "belongs to another user; use .cdmctl run. in a session of your own"

# --- a login session
runuser --login alice --command 'exec sleep infinity' &
login=$!
wait_for 120 pgrep --exact --uid alice --parent "$login" sleep
session=$(cut -d: -f3 "/proc/$(pgrep --exact --uid alice --parent "$login" sleep)/cgroup")
like "alice has a session" "$session" "^/user.slice/user-$uid.slice/session-[0-9c]+.scope$"
# shellcheck disable=SC2086
check "root in it runs a command" in_cgroup "$session" $run
like "in a scope of system.slice" "$output" '/system.slice/cdm-[0-9]+.scope$'
check "root in it reserves for it" in_cgroup "$session" cdmctl request hbm 32M
is "as a whole" "$(site_list '.[].cgroup')" "$session"
check "and gives it back" cdmctl release "$output"
# shellcheck disable=SC2086
check_status 125 "bob in it is refused" in_cgroup "$session" setpriv --reuid=bob --regid=bob --init-groups $run
like "by polkit" "$output" 'org.cdmd1.request-for-others'
like "and told where to ask" "$output" "${session##*/}, which is not its own unit; use .cdmctl run. in a session of your own"
kill "$(pgrep --exact --uid alice --parent "$login" sleep)"
wait "$login"

# --- what machinectl shell starts: a service with PAM, which opens a session
# shellcheck disable=SC2086
check "with PAM a service has a session" in_service --uid=alice --property=PAMName=login $run
like "from which run makes a scope of her slice" "$output" "/user.slice/user-$uid.slice/cdm-[0-9]+.scope"

# --- system services
# shellcheck disable=SC2086
check "a service with User= is her own" in_service --unit=callers-own --uid=alice $run
like "and gets the memory itself" "$output" '/system.slice/callers-own.service$'
# shellcheck disable=SC2086
check_status 125 "a job of hers in another service, as of cron, is refused" \
        in_service --unit=callers-cron setpriv --reuid=alice --regid=alice --init-groups $run
like "by polkit" "$output" 'org.cdmd1.request-for-others'
like "and told where to ask" "$output" \
        'callers-cron.service, which is not its own unit; use .cdmctl run. in a session of your own or below your own service manager'
rm -f /tmp/callers.out
check "her service manager does it from there" \
        in_service --unit=callers-cron setpriv --reuid=alice --regid=alice --init-groups \
        env XDG_RUNTIME_DIR="/run/user/$uid" systemd-run --user --quiet --unit=job --property=Type=exec \
        --property=StandardOutput=file:/tmp/callers.out cdmctl run hbm 32M -- cat /proc/self/cgroup
check "to its end" wait_for 120 grep -q . /tmp/callers.out
like "in a scope of her slice" "$(cat /tmp/callers.out)" "/user.slice/user-$uid.slice/cdm-[0-9]+.scope$"
# shellcheck disable=SC2086
check "root in such a service runs a command" in_service --unit=callers-cron $run
like "in a scope of system.slice" "$output" '/system.slice/cdm-[0-9]+.scope$'

check "all is given back" wait_for 60 site_gone
is "no other cgroup is open" "$(site_leaks)" ""
with_manager systemctl --user stop terminal.service
loginctl disable-linger alice
systemctl stop "user@$uid.service"
rm -f /tmp/callers.out
site_down
finish
