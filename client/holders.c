/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/holders.h"

#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "policy/cdm-names.h"

int holders_read(sd_bus *bus, holder_t fn, void *userdata)
{
        _cleanup_(sd_bus_message_unref_p) sd_bus_message *m = NULL;
        HolderInfo h;

        int status = client_call(bus, CDM_PATH, CDM_INTERFACE_MANAGER, "ListHolders", &m, "");
        if (status != 0)
                return status;
        int r = sd_bus_message_enter_container(m, 'a', CDM_HOLDER);
        while (r >= 0 &&
               (r = sd_bus_message_read(m, CDM_HOLDER, &h.node, &h.cgroup, &h.unit, &h.bytes, &h.anon,
                                        &h.file, &h.shmem, &h.hugetlb, &h.kind, &h.name)) > 0)
                fn(&h, userdata);
        return r < 0 ? client_garbled(r) : 0;
}
