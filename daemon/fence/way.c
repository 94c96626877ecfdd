/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/fence/way.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *way_explain(const char *cgroup, int error, const char *reason)
{
        char *text;
        int r;

        if (error == -EOPNOTSUPP)
                r = asprintf(&text,
                             "the cpuset controller is not enabled for %s: ask for the cgroup above it, or "
                             "enable it there, by +cpuset in cgroup.subtree_control",
                             cgroup);
        else if (reason)
                r = asprintf(&text, "the unit above %s cannot be opened: %s", cgroup, reason);
        else if (error == -EACCES || error == -EPERM || error == -EROFS)
                r = asprintf(&text,
                             "cannot widen the cgroups above %s: cdmd may not write there: check "
                             "ProtectControlGroups= of its unit",
                             cgroup);
        else
                r = asprintf(&text, "cannot widen the cgroups above %s: %s", cgroup, strerror(-error));
        return r < 0 ? NULL : text;
}

int way_change(Foreign *f, const char *cgroup, uint64_t id, bool open, const NodeSet *nodes,
               SubtenantUnit *ret, char **ret_message)
{
        _cleanup_free_ char *reason = NULL;
        bool is_below_unit = subtenant_is_one(cgroup);
        int r;

        if (!open)
                return is_below_unit ? subtenant_close(cgroup, id, nodes, ret)
                                     : foreign_close(f, cgroup, nodes);
        r = is_below_unit ? subtenant_open(cgroup, id, nodes, ret, &reason) : foreign_open(f, cgroup, nodes);
        if (r < 0 && r != -ENOENT)
                *ret_message = way_explain(cgroup, r, reason);
        return r;
}

int way_hold(Foreign *f, const char *cgroup, uint64_t id, bool below_unit, const NodeSet *nodes)
{
        return below_unit || subtenant_is_one(cgroup) ? subtenant_hold(cgroup, id, nodes)
                                                      : foreign_hold(f, cgroup, nodes);
}
