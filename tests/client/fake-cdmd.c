/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A cdmd that only talks: one pool, two nodes, one reservation, and answers that follow from the name of the
 * pool that is asked for. What it was asked is printed, for the tests of cdmctl to look at. */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "policy/cdm-names.h"
#include "policy/macro.h"

#define ESCAPE "\033[31m"

static bool sticky;   /* the next release leaves residue */
static bool demoting; /* the fence is open to demotion */
static bool open_fence, without_nodes;
static bool granted_later, ended_early; /* after its State was read twice */
static unsigned n_state_reads;
static bool queued; /* the reservation waits, and has no node */
/* The next release gets on with each look at Used, and ends with the last. */
static bool slow;
static uint64_t slow_left_bytes;

/* Every property that is one value. */
static const struct {
        const char *interface, *property, *type, *text;
        uint64_t number;
} values[] = {
        { CDM_INTERFACE_MANAGER, "Version", "s", "1" },
        { CDM_INTERFACE_MANAGER, "Mode", "s", "enforce" },
        { CDM_INTERFACE_MANAGER, "FenceState", "s", "leaky" },
        { CDM_INTERFACE_MANAGER, "IntruderBytesDrained", "t", NULL, 4096 },
        { CDM_INTERFACE_MANAGER, "DriftRepaired", "t", NULL, 3 },
        { CDM_INTERFACE_RESERVATION, "Id", "u", NULL, 7 },
        { CDM_INTERFACE_RESERVATION, "Pool", "s", "hbm" },
        { CDM_INTERFACE_RESERVATION, "Size", "t", NULL, 64 << 20 },
        { CDM_INTERFACE_RESERVATION, "State", "s", "active" },
        { CDM_INTERFACE_RESERVATION, "Strength", "s", "exclusive" },
        { CDM_INTERFACE_RESERVATION, "Unit", "s", "a" ESCAPE ".service" },
        { CDM_INTERFACE_RESERVATION, "ControlGroup", "s", "/system.slice/a.service" },
        { CDM_INTERFACE_RESERVATION, "Uid", "u", NULL, 0 },
        { CDM_INTERFACE_RESERVATION, "Requester", "u", NULL, 0 },
        { CDM_INTERFACE_RESERVATION, "Priority", "i", NULL, (uint64_t)-5 },
        { CDM_INTERFACE_RESERVATION, "Policy", "s", "/etc/cdm/policy.d/a.conf:2" },
        { CDM_INTERFACE_RESERVATION, "Expires", "t", NULL, UINT64_MAX },
        { CDM_INTERFACE_POOL, "Name", "s", "hbm" },
        { CDM_INTERFACE_POOL, "Description", "s", "fast" },
        { CDM_INTERFACE_POOL, "Size", "t", NULL, 100 << 20 },
        { CDM_INTERFACE_POOL, "Reserved", "t", NULL, 64 << 20 },
        { CDM_INTERFACE_POOL, "Available", "t", NULL, 36 << 20 },
        { CDM_INTERFACE_POOL, "Used", "t", NULL, 1 << 20 },
        { CDM_INTERFACE_POOL, "Hold", "b", NULL, 0 },
        { CDM_INTERFACE_POOL, "FenceState", "s", "closed" },
        { CDM_INTERFACE_NODE, "Node", "u", NULL, 0 },
        { CDM_INTERFACE_NODE, "Pool", "s", "hbm" },
        { CDM_INTERFACE_NODE, "Size", "t", NULL, 100 << 20 },
        { CDM_INTERFACE_NODE, "Free", "t", NULL, 99 << 20 },
        { CDM_INTERFACE_NODE, "Used", "t", NULL, 1 << 20 },
        { CDM_INTERFACE_NODE, "Reserved", "t", NULL, 64 << 20 },
        { CDM_INTERFACE_NODE, "Unattributed", "t", NULL, 0 },
        { CDM_INTERFACE_NODE, "Online", "b", NULL, 1 },
        { CDM_INTERFACE_NODE, "Drained", "b", NULL, 0 },
        { CDM_INTERFACE_NODE, "Device", "s", "" },
        { CDM_INTERFACE_NODE, "ReadBandwidth", "t", NULL, 0 },
        { CDM_INTERFACE_NODE, "ReadLatency", "t", NULL, 90 },
        { CDM_INTERFACE_NODE, "Tier", "i", NULL, (uint64_t)-1 },
};

static int emit_released(sd_bus *bus)
{
        return sd_bus_emit_signal(bus, CDM_PATH, CDM_INTERFACE_MANAGER, "Event", "sua{sv}", "released", 7, 2,
                                  "moved", "t", UINT64_C(64) << 20, "size", "t", UINT64_C(64) << 20);
}

static int get_used(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        uint64_t used = slow ? UINT64_C(64) << 20 : UINT64_C(1) << 20;

        if (slow_left_bytes > 0) {
                used = slow_left_bytes -= UINT64_C(16) << 20;
                slow = used > 0;
                if (!slow && emit_released(bus) < 0)
                        return -EIO;
        }
        return sd_bus_message_append(reply, "t", used);
}

static int get_state(sd_bus *bus, const char *path, sd_bus_message *reply)
{
        int r = 0;

        if (++n_state_reads > 2)
                return granted_later ? sd_bus_message_append_basic(reply, 's', "active") : -ENOENT;
        if (n_state_reads == 2 && granted_later)
                r = sd_bus_emit_signal(bus, path, "org.freedesktop.DBus.Properties", "PropertiesChanged",
                                       "sa{sv}as", CDM_INTERFACE_RESERVATION, 0, 0);
        else if (n_state_reads == 2)
                r = sd_bus_emit_signal(bus, CDM_PATH, "org.freedesktop.DBus.ObjectManager",
                                       "InterfacesRemoved", "oas", path, 1, CDM_INTERFACE_RESERVATION);
        return r < 0 ? r : sd_bus_message_append_basic(reply, 's', "queued");
}

static int get_value(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
                if (strcmp(values[i].interface, interface) != 0 || strcmp(values[i].property, property) != 0)
                        continue;
                if (demoting && strcmp(property, "FenceState") == 0)
                        return sd_bus_message_append_basic(reply, 's', CDM_FENCE_OPEN_DEMOTION);
                if (open_fence && strcmp(property, "FenceState") == 0)
                        return sd_bus_message_append_basic(reply, 's', "open");
                if ((granted_later || ended_early) && strcmp(property, "State") == 0)
                        return get_state(bus, path, reply);
                if (queued && strcmp(property, "State") == 0)
                        return sd_bus_message_append_basic(reply, 's', "queued");
                if (values[i].text)
                        return sd_bus_message_append_basic(reply, 's', values[i].text);
                return sd_bus_message_append(reply, values[i].type, values[i].number);
        }
        return -ENOENT;
}

static int get_nodes(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        if (strcmp(interface, CDM_INTERFACE_RESERVATION) == 0 && queued)
                return sd_bus_message_append(reply, "a(ut)", 0);
        if (strcmp(interface, CDM_INTERFACE_RESERVATION) == 0)
                return sd_bus_message_append(reply, "a(ut)", 1, 0, UINT64_C(64) << 20);
        if (strcmp(interface, CDM_INTERFACE_POOL) == 0 && without_nodes)
                return sd_bus_message_append(reply, "au", 0);
        return sd_bus_message_append(reply, "au", 1, 0);
}

static int get_unfenced(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return sd_bus_message_append(reply, "a(sss)", 1, "/odd.slice", "", "written by a container tool");
}

static int get_fights(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return sd_bus_message_append(reply, "a(sus)", 1, "a.service", 4, "it has nodes 0" ESCAPE);
}

static int get_warnings(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return sd_bus_message_append(reply, "as", 1, "demotion is on " ESCAPE);
}

/* One of each weight; with Mode=enforce and a leaky fence the client finds one more fault. */
static int get_named_warnings(sd_bus *bus, const char *path, const char *interface, const char *property,
                              sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return sd_bus_message_append(reply, "a(sss)", 2, "demotion", "advice", "demotion is on " ESCAPE,
                                     "pool-empty", "fault",
                                     "pool far (/etc/cdm/pools.d/far.conf:1) is empty: node 9 has no memory "
                                     "here; `cdmctl nodes` shows those that have");
}

static int print_labels(sd_bus_message *m, const char *option)
{
        const char *key, *value;

        int r = sd_bus_message_enter_container(m, 'a', "{ss}");
        printf(" %s", option);
        while (r >= 0 && (r = sd_bus_message_read(m, "{ss}", &key, &value)) > 0)
                printf(",%s=%s", key, value);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int get_labels(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return sd_bus_message_append(reply, "a{ss}", 2, "slurm.account", "ml", "slurm.job", "7 7");
}

static int print_options(sd_bus_message *m)
{
        const char *key, *type;
        int r;

        if ((r = sd_bus_message_enter_container(m, 'a', "{sv}")) < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                union {
                        const char *s;
                        uint64_t t;
                        uint32_t u;
                        int i;
                } v = { 0 };

                if ((r = sd_bus_message_read(m, "s", &key)) < 0 ||
                    (r = sd_bus_message_peek_type(m, NULL, &type)) < 0 ||
                    (r = sd_bus_message_enter_container(m, 'v', type)) < 0 ||
                    (r = *type == 'a' ? print_labels(m, key) : sd_bus_message_read_basic(m, *type, &v)) <
                            0 ||
                    (r = sd_bus_message_exit_container(m)) < 0 || (r = sd_bus_message_exit_container(m)) < 0)
                        return r;
                if (*type == 's')
                        printf(" %s=%s", key, v.s);
                else if (*type == 't')
                        printf(" %s=%llu", key, (unsigned long long)v.t);
                else if (*type == 'a')
                        continue;
                else if (*type == 'h')
                        printf(" %s", key);
                else
                        printf(" %s=%d", key, v.i);
        }
        return sd_bus_message_exit_container(m);
}

static int request(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        uint64_t size;
        const char *pool;

        int r = sd_bus_message_read(m, "st", &pool, &size);
        if (r < 0)
                return r;
        printf("%s %s %llu", sd_bus_message_get_member(m), pool, (unsigned long long)size);
        r = print_options(m);
        puts("");
        fflush(stdout);
        if (r < 0)
                return r;

        if (strcmp(pool, "full") == 0)
                return sd_bus_error_setf(error, CDM_ERROR_FULL, "pool full is full");
        if (strcmp(pool, "denied") == 0)
                return sd_bus_error_setf(error, CDM_ERROR_DENIED, "refused by 10-x.conf:3 " ESCAPE);
        if (strcmp(pool, "none") == 0)
                return sd_bus_error_setf(error, CDM_ERROR_NO_SUCH_POOL, "there is no pool none");
        if (strcmp(pool, "masked") == 0) /* so PID 1 of 257 answers for a masked cdmd */
                return sd_bus_error_setf(error, SD_BUS_ERROR_FILE_EXISTS, "unit is masked");
        sticky = strcmp(pool, "sticky") == 0;
        demoting = strcmp(pool, "demotion") == 0;
        without_nodes = strcmp(pool, "without-nodes") == 0;
        open_fence = without_nodes || strcmp(pool, "open-fence") == 0;
        queued = strcmp(pool, "queued") == 0;
        granted_later = strcmp(pool, "granted-later") == 0;
        ended_early = strcmp(pool, "ended-early") == 0;
        n_state_reads = 0;
        slow = strcmp(pool, "slow") == 0;
        slow_left_bytes = 0;
        if (strcmp(sd_bus_message_get_member(m), "Request") == 0)
                return sd_bus_reply_method_return(m, "o", CDM_PATH_RESERVATION "/7");
        return sd_bus_reply_method_return(m, "a{sv}", 5, "verdict", "s", "full", "reason", "s", "no room",
                                          "policy", "s", "/etc/cdm/policy.d/a.conf:2", "size", "t", size,
                                          "nodes", "a(ut)", 1, 2, size);
}

static int get_reservation(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        uint32_t id;

        int r = sd_bus_message_read(m, "u", &id);
        if (r < 0)
                return r;
        if (id != 7)
                return sd_bus_error_setf(error, CDM_ERROR_NO_SUCH_RESERVATION, "there is no reservation %u",
                                         id);
        return sd_bus_reply_method_return(m, "o", CDM_PATH_RESERVATION "/7");
}

static int reload(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return sd_bus_error_setf(error, CDM_ERROR_BAD_CONFIG,
                                 "/etc/cdm/cdmd.conf:3: what?\nthe old one stays");
}

/* Node 2 is empty; of others something is left. */
static int drain_node(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        uint32_t node;

        int r = sd_bus_message_read(m, "u", &node);
        if (r < 0)
                return r;
        if (node == 9)
                return sd_bus_error_set(error, CDM_ERROR_NO_SUCH_NODE, "there is no node 9");
        if (node == 2)
                return sd_bus_reply_method_return(m, "ttta(sst)", UINT64_C(64) << 20, UINT64_C(0),
                                                  UINT64_C(0), 0);
        return sd_bus_reply_method_return(m, "ttta(sst)", UINT64_C(64) << 20, UINT64_C(0),
                                          UINT64_C(12) << 20, 1, "/a\033.slice", "file", UINT64_C(12) << 20);
}

static int nothing(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return sd_bus_reply_method_return(m, "");
}

static int list_holders(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const uint64_t none = 0;

        return sd_bus_reply_method_return(
                m, "a" CDM_HOLDER, 3, 0, "/system.slice/a.service", "a.service", UINT64_C(30), UINT64_C(1),
                UINT64_C(2), UINT64_C(3), UINT64_C(4), "reserved", "", 2, "", "", UINT64_C(5), none, none,
                none, UINT64_C(5), "unattributed", "hugetlb: all" ESCAPE, 0, "/x.slice", "",
                UINT64_C(7) << 20, UINT64_C(7) << 20, none, none, none, "intruder", "");
}

static int release(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        sd_bus *bus = sd_bus_message_get_bus(m);
        int r;

        puts("Release");
        fflush(stdout);
        r = sd_bus_reply_method_return(m, "");
        if (r < 0)
                return r;
        if (slow) {
                slow_left_bytes = UINT64_C(64) << 20;
                return 0;
        }
        if (!sticky)
                return emit_released(bus);
        return sd_bus_emit_signal(bus, CDM_PATH, CDM_INTERFACE_MANAGER, "Event", "sua{sv}", "residue", 7, 3,
                                  "residue", "t", UINT64_C(12) << 20, "holders", "a(sst)", 1,
                                  "/system.slice", "file", UINT64_C(12) << 20, "unheard-of", "as", 0);
}

static int renew(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        uint64_t usec;

        int r = sd_bus_message_read(m, "t", &usec);
        printf("Renew %llu\n", (unsigned long long)usec);
        fflush(stdout);
        return r < 0 ? r : sd_bus_reply_method_return(m, "");
}

static int resize(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        uint64_t bytes;

        int r = sd_bus_message_read(m, "t", &bytes);
        printf("Resize %llu\n", (unsigned long long)bytes);
        fflush(stdout);
        if (r >= 0 && bytes == UINT64_C(1) << 40)
                return sd_bus_error_setf(error, CDM_ERROR_FULL, "it does not fit");
        return r < 0 ? r : sd_bus_reply_method_return(m, "");
}

/* Tells of it with every detail that an event can have. */
static int migrate(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        int r = sd_bus_emit_signal(
                sd_bus_message_get_bus(m), CDM_PATH, CDM_INTERFACE_MANAGER, "Event", "sua{sv}", "migrated",
                7, 17, "pool", "s", "hbm", "size", "t", UINT64_C(64) << 20, "unit", "s", "a.service",
                "cgroup", "s", "/system.slice/a.service", "uid", "u", UINT32_C(0), "nodes", "s", "0",
                "reason", "s", "asked for", "policy", "s", "/etc/cdm/policy.d/a.conf:2", "error", "s", "",
                "moved", "t", UINT64_C(3) << 20, "failed", "t", UINT64_C(1) << 20, "excess", "t",
                UINT64_C(1), "duration", "t", UINT64_C(1), "evicted", "t", UINT64_C(1), "residue", "t",
                UINT64_C(1), "left", "t", UINT64_C(1), "holders", "a(sst)", 1, "/system.slice", "file",
                UINT64_C(1));
        if (r < 0)
                return r;
        return sd_bus_reply_method_return(m, "tt", UINT64_C(3) << 20, UINT64_C(1) << 20);
}

/* Any size up to that of the reservation; what is handed out is ordinary memory. */
static int open_buffer(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        uint64_t size;

        int r = sd_bus_message_read(m, "t", &size);
        if (r < 0)
                return r;
        printf("%s %llu", sd_bus_message_get_member(m), (unsigned long long)size);
        if (strcmp(sd_bus_message_get_signature(m, 1), "t") != 0)
                r = print_options(m);
        puts("");
        fflush(stdout);
        if (r < 0)
                return r;
        if (granted_later && n_state_reads <= 2)
                return sd_bus_error_setf(error, CDM_ERROR_STALE, "the reservation still waits");
        if (size == 13)
                return sd_bus_error_setf(error, CDM_ERROR_DENIED, "not yours");
        if (size > (UINT64_C(64) << 20))
                return sd_bus_error_setf(error, CDM_ERROR_FULL, "the reservation has no room");
        int fd = memfd_create("buffer", MFD_CLOEXEC);
        if (fd < 0 || ftruncate(fd, (off_t)(size + 4095) / 4096 * 4096) < 0)
                return -errno;
        r = sd_bus_reply_method_return(m, "h", fd);
        close(fd);
        return r;
}

static int list_reservations(sd_bus_message *m, void *userdata, sd_bus_error *error);
static int list_pools(sd_bus_message *m, void *userdata, sd_bus_error *error);
static int list_nodes(sd_bus_message *m, void *userdata, sd_bus_error *error);

#define VALUE(name, type)              SD_BUS_PROPERTY(name, type, get_value, 0, 0)
#define METHOD(name, in, out, handler) SD_BUS_METHOD(name, in, out, handler, SD_BUS_VTABLE_UNPRIVILEGED)

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        METHOD("Request", "sta{sv}", "o", request),
        METHOD("Explain", "sta{sv}", "a{sv}", request),
        METHOD("GetReservation", "u", "o", get_reservation),
        METHOD("ListReservations", "uua{sv}", "a(ua{sv})u", list_reservations),
        METHOD("ListPools", "", "aa{sv}", list_pools),
        METHOD("ListNodes", "", "aa{sv}", list_nodes),
        METHOD("Reload", "", "", reload),
        METHOD("DrainNode", "u", "ttta(sst)", drain_node),
        METHOD("UndrainNode", "u", "", nothing),
        METHOD("ListHolders", "", "a" CDM_HOLDER, list_holders),
        VALUE("Version", "s"),
        VALUE("Mode", "s"),
        VALUE("FenceState", "s"),
        VALUE("IntruderBytesDrained", "t"),
        VALUE("DriftRepaired", "t"),
        SD_BUS_PROPERTY("Fights", "a(sus)", get_fights, 0, 0),
        SD_BUS_PROPERTY("Unfenced", "a(sss)", get_unfenced, 0, 0),
        SD_BUS_PROPERTY("Warnings", "as", get_warnings, 0, 0),
        SD_BUS_PROPERTY("NamedWarnings", "a(sss)", get_named_warnings, 0, 0),
        SD_BUS_PROPERTY("OrdinaryNodes", "au", get_nodes, 0, 0),
        SD_BUS_VTABLE_END,
};

static const sd_bus_vtable reservation_vtable[] = {
        SD_BUS_VTABLE_START(0),
        METHOD("Release", "", "", release),
        METHOD("Renew", "t", "", renew),
        METHOD("Resize", "t", "", resize),
        METHOD("Migrate", "", "tt", migrate),
        METHOD("OpenBuffer", "t", "h", open_buffer),
        METHOD("OpenBufferWithOptions", "ta{sv}", "h", open_buffer),
        VALUE("Id", "u"),
        VALUE("Pool", "s"),
        VALUE("Size", "t"),
        VALUE("State", "s"),
        VALUE("Strength", "s"),
        VALUE("Unit", "s"),
        VALUE("ControlGroup", "s"),
        VALUE("Uid", "u"),
        VALUE("Requester", "u"),
        VALUE("Priority", "i"),
        SD_BUS_PROPERTY("Used", "t", get_used, 0, 0),
        SD_BUS_PROPERTY("Labels", "a{ss}", get_labels, 0, SD_BUS_VTABLE_PROPERTY_EXPLICIT),
        VALUE("Policy", "s"),
        VALUE("Expires", "t"),
        SD_BUS_PROPERTY("Nodes", "a(ut)", get_nodes, 0, 0),
        SD_BUS_VTABLE_END,
};

static int append_property(sd_bus_message *m, const char *interface, const sd_bus_vtable *v)
{
        int r = sd_bus_message_open_container(m, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append(m, "s", v->x.property.member);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', v->x.property.signature);
        if (r >= 0)
                r = v->x.property.get(NULL, NULL, interface, v->x.property.member, m, NULL, NULL);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_properties(sd_bus_message *m, const char *interface, const sd_bus_vtable *v)
{
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        for (; r >= 0 && v->type != _SD_BUS_VTABLE_END; v++)
                if (v->type == _SD_BUS_VTABLE_PROPERTY)
                        r = append_property(m, interface, v);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* Page one is empty, but not the last one. */
static int list_reservations(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        uint32_t after, max;

        int r = sd_bus_message_read(m, "uu", &after, &max);
        if (r < 0)
                return r;
        printf("ListReservations");
        r = print_options(m);
        puts("");
        fflush(stdout);
        if (r < 0)
                return r;
        if (after == 0)
                return sd_bus_reply_method_return(m, "a(ua{sv})u", 0, 3);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(ua{sv})");
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'r', "ua{sv}");
        if (r >= 0)
                r = sd_bus_message_append(reply, "u", 7);
        if (r >= 0)
                r = append_properties(reply, CDM_INTERFACE_RESERVATION, reservation_vtable);
        for (int i = 0; r >= 0 && i < 2; i++)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "u", 0);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static const sd_bus_vtable pool_vtable[] = {
        SD_BUS_VTABLE_START(0),    VALUE("Name", "s"),
        VALUE("Description", "s"), SD_BUS_PROPERTY("Nodes", "au", get_nodes, 0, 0),
        VALUE("Size", "t"),        VALUE("Reserved", "t"),
        VALUE("Available", "t"),   VALUE("Used", "t"),
        VALUE("Hold", "b"),        VALUE("FenceState", "s"),
        SD_BUS_VTABLE_END,
};

static const sd_bus_vtable node_vtable[] = {
        SD_BUS_VTABLE_START(0),    VALUE("Node", "u"),
        VALUE("Pool", "s"),        VALUE("Size", "t"),
        VALUE("Free", "t"),        VALUE("Used", "t"),
        VALUE("Reserved", "t"),    VALUE("Unattributed", "t"),
        VALUE("Online", "b"),      VALUE("Drained", "b"),
        VALUE("Device", "s"),      VALUE("ReadBandwidth", "t"),
        VALUE("ReadLatency", "t"), SD_BUS_PROPERTY("Initiators", "au", get_nodes, 0, 0),
        VALUE("Tier", "i"),        SD_BUS_VTABLE_END,
};

static int reply_one(sd_bus_message *m, const char *interface, const sd_bus_vtable *vtable)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

        int r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        if (r >= 0)
                r = append_properties(reply, interface, vtable);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int list_pools(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return reply_one(m, CDM_INTERFACE_POOL, pool_vtable);
}

static int list_nodes(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return reply_one(m, CDM_INTERFACE_NODE, node_vtable);
}

static int publish(sd_bus *bus)
{
        int r = sd_bus_add_object_manager(bus, NULL, CDM_PATH);
        if (r >= 0)
                r = sd_bus_add_object_vtable(bus, NULL, CDM_PATH, CDM_INTERFACE_MANAGER, manager_vtable,
                                             NULL);
        if (r >= 0)
                r = sd_bus_add_object_vtable(bus, NULL, CDM_PATH_RESERVATION "/7", CDM_INTERFACE_RESERVATION,
                                             reservation_vtable, NULL);
        if (r >= 0)
                r = sd_bus_add_object_vtable(bus, NULL, CDM_PATH_POOL "/hbm", CDM_INTERFACE_POOL,
                                             pool_vtable, NULL);
        return r < 0 ? r : sd_bus_request_name(bus, CDM_BUS_NAME, 0);
}

int main(void)
{
        sd_bus *bus = NULL;

        int r = sd_bus_open_system(&bus);
        if (r >= 0)
                r = publish(bus);
        if (r >= 0)
                puts("ready");
        fflush(stdout);
        while (r >= 0) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
        }
        sd_bus_unref(bus);
        return EXIT_SUCCESS; /* the bus went away: the test is over */
}
