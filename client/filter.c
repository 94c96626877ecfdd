/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/filter.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "client/bus-client.h"
#include "policy/cdm-names.h"
#include "policy/conf-text.h"

/* the type of a row of systemd's ListUnits() */
#define LISTED_UNIT "ssssssouso"

int filter_find_user(const char *user, uint32_t *ret)
{
        char *end;

        errno = 0;
        unsigned long uid = strtoul(user, &end, 10);
        if (*user >= '0' && *user <= '9' && *end == '\0' && errno == 0 && uid < UINT32_MAX) {
                *ret = (uint32_t)uid;
                return 0;
        }
        const struct passwd *pw = getpwnam(user);
        if (!pw)
                return fail(CDM_EXIT_FAILED, "no user '%s' on this machine", user);
        *ret = pw->pw_uid;
        return 0;
}

int filter_from_args(const Args *args, ReservationFilter *ret)
{
        *ret = (ReservationFilter){ .pool = args->pool, .unit = args->unit, .state = args->state };
        if (!args->user)
                return 0;
        ret->by_uid = true;
        return filter_find_user(args->user, &ret->uid);
}

static const char **pool_names(const Objects *o)
{
        const char **names = calloc(o->n_pools + 1, sizeof(*names));

        for (size_t i = 0; names && i < o->n_pools; i++)
                names[i] = o->pools[i].name ? o->pools[i].name : "";
        return names;
}

int no_such_pool(const Objects *o, const char *pool)
{
        _cleanup_free_ const char **names = pool_names(o);
        char hint[DID_YOU_MEAN_MAX] = "";

        if (names)
                did_you_mean(pool, names, o->n_pools, hint);
        return fail(CDM_EXIT_FAILED, "no pool '%s'%s", pool,
                    *hint ? hint : "; `cdmctl pools` shows those there are");
}

int filter_tell_none(sd_bus *bus, const Args *args)
{
        _cleanup_(objects_free_p) Objects *o = calloc(1, sizeof(*o));

        if (!o)
                return fail(CDM_EXIT_FAILED, "out of memory");
        if (!args->pool)
                return 0;
        int status = objects_read_pools_and_nodes(bus, o);
        if (status == 0 && !objects_find_pool(o, args->pool))
                status = no_such_pool(o, args->pool);
        return status;
}

static void hint_at_unit(sd_bus *bus, const char *unit)
{
        _cleanup_(sd_bus_message_unref_p) sd_bus_message *m = NULL;
        _cleanup_free_ const char **names = NULL;
        size_t n = 0;

        int r = sd_bus_call_method(bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                                   "org.freedesktop.systemd1.Manager", "ListUnits", NULL, &m, "");
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "(" LISTED_UNIT ")");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', LISTED_UNIT)) > 0) {
                const char **more = reallocarray(names, n + 1, sizeof(*names));

                if (!more)
                        return;
                names = more;
                if (sd_bus_message_read(m, "s", &names[n]) < 0 ||
                    sd_bus_message_skip(m, LISTED_UNIT + 1) < 0 || sd_bus_message_exit_container(m) < 0)
                        return;
                if (strcmp(names[n++], unit) == 0)
                        return;
        }
        const char *nearest = n > 0 ? conf_text_nearest(unit, names, n) : NULL;
        if (nearest)
                note("did you mean the unit '%s'?", nearest);
}

void hint_at_names(sd_bus *bus, const char *pool, const char *unit)
{
        _cleanup_(objects_free_p) Objects *o = calloc(1, sizeof(*o));
        _cleanup_free_ const char **names = NULL;

        if (o && objects_read_pools_and_nodes(bus, o) == 0 && !objects_find_pool(o, pool)) {
                names = pool_names(o);
                const char *nearest = names ? conf_text_nearest(pool, names, o->n_pools) : NULL;

                if (nearest)
                        note("did you mean the pool '%s'?", nearest);
                return;
        }
        if (unit)
                hint_at_unit(bus, unit);
}
