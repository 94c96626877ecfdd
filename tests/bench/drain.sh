#!/bin/bash
# What a drain does to those who are drained, and how fast it is.
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
n=${1:-10}
mkdir -p /etc/cdm
printf '[Fence]\nExempt=bare.service\n' >/etc/cdm/cdmd.conf
site_up
systemd-run --quiet --unit=train-touch --property=Type=notify /usr/lib/cdmd-tests/vm-touch 768 /dev/shm/touch
vm-drain pause train-touch.service "$(site_pid train-touch.service)" 768 /dev/shm/touch "$n"
systemctl stop train-touch
check "nothing is left of it" wait_for 20 site_gone

# many UNIT NAME OPTION...: eight processes of 96 MiB; OPTIONS are for vm-hog
many() {
        local unit=$1 name=$2
        shift 2
        systemd-run --quiet --unit="$unit" sh -c 'for i in 1 2 3 4 5 6 7 8; do /usr/lib/cdmd-tests/vm-hog --prefer --node 0 --mb 96 "$@" & done
                wait' sh "$@"
        check "eight processes have 768 MiB" wait_for 60 vm_unit_has "$unit.service" $((768 << 20))
        systemd-run --quiet --unit=bare --collect --pipe --wait /usr/lib/cdmd-tests/vm-drain many "$unit.service" 768 "$name" "$n"
        systemctl stop "$unit"
        check "nothing is left of it" wait_for 20 site_gone
}
many train-many '8 processes of 96 MiB' --small
many train-huge '8 processes of 96 MiB in huge pages'

site_down
finish
