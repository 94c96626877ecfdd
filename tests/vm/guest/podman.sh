# shellcheck shell=bash
# For tests with containers, after lib.sh: an image made of busybox and vm-hog, and containers of it. Each call of
# podman takes seconds in a guest, so what can be read from the cgroup tree is.

podman_manager=systemd

# podman_image: makes localhost/hog
podman_image() {
        local root lib
        root=$(mktemp --directory)
        mkdir -p "$root"/{bin,dev,etc,proc,sys,tmp}
        cp "$(command -v busybox)" /usr/lib/cdmd-tests/vm-hog "$root/bin/"
        for lib in cat grep sh sleep; do ln -s busybox "$root/bin/$lib"; done
        ldd /usr/lib/cdmd-tests/vm-hog | grep -o '/[^ ]*' | while read -r lib; do
                mkdir -p "$root/$(dirname "$lib")"
                cp --dereference "$lib" "$root/$lib"
        done
        tar --directory "$root" --create . | podman import --quiet - localhost/hog >/dev/null
        rm -rf "$root"
}

# podman_run NAME [OPTION...]: a container that sleeps; its id is in $id
podman_run() {
        local name=$1
        shift
        # shellcheck disable=SC2034 # for the caller
        id=$(podman --cgroup-manager=$podman_manager run --detach --network=none --name "$name" "$@" localhost/hog \
                sleep 1000000 2>/tmp/podman-run)
}

# podman_start NAME [OPTION...]: likewise, and has to be so
podman_start() {
        if podman_run "$@"; then ok "podman starts $*"; else fail "podman starts $*" "$(cat /tmp/podman-run)"; fi
}

# podman_cgroup ID: its own, below the mount point
podman_cgroup() {
        case $podman_manager in
        systemd) echo "/machine.slice/libpod-$1.scope" ;;
        cgroupfs) echo "/libpod_parent/libpod-$1" ;;
        esac
}

# podman_mems ID: the nodes that its processes may have; crun puts them into a cgroup below the scope
podman_mems() {
        local directory
        directory=/sys/fs/cgroup$(podman_cgroup "$1")
        [ ! -d "$directory/container" ] || directory+=/container
        cat "$directory/cpuset.mems.effective"
}

# podman_closed ID: it has no CDM node
podman_closed() {
        [ "$(podman_mems "$1")" = 0-1 ]
}

# podman_holds ID NODE MIB: it has at least so much anonymous memory there
podman_holds() {
        [ "$(vm_node_bytes "$(podman_cgroup "$1")" "$2" anon)" -ge $(($3 << 20)) ]
}
