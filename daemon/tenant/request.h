/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A request, until it is granted, waits or is refused. */

#include <systemd/sd-bus.h>

#include "daemon/tenant/manager.h"
#include "daemon/tenant/request-args.h"
#include "policy/decide.h"

int requests_new(Manager *m, RequestSet **ret);
RequestSet *requests_free(RequestSet *s);

typedef struct RequestResult {
        uint32_t id;              /* Request: the new reservation */
        const Decision *decision; /* Explain */
} RequestResult;
typedef void (*request_done_t)(sd_bus_message *m, const Answer *answer, const RequestResult *result);
/* Takes what args own. done is called exactly once unless the client goes away before. */
int requests_add(RequestSet *s, sd_bus_message *call, RequestArgs *args, bool explain, request_done_t done);
/* Recovery is over: those that wait go on. */
void requests_serve(RequestSet *s);
