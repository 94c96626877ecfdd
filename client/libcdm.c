/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* libcdm: each function makes one call to cdmd, and turns an error into an errno and a sentence. cdm_request()
 * also waits until a reservation that is queued is granted. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "client/cdm.h"
#include "client/no-daemon.h"
#include "policy/cdm-names.h"
#include "policy/macro.h"

#define PUBLIC __attribute__((visibility("default")))

struct Cdm {
        sd_bus *bus;
        char *error;
};

static const struct {
        const char *name;
        int error;
} error_table[] = {
        { CDM_ERROR_DENIED, -EACCES },
        { CDM_ERROR_FULL, -ENOSPC },
        { CDM_ERROR_TIMEOUT, -ETIMEDOUT },
        { CDM_ERROR_NO_SUCH_POOL, -ENOENT },
        { CDM_ERROR_NO_SUCH_RESERVATION, -ENOENT },
        { CDM_ERROR_NO_SUCH_TARGET, -ENOENT },
        { SD_BUS_ERROR_UNKNOWN_OBJECT, -ENOENT },
        { CDM_ERROR_STALE, -ESTALE },
        { CDM_ERROR_INVALID, -EINVAL },
        { SD_BUS_ERROR_INVALID_ARGS, -EINVAL },
        { CDM_ERROR_BUSY, -EBUSY },
        { SD_BUS_ERROR_LIMITS_EXCEEDED, -EBUSY },
        { CDM_ERROR_NOT_SUPPORTED, -EOPNOTSUPP },
        { SD_BUS_ERROR_UNKNOWN_METHOD, -EOPNOTSUPP },
        { SD_BUS_ERROR_ACCESS_DENIED, -EACCES },
        { SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, -EACCES },
};

static int error_of(const sd_bus_error *e, int r)
{
        for (size_t i = 0; e->name && i < ARRAY_SIZE(error_table); i++)
                if (strcmp(e->name, error_table[i].name) == 0)
                        return error_table[i].error;
        if (e->name && is_no_daemon(e->name))
                return -ENOTCONN;
        return r == -ECONNRESET || r == -EPIPE || r == -ESHUTDOWN ? -ENOTCONN : r;
}

static int keep_error(Cdm *c, int r, const char *text)
{
        free(c->error);
        c->error = r < 0 ? strdup(text ? text : strerror(-r)) : NULL;
        return r;
}

PUBLIC int cdm_open(unsigned flags, Cdm **ret)
{
        if ((flags & ~CDM_INTERACTIVE) || !ret)
                return -EINVAL;
        Cdm *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        int r = sd_bus_open_system_with_description(&c->bus, "libcdm");
        if (r >= 0)
                r = sd_bus_set_allow_interactive_authorization(c->bus, (flags & CDM_INTERACTIVE) != 0);
        if (r < 0) {
                cdm_close(c);
                return r == -ENOMEM ? r : -ENOTCONN;
        }
        *ret = c;
        return 0;
}

PUBLIC Cdm *cdm_close(Cdm *c)
{
        if (!c)
                return NULL;
        sd_bus_flush_close_unref(c->bus);
        free(c->error);
        free(c);
        return NULL;
}

PUBLIC const char *cdm_error(const Cdm *c)
{
        return c && c->error ? c->error : "";
}

static int new_call(Cdm *c, uint32_t id, const char *member, sd_bus_message **ret)
{
        char path[64];

        if (id == 0)
                return sd_bus_message_new_method_call(c->bus, ret, CDM_BUS_NAME, CDM_PATH,
                                                      CDM_INTERFACE_MANAGER, member);
        snprintf(path, sizeof(path), CDM_PATH_RESERVATION "/%" PRIu32, id);
        return sd_bus_message_new_method_call(c->bus, ret, CDM_BUS_NAME, path, CDM_INTERFACE_RESERVATION,
                                              member);
}

/* r: the result of making the message. */
static int libcdm_call(Cdm *c, int r, sd_bus_message *m, sd_bus_message **ret_reply)
{
        sd_bus_error e = SD_BUS_ERROR_NULL;

        if (r < 0)
                return keep_error(c, r, NULL);
        /* No timeout: pages move as slowly as Bandwidth= says. If cdmd or the bus ends, the call fails. */
        r = sd_bus_call(c->bus, m, UINT64_MAX, &e, ret_reply);
        if (r < 0)
                r = keep_error(c, error_of(&e, r), e.message);
        else
                r = keep_error(c, 0, NULL);
        sd_bus_error_free(&e);
        return r;
}

static int read_id(sd_bus_message *reply, uint32_t *ret)
{
        const char *path;
        int n = 0;

        int r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return r;
        return sscanf(path, CDM_PATH_RESERVATION "/%" SCNu32 "%n", ret, &n) == 1 && !path[n] ? 0 : -EBADMSG;
}

static int libcdm_on_news(sd_bus_message *m _unused_, void *userdata, sd_bus_error *error _unused_)
{
        *(bool *)userdata = true;
        return 0;
}

/* Returns 1 if the reservation waits, 0 if it is granted. */
static int read_state(Cdm *c, const char *path)
{
        sd_bus_error e = SD_BUS_ERROR_NULL;
        char *state = NULL;

        int r = sd_bus_get_property_string(c->bus, CDM_BUS_NAME, path, CDM_INTERFACE_RESERVATION, "State",
                                           &e, &state);
        int error = r < 0 ? error_of(&e, r) : 0;
        if (error == -ENOENT || (r >= 0 && strcmp(state, "draining") == 0))
                r = keep_error(c, -ESTALE, "the reservation ended before it was granted; ask again");
        else if (r < 0)
                r = keep_error(c, error, e.message);
        else
                r = strcmp(state, "queued") == 0;
        free(state);
        sd_bus_error_free(&e);
        return r;
}

/* Under OnFull=preempt a reservation is queued until others have left, also if the caller did not ask for
 * that. */
static int wait_until_granted(Cdm *c, uint32_t id)
{
        sd_bus_slot *changed = NULL, *removed = NULL, *owner = NULL;
        bool news = true; /* it may have been granted before the matches */
        char path[64];

        snprintf(path, sizeof(path), CDM_PATH_RESERVATION "/%" PRIu32, id);
        int waits = read_state(c, path);
        if (waits <= 0)
                return waits;
        int r = sd_bus_match_signal(c->bus, &changed, CDM_BUS_NAME, path, "org.freedesktop.DBus.Properties",
                                    "PropertiesChanged", libcdm_on_news, &news);
        if (r >= 0)
                r = sd_bus_match_signal(c->bus, &removed, CDM_BUS_NAME, CDM_PATH,
                                        "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved",
                                        libcdm_on_news, &news);
        if (r >= 0)
                r = sd_bus_add_match(c->bus, &owner,
                                     "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',"
                                     "arg0='" CDM_BUS_NAME "'",
                                     libcdm_on_news, &news);
        while (r >= 0 && waits > 0) {
                if (news) {
                        news = false;
                        waits = read_state(c, path);
                        continue;
                }
                r = sd_bus_process(c->bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(c->bus, UINT64_MAX);
        }
        sd_bus_slot_unref(changed);
        sd_bus_slot_unref(removed);
        sd_bus_slot_unref(owner);
        return r < 0 ? keep_error(c, error_of(&SD_BUS_ERROR_NULL, r), NULL) : waits;
}

PUBLIC int cdm_request(Cdm *c, const char *pool, uint64_t size_bytes, uint32_t *ret_id)
{
        sd_bus_message *m = NULL, *reply = NULL;
        uint32_t id = 0;

        if (!c || !pool || !ret_id)
                return -EINVAL;
        /* The message duplicates the descriptor. */
        int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
        int r = fd < 0 ? -errno : new_call(c, 0, "Request", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "sta{sv}", pool, size_bytes, 1, CDM_OPTION_PIDFD, "h", fd);
        if (fd >= 0)
                close(fd);
        r = libcdm_call(c, r, m, &reply);
        if (r >= 0)
                r = keep_error(c, read_id(reply, &id), NULL);
        if (r >= 0)
                r = wait_until_granted(c, id);
        if (r >= 0)
                *ret_id = id;
        sd_bus_message_unref(m);
        sd_bus_message_unref(reply);
        return r;
}

PUBLIC int cdm_release(Cdm *c, uint32_t id)
{
        sd_bus_message *m = NULL;

        if (!c || id == 0)
                return -EINVAL;
        int r = new_call(c, id, "Release", &m);
        r = libcdm_call(c, r, m, NULL);
        sd_bus_message_unref(m);
        return r;
}

PUBLIC int cdm_buffer(Cdm *c, uint32_t id, uint64_t size_bytes, unsigned flags, int *ret_fd)
{
        sd_bus_message *m = NULL, *reply = NULL;
        int theirs, fd = -EBADF, r;

        if (!c || id == 0 || (flags & ~CDM_HUGETLB) || !ret_fd)
                return -EINVAL;
        if (flags & CDM_HUGETLB) {
                r = new_call(c, id, "OpenBufferWithOptions", &m);
                if (r >= 0)
                        r = sd_bus_message_append(m, "ta{sv}", size_bytes, 1, CDM_OPTION_HUGETLB, "t",
                                                  UINT64_C(0));
        } else {
                r = new_call(c, id, "OpenBuffer", &m);
                if (r >= 0)
                        r = sd_bus_message_append(m, "t", size_bytes);
        }
        r = libcdm_call(c, r, m, &reply);
        if (r >= 0)
                r = keep_error(c, sd_bus_message_read(reply, "h", &theirs), NULL);
        if (r >= 0) {
                /* The reply closes its own descriptor when it is freed. */
                fd = fcntl(theirs, F_DUPFD_CLOEXEC, 3);
                r = keep_error(c, fd < 0 ? -errno : 0, NULL);
        }
        if (r >= 0)
                *ret_fd = fd;
        sd_bus_message_unref(m);
        sd_bus_message_unref(reply);
        return r;
}
