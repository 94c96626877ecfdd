/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/bus/bus-call.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <utlist.h>

#include "daemon/loop/answer.h"
#include "daemon/loop/clock.h"
#include "daemon/loop/peers.h"

struct BusCalls {
        Bus *bus;
        Peers *peers;
        BusCall *calls; /* the oldest first */
        void (*ended)(void *userdata);
        void *userdata;
};

struct BusCall {
        BusCalls *set;
        sd_bus_message *message;
        PeerWatch *client; /* NULL: the client has left the bus */
        void (*gone)(BusCall *c, void *userdata);
        void *userdata;
        uint64_t made_usec;
        BusCall *prev, *next;
};

static void bus_call_on_client_gone(void *userdata)
{
        BusCall *c = userdata;

        c->client = peer_watch_free(c->client);
        if (c->gone)
                c->gone(c, c->userdata);
}

int bus_call_new(BusCalls *s, sd_bus_message *message, BusCall **ret)
{
        BusCall *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        *c = (BusCall){ .set = s,
                        .message = sd_bus_message_ref(message),
                        .made_usec = clock_monotonic_usec() };
        DL_APPEND(s->calls, c);
        int r = peers_watch(s->peers, sd_bus_message_get_sender(message), bus_call_on_client_gone, c,
                            &c->client);
        if (r < 0) {
                bus_call_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

BusCall *bus_call_free(BusCall *c)
{
        if (!c)
                return NULL;
        BusCalls *s = c->set;

        DL_DELETE(s->calls, c);
        peer_watch_free(c->client);
        sd_bus_message_unref(c->message);
        free(c);
        if (s->ended)
                s->ended(s->userdata);
        return NULL;
}

int bus_calls_new(Bus *b, Peers *peers, BusCalls **ret)
{
        BusCalls *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        *s = (BusCalls){ .bus = b, .peers = peers };
        *ret = s;
        return 0;
}

BusCalls *bus_calls_free(BusCalls *s)
{
        if (!s)
                return NULL;
        while (s->calls)
                bus_call_free(s->calls);
        free(s);
        return NULL;
}

void bus_calls_on_end(BusCalls *s, void (*ended)(void *userdata), void *userdata)
{
        s->ended = ended;
        s->userdata = userdata;
}

size_t bus_calls_recent(const BusCalls *s, size_t max, uint64_t *ret_oldest_usec)
{
        const BusCall *c = s->calls ? s->calls->prev : NULL; /* the newest */
        size_t n = 0;

        *ret_oldest_usec = 0;
        for (; c && n < max; c = c == s->calls ? NULL : c->prev) {
                *ret_oldest_usec = c->made_usec;
                n++;
        }
        return n;
}

sd_bus_message *bus_call_message(const BusCall *c)
{
        return c->message;
}

Bus *bus_call_bus(const BusCall *c)
{
        return c->set->bus;
}

void bus_call_on_gone(BusCall *c, void (*gone)(BusCall *c, void *userdata), void *userdata)
{
        c->gone = gone;
        c->userdata = userdata;
}

void bus_call_answer(BusCall *c, const Answer *answer)
{
        if (c->client)
                (void)bus_answer(c->message, answer);
        bus_call_free(c);
}

void bus_call_refuse(BusCall *c, const char *error, const char *text)
{
        bus_call_answer(c, &(Answer){ error, text });
}

void bus_call_refuse_errno(BusCall *c, int error)
{
        if (c->client)
                (void)sd_bus_reply_method_errno(c->message, error, NULL);
        bus_call_free(c);
}

void bus_call_return(BusCall *c, const char *types, ...)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        va_list ap;

        int r = sd_bus_message_new_method_return(c->message, &reply);
        va_start(ap, types);
        if (r >= 0 && *types)
                r = sd_bus_message_appendv(reply, types, ap);
        va_end(ap);
        bus_call_send(c, reply, r);
}

void bus_call_send(BusCall *c, sd_bus_message *reply, int r)
{
        if (r >= 0 && c->client)
                r = sd_bus_send(NULL, reply, NULL);
        if (r < 0)
                bus_call_refuse_errno(c, r);
        else
                bus_call_free(c);
}

int bus_answer(sd_bus_message *message, const Answer *answer)
{
        if (!answer->error)
                return sd_bus_reply_method_return(message, NULL);
        return sd_bus_reply_method_errorf(message, answer->error, "%s",
                                          answer->text ? answer->text : "it failed");
}
