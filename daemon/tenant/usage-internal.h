/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What usage.c and usage-observe.c share. */

#include <uthash.h>

#include "daemon/kernel/cgroup.h"
#include "daemon/loop/slice.h"
#include "daemon/tenant/usage.h"

/* What was observed less than this ago is not observed again to be shown. */
#define USAGE_FRESH_USEC (UINT64_C(1000) * 1000)

/* One node, as observed. */
typedef struct UsageSight {
        bool known;                      /* ever */
        bool failed;                     /* the last time: offline, or gone */
        uint64_t used_bytes, held_bytes; /* used: without held */
        uint64_t all_bytes;              /* A, without held */
        uint64_t huge_bytes;             /* of buffers */
        uint64_t read_usec;              /* when the observation began; CLOCK_MONOTONIC */
        uint64_t all_tenants_usec;       /* when one began that read all tenants */
} UsageSight;

/* One tenant, for the job to read. */
typedef struct UsageReading {
        char *tenant, *cgroup;
        NodeSet nodes;
        NumaBytes *bytes; /* result */
        size_t n_bytes;
        UT_hash_handle hh;
} UsageReading;

typedef enum UsagePhase {
        USAGE_COLLECT, /* which tenants are to be read */
        USAGE_READ,    /* by the job */
        USAGE_TAKE,    /* what was read, into the ledger */
        USAGE_SERVE,   /* those who wait */
} UsagePhase;

/* What the job reads and finds; the loop leaves it alone while the job runs. */
typedef struct UsageObservation {
        Usage *usage; /* NULL: nobody wants it any more */
        UsagePhase phase;
        int collecting; /* the tenants of this node */
        char *root;
        NodeSet nodes, all_tenants;
        uint64_t began_usec;
        uint32_t mark;
        UsageSight sights[NODE_MAX];
        UsageReading *readings;
        UsageLook *looks;
} UsageObservation;

struct UsageLook {
        Usage *usage;  /* NULL: freed, and left to the end of the observation */
        bool observed; /* it is in an observation */
        NodeSet nodes, with_cpu;
        char *cgroup;
        UsageTarget target;
        usage_done_t done;
        void (*dropped)(void *userdata); /* NULL: the owner frees it */
        void *userdata;
        UsageLook *prev, *next;
};

struct Usage {
        UsageContext context;
        UsageSight sights[NODE_MAX];
        UsageSight shown[NODE_MAX]; /* read for display, once per turn of the event loop */
        uint64_t shown_usec[NODE_MAX];
        UsageLook *waiting;        /* for the next observation */
        UsageObservation *running; /* until all its looks were served */
        Job *job;
        int result;
        Slice *slice; /* the phases of `running`, but for USAGE_READ */
        uint64_t n_observations;
        NodeUse use[NODE_MAX]; /* the last answer */
};

/* usage-observe.c */
uint64_t usage_subtract(uint64_t a, uint64_t b);
uint64_t usage_min_u64(uint64_t a, uint64_t b);
void usage_look_release(UsageLook *l);
/* For all looks that wait. */
int usage_observation_new(Usage *u, UsageObservation **ret);
void usage_observation_free(UsageObservation *o);
/* Collects so many tenants as one turn of the event loop allows; 1: there are more. */
int usage_collect(Usage *u, UsageObservation *o);
/* On the worker: reads what was collected. */
int usage_run(Job *job, void *userdata);
/* Reads one node. The caller has set used_bytes, of which the larger value counts. */
void usage_observe_node(const char *root, int node, UsageSight *s);
/* Takes over what was read, likewise; usage_take_begin() once before. */
void usage_take_begin(Usage *u, UsageObservation *o);
int usage_take(Usage *u, UsageObservation *o);
