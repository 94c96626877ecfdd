// SPDX-License-Identifier: LGPL-2.1-or-later

package main

import (
	"fmt"
	"sort"
	"strings"

	"github.com/containerd/nri/pkg/api"
)

const prefix = "org.cdmd1."

// What a pod can ask for. The hook checks the values.
var keys = map[string]bool{"pool": true, "size": true, "priority": true, "exclusive": true}

// readAsk returns the arguments of the hook, or nil for a container that asks for nothing.
//
// Whoever makes a pod chooses its annotations. "org.cdmd1.KEY/container.NAME" is for the container of that name, and
// counts more than "org.cdmd1.KEY", which is for each container of the pod. The labels come from the fields in which
// the runtime says what the container is, never from annotations.
func readAsk(pod *api.PodSandbox, c *api.Container) ([]string, error) {
	asked := map[string]string{}
	own := map[string]string{}

	for name, value := range pod.GetAnnotations() {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		key, scope, scoped := strings.Cut(name[len(prefix):], "/")
		if scoped && !strings.HasPrefix(scope, "container.") || !keys[key] {
			return nil, fmt.Errorf("the annotation %q is not known; there are %spool, %ssize, %spriority and "+
				"%sexclusive, each also with /container.NAME", name, prefix, prefix, prefix, prefix)
		}
		if !scoped {
			asked[key] = value
		} else if scope == "container."+c.GetName() {
			own[key] = value
		}
	}
	for key, value := range own {
		asked[key] = value
	}
	if asked["pool"] == "" && asked["size"] == "" {
		return nil, nil
	}
	if asked["pool"] == "" || asked["size"] == "" {
		return nil, fmt.Errorf("container %q asks for memory without %spool or without %ssize; give both",
			c.GetName(), prefix, prefix)
	}

	var args []string
	for key, value := range asked {
		args = append(args, "--"+key+"="+value)
	}
	for key, value := range map[string]string{
		"k8s.namespace": pod.GetNamespace(), "k8s.pod": pod.GetName(), "k8s.container": c.GetName(),
	} {
		if value != "" {
			args = append(args, "--label="+key+"="+value)
		}
	}
	sort.Strings(args)
	return args, nil
}
