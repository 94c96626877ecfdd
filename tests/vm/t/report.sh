#!/bin/bash
# cdmctl report of a machine at work: its journal, its configuration, what the commands print; unpacked, a machine for
# --root; and with --anonymous nobody is named in it.
# suites: bookworm
# seconds: 30
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
site_up
work=$(mktemp -d)
cd "$work" || exit 1

# report ARGUMENT...: made and unpacked in cdm-report; prints the name of its file
report() {
        rm -rf cdm-report
        file=$(cdmctl report "$@") && tar -xzf "$file" && echo "$file"
}

# same WORDS...: the verb says of the report what it says of the machine
same() {
        is "$* of the report is that of the machine" "$(cdmctl "$@" --offline --root=cdm-report 2>&1)" \
                "$(cdmctl "$@" --offline 2>&1)"
}

printf '# of alice, whose things are in /home/alice/train on %s\n' "$(uname -n)" >>/etc/cdm/policy.d/20-alice.conf
check "the configuration is read again" cdmctl reload
check "a user reserves for a command" vm_as alice 'cdmctl run hbm 64M -- true'
check_status 125 "another one is refused" vm_as bob 'cdmctl run hbm 64M -- true'
check "a service fills memory" vm_eat train-report 0 64M
check "it is granted" cdmctl request hbm 128M --unit train-report.service --migrate

check "a report is made" report
file=$output
like "with the time in its name" "$file" '^cdm-report-20[0-9]{6}-[0-9]{6}[.]tar[.]gz$'
is "for nobody else to read" "$(stat -c %a "$file")" 600
same nodes -o node,pool,size,state,device,tier,evidence
same pools -o name,nodes,size
same explain hbm 256M --unit train-x.service --user root
same explain hbm 600M --unit session-1.scope --user alice
for name in status nodes pools list who; do
        check "report/$name.json is JSON" jq --exit-status . cdm-report/report/$name.json
done
is "with the reservation" "$(jq --raw-output '.[0].unit' cdm-report/report/list.json)" train-report.service
like "the journal has what alice was granted" "$(cat cdm-report/report/journal)" 'alice'
like "and what bob was refused" "$(cat cdm-report/report/journal)" '10-bob[.]conf'
is "as root only what this machine does not have is missing" "$(grep -v 'No such file' cdm-report/report/missing)" ""

check "a report is made that names nobody" report --anonymous anonymous.tar.gz
is "neither users" "$(grep -rwE 'alice|bob' cdm-report)$(find cdm-report -name '*alice*' -o -name '*bob*')" ""
is "nor the host" "$(grep -rwF "$(uname -n)" cdm-report)" ""
alice=$(sed -n 's/^User=//p' cdm-report/etc/cdm/policy.d/20-user*.conf)
like "alice has another name" "$alice" '^user[0-9]+$'
like "the journal uses it" "$(cat cdm-report/report/journal)" "\\b$alice\\b"
is "and so does the comment" "$(tail -n 1 "cdm-report/etc/cdm/policy.d/20-$alice.conf")" \
        "# of $alice, whose things are in /home/$alice/train on host"
same nodes -o node,pool,size,state,device,tier,evidence
is "a decision about alice is the same" \
        "$(cdmctl explain hbm 600M --offline --root=cdm-report --unit session-1.scope --user "$alice" 2>&1)" \
        "$(cdmctl explain hbm 600M --offline --unit session-1.scope --user alice 2>&1 | sed "s/alice/$alice/g")"

check "a user can make a report as well" vm_as alice 'cdmctl report --anonymous /tmp/alice.tar.gz'
is "which lacks what the user may not read" \
        "$(tar -xzOf /tmp/alice.tar.gz cdm-report/report/missing | grep -c 'Permission denied')" \
        "$(tar -xzOf /tmp/alice.tar.gz cdm-report/report/missing | grep -vc 'No such file')"

cd /
rm -rf "$work" /tmp/alice.tar.gz
systemctl stop train-report
check "nothing is left" wait_for 30 site_gone
site_down
finish
