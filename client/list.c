/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmctl list and show: reservations. */

#include <stdlib.h>

#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "client/filter.h"
#include "client/objects.h"
#include "policy/cdm-names.h"

int verb_list(const Args *args)
{
        _cleanup_(sd_bus_flush_close_unref_p) sd_bus *bus = NULL;
        _cleanup_(objects_free_p) Objects *objects = calloc(1, sizeof(*objects));
        _cleanup_(table_free_p) Table *t = NULL;
        ReservationFilter filter;

        if (!objects)
                return fail(CDM_EXIT_FAILED, "out of memory");
        int status = filter_from_args(args, &filter);
        if (status == 0)
                status = client_open(&bus);
        if (status == 0)
                status = objects_read_reservations(bus, &filter, objects);
        if (status == 0 && objects->n_reservations == 0)
                status = filter_tell_none(bus, args);
        if (status != 0)
                return status;

        int r = objects_table_reservations(objects->reservations, objects->n_reservations, &t);
        return printed(r < 0 ? r : table_print(t, &args->style));
}

int verb_show(const Args *args)
{
        _cleanup_(sd_bus_flush_close_unref_p) sd_bus *bus = NULL;
        _cleanup_(reservation_info_clear) ReservationInfo info = { 0 };
        _cleanup_(table_free_p) Table *t = NULL;
        _cleanup_free_ char *path = NULL;
        uint32_t id;

        int status = args_parse_id(args->positional[0], &id);
        if (status == 0)
                status = client_open(&bus);
        if (status == 0)
                status = client_reservation_path(bus, id, &path);
        if (status == 0)
                status = reservation_read_whole(bus, path, &info);
        if (status != 0)
                return status;

        int r = objects_table_reservations(&info, 1, &t);
        return printed(r < 0 ? r : table_print_record(t, &args->style));
}
