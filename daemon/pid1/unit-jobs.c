/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/pid1/unit-jobs.h"

/* The jobs of PID 1 that cdmd waits for, by unit name. The match has no arg2, because sd-bus cannot match an
 * argument after one that is not a string, and the first argument is the number of the job. So the end of
 * every job wakes cdmd, and one lookup in the table tells whether cdmd waits for it. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "daemon/loop/match.h"
#include "daemon/pid1/unit-call.h"

struct UnitJob {
        UnitJobs *jobs; /* NULL: the job has ended */
        char *unit;
        unit_job_cb cb;
        void *userdata;
        UT_hash_handle hh;
};

struct UnitJobs {
        sd_bus_slot *match;
        UnitJob *table;
};

static void unit_job_leave(UnitJob *j)
{
        if (j->jobs)
                HASH_DEL(j->jobs->table, j);
        j->jobs = NULL;
}

static int unit_jobs_on_removed(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_)
{
        const char *path, *unit, *result;
        UnitJobs *jobs = userdata;
        uint32_t id;
        UnitJob *j;

        if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) < 0)
                return 0;
        HASH_FIND_STR(jobs->table, unit, j);
        if (!j)
                return 0;
        unit_job_leave(j);
        j->cb(result, j->userdata);
        return 0;
}

int unit_jobs_new(sd_bus *bus, UnitJobs **ret)
{
        UnitJobs *j = calloc(1, sizeof(*j));

        if (!j)
                return -ENOMEM;
        int r = match_add(bus, &j->match, MATCH_MANAGER("JobRemoved"), unit_jobs_on_removed, j);
        if (r < 0) {
                free(j);
                return r;
        }
        *ret = j;
        return 0;
}

UnitJobs *unit_jobs_free(UnitJobs *j)
{
        if (!j)
                return NULL;
        sd_bus_slot_unref(j->match);
        free(j);
        return NULL;
}

int unit_job_wait(UnitJobs *jobs, const char *unit, unit_job_cb cb, void *userdata, UnitJob **ret)
{
        UnitJob *j;

        HASH_FIND_STR(jobs->table, unit, j);
        if (j)
                return -EBUSY;
        j = calloc(1, sizeof(*j));
        if (!j)
                return -ENOMEM;
        *j = (UnitJob){ .jobs = jobs, .unit = strdup(unit), .cb = cb, .userdata = userdata };
        if (!j->unit) {
                free(j);
                return -ENOMEM;
        }
        HASH_ADD_KEYPTR(hh, jobs->table, j->unit, strlen(j->unit), j);
        *ret = j;
        return 0;
}

UnitJob *unit_job_free(UnitJob *j)
{
        if (!j)
                return NULL;
        unit_job_leave(j);
        free(j->unit);
        free(j);
        return NULL;
}
