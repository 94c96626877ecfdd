# shellcheck shell=bash
# For tests with containers of LXC and virtual machines, after lib.sh.

# machines_root DIRECTORY: a root of busybox and vm-hog. /bin/born writes what nodes it was born with into /born, and then
# becomes a vm-hog of 32 MiB that is bound to node $1, with its output in /hog: it fails where it may not have the node.
machines_root() {
        local root=$1 lib
        mkdir -p "$root"/{bin,dev,etc,proc,run,sys,tmp}
        cp "$(command -v busybox)" /usr/lib/cdmd-tests/vm-hog "$root/bin/"
        for lib in grep sh sleep; do ln -sf busybox "$root/bin/$lib"; done
        ldd /usr/lib/cdmd-tests/vm-hog | grep -o '/[^ ]*' | while read -r lib; do
                mkdir -p "$root/$(dirname "$lib")"
                cp --dereference "$lib" "$root/$lib"
        done
        # shellcheck disable=SC2016 # the container's shell expands it
        printf '%s\n' '#!/bin/sh' 'grep ^Mems_allowed_list: /proc/self/status >>/born' \
                'exec /bin/vm-hog --bind --small --node "$1" --mb 32 >/hog 2>&1' >"$root/bin/born"
        chmod 755 "$root/bin/born"
}

# lxc_container NAME NODE [LINE...]: one whose first program is born, above; LINEs are more of its configuration
lxc_container() {
        local name=$1 node=$2
        shift 2
        machines_root "/var/lib/lxc/$name/rootfs"
        printf '%s\n' "lxc.uts.name = $name" "lxc.rootfs.path = dir:/var/lib/lxc/$name/rootfs" 'lxc.net.0.type = empty' \
                "lxc.init.cmd = /bin/born $node" 'lxc.mount.auto = proc:mixed' 'lxc.apparmor.profile = unconfined' \
                'lxc.log.level = DEBUG' "lxc.log.file = /var/log/lxc/$name.log" "$@" >"/var/lib/lxc/$name/config"
}

# lxc_start NAME: within a minute, or it has not. What it leaves running must not hold the output of its caller open.
lxc_start() {
        timeout --kill-after=10 120 lxc-start --name "$1" </dev/null >/tmp/lxc-start 2>&1
        local status=$?
        cat /tmp/lxc-start
        return $status
}

# lxc_stop NAME
lxc_stop() {
        timeout --kill-after=10 120 lxc-stop --kill --name "$1" </dev/null >/tmp/lxc-stop 2>&1
}

# lxc_file NAME FILE: of its root
lxc_file() {
        tr -d '[:space:]' <"/var/lib/lxc/$1/rootfs/$2"
}

# lxc_hogs NAME: its program has the memory that it wants
lxc_hogs() {
        grep -q ready "/var/lib/lxc/$1/rootfs/hog"
}

# lxc_gone NAME: it does not run, and has no control group
lxc_gone() {
        [ ! -e "/sys/fs/cgroup/lxc.payload.$1" ] && [ "$(timeout 60 lxc-info --name "$1" --state --no-humanize)" = STOPPED ]
}

# qemu_command NODE MIB: sets $qemu, a machine that has been made and does not run, with so much memory, which is bound to
# the node as QEMU starts
qemu_command() {
        # shellcheck disable=SC2034,SC2054 # for the caller; the commas are QEMU's
        qemu=(qemu-system-x86_64 -S -nodefaults -no-user-config -display none -accel tcg -machine pc,memory-backend=ram
                -m "$2M" -object "memory-backend-ram,id=ram,size=$2M,host-nodes=$1,policy=bind,prealloc=on")
}

# libvirt_up: its daemon
libvirt_up() {
        mkdir -p /etc/libvirt
        printf '%s\n' 'security_driver = "none"' 'user = "root"' 'group = "root"' >>/etc/libvirt/qemu.conf
        systemctl start systemd-machined libvirtd && wait_for 120 timeout 60 virsh list
}

# libvirt_define NAME NODE MIB: a machine with all of its memory bound to the node. QEMU does not allocate it at once: libvirt
# would have threads on the processors of the node do that, and the node has none.
libvirt_define() {
        cat >"/tmp/$1.xml" <<END
<domain type='qemu'>
  <name>$1</name>
  <memory unit='MiB'>$3</memory>
  <vcpu>1</vcpu>
  <numatune>
    <memnode cellid='0' mode='strict' nodeset='$2'/>
  </numatune>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <cpu><numa><cell id='0' cpus='0' memory='$3' unit='MiB'/></numa></cpu>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>
END
        timeout 120 virsh define "/tmp/$1.xml"
}

# libvirt_start NAME: made, and paused; within five minutes
libvirt_start() {
        timeout 300 virsh start --paused "$1"
}

# libvirt_scope NAME: the unit of one that runs
libvirt_scope() {
        echo "machine-qemu\\x2d$(timeout 60 virsh domid "$1" | tr -d '[:space:]')\\x2d$1.scope"
}
