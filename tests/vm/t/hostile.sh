#!/bin/bash
# polkit hangs, and users send more calls than the bus allows a connection matches: cdmd lives and serves others.
# suites: bookworm
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
site_up
site_rule 50-victim 'Pool=hbm' 'Unit=victim.service' -- 'Limit=1M'
check "the configuration is read" cdmctl reload
systemd-run --quiet --collect --unit=victim sleep infinity
systemd-run --quiet --collect --unit=train-a sleep infinity
before=$(site_pid cdmd.service)
systemctl start polkit
polkit=$(site_pid polkit.service)
kill -STOP "$polkit"

# alive: it is still the same cdmd
alive() {
        [ "$(site_pid cdmd.service)" = "$before" ]
}

# serves WHAT: others are served meanwhile
serves() {
        check "cdmd lives: $1" alive
        check "root reserves meanwhile: $1" timeout 120 cdmctl request hbm 16M --unit train-a.service
        check "and releases: $1" timeout 120 cdmctl release "$output"
        check "another user looks at it: $1" timeout 120 runuser --login bob --command 'cdmctl status'
}

# done_with FILE: all calls have been answered
done_with() {
        grep -qE '^[0-9]+ [0-9]+ ' "$1"
}

check "alice asks 720 times for a unit that is not hers" vm_start /tmp/requests runuser -u alice -- /usr/lib/cdmd-tests/vm-hostile request victim.service 6
serves "720 requests"
for user in alice bob; do
        check "$user asks for 300 reloads and more" vm_start "/tmp/reloads-$user" runuser -u "$user" -- /usr/lib/cdmd-tests/vm-hostile reload 3
done
serves "720 requests and 720 reloads"
check "all requests are answered" wait_for 300 done_with /tmp/requests
for user in alice bob; do
        check "all reloads of $user are answered" wait_for 300 done_with "/tmp/reloads-$user"
done
like "nobody got anything" "$(tail -n 1 /tmp/requests)" '^0 720 '
like "and the answer says where to look" "$(tail -n 1 /tmp/requests)" 'org.cdmd1.Error.Denied: .*polkit'
check "cdmd lives, after all" alive
kill -CONT "$polkit"
check_status 3 "polkit answers again: alice is denied" vm_as alice 'cdmctl request hbm 1M --unit victim.service'
like "by polkit" "$output" 'request-for-others'
check "cdmd was never restarted" alive
is "no connection was lost" "$(journalctl --unit cdmd --no-pager --grep 'disconnect|LimitsExceeded' --quiet | wc -l)" 0
rm -f /tmp/requests /tmp/reloads-*
systemctl stop victim train-a
site_down
finish
