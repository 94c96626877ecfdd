#!/bin/bash
# containerd and its Container Runtime Interface, as a kubelet uses it: pods that ask by annotations (NRI) or by a device (CDI).
# suites: trixie
# site: containerd
# seconds: 240
# last
# shellcheck source=tests/vm/lib.sh
. /usr/lib/cdmd-vm/lib.sh
# shellcheck source=tests/vm/guest/site.sh
. /usr/lib/cdmd-vm/site.sh
# shellcheck source=tests/vm/guest/machines.sh
. /usr/lib/cdmd-vm/machines.sh
# shellcheck source=tests/vm/guest/containerd.sh
. /usr/lib/cdmd-vm/containerd.sh

# one_of POD QUERY: of the only reservation of its container
one_of() {
        site_list ".[] | select(.cgroup == \"$(cri_cgroup "$1")\") | $2"
}

check "cdmd-nri passes its own tests" /usr/lib/cdmd-tests/cdmd-nri-test
site_write
printf '[Pool]\nNodes=2\nDescription=HBM\n' >/etc/cdm/pools.d/hbm.conf
printf '[Pool]\nNodes=3\nDescription=CXL\nCdiSizes=64M\n' >/etc/cdm/pools.d/cxl.conf
site_rule 50-ml Pool=hbm Label=k8s.namespace=ml -- Limit=256M
site_rule 60-devices Pool=cxl 'Container=containerd:*' -- Limit=128M
systemctl enable --quiet cdmd
check "cdmd starts" systemctl start cdmd
check "the devices are written" cdmctl cdi
check "containerd runs" containerd_up
check "it knows the plugin" systemctl start cdmd-nri
ask=(org.cdmd1.pool=hbm org.cdmd1.size=128M)

# What is asked for by annotations.
check "a pod that asks is made" cri_pod ml train "${ask[@]}"
is "its own process has nothing" "$(site_list length)" 0
check "its container starts" cri_run train /bin/born 2
[ -s /tmp/container.train ] || finish
is "it was born with its node" "$(cri_file train born)" Mems_allowed_list:0-2
check "it has memory there" wait_for 60 cri_hogs train
is "the reservation is the container's" "$(one_of train '"\(.state) \(.size) \(.pool) \(.uid)"')" "active $((128 << 20)) hbm 0"
is "it has the pod's labels" "$(one_of train '.labels | to_entries | map("\(.key)=\(.value)") | join(" ")')" \
        'k8s.container=worker k8s.namespace=ml k8s.pod=train'

# A kubelet with a static memory manager writes the nodes that it chose, again and again.
repaired=$(vm_status drift_repaired)
has=$(vm_node_bytes "$(cri_cgroup train)" 2 anon)
for n in $(seq 10); do
        check "a kubelet writes its nodes, $n" cri_update train 0
done
is "what it chose and what cdmd granted are both kept" "$(cri_mems train)" 0,2
check "a kubelet writes all nodes" cri_update train 0-3
is "a node that is not granted is not among them" "$(cri_mems train)" 0-2
check "no byte has moved" [ "$(vm_node_bytes "$(cri_cgroup train)" 2 anon)" -ge "$has" ]
is "the reservation is active" "$(one_of train .state)" active
is "cdmd had nothing to correct" "$(vm_status drift_repaired)" "$repaired"
is "and has nothing to warn of" "$(cdmctl status --json=short | jq --raw-output '.warnings[] | select(contains("cri-containerd"))')" ''
check "a pod that asks for nothing is made" cri_pod ml plain
check "its container starts, with nodes of a device from a kubelet" cri_run plain --mems 2-3 /bin/born 0
is "it was born without them" "$(cri_file plain born)" Mems_allowed_list:0-1

# Whose it is decides, and not what the pod says about itself.
check "a pod of another namespace is made" cri_pod web front "${ask[@]}" k8s.namespace=ml
check_status 1 "its container does not start" cri_run front /bin/born 2
like "containerd shows cdmd's sentence" "$output" 'cdmd-oci-hook: .*hbm'
check "one that asks for nothing is made" cri_pod web quiet
check "its container starts" cri_run quiet /bin/sleep 1000
is "fenced" "$(cri_mems quiet)" 0-1
check "one that forges labels is made" cri_pod web forger "${ask[@]}" org.cdmd1.label=k8s.namespace=ml
check_status 1 "its container does not start" cri_run forger /bin/born 2
like "because there are no such annotations" "$output" 'org.cdmd1.label.* is not known'
check "one that wants more than its namespace may have is made" cri_pod ml large org.cdmd1.pool=hbm org.cdmd1.size=512M
check_status 1 "its container does not start" cri_run large /bin/born 2
like "because of the rule" "$output" '50-ml.conf'
check "one that gives no size is made" cri_pod ml half org.cdmd1.pool=hbm
check_status 1 "its container does not start" cri_run half /bin/born 2
like "which is said, too" "$output" 'without org.cdmd1.size'
is "none of these has a reservation" "$(site_list length)" 1

# Devices.
check "a pod for a device is made" cri_pod ml device
check "its container starts" cri_run device --device cdmd.org/cxl=64M /bin/born 3
is "it was born with its node" "$(cri_file device born)" Mems_allowed_list:0-1,3
check "it has memory there" wait_for 60 cri_hogs device
check "it ends" cri_stop device

# The ends.
check "a container with a grant ends" cri_stop train
check "so does its reservation" wait_for 60 site_gone
systemctl restart containerd
check "the plugin is there after a restart of containerd" wait_for 60 systemctl --quiet is-active cdmd-nri
check "and serves the next pod" cri_pod ml again "${ask[@]}"
check "whose container starts" cri_run again /bin/born 2
check "it has memory" wait_for 60 cri_hogs again
systemctl kill --signal=KILL cdmd-nri cdmd
check "cdmd comes back" wait_for 60 systemctl --quiet is-active cdmd
check "the plugin comes back" wait_for 60 systemctl --quiet is-active cdmd-nri
is "the container has its node" "$(cri_mems again)" 0-2
check "a kubelet writes its nodes" cri_update again 1
is "the container keeps the one that was granted" "$(cri_mems again)" 1-2
systemctl --quiet disable --now cdmd
check "a pod that asks while cdmd is stopped is made" cri_pod ml unlucky "${ask[@]}"
check_status 1 "its container does not start" cri_run unlucky /bin/born 2
like "because cdmd is not there" "$output" 'cdmd cannot be reached'
check "a pod that asks for nothing is made" cri_pod ml lucky
check "its container starts" cri_run lucky /bin/sleep 1000
systemctl --quiet enable --now cdmd
check "the last container with a grant ends" cri_stop again
check "nothing is left" wait_for 60 site_gone
finish
