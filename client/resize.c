/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmctl resize: changes the size of a reservation. */

#include <stdio.h>

#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "client/objects.h"
#include "client/reserve.h"
#include "policy/cdm-names.h"
#include "policy/size.h"

int verb_resize(const Args *args)
{
        _cleanup_(sd_bus_flush_close_unref_p) sd_bus *bus = NULL;
        _cleanup_(reservation_info_clear) ReservationInfo info = { 0 };
        _cleanup_free_ char *path = NULL;
        uint64_t whole = 0;
        uint32_t id;
        Size size;

        int status = args_parse_id(args->positional[0], &id);
        if (status == 0)
                status = args_parse_size(args->positional[1], &size);
        if (status == 0)
                status = client_open(&bus);
        if (status == 0)
                status = client_reservation_path(bus, id, &path);
        if (status == 0 && size.percent)
                status = reservation_read(bus, path, &info);
        if (status == 0 && size.percent)
                status = reserve_read_pool_size(bus, info.pool, &whole);
        if (status == 0)
                status = client_call(bus, path, CDM_INTERFACE_RESERVATION, "Resize", NULL, "t",
                                     size_resolve(&size, whole));
        return status;
}
