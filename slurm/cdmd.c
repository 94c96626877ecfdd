/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "slurm/cdmd.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/labels-bus.h"
#include "client/no-daemon.h"
#include "policy/cdm-names.h"

DEFINE_CLEANUP(sd_bus_message, sd_bus_message_unref);

#define USEC_PER_SEC UINT64_C(1000000)
/* The longest wait until a step is fenced, and for any reply. */
#define ADMIT_USEC (20 * USEC_PER_SEC)
#define CALL_USEC  (60 * USEC_PER_SEC)
/* A request that displaces others is queued until they have left. */
#define QUEUED_USEC  (60 * USEC_PER_SEC)
#define RELEASE_USEC (60 * USEC_PER_SEC)
#define PAUSE_USEC   100000

/* Turns the error of a call into an errno and a sentence. */
static int cdmd_tell(const sd_bus_error *error, int r, char reason[static CDMD_REASON_MAX])
{
        bool by_name = error && error->name && strncmp(error->name, "System.Error.", 13) != 0;
        const char *text = error && error->message ? error->message : strerror(-r);

        if (by_name ? is_no_daemon(error->name) : r != -ENOMEM) {
                snprintf(reason, CDMD_REASON_MAX, "cdmd cannot be reached: %s", text);
                return -ENOTCONN;
        }
        snprintf(reason, CDMD_REASON_MAX, "%s", text);
        if (by_name && (strcmp(error->name, CDM_ERROR_NO_SUCH_RESERVATION) == 0 ||
                        strcmp(error->name, SD_BUS_ERROR_UNKNOWN_OBJECT) == 0))
                return -ENOENT;
        return r == -ENOMEM ? r : -EACCES;
}

int cdmd_open(sd_bus **ret, char reason[static CDMD_REASON_MAX])
{
        int r = sd_bus_open_system_with_description(ret, "cdm-spank");

        return r < 0 ? cdmd_tell(NULL, r, reason) : 0;
}

/* r: the result of making the message. */
static int cdmd_call(sd_bus *bus, int r, sd_bus_message *m, sd_bus_message **ret_reply,
                     char reason[static CDMD_REASON_MAX])
{
        sd_bus_error error = SD_BUS_ERROR_NULL;

        if (r < 0) {
                snprintf(reason, CDMD_REASON_MAX, "the request cannot be put into a message: %s",
                         strerror(-r));
                return r;
        }
        r = sd_bus_call(bus, m, CALL_USEC, &error, ret_reply);
        if (r < 0)
                r = cdmd_tell(&error, r, reason);
        sd_bus_error_free(&error);
        return r < 0 ? r : 0;
}

static int cdmd_new_call(sd_bus *bus, const char *member, sd_bus_message **ret)
{
        return sd_bus_message_new_method_call(bus, ret, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                              member);
}

static int cdmd_garbled(int r, char reason[static CDMD_REASON_MAX])
{
        snprintf(reason, CDMD_REASON_MAX, "cdmd's answer cannot be read: %s", strerror(-r));
        return r;
}

/* Appends options to a call whose a{sv} is open: the control group, its user and its labels. */
static int cdmd_append_target(sd_bus_message *m, const char *cgroup, const CdmdWords *words)
{
        int r = sd_bus_message_append(m, "{sv}", CDM_OPTION_CGROUP, "s", cgroup);

        if (r >= 0 && words)
                r = sd_bus_message_append(m, "{sv}", CDM_OPTION_FOR_UID, "u", (uint32_t)words->uid);
        return r >= 0 && words ? labels_append(m, &words->labels) : r;
}

int cdmd_admit(sd_bus *bus, const char *cgroup, const CdmdWords *words, char reason[static CDMD_REASON_MAX])
{
        _cleanup_(sd_bus_message_unref_p) sd_bus_message *m = NULL;
        int r = cdmd_new_call(bus, "Admit", &m);

        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", CDM_OPTION_TIMEOUT, "t", ADMIT_USEC);
        if (r >= 0)
                r = cdmd_append_target(m, cgroup, words);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return cdmd_call(bus, r, m, NULL, reason);
}

static int cdmd_read_state(sd_bus *bus, const char *path, char **ret, char reason[static CDMD_REASON_MAX])
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = sd_bus_get_property_string(bus, CDM_BUS_NAME, path, CDM_INTERFACE_RESERVATION, "State",
                                           &error, ret);

        if (r < 0)
                r = cdmd_tell(&error, r, reason);
        sd_bus_error_free(&error);
        return r < 0 ? r : 0;
}

static bool pause_until(uint64_t end_usec)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        if ((uint64_t)now.tv_sec * USEC_PER_SEC >= end_usec)
                return false;
        (void)usleep(PAUSE_USEC);
        return true;
}

static uint64_t usec_from_now(uint64_t usec)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * USEC_PER_SEC + usec;
}

/* Waits while the request is queued. A queued request ends with the connection. */
static int wait_for_grant(sd_bus *bus, const char *path, char reason[static CDMD_REASON_MAX])
{
        uint64_t end = usec_from_now(QUEUED_USEC);

        do {
                _cleanup_free_ char *state = NULL;
                int r = cdmd_read_state(bus, path, &state, reason);

                if (r == -ENOENT)
                        snprintf(reason, CDMD_REASON_MAX, "the request was withdrawn before it was granted");
                if (r < 0)
                        return r;
                if (strcmp(state, "queued") != 0)
                        return 0;
        } while (pause_until(end));
        snprintf(reason, CDMD_REASON_MAX,
                 "the pool is full, and reservations of lower priority have not left it in time");
        return -ETIMEDOUT;
}

int cdmd_request(sd_bus *bus, const CdmdRequest *q, char **ret_path, char reason[static CDMD_REASON_MAX])
{
        _cleanup_(sd_bus_message_unref_p) sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_free_ char *copy = NULL;
        const char *path;
        int r = cdmd_new_call(bus, "Request", &m);

        if (r >= 0)
                r = sd_bus_message_append(m, "st", q->pool, q->bytes);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = cdmd_append_target(m, q->cgroup, q->words);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        r = cdmd_call(bus, r, m, &reply, reason);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return cdmd_garbled(r, reason);
        copy = strdup(path);
        r = copy ? wait_for_grant(bus, copy, reason) : -ENOMEM;
        if (r >= 0)
                *ret_path = TAKE_PTR(copy);
        return r;
}

void cdmd_reservation_clear(CdmdReservation *r)
{
        free(r->shares);
        *r = (CdmdReservation){ 0 };
}

static int read_shares(sd_bus_message *m, CdmdReservation *ret)
{
        uint32_t node;
        uint64_t bytes;
        int r = sd_bus_message_enter_container(m, 'a', "(ut)");

        while (r >= 0 && (r = sd_bus_message_read(m, "(ut)", &node, &bytes)) > 0) {
                Share *shares = reallocarray(ret->shares, ret->n_shares + 1, sizeof(*shares));

                if (!shares)
                        return -ENOMEM;
                ret->shares = shares;
                shares[ret->n_shares++] = (Share){ .node = (int)node, .bytes = bytes };
        }
        return r;
}

int cdmd_reservation_read(sd_bus *bus, const char *path, CdmdReservation *ret,
                          char reason[static CDMD_REASON_MAX])
{
        _cleanup_(sd_bus_message_unref_p) sd_bus_message *m = NULL;
        _cleanup_(cdmd_reservation_clear) CdmdReservation v = { 0 };
        _cleanup_free_ char *state = NULL;
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = cdmd_read_state(bus, path, &state, reason);

        if (r < 0)
                return r;
        if (strcmp(state, "active") != 0 && strcmp(state, "degraded") != 0)
                return -ENOENT;
        r = sd_bus_get_property_trivial(bus, CDM_BUS_NAME, path, CDM_INTERFACE_RESERVATION, "Size", &error,
                                        't', &v.bytes);
        if (r >= 0)
                r = sd_bus_get_property(bus, CDM_BUS_NAME, path, CDM_INTERFACE_RESERVATION, "Nodes", &error,
                                        &m, "a(ut)");
        if (r < 0)
                r = cdmd_tell(&error, r, reason);
        else if ((r = read_shares(m, &v)) < 0)
                r = cdmd_garbled(r, reason);
        sd_bus_error_free(&error);
        if (r < 0)
                return r;
        *ret = v;
        v = (CdmdReservation){ 0 };
        return 0;
}

/* Reads the properties of a row of ListReservations. *ret: the row belongs to the job. */
static int row_is_of_job(sd_bus_message *m, const char *job, bool *ret)
{
        const char *key;
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        *ret = false;
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &key);
                if (r < 0)
                        return r;
                if (strcmp(key, "Labels") != 0) {
                        r = sd_bus_message_skip(m, "v");
                } else if ((r = sd_bus_message_enter_container(m, 'v', "a{ss}")) >= 0 &&
                           (r = sd_bus_message_enter_container(m, 'a', "{ss}")) >= 0) {
                        const char *value;

                        while ((r = sd_bus_message_read(m, "{ss}", &key, &value)) > 0)
                                *ret |= strcmp(key, CDMD_LABEL_JOB) == 0 && strcmp(value, job) == 0;
                        for (int i = 0; r >= 0 && i < 2; i++)
                                r = sd_bus_message_exit_container(m);
                }
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int cdmd_release_id(sd_bus *bus, uint32_t id, char reason[static CDMD_REASON_MAX])
{
        _cleanup_(sd_bus_message_unref_p) sd_bus_message *m = NULL;
        char path[64];

        snprintf(path, sizeof(path), CDM_PATH_RESERVATION "/%u", (unsigned)id);
        int r = sd_bus_message_new_method_call(bus, &m, CDM_BUS_NAME, path, CDM_INTERFACE_RESERVATION,
                                               "Release");
        r = cdmd_call(bus, r, m, NULL, reason);
        return r == -ENOENT ? 0 : r;
}

/* Releases the job's reservations on one page, unless `again`, and returns their number. Advances *after. */
static int release_page(sd_bus *bus, uid_t uid, const char *job, bool again, uint32_t *after,
                        char reason[static CDMD_REASON_MAX])
{
        _cleanup_(sd_bus_message_unref_p) sd_bus_message *m = NULL, *reply = NULL;
        uint32_t id;
        bool is_of_job;
        int n = 0, r = cdmd_new_call(bus, "ListReservations", &m);

        if (r >= 0)
                r = sd_bus_message_append(m, "uua{sv}", *after, (uint32_t)CDM_PAGE_MAX, 1, CDM_FILTER_UID,
                                          "u", (uint32_t)uid);
        r = cdmd_call(bus, r, m, &reply, reason);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(ua{sv})");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'r', "ua{sv}")) > 0) {
                r = sd_bus_message_read(reply, "u", &id);
                if (r >= 0)
                        r = row_is_of_job(reply, job, &is_of_job);
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
                if (r < 0)
                        break;
                n += is_of_job;
                if (is_of_job && !again && (r = cdmd_release_id(bus, id, reason)) < 0)
                        return r;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "u", after);
        return r < 0 ? cdmd_garbled(r, reason) : n;
}

int cdmd_release_job(sd_bus *bus, uid_t uid, const char *job, char reason[static CDMD_REASON_MAX])
{
        uint64_t end = usec_from_now(RELEASE_USEC);
        bool again = false;
        int n;

        do {
                uint32_t after = 0;

                n = 0;
                do {
                        int r = release_page(bus, uid, job, again, &after, reason);

                        if (r < 0)
                                return r;
                        n += r;
                } while (after != 0);
                again = true;
        } while (n > 0 && pause_until(end));
        if (n == 0)
                return 0;
        snprintf(reason, CDMD_REASON_MAX, "the memory of job %s is not free after a minute", job);
        return -ETIMEDOUT;
}
