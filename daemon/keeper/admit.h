/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Waits until a cgroup is fenced or granted. It widens nothing, and makes no tenant. What is said of the tenant that
 * the cgroup is, or is in, is kept. */

#include "daemon/tenant/request-args.h"

typedef struct Answer Answer;
typedef struct BelowUnits BelowUnits;
typedef struct Book Book;
typedef struct Fence Fence;
typedef struct Foreign Foreign;
typedef struct VouchSet VouchSet;

typedef struct AdmitContext {
        Book *book;
        BelowUnits *below_units;
        Fence *fence;
        Foreign *foreign;
        VouchSet *vouches;
} AdmitContext;

typedef struct AdmitArgs {
        RequestArgs
                request; /* its cgroup, or NULL and the pidfd of a process, which is duplicated; words; the client */
        uint64_t timeout_usec;
} AdmitArgs;

typedef struct Admit Admit;

/* id, nodes: the cgroup's inode, and the CDM nodes that are open to it; with an error nothing. The Admit has
 * ended, and is to be freed there. Never called from within admit_start(). */
typedef void (*admit_done_t)(const Answer *answer, uint64_t id, const NodeSet *nodes, void *userdata);

/* Takes args->request. context: not copied. */
int admit_start(const AdmitContext *context, AdmitArgs *args, admit_done_t done, void *userdata,
                Admit **ret);
Admit *admit_free(Admit *a);
