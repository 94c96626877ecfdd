/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Waits until a cgroup is fenced or granted. An Admit opens no nodes and creates no tenant. It stores what
 * the call vouches for, for the tenant that the cgroup is or is part of. */

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
                request; /* the cgroup, or NULL and a process's pidfd, which is duplicated; words; client */
        uint64_t timeout_usec;
} AdmitArgs;

typedef struct Admit Admit;

/* id, nodes: the cgroup's inode, and the CDM nodes that are open to it; both empty with an error. The Admit
 * has ended, and the callback must free it. Never called from within admit_start(). */
typedef void (*admit_done_t)(const Answer *answer, uint64_t id, const NodeSet *nodes, void *userdata);

/* Takes ownership of args->request. context is not copied and must outlive the Admit. */
int admit_start(const AdmitContext *context, AdmitArgs *args, admit_done_t done, void *userdata,
                Admit **ret);
Admit *admit_free(Admit *a);
