#!/bin/bash
# What cdmd does, compared with what it cannot avoid or what people would use instead.
# topology: large
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
mkdir -p /etc/cdm
printf '[Fence]\nExempt=bare.service\n' >/etc/cdm/cdmd.conf
site_up
site_rule 30-train 'Pool=hbm' 'Unit=train-*.service' -- 'Limit=2G'
site_rule 35-db 'Pool=hbm' 'Unit=db.service' -- 'Limit=1G'
site_rule 36-run 'Pool=hbm' 'User=root' -- 'Limit=1G'
check "rules for it" cdmctl reload
systemd-run --quiet --unit=db sleep infinity
systemd-run --quiet --unit=bare sleep infinity
n=${1:-40} releases=${2:-10}

vm-grant db.service bare.service "$n"

vm-compare 'cold start of `cdmctl list`|`busctl call` of `ListReservations`|<=1.2|ms' "$n" \
        cdmctl list --json=short -- \
        busctl --json=short call org.cdmd1 /org/cdmd1 org.cdmd1.Manager ListReservations 'uua{sv}' 0 1000 0 >/tmp/rows
grep '^row|' /tmp/rows
VM_AFTER='cdmctl release $(cdmctl list --json=short | jq ".[].id")' \
vm-compare 'cold start of `cdmctl request`|`busctl call` of `Request`|<=1.2|ms' "$n" \
        cdmctl request hbm 16M --unit db.service -- \
        busctl call org.cdmd1 /org/cdmd1 org.cdmd1.Manager Request 'sta{sv}' hbm 16777216 1 unit s db.service >/tmp/rows
grep '^row|' /tmp/rows

# What one grant costs: messages and when they were sent, without anything else that slows it down; then system calls.
one_grant() {
        busctl call org.cdmd1 /org/cdmd1 org.cdmd1.Manager Request 'sta{sv}' hbm 16777216 1 unit s db.service >/tmp/granted
        sleep 2
}
# Otherwise it writes when it has 4 KiB.
stdbuf --output=L busctl monitor --json=short >/tmp/messages 2>&1 &
monitor=$!
sleep 3
one_grant
kill "$monitor"
wait "$monitor"
cdmctl release "$(cdmctl list --json=short | jq '.[].id')"
pid=$(site_pid cdmd.service)
strace --quiet=all --follow-forks --attach="$pid" --output=/tmp/strace 2>/dev/null &
tracer=$!
check "strace is attached" wait_for 30 grep -q '^TracerPid:[[:space:]]*[1-9]' "/proc/$pid/status"
sleep 2
calls=$(wc -l </tmp/strace)
one_grant
tail -n "+$((calls + 1))" /tmp/strace >/tmp/strace.grant
kill "$tracer"
wait "$tracer"
cdmctl release "$(cdmctl list --json=short | jq '.[].id')"
echo 'text|One grant, from the call to its answer: milliseconds, and messages'
grep '^{' /tmp/messages | jq --raw-output '[.["timestamp-realtime"], .type, .sender // "-", .destination // "-", .cookie, .reply_cookie // 0,
                .member // .error_name // "(answer)"] | map(tostring) | join(" ")' |
        awk '$7 == "Request" { begin = $1; from = $3; cookie = $5 }
                begin { printf "text|%7.1f %s %s\n", ($1 - begin) / 1000, $2, $7 }
                begin && $4 == from && $6 == cookie { exit }'
echo 'text|'
echo 'text|The same, in system calls of cdmd'
sed -E 's/^[0-9]+ +//' /tmp/strace.grant | grep -oE '^[a-z0-9_]+\(' | tr -d '(' | sort | uniq -c | sort -rn |
        awk '{ printf "%s%s %s", sep, $1, $2; sep = ", "; sum += $1 } END { printf "; %d in all\n", sum }' | fold -s -w 110 |
        sed 's/^/text|/'

for mib in 64 256 1024; do
        check "a service fills $mib MiB" vm_eat "train-$mib" 0 "${mib}M"
        vm-release release "train-$mib.service" "$(site_pid "train-$mib.service")" "$mib" "$releases"
        systemctl stop "train-$mib"
        check "nothing is left of it" wait_for 20 site_gone
done
systemctl stop db bare
site_down
finish
