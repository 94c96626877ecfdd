/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Start and recovery. */

#include "daemon/tenant/manager.h"

int start_new(Manager *m, Start **ret);
Start *start_free(Start *s);
int start_run(Start *s);
