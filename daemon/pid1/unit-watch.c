/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/pid1/unit.h"

#include <errno.h>
#include <string.h>

#include "daemon/loop/match.h"
#include "daemon/pid1/unit-call.h"

/* Three matches, narrow enough that the bus only sends the signals that cdmd uses: PropertiesChanged of the
 * Unit interface (but not of the interface of the unit's type), which contains ActiveState; UnitRemoved, for
 * units that systemd unloads; and Reloading. */

#define MATCH_PROPERTIES                                                                                    \
        "type='signal',sender='" SYSTEMD_NAME "',path_namespace='" SYSTEMD_UNIT_PATH                        \
        "',interface='org.freedesktop.DBus.Properties',member='PropertiesChanged',arg0="                    \
        "'" SYSTEMD_INTERFACE_UNIT "'"

typedef struct UnitWatch {
        UnitCall call; /* Subscribe() */
        sd_bus_slot *slots[3];
        bool reloading;
        unit_event_cb cb;
        void *userdata;
} UnitWatch;

static void unit_watch_free(UnitCall *c)
{
        UnitWatch *w = (UnitWatch *)c;

        gate_leave(w->call.pass);
        for (size_t i = 0; i < ARRAY_SIZE(w->slots); i++)
                sd_bus_slot_unref(w->slots[i]);
        free(w);
}

/* Reads s, a{sv} and returns ActiveState; NULL: not contained. */
static int unit_watch_read_active_state(sd_bus_message *m, const char **ret)
{
        const char *name;
        int r;

        *ret = NULL;
        r = sd_bus_message_skip(m, "s");
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &name);
                if (r >= 0 && strcmp(name, "ActiveState") == 0)
                        return sd_bus_message_read(m, "v", "s", ret);
                if (r >= 0)
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r;
}

static int unit_watch_on_properties(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_)
{
        _cleanup_free_ char *name = NULL;
        const char *state;
        UnitWatch *w = userdata;

        if (unit_watch_read_active_state(m, &state) < 0 || !state)
                return 0;
        if (sd_bus_path_decode(sd_bus_message_get_path(m), SYSTEMD_UNIT_PATH, &name) > 0)
                w->cb(name, state, w->userdata);
        return 0;
}

static int unit_watch_on_removed(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_)
{
        const char *name, *path;
        UnitWatch *w = userdata;

        /* At a daemon-reload systemd reports every unit as removed, and then adds the existing ones
         * again. */
        if (!w->reloading && sd_bus_message_read(m, "so", &name, &path) >= 0)
                w->cb(name, "removed", w->userdata);
        return 0;
}

static int unit_watch_on_reloading(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_)
{
        UnitWatch *w = userdata;
        int active;

        if (sd_bus_message_read(m, "b", &active) < 0)
                return 0;
        w->reloading = active;
        w->cb(NULL, active ? "reloading" : "reloaded", w->userdata);
        return 0;
}

/* systemd sends signals only while a client has subscribed. The subscription ends when cdmd leaves the
 * bus. */
static void unit_watch_on_subscribed(sd_bus_message *reply _unused_, void *userdata)
{
        UnitWatch *w = userdata;

        w->call.pass = gate_leave(w->call.pass);
}

static void unit_watch_on_admitted(GatePass *pass, void *userdata)
{
        UnitWatch *w = userdata;

        if (unit_send(&w->call, SYSTEMD_PATH, SYSTEMD_INTERFACE_MANAGER, "Subscribe",
                      unit_watch_on_subscribed, w, "") < 0)
                w->call.pass = gate_leave(pass);
}

int unit_subscribe(Gate *gate, unit_event_cb cb, void *userdata, UnitCall **ret)
{
        sd_bus *bus = gate_bus(gate);
        UnitWatch *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        w->call.free = unit_watch_free;
        w->cb = cb;
        w->userdata = userdata;
        r = match_add(bus, &w->slots[0], MATCH_PROPERTIES, unit_watch_on_properties, w);
        if (r >= 0)
                r = match_add(bus, &w->slots[1], MATCH_MANAGER("UnitRemoved"), unit_watch_on_removed, w);
        if (r >= 0)
                r = match_add(bus, &w->slots[2], MATCH_MANAGER("Reloading"), unit_watch_on_reloading, w);
        if (r >= 0)
                r = gate_enter(gate, GATE_OWN, 1, unit_watch_on_admitted, w, &w->call.pass);
        if (r < 0)
                unit_watch_free(&w->call);
        else if (ret)
                *ret = &w->call;
        return r < 0 ? r : 0;
}
