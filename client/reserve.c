/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "client/filter.h"
#include "client/labels-bus.h"
#include "client/queue.h"
#include "client/container.h"
#include "client/reserve.h"
#include "policy/cdm-names.h"

/* On the bus, pool names are components of object paths, which sd-bus escapes. */
int reserve_read_pool_size(sd_bus *bus, const char *pool, uint64_t *ret_bytes)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *path = NULL;

        int r = sd_bus_path_encode(CDM_PATH_POOL, pool, &path);
        if (r >= 0)
                r = sd_bus_get_property_trivial(bus, CDM_BUS_NAME, path, CDM_INTERFACE_POOL, "Size", &error,
                                                't', ret_bytes);
        if (r >= 0)
                return 0;
        if (sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_OBJECT) ||
            sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_INTERFACE) ||
            sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_PROPERTY))
                return fail(CDM_EXIT_FAILED, "no pool '%s'; `cdmctl pools` shows those there are", pool);
        return client_fail(&error, r);
}

int reserve_resolve(const Args *args, Args *ret_args, char **ret_cgroup)
{
        _cleanup_free_ char *cgroup = NULL;

        int status = args->container ? container_find(args, &cgroup) : 0;
        if (status != 0)
                return status;
        *ret_args = *args;
        if (cgroup) {
                ret_args->container = NULL;
                ret_args->cgroup = cgroup;
        }
        *ret_cgroup = TAKE_PTR(cgroup);
        return 0;
}

static int append_target(sd_bus_message *m, const Args *a, bool scope)
{
        if (a->unit)
                return sd_bus_message_append(m, "{sv}", CDM_OPTION_UNIT, "s", a->unit);
        if (a->cgroup)
                return sd_bus_message_append(m, "{sv}", CDM_OPTION_CGROUP, "s", a->cgroup);
        if (a->pid > 0)
                return sd_bus_message_append(m, "{sv}", CDM_OPTION_PID, "u", a->pid);

        /* The message duplicates the descriptor. */
        int fd = pidfd_open(getpid(), 0);
        if (fd < 0)
                return -errno;
        int r = sd_bus_message_append(m, "{sv}", CDM_OPTION_PIDFD, "h", fd);
        close(fd);
        if (r >= 0 && scope)
                r = sd_bus_message_append(m, "{sv}{sv}", CDM_OPTION_SCOPE, "b", 1, CDM_OPTION_MEM_POLICY,
                                          "s", mem_policy_to_string(a->mem_policy));
        return r;
}

static int append_terms(sd_bus_message *m, const Args *a, const uid_t *for_uid)
{
        int r = 0;

        if (a->user)
                r = sd_bus_message_append(m, "{sv}", CDM_OPTION_USER, "s", a->user);
        if (r >= 0 && args_given(a, OPTION_FOR_NOBODY))
                r = sd_bus_message_append(m, "{sv}", CDM_OPTION_FOR_NOBODY, "b", 1);
        if (r >= 0 && for_uid)
                r = sd_bus_message_append(m, "{sv}", CDM_OPTION_FOR_UID, "u", (uint32_t)*for_uid);
        if (r >= 0 && a->labels.n > 0)
                r = labels_append(m, &a->labels);
        if (r >= 0 && args_given(a, OPTION_LEASE))
                r = sd_bus_message_append(m, "{sv}", CDM_OPTION_LEASE, "t", a->lease_usec);
        if (r >= 0 && args_given(a, OPTION_PRIORITY))
                r = sd_bus_message_append(m, "{sv}", CDM_OPTION_PRIORITY, "i", a->priority);
        if (r >= 0 && args_given(a, OPTION_QUEUE))
                r = sd_bus_message_append(m, "{sv}", CDM_OPTION_QUEUE, "t", a->queue_usec);
        if (r >= 0 && args_given(a, OPTION_MIGRATE))
                r = sd_bus_message_append(m, "{sv}", CDM_OPTION_MIGRATE, "b", 1);
        if (r >= 0 && args_given(a, OPTION_EXCLUSIVE))
                r = sd_bus_message_append(m, "{sv}", CDM_OPTION_EXCLUSIVE, "b", 1);
        if (r >= 0 && a->nodes)
                r = sd_bus_message_append(m, "{sv}", CDM_OPTION_NODES, "s", a->nodes);
        if (r >= 0 && a->near)
                r = sd_bus_message_append(m, "{sv}", CDM_OPTION_NEAR, "s", a->near);
        return r;
}

int reserve_message(sd_bus *bus, const char *member, const Args *a, bool scope, sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unref_p) sd_bus_message *m = NULL;
        uint64_t whole = 0;
        const char *pool;
        uid_t for_uid;
        Size size;

        int status = args_parse_pool_size(a, &pool, &size);
        if (status == 0 && a->for_user)
                status = filter_find_user(a->for_user, &for_uid);
        if (status == 0 && size.percent)
                status = reserve_read_pool_size(bus, pool, &whole);
        if (status != 0)
                return status;

        int r = sd_bus_message_new_method_call(bus, &m, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                               member);
        if (r >= 0)
                r = sd_bus_message_append(m, "st", pool, size_resolve(&size, whole));
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = append_target(m, a, scope);
        if (r >= 0)
                r = append_terms(m, a, a->for_user ? &for_uid : NULL);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r == -EINVAL)
                return usage_error("the arguments are not valid UTF-8, or not valid on the bus");
        if (r < 0)
                return client_fail(NULL, r);
        *ret = TAKE_PTR(m);
        return 0;
}

int reserve(sd_bus *bus, const Args *a, bool scope, char **ret_path)
{
        _cleanup_(sd_bus_message_unref_p) sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_free_ char *copy = NULL;
        QueueWait wait = { 0 };
        const char *path;

        int status = reserve_message(bus, "Request", a, scope, &m);
        if (status == 0 && args_given(a, OPTION_QUEUE))
                status = queue_watch(bus, &wait);
        if (status == 0) {
                status = client_send(bus, m, &reply);
                if (status == CDM_EXIT_FAILED)
                        hint_at_names(bus, a->positional[0], a->unit);
        }
        if (status != 0)
                return status;
        int r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return client_garbled(r);
        copy = strdup(path);
        if (!copy)
                return fail(CDM_EXIT_FAILED, "out of memory");

        status = queue_wait(bus, &wait, copy, args_given(a, OPTION_QUEUE) ? a->queue_usec : UINT64_MAX);
        if (status == 0)
                *ret_path = TAKE_PTR(copy);
        return status;
}
