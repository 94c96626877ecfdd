/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/bus/bus-options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/machine/topology-device.h"
#include "daemon/tenant/request-args.h"
#include "policy/cdm-names.h"

typedef struct Draft {
        RequestArgs args;
        uint64_t timeout_usec;
        char *mem_policy, *nodes;
        char *bad_label; /* the key of the first invalid label; NULL: none */
        const char *bad_label_reason;
} Draft;

static void draft_clear(Draft *d)
{
        request_args_clear(&d->args);
        free(d->mem_policy);
        free(d->nodes);
        free(d->bad_label);
}

/* The methods that take an option. */
enum {
        OF_REQUEST = 1 << 0,
        OF_EXPLAIN = 1 << 1,
        OF_ADMIT = 1 << 2,
        OF_BOTH = OF_REQUEST | OF_EXPLAIN,
        OF_ALL = OF_BOTH | OF_ADMIT
};

/* Every option with its type and its methods. */
static const struct {
        const char *key;
        const char *type;
        unsigned methods;
} options[] = {
        { CDM_OPTION_UNIT, "s", OF_BOTH },       { CDM_OPTION_CGROUP, "s", OF_ALL },
        { CDM_OPTION_PID, "u", OF_BOTH },        { CDM_OPTION_PIDFD, "h", OF_ALL },
        { CDM_OPTION_FOR_NOBODY, "b", OF_BOTH }, { CDM_OPTION_USER, "s", OF_EXPLAIN },
        { CDM_OPTION_LEASE, "t", OF_BOTH },      { CDM_OPTION_PRIORITY, "i", OF_BOTH },
        { CDM_OPTION_QUEUE, "t", OF_BOTH },      { CDM_OPTION_MIGRATE, "b", OF_BOTH },
        { CDM_OPTION_EXCLUSIVE, "b", OF_BOTH },  { CDM_OPTION_NODES, "s", OF_BOTH },
        { CDM_OPTION_NEAR, "s", OF_BOTH },       { CDM_OPTION_SCOPE, "b", OF_BOTH },
        { CDM_OPTION_MEM_POLICY, "s", OF_BOTH }, { CDM_OPTION_FOR_UID, "u", OF_ALL },
        { CDM_OPTION_LABELS, "a{ss}", OF_ALL },  { CDM_OPTION_TIMEOUT, "t", OF_ADMIT },
};
_Static_assert(ARRAY_SIZE(options) <= 32, "a bit of `seen` an option");

static int keep_string(sd_bus_message *m, char **ret)
{
        const char *s;

        int r = sd_bus_message_read(m, "s", &s);
        if (r < 0)
                return r;
        *ret = strdup(s);
        return *ret ? 0 : -ENOMEM;
}

static int keep_bool(sd_bus_message *m, bool *ret)
{
        int v;

        int r = sd_bus_message_read(m, "b", &v);
        if (r >= 0)
                *ret = v;
        return r;
}

/* Records the first invalid label for check_values(), and returns 0: the rest must be read in any case. */
static int add_label(Draft *d, const char *key, const char *value)
{
        int r = d->bad_label ? 0 : labels_add(&d->args.words.labels, key, value);

        if (r == 0 || r == -ENOMEM)
                return r;
        d->bad_label_reason = r == -EEXIST  ? "is given twice"
                              : r == -E2BIG ? "is one too many: a control group has 16 at most"
                                            : label_check(key, value);
        d->bad_label = strndup(key, LABEL_KEY_MAX);
        return d->bad_label ? 0 : -ENOMEM;
}

static int read_labels(Draft *d, sd_bus_message *m)
{
        const char *key, *value;

        int r = sd_bus_message_enter_container(m, 'a', "{ss}");
        while (r >= 0 && (r = sd_bus_message_read(m, "{ss}", &key, &value)) > 0)
                r = add_label(d, key, value);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_value(Draft *d, const char *key, sd_bus_message *m)
{
        RequestArgs *a = &d->args;
        uint32_t pid;

        if (strcmp(key, CDM_OPTION_UNIT) == 0)
                return keep_string(m, &a->unit);
        if (strcmp(key, CDM_OPTION_CGROUP) == 0)
                return keep_string(m, &a->cgroup);
        if (strcmp(key, CDM_OPTION_USER) == 0)
                return keep_string(m, &a->user);
        if (strcmp(key, CDM_OPTION_NODES) == 0)
                return keep_string(m, &d->nodes);
        if (strcmp(key, CDM_OPTION_NEAR) == 0)
                return keep_string(m, &a->near_pci);
        if (strcmp(key, CDM_OPTION_MEM_POLICY) == 0)
                return keep_string(m, &d->mem_policy);
        if (strcmp(key, CDM_OPTION_PIDFD) == 0)
                return sd_bus_message_read(m, "h", &a->target.pidfd);
        if (strcmp(key, CDM_OPTION_LEASE) == 0)
                return sd_bus_message_read(m, "t", &a->lease_usec);
        if (strcmp(key, CDM_OPTION_PRIORITY) == 0) {
                a->has_priority = true;
                return sd_bus_message_read(m, "i", &a->priority);
        }
        if (strcmp(key, CDM_OPTION_FOR_NOBODY) == 0)
                return keep_bool(m, &a->words.for_nobody);
        if (strcmp(key, CDM_OPTION_FOR_UID) == 0) {
                a->words.has_for_uid = true;
                return sd_bus_message_read(m, "u", &a->words.for_uid);
        }
        if (strcmp(key, CDM_OPTION_LABELS) == 0)
                return read_labels(d, m);
        if (strcmp(key, CDM_OPTION_TIMEOUT) == 0)
                return sd_bus_message_read(m, "t", &d->timeout_usec);
        if (strcmp(key, CDM_OPTION_MIGRATE) == 0)
                return keep_bool(m, &a->migrate);
        if (strcmp(key, CDM_OPTION_EXCLUSIVE) == 0)
                return keep_bool(m, &a->exclusive);
        if (strcmp(key, CDM_OPTION_SCOPE) == 0)
                return keep_bool(m, &a->target.scope);
        if (strcmp(key, CDM_OPTION_QUEUE) == 0) {
                a->queue = true;
                return sd_bus_message_read(m, "t", &a->queue_usec);
        }
        int r = sd_bus_message_read(m, "u", &pid);
        /* A number that is no PID becomes 0, which identity_start() refuses. */
        a->target.pid = r >= 0 && pid <= INT32_MAX ? (pid_t)pid : 0;
        a->target.kind = TARGET_PID;
        return r;
}

static int find_option(const char *key)
{
        for (size_t i = 0; i < ARRAY_SIZE(options); i++)
                if (strcmp(options[i].key, key) == 0)
                        return (int)i;
        return -ENOENT;
}

static int read_option(Draft *d, sd_bus_message *m, unsigned method, uint32_t *seen, sd_bus_error *error)
{
        const char *key, *type;
        char kind;

        int r = sd_bus_message_read(m, "s", &key);
        if (r < 0)
                return r;
        int i = find_option(key);
        if (i < 0 || !(options[i].methods & method))
                return sd_bus_error_setf(error, CDM_ERROR_INVALID, "there is no option '%s'", key);
        if (*seen & (UINT32_C(1) << i))
                return sd_bus_error_setf(error, CDM_ERROR_INVALID, "the option %s is given twice", key);
        *seen |= UINT32_C(1) << i;
        r = sd_bus_message_peek_type(m, &kind, &type);
        if (r < 0)
                return r;
        if (strcmp(type, options[i].type) != 0)
                return sd_bus_error_setf(error, CDM_ERROR_INVALID, "the option %s is of type %s, not %s",
                                         key, options[i].type, type);
        r = sd_bus_message_enter_container(m, 'v', options[i].type);
        if (r >= 0)
                r = read_value(d, key, m);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int check_target(Draft *d, sd_bus_error *error)
{
        RequestArgs *a = &d->args;
        unsigned n = (a->unit != NULL) + (a->cgroup != NULL) + (a->target.kind == TARGET_PID);

        if (n > 1)
                return sd_bus_error_set(error, CDM_ERROR_INVALID,
                                        "give one target only: unit, cgroup or pid");
        if (a->target.scope && n > 0)
                return sd_bus_error_set(error, CDM_ERROR_INVALID,
                                        "only the caller itself can be put into a new scope");
        if (a->unit)
                a->target.kind = TARGET_UNIT;
        else if (a->cgroup)
                a->target.kind = TARGET_CGROUP;
        return 0;
}

static int check_mem_policy(Draft *d, sd_bus_error *error)
{
        static const char *const known[] = { "prefer", "bind", "interleave", "none" };

        if (!d->mem_policy)
                return 0;
        d->args.bind = strcmp(d->mem_policy, "bind") == 0;
        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
                if (strcmp(d->mem_policy, known[i]) == 0)
                        return 0;
        return sd_bus_error_set(error, CDM_ERROR_INVALID,
                                "a memory policy is one of prefer, bind, interleave and none");
}

static int check_values(Draft *d, sd_bus_error *error)
{
        RequestArgs *a = &d->args;

        if (a->user && a->words.for_nobody)
                return sd_bus_error_set(
                        error, CDM_ERROR_INVALID,
                        "the option user names a user, and for-nobody says that there is none; "
                        "leave one of them out");
        if (a->words.has_for_uid && (a->user || a->words.for_nobody))
                return sd_bus_error_set(error, CDM_ERROR_INVALID,
                                        "the option for-uid says for which user this is; leave out user and "
                                        "for-nobody");
        if (a->words.for_uid == UID_NONE)
                return sd_bus_error_set(error, CDM_ERROR_INVALID, "the option for-uid is no user's number");
        if (d->bad_label)
                return sd_bus_error_setf(error, CDM_ERROR_INVALID, "the label %s %s", d->bad_label,
                                         d->bad_label_reason);
        if (a->queue && a->queue_usec == 0)
                return sd_bus_error_set(error, CDM_ERROR_INVALID,
                                        "the option queue is how long to wait at most; leave it out to "
                                        "not wait at all");
        if (d->nodes && (nodeset_parse(d->nodes, &a->nodes) < 0 || nodeset_is_empty(&a->nodes)))
                return sd_bus_error_set(error, CDM_ERROR_INVALID,
                                        "the option nodes is a list of node numbers, such as 2-3");
        if (a->near_pci && !topology_pci_is_valid(a->near_pci))
                return sd_bus_error_set(error, CDM_ERROR_INVALID,
                                        "the option near is a PCI address, such as 0000:65:00.0 or 65:00.0");
        return check_mem_policy(d, error);
}

/* Reads "a{sv}". */
static int read_options(Draft *d, sd_bus_message *call, unsigned method, sd_bus_error *error)
{
        uint32_t seen = 0;

        int r = sd_bus_message_enter_container(call, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(call, 'e', "sv")) > 0) {
                r = read_option(d, call, method, &seen, error);
                if (r >= 0)
                        r = sd_bus_message_exit_container(call);
        }
        return r;
}

static void draft_take(Draft *d, RequestArgs *args)
{
        *args = d->args;
        d->args = (RequestArgs){ .target.pidfd = -EBADF };
}

int bus_options_read(sd_bus_message *call, bool explain, RequestArgs *args, sd_bus_error *error)
{
        _cleanup_(draft_clear) Draft d = { .args = { .target = { .pidfd = -EBADF } } };
        const char *pool;

        int r = sd_bus_message_read(call, "st", &pool, &d.args.size_bytes);
        if (r < 0)
                return r;
        d.args.pool = strdup(pool);
        if (!d.args.pool)
                return -ENOMEM;
        r = read_options(&d, call, explain ? OF_EXPLAIN : OF_REQUEST, error);
        if (r >= 0)
                r = check_target(&d, error);
        if (r >= 0)
                r = check_values(&d, error);
        if (r >= 0)
                draft_take(&d, args);
        return r;
}

int bus_options_read_admit(sd_bus_message *call, RequestArgs *args, uint64_t *timeout_usec,
                           sd_bus_error *error)
{
        _cleanup_(draft_clear)
                Draft d = { .args = { .target = { .pidfd = -EBADF } }, .timeout_usec = *timeout_usec };

        int r = read_options(&d, call, OF_ADMIT, error);
        if (r >= 0 && (d.args.cgroup != NULL) == (d.args.target.pidfd >= 0))
                r = sd_bus_error_set(error, CDM_ERROR_INVALID,
                                     "name the control group, by cgroup or by pidfd");
        if (r >= 0)
                r = check_values(&d, error);
        if (r < 0)
                return r;
        draft_take(&d, args);
        *timeout_usec = d.timeout_usec;
        return 0;
}
