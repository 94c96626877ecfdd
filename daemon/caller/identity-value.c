/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/caller/identity-value.h"

#include <stdlib.h>
#include <unistd.h>

Identity *identity_free(Identity *i)
{
        if (!i)
                return NULL;
        subject_free(i->subject);
        free(i->scope_slice);
        free(i->advice);
        if (i->pidfd >= 0)
                close(i->pidfd);
        free(i);
        return NULL;
}

int identity_become_user(Subject *s, const NameRecord *user)
{
        return subject_become(s, user->id, user->name, user->gids, user->n_gids);
}

int identity_check(const Identity *i, Worker *worker, const char *root, const char *cgroup, done_t done,
                   void *userdata, IdentityCheck **ret)
{
        if (i->pid == 0)
                return 1;
        return identity_check_process(worker, root, i->pid, i->pidfd, cgroup, done, userdata, ret);
}
