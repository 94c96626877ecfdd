#!/bin/bash
# A user's own containers: the hook reserves nothing for them and says what to do instead; which works.
# site: podman
# seconds: 200
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
# shellcheck source=tests/vm/guest/podman.sh
. /usr/lib/cdmd-vm/podman.sh
podman_image
site_up
site_rule 25-podman 'Pool=hbm' 'Container=podman:*' -- 'Limit=128M'
site_rule 26-any 'Pool=hbm' 'Slice=user.slice' -- 'Limit=128M'
echo 'CdiSizes=64M' >>/etc/cdm/pools.d/hbm.conf
check "rules for containers and users are taken" cdmctl reload
check "cdi writes a device" cdmctl cdi

loginctl enable-linger alice
check "the service manager of alice runs" wait_for 60 test -S "/run/user/$(id -u alice)/bus"
podman save --quiet --output /tmp/hog.tar localhost/hog
chmod 644 /tmp/hog.tar
cat >/tmp/as-alice <<'EOF'
cd
export XDG_RUNTIME_DIR=/run/user/$(id -u) DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/$(id -u)/bus
EOF
as_alice() {
        vm_as alice ". /tmp/as-alice; $1"
}
check "alice has the image" as_alice 'podman load --quiet --input /tmp/hog.tar'
look='localhost/hog grep Mems_allowed_list /proc/self/status'

check "her container starts" as_alice "podman run --rm --network=none $look"
like "with ordinary nodes" "$output" 'Mems_allowed_list:[[:space:]]0-1$'
check_status 126 "with annotations it does not" as_alice \
        "podman run --rm --network=none --annotation org.cdmd1.pool=hbm --annotation org.cdmd1.size=64M $look"
check_status 126 "nor with a device, by runc" as_alice \
        "podman --runtime=runc run --rm --network=none --device cdmd.org/hbm=64M $look"
echo "$output"
is "nothing is reserved" "$(site_list length)" 0
journalctl --sync
command=$(journalctl --identifier=cdmd-oci-hook --output=cat --no-pager | sed -n 's/^\(cdmctl run .*\) \.\.\.$/\1/p' | sort -u)
is "the hook says what to do" "$command" "cdmctl run hbm 64M -- env DBUS_SESSION_BUS_ADDRESS=none podman --cgroup-manager=cgroupfs run --cgroups=disabled"
check "and that works" as_alice "$command --rm --network=none $look"
like "it has the node" "$output" 'Mems_allowed_list:.*[23]$'
check "which ends with it" wait_for 60 site_gone

# Root may not ask for what is alice's, however the hook is called.
sleep 1000 &
pid=$!
mkdir -p /sys/fs/cgroup/of-alice
chown alice /sys/fs/cgroup/of-alice
echo $pid >/sys/fs/cgroup/of-alice/cgroup.procs
check_status 3 "a control group that alice owns gets nothing" sh -c \
        "echo '{\"pid\":$pid}' | /usr/libexec/cdmd-oci-hook --pool=hbm --size=64M"
like "which is told" "$output" 'cdmctl run hbm 64M -- env '
is "nothing is reserved" "$(site_list length)" 0
kill $pid
wait $pid
wait_for 10 rmdir /sys/fs/cgroup/of-alice

loginctl disable-linger alice
podman rm --all --force --time 0 >/dev/null
site_down
finish
