/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A systemd of a few units for the bus tests: answers what daemon/unit*.c asks, and puts what it is told
 * into the plain files of a made-up cgroup tree below a root, as PID 1 would into cgroupfs. Tests steer it
 * through org.cdmd1.Test: Add, State, Remove, Fail, Hold, Looked, Stall, Step, HoldJobs, Scopes.
 *
 *   fake-systemd ROOT      prints "ready" when it owns its name */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-bus.h>
#include <uthash.h>

#include "policy/macro.h"
#include "policy/nodeset.h"
#include "tests/bus/fake.h"

#define JOBS_MAX 1100

typedef struct Unit {
        char name[128], slice[128], cgroup[256], user[64], state[32];
        bool job, delegate;
        NodeSet allowed; /* the property; empty: not set */
        UT_hash_handle by_name, by_cgroup;
} Unit;

static Unit *units, *units_by_cgroup;
static const char *root;
static uint32_t last_job;
static uint32_t n_failing; /* so many of the next look-ups fail */
static uint32_t n_looked;  /* look-ups there were */
static uint32_t n_asked;   /* messages about units there were */
static bool holding;       /* SetUnitProperties is not answered */
static sd_bus_message *held;
static bool stalled; /* nothing is answered */
static sd_bus_message **unanswered;
static size_t first_unanswered, n_unanswered;

/* A scope that starts: its process is in it when the job has ended. */
typedef struct Job {
        uint32_t id, pid;
        char unit[128], cgroup[256];
} Job;

static bool holding_jobs;
static Job jobs[JOBS_MAX];
static size_t n_jobs;
static uint32_t n_scopes;

static Unit *find_unit(const char *name)
{
        Unit *u;

        HASH_FIND(by_name, units, name, strlen(name), u);
        return u;
}

static void put(const char *directory, const char *name, const char *text)
{
        char path[1024], temp[1040];

        snprintf(path, sizeof(path), "%s%s/%s", root, directory, name);
        snprintf(temp, sizeof(temp), "%s.temp", path);
        for (char *p = path + 1; (p = strchr(p, '/')); p++) {
                *p = '\0';
                mkdir(path, 0755);
                *p = '/';
        }
        FILE *f = fopen(temp, "w");
        if (!f)
                abort();
        fputs(text, f);
        fclose(f);
        if (rename(temp, path) < 0)
                abort();
}

static void put_mems(const Unit *u, const NodeSet *nodes)
{
        char directory[512], list[NODESET_STR_MAX];

        if (strcmp(u->state, "active") != 0 || nodeset_is_empty(nodes))
                return;
        snprintf(directory, sizeof(directory), "/sys/fs/cgroup%s", u->cgroup);
        put(directory, "cpuset.mems", nodeset_format(nodes, list));
        put(directory, "cpuset.mems.effective", list);
}

/* What the fence's drop-in says for services and scopes; empty when there is none. */
static NodeSet fence_nodes(void)
{
        NodeSet nodes = NODESET_EMPTY;
        char path[512], line[1024];

        snprintf(path, sizeof(path), "%s/run/systemd/system/service.d/10-cdmd-fence.conf", root);
        FILE *f = fopen(path, "r");
        while (f && fgets(line, sizeof(line), f)) {
                line[strcspn(line, "\n")] = '\0';
                if (strncmp(line, "AllowedMemoryNodes=", 19) == 0 && line[19] && line[19] != '\n')
                        (void)nodeset_parse(line + 19, &nodes);
        }
        if (f)
                fclose(f);
        return nodes;
}

static void realise(const Unit *u)
{
        NodeSet nodes = nodeset_is_empty(&u->allowed) ? fence_nodes() : u->allowed;
        char directory[512];

        if (strcmp(u->state, "active") != 0)
                return;
        snprintf(directory, sizeof(directory), "/sys/fs/cgroup%s", u->cgroup);
        put(directory, "cgroup.procs", "");
        put(directory, "cgroup.events", "populated 1\nfrozen 0\n");
        put(directory, "memory.numa_stat", "anon N0=4096 N1=0 N2=0 N3=0\nfile N0=0 N1=0 N2=0 N3=0\n");
        put(directory, "cpuset.mems", "");
        put(directory, "cpuset.mems.effective", "0-3");
        put_mems(u, &nodes);
}

static uint64_t cgroup_id(const Unit *u)
{
        char path[512];
        struct stat st;

        snprintf(path, sizeof(path), "%s/sys/fs/cgroup%s", root, u->cgroup);
        return stat(path, &st) < 0 ? 0 : st.st_ino;
}

static int reply_name(sd_bus_message *m, const char *unit)
{
        _cleanup_free_ char *path = NULL;
        int r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path);

        return r < 0 ? r : sd_bus_reply_method_return(m, "o", path);
}

static const Unit *unit_of_cgroup(const char *cgroup)
{
        for (size_t n = strlen(cgroup); n > 0; n--) {
                Unit *u = NULL;

                if (cgroup[n] == '\0' || cgroup[n] == '/')
                        HASH_FIND(by_cgroup, units_by_cgroup, cgroup, n, u);
                if (u)
                        return u;
        }
        return NULL;
}

/* A slice is systemd's if one of its units is in it. */
static bool is_slice_of_unit(const char *cgroup, size_t n)
{
        for (const Unit *u = units; u; u = u->by_name.next)
                if (strncmp(u->cgroup, cgroup, n) == 0 && u->cgroup[n] == '/')
                        return true;
        return false;
}

/* Every cgroup is in a unit, because the root cgroup is that of -.slice. */
static int get_unit_by_cgroup(sd_bus_message *m)
{
        const char *cgroup;

        sd_bus_message_read(m, "s", &cgroup);
        const Unit *u = unit_of_cgroup(cgroup);
        if (u)
                return reply_name(m, u->name);
        for (size_t n = strlen(cgroup), end; n > 0; n = end) {
                char name[256];

                for (end = n - 1; end > 0 && cgroup[end] != '/';)
                        end--;
                if (!is_slice_of_unit(cgroup, n))
                        continue;
                snprintf(name, sizeof(name), "%.*s", (int)(n - end - 1), cgroup + end + 1);
                return reply_name(m, name);
        }
        return reply_name(m, "-.slice");
}

static int get_unit_by_pid(sd_bus_message *m)
{
        char path[512], line[512] = "";
        uint32_t pid;

        sd_bus_message_read(m, "u", &pid);
        snprintf(path, sizeof(path), "%s/proc/%u/cgroup", root, pid);
        FILE *f = fopen(path, "r");
        if (!f || !fgets(line, sizeof(line), f))
                line[0] = '\0';
        if (f)
                fclose(f);
        line[strcspn(line, "\n")] = '\0';
        const Unit *u = strlen(line) > 3 ? unit_of_cgroup(line + 3) : NULL;
        return u ? reply_name(m, u->name)
                 : sd_bus_reply_method_errorf(m, "org.freedesktop.systemd1.NoUnitForPID",
                                              "There is no unit.");
}

static int set_properties(sd_bus_message *m)
{
        const char *name, *property;
        const void *bytes;
        size_t n;
        int runtime;

        if (holding && !held) {
                held = sd_bus_message_ref(m);
                return 0;
        }
        sd_bus_message_read(m, "sb", &name, &runtime);
        Unit *u = find_unit(name);
        if (!u)
                return sd_bus_reply_method_errorf(m, "org.freedesktop.systemd1.NoSuchUnit", "No unit %s.",
                                                  name);
        sd_bus_message_enter_container(m, 'a', "(sv)");
        while (sd_bus_message_enter_container(m, 'r', "sv") > 0) {
                sd_bus_message_read(m, "s", &property);
                if (strcmp(property, "AllowedMemoryNodes") == 0) {
                        sd_bus_message_enter_container(m, 'v', "ay");
                        sd_bus_message_read_array(m, 'y', &bytes, &n);
                        sd_bus_message_exit_container(m);
                        nodeset_from_bytes(bytes, n, &u->allowed);
                        put_mems(u, &u->allowed);
                } else if (strcmp(property, "MemoryMax") == 0) {
                        char directory[512], text[32];
                        uint64_t max;

                        sd_bus_message_read(m, "v", "t", &max);
                        snprintf(directory, sizeof(directory), "/sys/fs/cgroup%s", u->cgroup);
                        snprintf(text, sizeof(text), "%llu\n", (unsigned long long)max);
                        put(directory, "memory.max", text);
                } else
                        sd_bus_message_skip(m, "v");
                sd_bus_message_exit_container(m);
        }
        return sd_bus_reply_method_return(m, NULL);
}

static void forget_unit(Unit *u)
{
        if (!u)
                return;
        HASH_DELETE(by_name, units, u);
        HASH_DELETE(by_cgroup, units_by_cgroup, u);
        free(u);
}

static Unit *add_unit(const char *name, const char *slice, const char *cgroup, const char *user,
                      bool delegate)
{
        forget_unit(find_unit(name));
        Unit *u = calloc(1, sizeof(*u));
        if (!u)
                abort();
        *u = (Unit){ .delegate = delegate, .state = "active" };
        snprintf(u->name, sizeof(u->name), "%s", name);
        snprintf(u->slice, sizeof(u->slice), "%s", slice);
        snprintf(u->cgroup, sizeof(u->cgroup), "%s", cgroup);
        snprintf(u->user, sizeof(u->user), "%s", user);
        HASH_ADD(by_name, units, name[0], strlen(u->name), u);
        HASH_ADD(by_cgroup, units_by_cgroup, cgroup[0], strlen(u->cgroup), u);
        realise(u);
        return u;
}

static int end_job(sd_bus *bus, const Job *j)
{
        char directory[64], line[300], path[64];

        snprintf(directory, sizeof(directory), "/proc/%u", j->pid);
        snprintf(line, sizeof(line), "0::%s\n", j->cgroup);
        put(directory, "cgroup", line);
        snprintf(path, sizeof(path), "/org/freedesktop/systemd1/job/%u", j->id);
        return sd_bus_emit_signal(bus, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
                                  "JobRemoved", "uoss", j->id, path, j->unit, "done");
}

static int start_transient(sd_bus *bus, sd_bus_message *m)
{
        const char *name, *mode, *property, *slice = "system.slice";
        char job[64];
        Job j = { .id = ++last_job };
        size_t n;

        sd_bus_message_read(m, "ss", &name, &mode);
        sd_bus_message_enter_container(m, 'a', "(sv)");
        while (sd_bus_message_enter_container(m, 'r', "sv") > 0) {
                const void *pids;
                sd_bus_message_read(m, "s", &property);
                if (strcmp(property, "PIDs") == 0) {
                        sd_bus_message_enter_container(m, 'v', "au");
                        sd_bus_message_read_array(m, 'u', &pids, &n);
                        memcpy(&j.pid, pids, sizeof(j.pid));
                        sd_bus_message_exit_container(m);
                } else if (strcmp(property, "Slice") == 0)
                        sd_bus_message_read(m, "v", "s", &slice);
                else
                        sd_bus_message_skip(m, "v");
                sd_bus_message_exit_container(m);
        }
        snprintf(j.unit, sizeof(j.unit), "%s", name);
        snprintf(j.cgroup, sizeof(j.cgroup), "/%s%s/%s",
                 strncmp(slice, "user-", 5) == 0 ? "user.slice/" : "", slice, name);
        add_unit(name, slice, j.cgroup, "", false);
        n_scopes++;
        snprintf(job, sizeof(job), "/org/freedesktop/systemd1/job/%u", j.id);
        sd_bus_reply_method_return(m, "o", job);
        if (!holding_jobs)
                return end_job(bus, &j);
        jobs[n_jobs++] = j;
        return 0;
}

static void tell_reloading(sd_bus_message *m, int active)
{
        (void)sd_bus_emit_signal(sd_bus_message_get_bus(m), "/org/freedesktop/systemd1",
                                 "org.freedesktop.systemd1.Manager", "Reloading", "b", active);
}

/* 252 applies the drop-ins to all running units at once. */
static int reload(sd_bus_message *m)
{
        NodeSet fence = fence_nodes();

        tell_reloading(m, true);
        if (nodeset_is_empty(&fence))
                (void)nodeset_parse("0-3", &fence);
        for (const Unit *u = units; u; u = u->by_name.next)
                if (nodeset_is_empty(&u->allowed))
                        put_mems(u, &fence);
        tell_reloading(m, false);
        return sd_bus_reply_method_return(m, NULL);
}

/* Like systemd, which loads a stub of a unit that it is asked about and does not know, and collects it. */
static void look(sd_bus_message *m, const char *path, const char *name, bool found)
{
        n_looked++;
        if (!found)
                sd_bus_emit_signal(sd_bus_message_get_bus(m), "/org/freedesktop/systemd1",
                                   "org.freedesktop.systemd1.Manager", "UnitRemoved", "so", name, path);
}

static int get_property(sd_bus_message *m)
{
        _cleanup_free_ char *name = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *interface, *property, *path = sd_bus_message_get_path(m);
        uint8_t bytes[NODESET_BYTES_MAX];

        sd_bus_message_read(m, "ss", &interface, &property);
        if (sd_bus_path_decode(path, "/org/freedesktop/systemd1/unit", &name) <= 0)
                return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_UNKNOWN_OBJECT, "no");
        Unit none = { .state = "inactive" }, *u = find_unit(name);
        if (!u)
                u = &none;
        sd_bus_message_new_method_return(m, &reply);
        if (strcmp(property, "Slice") == 0)
                sd_bus_message_append(reply, "v", "s", u->slice);
        else if (strcmp(property, "ControlGroup") == 0)
                sd_bus_message_append(reply, "v", "s", strcmp(u->state, "active") == 0 ? u->cgroup : "");
        else if (strcmp(property, "ControlGroupId") == 0)
                sd_bus_message_append(reply, "v", "t", cgroup_id(u));
        else if (strcmp(property, "Delegate") == 0)
                sd_bus_message_append(reply, "v", "b", u->delegate);
        else if (strcmp(property, "User") == 0 && strstr(u->name, ".service"))
                sd_bus_message_append(reply, "v", "s", u->user);
        else if (strcmp(property, "AllowedMemoryNodes") == 0) {
                size_t n = nodeset_to_bytes(&u->allowed, bytes);
                sd_bus_message_open_container(reply, 'v', "ay");
                sd_bus_message_append_array(reply, 'y', bytes, n);
                sd_bus_message_close_container(reply);
        } else if (strcmp(property, "Markers") == 0)
                sd_bus_message_append(reply, "v", "as", 0);
        else
                return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_UNKNOWN_PROPERTY, "No property %s.",
                                                  property);
        return sd_bus_send(NULL, reply, NULL);
}

/* Of the first name only. */
static int list_units_by_names(sd_bus_message *m)
{
        _cleanup_free_ char *path = NULL;
        const char *name;

        int r = sd_bus_message_enter_container(m, 'a', "s");
        if (r >= 0)
                r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        const Unit *u = find_unit(name);
        sd_bus_path_encode("/org/freedesktop/systemd1/unit", name, &path);
        look(m, path, name, u != NULL);
        if (n_failing > 0) {
                n_failing--;
                return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_LIMITS_EXCEEDED, "Busy.");
        }
        return sd_bus_reply_method_return(m, "a(ssssssouso)", 1, u ? u->name : name, "A unit",
                                          u ? "loaded" : "not-found", u ? u->state : "inactive", "any", "",
                                          path, u && u->job ? 1 : 0, u && u->job ? "start" : "", "/");
}

/* State(name, state, job pending): what a start, stop or restart looks like from outside. */
static int set_state(sd_bus *bus, sd_bus_message *m)
{
        _cleanup_free_ char *path = NULL;
        const char *name, *state;
        char directory[1024];
        int job;

        sd_bus_message_read(m, "ssb", &name, &state, &job);
        Unit *u = find_unit(name);
        if (!u)
                return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_INVALID_ARGS, "no");
        bool was = strcmp(u->state, "active") == 0;
        snprintf(u->state, sizeof(u->state), "%s", state);
        u->job = job;
        snprintf(directory, sizeof(directory), "rm -rf '%s/sys/fs/cgroup%s'", root, u->cgroup);
        if (was && strcmp(state, "active") != 0 && system(directory) != 0)
                abort();
        if (!was)
                realise(u);
        sd_bus_path_encode("/org/freedesktop/systemd1/unit", name, &path);
        sd_bus_emit_signal(bus, path, "org.freedesktop.DBus.Properties", "PropertiesChanged", "sa{sv}as",
                           "org.freedesktop.systemd1.Unit", 1, "ActiveState", "s", state, 0);
        return sd_bus_reply_method_return(m, NULL);
}

static int remove_unit(sd_bus *bus, sd_bus_message *m)
{
        _cleanup_free_ char *path = NULL;
        char command[1024];
        const char *name;

        sd_bus_message_read(m, "s", &name);
        Unit *u = find_unit(name);
        if (!u)
                return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_INVALID_ARGS, "no");
        snprintf(command, sizeof(command), "rm -rf '%s/sys/fs/cgroup%s'", root, u->cgroup);
        if (system(command) != 0)
                abort();
        sd_bus_path_encode("/org/freedesktop/systemd1/unit", name, &path);
        sd_bus_emit_signal(bus, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
                           "UnitRemoved", "so", name, path);
        forget_unit(u);
        return sd_bus_reply_method_return(m, NULL);
}

/* See world_steer(). */
static int steer(sd_bus_message *m, const char *what)
{
        uint32_t value, answer = held != NULL;

        sd_bus_message_read(m, "u", &value);
        if (strcmp(what, "Fail") == 0)
                n_failing = value;
        else if (strcmp(what, "Looked") == 0)
                answer = n_looked;
        else if (strcmp(what, "Asked") == 0)
                answer = n_asked;
        else if (strcmp(what, "Scopes") == 0)
                answer = n_scopes;
        else if (strcmp(what, "HoldJobs") == 0) {
                holding_jobs = value;
                for (; !holding_jobs && n_jobs > 0; n_jobs--)
                        (void)end_job(sd_bus_message_get_bus(m), &jobs[n_jobs - 1]);
        } else {
                holding = value;
                if (!holding && held) {
                        set_properties(held);
                        held = sd_bus_message_unref(held);
                }
        }
        return sd_bus_reply_method_return(m, "u", answer);
}

static int serve(sd_bus_message *m)
{
        sd_bus *bus = sd_bus_message_get_bus(m);
        const char *member = sd_bus_message_get_member(m), *s, *slice, *cgroup, *user;
        int delegate;

        if (!sd_bus_message_is_method_call(m, NULL, NULL) || !member)
                return 0;
        n_asked += strcmp(member, "Get") == 0 || strcmp(member, "ListUnitsByNames") == 0 ||
                   strcmp(member, "SetUnitProperties") == 0;
        if (strcmp(member, "Get") == 0)
                return get_property(m) < 0 ? -EIO : 1;
        if (strcmp(member, "ListUnitsByNames") == 0)
                return list_units_by_names(m) < 0 ? -EIO : 1;
        if (strcmp(member, "GetUnitByPID") == 0)
                return get_unit_by_pid(m) < 0 ? -EIO : 1;
        if (strcmp(member, "GetUnitByControlGroup") == 0)
                return get_unit_by_cgroup(m) < 0 ? -EIO : 1;
        if (strcmp(member, "SetUnitProperties") == 0)
                return set_properties(m) < 0 ? -EIO : 1;
        if (strcmp(member, "StartTransientUnit") == 0)
                return start_transient(bus, m) < 0 ? -EIO : 1;
        if (strcmp(member, "Reload") == 0)
                return reload(m) < 0 ? -EIO : 1;
        if (strcmp(member, "Subscribe") == 0)
                return sd_bus_reply_method_return(m, NULL) < 0 ? -EIO : 1;
        if (strcmp(member, "Add") == 0) {
                sd_bus_message_read(m, "ssssb", &s, &slice, &cgroup, &user, &delegate);
                add_unit(s, slice, cgroup, user, delegate);
                return sd_bus_reply_method_return(m, NULL) < 0 ? -EIO : 1;
        }
        if (strcmp(member, "State") == 0)
                return set_state(bus, m) < 0 ? -EIO : 1;
        if (strcmp(member, "Fail") == 0 || strcmp(member, "Hold") == 0 || strcmp(member, "Looked") == 0 ||
            strcmp(member, "Asked") == 0 || strcmp(member, "HoldJobs") == 0 || strcmp(member, "Scopes") == 0)
                return steer(m, member) < 0 ? -EIO : 1;
        if (strcmp(member, "Remove") == 0)
                return remove_unit(bus, m) < 0 ? -EIO : 1;
        return 0;
}

/* Answers so many of those that wait, in the order in which they came. */
static void serve_unanswered(uint32_t n)
{
        for (; n > 0 && first_unanswered < n_unanswered; n--) {
                sd_bus_message *m = unanswered[first_unanswered++];

                (void)serve(m);
                sd_bus_message_unref(m);
        }
}

/* Stall and Step: see world_steer(). */
static int stall(sd_bus_message *m, const char *what)
{
        uint32_t value;

        sd_bus_message_read(m, "u", &value);
        if (strcmp(what, "Stall") == 0)
                stalled = value > 0;
        serve_unanswered(!stalled ? UINT32_MAX : strcmp(what, "Step") == 0 ? value : 0);
        return sd_bus_reply_method_return(m, "u", (uint32_t)(n_unanswered - first_unanswered));
}

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const char *interface = sd_bus_message_get_interface(m), *member = sd_bus_message_get_member(m);
        bool steered = interface && strcmp(interface, "org.cdmd1.Test") == 0;

        if (steered && (strcmp(member, "Stall") == 0 || strcmp(member, "Step") == 0))
                return stall(m, member) < 0 ? -EIO : 1;
        if (!stalled || steered || !sd_bus_message_is_method_call(m, NULL, NULL))
                return serve(m);
        unanswered = reallocarray(unanswered, n_unanswered + 1, sizeof(sd_bus_message *));
        if (!unanswered)
                abort();
        unanswered[n_unanswered++] = sd_bus_message_ref(m);
        return 1;
}

int main(int argc, char **argv)
{
        if (argc != 2)
                return EXIT_FAILURE;
        root = argv[1];
        return fake_serve("org.freedesktop.systemd1", on_message, NULL);
}
