// SPDX-License-Identifier: LGPL-2.1-or-later

// vm-cri: what a kubelet asks a container runtime for, over the Container Runtime Interface (CRI).
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const usage = `usage: vm-cri pod NAMESPACE NAME [ANNOTATION=VALUE...]      make a pod, print its id
       vm-cri run POD-ID NAME [--mems NODES] [--device CDI-DEVICE] COMMAND...
                                                           make and start a container, print its id
       vm-cri update ID NODES                              set its cpuset.mems, as a static memory manager does
       vm-cri stop ID                                      stop and remove a container
       vm-cri remove POD-ID                                stop and remove a pod`

const (
	socket       = "unix:///run/containerd/containerd.sock"
	cgroupParent = "kubepods.slice"
)

func runPod(ctx context.Context, rt cri.RuntimeServiceClient, args []string) (string, error) {
	annotations := map[string]string{}
	for _, arg := range args[2:] {
		key, value, _ := strings.Cut(arg, "=")
		annotations[key] = value
	}
	answer, err := rt.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: &cri.PodSandboxConfig{
		Metadata:    &cri.PodSandboxMetadata{Namespace: args[0], Name: args[1], Uid: args[1]},
		Annotations: annotations,
		Linux: &cri.LinuxPodSandboxConfig{
			CgroupParent: cgroupParent,
			SecurityContext: &cri.LinuxSandboxSecurityContext{
				NamespaceOptions: &cri.NamespaceOption{Network: cri.NamespaceMode_NODE},
			},
		},
	}})
	return answer.GetPodSandboxId(), err
}

func runContainer(ctx context.Context, rt cri.RuntimeServiceClient, args []string) (string, error) {
	flags := flag.NewFlagSet("run", flag.ExitOnError)
	mems := flags.String("mems", "", "")
	device := flags.String("device", "", "")
	if err := flags.Parse(args[2:]); err != nil {
		return "", err
	}
	config := &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: args[1]},
		Image:    &cri.ImageSpec{Image: "localhost/hog:latest"},
		Command:  flags.Args(),
		Linux:    &cri.LinuxContainerConfig{Resources: &cri.LinuxContainerResources{CpusetMems: *mems}},
	}
	if *device != "" {
		config.CDIDevices = []*cri.CDIDevice{{Name: *device}}
	}
	made, err := rt.CreateContainer(ctx, &cri.CreateContainerRequest{
		PodSandboxId: args[0], Config: config,
		// As a kubelet, which sends again what the pod was made from; containerd uses these.
		SandboxConfig: &cri.PodSandboxConfig{
			Metadata: &cri.PodSandboxMetadata{Name: args[0]},
			Linux:    &cri.LinuxPodSandboxConfig{CgroupParent: cgroupParent},
		},
	})
	if err != nil {
		return "", err
	}
	id := made.GetContainerId()
	if _, err = rt.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: id}); err != nil {
		_, _ = rt.RemoveContainer(ctx, &cri.RemoveContainerRequest{ContainerId: id})
	}
	return id, err
}

func update(ctx context.Context, rt cri.RuntimeServiceClient, args []string) (string, error) {
	_, err := rt.UpdateContainerResources(ctx, &cri.UpdateContainerResourcesRequest{
		ContainerId: args[0], Linux: &cri.LinuxContainerResources{CpusetMems: args[1]},
	})
	return "", err
}

func stop(ctx context.Context, rt cri.RuntimeServiceClient, args []string) (string, error) {
	_, err := rt.StopContainer(ctx, &cri.StopContainerRequest{ContainerId: args[0]})
	if err == nil {
		_, err = rt.RemoveContainer(ctx, &cri.RemoveContainerRequest{ContainerId: args[0]})
	}
	return "", err
}

func removePod(ctx context.Context, rt cri.RuntimeServiceClient, args []string) (string, error) {
	_, err := rt.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: args[0]})
	if err == nil {
		_, err = rt.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: args[0]})
	}
	return "", err
}

func main() {
	verbs := map[string]struct {
		run  func(context.Context, cri.RuntimeServiceClient, []string) (string, error)
		args int
	}{"pod": {runPod, 2}, "run": {runContainer, 3}, "update": {update, 2}, "stop": {stop, 1}, "remove": {removePod, 1}}

	if len(os.Args) < 2 || len(os.Args) < 2+verbs[os.Args[1]].args || verbs[os.Args[1]].run == nil {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	connection, err := grpc.NewClient(socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	answer := ""
	if err == nil {
		answer, err = verbs[os.Args[1]].run(ctx, cri.NewRuntimeServiceClient(connection), os.Args[2:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "vm-cri:", err)
		os.Exit(1)
	}
	if answer != "" {
		fmt.Println(answer)
	}
}
