/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "daemon/tenant/manager.h"

int manager_new(const char *root, sd_event *event, sd_bus *bus, Manager **ret);
/* The fence and all grants stay as they are. */
Manager *manager_free(Manager *m);
DEFINE_CLEANUP(Manager, manager_free);
