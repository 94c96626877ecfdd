/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The signal Event of org.cdmd1.Manager. */

#include <string.h>

#include "daemon/bus/bus-internal.h"
#include "daemon/loop/log.h"
#include "policy/cdm-names.h"

static int append_holders(sd_bus_message *m, const Event *e)
{
        int r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "holders");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "a(sst)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sst)");
        if (r >= 0)
                r = bus_append_holder_kinds(m, e->holders, e->n_holders);
        for (int i = 0; r >= 0 && i < 3; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

static int append_details(sd_bus_message *m, const Event *e)
{
        int r = sd_bus_message_open_container(m, 'a', "{sv}");
        EventDetail d;

        for (size_t i = 0; r >= 0 && event_detail(e, i, &d); i++) {
                if (d.text)
                        r = sd_bus_message_append(m, "{sv}", d.key, "s", d.text);
                else if (d.has_number)
                        r = sd_bus_message_append(m, "{sv}", d.key, "t", d.number);
        }
        if (r >= 0 && (e->has & EVENT_HAS_UID))
                r = sd_bus_message_append(m, "{sv}", "uid", "u", (uint32_t)e->uid);
        if (r >= 0 && e->n_holders > 0)
                r = append_holders(m, e);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

void bus_event_emit(Bus *b, const Event *e, const char *client)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        int r = sd_bus_message_new_signal(b->bus, &m, CDM_PATH, CDM_INTERFACE_MANAGER, "Event");
        if (r >= 0)
                r = sd_bus_message_append(m, "su", event_kind_to_string(e->kind), e->id);
        if (r >= 0)
                r = append_details(m, e);
        if (r >= 0 && client)
                r = sd_bus_message_set_destination(m, client);
        if (r >= 0)
                r = sd_bus_send(b->bus, m, NULL);
        if (r < 0)
                log_warning("cannot send the signal Event (%s): %s", event_kind_to_string(e->kind),
                            strerror(-r));
}
