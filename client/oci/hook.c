/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmd-oci-hook: gives a container its memory before its first instruction.
 *
 * A container runtime runs this program as a createRuntime hook, when the container's cgroup exists and its
 * first process waits. The hook reads the state on standard input, sends the request of the annotations or
 * of a CDI device to cdmd, and returns when the request is granted. Any exit status other than 0 ends the
 * start.
 *
 * The user who starts a container chooses what it asks for, so the request has no user (for-nobody): only
 * the admin's rules for containers, slices and cgroups decide. */

#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "build-config.h"
#include "client/bus-client.h"
#include "client/cdmctl.h"
#include "client/objects.h"
#include "client/oci/image.h"
#include "client/oci/place.h"
#include "client/oci/state.h"
#include "client/reserve.h"
#include "policy/cdm-names.h"
#include "policy/label.h"
#include "policy/word.h"

typedef struct Hook {
        const char *root; /* "", or for tests a directory with proc and sys/fs/cgroup */
        OciState state;
        OciAsk ask;
        Labels labels;
        OciPlace place;
} Hook;

static void hook_clear(Hook *h)
{
        oci_state_clear(&h->state);
        oci_ask_clear(&h->ask);
        labels_clear(&h->labels);
        oci_place_clear(&h->place);
}

/* crun discards a hook's standard error, so messages also go to the journal. */
static void hook_log(const char *line)
{
        (void)sd_journal_send("MESSAGE=%s", line, "PRIORITY=%i", LOG_WARNING,
                              "SYSLOG_IDENTIFIER=cdmd-oci-hook", NULL);
}

static int hook_help(void)
{
        puts("cdmd-oci-hook [--pool=POOL --size=SIZE [--priority=N] [--exclusive=BOOL] "
             "[--label=KEY=VALUE]...]\n\n"
             "Reserve memory of cdmd for a container that starts; container runtimes run this");
        return CDM_EXIT_DONE;
}

/* Stores an option that is also an annotation. NULL, or the rest of the sentence `--pool= ...`. */
static const char *take_ask(Hook *h, const char *name, const char *value)
{
        if ((strcmp(name, "pool") == 0 && h->ask.pool) || (strcmp(name, "size") == 0 && h->ask.size))
                return "is given twice";
        return oci_ask_take(&h->ask, name, value);
}

static int check_options(const Hook *h, bool further)
{
        if (further || !h->ask.pool != !h->ask.size)
                return fail(CDM_EXIT_USAGE,
                            "the arguments are none, or --pool=POOL and --size=SIZE with further options; "
                            "`cdmctl cdi` writes CDI files that have them");
        if (!h->ask.pool && (h->labels.n > 0 || h->ask.has_priority || h->ask.exclusive))
                return fail(CDM_EXIT_USAGE,
                            "--label=, --priority= and --exclusive= need --pool= and --size=; see "
                            "cdmd-oci-hook(8)");
        return 0;
}

/* The options come from a CDI file or from cdmd-nri, both of which belong to root. */
static int hook_parse_options(int argc, char **argv, Hook *h, bool *ret_done)
{
        static const struct option options[] = { { "pool", required_argument, NULL, 'a' },
                                                 { "size", required_argument, NULL, 'a' },
                                                 { "priority", required_argument, NULL, 'a' },
                                                 { "exclusive", required_argument, NULL, 'a' },
                                                 { "label", required_argument, NULL, 'l' },
                                                 { "root", required_argument, NULL, 'r' },
                                                 { "help", no_argument, NULL, 'h' },
                                                 { "version", no_argument, NULL, 'v' },
                                                 { 0 } };
        const char *why;
        int o, k = 0;

        opterr = 0;
        while ((o = getopt_long(argc, argv, "", options, &k)) >= 0) {
                *ret_done = o == 'h' || o == 'v';
                if (o == 'h')
                        return hook_help();
                if (o == 'v')
                        return printf("cdmd-oci-hook %s\n", PACKAGE_VERSION) < 0;
                if (o == 'r')
                        h->root = optarg;
                else if (o == 'a' && (why = take_ask(h, options[k].name, optarg)))
                        return fail(CDM_EXIT_USAGE, "--%s= %s", options[k].name, why);
                else if (o == 'l' && labels_parse(&h->labels, optarg, &why) < 0)
                        return fail(CDM_EXIT_USAGE, "--label= %s", why);
                else if (o == '?')
                        return fail(CDM_EXIT_USAGE, "an option is not known, or without its value; see "
                                                    "cdmd-oci-hook(8)");
        }
        return check_options(h, optind < argc);
}

/* 0 and *ret_asked (the container asks for memory), or an exit status. */
static int read_ask(Hook *h, bool *ret_asked)
{
        char reason[OCI_REASON_MAX];
        bool by_device = h->ask.pool;

        *ret_asked = false;
        int r = oci_state_read(STDIN_FILENO, &h->state, reason);
        if (r < 0)
                return fail(CDM_EXIT_FAILED, "%s", reason);
        if (!by_device && !oci_ask_is_made(h->state.annotations))
                return 0;
        r = oci_image_drop(h->root, &h->state, reason);
        if (r > 0)
                note("annotations of the image itself are ignored; only the user who starts a container may "
                     "ask, with other annotations or with --device");
        if (r >= 0 && !by_device && !oci_ask_is_made(h->state.annotations))
                return 0;
        if (r >= 0 && h->state.annotations)
                r = oci_ask_read(h->state.annotations, &h->ask, reason);
        if (r >= 0)
                r = oci_ask_check(&h->ask, reason);
        *ret_asked = true;
        return r < 0 ? fail(CDM_EXIT_FAILED, "%s", reason) : 0;
}

/* Refuses containers of users. The advice unsets the session bus, because podman moves itself out of the
 * scope of `cdmctl run` if it finds the bus of the user's manager. */
static int check_place(Hook *h)
{
        int r = oci_place_read(h->root, h->state.pid, &h->place);

        if (r < 0)
                return fail(CDM_EXIT_FAILED,
                            "the control group of the container's process %d cannot be determined: %s",
                            (int)h->state.pid, strerror(-r));
        if (!h->place.users)
                return 0;
        return fail(
                CDM_EXIT_DENIED,
                "the container belongs to a user (%s), and a hook reserves nothing for users; leave out the "
                "options that ask for memory, and start it within a reservation of your own:\n"
                "cdmctl run %s %s -- env DBUS_SESSION_BUS_ADDRESS=none podman --cgroup-manager=cgroupfs run "
                "--cgroups=disabled ...",
                h->place.cgroup, h->ask.pool, h->ask.size);
}

static bool is_live(const ReservationInfo *i)
{
        return i->state && (strcmp(i->state, "active") == 0 || strcmp(i->state, "degraded") == 0);
}

/* True if the reservation belongs to the present cgroup. It may belong to an earlier cgroup with the same
 * path, whose end cdmd has not noticed yet; then the present cgroup does not have its nodes. */
static bool is_open(const Hook *h, const ReservationInfo *i)
{
        NodeSet mems;

        if (oci_place_mems(h->root, i->cgroup, &mems) < 0)
                return false;
        for (size_t k = 0; k < i->n_shares; k++)
                if (!nodeset_contains(&mems, i->shares[k].node))
                        return false;
        return true;
}

static const ReservationInfo *find_own(const Hook *h, const Objects *o)
{
        for (size_t k = 0; k < o->n_reservations; k++) {
                const ReservationInfo *i = &o->reservations[k];

                if (i->cgroup && is_live(i) && word_is_below(h->place.cgroup, i->cgroup) && is_open(h, i))
                        return i;
        }
        return NULL;
}

/* Computes the requested size, rounded as in cdmd; 0: unknown. */
static int read_size(sd_bus *bus, const OciAsk *ask, Objects *o, uint64_t *ret)
{
        const PoolInfo *pool = NULL;
        Size size = { 0 };

        (void)size_parse(ask->size, &size); /* oci_ask_check() has checked it */
        if (size.percent) {
                int status = objects_read_pools_and_nodes(bus, o);

                if (status != 0)
                        return status;
                pool = objects_find_pool(o, ask->pool);
        }
        *ret = size_round_up(size_resolve(&size, pool ? pool->size : 0), (uint64_t)sysconf(_SC_PAGESIZE));
        return 0;
}

/* Looks for a reservation of the same cgroup and pool, which must have the same size. 0 and *ret_same, or an
 * exit status. */
static int look_for_same(sd_bus *bus, const Hook *h, bool *ret_same)
{
        _cleanup_(objects_free_p) Objects *o = calloc(1, sizeof(*o));
        ReservationFilter filter = { .pool = h->ask.pool, .unit = h->place.unit };
        char buf[SIZE_STR_MAX];
        uint64_t bytes;

        if (!o)
                return fail(CDM_EXIT_FAILED, "out of memory");
        int status = objects_read_reservations(bus, &filter, o);
        const ReservationInfo *own = status == 0 ? find_own(h, o) : NULL;
        *ret_same = own;
        if (own)
                status = read_size(bus, &h->ask, o, &bytes);
        if (status != 0 || !own || own->size == bytes)
                return status;
        return fail(
                CDM_EXIT_DENIED,
                "the container has %s of %s already (reservation %u), and asks for %s; ask for one size of "
                "a pool only",
                size_format(own->size, buf), h->ask.pool, own->id, h->ask.size);
}

static int hook_request(sd_bus *bus, const Hook *h)
{
        _cleanup_free_ char *path = NULL;
        char *positional[] = { h->ask.pool, h->ask.size, NULL };
        Args args = { .given = OPTION_BIT(OPTION_FOR_NOBODY),
                      .root = "",
                      .pid = (uint32_t)h->state.pid,
                      .priority = h->ask.priority,
                      .labels = h->labels,
                      .positional = positional,
                      .n_positional = 2 };

        if (h->ask.has_priority)
                args.given |= OPTION_BIT(OPTION_PRIORITY);
        if (h->ask.exclusive)
                args.given |= OPTION_BIT(OPTION_EXCLUSIVE);
        return reserve(bus, &args, false, &path);
}

static int hook_ask(const Hook *h)
{
        _cleanup_(sd_bus_flush_close_unref_p) sd_bus *bus = NULL;
        bool same = false;

        int status = client_open(&bus);
        if (status == 0)
                status = look_for_same(bus, h, &same);
        if (status == 0 && !same)
                status = hook_request(bus, h);
        return status;
}

int main(int argc, char **argv)
{
        _cleanup_(hook_clear) Hook h = { .root = "" };
        bool done = false, asked = false;

        setlocale(LC_CTYPE, "C.UTF-8");
        tell_set_program("cdmd-oci-hook", hook_log);
        int status = hook_parse_options(argc, argv, &h, &done);
        if (status == 0 && !done)
                status = read_ask(&h, &asked);
        if (status == 0 && asked)
                status = check_place(&h);
        if (status == 0 && asked)
                status = hook_ask(&h);
        return status;
}
