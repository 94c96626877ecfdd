/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "daemon/tenant/parts.h"

int assembly_new(const char *root, sd_event *event, sd_bus *bus, Assembly **ret);
/* The fence and all grants stay as they are. */
Assembly *assembly_free(Assembly *a);
DEFINE_CLEANUP(Assembly, assembly_free);
