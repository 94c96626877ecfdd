/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The users and groups in the rules of one configuration.
 *
 * They are looked up in a round, which ends when all have an answer, or after some seconds. Failed lookups
 * are repeated in later rounds with increasing delays. */

#include <systemd/sd-event.h>

#include "daemon/machine/names.h"
#include "policy/config.h"
#include "policy/macro.h"

typedef struct RuleNames RuleNames;

/* Called after the first round, and after each later round that got a new answer. The callee may free the
 * RuleNames. */
typedef void (*rule_names_done_t)(void *userdata);

/* names must outlive the RuleNames. done is never called before this function returns. */
int rule_names_new(Names *names, sd_event *event, const Config *config, rule_names_done_t done,
                   void *userdata, RuleNames **ret);
RuleNames *rule_names_free(RuleNames *r);
DEFINE_CLEANUP(RuleNames, rule_names_free);

/* True if the first round is over, or no rule has names. NULL: there are no rules. */
bool rule_names_is_ready(const RuleNames *r);

/* A config_find_t; userdata: RuleNames. Does not block. */
int rule_names_find(bool group, const char *name, uint32_t *ret, void *userdata);
