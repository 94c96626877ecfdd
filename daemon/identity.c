/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/cgroup.h"
#include "daemon/foreign.h"
#include "daemon/identity.h"
#include "daemon/process.h"
#include "policy/cdm-names.h"

#define UNIT_NAME_MAX 255
#define GROUPS_MAX    64

/* sender → target's unit from PID 1 → is it the caller's own? */
struct IdentityLookup {
        Gate *gate;
        char *root;
        TargetKind kind;
        char *unit, *cgroup, *user;
        pid_t asked_pid;
        bool scope;
        sd_bus_slot *slot;  /* the bus is asked about the sender */
        UnitCall *call;     /* PID 1 is asked about the target */
        Identity *identity; /* filled in as the lookup goes on */
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
        free(l->root);
        free(l->unit);
        free(l->cgroup);
        free(l->user);
        identity_free(l->identity);
        free(l);
        return NULL;
}

static bool has_suffix(const char *s, const char *suffix)
{
        size_t n = strlen(s), k = strlen(suffix);

        return n > k && strcmp(s + n - k, suffix) == 0;
}

/* Is path this cgroup, or below it? */
static bool is_below(const char *path, const char *cgroup)
{
        size_t n = strlen(cgroup);

        return strncmp(path, cgroup, n) == 0 && (path[n] == '\0' || path[n] == '/');
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
        return is_below(path, cgroup) ? 0 : -ESTALE;
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
                refuse(l, IDENTITY_NO_TARGET,
                       "There is no such unit on this machine; `systemctl list-units` shows those that "
                       "run.");
        else if (error == -ESRCH)
                refuse(l, IDENTITY_NO_TARGET, "There is no such process, or it is in no unit.");
        else if (error == -ETIMEDOUT)
                refuse(l, IDENTITY_FAILED, "systemd does not answer; try again.");
        else
                refuse(l, IDENTITY_FAILED, "systemd cannot say which unit that is: %s.", strerror(-error));
}

/* The unit of a target has to be something that runs processes of its own, now. */
static bool refuse_unusable(IdentityLookup *l, const UnitInfo *u)
{
        if (!has_suffix(u->name, ".service") && !has_suffix(u->name, ".scope")) {
                refuse(l, IDENTITY_NO_TARGET,
                       "%s is neither a service nor a scope; only those can have a reservation.", u->name);
                return true;
        }
        if (strcmp(u->name, CDM_UNIT) == 0) {
                refuse(l, IDENTITY_NO_TARGET, "cdmd itself cannot have a reservation.");
                return true;
        }
        if (u->load_state && strcmp(u->load_state, "loaded") != 0) {
                refuse(l, IDENTITY_NO_TARGET, "There is no unit %s (systemd says: %s).", u->name,
                       u->load_state);
                return true;
        }
        if (!u->cgroup || !*u->cgroup || !u->active_state ||
            (strcmp(u->active_state, "active") != 0 && strcmp(u->active_state, "reloading") != 0 &&
             strcmp(u->active_state, "activating") != 0)) {
                refuse(l, IDENTITY_NO_TARGET, "%s is not running; start it first.", u->name);
                return true;
        }
        return false;
}

static bool is_user_manager(const char *unit)
{
        return strncmp(unit, "user@", 5) == 0 && has_suffix(unit, ".service");
}

/* Does the unit belong to that user, so that he may ask for it? */
static bool unit_is_of_user(const UnitInfo *u, uid_t unit_uid, uid_t uid)
{
        char slice[32];

        if (has_suffix(u->name, ".service"))
                return !is_user_manager(u->name) && unit_uid == uid;
        snprintf(slice, sizeof(slice), "user-%u.slice", uid);
        if (!u->slice || strcmp(u->slice, slice) != 0)
                return false;
        return strncmp(u->name, "session-", 8) == 0 || strncmp(u->name, CDM_SCOPE_PREFIX, 4) == 0;
}

/* Only a caller whose unit is nobody's service and nobody's delegated subtree is taken out of it. */
static bool may_move(const UnitInfo *u, const char *own_cgroup, uid_t unit_uid, uid_t uid)
{
        char manager[40];

        snprintf(manager, sizeof(manager), "user@%u.service", uid);
        if (strcmp(u->name, manager) == 0)
                return true;
        if (u->delegate || strcmp(own_cgroup, u->cgroup) != 0)
                return false;
        if (has_suffix(u->name, ".scope"))
                return uid == 0 || unit_is_of_user(u, unit_uid, uid);
        return uid == 0 && !u->user;
}

static int set_subject(IdentityLookup *l, UnitInfo *u)
{
        Subject *s = l->identity->subject;
        uid_t uid;
        gid_t gid;

        s->unit = TAKE_PTR(u->name);
        s->slice = TAKE_PTR(u->slice);
        s->cgroup = TAKE_PTR(u->cgroup);
        s->cgroup_id = u->cgroup_id;
        s->unit_uid = UID_NONE;
        if (u->user && process_user(l->root, u->user, &uid, &gid) >= 0)
                s->unit_uid = uid;
        else if (!u->user && has_suffix(s->unit, ".service"))
                s->unit_uid = 0;
        return subject_set_container(s);
}

/* TARGET_SELF: fills in own, move and scope_slice. False: it was refused. */
static bool judge_self(IdentityLookup *l, const UnitInfo *u)
{
        _cleanup_free_ char *cgroup = NULL;
        Identity *i = l->identity;
        uid_t uid = i->sender_uid, unit_uid = UID_NONE;
        gid_t gid;

        int r = process_cgroup(l->root, i->pid, &cgroup);
        int same = process_has_only_uid(l->root, i->pid, uid);
        if (r < 0 || same < 0 || !process_is_alive(i->pidfd) || !is_below(cgroup, u->cgroup)) {
                refuse(l, IDENTITY_STALE,
                       "The process that asked ended, or moved to another unit, meanwhile.");
                return false;
        }
        if (u->user && process_user(l->root, u->user, &unit_uid, &gid) < 0)
                unit_uid = UID_NONE;
        if (l->scope && same && may_move(u, cgroup, unit_uid, uid)) {
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
        if (is_user_manager(u->name)) {
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
        if (strcmp(l->cgroup, u->cgroup) == 0 || (u->delegate && is_below(l->cgroup, u->cgroup)))
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
        if (l->kind == TARGET_UNIT || !has_suffix(u->name, ".slice"))
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

static void on_unit(int error, UnitInfo *info, void *userdata)
{
        _cleanup_(unit_info_free_p) UnitInfo *u = info;
        IdentityLookup *l = userdata;

        l->call = unit_call_free(l->call);
        if (error == -ENOENT || error == -ESRCH ? is_foreign_path(l) : error >= 0 && is_foreign(l, u)) {
                with_foreign(l, u ? u->name : "-.slice");
                return;
        }
        if (error < 0) {
                refuse_errno(l, error);
                return;
        }
        if (refuse_unusable(l, u))
                return;
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

int identity_set_user(const char *root, const char *user, Subject *s)
{
        gid_t gid, groups[GROUPS_MAX], *copy;
        int n = GROUPS_MAX;
        uid_t uid;

        if (process_user(root, user, &uid, &gid) < 0)
                return -ENOENT;
        if (*root || getgrouplist(user, gid, groups, &n) < 0) {
                groups[0] = gid;
                n = 1;
        }
        copy = malloc(sizeof(gid_t) * (size_t)n);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, groups, sizeof(gid_t) * (size_t)n);
        free(s->gids);
        s->gids = copy;
        s->n_gids = (size_t)n;
        s->uid = uid;
        free(s->user);
        s->user = strdup(user);
        return 0;
}

/* Explain only: another one's UID and groups in place of the sender's. False: refused. */
static bool set_other_user(IdentityLookup *l)
{
        /* Name services may take their time, which others would notice: not for everybody. */
        if (l->identity->sender_uid != 0) {
                refuse(l, IDENTITY_DENIED, "Only root may ask what another user would get.");
                return false;
        }
        int r = identity_set_user(l->root, l->user, l->identity->subject);
        if (r < 0) {
                refuse(l, r == -ENOENT ? IDENTITY_INVALID : IDENTITY_FAILED,
                       r == -ENOENT ? "There is no user %s."
                                    : "Out of memory: the user %s was not looked up.",
                       l->user);
                return false;
        }
        return true;
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
        if (l->user && !set_other_user(l))
                return;
        if (!s->user)
                (void)process_user_name(l->root, s->uid, &s->user);
        int r = ask_unit(l);
        if (r < 0)
                refuse_errno(l, r);
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

static bool is_unit_name(const char *s)
{
        static const char allowed[] =
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@";
        size_t n = strlen(s);

        return n > 0 && n <= UNIT_NAME_MAX && strspn(s, allowed) == n;
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
                if (is_unit_name(l->unit) &&
                    (has_suffix(l->unit, ".service") || has_suffix(l->unit, ".scope")))
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
        if (q->kind == TARGET_SELF && q->pidfd >= 0) {
                l->identity->pidfd = fcntl(q->pidfd, F_DUPFD_CLOEXEC, 3);
                if (l->identity->pidfd < 0)
                        return -errno;
        }
        *ret = TAKE_PTR(l);
        return 0;
}

int identity_start(Gate *gate, SenderCache *senders, const char *root, sd_bus_message *m,
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
