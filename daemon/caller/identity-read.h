/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the kernel says about the process that asks and about the target. A worker reads these files: some of
 * them wait for a lock of the kernel that a write to cpuset.mems holds for seconds. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/loop/worker.h"

typedef struct IdentityRead IdentityRead;

typedef struct IdentityReading {
        /* what is asked; pidfd belongs to the reading while it runs */
        const char *root;
        pid_t pid;           /* whose cgroup; 0: nobody's */
        int pidfd;           /* of that process; -EBADF: none */
        uid_t uid;           /* do all UIDs of the process equal this one? */
        const char *cgroup;  /* does this one exist? NULL: pid is given */
        const char *nearest; /* PID 1 was asked for cgroup, and named this unit; NULL: none */
        /* PID 1 said that it is in this unit, whose cgroup is delegated: is it in a tenant of its own there?
         * NULL: nobody is to look */
        const char *unit, *unit_path;
        bool foreign; /* PID 1 knows no unit there: is there a cgroup that can be a tenant? */
        /* what was found */
        int pidfd_error; /* -ESRCH: the process has ended; -EINVAL: it is no pidfd */
        pid_t pidfd_pid;
        uint64_t pid_start; /* when the process started; 0: unknown */
        int path_error;     /* -ESRCH: no such process; -ENOENT: no such cgroup */
        char *path;         /* the cgroup of the process, or the one that was asked for */
        uint64_t path_id;   /* its inode; only with cgroup */
        int only_uid;       /* 0, 1, or a negative errno */
        /* only with foreign: */
        int tenant_error;
        char *tenant; /* NULL: path is not below a cgroup that systemd does not own */
        uint64_t tenant_id;
        bool made_by_root;
        /* only with unit: NULL, and -ENOENT or -EACCES (see subtenant_find()): the unit is the tenant */
        char *subtenant;
        uint64_t subtenant_id;
        int subtenant_error;
} IdentityReading;

/* Called from the event loop. The callee may take pidfd, path and tenant, and free the IdentityRead. */
typedef void (*identity_read_done_t)(IdentityReading *reading, void *userdata);

/* Copies root, cgroup and nearest; takes pidfd, unless it fails. */
int identity_read_start(Worker *worker, const IdentityReading *what, identity_read_done_t done,
                        void *userdata, IdentityRead **ret);
/* At any time; done is not called after that. */
IdentityRead *identity_read_free(IdentityRead *r);

typedef struct IdentityCheck IdentityCheck;

/* result: 0, -ESTALE, or another negative errno when the check could not be made. Called from the event loop;
 * the callee may free the IdentityCheck. */
typedef void (*identity_check_done_t)(int result, void *userdata);

/* Is the process still alive, and in this cgroup or below it? Duplicates pidfd, and copies root and cgroup. */
int identity_check_process(Worker *worker, const char *root, pid_t pid, int pidfd, const char *cgroup,
                           identity_check_done_t done, void *userdata, IdentityCheck **ret);
/* At any time; done is not called after that. */
IdentityCheck *identity_check_free(IdentityCheck *c);
