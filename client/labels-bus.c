/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/labels-bus.h"

#include "policy/cdm-names.h"

int labels_append(sd_bus_message *m, const Labels *labels)
{
        int r = sd_bus_message_open_container(m, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append(m, "s", CDM_OPTION_LABELS);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "a{ss}");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{ss}");
        for (size_t i = 0; r >= 0 && i < labels->n; i++)
                r = sd_bus_message_append(m, "{ss}", labels->items[i].key, labels->items[i].value);
        for (int i = 0; r >= 0 && i < 3; i++)
                r = sd_bus_message_close_container(m);
        return r;
}
