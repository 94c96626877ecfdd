/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon's warnings, for `cdmctl status`. */

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-bus.h>

#include "client/json.h"
#include "policy/macro.h"

typedef struct WarningList {
        struct {
                char *name, *text;
                bool fault;
        } * items;
        size_t n_items;
} WarningList;

void warning_list_clear(WarningList *l);
int warning_list_read(sd_bus *bus, WarningList *l, sd_bus_error *error);
/* -ENOMEM */
int warning_list_add(WarningList *l, const char *name, bool fault, const char *text);

/* Prints faults before advice, wrapped to the terminal. */
void warning_list_print(const WarningList *l, bool full);
void warning_list_print_json(const WarningList *l, Json *j);
