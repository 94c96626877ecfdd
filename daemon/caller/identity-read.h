/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the kernel reports about the caller and the target. A worker reads these files: some of them wait for
 * a kernel lock that a write to cpuset.mems holds for seconds. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/loop/worker.h"

typedef struct IdentityRead IdentityRead;

typedef struct IdentityReading {
        /* the query; the reading owns pidfd while it runs */
        const char *root;
        pid_t pid;           /* process whose cgroup is read; 0: none */
        int pidfd;           /* of that process; -EBADF: none */
        uid_t uid;           /* tested against all UIDs of the process */
        const char *cgroup;  /* tested for existence; NULL: pid is given */
        const char *nearest; /* the unit that PID 1 named for cgroup; NULL: none */
        /* the delegated unit that contains the target, according to PID 1: the reading looks for a subtenant
         * there. NULL: the reading does not look for one */
        const char *unit, *unit_path;
        bool foreign; /* PID 1 knows no unit there: look for a foreign cgroup that can be a tenant */
        /* the results */
        int pidfd_error; /* -ESRCH: the process has ended; -EINVAL: not a pidfd */
        pid_t pidfd_pid;
        uint64_t pid_start; /* start time of the process; 0: unknown */
        int path_error;     /* -ESRCH: no such process; -ENOENT: no such cgroup */
        char *path;         /* cgroup of the process, or the requested one */
        uint64_t path_id;   /* its inode; only with cgroup */
        int only_uid;       /* 0, 1, or a negative errno */
        /* only with foreign: */
        int tenant_error;
        char *tenant; /* NULL: path is not in a foreign cgroup */
        uint64_t tenant_id;
        bool made_by_root;
        /* only with unit; subtenant is NULL and the error -ENOENT or -EACCES (see subtenant_find()) if the
         * unit itself is the tenant */
        char *subtenant;
        uint64_t subtenant_id;
        int subtenant_error;
} IdentityReading;

/* Called from the event loop. The callee may take pidfd, path and tenant, and free the IdentityRead. */
typedef void (*identity_read_done_t)(IdentityReading *reading, void *userdata);

/* Copies the strings of `what`. Takes ownership of pidfd on success. */
int identity_read_start(Worker *worker, const IdentityReading *what, identity_read_done_t done,
                        void *userdata, IdentityRead **ret);
/* May be called at any time; done is not called afterwards. */
IdentityRead *identity_read_free(IdentityRead *r);

typedef struct IdentityCheck IdentityCheck;

/* Checks that the process is still alive, in this cgroup or below it. Duplicates pidfd, and copies root and
 * cgroup. done gets 0, -ESTALE, or another negative errno when the check could not be made; it may free the
 * IdentityCheck. */
int identity_check_process(Worker *worker, const char *root, pid_t pid, int pidfd, const char *cgroup,
                           done_t done, void *userdata, IdentityCheck **ret);
/* May be called at any time; done is not called afterwards. */
IdentityCheck *identity_check_free(IdentityCheck *c);
