/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the machine is set to. */

#include "policy/facts.h"
#include "policy/pool.h"

typedef struct Book Book;
typedef struct Fence Fence;
typedef struct MachineFacts MachineFacts;
typedef struct Record Record;

int machine_facts_new(Book *book, Fence *fence, Record *record, MachineFacts **ret);
MachineFacts *machine_facts_free(MachineFacts *f);
/* Judges what was read last, and tells the journal where that is news. */
void machine_facts_judge(MachineFacts *f);
/* Reads again. 0: done is called later, once, from the event loop, and the look is freed by then. Else, also on
 * failure, what was read last is all that there is, and done is not called. */
typedef struct MachineLook MachineLook;
typedef void (*machine_look_done_t)(void *userdata);
int machine_look(MachineFacts *f, machine_look_done_t done, void *userdata, MachineLook **ret);
MachineLook *machine_look_free(MachineLook *l);
/* A sentence, as told last; NULL: nothing to tell. */
const char *machine_facts_get(const MachineFacts *f, Fact fact);
/* fence_state_to_string(), but "open (demotion)" where the kernel itself carries pages past a closed fence.
 * pool: of its nodes; NULL: of any pool. */
const char *machine_fence_state(const MachineFacts *f, const Pool *pool);
