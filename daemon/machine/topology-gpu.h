/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/topology.h"

/* Names the GPU of each node that belongs to NVIDIA's driver. -ENOMEM is the only failure. */
int topology_read_gpus(int root_fd, Topology *t);
