/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The record (policy/pool-record.h) is read at start, and written whenever it changes. A worker writes it,
 * because it is on a disk. One write is in flight at a time; a change during the write is written
 * afterwards. A machine without a writable /var has no record, which is logged. */

#include "daemon/tenant/record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/loop/log.h"
#include "daemon/loop/store.h"
#include "policy/cdm-names.h"
#include "policy/pool-record.h"

typedef struct RecordWrite RecordWrite;

struct Record {
        Worker *worker;
        Store *store; /* NULL: the directory cannot be used */
        PoolRecord *pools;
        RecordWrite *write; /* in flight */
        char *written;      /* the text on disk, or being written */
        char *warning;
};

/* Owns the store once the Record was freed. */
struct RecordWrite {
        Record *record; /* NULL: already freed */
        Store *store;
        char *text;
        Job *job;
};

static int record_load(Record *r, const char *root)
{
        _cleanup_free_ char *directory = NULL, *text = NULL;

        if (asprintf(&directory, "%s" CDM_LASTING_DIR, root) < 0) {
                directory = NULL;
                return -ENOMEM;
        }
        int k = store_open(directory, &r->store);
        if (k >= 0)
                k = store_read_pools(r->store, &text);
        if (k >= 0)
                k = pool_record_parse(text ? text : "", &r->pools);
        if (k == -ENOMEM)
                return k;
        if (k < 0) {
                log_warning("%s does not tell which nodes were in which pool at the last boot: %s; a node "
                            "that left its pool since then is not noticed",
                            directory, strerror(-k));
                return pool_record_new(&r->pools);
        }
        r->written = TAKE_PTR(text);
        return 0;
}

int record_new(const char *root, Worker *worker, Record **ret)
{
        _cleanup_(record_free_p) Record *r = calloc(1, sizeof(*r));

        if (!r)
                return -ENOMEM;
        r->worker = worker;
        int k = record_load(r, root);
        if (k < 0)
                return k;
        *ret = TAKE_PTR(r);
        return 0;
}

Record *record_free(Record *r)
{
        if (!r)
                return NULL;
        if (r->write)
                r->write->record = NULL;
        else
                store_free(r->store);
        pool_record_free(r->pools);
        free(r->written);
        free(r->warning);
        free(r);
        return NULL;
}

static int record_on_worker(Job *job _unused_, void *userdata)
{
        RecordWrite *w = userdata;

        return store_write_pools(w->store, w->text);
}

static void record_write(Record *r);

static void record_on_written(int result, void *userdata)
{
        RecordWrite *w = userdata;
        Record *r = w->record;

        if (r) {
                r->write = NULL;
                if (result < 0)
                        log_warning("cannot write down which nodes are in which pool: %s",
                                    strerror(-result));
        } else
                store_free(w->store);
        free(w->text);
        free(w);
        if (r && result >= 0)
                record_write(r);
}

static void record_write(Record *r)
{
        _cleanup_free_ char *text = NULL;
        RecordWrite *w;

        if (r->write || !r->store || pool_record_format(r->pools, &text) < 0)
                return;
        if (strcmp(text, r->written ? r->written : "") == 0)
                return;
        w = calloc(1, sizeof(*w));
        if (!w)
                return;
        *w = (RecordWrite){ .record = r, .store = r->store, .text = strdup(text) };
        if (!w->text ||
            worker_submit(r->worker, record_on_worker, record_on_written, NULL, w, &w->job) < 0) {
                free(w->text);
                free(w);
                return;
        }
        r->write = w;
        free(r->written);
        r->written = TAKE_PTR(text);
}

void record_keep(Record *r, const Topology *t, const PoolSet *pools, bool forget)
{
        if (pool_record_update(r->pools, t, pools, forget) >= 0)
                record_write(r);
}

void record_judge(Record *r, const Topology *t, const PoolSet *pools)
{
        char *text = NULL;

        if (pool_record_judge(r->pools, t, pools, &text) < 0)
                return;
        if (text && (!r->warning || strcmp(text, r->warning) != 0))
                log_warning("%s", text);
        free(r->warning);
        r->warning = text;
}

const char *record_warning(const Record *r)
{
        return r->warning;
}
