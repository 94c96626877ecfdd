#!/bin/bash
# The demo runs to its end, and the scenes of it that README shows print what README says.
# suites: bookworm
# own-boot
# seconds: 40
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# The demo has no exit status of its own: each of its commands shows that.
bash /usr/lib/cdmd-tests/demo.sh >/tmp/demo 2>&1
like "it tells its story to the end" "$(tail -n 1 /tmp/demo)" 'PID 1 was pinged all the while: [1-9][0-9]* answers'
is "no command is missing, nor used wrongly" "$(grep -nE "command not found|^Try '|No such file" /tmp/demo)" ""
is "a strange program is kept out" "$(grep -c 'mbind: Invalid argument' /tmp/demo)" 1
check "README shows what it prints" env srcdir=/usr/lib/cdmd-tests python3 /usr/lib/cdmd-tests/check-readme --demo /tmp/demo
sed 's/^/# | /' /tmp/demo
finish
