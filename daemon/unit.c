/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/cgroup.h"
#include "daemon/unit-internal.h"

/* One question about a unit is several calls, sent at once without waiting for each other: a Get for each
 * property that we need. The alternative is two GetAll, of the unit's and of its type's interface, which
 * make PID 1 format hundreds of properties that nobody reads. Measured in an emulated guest with systemd
 * 257, ten Gets sent together take 60-80 ms, one GetAll of the Service interface alone 45 ms.
 *
 * The caller gets one slot for all of it: that of the first call. When he frees it, its destroy callback
 * frees the whole Query and with it the slots of the other calls. A Query without a caller's slot frees
 * itself after the callback. */

#define N_CALLS_MAX 16

typedef struct Query {
        sd_bus *bus;
        sd_bus_slot *lead; /* ours only when the caller did not want it */
        sd_bus_slot *calls[N_CALLS_MAX];
        size_t n_calls, n_pending;
        UnitInfo *info;
        int error;
        unit_info_cb cb;
        void *userdata;
} Query;

/* What is read of a unit: on which interface, and into which field. */
typedef struct Property {
        const char *name;
        bool on_unit;     /* of every unit; else of those types that have a cgroup */
        const char *type; /* its signature */
        int (*set)(UnitInfo *info, sd_bus_message *value);
} Property;

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

int unit_error(const sd_bus_error *e)
{
        static const struct {
                const char *name;
                int error;
        } table[] = {
                { "org.freedesktop.systemd1.NoSuchUnit", -ENOENT },
                { "org.freedesktop.systemd1.NoUnitForPID", -ESRCH },
                { "org.freedesktop.systemd1.NoSuchProcess", -ESRCH },
                { "org.freedesktop.systemd1.UnitExists", -EEXIST },
                { "org.freedesktop.systemd1.LoadFailed", -EIO },
                { SD_BUS_ERROR_UNKNOWN_OBJECT, -ENOENT },
                { SD_BUS_ERROR_UNKNOWN_PROPERTY, -ENOENT },
                { SD_BUS_ERROR_UNKNOWN_INTERFACE, -ENOENT },
                { SD_BUS_ERROR_NO_REPLY, -ETIMEDOUT },
                { SD_BUS_ERROR_TIMEOUT, -ETIMEDOUT },
        };

        for (size_t i = 0; i < ARRAY_SIZE(table); i++)
                if (sd_bus_error_has_name(e, table[i].name))
                        return table[i].error;
        return -sd_bus_error_get_errno(e);
}

int unit_path(const char *name, char **ret)
{
        return sd_bus_path_encode(SYSTEMD_UNIT_PATH, name, ret);
}

/* The interface with the cgroup properties; NULL for units without a cgroup (targets, timers, devices). */
static const char *cgroup_interface(const char *name)
{
        static const char *const table[][2] = {
                { ".service", "org.freedesktop.systemd1.Service" },
                { ".scope", "org.freedesktop.systemd1.Scope" },
                { ".slice", "org.freedesktop.systemd1.Slice" },
                { ".socket", "org.freedesktop.systemd1.Socket" },
                { ".mount", "org.freedesktop.systemd1.Mount" },
                { ".swap", "org.freedesktop.systemd1.Swap" },
        };
        const char *dot = strrchr(name, '.');

        for (size_t i = 0; dot && i < ARRAY_SIZE(table); i++)
                if (strcmp(dot, table[i][0]) == 0)
                        return table[i][1];
        return NULL;
}

bool unit_has_cgroup(const char *name)
{
        return cgroup_interface(name);
}

static int set_string(char **field, sd_bus_message *m)
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

static int set_id(UnitInfo *u, sd_bus_message *m)
{
        return set_string(&u->name, m);
}

static int set_load_state(UnitInfo *u, sd_bus_message *m)
{
        return set_string(&u->load_state, m);
}

static int set_active_state(UnitInfo *u, sd_bus_message *m)
{
        return set_string(&u->active_state, m);
}

/* "auto-restart", since systemd 254 also "auto-restart-queued" */
static int set_sub_state(UnitInfo *u, sd_bus_message *m)
{
        const char *text;
        int r = sd_bus_message_read(m, "s", &text);

        if (r >= 0 && strncmp(text, "auto-restart", 12) == 0)
                u->job_pending = true;
        return r;
}

/* (uo): 0 when there is no job. A job of a unit that is not active can only be a start. */
static int set_job(UnitInfo *u, sd_bus_message *m)
{
        const char *path;
        uint32_t id;
        int r = sd_bus_message_read(m, "(uo)", &id, &path);

        if (r >= 0 && id != 0)
                u->job_pending = true;
        return r;
}

static int set_slice(UnitInfo *u, sd_bus_message *m)
{
        return set_string(&u->slice, m);
}

static int set_cgroup(UnitInfo *u, sd_bus_message *m)
{
        return set_string(&u->cgroup, m);
}

static int set_cgroup_id(UnitInfo *u, sd_bus_message *m)
{
        return sd_bus_message_read(m, "t", &u->cgroup_id);
}

static int set_delegate(UnitInfo *u, sd_bus_message *m)
{
        int delegate = 0, r = sd_bus_message_read(m, "b", &delegate);

        u->delegate = delegate;
        return r;
}

static int set_user(UnitInfo *u, sd_bus_message *m)
{
        return set_string(&u->user, m);
}

static int set_allowed(UnitInfo *u, sd_bus_message *m)
{
        const void *bytes;
        size_t n;
        int r = sd_bus_message_read_array(m, 'y', &bytes, &n);

        return r < 0 ? r : nodeset_from_bytes(bytes, n, &u->allowed);
}

static const Property properties[] = {
        { "Id", true, "s", set_id },
        { "LoadState", true, "s", set_load_state },
        { "ActiveState", true, "s", set_active_state },
        { "SubState", true, "s", set_sub_state },
        { "Job", true, "(uo)", set_job },
        { "Slice", false, "s", set_slice },
        { "ControlGroup", false, "s", set_cgroup },
        { "ControlGroupId", false, "t", set_cgroup_id },
        { "AllowedMemoryNodes", false, "ay", set_allowed },
        { "Delegate", false, "b", set_delegate },
        { "User", false, "s", set_user },
};

static int query_free(Query *q)
{
        for (size_t i = 0; i < q->n_calls; i++)
                sd_bus_slot_unref(q->calls[i]);
        sd_bus_slot_unref(q->lead);
        unit_info_free(q->info);
        free(q);
        return 0;
}

static void query_destroyed(void *userdata)
{
        Query *q = userdata;

        q->lead = NULL; /* it is the one that is being freed */
        query_free(q);
}

/* Tells the caller. He may free his slot from within the callback, and q with it. */
static void query_finish(Query *q)
{
        UnitInfo *info = TAKE_PTR(q->info);
        bool own = q->lead;
        int error = q->error;

        if (error == 0 && info->load_state && strcmp(info->load_state, "not-found") == 0 &&
            info->active_state && strcmp(info->active_state, "inactive") == 0)
                error = -ENOENT;
        if (error < 0)
                info = unit_info_free(info);
        q->cb(error, info, q->userdata);
        if (own)
                query_free(q);
}

static int parse_property(Query *q, const Property *p, sd_bus_message *reply)
{
        int r = sd_bus_message_enter_container(reply, 'v', p->type);

        return r < 0 ? r : p->set(q->info, reply);
}

/* Which property a reply is about is written on the slot of its call. */
static int on_property(sd_bus_message *reply, void *userdata, sd_bus_error *error _unused_)
{
        Query *q = userdata;
        sd_bus_slot *slot = sd_bus_get_current_slot(q->bus);
        const Property *p = NULL;
        const char *description = NULL;
        int r;

        (void)sd_bus_slot_get_description(slot, &description);
        for (size_t i = 0; i < ARRAY_SIZE(properties); i++)
                if (description && strcmp(description, properties[i].name) == 0)
                        p = &properties[i];
        if (sd_bus_message_is_method_error(reply, NULL)) {
                r = unit_error(sd_bus_message_get_error(reply));
                /* Not every type and version has each of them (a scope has no User=). */
                if (r == -ENOENT && p && !p->on_unit)
                        r = 0;
        } else {
                r = p ? parse_property(q, p, reply) : -EBADMSG;
        }
        if (r < 0 && q->error == 0)
                q->error = r;
        if (--q->n_pending == 0)
                query_finish(q);
        return 0;
}

static int ask_property(Query *q, const char *path, const char *interface, const Property *p,
                        sd_bus_slot **ret_slot)
{
        int r;

        r = unit_call(q->bus, ret_slot, path, "org.freedesktop.DBus.Properties", "Get", on_property, q, "ss",
                      interface, p->name);
        if (r < 0)
                return r;
        q->n_pending++;
        return sd_bus_slot_set_description(*ret_slot, p->name);
}

/* Sends all of them. The first one's slot becomes the lead if there is none yet. */
static int ask_properties(Query *q, const char *path, const char *name)
{
        const char *interface = cgroup_interface(name);

        for (size_t i = 0; i < ARRAY_SIZE(properties); i++) {
                const Property *p = &properties[i];
                sd_bus_slot **slot = q->lead ? &q->calls[q->n_calls] : &q->lead;
                int r;

                if (!p->on_unit && !interface)
                        continue;
                r = ask_property(q, path, p->on_unit ? SYSTEMD_INTERFACE_UNIT : interface, p, slot);
                if (*slot && slot != &q->lead)
                        q->n_calls++;
                if (r < 0)
                        return r;
        }
        return 0;
}

static int query_new(sd_bus *bus, unit_info_cb cb, void *userdata, Query **ret)
{
        Query *q = calloc(1, sizeof(*q));

        if (!q)
                return -ENOMEM;
        q->info = calloc(1, sizeof(*q->info));
        if (!q->info) {
                free(q);
                return -ENOMEM;
        }
        q->bus = bus;
        q->cb = cb;
        q->userdata = userdata;
        *ret = q;
        return 0;
}

/* After the first calls were sent: r < 0 if that failed. Gives the lead away, if it is wanted. */
static int query_start(Query *q, int r, sd_bus_slot **ret_slot)
{
        if (r < 0) {
                query_free(q);
                return r;
        }
        if (ret_slot) {
                sd_bus_slot_set_destroy_callback(q->lead, query_destroyed);
                *ret_slot = TAKE_PTR(q->lead);
        }
        return 0;
}

int unit_get(sd_bus *bus, const char *name, unit_info_cb cb, void *userdata, sd_bus_slot **ret_slot)
{
        _cleanup_free_ char *path = NULL;
        Query *q;
        int r;

        r = unit_path(name, &path);
        if (r < 0)
                return r;
        r = query_new(bus, cb, userdata, &q);
        if (r < 0)
                return r;
        return query_start(q, ask_properties(q, path, name), ret_slot);
}

/* The reply to GetUnitByPID or GetUnitByControlGroup: an object path, which names the unit. */
static int read_unit_path(Query *q, sd_bus_message *reply)
{
        _cleanup_free_ char *name = NULL;
        const char *path;
        sd_bus_slot *lead = q->lead;
        int r;

        if (sd_bus_message_is_method_error(reply, NULL))
                return unit_error(sd_bus_message_get_error(reply));
        r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return r;
        r = sd_bus_path_decode(path, SYSTEMD_UNIT_PATH, &name);
        if (r <= 0)
                return r < 0 ? r : -EBADMSG;
        /* There is a lead already, whoever holds it. */
        q->lead = lead ? lead : sd_bus_get_current_slot(q->bus);
        r = ask_properties(q, path, name);
        q->lead = lead;
        return r;
}

static int on_unit_path(sd_bus_message *reply, void *userdata, sd_bus_error *error _unused_)
{
        Query *q = userdata;
        int r = read_unit_path(q, reply);

        if (r < 0) {
                q->error = r;
                /* Replies that are still on their way are of no interest. */
                while (q->n_calls > 0)
                        sd_bus_slot_unref(q->calls[--q->n_calls]);
                query_finish(q);
        }
        return 0;
}

int unit_get_by_pid(sd_bus *bus, pid_t pid, unit_info_cb cb, void *userdata, sd_bus_slot **ret_slot)
{
        Query *q;
        int r;

        /* 0 would mean the caller, and that is us. */
        if (pid <= 0)
                return -EINVAL;
        r = query_new(bus, cb, userdata, &q);
        if (r < 0)
                return r;
        r = unit_call(bus, &q->lead, SYSTEMD_PATH, SYSTEMD_INTERFACE_MANAGER, "GetUnitByPID", on_unit_path,
                      q, "u", (uint32_t)pid);
        return query_start(q, r, ret_slot);
}

int unit_get_by_cgroup(sd_bus *bus, const char *cgroup, unit_info_cb cb, void *userdata,
                       sd_bus_slot **ret_slot)
{
        Query *q;
        int r;

        r = query_new(bus, cb, userdata, &q);
        if (r < 0)
                return r;
        r = unit_call(bus, &q->lead, SYSTEMD_PATH, SYSTEMD_INTERFACE_MANAGER, "GetUnitByControlGroup",
                      on_unit_path, q, "s", cgroup);
        return query_start(q, r, ret_slot);
}
