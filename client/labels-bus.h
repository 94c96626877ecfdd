/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "policy/label.h"

/* Appends the entry `labels` (a{ss}) to the options of a request, whose a{sv} is open. Returns a negative
 * errno of sd-bus. */
int labels_append(sd_bus_message *m, const Labels *labels);
