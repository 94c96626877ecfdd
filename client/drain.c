/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmctl drain and undrain: empty a node for a reset or removal, and put it into use again. The daemon
 * replies when it cannot empty the node further. It continues without cdmctl, so waiting can be
 * interrupted. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "client/progress.h"
#include "client/text.h"
#include "client/wait.h"
#include "policy/cdm-names.h"
#include "policy/nodeset.h"
#include "policy/size.h"

typedef struct Drain {
        sd_bus *bus;
        BusWait wait;
        uint32_t node;
        char path[64];
        uint64_t total_bytes;
        bool show_progress;
        Progress progress;
        int status;
        sd_bus_message *reply;
} Drain;

static int parse_node(const char *text, uint32_t *ret)
{
        char *end;
        unsigned long node = strtoul(text, &end, 10);

        if (*text < '0' || *text > '9' || *end != '\0' || node >= NODE_MAX)
                return usage_error("'%s' is not a node's number; `cdmctl nodes` shows them", text);
        *ret = (uint32_t)node;
        return 0;
}

static int drain_on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_)
{
        const sd_bus_error *e = sd_bus_message_get_error(m);
        Drain *d = userdata;

        progress_clear(&d->progress);
        if (!e)
                d->reply = sd_bus_message_ref(m);
        else if (sd_bus_error_has_name(e, SD_BUS_ERROR_NO_REPLY))
                d->status = fail(
                        CDM_EXIT_NO_DAEMON,
                        "cdmd stopped; node %u stays drained, and `cdmctl drain %u` checks again whether "
                        "it is empty",
                        d->node, d->node);
        else
                d->status = client_fail(e, -sd_bus_error_get_errno(e));
        wait_stop(&d->wait);
        return 0;
}

static void drain_show_progress(void *userdata)
{
        Drain *d = userdata;
        uint64_t used;
        char what[48];

        if (sd_bus_get_property_trivial(d->bus, CDM_BUS_NAME, d->path, CDM_INTERFACE_NODE, "Used", NULL, 't',
                                        &used) < 0)
                return;
        d->total_bytes = used > d->total_bytes ? used : d->total_bytes;
        snprintf(what, sizeof(what), "draining node %u", d->node);
        progress_show(&d->progress, what, used, d->total_bytes);
}

/* No timeout: pages move as slowly as Bandwidth= says. */
static int call_and_wait(Drain *d)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        int r = wait_begin(&d->wait, d->bus, d->show_progress ? drain_show_progress : NULL, d);
        if (r >= 0)
                r = sd_bus_message_new_method_call(d->bus, &m, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                                   "DrainNode");
        if (r >= 0)
                r = sd_bus_message_append(m, "u", d->node);
        if (r >= 0)
                r = sd_bus_message_set_allow_interactive_authorization(m, isatty(STDIN_FILENO));
        if (r >= 0)
                r = sd_bus_call_async(d->bus, NULL, m, drain_on_reply, d, UINT64_MAX);
        if (r >= 0)
                r = wait_loop(&d->wait);
        wait_end(&d->wait);
        if (r < 0)
                return client_fail(NULL, r);
        return d->status;
}

static int drain_die(Drain *d)
{
        progress_clear(&d->progress);
        note("interrupted; node %u stays drained and its pages continue to move; `cdmctl who %u` shows what "
             "is left",
             d->node, d->node);
        wait_die(&d->wait);
        return CDM_EXIT_FAILED;
}

static int print_holders(sd_bus_message *m, Json *j)
{
        const char *cgroup, *kind;
        char size[SIZE_STR_MAX];
        uint64_t bytes;

        int r = sd_bus_message_enter_container(m, 'a', "(sst)");
        while (r >= 0 && (r = sd_bus_message_read(m, "(sst)", &cgroup, &kind, &bytes)) > 0) {
                _cleanup_free_ char *clean = text_sanitise(cgroup), *clean_kind = text_sanitise(kind);

                if (!j) {
                        printf("  %s %s in %s\n", size_format(bytes, size), clean_kind ? clean_kind : "?",
                               clean ? clean : "?");
                        continue;
                }
                json_object_begin(j);
                json_key(j, "cgroup");
                json_string(j, cgroup);
                json_key(j, "kind");
                json_string(j, kind);
                json_key(j, "bytes");
                json_unsigned(j, bytes);
                json_object_end(j);
        }
        return r;
}

static int drain_print_json(const Drain *d, uint64_t moved, uint64_t evicted, uint64_t left, JsonMode mode)
{
        Json j = JSON_WRITER(stdout, mode);

        json_object_begin(&j);
        json_key(&j, "node");
        json_unsigned(&j, d->node);
        json_key(&j, "moved");
        json_unsigned(&j, moved);
        json_key(&j, "evicted");
        json_unsigned(&j, evicted);
        json_key(&j, "residue");
        json_unsigned(&j, left);
        json_key(&j, "holders");
        json_array_begin(&j);
        int r = print_holders(d->reply, &j);
        json_array_end(&j);
        json_object_end(&j);
        json_finish(&j);
        return r;
}

static int print_result(const Drain *d, JsonMode mode)
{
        uint64_t moved, evicted, left;
        char size[SIZE_STR_MAX];

        int r = sd_bus_message_read(d->reply, "ttt", &moved, &evicted, &left);
        if (r >= 0 && mode != JSON_OFF)
                r = drain_print_json(d, moved, evicted, left, mode);
        else if (r >= 0 && left > 0) {
                printf("%s could not be moved off node %u:\n", size_format(left, size), d->node);
                r = print_holders(d->reply, NULL);
        }
        if (r < 0)
                return client_garbled(r);
        if (left == 0)
                return CDM_EXIT_DONE;
        return fail(CDM_EXIT_FAILED,
                    "node %u is drained, but not empty: end what is listed, or make it free its memory "
                    "(locked, pinned or shared pages), then run `cdmctl drain %u` again",
                    d->node, d->node);
}

int verb_drain(const Args *args)
{
        _cleanup_(sd_bus_flush_close_unref_p) sd_bus *bus = NULL;
        Drain d = { .show_progress = progress_is_wanted(&args->style) };

        int status = parse_node(args->positional[0], &d.node);
        if (status == 0)
                status = client_open(&bus);
        if (status != 0)
                return status;
        d.bus = bus;
        snprintf(d.path, sizeof(d.path), CDM_PATH_NODE "/%u", d.node);
        status = call_and_wait(&d);
        if (d.wait.signal != 0)
                status = drain_die(&d);
        else if (status == 0)
                status = print_result(&d, args->style.json);
        sd_bus_message_unref(d.reply);
        return status;
}

int verb_undrain(const Args *args)
{
        _cleanup_(sd_bus_flush_close_unref_p) sd_bus *bus = NULL;
        uint32_t node;

        int status = parse_node(args->positional[0], &node);
        if (status == 0)
                status = client_open(&bus);
        if (status != 0)
                return status;
        return client_call(bus, CDM_PATH, CDM_INTERFACE_MANAGER, "UndrainNode", NULL, "u", node);
}
