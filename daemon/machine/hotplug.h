/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Hotplug of nodes and memory, as reported by udev. A burst of events (a device of 96 GiB has hundreds of
 * memory blocks) results in one call. There is no cost without events. */

#include <systemd/sd-event.h>

#include "policy/macro.h"

typedef struct Hotplug Hotplug;

/* The machine's nodes may have changed: read them again. */
typedef void (*hotplug_cb)(void *userdata);

int hotplug_new(sd_event *event, hotplug_cb changed, void *userdata, Hotplug **ret);
Hotplug *hotplug_free(Hotplug *h);
DEFINE_CLEANUP(Hotplug, hotplug_free);
