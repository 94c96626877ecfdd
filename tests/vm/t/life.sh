#!/bin/bash
# A reservation lives and dies with its unit, and leaves nothing behind that would start it granted.
# suites: bookworm
# seconds: 30
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
site_up

printf '[Service]\nExecStart=sleep infinity\nRestart=on-failure\nRestartSec=1\n' >/run/systemd/system/train-life.service
systemctl daemon-reload
systemctl start train-life
check "a service is granted" cdmctl request hbm 64M --unit train-life.service --nodes 3
id=$output
like "node 3 is open to it" "$(site_mems train-life.service)" 3
systemctl daemon-reload
like "also after daemon-reload" "$(site_mems train-life.service)" 3
systemctl daemon-reexec
like "and daemon-reexec" "$(site_mems train-life.service)" 3
is "nobody else gained anything by that" "$(site_leaks | grep -v train-life)" ""

# open_again: the unit runs with its nodes after a restart
open_again() {
        [ "$(systemctl is-active train-life)" = active ] && [[ $(site_mems train-life.service) == *3* ]]
}
systemctl restart train-life
check "a restart keeps the reservation" wait_for 10 site_has_one
check "and its nodes" wait_for 10 open_again
kill -SEGV "$(site_pid train-life.service)"
check "a crash with an automatic restart does too" wait_for 20 open_again
check "with the reservation" wait_for 10 site_has_one

check "what has restarted can be released" cdmctl release "$id"
is "and is fenced" "$(site_mems train-life.service)" 0-1

check "granted again" cdmctl request hbm 64M --unit train-life.service --nodes 3
systemctl stop train-life
check "a stop ends it" wait_for 20 site_gone
systemctl start train-life
is "the next start is fenced" "$(site_mems train-life.service)" 0-1
is "no property is left" "$(find /run/systemd/system.control -name '*AllowedMemoryNodes*' -exec grep -l '[23]$' {} +)" ""

# The page cache of a unit that ended stays charged to its slice.
check "granted again" cdmctl request hbm 64M --unit train-life.service --nodes 3
systemctl kill --signal=KILL train-life
systemctl stop train-life
check "killed and stopped: the reservation ends" wait_for 20 site_gone
rm /run/systemd/system/train-life.service
systemctl daemon-reload
site_down
finish
