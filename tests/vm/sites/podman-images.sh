#!/bin/bash
# What an image says of itself changes nothing: neither its labels nor its annotations.
# site: podman
# seconds: 150
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
# shellcheck source=tests/vm/guest/podman.sh
. /usr/lib/cdmd-vm/podman.sh
podman_image
site_up
site_rule 25-podman 'Pool=hbm' 'Container=podman:*' -- 'Limit=128M'
echo 'CdiSizes=32M' >>/etc/cdm/pools.d/hbm.conf
check "a rule for containers is taken" cdmctl reload
check "cdi writes a device" cdmctl cdi

mkdir /tmp/greedy
printf 'FROM localhost/hog\nLABEL org.cdmd1.pool=hbm org.cdmd1.size=32M\n' >/tmp/greedy/Containerfile
check "an image asks by annotations and labels" podman build --quiet --isolation=chroot --tag localhost/greedy \
        --annotation org.cdmd1.pool=hbm --annotation org.cdmd1.size=64M --annotation org.cdmd1.nonsense=1 /tmp/greedy
is "it has them" "$(podman image inspect localhost/greedy | jq --raw-output '.[0].Annotations["org.cdmd1.size"]')" 64M
run_greedy() {
        podman run --rm --network=none "$@" localhost/greedy grep Mems_allowed_list /proc/self/status
}
copied() {
        podman create --quiet --network=none --name look localhost/greedy true >/dev/null
        podman inspect look | jq --raw-output '.[0].Config.Annotations["org.cdmd1.size"]'
        podman rm look >/dev/null
}
echo "# podman $(podman --version) gives the container the annotation: $(copied)"
for runtime in crun runc; do
        check "$runtime starts it" run_greedy --runtime=$runtime
        like "with ordinary nodes" "$output" 'Mems_allowed_list:[[:space:]]0-1$'
        is "and nothing is reserved" "$(site_list length)" 0
done
check_status 126 "who starts it cannot ask with half of the image's words" run_greedy --annotation org.cdmd1.pool=hbm \
        --annotation org.cdmd1.size=32M
journalctl --sync
like "which is told" "$(journalctl --identifier=cdmd-oci-hook --output=cat --no-pager --lines=2)" \
        'annotations of the image itself are ignored.*org.cdmd1.pool is missing'
check "but with a device" run_greedy --device cdmd.org/hbm=32M
like "which has its node" "$output" 'Mems_allowed_list:.*[23]$'
podman rm --all --force --time 0 >/dev/null
site_down
finish
