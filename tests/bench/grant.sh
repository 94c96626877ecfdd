#!/bin/bash
# What cdmd does, compared with what it cannot avoid or what people would use instead: `tests/vm/vm run tests/bench/grant.sh`.
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
mkdir -p /etc/cdm
printf '[Fence]\nExempt=bare.service\n' >/etc/cdm/cdmd.conf
site_up
site_rule 35-train 'Pool=hbm' 'Unit=db.service' -- 'Limit=1G'
site_rule 36-run 'Pool=hbm' 'User=root' -- 'Limit=1G'
check "rules for it" cdmctl reload
systemd-run --quiet --unit=db sleep infinity
systemd-run --quiet --unit=bare sleep infinity
n=${1:-40}
printf '%-28s %5s %8s %8s %8s %8s %6s %6s %6s\n' milliseconds count median p95 other p95 ratio 25% 75%
vm-grant db.service bare.service 7 "$n"
vm-compare 'cdmctl run -- true' "$n" cdmctl run hbm 16M -- true -- bash -c 'systemd-run --quiet --scope --unit=bare-$$ \
        bash -c "systemctl set-property --runtime bare-$$.scope AllowedMemoryNodes=0-1 && exec true"'
vm-compare 'cdmctl list' "$n" cdmctl list -- busctl --json=short call org.cdmd1 /org/cdmd1 org.cdmd1.Manager \
        ListReservations 'uua{sv}' 0 1000 0
vm-compare 'cdmctl explain' "$n" cdmctl explain hbm 16M --unit db.service -- busctl call org.cdmd1 /org/cdmd1 \
        org.freedesktop.DBus.Peer Ping
ok "compared"
finish
