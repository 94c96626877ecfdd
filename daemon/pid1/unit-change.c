/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/pid1/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/kernel/cgroup.h"
#include "daemon/kernel/owner.h"
#include "daemon/pid1/unit-call.h"
#include "daemon/pid1/unit-jobs.h"
#include "policy/word.h"

/* Requests to systemd. As in unit.c, the UnitOrder is the caller's UnitCall. Freeing it does not cancel a
 * request that was sent. The message is created when the gate admits the UnitOrder. */

typedef struct UnitOrder UnitOrder;

struct UnitOrder {
        UnitCall call;
        bool unwanted; /* the caller has no handle */
        int (*send)(UnitOrder *o);
        char *unit;
        const char *property;
        NodeSet nodes;
        unit_done_cb cb;
        void *userdata;

        /* for a scope */
        char *slice, *description;
        pid_t pid;
        uint64_t memory_max_bytes;
        UnitJobs *jobs;
        UnitJob *job;
        bool started, removed; /* the reply has arrived; the job has ended */
        char *job_result;
};

static void order_free(UnitCall *c)
{
        UnitOrder *o = (UnitOrder *)c;

        gate_leave(o->call.pass);
        unit_job_free(o->job);
        free(o->unit);
        free(o->slice);
        free(o->description);
        free(o->job_result);
        free(o);
}

/* The caller may free the UnitOrder from within the callback. */
static void order_finish(UnitOrder *o, int error, const char *message)
{
        bool unwanted = o->unwanted;

        o->call.pass = gate_leave(o->call.pass);
        o->job = unit_job_free(o->job);
        o->cb(error, message, o->userdata);
        if (unwanted)
                order_free(&o->call);
}

/* Returns 0, or the error, after passing it to the callback. */
static int order_check(UnitOrder *o, sd_bus_message *reply)
{
        const sd_bus_error *e = reply ? sd_bus_message_get_error(reply) : NULL;
        int r = unit_reply_error(reply);

        if (r < 0)
                order_finish(o, r, !e ? "it did not answer in time" : e->message ? e->message : e->name);
        return r;
}

static void unit_on_reply(sd_bus_message *reply, void *userdata)
{
        if (order_check(userdata, reply) == 0)
                order_finish(userdata, 0, NULL);
}

static void unit_change_on_admitted(GatePass *pass _unused_, void *userdata)
{
        UnitOrder *o = userdata;
        int r = o->send(o);

        if (r < 0)
                order_finish(o, r, strerror(-r));
}

/* Copies `what` and enters the gate. */
static int order_start(Gate *gate, const UnitOrder *what, UnitCall **ret)
{
        UnitOrder *o = calloc(1, sizeof(*o));
        int r = -ENOMEM;

        if (!o)
                return r;
        *o = *what;
        o->call.free = order_free;
        o->unwanted = !ret;
        o->unit = o->slice = o->description = NULL;
        if (string_copy(what->unit, &o->unit) >= 0 && string_copy(what->slice, &o->slice) >= 0 &&
            string_copy(what->description, &o->description) >= 0)
                r = gate_enter(gate, GATE_OWN, 1, unit_change_on_admitted, o, &o->call.pass);
        if (r < 0)
                order_free(&o->call);
        else if (ret)
                *ret = &o->call;
        return r;
}

static int unit_message_new(const UnitOrder *o, const char *member, sd_bus_message **ret)
{
        return sd_bus_message_new_method_call(gate_pass_bus(o->call.pass), ret, SYSTEMD_NAME, SYSTEMD_PATH,
                                              SYSTEMD_INTERFACE_MANAGER, member);
}

static int unit_append_mems(sd_bus_message *m, const char *property, const NodeSet *nodes)
{
        uint8_t bytes[NODESET_BYTES_MAX];
        size_t n = nodeset_to_bytes(nodes, bytes);
        int r;

        r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'r', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", property);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "ay");
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'y', bytes, n);
        for (unsigned i = 0; i < 3 && r >= 0; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

static int unit_send_mems(UnitOrder *o)
{
        sd_bus_message *m = NULL;
        int r = unit_message_new(o, "SetUnitProperties", &m);

        if (r >= 0)
                r = sd_bus_message_append(m, "sb", o->unit, true);
        if (r >= 0)
                r = unit_append_mems(m, o->property, &o->nodes);
        if (r >= 0)
                r = gate_send(o->call.pass, m, unit_on_reply, o);
        sd_bus_message_unref(m);
        return r;
}

int unit_set_mems(Gate *gate, const char *name, const NodeSet *nodes, unit_done_cb cb, void *userdata,
                  UnitCall **ret)
{
        UnitOrder o = {
                .send = unit_send_mems,
                .unit = (char *)name,
                .property = "AllowedMemoryNodes",
                .nodes = *nodes,
                .cb = cb,
                .userdata = userdata,
        };

        /* For an empty set, systemd does not change the value in the kernel. */
        return nodeset_is_empty(nodes) ? -EINVAL : order_start(gate, &o, ret);
}

int unit_reset_startup_mems(Gate *gate, const char *name, unit_done_cb cb, void *userdata, UnitCall **ret)
{
        UnitOrder o = { .send = unit_send_mems,
                        .unit = (char *)name,
                        .property = "StartupAllowedMemoryNodes",
                        .cb = cb,
                        .userdata = userdata };

        return order_start(gate, &o, ret);
}

static int unit_send_memory_max(UnitOrder *o)
{
        sd_bus_message *m = NULL;
        int r = unit_message_new(o, "SetUnitProperties", &m);

        if (r >= 0)
                r = sd_bus_message_append(m, "sba(sv)", o->unit, true, 1, "MemoryMax", "t",
                                          o->memory_max_bytes);
        if (r >= 0)
                r = gate_send(o->call.pass, m, unit_on_reply, o);
        sd_bus_message_unref(m);
        return r;
}

int unit_set_memory_max(Gate *gate, const char *name, uint64_t bytes, unit_done_cb cb, void *userdata,
                        UnitCall **ret)
{
        UnitOrder o = { .send = unit_send_memory_max,
                        .unit = (char *)name,
                        .memory_max_bytes = bytes,
                        .cb = cb,
                        .userdata = userdata };

        return order_start(gate, &o, ret);
}

static int unit_send_reload(UnitOrder *o)
{
        return unit_send(&o->call, SYSTEMD_PATH, SYSTEMD_INTERFACE_MANAGER, "Reload", unit_on_reply, o, "");
}

int unit_daemon_reload(Gate *gate, unit_done_cb cb, void *userdata, UnitCall **ret)
{
        UnitOrder o = { .send = unit_send_reload, .cb = cb, .userdata = userdata };

        return order_start(gate, &o, ret);
}

static int unit_send_ping(UnitOrder *o)
{
        return unit_send(&o->call, SYSTEMD_PATH, "org.freedesktop.DBus.Peer", "Ping", unit_on_reply, o, "");
}

int unit_ping(Gate *gate, unit_done_cb cb, void *userdata, UnitCall **ret)
{
        UnitOrder o = { .send = unit_send_ping, .cb = cb, .userdata = userdata };

        return order_start(gate, &o, ret);
}

/* Waits for both the reply to StartTransientUnit and the end of its job, which may arrive in any order. */
static void unit_scope_progress(UnitOrder *o)
{
        _cleanup_free_ char *message = NULL;

        if (!o->started || !o->removed)
                return;
        if (strcmp(o->job_result, "done") == 0) {
                order_finish(o, 0, NULL);
                return;
        }
        if (asprintf(&message, "systemd's job for %s ended with '%s'", o->unit, o->job_result) < 0)
                message = NULL;
        order_finish(o, strcmp(o->job_result, "timeout") == 0 ? -ETIMEDOUT : -ECANCELED, message);
}

static void unit_on_job_ended(const char *result, void *userdata)
{
        UnitOrder *o = userdata;

        o->job_result = strdup(result);
        if (!o->job_result) {
                order_finish(o, -ENOMEM, NULL);
                return;
        }
        o->removed = true;
        unit_scope_progress(o);
}

static void unit_on_scope_started(sd_bus_message *reply, void *userdata)
{
        UnitOrder *o = userdata;

        if (order_check(o, reply) < 0)
                return;
        o->call.pass = gate_leave(o->call.pass); /* the job may take long */
        o->started = true;
        unit_scope_progress(o);
}

static int unit_append_scope(sd_bus_message *m, const UnitOrder *o)
{
        int r;

        r = sd_bus_message_append(m, "ss", o->unit, "fail");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)", "PIDs", "au", 1, (uint32_t)o->pid, "Slice",
                                          "s", o->slice, "Description", "s", o->description, "CollectMode",
                                          "s", "inactive-or-failed");
        if (r >= 0 && o->memory_max_bytes > 0)
                r = sd_bus_message_append(m, "(sv)", "MemoryMax", "t", o->memory_max_bytes);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_append(m, "a(sa(sv))", 0);
}

static int unit_send_scope(UnitOrder *o)
{
        sd_bus_message *m = NULL;
        int r;

        r = unit_job_wait(o->jobs, o->unit, unit_on_job_ended, o, &o->job);
        if (r >= 0)
                r = unit_message_new(o, "StartTransientUnit", &m);
        if (r >= 0)
                r = unit_append_scope(m, o);
        if (r >= 0)
                r = gate_send(o->call.pass, m, unit_on_scope_started, o);
        sd_bus_message_unref(m);
        return r;
}

int unit_start_scope(Gate *gate, UnitJobs *jobs, const char *name, const char *slice,
                     const char *description, pid_t pid, uint64_t memory_max_bytes, unit_done_cb cb,
                     void *userdata, UnitCall **ret)
{
        UnitOrder o = { .send = unit_send_scope,
                        .jobs = jobs,
                        .unit = (char *)name,
                        .slice = (char *)slice,
                        .description = (char *)description,
                        .pid = pid,
                        .memory_max_bytes = memory_max_bytes,
                        .cb = cb,
                        .userdata = userdata };

        return pid <= 0 ? -EINVAL : order_start(gate, &o, ret);
}

/* Returns the path of the unit's cgroup in the cgroup `slice`; NULL: out of memory. */
static char *unit_cgroup_in(const char *slice, const char *unit)
{
        char *path;

        return asprintf(&path, "%s/%s%s", slice[1] ? slice : "", word_unit_escape(unit), unit) < 0 ? NULL
                                                                                                   : path;
}

/* Returns "/a.slice/a-b.slice" for "a-b.slice", and "/" for "-.slice". */
static int unit_slice_cgroup(const char *slice, char **ret)
{
        _cleanup_free_ char *path = NULL;
        size_t n = strlen(slice);

        if (n < 7 || strcmp(slice + n - 6, ".slice") != 0)
                return -EINVAL;
        n -= 6;
        path = strdup("/");
        if (!path)
                return -ENOMEM;
        for (size_t i = 1; i <= n && strcmp(slice, "-.slice") != 0; i++) {
                _cleanup_free_ char *unit = NULL;
                char *longer;

                if (i < n && slice[i] != '-')
                        continue;
                if (asprintf(&unit, "%.*s.slice", (int)i, slice) < 0) {
                        unit = NULL;
                        return -ENOMEM;
                }
                longer = unit_cgroup_in(path, unit);
                if (!longer)
                        return -ENOMEM;
                free(path);
                path = longer;
        }
        *ret = TAKE_PTR(path);
        return 0;
}

char *unit_future_cgroup(const UnitInfo *u)
{
        _cleanup_free_ char *slice = NULL;

        if (unit_slice_cgroup(u->slice ? u->slice : "-.slice", &slice) < 0)
                return NULL;
        return unit_cgroup_in(slice, u->name);
}

/* Poking a slice.
 *
 * After a daemon-reload systemd 257 knows the new AllowedMemoryNodes= of the running units, but applies it
 * to none of them (except init.scope). It applies it to all members of a slice as soon as one of them is
 * realized again, which happens when any property of a member is set. Alternatives on 257: an empty list of
 * properties has no effect, and neither has a property of the slice (it realizes the siblings of the slice);
 * a transient scope works, but needs a process; any ordinary property works, but leaves a drop-in behind in
 * /run/systemd/system.control. The property Markers= is the exception: it exists only in memory. So the
 * Markers of one member are read and set to the same value. A member with processes is preferred, because
 * systemd does not realize a unit that has ended, although its cgroup may still exist. Otherwise any member
 * is used, such as a socket, which is active without a process. 252 realizes everything on reload; there the
 * poke does no harm. */
static int unit_send_markers(UnitOrder *o, sd_bus_message *reply)
{
        sd_bus_message *m = NULL;
        int r = unit_message_new(o, "SetUnitProperties", &m);

        if (r >= 0)
                r = sd_bus_message_append(m, "sb", o->unit, true);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'r', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "Markers");
        if (r >= 0)
                r = sd_bus_message_copy(m, reply, true); /* the variant, unchanged */
        for (unsigned i = 0; i < 2 && r >= 0; i++)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = gate_send(o->call.pass, m, unit_on_reply, o);
        sd_bus_message_unref(m);
        return r;
}

static void unit_on_markers(sd_bus_message *reply, void *userdata)
{
        UnitOrder *o = userdata;

        if (order_check(o, reply) < 0)
                return;
        int r = unit_send_markers(o, reply);
        if (r < 0)
                order_finish(o, r, strerror(-r));
}

static int unit_ask_markers(UnitOrder *o)
{
        _cleanup_free_ char *path = NULL;
        int r = unit_path(o->unit, &path);

        return r < 0 ? r
                     : unit_send(&o->call, path, "org.freedesktop.DBus.Properties", "Get", unit_on_markers,
                                 o, "ss", SYSTEMD_INTERFACE_UNIT, "Markers");
}

static bool unit_has_mark(const char *cgroup)
{
        int fd = cgroup_open(cgroup, NULL);
        bool marked = fd >= 0 && !owner_is_doubtful(fd);

        if (fd >= 0)
                close(fd);
        return marked;
}

/* systemd takes over the cgroup of a slice whose name it hears, and gives it a set of its own: a name that a
 * cgroup of another program has must not be told to systemd. PID 1 may not have been asked yet whose it is, so
 * a slice needs the mark of systemd. */
static bool unit_accepts_member(const char *name, void *userdata)
{
        const char *slice_cgroup = userdata;
        _cleanup_free_ char *path = NULL;

        if (!unit_has_cgroup(name))
                return false;
        if (asprintf(&path, "%s/%s", slice_cgroup[1] ? slice_cgroup : "", name) < 0) {
                path = NULL;
                return false;
        }
        return owner_top(path) == 0 && (!owner_name_is_slice(name, strlen(name)) || unit_has_mark(path));
}

int unit_find_member(const char *slice, char **ret)
{
        _cleanup_free_ char *cgroup = NULL, *name = NULL;
        int fd, r;

        r = unit_slice_cgroup(slice, &cgroup);
        if (r < 0)
                return r;
        fd = cgroup_open(cgroup, NULL);
        if (fd < 0)
                return fd;
        r = cgroup_find_child(fd, unit_accepts_member, cgroup, &name);
        close(fd);
        return r < 0 ? r : string_copy(word_unit_of_name(name), ret);
}

int unit_poke(Gate *gate, const char *member, unit_done_cb cb, void *userdata, UnitCall **ret)
{
        UnitOrder o = { .send = unit_ask_markers, .unit = (char *)member, .cb = cb, .userdata = userdata };

        return order_start(gate, &o, ret);
}
