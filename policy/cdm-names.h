/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Every well-known string of cdmd: what users, scripts and other programs see, in one place. */

/* bus */
#define CDM_BUS_NAME                  "org.cdmd1"
#define CDM_PATH                      "/org/cdmd1"
#define CDM_PATH_RESERVATION          "/org/cdmd1/reservation"
#define CDM_PATH_POOL                 "/org/cdmd1/pool"
#define CDM_PATH_NODE                 "/org/cdmd1/node"
#define CDM_INTERFACE_MANAGER         "org.cdmd1.Manager"
#define CDM_INTERFACE_RESERVATION     "org.cdmd1.Reservation"
#define CDM_INTERFACE_POOL            "org.cdmd1.Pool"
#define CDM_INTERFACE_NODE            "org.cdmd1.Node"

#define CDM_ERROR_DENIED              "org.cdmd1.Error.Denied"
#define CDM_ERROR_FULL                "org.cdmd1.Error.Full"
#define CDM_ERROR_TIMEOUT             "org.cdmd1.Error.Timeout"
#define CDM_ERROR_NO_SUCH_POOL        "org.cdmd1.Error.NoSuchPool"
#define CDM_ERROR_NO_SUCH_RESERVATION "org.cdmd1.Error.NoSuchReservation"
#define CDM_ERROR_NO_SUCH_NODE        "org.cdmd1.Error.NoSuchNode"
#define CDM_ERROR_NO_SUCH_TARGET      "org.cdmd1.Error.NoSuchTarget"
#define CDM_ERROR_STALE               "org.cdmd1.Error.Stale" /* the target went away meanwhile */
#define CDM_ERROR_INVALID             "org.cdmd1.Error.Invalid"
#define CDM_ERROR_NOT_SUPPORTED       "org.cdmd1.Error.NotSupported"
#define CDM_ERROR_BAD_CONFIG          "org.cdmd1.Error.BadConfiguration"
#define CDM_ERROR_BUSY                "org.cdmd1.Error.Busy"

/* polkit */
#define CDM_ACTION_REQUEST            "org.cdmd1.request"
#define CDM_ACTION_REQUEST_FOR_OTHERS "org.cdmd1.request-for-others"
#define CDM_ACTION_REQUEST_AS         "org.cdmd1.request-as"
#define CDM_ACTION_RELEASE_OTHERS     "org.cdmd1.release-others"
#define CDM_ACTION_MANAGE             "org.cdmd1.manage"

/* keys of the options of Manager.Request, Manager.Explain and Manager.Admit (a{sv}) */
#define CDM_OPTION_UNIT       "unit"       /* s: a unit's name */
#define CDM_OPTION_CGROUP     "cgroup"     /* s: path below the cgroup root */
#define CDM_OPTION_PID        "pid"        /* u: any process of the target */
#define CDM_OPTION_TIMEOUT    "timeout"    /* t: of Admit, microseconds */
#define CDM_OPTION_PIDFD      "pidfd"      /* h: the caller; for Admit: any process in the cgroup */
#define CDM_OPTION_USER       "user"       /* s: Explain only: as if this user asked */
#define CDM_OPTION_FOR_NOBODY "for-nobody" /* b: the request has no user */
#define CDM_OPTION_FOR_UID    "for-uid"    /* u: the request is for this user */
#define CDM_OPTION_LABELS     "labels"     /* a{ss}: labels for the target's cgroup */
#define CDM_OPTION_LEASE      "lease"      /* t: microseconds */
#define CDM_OPTION_PRIORITY   "priority"   /* i */
#define CDM_OPTION_QUEUE      "queue"      /* t: microseconds to wait at most */
#define CDM_OPTION_MIGRATE    "migrate"    /* b */
#define CDM_OPTION_EXCLUSIVE  "exclusive"  /* b */
#define CDM_OPTION_NODES      "nodes"      /* s: node list */
#define CDM_OPTION_NEAR       "near"       /* s: PCI address */
#define CDM_OPTION_SCOPE      "scope"      /* b: the caller (pidfd) gets a scope: `cdmctl run` */
#define CDM_OPTION_MEM_POLICY "mem-policy" /* s: what `cdmctl run` sets; "bind" caps the scope */

/* keys of the filter of Manager.ListReservations (a{sv}) */
#define CDM_FILTER_POOL  "pool"  /* s */
#define CDM_FILTER_UID   "uid"   /* u: the owner */
#define CDM_FILTER_UNIT  "unit"  /* s */
#define CDM_FILTER_STATE "state" /* s */
#define CDM_FILTER_USED  "used"  /* b: with Used */
/* The largest page of ListReservations, and the most reservations that GetManagedObjects returns. */
#define CDM_PAGE_MAX 1000

/* One row of ListHolders(): node, cgroup, unit, bytes in all, anon, file, shmem, hugetlb, kind, name */
#define CDM_HOLDER "(usstttttss)"

/* A value of FenceState in addition to those of daemon/fence/fence.h */
#define CDM_FENCE_OPEN_DEMOTION "open (demotion)"
/* keys of the options of Reservation.OpenBufferWithOptions (a{sv}) */
#define CDM_OPTION_HUGETLB "hugetlb" /* t: made of huge pages of that size in bytes; 0: the default size */

/* environment variable of the command that `cdmctl buffer` runs: the number of the descriptor */
#define CDM_ENV_BUFFER_FD "CDM_BUFFER_FD"

/* files, below --root if given */
#define CDM_CONFIG_DIR  "cdm" /* in /etc, /run, /usr/lib */
#define CDM_STATE_DIR   "/run/cdmd"
#define CDM_LASTING_DIR "/var/lib/cdmd" /* survives a reboot: StateDirectory= of cdmd.service */
/* The drop-ins that cdmd has put in force since boot. The generator copies them and ignores the
 * configuration files, which may have changed. An empty folder: no fence. */
#define CDM_DIR_DECIDED CDM_STATE_DIR "/fence"
/* A flag file. It exists until the next boot if cdmd enabled the cpuset controller on a running system. */
#define CDM_FLAG_CPUSET CDM_STATE_DIR "/cpuset-enabled"
/* The ordinary nodes of the previous fence, while the fence is being changed: systemd may still apply the
 * previous one. */
#define CDM_FENCE_BEFORE CDM_STATE_DIR "/fence-before"
/* The cpuset.mems of foreign cgroups before cdmd wrote to them. */
#define CDM_FOREIGN_DIR CDM_STATE_DIR "/foreign"
#define CDM_UNIT        "cdmd.service"
/* templates of the units that run `cdmctl static`, before the unit that their instance names */
#define CDM_UNIT_STATIC   "cdmd-static"
#define CDM_UNIT_REQUIRED "cdmd-static-required"
#define CDM_UNIT_CGROUP   "/system.slice/" CDM_UNIT
#define CDM_SCOPE_PREFIX  "cdm-" /* cdm-ID.scope */
#define CDM_DROPIN_FENCE  "10-cdmd-fence.conf"
#define CDM_DROPIN_EXEMPT "20-cdmd-exempt.conf"
#define CDM_DROPIN_PIN    "20-cdmd-pin.conf"
#define CDM_DROPIN_STATIC "30-cdmd-static.conf"

/* exit status of cdmctl; `run` has EXIT_RUN_FAILED for its own failures */
enum {
        CDM_EXIT_DONE = 0,
        CDM_EXIT_FAILED = 1,
        CDM_EXIT_USAGE = 2,
        CDM_EXIT_DENIED = 3,
        CDM_EXIT_FULL = 4,
        CDM_EXIT_TIMEOUT = 5,
        CDM_EXIT_NO_DAEMON = 6,
        CDM_EXIT_RUN_FAILED = 125,
        CDM_EXIT_RUN_CANNOT = 126,
        CDM_EXIT_RUN_NOT_FOUND = 127,
};
