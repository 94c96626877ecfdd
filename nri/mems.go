// SPDX-License-Identifier: LGPL-2.1-or-later

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/godbus/dbus"
	"k8s.io/utils/cpuset"
)

// A runtime drops a plugin that does not answer within two seconds.
const answerWithin = time.Second

// memsFor returns what to write into cpuset.mems instead of `mems`, which a kubelet asks for. pid is a process of the
// container, or 0 for one that has none yet. Where cdmd or the process cannot be asked the result is `mems`: cdmd
// corrects what is wrong in it.
func memsFor(ctx context.Context, mems string, pid uint32) string {
	want, err := cpuset.Parse(mems)
	if err != nil {
		return mems
	}
	ordinary, err := ordinaryNodes(ctx)
	if err != nil {
		say("cdmd cannot say which nodes are ordinary: %v; cpuset.mems stays %s", err, mems)
		return mems
	}
	has := ordinary
	if pid != 0 {
		if has, err = allowedNodes(pid); err != nil {
			say("the nodes of process %d cannot be read: %v; cpuset.mems stays %s", pid, err, mems)
			return mems
		}
	}
	return merge(want, ordinary, has).String()
}

// merge returns the ordinary nodes among those wanted, and of the others those that the container has: cdmd has granted
// them. A set of nodes that were all not granted becomes that of the ordinary nodes, since none is no restriction.
func merge(want, ordinary, has cpuset.CPUSet) cpuset.CPUSet {
	keep := want.Intersection(ordinary)
	if keep.IsEmpty() {
		keep = ordinary
	}
	return keep.Union(has.Difference(ordinary))
}

// ordinaryNodes asks cdmd for the nodes that everybody may use.
func ordinaryNodes(ctx context.Context) (cpuset.CPUSet, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	bus, err := dbus.ConnectSystemBus(dbus.WithContext(ctx))
	if err != nil {
		return cpuset.New(), err
	}
	defer bus.Close()

	var value dbus.Variant
	manager := bus.Object("org.cdmd1", "/org/cdmd1")
	err = manager.CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, "org.cdmd1.Manager", "OrdinaryNodes").
		Store(&value)
	if err != nil {
		return cpuset.New(), err
	}
	nodes, ok := value.Value().([]uint32)
	if !ok || len(nodes) == 0 {
		return cpuset.New(), fmt.Errorf("OrdinaryNodes is %s", value)
	}
	set := cpuset.New()
	for _, node := range nodes {
		set = set.Union(cpuset.New(int(node)))
	}
	return set, nil
}

// allowedNodes returns the nodes on which a process may have memory, from proc_pid_status(5).
func allowedNodes(pid uint32) (cpuset.CPUSet, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return cpuset.New(), err
	}
	for _, line := range strings.Split(string(status), "\n") {
		if list, found := strings.CutPrefix(line, "Mems_allowed_list:"); found {
			return cpuset.Parse(strings.TrimSpace(list))
		}
	}
	return cpuset.New(), fmt.Errorf("it has no Mems_allowed_list")
}
