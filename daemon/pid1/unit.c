/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/pid1/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/pid1/unit-call.h"

/* A query about a unit is several method calls that are sent at once: one Get for each property that we
 * need. The alternative is two GetAll, of the unit's and of its type's interface, which make PID 1 format
 * hundreds of properties that nobody reads. Measured in an emulated guest with systemd 257, ten Gets sent
 * together take 60-80 ms, one GetAll of the Service interface alone 45 ms.
 *
 * The UnitQuery is the caller's UnitCall. While it waits at the gate it is small: the memory for the replies
 * is allocated when it is admitted. A UnitQuery that the caller does not want frees itself after the
 * callback. */

typedef struct UnitAsk {
        struct UnitQuery *query;
        const struct UnitProperty *property;
} UnitAsk;

typedef struct UnitQuery {
        UnitCall call;
        bool unwanted; /* the caller has no handle */
        pid_t pid;     /* of whose unit; 0: */
        char *cgroup;  /* whose unit; NULL: */
        char *name;    /* which unit */
        UnitAsk *asks; /* one for each property */
        size_t n_pending;
        UnitInfo *info;
        int error;
        unit_info_cb cb;
        void *userdata;
} UnitQuery;

/* A property of a unit: its interface and its field. */
typedef struct UnitProperty {
        const char *name;
        bool on_unit;     /* of every unit; else of those types that have a cgroup */
        const char *type; /* its signature */
        int (*set)(UnitInfo *info, sd_bus_message *value);
} UnitProperty;

UnitInfo *unit_info_free(UnitInfo *u)
{
        if (!u)
                return NULL;
        free(u->name);
        free(u->slice);
        free(u->cgroup);
        free(u->load_state);
        free(u->active_state);
        free(u->user);
        free(u);
        return NULL;
}

bool unit_error_is_passing(int error)
{
        return error == -ETIMEDOUT || error == -ENOBUFS || error == -ENOMEM || error == -EAGAIN ||
               error == -EBUSY;
}

static int unit_set_string(char **field, sd_bus_message *m)
{
        const char *text;
        char *copy;
        int r;

        r = sd_bus_message_read(m, "s", &text);
        if (r < 0)
                return r;
        copy = text[0] ? strdup(text) : NULL;
        if (text[0] && !copy)
                return -ENOMEM;
        free(*field);
        *field = copy;
        return 0;
}

static int unit_set_id(UnitInfo *u, sd_bus_message *m)
{
        return unit_set_string(&u->name, m);
}

static int unit_set_load_state(UnitInfo *u, sd_bus_message *m)
{
        return unit_set_string(&u->load_state, m);
}

static int unit_set_active_state(UnitInfo *u, sd_bus_message *m)
{
        return unit_set_string(&u->active_state, m);
}

/* "auto-restart", since systemd 254 also "auto-restart-queued" */
static int unit_set_sub_state(UnitInfo *u, sd_bus_message *m)
{
        const char *text;
        int r = sd_bus_message_read(m, "s", &text);

        if (r >= 0 && strncmp(text, "auto-restart", 12) == 0)
                u->job_pending = true;
        return r;
}

/* (uo): 0 when there is no job. A job of a unit that is not active can only be a start. */
static int unit_set_job(UnitInfo *u, sd_bus_message *m)
{
        const char *path;
        uint32_t id;
        int r = sd_bus_message_read(m, "(uo)", &id, &path);

        if (r >= 0 && id != 0)
                u->job_pending = true;
        return r;
}

static int unit_set_slice(UnitInfo *u, sd_bus_message *m)
{
        return unit_set_string(&u->slice, m);
}

static int unit_set_cgroup(UnitInfo *u, sd_bus_message *m)
{
        return unit_set_string(&u->cgroup, m);
}

static int unit_set_cgroup_id(UnitInfo *u, sd_bus_message *m)
{
        return sd_bus_message_read(m, "t", &u->cgroup_id);
}

static int unit_set_delegate(UnitInfo *u, sd_bus_message *m)
{
        int delegate = 0, r = sd_bus_message_read(m, "b", &delegate);

        u->delegate = delegate;
        return r;
}

static int unit_set_user(UnitInfo *u, sd_bus_message *m)
{
        return unit_set_string(&u->user, m);
}

static int unit_set_allowed(UnitInfo *u, sd_bus_message *m)
{
        const void *bytes;
        size_t n;
        int r = sd_bus_message_read_array(m, 'y', &bytes, &n);

        return r < 0 ? r : nodeset_from_bytes(bytes, n, &u->allowed);
}

static const UnitProperty properties[] = {
        { "Id", true, "s", unit_set_id },
        { "LoadState", true, "s", unit_set_load_state },
        { "ActiveState", true, "s", unit_set_active_state },
        { "SubState", true, "s", unit_set_sub_state },
        { "Job", true, "(uo)", unit_set_job },
        { "Slice", false, "s", unit_set_slice },
        { "ControlGroup", false, "s", unit_set_cgroup },
        { "ControlGroupId", false, "t", unit_set_cgroup_id },
        { "AllowedMemoryNodes", false, "ay", unit_set_allowed },
        { "Delegate", false, "b", unit_set_delegate },
        { "User", false, "s", unit_set_user },
};
_Static_assert(ARRAY_SIZE(properties) <= GATE_PASS_MAX, "one pass is for all properties");

static void query_free(UnitCall *c)
{
        UnitQuery *q = (UnitQuery *)c;

        gate_leave(q->call.pass);
        unit_info_free(q->info);
        free(q->asks);
        free(q->cgroup);
        free(q->name);
        free(q);
}

/* Calls the callback, which may free the UnitQuery from within the callback. */
static void query_finish(UnitQuery *q)
{
        UnitInfo *info = TAKE_PTR(q->info);
        bool unwanted = q->unwanted;
        int error = q->error;

        q->call.pass = gate_leave(q->call.pass);
        if (error == 0 && info->load_state && strcmp(info->load_state, "not-found") == 0 &&
            info->active_state && strcmp(info->active_state, "inactive") == 0)
                error = -ENOENT;
        if (error < 0)
                info = unit_info_free(info);
        q->cb(error, info, q->userdata);
        if (unwanted)
                query_free(&q->call);
}

static void query_fail(UnitQuery *q, int error)
{
        q->error = error;
        query_finish(q);
}

static int unit_parse_property(UnitQuery *q, const UnitProperty *p, sd_bus_message *reply)
{
        int r = sd_bus_message_enter_container(reply, 'v', p->type);

        return r < 0 ? r : p->set(q->info, reply);
}

static void unit_on_property(sd_bus_message *reply, void *userdata)
{
        UnitAsk *ask = userdata;
        UnitQuery *q = ask->query;
        int r = unit_reply_error(reply);

        /* Not every type and version has each of them (a scope has no User=). */
        if (r == -ENOENT && !ask->property->on_unit)
                r = 0;
        else if (r == 0)
                r = unit_parse_property(q, ask->property, reply);
        if (r < 0 && q->error == 0)
                q->error = r;
        if (--q->n_pending == 0)
                query_finish(q);
}

/* Sends all of them. */
static int ask_properties(UnitQuery *q, const char *path, const char *name)
{
        const char *interface = unit_cgroup_interface(name);

        q->info = calloc(1, sizeof(*q->info));
        q->asks = calloc(ARRAY_SIZE(properties), sizeof(*q->asks));
        if (!q->info || !q->asks)
                return -ENOMEM;
        for (size_t i = 0; i < ARRAY_SIZE(properties); i++) {
                const UnitProperty *p = &properties[i];
                int r;

                if (!p->on_unit && !interface)
                        continue;
                q->asks[i] = (UnitAsk){ q, p };
                r = unit_send(&q->call, path, "org.freedesktop.DBus.Properties", "Get", unit_on_property,
                              &q->asks[i], "ss", p->on_unit ? SYSTEMD_INTERFACE_UNIT : interface, p->name);
                if (r < 0)
                        return r;
                q->n_pending++;
        }
        return 0;
}

static int ask_by_name(UnitQuery *q)
{
        _cleanup_free_ char *path = NULL;
        int r = unit_path(q->name, &path);

        return r < 0 ? r : ask_properties(q, path, q->name);
}

/* The reply to GetUnitByPID or GetUnitByControlGroup: an object path, which names the unit. */
static int unit_read_unit_path(UnitQuery *q, sd_bus_message *reply)
{
        _cleanup_free_ char *name = NULL;
        const char *path;
        int r;

        r = unit_reply_error(reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return r;
        r = sd_bus_path_decode(path, SYSTEMD_UNIT_PATH, &name);
        if (r <= 0)
                return r < 0 ? r : -EBADMSG;
        return ask_properties(q, path, name);
}

static void unit_on_unit_path(sd_bus_message *reply, void *userdata)
{
        UnitQuery *q = userdata;
        int r = unit_read_unit_path(q, reply);

        if (r < 0)
                query_fail(q, r);
}

static void unit_on_admitted(GatePass *pass _unused_, void *userdata)
{
        UnitQuery *q = userdata;
        int r;

        if (q->pid > 0)
                r = unit_send(&q->call, SYSTEMD_PATH, SYSTEMD_INTERFACE_MANAGER, "GetUnitByPID",
                              unit_on_unit_path, q, "u", (uint32_t)q->pid);
        else if (q->cgroup)
                r = unit_send(&q->call, SYSTEMD_PATH, SYSTEMD_INTERFACE_MANAGER, "GetUnitByControlGroup",
                              unit_on_unit_path, q, "s", q->cgroup);
        else
                r = ask_by_name(q);
        if (r < 0)
                query_fail(q, r);
}

static int query_start(Gate *gate, uid_t uid, const UnitQuery *what, UnitCall **ret)
{
        UnitQuery *q = calloc(1, sizeof(*q));
        int r = -ENOMEM;

        if (!q)
                return r;
        *q = (UnitQuery){ .call.free = query_free,
                          .unwanted = !ret,
                          .pid = what->pid,
                          .cb = what->cb,
                          .userdata = what->userdata };
        if (string_copy(what->cgroup, &q->cgroup) >= 0 && string_copy(what->name, &q->name) >= 0)
                r = gate_enter(gate, uid, ARRAY_SIZE(properties), unit_on_admitted, q, &q->call.pass);
        if (r < 0)
                query_free(&q->call);
        else if (ret)
                *ret = &q->call;
        return r;
}

int unit_get(Gate *gate, uid_t uid, const char *name, unit_info_cb cb, void *userdata, UnitCall **ret)
{
        UnitQuery q = { .name = (char *)name, .cb = cb, .userdata = userdata };

        return query_start(gate, uid, &q, ret);
}

int unit_get_by_pid(Gate *gate, uid_t uid, pid_t pid, unit_info_cb cb, void *userdata, UnitCall **ret)
{
        UnitQuery q = { .pid = pid, .cb = cb, .userdata = userdata };

        /* 0 would mean the caller, and that is us. */
        return pid <= 0 ? -EINVAL : query_start(gate, uid, &q, ret);
}

int unit_get_by_cgroup(Gate *gate, uid_t uid, const char *cgroup, unit_info_cb cb, void *userdata,
                       UnitCall **ret)
{
        UnitQuery q = { .cgroup = (char *)cgroup, .cb = cb, .userdata = userdata };

        return query_start(gate, uid, &q, ret);
}
