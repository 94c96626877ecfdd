# Example programs, which the tests compile and run.
dist_example_DATA += examples/cdm-example.c examples/cdm_example.py

# For Slurm; see cdmd-slurm(8).
exampleslurmdir = $(exampledir)/slurm
dist_exampleslurm_DATA = \
	examples/slurm/cgroup.conf \
	examples/slurm/gres.conf \
	examples/slurm/job_submit.lua \
	examples/slurm/plugstack.conf \
	examples/slurm/slurm.conf
dist_exampleslurm_SCRIPTS = \
	examples/slurm/epilog \
	examples/slurm/prolog \
	examples/slurm/task-prolog

# For containers of LXC and machines of libvirt; see cdmd-machines(7).
examplelxcdir = $(exampledir)/lxc
dist_examplelxc_SCRIPTS = examples/lxc/cdm-lxc-hook
examplelibvirtdir = $(exampledir)/libvirt
dist_examplelibvirt_SCRIPTS = examples/libvirt/qemu
