/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by usage.c and usage-observe.c. */

#include <uthash.h>

#include "daemon/kernel/cgroup.h"
#include "daemon/loop/slice.h"
#include "daemon/tenant/usage.h"

/* Observations that are newer than this are not repeated for display. */
#define USAGE_FRESH_USEC (UINT64_C(1000) * 1000)

/* One node, as observed. */
typedef struct UsageSight {
        bool known;                      /* was observed at least once */
        bool failed;                     /* the last observation failed: offline, or gone */
        uint64_t used_bytes, held_bytes; /* used: without held */
        uint64_t all_bytes;              /* A, without held */
        uint64_t huge_bytes;             /* of buffers */
        uint64_t read_usec;              /* when the observation began; CLOCK_MONOTONIC */
        uint64_t all_tenants_usec;       /* when the last observation of all tenants began */
} UsageSight;

/* One tenant that the job reads. */
typedef struct UsageReading {
        char *tenant, *cgroup;
        NodeSet nodes;
        NumaBytes *bytes; /* result */
        size_t n_bytes;
        UT_hash_handle hh;
} UsageReading;

typedef enum UsagePhase {
        USAGE_COLLECT, /* collect the tenants to read */
        USAGE_READ,    /* the job reads */
        USAGE_TAKE,    /* copy the results into the ledger */
        USAGE_SERVE,   /* call the callbacks */
} UsagePhase;

/* Input and results of the job; the event loop does not access them while the job runs. */
typedef struct UsageObservation {
        Usage *usage; /* NULL: already freed */
        UsagePhase phase;
        int collecting; /* the node whose tenants are being collected */
        char *root;
        NodeSet nodes, all_tenants;
        uint64_t began_usec;
        uint32_t mark;
        UsageSight sights[NODE_MAX];
        UsageReading *readings;
        UsageLook *looks;
} UsageObservation;

struct UsageLook {
        Usage *usage;  /* NULL: cancelled; freed at the end of the observation */
        bool observed; /* part of an observation */
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
        UsageSight shown[NODE_MAX]; /* read for display, once per iteration of the event loop */
        uint64_t shown_usec[NODE_MAX];
        UsageLook *waiting;        /* for the next observation */
        UsageObservation *running; /* until all its looks have been served */
        Job *job;
        int result;
        Slice *slice; /* runs the phases of `running`, except USAGE_READ */
        uint64_t n_observations;
        NodeUse use[NODE_MAX]; /* the last answer */
};

/* usage-observe.c */
uint64_t usage_subtract(uint64_t a, uint64_t b);
uint64_t usage_min_u64(uint64_t a, uint64_t b);
void usage_look_release(UsageLook *l);
/* Creates an observation for all waiting looks. */
int usage_observation_new(Usage *u, UsageObservation **ret);
void usage_observation_free(UsageObservation *o);
/* Collects as many tenants as one slice allows; 1: there are more. */
int usage_collect(Usage *u, UsageObservation *o);
/* On the worker: reads the collected tenants and the nodes. */
int usage_run(Job *job, void *userdata);
/* Reads one node; s->used_bytes only grows, so the caller must initialize it. */
void usage_observe_node(const char *root, int node, UsageSight *s);
/* Copies as many results as one slice allows; 1: there are more. usage_take_begin() must be called once
 * before. */
void usage_take_begin(Usage *u, UsageObservation *o);
int usage_take(Usage *u, UsageObservation *o);
