/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmctl pools. */

#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "client/objects.h"
#include "client/offline.h"

int verb_pools(const Args *args)
{
        _cleanup_(objects_free_p) Objects *objects = NULL;
        _cleanup_(table_free_p) Table *t = NULL;

        int status = offline_or_bus_objects(args, &objects);
        if (status != 0)
                return status;

        int r = objects_table_pools(objects, &t);
        return printed(r < 0 ? r : table_print(t, &args->style));
}
