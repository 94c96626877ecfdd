/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/caller/sender.h"

/* The cache is direct-mapped: a new client replaces the previous one in the same row. */
#define SENDERS_MAX 64

struct SenderCache {
        sd_bus *bus;
        Sender row[SENDERS_MAX];
};

typedef struct Fetch {
        SenderCache *cache;
        char *name;
        sender_cb cb;
        void *userdata;
} Fetch;

static void sender_clear(Sender *s)
{
        free(s->name);
        free(s->gids);
        *s = (Sender){ 0 };
}

int sender_cache_new(sd_bus *bus, SenderCache **ret)
{
        SenderCache *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        c->bus = sd_bus_ref(bus);
        *ret = c;
        return 0;
}

SenderCache *sender_cache_free(SenderCache *c)
{
        if (!c)
                return NULL;
        for (size_t i = 0; i < SENDERS_MAX; i++)
                sender_clear(&c->row[i]);
        sd_bus_unref(c->bus);
        free(c);
        return NULL;
}

static size_t sender_row_of(const char *name)
{
        size_t h = 5381;

        while (*name)
                h = h * 33 + (unsigned char)*name++;
        return h % SENDERS_MAX;
}

const Sender *sender_cached(const SenderCache *c, const char *name)
{
        const Sender *s = &c->row[sender_row_of(name)];

        return s->name && strcmp(s->name, name) == 0 ? s : NULL;
}

static int sender_read_groups(sd_bus_message *m, Sender *s)
{
        const void *data;
        size_t size;

        int r = sd_bus_message_enter_container(m, 'v', "au");
        if (r >= 0)
                r = sd_bus_message_read_array(m, 'u', &data, &size);
        if (r < 0)
                return r;
        _Static_assert(sizeof(gid_t) == sizeof(uint32_t), "the bus sends gid_t as uint32");
        free(s->gids);
        s->gids = malloc(size ? size : 1);
        if (!s->gids)
                return -ENOMEM;
        if (size > 0)
                memcpy(s->gids, data, size);
        s->n_gids = size / sizeof(gid_t);
        return sd_bus_message_exit_container(m);
}

static int sender_read_u32(sd_bus_message *m, uint32_t *ret)
{
        return sd_bus_message_read(m, "v", "u", ret);
}

/* Parses the a{sv} of GetConnectionCredentials. A reply without a user ID is an error. */
static int sender_read_credentials(sd_bus_message *m, Sender *s)
{
        const char *key;
        uint32_t v;

        s->uid = (uid_t)-1;
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &key);
                if (r < 0)
                        return r;
                if (strcmp(key, "UnixUserID") == 0) {
                        r = sender_read_u32(m, &v);
                        s->uid = v;
                } else if (strcmp(key, "ProcessID") == 0) {
                        r = sender_read_u32(m, &v);
                        s->pid = (pid_t)v;
                } else if (strcmp(key, "UnixGroupIDs") == 0)
                        r = sender_read_groups(m, s);
                else
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r < 0)
                return r;
        return s->uid == (uid_t)-1 ? -ENODATA : 0;
}

static int sender_on_credentials(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Fetch *f = userdata;
        Sender s = { 0 };

        int r = sd_bus_message_is_method_error(m, NULL) ? -sd_bus_message_get_errno(m)
                                                        : sender_read_credentials(m, &s);
        if (r >= 0) {
                s.name = strdup(f->name);
                r = s.name ? 0 : -ENOMEM;
        }
        if (r < 0) {
                sender_clear(&s);
                f->cb(r, NULL, f->userdata);
                return 0;
        }
        Sender *row = &f->cache->row[sender_row_of(f->name)];
        sender_clear(row);
        *row = s;
        f->cb(0, row, f->userdata);
        return 0;
}

static void fetch_free(void *p)
{
        Fetch *f = p;

        free(f->name);
        free(f);
}

int sender_fetch(SenderCache *c, const char *name, sender_cb cb, void *userdata, sd_bus_slot **ret_slot)
{
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        Fetch *f = calloc(1, sizeof(*f));

        if (!f)
                return -ENOMEM;
        *f = (Fetch){ .cache = c, .name = strdup(name), .cb = cb, .userdata = userdata };
        if (!f->name) {
                free(f);
                return -ENOMEM;
        }
        int r = sd_bus_call_method_async(c->bus, &slot, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                         "org.freedesktop.DBus", "GetConnectionCredentials",
                                         sender_on_credentials, f, "s", name);
        if (r < 0) {
                fetch_free(f);
                return r;
        }
        sd_bus_slot_set_destroy_callback(slot, fetch_free);
        *ret_slot = TAKE_PTR(slot);
        return 0;
}
