#!/bin/bash
# Ordinary users: what they run in login sessions and below user@.service is fenced, and `cdmctl run` works from both.
# suites: trixie
# dbus-broker
# seconds: 30
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
site_up
if [ -L /etc/systemd/system/dbus.service ]; then
        check "the bus of the system is dbus-broker" systemctl --quiet is-active dbus-broker
else
        skip "the bus of the system is dbus-broker" "only where this machine was booted for that, as check does"
fi
uid=$(id -u alice)
# login(1) ends after a minute by default, within which it may not get to a shell here.
cp -p /etc/login.defs /tmp/login.defs
sed -i '/^LOGIN_TIMEOUT/d; $aLOGIN_TIMEOUT 900' /etc/login.defs

# logged_in: she has a session on a terminal
logged_in() {
        loginctl list-sessions --no-legend | grep -q 'alice.* pts/'
}

# log_in SCRIPT: alice logs in on a terminal (login(1) with PAM and logind, as on a console) and runs SCRIPT there.
# What is typed before login has opened the terminal anew would be lost.
log_in() {
        local status=0 pid
        rm -f /tmp/typed /tmp/typescript
        mkfifo /tmp/typed
        timeout 900 script --quiet --return --flush --command 'exec login -f alice' /tmp/typescript </tmp/typed >/dev/null 2>&1 &
        pid=$!
        exec 7>/tmp/typed
        wait_for 300 logged_in || status=1
        wait_for 300 grep -aq '[$] ' /tmp/typescript || status=1
        echo "bash $1; exit" >&7
        wait "$pid" || status=$?
        exec 7>&-
        return "$status"
}

cat >/tmp/alice.sh <<'END'
exec >>/tmp/alice.out 2>&1 </dev/null
say() { echo "$1: $2"; }
say session "$(cat /proc/self/cgroup)"
say mems "$(grep Mems_allowed_list /proc/self/status)"
say bind "$(/usr/lib/cdmd-tests/vm-hog --bind --node 2 --mb 1 2>&1)"
say run-cgroup "$(cdmctl run hbm 64M -- cat /proc/self/cgroup 2>&1)"
say run-mems "$(cdmctl run hbm 64M -- grep Mems_allowed_list /proc/self/status 2>&1)"
say request "$(cdmctl request hbm 64M 2>&1)"
# her own service manager, which needs no bus of the session for that
mkdir -p ~/.config/systemd/user
printf '[Service]\nType=oneshot\nAllowedMemoryNodes=0-3\nExecStart=/bin/bash /tmp/alice-user.sh\n' >~/.config/systemd/user/probe.service
systemctl --user daemon-reload
systemctl --user start probe
rm ~/.config/systemd/user/probe.service
for cgroup in "$(cut -d: -f3 /proc/self/cgroup)" "/user.slice/user-$UID.slice/user@$UID.service"; do
        (echo 0-3 >"/sys/fs/cgroup$cgroup/cpuset.mems") 2>/dev/null && say write accepted || say write refused
done
for id in $(cdmctl list --json=short | jq '.[].id'); do cdmctl release "$id"; done
END
cat >/tmp/alice-user.sh <<'END'
exec >>/tmp/alice.out 2>&1
say() { echo "$1: $2"; }
say user-cgroup "$(cat /proc/self/cgroup)"
say user-mems "$(grep Mems_allowed_list /proc/self/status)"
say user-run-cgroup "$(cdmctl run hbm 64M -- cat /proc/self/cgroup 2>&1)"
say user-run-mems "$(cdmctl run hbm 64M -- grep Mems_allowed_list /proc/self/status 2>&1)"
say user-request "$(cdmctl request hbm 64M 2>&1)"
END
chmod 644 /tmp/alice.sh /tmp/alice-user.sh

# said WHAT: what that line of hers says
said() {
        sed -n "s/^$1: //p" /tmp/alice.out
}

check "alice logs in on a terminal" log_in /tmp/alice.sh
like "her shell is in a session's scope" "$(said session)" "/user.slice/user-$uid.slice/session-[0-9c]+.scope"
like "which is fenced" "$(said mems)" '[[:space:]]0-1$'
like "the kernel refuses her a CDM node" "$(said bind)" "Invalid argument"
like "cdmctl run works there" "$(said run-cgroup)" "/user.slice/user-$uid.slice/cdm-[0-9]+.scope"
like "and gives her a node" "$(said run-mems)" '[[:space:]](0-2|0-1,3|0-3)$'
like "so does a request for her session" "$(said request)" '^[0-9]+$'
like "her own services are below user@$uid.service" "$(said user-cgroup)" "/user@$uid.service/"
like "which is fenced, whatever they ask for" "$(said user-mems)" '[[:space:]]0-1$'
like "cdmctl run works there" "$(said user-run-cgroup)" "/user.slice/user-$uid.slice/cdm-[0-9]+.scope"
like "and gives her a node" "$(said user-run-mems)" '[[:space:]](0-2|0-1,3|0-3)$'
like "a request from there says how to" "$(said user-request)" "cdmctl run"
is "she cannot write to her cgroups" "$(said write)" $'refused\nrefused'
is "no other cgroup is open" "$(site_leaks)" ""
check "all is given back" wait_for 60 site_gone
[ "$vm_failed" -eq 0 ] || { sed 's/^/# /' /tmp/alice.out; tail -n 20 /tmp/typescript | sed 's/^/# /'; }
rm -f /tmp/alice* /tmp/typed /tmp/typescript
cp -p /tmp/login.defs /etc/login.defs
site_down
finish
