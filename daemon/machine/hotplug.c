/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The kernel reports a node by `add` and `remove` (subsystem node), and its memory by `add`, `online`,
 * `offline` and `remove` of each block (subsystem memory). The contents of events are ignored: an event only
 * triggers a scan of sysfs, so a lost event does no harm if a later one arrives. The scan starts some time
 * after the first event. Later events trigger another scan.
 *
 * libsystemd listens to udev, which forwards events after processing them. By then udev rules, such as rules
 * that put memory online, have run. A new node is not open meanwhile, because the fence is an allow-list. */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <systemd/sd-device.h>

#include "daemon/machine/hotplug.h"

#define SETTLE_USEC   (UINT64_C(200) * 1000)
#define ACCURACY_USEC (UINT64_C(50) * 1000)
/* An event takes up to 1 KiB. Without CAP_NET_ADMIN the kernel may limit the buffer. */
#define BUFFER_BYTES (1024 * 1024)

struct Hotplug {
        sd_event *event;
        sd_device_monitor *monitor;
        sd_event_source *timer; /* armed by an event only */
        hotplug_cb changed;
        void *userdata;
};

static int hotplug_on_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
        Hotplug *h = userdata;

        h->timer = sd_event_source_disable_unref(h->timer);
        h->changed(h->userdata);
        return 0;
}

static int hotplug_on_device(sd_device_monitor *monitor _unused_, sd_device *device _unused_, void *userdata)
{
        Hotplug *h = userdata;

        if (!h->timer && sd_event_add_time_relative(h->event, &h->timer, CLOCK_MONOTONIC, SETTLE_USEC,
                                                    ACCURACY_USEC, hotplug_on_timer, h) < 0)
                h->changed(h->userdata);
        return 0;
}

int hotplug_new(sd_event *event, hotplug_cb changed, void *userdata, Hotplug **ret)
{
        _cleanup_(hotplug_free_p) Hotplug *h = calloc(1, sizeof(*h));

        if (!h)
                return -ENOMEM;
        h->event = sd_event_ref(event);
        h->changed = changed;
        h->userdata = userdata;
        int r = sd_device_monitor_new(&h->monitor);
        if (r >= 0)
                r = sd_device_monitor_filter_add_match_subsystem_devtype(h->monitor, "node", NULL);
        if (r >= 0)
                r = sd_device_monitor_filter_add_match_subsystem_devtype(h->monitor, "memory", NULL);
        if (r >= 0)
                r = sd_device_monitor_attach_event(h->monitor, event);
        if (r < 0)
                return r;
        (void)sd_device_monitor_set_receive_buffer_size(h->monitor, BUFFER_BYTES);
        r = sd_device_monitor_start(h->monitor, hotplug_on_device, h);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(h);
        return 0;
}

Hotplug *hotplug_free(Hotplug *h)
{
        if (!h)
                return NULL;
        sd_event_source_disable_unref(h->timer);
        sd_device_monitor_unref(h->monitor);
        sd_event_unref(h->event);
        free(h);
        return NULL;
}
