/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The users and groups that the rules of one configuration name.
 *
 * They are looked up in a round, which ends when all have an answer, or after some seconds. Names that
 * failed are looked up again in later rounds, with growing pauses. */

#include <systemd/sd-event.h>

#include "daemon/machine/names.h"
#include "policy/config.h"
#include "policy/macro.h"

typedef struct RuleNames RuleNames;

/* The first round is over, or a later one found a name that had not been looked up before. May free it. */
typedef void (*rule_names_done_t)(void *userdata);

/* names and config must live longer. done is never called before this returns. */
int rule_names_new(Names *names, sd_event *event, const Config *config, rule_names_done_t done,
                   void *userdata, RuleNames **ret);
RuleNames *rule_names_free(RuleNames *r);
DEFINE_CLEANUP(RuleNames, rule_names_free);

/* True if the first round is over. It is over at once if no rule has names. NULL: there are no rules. */
bool rule_names_is_ready(const RuleNames *r);

/* A config_find_t; userdata: RuleNames. Does not block. */
int rule_names_find(bool group, const char *name, uint32_t *ret, void *userdata);
