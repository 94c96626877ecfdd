/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/pid1/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/pid1/unit-call.h"

/* A query about a unit consists of a few method calls that are sent together. PID 1 replies to messages one
 * after the other, and each message has a fixed cost. So there are as few as possible: one ListUnitsByNames
 * for the values that it returns for every unit, and one Get for each further property that this caller
 * reads. The alternative is two GetAll, of the Unit interface and of the interface of the unit's type, which
 * make PID 1 format hundreds of unused properties: measured in an emulated guest with systemd 257, one
 * GetAll of the Service interface took 45 ms, and ten Gets sent together took 60-80 ms.
 *
 * The UnitQuery is the caller's UnitCall. While it waits at the gate it is small: the memory for the replies
 * is allocated when it is admitted. A UnitQuery without a handle frees itself after the callback. */

typedef struct UnitAsk {
        struct UnitQuery *query;
        const struct UnitProperty *property; /* NULL: ListUnitsByNames */
} UnitAsk;

typedef struct UnitQuery {
        UnitCall call;
        bool unwanted; /* the caller has no handle */
        bool own;      /* asked as cdmd's own work */
        pid_t pid;     /* query the unit of this process; 0: */
        char *cgroup;  /* query the unit of this cgroup; NULL: */
        char *name;    /* query the unit of this name */
        UnitAsk *asks; /* one for each message */
        size_t n_pending;
        UnitInfo *info;
        int error;
        unit_info_cb cb;
        void *userdata;
} UnitQuery;

/* The queries that need a property. For its own work, such as reading the unit of each tenant at startup,
 * cdmd already knows the other properties. */
typedef enum UnitNeed {
        NEEDED_ALWAYS,
        NEEDED_BY_USERS,    /* queries on behalf of a user */
        NEEDED_OF_SERVICES, /* queries on behalf of a user, about a service */
        NEEDED_BY_PLACE,    /* queries for the unit of a process or cgroup */
        NEEDED_BY_OWN,      /* queries as cdmd's own work */
} UnitNeed;

/* A property of the types of units that have a cgroup. */
typedef struct UnitProperty {
        const char *name;
        UnitNeed need;
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
        { "Slice", NEEDED_BY_USERS, "s", unit_set_slice },
        { "ControlGroup", NEEDED_ALWAYS, "s", unit_set_cgroup },
        { "ControlGroupId", NEEDED_ALWAYS, "t", unit_set_cgroup_id },
        { "User", NEEDED_OF_SERVICES, "s", unit_set_user },
        { "Delegate", NEEDED_BY_PLACE, "b", unit_set_delegate },
        { "AllowedMemoryNodes", NEEDED_BY_OWN, "ay", unit_set_allowed },
};

/* ListUnitsByNames and the properties */
#define MESSAGES_MAX (1 + ARRAY_SIZE(properties))
_Static_assert(MESSAGES_MAX <= GATE_PASS_MAX, "all messages must fit into one pass");

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

/* Calls the callback, which may free the UnitQuery. */
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

/* Parses a(ssssssouso): name, description, load, active and sub state, another unit, path, job, its type and
 * path. The number of the job is 0 if there is none. A job of a unit that is not active can only be a start.
 * The sub state may be "auto-restart", since systemd 254 also "auto-restart-queued". */
static int unit_parse_row(UnitInfo *u, sd_bus_message *reply)
{
        const char *sub;
        uint32_t job;

        int r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'r', "ssssssouso");
        if (r == 0)
                return -ENOENT; /* not the name of a unit */
        if (r >= 0)
                r = unit_set_string(&u->name, reply);
        if (r >= 0)
                r = sd_bus_message_skip(reply, "s");
        if (r >= 0)
                r = unit_set_string(&u->load_state, reply);
        if (r >= 0)
                r = unit_set_string(&u->active_state, reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "ssou", &sub, NULL, NULL, &job);
        if (r < 0)
                return r;
        u->job_pending = job != 0 || strncmp(sub, "auto-restart", 12) == 0;
        return 0;
}

static int unit_parse_reply(UnitQuery *q, const UnitProperty *p, sd_bus_message *reply)
{
        int r = unit_reply_error(reply);

        if (!p)
                return r < 0 ? r : unit_parse_row(q->info, reply);
        /* Some versions of systemd lack some of these properties. */
        if (r == -ENOENT)
                return 0;
        return r < 0 ? r : unit_parse_property(q, p, reply);
}

static void unit_on_answer(sd_bus_message *reply, void *userdata)
{
        UnitAsk *ask = userdata;
        UnitQuery *q = ask->query;
        int r = unit_parse_reply(q, ask->property, reply);

        if (r < 0 && q->error == 0)
                q->error = r;
        if (--q->n_pending == 0)
                query_finish(q);
}

static bool unit_is_needed(const UnitQuery *q, const UnitProperty *p, const char *interface)
{
        switch (p->need) {
        case NEEDED_ALWAYS:
                return true;
        case NEEDED_BY_USERS:
                return !q->own;
        case NEEDED_OF_SERVICES:
                return !q->own && strcmp(interface, "org.freedesktop.systemd1.Service") == 0;
        case NEEDED_BY_PLACE:
                return q->pid > 0 || q->cgroup;
        case NEEDED_BY_OWN:
                return q->own;
        }
        return true;
}

/* Sends all messages of the query. */
static int ask_all(UnitQuery *q, const char *path, const char *name)
{
        const char *interface = unit_cgroup_interface(name);

        q->info = calloc(1, sizeof(*q->info));
        q->asks = calloc(MESSAGES_MAX, sizeof(*q->asks));
        if (!q->info || !q->asks)
                return -ENOMEM;
        q->asks[0] = (UnitAsk){ q, NULL };
        int r = unit_send(&q->call, SYSTEMD_PATH, SYSTEMD_INTERFACE_MANAGER, "ListUnitsByNames",
                          unit_on_answer, &q->asks[0], "as", 1, name);
        if (r < 0)
                return r;
        q->n_pending++;
        for (size_t i = 0; interface && i < ARRAY_SIZE(properties); i++) {
                const UnitProperty *p = &properties[i];

                if (!unit_is_needed(q, p, interface))
                        continue;
                q->asks[i + 1] = (UnitAsk){ q, p };
                r = unit_send(&q->call, path, "org.freedesktop.DBus.Properties", "Get", unit_on_answer,
                              &q->asks[i + 1], "ss", interface, p->name);
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

        return r < 0 ? r : ask_all(q, path, q->name);
}

/* Reads the reply to GetUnitByPID or GetUnitByControlGroup: an object path, which encodes the name of the
 * unit. */
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
        return ask_all(q, path, name);
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
                          .own = uid == GATE_OWN,
                          .pid = what->pid,
                          .cb = what->cb,
                          .userdata = what->userdata };
        if (string_copy(what->cgroup, &q->cgroup) >= 0 && string_copy(what->name, &q->name) >= 0)
                r = gate_enter(gate, uid, MESSAGES_MAX, unit_on_admitted, q, &q->call.pass);
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

        /* For systemd, 0 means the caller, which is cdmd. */
        return pid <= 0 ? -EINVAL : query_start(gate, uid, &q, ret);
}

int unit_get_by_cgroup(Gate *gate, uid_t uid, const char *cgroup, unit_info_cb cb, void *userdata,
                       UnitCall **ret)
{
        UnitQuery q = { .cgroup = (char *)cgroup, .cb = cb, .userdata = userdata };

        return query_start(gate, uid, &q, ret);
}
