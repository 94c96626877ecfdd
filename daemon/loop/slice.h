/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Work on the event loop that is done in slices, one per turn. Messages and other events are served in
 * between, in the order of arrival. */

#include <stdbool.h>
#include <systemd/sd-event.h>

typedef struct Slice Slice;

typedef void (*slice_run_t)(void *userdata);

/* The maximum number of other events between two slices of patient work. */
#define SLICE_OTHERS_MAX 16

/* The new slice is switched off. */
int slice_new(sd_event *event, slice_run_t run, void *userdata, Slice **ret);
/* For work that may wait: all other due events go first, but at most SLICE_OTHERS_MAX per slice, so that a
 * flood of events does not starve the work. */
int slice_new_patient(sd_event *event, slice_run_t run, void *userdata, Slice **ret);
Slice *slice_free(Slice *s);
/* Switches the slice on or off. While it is on, run is called once per turn of the loop, never from within
 * this call. */
void slice_set(Slice *s, bool on);
