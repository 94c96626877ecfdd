# One page a command, file format and bus interface.
dist_man_MANS = \
	man/cdm.3 \
	man/cdm.7 \
	man/cdm_buffer.3 \
	man/cdm-policy.5 \
	man/cdm-pool.5 \
	man/cdmctl.1 \
	man/cdmd-machines.7 \
	man/cdmd-nri.8 \
	man/cdmd-oci-hook.8 \
	man/cdmd-slurm.8 \
	man/cdmd.8 \
	man/cdmd.conf.5 \
	man/org.cdmd1.5
