/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmctl status: shows what an operator wants to see first, on one screen. */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "client/holders.h"
#include "client/objects.h"
#include "client/text.h"
#include "client/warnings.h"
#include "policy/cdm-names.h"
#include "policy/size.h"
#include "policy/warning.h"

#define BAR_WIDTH 24
/* The column where the text after a bar starts, and its indentation if the terminal is too narrow for
 * that. */
#define BAR_END         (2 + 10 + 1 + BAR_WIDTH + 3)
#define BAR_TEXT_MIN    20
#define BAR_TEXT_INDENT 4
/* As wide as "Fence: ". */
#define FACT_INDENT 7

typedef struct ManagerInfo {
        char *version, *mode, *fence;
        WarningList warnings;
        uint64_t drained;        /* bytes of intruders, since cdmd started */
        bool demoting;           /* the kernel's demotion ignores the fence */
        uint64_t demoted;        /* bytes of intruders in the pools that demotion reaches */
        uint64_t drift_repaired; /* since cdmd started */
        bool fencing;
        uint64_t unfenceable; /* bytes of the root cgroup and the kernel on CDM nodes */
        NodeSet ordinary;
        Table *unfenced;
        Table *fights;
        WarningList fight_faults; /* the fights as sentences */
} ManagerInfo;

static const Column unfenced_columns[] = {
        { "UNFENCED", "cgroup", .cut = true },
        { "UNIT", "unit", .cut = true },
        { "REASON", "reason", .cut = true },
};

static const Column fight_columns[] = {
        { "TARGET", "what", .cut = true },
        { "REPAIRS", "repairs", .right = true },
        { "CONFLICT", "reason", .cut = true },
};

static void manager_info_clear(ManagerInfo *m)
{
        free(m->version);
        free(m->mode);
        free(m->fence);
        warning_list_clear(&m->warnings);
        m->unfenced = table_free(m->unfenced);
        m->fights = table_free(m->fights);
        warning_list_clear(&m->fight_faults);
}

static int get_string(sd_bus *bus, const char *property, char **ret, sd_bus_error *error)
{
        return sd_bus_get_property_string(bus, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER, property,
                                          error, ret);
}

static int status_get_unfenced(sd_bus *bus, Table **ret, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unref_p) sd_bus_message *m = NULL;
        _cleanup_(table_free_p) Table *t = NULL;
        const char *cgroup, *unit, *reason;

        int r = table_new(unfenced_columns, ARRAY_SIZE(unfenced_columns), &t);
        if (r >= 0)
                r = sd_bus_get_property(bus, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER, "Unfenced",
                                        error, &m, "a(sss)");
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "(sss)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "(sss)", &cgroup, &unit, &reason)) > 0) {
                table_row(t);
                table_string_or_null(t, cgroup);
                table_string_or_null(t, unit);
                table_string(t, reason);
        }
        if (r >= 0)
                *ret = TAKE_PTR(t);
        return r;
}

/* A fight is a fault: while it lasts, cdmd does not keep a promise. */
static int add_fight_fault(WarningList *faults, const char *what, const char *reason)
{
        _cleanup_free_ char *text = NULL;

        if (asprintf(&text,
                     "%s is changed again and again: %s; cdmd backs off, and tries again after a while",
                     what, reason) < 0) {
                text = NULL;
                return -ENOMEM;
        }
        return warning_list_add(faults, WARNING_FIGHT, true, text);
}

static int status_get_fights(sd_bus *bus, Table **ret, WarningList *faults, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unref_p) sd_bus_message *m = NULL;
        _cleanup_(table_free_p) Table *t = NULL;
        const char *what, *reason;
        uint32_t repairs;

        int r = table_new(fight_columns, ARRAY_SIZE(fight_columns), &t);
        if (r >= 0)
                r = sd_bus_get_property(bus, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER, "Fights", error,
                                        &m, "a(sus)");
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "(sus)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "(sus)", &what, &repairs, &reason)) > 0) {
                table_row(t);
                table_string(t, what);
                table_unsigned(t, repairs);
                table_string(t, reason);
                int k = add_fight_fault(faults, what, reason);
                if (k < 0)
                        return k;
        }
        if (r >= 0)
                *ret = TAKE_PTR(t);
        return r;
}

static int status_get_ordinary(sd_bus *bus, NodeSet *ret, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unref_p) sd_bus_message *m = NULL;
        const uint32_t *nodes;
        size_t size;

        int r = sd_bus_get_property(bus, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER, "OrdinaryNodes",
                                    error, &m, "au");
        if (r >= 0)
                r = sd_bus_message_read_array(m, 'u', (const void **)&nodes, &size);
        if (r < 0)
                return r;
        *ret = NODESET_EMPTY;
        for (size_t i = 0; i < size / sizeof(*nodes); i++)
                if (nodes[i] < NODE_MAX)
                        nodeset_add(ret, (int)nodes[i]);
        return 0;
}

static int read_manager(sd_bus *bus, ManagerInfo *m)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        int r = get_string(bus, "Version", &m->version, &error);
        if (r >= 0)
                r = get_string(bus, "Mode", &m->mode, &error);
        if (r >= 0)
                r = get_string(bus, "FenceState", &m->fence, &error);
        if (r >= 0)
                r = status_get_unfenced(bus, &m->unfenced, &error);
        if (r >= 0)
                r = warning_list_read(bus, &m->warnings, &error);
        if (r >= 0)
                r = status_get_ordinary(bus, &m->ordinary, &error);
        if (r >= 0)
                r = sd_bus_get_property_trivial(bus, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                                "IntruderBytesDrained", &error, 't', &m->drained);
        if (r >= 0)
                r = sd_bus_get_property_trivial(bus, CDM_BUS_NAME, CDM_PATH, CDM_INTERFACE_MANAGER,
                                                "DriftRepaired", &error, 't', &m->drift_repaired);
        if (r >= 0)
                r = status_get_fights(bus, &m->fights, &m->fight_faults, &error);
        return r < 0 ? client_fail(&error, r) : 0;
}

typedef struct Escaped {
        NodeSet demoted_nodes;
        ManagerInfo *manager;
} Escaped;

/* The kernel does not record how a page reached a node. But if the fence is closed except for demotion, the
 * pages of intruders were demoted, or are older than the fence. */
static void add_escaped(const HolderInfo *h, void *userdata)
{
        Escaped *e = userdata;

        if (h->node < NODE_MAX && nodeset_contains(&e->demoted_nodes, (int)h->node) &&
            strcmp(h->kind, "intruder") == 0)
                e->manager->demoted += h->bytes;
        /* Kernel threads are in the root cgroup. Memory that is charged to no cgroup has an empty path. */
        if (strcmp(h->cgroup, "/") == 0 || (!*h->cgroup && strncmp(h->name, "kernel:", 7) == 0))
                e->manager->unfenceable += h->bytes;
}

/* Sums up the bytes on CDM nodes in spite of the fence. */
static int read_escaped(sd_bus *bus, const Objects *o, ManagerInfo *m)
{
        Escaped e = { .manager = m };

        m->demoting = strcmp(m->fence, CDM_FENCE_OPEN_DEMOTION) == 0;
        m->fencing = strcmp(m->fence, "open") != 0;
        if (!m->fencing || o->n_pools == 0)
                return 0;
        for (size_t i = 0; i < o->n_pools; i++)
                if (o->pools[i].fence && strcmp(o->pools[i].fence, CDM_FENCE_OPEN_DEMOTION) == 0)
                        NODESET_FOREACH (node, &o->pools[i].nodes)
                                nodeset_add(&e.demoted_nodes, node);
        return holders_read(bus, add_escaped, &e);
}

static void print_clean(const char *format, const char *text)
{
        _cleanup_free_ char *clean = text_sanitise(text);

        /* format is a constant of this file with one %s */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        printf(format, clean ? clean : TEXT_REPLACEMENT);
#pragma GCC diagnostic pop
}

static _printf_(1, 2) void print_fact(const char *format, ...)
{
        char text[256];
        va_list ap;

        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        printf("%*s", FACT_INDENT, "");
        text_wrap(stdout, text, FACT_INDENT, text_terminal_width());
}

static void print_fence(const ManagerInfo *m)
{
        bool color = table_wants_color();
        const char *code = "";
        char list[NODESET_STR_MAX], size[SIZE_STR_MAX];
        _cleanup_free_ char *mode = NULL, *clean = NULL;
        size_t width = text_terminal_width();

        if (color)
                code = strcmp(m->fence, "closed") == 0 ? "\033[32m" : "\033[33m";
        printf("%s", code);
        print_clean("Fence: %s", m->fence);
        printf("%s", color ? "\033[0m" : "");
        if (asprintf(&mode, "(Mode=%s; ordinary nodes %s)", m->mode, nodeset_format(&m->ordinary, list)) < 0)
                mode = NULL;
        clean = mode ? text_sanitise(mode) : NULL;
        bool narrow = width > 0 && clean && FACT_INDENT + strlen(m->fence) + 1 + text_width(clean) > width;
        printf("%s%*s", narrow ? "\n" : "", narrow ? FACT_INDENT : 1, "");
        text_wrap(stdout, clean ? clean : TEXT_REPLACEMENT, FACT_INDENT, width);
        if (m->demoting)
                print_fact("%s of processes without a reservation are on nodes that demotion reaches",
                           size_format(m->demoted, size));
        if (m->fencing)
                print_fact("the root cgroup and kernel threads cannot be fenced: they have %s there",
                           size_format(m->unfenceable, size));
        if (m->drained > 0)
                print_fact("%s of intruders were moved off CDM nodes", size_format(m->drained, size));
        if (m->drift_repaired > 0)
                print_fact("drift was repaired %" PRIu64 " %s: `journalctl --unit cdmd` tells where",
                           m->drift_repaired, m->drift_repaired == 1 ? "time" : "times");
}

/* [######..........]: reserved of size. Any reservation shows as at least one mark. */
static void print_bar(uint64_t part, uint64_t whole)
{
        int n = whole > 0 ? (int)((double)part / (double)whole * BAR_WIDTH) : 0;

        n = n > BAR_WIDTH ? BAR_WIDTH : n;
        if (part > 0 && n == 0)
                n = 1;
        putchar('[');
        for (int i = 0; i < BAR_WIDTH; i++)
                putchar(i < n ? '#' : '.');
        putchar(']');
}

static void print_pools(const Objects *o)
{
        char reserved[SIZE_STR_MAX], whole[SIZE_STR_MAX], list[NODESET_STR_MAX], used[SIZE_STR_MAX];
        size_t width = text_terminal_width();
        bool narrow = width > 0 && width < BAR_END + BAR_TEXT_MIN;
        size_t indent = narrow ? BAR_TEXT_INDENT : BAR_END;

        puts("\nPools:");
        if (o->n_pools == 0)
                puts("  none: this machine has no CDM nodes");
        for (size_t i = 0; i < o->n_pools; i++) {
                const PoolInfo *p = &o->pools[i];
                bool demoting = p->fence && strcmp(p->fence, CDM_FENCE_OPEN_DEMOTION) == 0;
                _cleanup_free_ char *name = text_sanitise(p->name ? p->name : ""), *text = NULL;

                printf("  %-10s ", name ? name : "");
                print_bar(p->reserved, p->size);
                if (asprintf(&text, "%s of %s reserved, %s used; nodes %s%s%s",
                             size_format(p->reserved, reserved), size_format(p->size, whole),
                             size_format(p->used, used), nodeset_format(&p->nodes, list),
                             demoting ? "; fence: " : "", demoting ? CDM_FENCE_OPEN_DEMOTION : "") < 0)
                        text = NULL;
                printf("%s%*s", narrow ? "\n" : "", narrow ? BAR_TEXT_INDENT : 1, "");
                text_wrap(stdout, text ? text : TEXT_REPLACEMENT, indent, width);
        }
}

static int status_print_human(const ManagerInfo *m, const Objects *o, const TableStyle *style)
{
        _cleanup_(table_free_p) Table *t = NULL;

        print_fence(m);
        int r = table_print(m->unfenced, style);
        if (r >= 0)
                r = table_print(m->fights, style);
        if (r < 0)
                return r;
        print_pools(o);

        puts("\nReservations:");
        if (o->n_reservations == 0)
                puts("  none");
        r = objects_table_reservations(o->reservations, o->n_reservations, &t);
        if (r >= 0)
                r = table_print(t, style);
        if (r < 0)
                return r;

        warning_list_print(&m->warnings, style->full);
        return 0;
}

static void print_json_tables(const Objects *o, Json *j)
{
        _cleanup_(table_free_p) Table *pools = NULL, *reservations = NULL;

        if (objects_table_pools(o, &pools) < 0 ||
            objects_table_reservations(o->reservations, o->n_reservations, &reservations) < 0)
                return;
        json_key(j, "pools");
        table_print_json(pools, j);
        json_key(j, "reservations");
        table_print_json(reservations, j);
}

static int status_print_json(const ManagerInfo *m, const Objects *o, JsonMode mode)
{
        Json j = JSON_WRITER(stdout, mode);

        json_object_begin(&j);
        json_key(&j, "version");
        json_string(&j, m->version);
        json_key(&j, "mode");
        json_string(&j, m->mode);
        json_key(&j, "fence");
        json_string(&j, m->fence);
        json_key(&j, "unfenced");
        table_print_json(m->unfenced, &j);
        json_key(&j, "ordinary_nodes");
        json_nodes(&j, &m->ordinary);
        json_key(&j, "intruder_bytes_drained");
        json_unsigned(&j, m->drained);
        json_key(&j, "demoted_bytes");
        if (m->demoting)
                json_unsigned(&j, m->demoted);
        else
                json_null(&j);
        json_key(&j, "drift_repaired");
        json_unsigned(&j, m->drift_repaired);
        json_key(&j, "fights");
        table_print_json(m->fights, &j);
        json_key(&j, "unfenceable_bytes");
        if (m->fencing)
                json_unsigned(&j, m->unfenceable);
        else
                json_null(&j);
        json_key(&j, "warnings");
        json_array_begin(&j);
        for (size_t i = 0; i < m->warnings.n_items; i++)
                json_string(&j, m->warnings.items[i].text);
        json_array_end(&j);
        print_json_tables(o, &j);
        json_key(&j, "named_warnings");
        warning_list_print_json(&m->warnings, &j);
        json_object_end(&j);
        json_finish(&j);
        return ferror(stdout) ? -EIO : 0;
}

/* --- status --check ------------------------------------------------------------------------------------- */

static bool is_ignored(const Args *args, const char *name)
{
        for (char **i = args->ignored; i && *i; i++)
                if (strcmp(*i, name) == 0)
                        return true;
        return false;
}

static int check_ignored(const Args *args)
{
        for (char **i = args->ignored; i && *i; i++) {
                const char *names[64];
                char hint[DID_YOU_MEAN_MAX];
                size_t n;
                const WarningInfo *all = warning_all(&n);

                if (warning_find(*i))
                        continue;
                n = n < ARRAY_SIZE(names) ? n : ARRAY_SIZE(names);
                for (size_t k = 0; k < n; k++)
                        names[k] = all[k].name;
                did_you_mean(*i, names, n, hint);
                return usage_error("--ignore=%s: there is no such warning%s", *i,
                                   *hint ? hint : "; `cdmctl explain-warning` lists them");
        }
        if (args->ignored && !args_given(args, OPTION_CHECK))
                return usage_error("--ignore needs --check");
        return 0;
}

static bool pools_have_nodes(const Objects *o)
{
        for (size_t i = 0; i < o->n_pools; i++)
                if (!nodeset_is_empty(&o->pools[i].nodes))
                        return true;
        return false;
}

/* A fence that does not match Mode= is a fault, like those that the daemon reports. Without CDM nodes there is
 * nothing to fence, and the fence stays open. */
static int add_fence_fault(ManagerInfo *m, const Objects *o)
{
        bool enforced = strcmp(m->mode, "enforce") == 0;
        _cleanup_free_ char *text = NULL;

        if (strcmp(m->fence, "open") == 0 && !pools_have_nodes(o))
                return 0;

        /* Openness to demotion is a fault with a name of its own. */
        if (strcmp(m->fence, CDM_FENCE_OPEN_DEMOTION) == 0 ||
            strcmp(m->fence, enforced ? "closed" : "open") == 0)
                return 0;
        if (asprintf(&text, "the fence is %s, and Mode=%s wants it to be %s; `cdmctl status` shows where",
                     m->fence, m->mode, enforced ? "closed" : "open") < 0)
                return -ENOMEM;
        return warning_list_add(&m->warnings, WARNING_FENCE, true, text);
}

/* Adds the faults of a list that are not ignored. */
static int add_faults(WarningList *faults, const WarningList *from, const Args *args)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < from->n_items; i++)
                if (from->items[i].fault && !is_ignored(args, from->items[i].name))
                        r = warning_list_add(faults, from->items[i].name, true, from->items[i].text);
        return r;
}

static int status_check(ManagerInfo *m, const Objects *o, const Args *args)
{
        WarningList faults = { 0 };

        int r = add_fence_fault(m, o);
        if (r >= 0)
                r = add_faults(&faults, &m->warnings, args);
        if (r >= 0)
                r = add_faults(&faults, &m->fight_faults, args);
        if (r < 0) {
                warning_list_clear(&faults);
                return fail(CDM_EXIT_FAILED, "out of memory");
        }

        int status = faults.n_items > 0 ? CDM_EXIT_FAILED : CDM_EXIT_DONE;
        if (args->style.json != JSON_OFF) {
                Json j = JSON_WRITER(stdout, args->style.json);

                warning_list_print_json(&faults, &j);
                json_finish(&j);
        }
        for (size_t i = 0; args->style.json == JSON_OFF && !args->style.quiet && i < faults.n_items; i++) {
                print_clean("%s: ", faults.items[i].name);
                print_clean("%s\n", faults.items[i].text);
        }
        warning_list_clear(&faults);
        return status;
}

int verb_status(const Args *args)
{
        _cleanup_(sd_bus_flush_close_unref_p) sd_bus *bus = NULL;
        _cleanup_(manager_info_clear) ManagerInfo manager = { 0 };
        _cleanup_(objects_free_p) Objects *objects = calloc(1, sizeof(*objects));

        if (!objects)
                return fail(CDM_EXIT_FAILED, "out of memory");
        int status = check_ignored(args);
        if (status == 0)
                status = client_open(&bus);
        if (status == 0)
                status = read_manager(bus, &manager);
        if (status == 0)
                status = objects_read_pools_and_nodes(bus, objects);
        if (status == 0 && args_given(args, OPTION_CHECK))
                return status_check(&manager, objects, args);
        if (status == 0)
                status = objects_read_reservations(bus, NULL, objects);
        if (status == 0)
                status = read_escaped(bus, objects, &manager);
        if (status != 0)
                return status;

        if (args->style.json != JSON_OFF)
                return printed(status_print_json(&manager, objects, args->style.json));
        return printed(status_print_human(&manager, objects, &args->style));
}
