// SPDX-License-Identifier: LGPL-2.1-or-later

// cdmd-nri: gives the containers of pods their memory before their first instruction.
//
// containerd and CRI-O tell this program of each container, over the Node Resource Interface (NRI). A container
// whose pod asks for memory gets cdmd-oci-hook as a createRuntime hook, with the request and with the names of
// the namespace, pod and container as labels. The hook sends the request, so that there is one program which
// judges what a container asks for. This program keeps the runtime and cdmd from fighting over cpuset.mems: it
// takes nodes that the container was not granted out of what a kubelet asks for, and adds those that it was.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
	"github.com/coreos/go-systemd/daemon"
)

// Set by the linker.
var (
	version = "unknown"
	hook    = "/usr/libexec/cdmd-oci-hook"
)

type plugin struct{}

// Configure is called when the runtime knows the plugin. 0 means all events for which there are functions here.
func (plugin) Configure(ctx context.Context, config, runtime, version string) (api.EventMask, error) {
	say("cdmd-nri serves %s %s", runtime, version)
	_, err := daemon.SdNotify(false, daemon.SdNotifyReady)
	return 0, err
}

// CreateContainer is called before a runtime creates a container. An error ends the creation, and the runtime shows
// the error's text.
func (plugin) CreateContainer(ctx context.Context, pod *api.PodSandbox, c *api.Container) (
	*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	ask, err := readAsk(pod, c)
	if err != nil {
		return nil, nil, fmt.Errorf("cdmd-nri: %w", err)
	}
	adjust := &api.ContainerAdjustment{}
	if ask != nil {
		adjust.AddHooks(&api.Hooks{CreateRuntime: []*api.Hook{{Path: hook, Args: append([]string{hook}, ask...)}}})
	}
	if mems := c.GetLinux().GetResources().GetCpu().GetMems(); mems != "" {
		adjust.SetLinuxCPUSetMems(memsFor(ctx, mems, 0))
	}
	return adjust, nil, nil
}

// UpdateContainer is called before a runtime changes the resources of a container.
func (plugin) UpdateContainer(ctx context.Context, pod *api.PodSandbox, c *api.Container, r *api.LinuxResources) (
	[]*api.ContainerUpdate, error) {
	mems := r.GetCpu().GetMems()
	if mems == "" {
		return nil, nil
	}
	update := &api.ContainerUpdate{}
	update.SetContainerId(c.GetId())
	update.SetLinuxCPUSetMems(memsFor(ctx, mems, c.GetPid()))
	return []*api.ContainerUpdate{update}, nil
}

// say writes a line for the journal.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}

// connect waits for the runtime's socket.
func connect(socket string) net.Conn {
	for told := false; ; time.Sleep(time.Second) {
		connection, err := net.Dial("unix", socket)
		if err == nil {
			return connection
		}
		if !told {
			say("cdmd-nri: the runtime cannot be reached: %v; start it, and enable NRI in its configuration, see "+
				"cdmd-nri(8); until then this is tried each second", err)
			told = true
		}
	}
}

func main() {
	socket := flag.String("socket", api.DefaultSocketPath, "the runtime's NRI socket")
	index := flag.String("index", "50", "the place among the plugins, 00 to 99")
	show := flag.Bool("version", false, "show the version")
	flag.Parse()
	if *show {
		fmt.Println("cdmd-nri", version)
		return
	}
	if flag.NArg() > 0 {
		say("cdmd-nri: '%s' is no option; see cdmd-nri(8)", flag.Arg(0))
		os.Exit(2)
	}

	s, err := stub.New(plugin{}, stub.WithPluginName("cdmd"), stub.WithPluginIdx(*index),
		stub.WithConnection(connect(*socket)))
	if err == nil {
		err = s.Run(context.Background())
	}
	if err != nil {
		say("cdmd-nri: the runtime does not take the plugin: %v; its log says more", err)
		os.Exit(1)
	}
}
