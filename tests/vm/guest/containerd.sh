# shellcheck shell=bash
# For tests with containerd and its Container Runtime Interface, after lib.sh and machines.sh.

# containerd_up: with systemd's cgroups, NRI and CDI, and an image localhost/hog, see machines_root
containerd_up() {
        mkdir -p /etc/containerd
        cat >/etc/containerd/config.toml <<'END'
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/hog:latest"
  enable_cdi = true
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = true
[plugins."io.containerd.nri.v1.nri"]
  disable = false
END
        rm -f /tmp/hog.tar
        machines_root /tmp/hog
        tar --directory /tmp/hog --create . | podman import --quiet --change 'CMD ["/bin/sleep", "1000000"]' - localhost/hog:latest &&
                podman save --quiet --output /tmp/hog.tar localhost/hog:latest &&
                systemctl restart containerd &&
                wait_for 60 ctr --namespace k8s.io images import /tmp/hog.tar >/dev/null
}

# cri_pod NAMESPACE NAME [ANNOTATION=VALUE...]: makes a pod, which is called NAME from then on
cri_pod() {
        /usr/lib/cdmd-tests/vm-cri pod "$@" >"/tmp/pod.$2"
}

# cri_run POD [OPTION...] COMMAND...: its container, see vm-cri
cri_run() {
        local pod=$1
        shift
        /usr/lib/cdmd-tests/vm-cri run "$(cat "/tmp/pod.$pod")" worker "$@" >"/tmp/container.$pod"
}

# cri_update POD NODES
cri_update() {
        /usr/lib/cdmd-tests/vm-cri update "$(cat "/tmp/container.$1")" "$2"
}

# cri_stop POD: its container
cri_stop() {
        /usr/lib/cdmd-tests/vm-cri stop "$(cat "/tmp/container.$1")"
}

# cri_cgroup POD: that of its container, below the mount point
cri_cgroup() {
        echo "/kubepods.slice/cri-containerd-$(cat "/tmp/container.$1").scope"
}

# cri_mems POD: the nodes that its container may have
cri_mems() {
        cat "/sys/fs/cgroup$(cri_cgroup "$1")/cpuset.mems.effective"
}

# cri_file POD FILE: of the root of its container
cri_file() {
        local process
        read -r process <"/sys/fs/cgroup$(cri_cgroup "$1")/cgroup.procs"
        tr -d '[:space:]' <"/proc/$process/root/$2"
}

# cri_hogs POD: the program of its container has the memory that it wants
cri_hogs() {
        cri_file "$1" hog | grep -q ready
}
