/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/loop/notify.h"

#include <errno.h>
#include <stdlib.h>

#define NOTIFY_LISTENERS_MAX 8

struct Notify {
        struct {
                notify_listener_t call;
                void *userdata;
        } listeners[NOTIFY_LISTENERS_MAX];
        size_t n_listeners;
};

int notify_new(Notify **ret)
{
        *ret = calloc(1, sizeof(**ret));
        return *ret ? 0 : -ENOMEM;
}

Notify *notify_free(Notify *n)
{
        free(n);
        return NULL;
}

int notify_subscribe(Notify *n, notify_listener_t listener, void *userdata)
{
        if (n->n_listeners == NOTIFY_LISTENERS_MAX)
                return -ENOSPC;
        n->listeners[n->n_listeners].call = listener;
        n->listeners[n->n_listeners].userdata = userdata;
        n->n_listeners++;
        return 0;
}

void notify_unsubscribe(Notify *n, notify_listener_t listener, void *userdata)
{
        size_t kept = 0;

        for (size_t i = 0; n && i < n->n_listeners; i++)
                if (n->listeners[i].call != listener || n->listeners[i].userdata != userdata)
                        n->listeners[kept++] = n->listeners[i];
        if (n)
                n->n_listeners = kept;
}

void notify_tell(const Notify *n, const Notice *notice)
{
        for (size_t i = 0; n && i < n->n_listeners; i++)
                n->listeners[i].call(notice, n->listeners[i].userdata);
}

void notify_reservation_added(const Notify *n, uint32_t id)
{
        notify_tell(n, &(Notice){ .kind = NOTICE_RESERVATION_ADDED, .id = id });
}

void notify_reservation_removed(const Notify *n, uint32_t id)
{
        notify_tell(n, &(Notice){ .kind = NOTICE_RESERVATION_REMOVED, .id = id });
}

void notify_reservation_changed(const Notify *n, uint32_t id, unsigned changed)
{
        notify_tell(n, &(Notice){ .kind = NOTICE_RESERVATION_CHANGED, .id = id, .changed = changed });
}

void notify_room(const Notify *n)
{
        notify_tell(n, &(Notice){ .kind = NOTICE_ROOM });
}
