/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmctl check: checks the configuration like cdmd, without a daemon. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "client/cdmctl.h"
#include "client/text.h"
#include "daemon/machine/name-lookup.h"
#include "daemon/machine/topology-read.h"
#include "policy/cdm-names.h"
#include "policy/conf-read.h"
#include "policy/facts.h"
#include "policy/pool.h"
#include "policy/topology.h"

/* FILE:LINE comes first, as in messages of compilers, so that editors find the place. */
static void print_message(const ConfMessage *m)
{
        _cleanup_free_ char *text = conf_message_format(m);
        _cleanup_free_ char *clean = text ? text_sanitise(text) : NULL;

        fprintf(stderr, "%s%s\n", clean ? clean : m->file, m->severity == CONF_WARNING ? " (warning)" : "");
}

static void check_print_json(const ConfMessages *messages, JsonMode mode)
{
        Json j = JSON_WRITER(stdout, mode);

        json_array_begin(&j);
        for (size_t i = 0; i < messages->n_messages; i++) {
                const ConfMessage *m = &messages->messages[i];

                json_object_begin(&j);
                json_key(&j, "file");
                json_string(&j, m->file);
                json_key(&j, "line");
                if (m->line > 0)
                        json_unsigned(&j, m->line);
                else
                        json_null(&j);
                json_key(&j, "severity");
                json_string(&j, m->severity == CONF_ERROR ? "error" : "warning");
                json_key(&j, "text");
                json_string(&j, m->text);
                json_object_end(&j);
        }
        json_array_end(&j);
        json_finish(&j);
}

static int check_tell_result(const ConfMessages *messages, const TableStyle *style)
{
        if (style->json != JSON_OFF)
                check_print_json(messages, style->json);
        for (size_t i = 0; style->json == JSON_OFF && i < messages->n_messages; i++)
                print_message(&messages->messages[i]);
        return conf_messages_have_errors(messages) ? CDM_EXIT_FAILED : CDM_EXIT_DONE;
}

/* Adds the warnings of `cdmctl status` that follow from these nodes and files. */
static int check_advise(const Topology *topology, const PoolSet *pools, ConfMessages *messages)
{
        for (Fact f = 0; f < _FACT_MAX; f++) {
                _cleanup_free_ char *text = NULL;

                int r = fact_is_of_pools(f) ? fact_judge(f, topology, pools, &text) : 0;
                if (r > 0)
                        r = conf_messages_add(messages, CONF_WARNING, "/etc/" CDM_CONFIG_DIR "/pools.d", 0,
                                              "%s", text);
                if (r < 0)
                        return fail(CDM_EXIT_FAILED, "out of memory");
        }
        return 0;
}

/* Checks the pools against this machine. Correct files can still take all of its memory. */
static int check_pools(const char *root, const Config *config, ConfMessages *messages, size_t *ret_n_pools)
{
        _cleanup_(topology_free_p) Topology *topology = NULL;
        _cleanup_(pool_set_free_p) PoolSet *pools = NULL;
        _cleanup_free_ char *error = NULL, *unreadable = NULL;

        int r = topology_read_explained(root, &topology, &unreadable);
        if (r < 0) {
                note("the machine's nodes cannot be read, so pools were not checked against them: %s",
                     unreadable ? unreadable : strerror(-r));
                return 0;
        }
        if (topology->unread)
                note("%s", topology->unread);

        r = pool_set_resolve(topology, (const PoolConfig *const *)config->pools, config->n_pools, &pools,
                             &error);
        if (r < 0)
                return fail(CDM_EXIT_FAILED, "%s", error ? error : strerror(-r));
        *ret_n_pools = pools->n_pools; /* the default pool has no file */
        return check_advise(topology, pools, messages);
}

static const char *check_plural(size_t n)
{
        return n == 1 ? "" : "s";
}

/* A wrong --root would look like a machine without any configuration. */
static int check_root(const char *root)
{
        struct stat st;

        if (!*root)
                return 0;
        if (stat(root, &st) < 0)
                return fail(CDM_EXIT_FAILED,
                            "--root=%s: %s; name a directory that holds a copy of a machine", root,
                            strerror(errno));
        if (!S_ISDIR(st.st_mode))
                return fail(CDM_EXIT_FAILED,
                            "--root=%s is not a directory; name one that holds a copy of a machine", root);
        return 0;
}

static int check_all(const Args *args)
{
        _cleanup_(conf_messages_clear) ConfMessages messages = { 0 };
        _cleanup_(config_free_p) Config *config = NULL;

        int r = check_root(args->root);
        if (r != 0)
                return r;
        r = config_load(args->root, &config, &messages);
        if (r >= 0)
                r = config_resolve_names(config, name_find, (void *)args->root, &messages);
        if (r < 0 && r != -EBADMSG)
                return fail(CDM_EXIT_FAILED, "cannot read the configuration: %s", strerror(-r));

        size_t n_pools = config ? config->n_pools : 0;
        int status = 0;
        if (config && !conf_messages_have_errors(&messages))
                status = check_pools(args->root, config, &messages, &n_pools);
        int told = check_tell_result(&messages, &args->style);
        status = told != 0 ? told : status;
        if (status == 0 && config && args->style.json == JSON_OFF)
                printf("ok: %zu pool%s, %zu rule%s\n", n_pools, check_plural(n_pools), config->n_rules,
                       check_plural(config->n_rules));
        return r < 0 ? CDM_EXIT_FAILED : status;
}

static int check_files(const Args *args)
{
        _cleanup_(conf_messages_clear) ConfMessages messages = { 0 };
        size_t n = (size_t)args->n_positional;

        int r = config_check_files(args->positional, n, name_find, (void *)"", &messages);
        if (r < 0 && r != -EBADMSG)
                return fail(CDM_EXIT_FAILED, "cannot read the files: %s", strerror(-r));

        int status = check_tell_result(&messages, &args->style);
        if (r == 0 && status == 0 && args->style.json == JSON_OFF)
                printf("ok: %zu file%s\n", n, check_plural(n));
        return r < 0 ? CDM_EXIT_FAILED : status;
}

int verb_check(const Args *args)
{
        return args->n_positional > 0 ? check_files(args) : check_all(args);
}
