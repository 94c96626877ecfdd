/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmctl request: reserves, and prints only the id, for scripts. */

#include <stdio.h>

#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "client/objects.h"
#include "client/reserve.h"
#include "policy/cdm-names.h"

/* With --json prints the whole reservation, like `show`. */
static int print_reservation(sd_bus *bus, const char *path, const TableStyle *style)
{
        _cleanup_(reservation_info_clear) ReservationInfo info = { 0 };
        _cleanup_(table_free_p) Table *t = NULL;

        int status = reservation_read_whole(bus, path, &info);
        if (status != 0)
                return status;
        int r = objects_table_reservations(&info, 1, &t);
        return printed(r < 0 ? r : table_print_record(t, style));
}

int verb_request(const Args *args)
{
        _cleanup_(sd_bus_flush_close_unref_p) sd_bus *bus = NULL;
        _cleanup_free_ char *path = NULL, *cgroup = NULL;
        const char *pool;
        Args resolved;
        Size size;

        /* Refuse nonsense before the bus is opened. */
        int status = args_parse_pool_size(args, &pool, &size);
        if (status == 0)
                status = reserve_resolve(args, &resolved, &cgroup);
        if (status == 0)
                status = client_open(&bus);
        if (status == 0)
                status = reserve(bus, &resolved, false, &path);
        if (status != 0)
                return status;

        if (args->style.json != JSON_OFF)
                return print_reservation(bus, path, &args->style);
        printf("%u\n", client_path_to_id(path));
        return CDM_EXIT_DONE;
}
