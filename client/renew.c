/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmctl renew: renews a lease, by the time first requested or by the given time. */

#include <stdio.h>

#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "client/objects.h"
#include "policy/cdm-names.h"
#include "policy/timespan.h"

int verb_renew(const Args *args)
{
        _cleanup_(sd_bus_flush_close_unref_p) sd_bus *bus = NULL;
        _cleanup_(reservation_info_clear) ReservationInfo info = { 0 };
        _cleanup_free_ char *path = NULL;
        char when[JSON_TIME_STR_MAX];
        uint64_t usec = 0;
        uint32_t id;

        int status = args_parse_id(args->positional[0], &id);
        if (status != 0)
                return status;
        if (args->n_positional > 1 && (timespan_parse(args->positional[1], &usec) < 0 || usec == 0))
                return usage_error("'%s' is not a time; write 90s, 1h 30min or infinity",
                                   args->positional[1]);

        status = client_open(&bus);
        if (status == 0)
                status = client_reservation_path(bus, id, &path);
        if (status == 0)
                status = client_call(bus, path, CDM_INTERFACE_RESERVATION, "Renew", NULL, "t", usec);
        if (status == 0)
                status = reservation_read(bus, path, &info);
        if (status != 0)
                return status;

        const char *expires = json_time_format(info.expires_usec, when);
        printf("%s\n", expires ? expires : "never");
        return CDM_EXIT_DONE;
}
