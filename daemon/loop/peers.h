/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reports when a connection leaves the bus.
 *
 * One match serves all callers and waiters, because the bus limits a connection to 512 matches. The match is
 * installed before cdmd owns its name, so the bus reports the end of a caller after it has delivered the
 * caller's calls. A watch that is created when a call arrives, or while another watch of the same caller
 * exists, misses nothing, and the bus need not be asked. Only names that an earlier cdmd has stored must be
 * looked up, after their watch was created. */

#include <systemd/sd-bus.h>

#include "policy/macro.h"

typedef struct Peers Peers;
typedef struct PeerWatch PeerWatch;

/* Called once, from the event loop. The callee may free any watch, including its own, and create new
 * ones. */
typedef void (*peer_gone_t)(void *userdata);

int peers_new(sd_bus *bus, Peers **ret);
/* All watches must have been freed first. */
Peers *peers_free(Peers *p);
DEFINE_CLEANUP(Peers, peers_free);

/* name: the unique name of a connection. */
int peers_watch(Peers *p, const char *name, peer_gone_t gone, void *userdata, PeerWatch **ret);
PeerWatch *peer_watch_free(PeerWatch *w);
