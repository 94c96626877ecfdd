#!/bin/bash
# A grant, compared with the one call to systemd that it cannot avoid: `tests/vm/vm run tests/bench/grant.sh`.
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
mkdir -p /etc/cdm
printf '[Fence]\nExempt=bare.service\n' >/etc/cdm/cdmd.conf
site_up
site_rule 35-train 'Pool=hbm' 'Unit=db.service' -- 'Limit=1G'
check "a rule for it" cdmctl reload
systemd-run --quiet --unit=db sleep infinity
systemd-run --quiet --unit=bare sleep infinity
check "figures" vm-grant db.service bare.service 7 "${1:-40}"
echo "$output"
finish
