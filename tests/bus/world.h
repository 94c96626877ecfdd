/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A whole cdmd on a private bus, with a made-up machine, systemd and polkit below a temporary root. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#define GIB         (UINT64_C(1) << 30)
#define USER_DAEMON 1
#define USER_NOBODY 65534

typedef struct World {
        char root[64];
        char address[128];
        pid_t bus, systemd, polkit, cdmd;
        int polkit_out; /* what fake-polkit prints */
        int notify;     /* cdmd's sd_notify() */
        sd_bus *client;
} World;

/* Bus, systemd with db.service and train.service, policy "everyone may have 1G of any pool", cdmd, and a
 * client connection as whoever runs the test. */
void world_start(World *w);
void world_stop(World *w);

void world_put(World *w, const char *path, const char *text);
/* "" when there is no such file; valid until the next call. */
const char *world_get(World *w, const char *path);
/* Waits until the first line of the file is text; fails after five minutes. */
void world_wait_file(World *w, const char *path, const char *text);

/* Without waiting for cdmd to be ready. */
void world_spawn_cdmd(World *w);
void world_start_cdmd(World *w);
void world_kill_cdmd(World *w, int signal);
/* While cdmd does not run: reservations first to last of 16 KiB on node 2, all of which are active, for so
 * many units bulk-0.service, bulk-1.service, ... in turn, as if it had granted them. */
#define BULK_BYTES UINT64_C(16384)
void world_put_reservations(World *w, uint32_t first, uint32_t last, unsigned n_units);
/* Ends its connection to the bus. */
void world_cut_cdmd(World *w);
/* mode: yes, no, hang; NULL: none on the bus. */
void world_start_polkit(World *w, const char *mode);
/* Waits for the next question, and returns its action. */
const char *world_polkit_asked(World *w);

/* A connection of another user, where the test runs as root. */
sd_bus *world_connect(World *w, uid_t uid);
/* The test's own process is in that cgroup, and all its UIDs are uid. */
void world_be(World *w, uid_t uid, const char *cgroup);

/* Steers fake-systemd. */
void world_add_unit(World *w, const char *name, const char *slice, const char *cgroup, const char *user);
/* Likewise, with Delegate=. */
void world_add_unit_delegate(World *w, const char *name, const char *slice, const char *cgroup,
                             const char *user, bool delegate);
void world_remove_unit(World *w, const char *name);
/* Fail: so many of the next look-ups at units fail. Hold: 1 keeps SetUnitProperties unanswered until 0, and
 * returns whether one waits. Looked: how many look-ups there were. Asked: of how many messages about units. Stall: 1 leaves everything unanswered until
 * 0. Step: answers so many of what is unanswered. Both return how many calls are unanswered. HoldJobs: 1 keeps
 * the jobs of new scopes, 0 ends them. Scopes: how many scopes were asked for. */
uint32_t world_steer(World *w, const char *what, uint32_t value);
void world_unit_state(World *w, const char *name, const char *state, bool job);

/* Calls Request with n options, as for sd_bus_message_append("a{sv}"). 0: id is set. Else the negative
 * errno, and the name of the error in `world_error`. A value of type a{ss} is "KEY=VALUE,KEY=VALUE". */
int world_request(sd_bus *bus, const char *pool, uint64_t size, uint32_t *ret_id, unsigned n, ...);
extern char world_error[128], world_message[1024];
/* What the last request or the like returned: nothing but 0; an error of that name, with these words in its message. */
void world_granted(int r);
void world_refused(int r, const char *error, const char *part);
/* Of the last event that was waited for. */
extern char world_reason[512], world_event_error[128];

int world_release(sd_bus *bus, uint32_t id);
/* A string property of a reservation; "" when it does not exist. */
const char *world_reservation(World *w, uint32_t id, const char *property);
/* One of another type. */
void world_reservation_get(World *w, uint32_t id, const char *property, char type, void *ret);
/* Of pool cdm. */
uint64_t world_available(World *w);
/* One file with these rules, and a reload. */
void world_set_policy(World *w, const char *text);
/* Waits until an Event of that kind about that id comes; events before it are dropped. */
void world_wait_event(World *w, const char *kind, uint32_t id);
