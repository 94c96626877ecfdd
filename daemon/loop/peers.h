/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tells when a connection leaves the bus.
 *
 * One match serves all callers and waiters, however many there are: the bus allows a connection 512 matches
 * and refuses the next one. The match is installed before cdmd has its name, so the bus tells that a caller
 * has left after it has delivered the caller's calls. A watch that is made as a call arrives, or while
 * another watch of the same caller exists, misses nothing and needs no question to the bus. Only names that
 * were stored by an earlier cdmd have to be looked up, after their watch was made. */

#include <systemd/sd-bus.h>

#include "policy/macro.h"

typedef struct Peers Peers;
typedef struct PeerWatch PeerWatch;

/* Called once, from the event loop. It may free any watch, its own included, and make new ones. */
typedef void (*peer_gone_t)(void *userdata);

int peers_new(sd_bus *bus, Peers **ret);
/* All watches must have been freed before. */
Peers *peers_free(Peers *p);
DEFINE_CLEANUP(Peers, peers_free);

/* name: the unique name of a connection. */
int peers_watch(Peers *p, const char *name, peer_gone_t gone, void *userdata, PeerWatch **ret);
PeerWatch *peer_watch_free(PeerWatch *w);
