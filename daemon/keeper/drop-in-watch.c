/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Checks that the fence's drop-ins below /run exist and have the desired content. inotify reports a change;
 * the drop-ins are checked once systemd is not writing them itself. */

#include "daemon/keeper/drop-in-watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "daemon/keeper/drift-reason.h"
#include "daemon/keeper/fights.h"
#include "daemon/keeper/reload.h"
#include "daemon/loop/log.h"
#include "daemon/pid1/fence-files.h"
#include "daemon/pid1/unit.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "policy/cdm-names.h"

#define DROP_INS_KEY "drop-ins of the fence"

struct DropInWatch {
        Book *book;
        Reloads *reloads;
        Fights *fights;
        void (*look_at_all)(void *userdata);
        void *userdata;
        bool systemd_reloading;
        sd_event_source *sources[18]; /* inotify */
        UnitCall *asked;
        bool missed; /* drop-ins were missing after the last answer */
};

/* False: a check of everything follows once that is possible. */
static bool drop_in_watch_can_look(DropInWatch *d)
{
        if (drift_can_look(d->book))
                return true;
        d->look_at_all(d->userdata);
        return false;
}

static bool drop_in_watch_are_in(Book *book, const char *dir)
{
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s%s", book->core->root, dir) < 0) {
                path = NULL;
                return true;
        }
        return fence_files_present(path, book->config, book->pools);
}

static int drop_in_watch_on_event(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
        drop_in_watch_look(userdata);
        return 0;
}

static void drop_in_watch_stop(DropInWatch *d)
{
        for (size_t i = 0; i < ARRAY_SIZE(d->sources); i++)
                d->sources[i] = sd_event_source_disable_unref(d->sources[i]);
}

/* The watches are set again for each check, because each reload replaces the generator's directories. */
void drop_in_watch_start(DropInWatch *d)
{
        static const char *const types[] = { "service.d", "scope.d", "socket.d",
                                             "mount.d",   "swap.d",  "slice.d" };
        static const char *const dirs[] = { "/run/systemd/system", "/run/systemd/generator",
                                            CDM_DIR_DECIDED };
        size_t n = 0;

        drop_in_watch_stop(d);
        for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
                for (size_t k = 0; k < ARRAY_SIZE(types) && n < ARRAY_SIZE(d->sources); k++) {
                        _cleanup_free_ char *path = NULL;

                        if (asprintf(&path, "%s%s/%s", d->book->core->root, dirs[i], types[k]) < 0) {
                                path = NULL;
                                return;
                        }
                        if (sd_event_add_inotify(d->book->core->event, &d->sources[n], path,
                                                 IN_CLOSE_WRITE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                                                         IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR,
                                                 drop_in_watch_on_event, d) >= 0)
                                n++;
                }
}

static bool drop_in_watch_are_there(Book *book)
{
        return (drop_in_watch_are_in(book, "/run/systemd/generator") ||
                drop_in_watch_are_in(book, "/run/systemd/system")) &&
               drop_in_watch_are_in(book, CDM_DIR_DECIDED);
}

static void drop_in_watch_judge(DropInWatch *d, bool there)
{
        const char *reason = there ? NULL : "files of cdmd below /run were removed or changed";
        Event e = { .kind = EVENT_DRIFT, .reason = reason };

        if (fights_judge(d->fights, PLACE_DROPINS, DROP_INS_KEY, reason) != FIGHT_REPAIR)
                return;
        fights_count_repair(d->fights);
        event_emit(d->book->core->notify, &e, "the %s are written again: %s", DROP_INS_KEY, reason);
        reloads_fence(d->reloads);
}

/* systemd may begin to reload right after an answer. So a missing file only counts if it is also missing
 * after the next answer, which systemd does not send before the reload has completed. */
static void drop_in_watch_on_systemd_quiet(int error, const char *message, void *userdata)
{
        DropInWatch *d = userdata;
        bool missed = d->missed;

        d->asked = unit_call_free(d->asked);
        d->missed = false;
        if (d->systemd_reloading || !drop_in_watch_can_look(d))
                return;
        /* Watch before reading, so that no later change is missed. */
        drop_in_watch_start(d);
        bool there = drop_in_watch_are_there(d->book);
        if (there || missed) {
                drop_in_watch_judge(d, there);
                return;
        }
        d->missed = true;
        drop_in_watch_look(d);
}

/* While it reloads, systemd removes and recreates the generator's files, and answers no calls. So the check
 * waits for an answer of systemd. */
void drop_in_watch_look(DropInWatch *d)
{
        if (d->asked || !drop_in_watch_can_look(d))
                return;
        int r = unit_ping(d->book->core->gate, drop_in_watch_on_systemd_quiet, d, &d->asked);
        if (r < 0)
                log_error("cannot check the %s: %s; `cdmctl reload` checks them", DROP_INS_KEY,
                          strerror(-r));
}

void drop_in_watch_systemd(DropInWatch *d, bool reloading)
{
        d->systemd_reloading = reloading;
        if (reloading)
                return;
        d->asked = unit_call_free(d->asked);
        d->missed = false;
}

int drop_in_watch_new(Book *book, Reloads *reloads, Fights *fights, void (*look_at_all)(void *userdata),
                      void *userdata, DropInWatch **ret)
{
        DropInWatch *d = calloc(1, sizeof(*d));

        if (!d)
                return -ENOMEM;
        *d = (DropInWatch){ .book = book,
                            .reloads = reloads,
                            .fights = fights,
                            .look_at_all = look_at_all,
                            .userdata = userdata };
        *ret = d;
        return 0;
}

DropInWatch *drop_in_watch_free(DropInWatch *d)
{
        if (!d)
                return NULL;
        drop_in_watch_stop(d);
        unit_call_free(d->asked);
        free(d);
        return NULL;
}
