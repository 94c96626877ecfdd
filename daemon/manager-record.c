/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The record of nodes and pools that outlives the boot (policy/pool-record.h): read at start, written by the
 * worker whenever it says something new, because it is on a disk. One write is under way at a time; what
 * changes meanwhile is written after it. A machine without a writable /var has no record, and is told so. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/manager.h"
#include "policy/cdm-names.h"
#include "policy/pool-record.h"

struct RecordWrite {
        Manager *manager; /* NULL: it is gone */
        Store *store;
        char *text;
        Job *job;
};

int manager_record_load(Manager *m)
{
        _cleanup_free_ char *directory = NULL, *text = NULL;

        if (asprintf(&directory, "%s" CDM_LASTING_DIR, m->root) < 0) {
                directory = NULL;
                return -ENOMEM;
        }
        int r = store_open(directory, &m->lasting);
        if (r >= 0)
                r = store_read_pools(m->lasting, &text);
        if (r >= 0)
                r = pool_record_parse(text ? text : "", &m->record);
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                log_warning("%s does not tell which nodes were in which pool at the last boot: %s. A node "
                            "that left its pool since then is not noticed.",
                            directory, strerror(-r));
                return pool_record_new(&m->record);
        }
        m->recorded = TAKE_PTR(text);
        return 0;
}

static int record_run(Job *job _unused_, void *userdata)
{
        struct RecordWrite *w = userdata;

        return store_write_pools(w->store, w->text);
}

static void record_write(Manager *m);

static void record_done(int result, void *userdata)
{
        struct RecordWrite *w = userdata;
        Manager *m = w->manager;

        if (m) {
                m->record_write = NULL;
                if (result < 0)
                        log_warning("Cannot write down which nodes are in which pool: %s.",
                                    strerror(-result));
        }
        free(w->text);
        free(w);
        if (m && result >= 0)
                record_write(m);
}

static void record_write(Manager *m)
{
        _cleanup_free_ char *text = NULL;
        struct RecordWrite *w;

        if (m->record_write || !m->lasting || pool_record_format(m->record, &text) < 0)
                return;
        if (strcmp(text, m->recorded ? m->recorded : "") == 0)
                return;
        w = calloc(1, sizeof(*w));
        if (!w)
                return;
        *w = (struct RecordWrite){ .manager = m, .store = m->lasting, .text = strdup(text) };
        if (!w->text || worker_submit(m->worker, record_run, record_done, NULL, w, &w->job) < 0) {
                free(w->text);
                free(w);
                return;
        }
        m->record_write = w;
        free(m->recorded);
        m->recorded = TAKE_PTR(text);
}

void manager_record_keep(Manager *m, bool forget)
{
        if (m->record && pool_record_update(m->record, m->topology, m->pools, forget) >= 0)
                record_write(m);
}

void manager_record_judge(Manager *m)
{
        char *text = NULL;

        if (!m->record || pool_record_judge(m->record, m->topology, m->pools, &text) < 0)
                return;
        if (text && (!m->left_pools || strcmp(text, m->left_pools) != 0))
                log_warning("%s", text);
        free(m->left_pools);
        m->left_pools = text;
}

/* Before the worker goes. */
void manager_record_abandon(Manager *m)
{
        if (m->record_write)
                m->record_write->manager = NULL;
        m->record_write = NULL;
}

/* After it. */
void manager_record_free(Manager *m)
{
        pool_record_free(m->record);
        free(m->recorded);
        free(m->left_pools);
        store_free(m->lasting);
}
