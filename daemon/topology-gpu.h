/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/topology.h"

/* Fills in `device` of the nodes of NVIDIA's GPUs. -ENOMEM is the only failure. */
int topology_read_gpus(int root_fd, Topology *t);
