# Files to copy into /etc/cdm and change; tests/check-examples has cdmctl check them.
exampledir = $(docdir)/examples
examplepoolsdir = $(exampledir)/pools.d
examplepolicydir = $(exampledir)/policy.d

dist_example_DATA = policy/examples/cdmd.conf
dist_examplepools_DATA = \
	policy/examples/pools.d/hbm.conf \
	policy/examples/pools.d/cxl.conf
dist_examplepolicy_DATA = \
	policy/examples/policy.d/10-trainer.conf \
	policy/examples/policy.d/20-training-services.conf \
	policy/examples/policy.d/30-slurm.conf \
	policy/examples/policy.d/32-slurm-accounts.conf \
	policy/examples/policy.d/33-slurm-jobs.conf \
	policy/examples/policy.d/35-batch.conf \
	policy/examples/policy.d/40-containers.conf \
	policy/examples/policy.d/41-pods.conf \
	policy/examples/policy.d/45-lxc.conf \
	policy/examples/policy.d/46-libvirt.conf \
	policy/examples/policy.d/50-developers.conf \
	policy/examples/policy.d/99-deny.conf
