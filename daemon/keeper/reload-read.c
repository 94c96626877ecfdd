/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/keeper/reload-read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/machine/topology-read.h"
#include "policy/conf-read.h"

/* The worker uses it until the job has completed, and the job's callback frees it. */
struct ReloadReading {
        char *root;
        ReloadPart part;
        ReloadResult read;
        Job *job;
        reload_read_done_t done; /* NULL: nobody waits for the result any more */
        void *userdata;
};

void reload_result_clear(ReloadResult *r)
{
        config_free(r->config);
        free(r->warnings);
        topology_free(r->topology);
        free(r->error);
        *r = (ReloadResult){ 0 };
}

char *reload_read_messages(const ConfMessages *m, ConfSeverity severity)
{
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return NULL;
        for (size_t i = 0; i < m->n_messages; i++) {
                _cleanup_free_ char *line = NULL;
                if (m->messages[i].severity != severity)
                        continue;
                line = conf_message_format(&m->messages[i]);
                fprintf(f, "%s%s", ftell(f) > 0 ? "\n" : "", line ? line : "out of memory");
        }
        fclose(f);
        return text;
}

static int reload_read_nodes(const char *root, ReloadResult *ret)
{
        _cleanup_free_ char *reason = NULL;

        int r = topology_read_explained(root, &ret->topology, &reason);
        if (r < 0 && asprintf(&ret->error, "the machine's nodes cannot be read: %s",
                              reason ? reason : strerror(-r)) < 0)
                ret->error = NULL;
        return r;
}

static int reload_read_config(const char *root, ReloadResult *ret)
{
        _cleanup_(conf_messages_clear) ConfMessages messages = { 0 };

        int r = config_load(root, &ret->config, &messages);
        if (r < 0)
                ret->error = reload_read_messages(&messages, CONF_ERROR);
        else
                ret->warnings = reload_read_messages(&messages, CONF_WARNING);
        return r;
}

int reload_read(const char *root, ReloadPart part, ReloadResult *ret)
{
        return part == RELOAD_NODES ? reload_read_nodes(root, ret) : reload_read_config(root, ret);
}

static int reload_reading_run(Job *job _unused_, void *userdata)
{
        ReloadReading *r = userdata;

        return reload_read(r->root, r->part, &r->read);
}

static void reload_reading_on_done(int result, void *userdata)
{
        ReloadReading *r = userdata;

        if (r->done)
                r->done(result, &r->read, r->userdata);
        reload_result_clear(&r->read);
        free(r->root);
        free(r);
}

int reload_reading_new(Worker *worker, const char *root, ReloadPart part, reload_read_done_t done,
                       void *userdata, ReloadReading **ret)
{
        ReloadReading *r = calloc(1, sizeof(*r));

        if (!r)
                return -ENOMEM;
        *r = (ReloadReading){ .root = strdup(root), .part = part, .done = done, .userdata = userdata };
        int k = r->root ? worker_submit(worker, reload_reading_run, reload_reading_on_done, NULL, r, &r->job)
                        : -ENOMEM;
        if (k < 0) {
                free(r->root);
                free(r);
                return k;
        }
        *ret = r;
        return 0;
}

ReloadReading *reload_reading_free(ReloadReading *r)
{
        if (!r)
                return NULL;
        r->done = NULL;
        job_cancel(r->job);
        return NULL;
}
