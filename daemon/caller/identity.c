/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/caller/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/caller/identity-read.h"
#include "daemon/caller/identity-unit.h"
#include "daemon/fence/foreign-plan.h"
#include "daemon/fence/foreign.h"
#include "daemon/kernel/cgroup.h"
#include "daemon/kernel/owner.h"
#include "daemon/machine/process.h"
#include "policy/cdm-names.h"
#include "policy/word.h"

/* The steps: sender → (groups of another user) → the target's unit, from PID 1 → name of the user → files of
 * the kernel (a worker) → the unit's user → does the unit belong to the caller? */
struct IdentityLookup {
        IdentityContext context;
        TargetKind kind;
        char *unit, *cgroup, *user;
        pid_t asked_pid;
        bool scope, as_unit;
        NamesCall *name;
        sd_bus_slot *slot;   /* pending call to the bus driver about the sender */
        UnitCall *call;      /* pending call to PID 1 about the target */
        int unit_error;      /* the result of PID 1, kept while names are looked up */
        UnitInfo *unit_info; /* NULL: none */
        IdentityRead *read;
        IdentityReading *reading; /* part of read; NULL: not read yet, or TARGET_UNIT */
        Identity *identity;       /* filled in during the lookup */
        identity_done_t done;
        void *userdata;
};

IdentityLookup *identity_lookup_free(IdentityLookup *l)
{
        if (!l)
                return NULL;
        sd_bus_slot_unref(l->slot);
        unit_call_free(l->call);
        names_call_free(l->name);
        unit_info_free(l->unit_info);
        identity_read_free(l->read);
        free(l->unit);
        free(l->cgroup);
        free(l->user);
        identity_free(l->identity);
        free(l);
        return NULL;
}

/* done() may free the lookup: the caller must not touch it afterwards. */
static _printf_(3, 4) void refuse_as(IdentityLookup *l, IdentityVerdict verdict, const char *format, ...)
{
        _cleanup_free_ char *message = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&message, format, ap) < 0)
                message = NULL;
        va_end(ap);
        l->done(verdict, message ? message : "out of memory", NULL, l->userdata);
}

static void refuse_errno(IdentityLookup *l, int error)
{
        if (error == -ENOENT)
                refuse_as(l, IDENTITY_NO_TARGET, "there is no unit %s; `systemctl list-units` shows all",
                          l->unit ? l->unit : "of that name");
        else if (error == -ESRCH)
                refuse_as(l, IDENTITY_NO_TARGET, "there is no process %d, or it is in no unit",
                          l->asked_pid);
        else if (error == -ETIMEDOUT)
                refuse_as(l, IDENTITY_FAILED, "systemd does not answer; try again later");
        else
                refuse_as(l, IDENTITY_FAILED, "systemd cannot name the target's unit: %s", strerror(-error));
}

/* unit_uid has been set before. A subtenant has none. */
static int set_subject(IdentityLookup *l, UnitInfo *u)
{
        Subject *s = l->identity->subject;

        if (l->reading && l->reading->subtenant) {
                s->cgroup = TAKE_PTR(l->reading->subtenant);
                s->cgroup_id = l->reading->subtenant_id;
                s->below_unit = true;
                s->slice = TAKE_PTR(u->slice);
                s->unit_uid = UID_NONE;
                return subject_set_container(s);
        }
        s->cgroup = u->cgroup ? TAKE_PTR(u->cgroup) : unit_future_cgroup(u);
        if (!s->cgroup)
                return -ENOMEM;
        s->cgroup_id = u->cgroup_id;
        s->unit = TAKE_PTR(u->name);
        s->slice = TAKE_PTR(u->slice);
        return subject_set_container(s);
}

/* The unit does not belong to the caller: prepares the reason and an alternative, in case the request is
 * denied. */
static bool identity_advise(IdentityLookup *l, const UnitInfo *u, const Caller *c)
{
        l->identity->advice = unit_advise_caller(u, c);
        if (!l->identity->advice)
                refuse_as(l, IDENTITY_FAILED, "out of memory");
        return l->identity->advice;
}

static bool set_scope_slice(IdentityLookup *l)
{
        Identity *i = l->identity;

        int r = i->sender_uid == 0 ? asprintf(&i->scope_slice, "system.slice")
                                   : asprintf(&i->scope_slice, "user-%u.slice", i->sender_uid);
        if (r >= 0)
                return true;
        i->scope_slice = NULL;
        refuse_as(l, IDENTITY_FAILED, "out of memory");
        return false;
}

/* TARGET_SELF: fills in own, move, scope_slice and advice. Returns false if the request was refused. */
static bool judge_self(IdentityLookup *l, const UnitInfo *u)
{
        const IdentityReading *reading = l->reading;
        Identity *i = l->identity;
        Caller c = { .uid = i->sender_uid,
                     .only_uid = reading->only_uid > 0,
                     .scope = l->scope,
                     .cgroup = reading->path,
                     .tenant = reading->subtenant };

        if (!c.cgroup || reading->only_uid < 0 || !process_is_alive(i->pidfd) ||
            !word_is_below(c.cgroup, u->cgroup)) {
                refuse_as(l, IDENTITY_STALE, "the process that asked ended or changed its unit; ask again");
                return false;
        }
        i->in_tenant = c.only_uid && c.tenant;
        switch (unit_place_caller(u, i->subject->unit_uid, &c)) {
        case CALLER_MOVE:
                i->own = i->move = true;
                return set_scope_slice(l);
        case CALLER_OWN:
                i->own = true;
                return true;
        case CALLER_OTHERS:
                return identity_advise(l, u, &c);
        case CALLER_REFUSED:
                if (identity_advise(l, u, &c))
                        refuse_as(l, IDENTITY_DENIED, "%s", i->advice);
                return false;
        }
        return false;
}

/* --cgroup: the path must be the cgroup of a unit, or be below a delegated unit. In the second case the
 * target is the subtenant, or the unit if there is none. */
static bool judge_cgroup(IdentityLookup *l, const UnitInfo *u)
{
        if (strcmp(l->cgroup, u->cgroup) == 0 || (u->delegate && word_is_below(l->cgroup, u->cgroup)))
                return true;
        refuse_as(l, IDENTITY_NO_TARGET, "%s is not the control group of a unit; the nearest one is %s (%s)",
                  l->cgroup, u->name, u->cgroup);
        return false;
}

/* The target is in no unit of PID 1, except perhaps a slice: a foreign cgroup, identified by its path. */
static void with_foreign(IdentityLookup *l, const char *slice)
{
        IdentityReading *reading = l->reading;
        Identity *i = l->identity;
        Subject *s = i->subject;
        int pid = l->kind == TARGET_PID ? l->asked_pid : i->pid;

        if (!reading->path || (l->kind == TARGET_SELF && !process_is_alive(i->pidfd))) {
                refuse_as(l, IDENTITY_NO_TARGET, "process %d has ended", pid);
                return;
        }
        if (!reading->path[1]) {
                refuse_as(l, IDENTITY_NO_TARGET,
                          "process %d is in the root control group, which can neither be fenced nor have a "
                          "reservation; move the process into a control group of its own first",
                          pid);
                return;
        }
        s->unit_uid = UID_NONE;
        s->slice = strdup(slice);
        s->cgroup = TAKE_PTR(reading->tenant);
        s->cgroup_id = reading->tenant_id;
        int r = s->slice ? reading->tenant_error : -ENOMEM;
        if (r >= 0 && reading->made_by_root)
                r = subject_set_container(s);
        if (r >= 0 && l->kind == TARGET_SELF &&
            asprintf(
                    &i->advice,
                    "the caller runs in a control group that is no unit; use `cdmctl run` in a session of "
                    "your own or below your own service manager (`systemd-run --user`), or let root ask with "
                    "--cgroup %s",
                    s->cgroup) < 0) {
                i->advice = NULL;
                r = -ENOMEM;
        }
        if (r < 0)
                refuse_as(l, r == -ENOENT ? IDENTITY_NO_TARGET : IDENTITY_FAILED,
                          "the control group %s cannot be used: %s", reading->path, strerror(-r));
        else
                l->done(IDENTITY_OK, NULL, TAKE_PTR(l->identity), l->userdata);
}

/* For a foreign cgroup PID 1 names the nearest slice, which may be the root slice. */
static bool is_foreign(const IdentityLookup *l, const UnitInfo *u)
{
        if (l->kind == TARGET_UNIT || !word_ends_with(u->name, ".slice"))
                return false;
        return l->kind != TARGET_CGROUP ||
               (strcmp(l->cgroup, u->cgroup ? u->cgroup : "/") != 0 && l->cgroup[1]);
}

static bool may_be_foreign(const IdentityLookup *l)
{
        int error = l->unit_error;

        if (error == -ENOENT || error == -ESRCH)
                return l->kind != TARGET_UNIT;
        return error >= 0 && is_foreign(l, l->unit_info);
}

/* Refuses if it is unknown whether the target is a subtenant: the unit must not take its place. */
static bool judge_subtenant(IdentityLookup *l, const IdentityReading *r)
{
        int error = r->subtenant_error;
        bool is_known = error >= 0 || error == -ENOENT || error == -EACCES;

        if (error == -ESRCH)
                refuse_as(l, IDENTITY_NO_TARGET, "%s has no process; ask for it when it has one", r->path);
        else if (!is_known)
                refuse_as(l, IDENTITY_FAILED, "%s cannot be read: %s", r->path, strerror(-error));
        return is_known;
}

/* The last step: all answers have arrived. */
static void identity_judge(IdentityLookup *l)
{
        UnitInfo *u = l->unit_info;

        if (l->kind == TARGET_SELF && !judge_self(l, u))
                return;
        if ((l->kind == TARGET_CGROUP && !judge_cgroup(l, u)) ||
            (l->reading && !judge_subtenant(l, l->reading)))
                return;
        if (set_subject(l, u) < 0)
                refuse_as(l, IDENTITY_FAILED, "out of memory");
        else
                l->done(IDENTITY_OK, NULL, TAKE_PTR(l->identity), l->userdata);
}

static void refuse_name(IdentityLookup *l, const char *user, int error)
{
        refuse_as(l, IDENTITY_FAILED, "the user %s cannot be looked up now: %s; try again later", user,
                  strerror(-error));
}

/* A unit with an unknown User= belongs to nobody: neither to the caller nor to root. */
static void identity_on_unit_user(int error, const NameRecord *user, void *userdata)
{
        IdentityLookup *l = userdata;
        Subject *s = l->identity->subject;
        const char *name = l->unit_info->user;

        l->name = NULL;
        if (error < 0 && error != -ENOENT) {
                refuse_name(l, name ? name : "root", error);
                return;
        }
        s->unit_uid = user ? user->id : UID_NONE;
        int r = !l->as_unit ? 0
                : user      ? identity_become_user(s, user)
                            : subject_become(s, UID_NONE, NULL, NULL, 0);
        if (r < 0) {
                refuse_as(l, IDENTITY_FAILED, "out of memory");
                return;
        }
        identity_judge(l);
}

static void identity_ask_unit_user(IdentityLookup *l)
{
        Subject *s = l->identity->subject;
        const UnitInfo *u = l->unit_info;
        const char *name = u->user;

        s->unit_uid = UID_NONE;
        if (!name && word_ends_with(u->name, ".service"))
                s->unit_uid = 0;
        /* Without User= the request is root's; so is that of a scope, which root requested from PID 1. */
        if (!name && l->as_unit)
                name = "0";
        if (!name) {
                identity_judge(l);
                return;
        }
        int r = names_ask(l->context.names, l->as_unit ? NAME_MEMBER : NAME_USER, name,
                          l->identity->sender_uid, identity_on_unit_user, l, &l->name);
        if (r < 0)
                refuse_name(l, name, r);
}

/* PID 1 has replied, and the name and the files have been read. */
static void identity_go_on(IdentityLookup *l)
{
        _cleanup_free_ char *reason = NULL;
        const UnitInfo *u = l->unit_info;
        int error = l->unit_error;

        if (may_be_foreign(l) && (u || (l->reading->path && owner_top(l->reading->path) > 0)))
                with_foreign(l, u ? u->name : "-.slice");
        else if (error < 0)
                refuse_errno(l, error);
        else if (!unit_is_usable(u, l->as_unit, &reason))
                refuse_as(l, IDENTITY_NO_TARGET, "%s", reason ? reason : "out of memory");
        else
                identity_ask_unit_user(l);
}

/* The pidfd in the request must refer to the sender. Returns false if the request was refused. */
static bool check_pidfd(IdentityLookup *l)
{
        const IdentityReading *reading = l->reading;

        if (reading->pidfd_error == -ESRCH)
                refuse_as(l, IDENTITY_STALE, "the process that asked has ended");
        else if (reading->pidfd_error < 0)
                refuse_as(l, IDENTITY_INVALID, "the option %s is not a pidfd", CDM_OPTION_PIDFD);
        else if (reading->pidfd_pid != l->identity->pid)
                refuse_as(
                        l, IDENTITY_DENIED,
                        "the pidfd is of process %d, but the request came from process %d; name the target "
                        "with --unit, --cgroup or --pid",
                        reading->pidfd_pid, l->identity->pid);
        else
                return true;
        return false;
}

static void identity_on_read(IdentityReading *reading, void *userdata)
{
        IdentityLookup *l = userdata;

        l->reading = reading;
        l->identity->pidfd = TAKE_FD(reading->pidfd);
        l->identity->pid_start = reading->pid_start;
        if (l->kind == TARGET_SELF && !check_pidfd(l))
                return;
        if (l->kind == TARGET_CGROUP && reading->path_error < 0)
                refuse_as(l, IDENTITY_NO_TARGET, "there is no control group %s; `systemd-cgls` lists them",
                          l->cgroup);
        else
                identity_go_on(l);
}

static void identity_read(IdentityLookup *l)
{
        Identity *i = l->identity;
        const UnitInfo *u = l->unit_info && l->unit_info->delegate ? l->unit_info : NULL;
        IdentityReading what = { .root = l->context.root,
                                 .pid = l->kind == TARGET_SELF ? i->pid : l->asked_pid,
                                 .pidfd = i->pidfd,
                                 .uid = i->sender_uid,
                                 .cgroup = l->cgroup,
                                 .nearest = l->unit_info ? l->unit_info->name : NULL,
                                 .unit = u && u->cgroup ? u->name : NULL,
                                 .unit_path = u ? u->cgroup : NULL,
                                 .foreign = may_be_foreign(l) };

        if (l->kind == TARGET_UNIT) {
                identity_go_on(l);
                return;
        }
        int r = identity_read_start(l->context.worker, &what, identity_on_read, l, &l->read);
        if (r < 0)
                refuse_as(l, IDENTITY_FAILED, "the process of the caller cannot be read now: %s",
                          strerror(-r));
        else
                i->pidfd = -EBADF;
}

/* The name is only used in messages. Without a name, messages show the number. */
static void identity_on_sender_name(int error, const NameRecord *user, void *userdata)
{
        IdentityLookup *l = userdata;

        l->name = NULL;
        if (user && user->name)
                l->identity->subject->user = strdup(user->name);
        identity_read(l);
}

static void identity_on_unit(int error, UnitInfo *info, void *userdata)
{
        IdentityLookup *l = userdata;
        const Subject *s = l->identity->subject;
        char number[16];

        l->call = unit_call_free(l->call);
        l->unit_error = error;
        l->unit_info = info;
        if (s->user || l->as_unit) {
                identity_read(l);
                return;
        }
        snprintf(number, sizeof(number), "%u", s->uid);
        if (names_ask(l->context.names, NAME_UID, number, l->identity->sender_uid, identity_on_sender_name,
                      l, &l->name) < 0)
                identity_read(l);
}

static void identity_ask_unit(IdentityLookup *l)
{
        uid_t uid = l->identity->sender_uid;
        Gate *gate = l->context.gate;
        int r = -EINVAL;

        switch (l->kind) {
        case TARGET_SELF:
                r = unit_get_by_pid(gate, uid, l->identity->pid, identity_on_unit, l, &l->call);
                break;
        case TARGET_PID:
                r = unit_get_by_pid(gate, uid, l->asked_pid, identity_on_unit, l, &l->call);
                break;
        case TARGET_CGROUP:
                r = unit_get_by_cgroup(gate, uid, l->cgroup, identity_on_unit, l, &l->call);
                break;
        case TARGET_UNIT:
                r = unit_get(gate, uid, l->unit, identity_on_unit, l, &l->call);
                break;
        }
        if (r < 0)
                refuse_errno(l, r);
}

static void identity_on_other_user(int error, const NameRecord *user, void *userdata)
{
        IdentityLookup *l = userdata;

        l->name = NULL;
        if (error == -ENOENT)
                refuse_as(l, IDENTITY_INVALID, "there is no user %s", l->user);
        else if (error < 0)
                refuse_name(l, l->user, error);
        else if (identity_become_user(l->identity->subject, user) < 0)
                refuse_as(l, IDENTITY_FAILED, "out of memory");
        else
                identity_ask_unit(l);
}

/* Explain only: uses the UID and groups of another user instead of the sender's. */
static void identity_ask_other_user(IdentityLookup *l)
{
        /* Otherwise any user could look up arbitrary names, and block all threads with slow lookups. */
        if (l->identity->sender_uid != 0) {
                refuse_as(l, IDENTITY_DENIED, "only root may ask for another user; leave out --user");
                return;
        }
        int r = names_ask(l->context.names, NAME_MEMBER, l->user, 0, identity_on_other_user, l, &l->name);
        if (r < 0)
                refuse_name(l, l->user, r);
}

static void with_sender(IdentityLookup *l, const Sender *sender)
{
        Subject *s = l->identity->subject;

        l->identity->sender_uid = sender->uid;
        s->unit_uid = UID_NONE;
        int r = s->nobody ? subject_become(s, 0, NULL, NULL, 0)
                          : subject_become(s, sender->uid, NULL, sender->gids, sender->n_gids);
        /* The pidfd is compared with this PID after PID 1 has named the unit. */
        if (l->kind == TARGET_SELF)
                l->identity->pid = sender->pid;
        if (r < 0)
                refuse_as(l, IDENTITY_FAILED, "out of memory");
        else if (l->kind == TARGET_SELF && sender->pid <= 0)
                refuse_as(
                        l, IDENTITY_DENIED,
                        "the bus cannot say which process asks; name the target with --unit, --cgroup or --pid");
        else if (l->user)
                identity_ask_other_user(l);
        else
                identity_ask_unit(l);
}

static void identity_on_sender(int error, const Sender *sender, void *userdata)
{
        IdentityLookup *l = userdata;

        l->slot = sd_bus_slot_unref(l->slot);
        if (error < 0)
                refuse_as(l, IDENTITY_NO_SENDER, "the bus does not know who asked");
        else
                with_sender(l, sender);
}

/* Refuses what can be refused from the syntax of the query alone. */
static bool refuse_words(IdentityLookup *l)
{
        switch (l->kind) {
        case TARGET_SELF:
                if (l->identity->pidfd >= 0)
                        return false;
                refuse_as(
                        l, IDENTITY_INVALID,
                        "no target given: pass unit, cgroup or pid, or a pidfd of the caller for its own unit");
                return true;
        case TARGET_UNIT:
                if (unit_name_can_be_target(l->unit))
                        return false;
                refuse_as(l, IDENTITY_NO_TARGET,
                          "'%s' is neither a service nor a scope; only those can be a target", l->unit);
                return true;
        case TARGET_CGROUP:
                if (cgroup_path_is_normal(l->cgroup))
                        return false;
                refuse_as(l, IDENTITY_INVALID, "'%s' is not a path such as /system.slice/a.service",
                          l->cgroup);
                return true;
        case TARGET_PID:
                if (l->asked_pid > 0)
                        return false;
                refuse_as(l, IDENTITY_INVALID, "there is no process %d", l->asked_pid);
                return true;
        }
        return true;
}

static int lookup_new(const IdentityQuery *q, IdentityLookup **ret)
{
        _cleanup_(identity_lookup_free_p) IdentityLookup *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        l->identity = calloc(1, sizeof(*l->identity));
        if (!l->identity)
                return -ENOMEM;
        l->identity->pidfd = -EBADF;
        l->identity->subject = calloc(1, sizeof(*l->identity->subject));
        l->unit = q->unit ? strdup(q->unit) : NULL;
        l->cgroup = q->cgroup ? strdup(q->cgroup) : NULL;
        l->user = q->user ? strdup(q->user) : NULL;
        if (!l->identity->subject || (q->unit && !l->unit) || (q->cgroup && !l->cgroup) ||
            (q->user && !l->user))
                return -ENOMEM;
        l->kind = q->kind;
        l->asked_pid = q->pid;
        l->scope = q->scope;
        l->as_unit = q->as_unit;
        l->identity->subject->nobody = q->for_nobody;
        if (q->kind == TARGET_SELF && q->pidfd >= 0) {
                l->identity->pidfd = fcntl(q->pidfd, F_DUPFD_CLOEXEC, 3);
                if (l->identity->pidfd < 0)
                        return -errno;
        }
        *ret = TAKE_PTR(l);
        return 0;
}

int identity_start(const IdentityContext *context, const char *name, const IdentityQuery *query,
                   identity_done_t done, void *userdata, IdentityLookup **ret)
{
        IdentityLookup *l = NULL;

        int r = lookup_new(query, &l);
        if (r < 0)
                return r;
        l->context = *context;
        l->done = done;
        l->userdata = userdata;
        *ret = l;
        if (refuse_words(l))
                return 0;
        const Sender *sender = sender_cached(context->senders, name);
        if (sender) {
                with_sender(l, sender);
                return 0;
        }
        r = sender_fetch(context->senders, name, identity_on_sender, l, &l->slot);
        if (r < 0)
                refuse_errno(l, r);
        return 0;
}
