// SPDX-License-Identifier: LGPL-2.1-or-later

package main

import (
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"k8s.io/utils/cpuset"
)

func TestAsk(t *testing.T) {
	const labels = " --label=k8s.container=c --label=k8s.namespace=ml --label=k8s.pod=p"
	for name, test := range map[string]struct {
		annotations map[string]string
		args        string
		err         string
	}{
		"nothing":       {nil, "", ""},
		"others":        {map[string]string{"a": "b", "org.cdmd1": "x"}, "", ""},
		"priority only": {map[string]string{"org.cdmd1.priority": "3"}, "", ""},
		"both":          {map[string]string{"org.cdmd1.pool": "hbm", "org.cdmd1.size": "8G"}, labels[1:] + " --pool=hbm --size=8G", ""},
		"all": {map[string]string{"org.cdmd1.pool": "hbm", "org.cdmd1.size": "8G", "org.cdmd1.priority": "x",
			"org.cdmd1.exclusive": "yes"}, "--exclusive=yes" + labels + " --pool=hbm --priority=x --size=8G", ""},
		"for this container": {map[string]string{"org.cdmd1.pool": "hbm", "org.cdmd1.size/container.c": "8G",
			"org.cdmd1.size": "1G"}, labels[1:] + " --pool=hbm --size=8G", ""},
		"for another container": {map[string]string{"org.cdmd1.pool/container.d": "hbm", "org.cdmd1.size/container.d": "8G"}, "", ""},
		"no size":               {map[string]string{"org.cdmd1.pool": "hbm"}, "", "without org.cdmd1.size"},
		"no pool":               {map[string]string{"org.cdmd1.size": "8G"}, "", "without org.cdmd1.pool"},
		"size of another":       {map[string]string{"org.cdmd1.pool": "hbm", "org.cdmd1.size/container.d": "8G"}, "", "give both"},
		"a typing error":        {map[string]string{"org.cdmd1.sise": "8G"}, "", `"org.cdmd1.sise" is not known`},
		"another scope":         {map[string]string{"org.cdmd1.size/pods": "8G"}, "", "is not known"},
		"forged labels":         {map[string]string{"org.cdmd1.label": "k8s.namespace=x"}, "", "is not known"},
	} {
		pod := &api.PodSandbox{Name: "p", Namespace: "ml", Annotations: test.annotations}
		args, err := readAsk(pod, &api.Container{Name: "c"})
		if got := strings.Join(args, " "); got != test.args {
			t.Errorf("%s: arguments are %q, not %q", name, got, test.args)
		}
		if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: the error is %v, not %q", name, err, test.err)
		}
	}
}

func TestNoLabels(t *testing.T) {
	pod := &api.PodSandbox{Annotations: map[string]string{"org.cdmd1.pool": "hbm", "org.cdmd1.size": "8G"}}
	args, err := readAsk(pod, &api.Container{})
	if got := strings.Join(args, " "); err != nil || got != "--pool=hbm --size=8G" {
		t.Errorf("arguments are %q, the error is %v", got, err)
	}
}

func TestMerge(t *testing.T) {
	for _, test := range [][4]string{ // wanted, ordinary, allowed now, result
		{"0", "0-1", "0-1", "0"},
		{"0", "0-1", "0-2", "0,2"},
		{"0-3", "0-1", "0-1", "0-1"},
		{"0-3", "0-1", "0-1,3", "0-1,3"},
		{"2", "0-1", "0-1", "0-1"},
		{"2", "0-1", "0-1,3", "0-1,3"},
		{"1", "0-1", "0", "1"},
		{"1", "0-1", "2", "1-2"},
	} {
		var s [3]cpuset.CPUSet
		for i := range s {
			var err error
			if s[i], err = cpuset.Parse(test[i]); err != nil {
				t.Fatal(err)
			}
		}
		if got := merge(s[0], s[1], s[2]).String(); got != test[3] {
			t.Errorf("%v: the result is %s", test, got)
		}
	}
}
