/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Work of the event loop that is done in slices, one a turn: messages and other events are served in
 * between, in the order in which they came. */

#include <stdbool.h>
#include <systemd/sd-event.h>

typedef struct Slice Slice;

typedef void (*slice_run_t)(void *userdata);

/* That many events of others, at most, come between two slices of one that lets them go first. */
#define SLICE_OTHERS_MAX 16

/* It is off. */
int slice_new(sd_event *event, slice_run_t run, void *userdata, Slice **ret);
/* For work that may wait: whatever else is due goes first, up to SLICE_OTHERS_MAX events a slice, so that no
 * flood of them keeps the work from being done. */
int slice_new_patient(sd_event *event, slice_run_t run, void *userdata, Slice **ret);
Slice *slice_free(Slice *s);
/* Switches it on: run is called once per turn of the loop until it is switched off, and never from within
 * this call. */
void slice_set(Slice *s, bool on);
