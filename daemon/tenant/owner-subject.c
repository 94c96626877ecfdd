/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The bus provides the groups of the caller; the name service provides those of any other owner. A
 * reservation for nobody has no groups. */

#include "daemon/tenant/owner-subject.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/caller/sender.h"
#include "daemon/machine/names.h"
#include "daemon/tenant/core.h"
#include "policy/subject.h"

struct OwnerSubject {
        Core *core;
        Subject *subject;
        uid_t sender_uid;
        sd_bus_slot *slot;
        NamesCall *name;
        owner_subject_done_t done;
        void *userdata;
};

OwnerSubject *owner_subject_free(OwnerSubject *o)
{
        if (!o)
                return NULL;
        sd_bus_slot_unref(o->slot);
        names_call_free(o->name);
        subject_free(o->subject);
        free(o);
        return NULL;
}

static void owner_end(OwnerSubject *o, int error)
{
        o->done(error < 0 ? error : 0, error < 0 ? NULL : TAKE_PTR(o->subject), o->sender_uid, o->userdata);
}

static void owner_on_name(int error, const NameRecord *user, void *userdata)
{
        OwnerSubject *o = userdata;
        Subject *s = o->subject;

        o->name = NULL;
        if (error >= 0)
                error = subject_become(s, s->uid, user->name, user->gids, user->n_gids);
        owner_end(o, error);
}

static void owner_with_sender(OwnerSubject *o, const Sender *sender)
{
        Subject *s = o->subject;
        char number[16];

        o->sender_uid = sender->uid;
        if (s->nobody) {
                owner_end(o, 0);
                return;
        }
        if (s->uid == sender->uid) {
                _cleanup_free_ char *name = TAKE_PTR(s->user);

                owner_end(o, subject_become(s, sender->uid, name, sender->gids, sender->n_gids));
                return;
        }
        snprintf(number, sizeof(number), "%u", s->uid);
        int r = names_ask(o->core->names, NAME_MEMBER, number, sender->uid, owner_on_name, o, &o->name);
        if (r < 0)
                owner_end(o, r);
}

static void owner_on_sender(int error, const Sender *sender, void *userdata)
{
        OwnerSubject *o = userdata;

        o->slot = sd_bus_slot_unref(o->slot);
        if (error < 0)
                owner_end(o, error);
        else
                owner_with_sender(o, sender);
}

int owner_subject_start(Core *core, const char *client, const Subject *target, owner_subject_done_t done,
                        void *userdata, OwnerSubject **ret)
{
        OwnerSubject *o = calloc(1, sizeof(*o));

        if (!o)
                return -ENOMEM;
        *o = (OwnerSubject){ .core = core, .done = done, .userdata = userdata };
        int r = subject_copy(target, &o->subject);
        const Sender *sender = r < 0 ? NULL : sender_cached(core->senders, client);
        if (r >= 0 && !sender)
                r = sender_fetch(core->senders, client, owner_on_sender, o, &o->slot);
        if (r < 0) {
                owner_subject_free(o);
                return r;
        }
        *ret = o;
        if (sender)
                owner_with_sender(o, sender);
        return 0;
}
