/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* cdmctl's side of the bus: the connection, calls that print what went wrong, and the one table from errors
 * to exit statuses. Functions return 0, or an exit status after they have printed the error. */

#include <stdint.h>
#include <systemd/sd-bus.h>

#include "policy/macro.h"

DEFINE_CLEANUP(sd_bus, sd_bus_flush_close_unref);
DEFINE_CLEANUP(sd_bus_message, sd_bus_message_unref);

int client_open(sd_bus **ret);

/* r: the negative errno that was returned with the error. */
int client_exit_status(const sd_bus_error *error, int r);
/* Prints the error and returns client_exit_status(). */
int client_fail(const sd_bus_error *error, int r);

/* Calls a method of cdmd. There is no timeout, because pages move as slowly as Bandwidth= says. If cdmd or the
 * bus ends, the call fails. ret_reply may be NULL. */
int client_call(sd_bus *bus, const char *path, const char *interface, const char *member,
                sd_bus_message **ret_reply, const char *types, ...);
/* Sends a message that the caller made. polkit may ask for a password if stdin is a terminal. */
int client_send(sd_bus *bus, sd_bus_message *m, sd_bus_message **ret_reply);
/* Reports a reply that cannot be parsed. */
int client_garbled(int r);

/* Calls the handler with NameOwnerChanged when cdmd stops or starts. Like event_subscribe(), it does not wait
 * for the bus. Returns a negative errno on failure. */
int client_watch_daemon(sd_bus *bus, sd_bus_message_handler_t handler, void *userdata);

/* Finds the object path of a reservation by id; owned by the caller. CDM_EXIT_FAILED: unknown id. */
int client_reservation_path(sd_bus *bus, uint32_t id, char **ret_path);
/* Returns ID of /org/cdmd1/reservation/ID; 0 if the path has another form. */
uint32_t client_path_to_id(const char *path);
