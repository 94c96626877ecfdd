/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmctl migrate: moves a reservation's pages up to its nodes now. */

#include <stdio.h>

#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "policy/cdm-names.h"
#include "policy/size.h"

static void migrate_tell(uint64_t moved, uint64_t failed, JsonMode mode)
{
        char moved_text[SIZE_STR_MAX], failed_text[SIZE_STR_MAX];
        Json j = JSON_WRITER(stdout, mode);

        if (mode == JSON_OFF) {
                printf("%s moved", size_format(moved, moved_text));
                if (failed > 0)
                        printf(", %s could not be moved (pinned, or no room)",
                               size_format(failed, failed_text));
                putchar('\n');
                return;
        }
        json_object_begin(&j);
        json_key(&j, "moved");
        json_unsigned(&j, moved);
        json_key(&j, "failed");
        json_unsigned(&j, failed);
        json_object_end(&j);
        json_finish(&j);
}

int verb_migrate(const Args *args)
{
        _cleanup_(sd_bus_flush_close_unref_p) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unref_p) sd_bus_message *reply = NULL;
        _cleanup_free_ char *path = NULL;
        uint64_t moved, failed;
        uint32_t id;

        int status = args_parse_id(args->positional[0], &id);
        if (status == 0)
                status = client_open(&bus);
        if (status == 0)
                status = client_reservation_path(bus, id, &path);
        if (status == 0)
                status = client_call(bus, path, CDM_INTERFACE_RESERVATION, "Migrate", &reply, "");
        if (status != 0)
                return status;

        int r = sd_bus_message_read(reply, "tt", &moved, &failed);
        if (r < 0)
                return client_garbled(r);
        migrate_tell(moved, failed, args->style.json);
        return CDM_EXIT_DONE;
}
