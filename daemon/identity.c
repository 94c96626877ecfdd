/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/cgroup.h"
#include "daemon/foreign-plan.h"
#include "daemon/foreign.h"
#include "daemon/identity-unit.h"
#include "daemon/identity.h"
#include "daemon/owner.h"
#include "daemon/process.h"
#include "policy/cdm-names.h"

/* sender → (another user's groups) → target's unit from PID 1 → names → is it the caller's own? */
struct IdentityLookup {
        Gate *gate;
        char *root;
        TargetKind kind;
        char *unit, *cgroup, *user;
        pid_t asked_pid;
        bool scope, as_unit;
        Names *names;
        NamesCall *name;
        sd_bus_slot *slot;   /* the bus is asked about the sender */
        UnitCall *call;      /* PID 1 is asked about the target */
        int unit_error;      /* what PID 1 said, while names are looked up */
        UnitInfo *unit_info; /* NULL: nothing */
        Identity *identity;  /* filled in as the lookup goes on */
        identity_done_t done;
        void *userdata;
};

static const char *const verdict_names[_IDENTITY_VERDICT_MAX] = {
        [IDENTITY_OK] = "ok",
        [IDENTITY_NO_SENDER] = "no-sender",
        [IDENTITY_NO_TARGET] = "no-target",
        [IDENTITY_INVALID] = "invalid",
        [IDENTITY_DENIED] = "denied",
        [IDENTITY_STALE] = "stale",
        [IDENTITY_FAILED] = "failed",
};

const char *identity_verdict_to_string(IdentityVerdict v)
{
        return v < _IDENTITY_VERDICT_MAX ? verdict_names[v] : NULL;
}

Identity *identity_free(Identity *i)
{
        if (!i)
                return NULL;
        subject_free(i->subject);
        free(i->scope_slice);
        if (i->pidfd >= 0)
                close(i->pidfd);
        free(i);
        return NULL;
}

IdentityLookup *identity_lookup_free(IdentityLookup *l)
{
        if (!l)
                return NULL;
        sd_bus_slot_unref(l->slot);
        unit_call_free(l->call);
        names_call_free(l->name);
        unit_info_free(l->unit_info);
        free(l->root);
        free(l->unit);
        free(l->cgroup);
        free(l->user);
        identity_free(l->identity);
        free(l);
        return NULL;
}

int identity_check(const Identity *i, const char *root, const char *cgroup)
{
        _cleanup_free_ char *path = NULL;

        if (i->pid == 0)
                return 0;
        /* Read first, look at the pidfd afterwards: as long as it lives the PID cannot be another's. */
        int r = process_cgroup(root, i->pid, &path);
        if (r < 0 || !process_is_alive(i->pidfd))
                return -ESTALE;
        return foreign_is_below(path, cgroup) ? 0 : -ESTALE;
}

/* The lookup may be freed by done(), so this is the last thing that touches it. */
static void refuse(IdentityLookup *l, IdentityVerdict verdict, const char *format, ...) _printf_(3, 4);
static void refuse(IdentityLookup *l, IdentityVerdict verdict, const char *format, ...)
{
        _cleanup_free_ char *message = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&message, format, ap) < 0)
                message = NULL;
        va_end(ap);
        l->done(verdict, message ? message : "Out of memory.", NULL, l->userdata);
}

static void refuse_errno(IdentityLookup *l, int error)
{
        if (error == -ENOENT)
                refuse(l, IDENTITY_NO_TARGET, "There is no such unit; `systemctl list-units` shows all.");
        else if (error == -ESRCH)
                refuse(l, IDENTITY_NO_TARGET, "There is no such process, or it is in no unit.");
        else if (error == -ETIMEDOUT)
                refuse(l, IDENTITY_FAILED, "systemd does not answer; try again.");
        else
                refuse(l, IDENTITY_FAILED, "systemd cannot say which unit that is: %s.", strerror(-error));
}

/* unit_uid is known by now. */
static int set_subject(IdentityLookup *l, UnitInfo *u)
{
        Subject *s = l->identity->subject;

        s->cgroup = u->cgroup ? TAKE_PTR(u->cgroup) : unit_future_cgroup(u);
        if (!s->cgroup)
                return -ENOMEM;
        s->cgroup_id = u->cgroup_id;
        s->unit = TAKE_PTR(u->name);
        s->slice = TAKE_PTR(u->slice);
        return subject_set_container(s);
}

/* TARGET_SELF: fills in own, move and scope_slice. False: it was refused. */
static bool judge_self(IdentityLookup *l, const UnitInfo *u)
{
        _cleanup_free_ char *cgroup = NULL;
        Identity *i = l->identity;
        uid_t uid = i->sender_uid, unit_uid = i->subject->unit_uid;

        int r = process_cgroup(l->root, i->pid, &cgroup);
        int same = process_has_only_uid(l->root, i->pid, uid);
        if (r < 0 || same < 0 || !process_is_alive(i->pidfd) || !foreign_is_below(cgroup, u->cgroup)) {
                refuse(l, IDENTITY_STALE,
                       "The process that asked ended, or moved to another unit, meanwhile.");
                return false;
        }
        if (l->scope && same && unit_may_move_caller(u, cgroup, unit_uid, uid)) {
                i->own = i->move = true;
                r = uid == 0 ? asprintf(&i->scope_slice, "system.slice")
                             : asprintf(&i->scope_slice, "user-%u.slice", uid);
                if (r < 0) {
                        i->scope_slice = NULL;
                        refuse(l, IDENTITY_FAILED, "Out of memory.");
                        return false;
                }
                return true;
        }
        if (unit_is_user_manager(u->name)) {
                refuse(l, IDENTITY_DENIED,
                       "The caller runs below %s, where systemd's user instance is in charge; use `cdmctl "
                       "run`.",
                       u->name);
                return false;
        }
        i->own = same && unit_is_of_user(u, unit_uid, uid);
        return true;
}

/* --cgroup: the path has to be a unit's own, or below one that systemd delegated (which then gets it). */
static bool judge_cgroup(IdentityLookup *l, const UnitInfo *u)
{
        if (strcmp(l->cgroup, u->cgroup) == 0 || (u->delegate && foreign_is_below(l->cgroup, u->cgroup)))
                return true;
        refuse(l, IDENTITY_NO_TARGET, "%s is not the control group of a unit; the nearest one is %s (%s).",
               l->cgroup, u->name, u->cgroup);
        return false;
}

/* Where the target is in none of PID 1's units, but perhaps in a slice: it is asked for by its path. NULL:
 * refused. */
static char *foreign_path(IdentityLookup *l)
{
        pid_t pid = l->kind == TARGET_SELF ? l->identity->pid : l->asked_pid;
        char *path = NULL;

        if (l->kind == TARGET_CGROUP)
                path = strdup(l->cgroup);
        else if (process_cgroup(l->root, pid, &path) < 0 ||
                 (l->kind == TARGET_SELF && !process_is_alive(l->identity->pidfd))) {
                free(path);
                refuse(l, IDENTITY_NO_TARGET, "There is no such process any more.");
                return NULL;
        }
        if (!path)
                refuse(l, IDENTITY_FAILED, "Out of memory.");
        else if (path[1])
                return path;
        else
                refuse(l, IDENTITY_NO_TARGET,
                       "That is the root control group, which cannot be fenced, nor be given anything; move "
                       "the process into one of its own first.");
        free(path);
        return NULL;
}

static void with_foreign(IdentityLookup *l, const char *slice)
{
        _cleanup_free_ char *path = foreign_path(l);
        Subject *s = l->identity->subject;

        if (!path)
                return;
        /* PID 1 was asked for this very path, so the answer says whose it is as well. */
        if (l->kind == TARGET_CGROUP && l->unit_info)
                (void)owner_learn(path, slice);
        s->unit_uid = UID_NONE;
        s->slice = strdup(slice);
        int r = s->slice ? foreign_tenant(path, &s->cgroup, &s->cgroup_id) : -ENOMEM;
        if (r >= 0 && cgroup_is_made_by_root(s->cgroup))
                r = subject_set_container(s);
        if (r < 0)
                refuse(l, r == -ENOENT ? IDENTITY_NO_TARGET : IDENTITY_FAILED,
                       "The control group %s cannot be used: %s.", path, strerror(-r));
        else
                l->done(IDENTITY_OK, NULL, TAKE_PTR(l->identity), l->userdata);
}

/* PID 1 names the slice that it would be in, at last the root's. */
static bool is_foreign(const IdentityLookup *l, const UnitInfo *u)
{
        if (l->kind == TARGET_UNIT || !unit_has_type(u->name, ".slice"))
                return false;
        return l->kind != TARGET_CGROUP ||
               (strcmp(l->cgroup, u->cgroup ? u->cgroup : "/") != 0 && l->cgroup[1]);
}

/* Likewise where PID 1 names nothing at all. */
static bool is_foreign_path(const IdentityLookup *l)
{
        pid_t pid = l->kind == TARGET_SELF ? l->identity->pid : l->asked_pid;
        _cleanup_free_ char *path = NULL;

        if (l->kind == TARGET_UNIT)
                return false;
        if (l->kind == TARGET_CGROUP)
                return foreign_top(l->cgroup) > 0;
        return process_cgroup(l->root, pid, &path) >= 0 && foreign_top(path) > 0;
}

/* The last step: all that was asked for is there. */
static void identity_judge(IdentityLookup *l)
{
        UnitInfo *u = l->unit_info;

        if (l->kind == TARGET_SELF && !judge_self(l, u))
                return;
        if (l->kind == TARGET_CGROUP && !judge_cgroup(l, u))
                return;
        if (set_subject(l, u) < 0) {
                refuse(l, IDENTITY_FAILED, "Out of memory.");
                return;
        }
        l->done(IDENTITY_OK, NULL, TAKE_PTR(l->identity), l->userdata);
}

static void refuse_name(IdentityLookup *l, const char *user, int error)
{
        refuse(l, IDENTITY_FAILED, "The user %s cannot be looked up now: %s. Try again later.", user,
               strerror(-error));
}

static int become_user(Subject *s, const NameRecord *user)
{
        return subject_become(s, user->id, user->name, user->gids, user->n_gids);
}

/* An unknown user is nobody's: neither the caller's nor root's. */
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
        int r = !l->as_unit ? 0 : user ? become_user(s, user) : subject_become(s, UID_NONE, NULL, NULL, 0);
        if (r < 0) {
                refuse(l, IDENTITY_FAILED, "Out of memory.");
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
        if (!name && unit_has_type(u->name, ".service")) {
                s->unit_uid = 0;
                name = l->as_unit ? "0" : NULL;
        }
        if (!name) {
                if (l->as_unit)
                        identity_on_unit_user(-ENOENT, NULL, l);
                else
                        identity_judge(l);
                return;
        }
        int r = names_ask(l->names, l->as_unit ? NAME_MEMBER : NAME_USER, name, l->identity->sender_uid,
                          identity_on_unit_user, l, &l->name);
        if (r < 0)
                refuse_name(l, name, r);
}

/* PID 1 has answered, and what it takes to name the caller is there. */
static void identity_go_on(IdentityLookup *l)
{
        _cleanup_free_ char *reason = NULL;
        const UnitInfo *u = l->unit_info;
        int error = l->unit_error;

        if (error == -ENOENT || error == -ESRCH ? is_foreign_path(l) : error >= 0 && is_foreign(l, u))
                with_foreign(l, u ? u->name : "-.slice");
        else if (error < 0)
                refuse_errno(l, error);
        else if (!unit_is_usable(u, l->as_unit, &reason))
                refuse(l, IDENTITY_NO_TARGET, "%s", reason ? reason : "Out of memory.");
        else
                identity_ask_unit_user(l);
}

/* The name is for messages: without it the number is shown. */
static void identity_on_sender_name(int error, const NameRecord *user, void *userdata)
{
        IdentityLookup *l = userdata;

        l->name = NULL;
        if (user && user->name)
                l->identity->subject->user = strdup(user->name);
        identity_go_on(l);
}

static void on_unit(int error, UnitInfo *info, void *userdata)
{
        IdentityLookup *l = userdata;
        const Subject *s = l->identity->subject;
        char number[16];

        l->call = unit_call_free(l->call);
        l->unit_error = error;
        l->unit_info = info;
        if (s->user || l->as_unit) {
                identity_go_on(l);
                return;
        }
        snprintf(number, sizeof(number), "%u", s->uid);
        if (names_ask(l->names, NAME_UID, number, l->identity->sender_uid, identity_on_sender_name, l,
                      &l->name) < 0)
                identity_go_on(l);
}

/* The pidfd that came along has to be the sender's. False: refused. */
static bool check_pidfd(IdentityLookup *l, const Sender *sender)
{
        Identity *i = l->identity;
        int r = process_of_pidfd(i->pidfd, &i->pid);

        if (r == -ESRCH)
                refuse(l, IDENTITY_STALE, "The process that asked has ended.");
        else if (r < 0)
                refuse(l, IDENTITY_INVALID, "The option %s is not a pidfd.", CDM_OPTION_PIDFD);
        else if (sender->pid != i->pid)
                refuse(l, IDENTITY_DENIED,
                       "The pidfd is of process %d, but the request came from process %d; name the target "
                       "with "
                       "--unit, --cgroup or --pid.",
                       i->pid, sender->pid);
        else
                return true;
        return false;
}

static int ask_unit(IdentityLookup *l)
{
        uid_t uid = l->identity->sender_uid;

        switch (l->kind) {
        case TARGET_SELF:
                return unit_get_by_pid(l->gate, uid, l->identity->pid, on_unit, l, &l->call);
        case TARGET_PID:
                return unit_get_by_pid(l->gate, uid, l->asked_pid, on_unit, l, &l->call);
        case TARGET_CGROUP:
                return unit_get_by_cgroup(l->gate, uid, l->cgroup, on_unit, l, &l->call);
        case TARGET_UNIT:
                return unit_get(l->gate, uid, l->unit, on_unit, l, &l->call);
        }
        return -EINVAL;
}

static void identity_ask_unit(IdentityLookup *l)
{
        int r = ask_unit(l);

        if (r < 0)
                refuse_errno(l, r);
}

static void identity_on_other_user(int error, const NameRecord *user, void *userdata)
{
        IdentityLookup *l = userdata;

        l->name = NULL;
        if (error == -ENOENT)
                refuse(l, IDENTITY_INVALID, "There is no user %s.", l->user);
        else if (error < 0)
                refuse_name(l, l->user, error);
        else if (become_user(l->identity->subject, user) < 0)
                refuse(l, IDENTITY_FAILED, "Out of memory.");
        else
                identity_ask_unit(l);
}

/* Explain only: another one's UID and groups in place of the sender's. */
static void identity_ask_other_user(IdentityLookup *l)
{
        /* Anybody could have every name looked up, and occupy all threads with those that take long. */
        if (l->identity->sender_uid != 0) {
                refuse(l, IDENTITY_DENIED, "Only root may ask what another user would get.");
                return;
        }
        int r = names_ask(l->names, NAME_MEMBER, l->user, 0, identity_on_other_user, l, &l->name);
        if (r < 0)
                refuse_name(l, l->user, r);
}

static void with_sender(IdentityLookup *l, const Sender *sender)
{
        Subject *s = l->identity->subject;

        l->identity->sender_uid = s->uid = sender->uid;
        s->unit_uid = UID_NONE;
        if (sender->n_gids > 0) {
                s->gids = malloc(sizeof(gid_t) * sender->n_gids);
                if (!s->gids) {
                        refuse(l, IDENTITY_FAILED, "Out of memory.");
                        return;
                }
                memcpy(s->gids, sender->gids, sizeof(gid_t) * sender->n_gids);
                s->n_gids = sender->n_gids;
        }
        if (l->kind == TARGET_SELF && !check_pidfd(l, sender))
                return;
        if (l->user)
                identity_ask_other_user(l);
        else
                identity_ask_unit(l);
}

static void on_sender(int error, const Sender *sender, void *userdata)
{
        IdentityLookup *l = userdata;

        l->slot = sd_bus_slot_unref(l->slot);
        if (error < 0)
                refuse(l, IDENTITY_NO_SENDER, "The bus does not know who asked.");
        else
                with_sender(l, sender);
}

/* What can be refused by looking at the words alone. */
static bool refuse_words(IdentityLookup *l)
{
        int fd;

        switch (l->kind) {
        case TARGET_SELF:
                if (l->identity->pidfd >= 0)
                        return false;
                refuse(l, IDENTITY_INVALID,
                       "Say for whom: with unit, cgroup or pid, or with a pidfd of the caller for its own "
                       "unit.");
                return true;
        case TARGET_UNIT:
                if (unit_name_can_be_target(l->unit))
                        return false;
                refuse(l, IDENTITY_NO_TARGET,
                       "That is not the name of a service or scope; only those can have a reservation.");
                return true;
        case TARGET_CGROUP:
                fd = cgroup_open(l->cgroup, &(uint64_t){ 0 });
                if (fd >= 0) {
                        close(fd);
                        return false;
                }
                refuse(l, fd == -EINVAL ? IDENTITY_INVALID : IDENTITY_NO_TARGET,
                       fd == -EINVAL ? "A control group is a path that starts with '/' and has no '.' or "
                                       "'..' in it."
                                     : "There is no such control group.");
                return true;
        case TARGET_PID:
                if (l->asked_pid > 0)
                        return false;
                refuse(l, IDENTITY_INVALID, "A process number is greater than 0.");
                return true;
        }
        return true;
}

static int lookup_new(const IdentityQuery *q, const char *root, IdentityLookup **ret)
{
        _cleanup_(identity_lookup_free_p) IdentityLookup *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        l->identity = calloc(1, sizeof(*l->identity));
        if (!l->identity)
                return -ENOMEM;
        l->identity->pidfd = -EBADF;
        l->identity->subject = calloc(1, sizeof(*l->identity->subject));
        l->root = strdup(root);
        l->unit = q->unit ? strdup(q->unit) : NULL;
        l->cgroup = q->cgroup ? strdup(q->cgroup) : NULL;
        l->user = q->user ? strdup(q->user) : NULL;
        if (!l->identity->subject || !l->root || (q->unit && !l->unit) || (q->cgroup && !l->cgroup) ||
            (q->user && !l->user))
                return -ENOMEM;
        l->kind = q->kind;
        l->asked_pid = q->pid;
        l->scope = q->scope;
        l->as_unit = q->as_unit;
        if (q->kind == TARGET_SELF && q->pidfd >= 0) {
                l->identity->pidfd = fcntl(q->pidfd, F_DUPFD_CLOEXEC, 3);
                if (l->identity->pidfd < 0)
                        return -errno;
        }
        *ret = TAKE_PTR(l);
        return 0;
}

int identity_start(Gate *gate, SenderCache *senders, Names *names, const char *root, sd_bus_message *m,
                   const IdentityQuery *query, identity_done_t done, void *userdata, IdentityLookup **ret)
{
        const char *name = sd_bus_message_get_sender(m);
        IdentityLookup *l = NULL;

        if (!name)
                return -ENXIO;
        int r = lookup_new(query, root, &l);
        if (r < 0)
                return r;
        l->gate = gate;
        l->names = names;
        l->done = done;
        l->userdata = userdata;
        *ret = l;
        if (refuse_words(l))
                return 0;
        const Sender *sender = sender_cached(senders, name);
        if (sender) {
                with_sender(l, sender);
                return 0;
        }
        r = sender_fetch(senders, name, on_sender, l, &l->slot);
        if (r < 0)
                refuse_errno(l, r);
        return 0;
}
