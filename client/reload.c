/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmctl reload: makes the daemon read its configuration again. After an error the old configuration stays
 * in force, and the daemon's error names FILE:LINE. */

#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "policy/cdm-names.h"

int verb_reload(const Args *args)
{
        _cleanup_(sd_bus_flush_close_unref_p) sd_bus *bus = NULL;

        int status = client_open(&bus);
        if (status != 0)
                return status;
        return client_call(bus, CDM_PATH, CDM_INTERFACE_MANAGER, "Reload", NULL, "");
}
