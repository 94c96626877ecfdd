/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/unit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/cgroup.h"
#include "daemon/unit-internal.h"

/* What we ask systemd to do. As in unit.c, the caller's slot is that of the first call, and freeing it frees
 * the Order; that takes nothing back: what systemd was asked for, it does. */

typedef struct Order {
        sd_bus *bus;
        sd_bus_slot *lead; /* ours only when the caller did not want it */
        sd_bus_slot *third;
        UnitJob *job;
        char *unit;
        bool started, removed; /* a scope: the call was answered, its job has ended */
        char *job_result;
        unit_done_cb cb;
        void *userdata;
} Order;

int unit_call(sd_bus *bus, sd_bus_slot **ret_slot, const char *path, const char *interface,
              const char *member, sd_bus_message_handler_t cb, void *userdata, const char *types, ...)
{
        sd_bus_message *m = NULL;
        va_list ap;
        int r;

        r = sd_bus_message_new_method_call(bus, &m, SYSTEMD_NAME, path, interface, member);
        if (r < 0)
                return r;
        va_start(ap, types);
        r = sd_bus_message_appendv(m, types, ap);
        va_end(ap);
        if (r >= 0)
                r = sd_bus_call_async(bus, ret_slot, m, cb, userdata, SYSTEMD_TIMEOUT_USEC);
        sd_bus_message_unref(m);
        return r < 0 ? r : 0;
}

static void order_free(Order *o)
{
        sd_bus_slot_unref(o->third);
        unit_job_free(o->job);
        sd_bus_slot_unref(o->lead);
        free(o->unit);
        free(o->job_result);
        free(o);
}

static void order_destroyed(void *userdata)
{
        Order *o = userdata;

        o->lead = NULL;
        order_free(o);
}

static int order_new(sd_bus *bus, const char *unit, unit_done_cb cb, void *userdata, Order **ret)
{
        Order *o = calloc(1, sizeof(*o));

        if (!o)
                return -ENOMEM;
        o->bus = bus;
        o->cb = cb;
        o->userdata = userdata;
        o->unit = strdup(unit);
        if (!o->unit) {
                free(o);
                return -ENOMEM;
        }
        *ret = o;
        return 0;
}

static int order_start(Order *o, int r, sd_bus_slot **ret_slot)
{
        if (r < 0) {
                order_free(o);
                return r;
        }
        if (ret_slot) {
                sd_bus_slot_set_destroy_callback(o->lead, order_destroyed);
                *ret_slot = TAKE_PTR(o->lead);
        }
        return 0;
}

/* The caller may free his slot from within the callback, and o with it. */
static int order_finish(Order *o, int error, const char *message)
{
        bool own = o->lead;

        o->cb(error, message, o->userdata);
        if (own)
                order_free(o);
        return 0;
}

static int order_fail(Order *o, sd_bus_message *reply)
{
        const sd_bus_error *e = sd_bus_message_get_error(reply);

        return order_finish(o, unit_error(e), e->message ? e->message : e->name);
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error _unused_)
{
        if (sd_bus_message_is_method_error(reply, NULL))
                return order_fail(userdata, reply);
        return order_finish(userdata, 0, NULL);
}

static int append_mems(sd_bus_message *m, const NodeSet *nodes)
{
        uint8_t bytes[NODESET_BYTES_MAX];
        size_t n = nodeset_to_bytes(nodes, bytes);
        int r;

        r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'r', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "AllowedMemoryNodes");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "ay");
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'y', bytes, n);
        for (unsigned i = 0; i < 3 && r >= 0; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

int unit_set_mems(sd_bus *bus, const char *name, const NodeSet *nodes, unit_done_cb cb, void *userdata,
                  sd_bus_slot **ret_slot)
{
        sd_bus_message *m = NULL;
        Order *o;
        int r;

        /* systemd would leave the kernel's value as it is. */
        if (nodeset_is_empty(nodes))
                return -EINVAL;
        r = order_new(bus, name, cb, userdata, &o);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_call(bus, &m, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_INTERFACE_MANAGER,
                                           "SetUnitProperties");
        if (r >= 0)
                r = sd_bus_message_append(m, "sb", name, true);
        if (r >= 0)
                r = append_mems(m, nodes);
        if (r >= 0)
                r = sd_bus_call_async(bus, &o->lead, m, on_reply, o, SYSTEMD_TIMEOUT_USEC);
        sd_bus_message_unref(m);
        return order_start(o, r, ret_slot);
}

int unit_daemon_reload(sd_bus *bus, unit_done_cb cb, void *userdata, sd_bus_slot **ret_slot)
{
        Order *o;
        int r;

        r = order_new(bus, "", cb, userdata, &o);
        if (r < 0)
                return r;
        r = unit_call(bus, &o->lead, SYSTEMD_PATH, SYSTEMD_INTERFACE_MANAGER, "Reload", on_reply, o, "");
        return order_start(o, r, ret_slot);
}

int unit_ping(sd_bus *bus, unit_done_cb cb, void *userdata, sd_bus_slot **ret_slot)
{
        Order *o;
        int r;

        r = order_new(bus, "", cb, userdata, &o);
        if (r < 0)
                return r;
        r = unit_call(bus, &o->lead, SYSTEMD_PATH, "org.freedesktop.DBus.Peer", "Ping", on_reply, o, "");
        return order_start(o, r, ret_slot);
}

/* Both the answer to StartTransientUnit and the end of its job are needed; they may come in any order. */
static int scope_progress(Order *o)
{
        _cleanup_free_ char *message = NULL;

        if (!o->started || !o->removed)
                return 0;
        if (strcmp(o->job_result, "done") == 0)
                return order_finish(o, 0, NULL);
        if (asprintf(&message, "systemd's job for %s ended with '%s'", o->unit, o->job_result) < 0)
                message = NULL;
        return order_finish(o, strcmp(o->job_result, "timeout") == 0 ? -ETIMEDOUT : -ECANCELED, message);
}

static void on_job_ended(const char *result, void *userdata)
{
        Order *o = userdata;

        o->job_result = strdup(result);
        o->removed = true;
        if (o->job_result)
                (void)scope_progress(o);
        else
                (void)order_finish(o, -ENOMEM, NULL);
}

static int on_scope_started(sd_bus_message *reply, void *userdata, sd_bus_error *error _unused_)
{
        Order *o = userdata;

        if (sd_bus_message_is_method_error(reply, NULL))
                return order_fail(o, reply);
        o->started = true;
        return scope_progress(o);
}

static int append_scope(sd_bus_message *m, const char *name, const char *slice, const char *description,
                        pid_t pid, uint64_t memory_max_bytes)
{
        int r;

        r = sd_bus_message_append(m, "ss", name, "fail");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)", "PIDs", "au", 1, (uint32_t)pid, "Slice",
                                          "s", slice, "Description", "s", description, "CollectMode", "s",
                                          "inactive-or-failed");
        if (r >= 0 && memory_max_bytes > 0)
                r = sd_bus_message_append(m, "(sv)", "MemoryMax", "t", memory_max_bytes);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_append(m, "a(sa(sv))", 0);
}

int unit_start_scope(sd_bus *bus, UnitJobs *jobs, const char *name, const char *slice,
                     const char *description, pid_t pid, uint64_t memory_max_bytes, unit_done_cb cb,
                     void *userdata, sd_bus_slot **ret_slot)
{
        sd_bus_message *m = NULL;
        Order *o;
        int r;

        if (pid <= 0)
                return -EINVAL;
        r = order_new(bus, name, cb, userdata, &o);
        if (r < 0)
                return r;
        r = unit_job_wait(jobs, name, on_job_ended, o, &o->job);
        if (r >= 0)
                r = sd_bus_message_new_method_call(bus, &m, SYSTEMD_NAME, SYSTEMD_PATH,
                                                   SYSTEMD_INTERFACE_MANAGER, "StartTransientUnit");
        if (r >= 0)
                r = append_scope(m, name, slice, description, pid, memory_max_bytes);
        if (r >= 0)
                r = sd_bus_call_async(bus, &o->lead, m, on_scope_started, o, SYSTEMD_TIMEOUT_USEC);
        sd_bus_message_unref(m);
        return order_start(o, r, ret_slot);
}

/* "a-b.slice" is "/a.slice/a-b.slice", "-.slice" is "/". */
static int slice_cgroup(const char *slice, char **ret)
{
        _cleanup_free_ char *path = NULL;
        size_t n = strlen(slice);

        if (n < 7 || strcmp(slice + n - 6, ".slice") != 0)
                return -EINVAL;
        n -= 6;
        path = strdup(strcmp(slice, "-.slice") == 0 ? "/" : "");
        if (!path)
                return -ENOMEM;
        for (size_t i = 1; i <= n && strcmp(path, "/") != 0; i++) {
                char *longer;

                if (i < n && slice[i] != '-')
                        continue;
                if (asprintf(&longer, "%s/%.*s.slice", path, (int)i, slice) < 0)
                        return -ENOMEM;
                free(path);
                path = longer;
        }
        *ret = TAKE_PTR(path);
        return 0;
}

/* Poking.
 *
 * After a daemon-reload systemd 257 knows the new AllowedMemoryNodes= of the running units, and applies it
 * to none of them (init.scope excepted). It does so for all members of a slice as soon as one of them is
 * realised again, which setting any property of a member causes. What was tried on 257: an empty list of
 * properties does nothing, neither does a property of the slice itself (that realises the siblings of the
 * slice); a transient scope works, but needs a process; any ordinary property works and leaves a drop-in
 * behind in /run/systemd/system.control. The property Markers= is the exception: it exists only in memory.
 * So one member has its Markers read and set to what they were: if there is one, a member with processes,
 * since systemd realises no unit that has ended, whose cgroup may still be there; else any, such as a
 * socket, which is active without a process. On 252, which realises everything on reload, it does no harm.
 */
static int on_markers(sd_bus_message *reply, void *userdata, sd_bus_error *error _unused_)
{
        sd_bus_message *m = NULL;
        Order *o = userdata;
        int r;

        if (sd_bus_message_is_method_error(reply, NULL))
                return order_fail(o, reply);
        r = sd_bus_message_new_method_call(o->bus, &m, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_INTERFACE_MANAGER,
                                           "SetUnitProperties");
        if (r >= 0)
                r = sd_bus_message_append(m, "sb", o->unit, true);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'r', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "Markers");
        if (r >= 0)
                r = sd_bus_message_copy(m, reply, true); /* the variant, as it came */
        for (unsigned i = 0; i < 2 && r >= 0; i++)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_call_async(o->bus, &o->third, m, on_reply, o, SYSTEMD_TIMEOUT_USEC);
        sd_bus_message_unref(m);
        return r < 0 ? order_finish(o, r, strerror(-r)) : 0;
}

int unit_poke_slice(sd_bus *bus, const char *slice, unit_done_cb cb, void *userdata, sd_bus_slot **ret_slot)
{
        _cleanup_free_ char *cgroup = NULL, *member = NULL, *path = NULL;
        Order *o;
        int fd, r;

        r = slice_cgroup(slice, &cgroup);
        if (r < 0)
                return r;
        fd = cgroup_open(cgroup, NULL);
        if (fd < 0)
                return fd;
        r = cgroup_find_child(fd, unit_has_cgroup, &member);
        close(fd);
        if (r < 0)
                return r;
        r = unit_path(member, &path);
        if (r < 0)
                return r;
        r = order_new(bus, member, cb, userdata, &o);
        if (r < 0)
                return r;
        r = unit_call(bus, &o->lead, path, "org.freedesktop.DBus.Properties", "Get", on_markers, o, "ss",
                      SYSTEMD_INTERFACE_UNIT, "Markers");
        return order_start(o, r, ret_slot);
}
