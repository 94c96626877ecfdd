/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Settings of the kernel and of drivers, and warnings about them. */

#include "daemon/loop/done.h"
#include "policy/facts.h"
#include "policy/pool.h"

typedef struct Book Book;
typedef struct Fence Fence;
typedef struct MachineFacts MachineFacts;
typedef struct Record Record;

int machine_facts_new(Book *book, Fence *fence, Record *record, MachineFacts **ret);
MachineFacts *machine_facts_free(MachineFacts *f);
/* Judges the values of the last read, and logs new warnings. */
void machine_facts_judge(MachineFacts *f);
/* Reads the settings again. 0: done is called later, once, from the event loop, after the look was freed.
 * Otherwise, and on failure, the last values are current, and done is not called. */
typedef struct MachineLook MachineLook;
int machine_look(MachineFacts *f, done_t done, void *userdata, MachineLook **ret);
MachineLook *machine_look_free(MachineLook *l);
/* The text of the warning; NULL: none. */
const char *machine_facts_get(const MachineFacts *f, Fact fact);
/* Same as fence_state_to_string(), but "open (demotion)" if the kernel itself moves pages past a closed
 * fence. pool: considers its nodes only; NULL: the nodes of all pools. */
const char *machine_fence_state(const MachineFacts *f, const Pool *pool);
