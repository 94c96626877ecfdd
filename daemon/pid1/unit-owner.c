/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "daemon/pid1/unit.h"
#include "daemon/pid1/unit-call.h"

/* A query is only one message, because many cgroups may be queried. The reply names the nearest unit at or
 * above the cgroup. (unit_get_by_cgroup() also reads the properties of that unit.) */

typedef struct OwnerQuery {
        UnitCall call;
        char *cgroup;
        unit_owner_cb cb;
        void *userdata;
} OwnerQuery;

static void owner_query_free(UnitCall *c)
{
        OwnerQuery *q = (OwnerQuery *)c;

        gate_leave(q->call.pass);
        free(q->cgroup);
        free(q);
}

static int owner_query_read(sd_bus_message *reply, char **ret)
{
        const char *path;
        int r = unit_reply_error(reply);

        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return r;
        r = sd_bus_path_decode(path, SYSTEMD_UNIT_PATH, ret);
        return r == 0 ? -EBADMSG : r < 0 ? r : 0;
}

static void owner_query_on_reply(sd_bus_message *reply, void *userdata)
{
        _cleanup_free_ char *unit = NULL;
        OwnerQuery *q = userdata;
        int r = owner_query_read(reply, &unit);

        q->call.pass = gate_leave(q->call.pass);
        q->cb(r, unit, q->userdata);
}

static void owner_query_on_admitted(GatePass *pass _unused_, void *userdata)
{
        OwnerQuery *q = userdata;
        int r = unit_send(&q->call, SYSTEMD_PATH, SYSTEMD_INTERFACE_MANAGER, "GetUnitByControlGroup",
                          owner_query_on_reply, q, "s", q->cgroup);

        if (r < 0) {
                q->call.pass = gate_leave(q->call.pass);
                q->cb(r, NULL, q->userdata);
        }
}

int unit_get_owner(Gate *gate, const char *cgroup, unit_owner_cb cb, void *userdata, UnitCall **ret)
{
        OwnerQuery *q = calloc(1, sizeof(*q));
        int r = -ENOMEM;

        if (!q)
                return r;
        *q = (OwnerQuery){
                .call.free = owner_query_free, .cgroup = strdup(cgroup), .cb = cb, .userdata = userdata
        };
        if (q->cgroup)
                r = gate_enter(gate, GATE_OWN, 1, owner_query_on_admitted, q, &q->call.pass);
        if (r < 0)
                owner_query_free(&q->call);
        else
                *ret = &q->call;
        return r;
}
