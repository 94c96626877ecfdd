/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/fence/step.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/kernel/cgroup.h"
#include "daemon/kernel/usable.h"
#include "policy/macro.h"

char *step_message(const char *format, ...)
{
        char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        return text;
}

int step_open(const char *cgroup, uint64_t wanted_id)
{
        uint64_t id = 0;
        int fd = cgroup_open(cgroup, &id);

        if (fd >= 0 && wanted_id != 0 && id != wanted_id) {
                close(fd);
                return -ESTALE;
        }
        return fd;
}

static const char *explain_write(int error)
{
        switch (error) {
        case -EINVAL:
                return "there is no such memory node, or it is offline";
        case -ENOSPC:
                return "the kernel does not take the last memory node away from running processes";
        case -EACCES:
        case -EPERM:
        case -EROFS:
                return "cdmd may not write there: check ProtectControlGroups= of its unit";
        default:
                return strerror(-error);
        }
}

int step_write(const char *cgroup, uint64_t id, const NodeSet *nodes, const NodeSet *back,
               char **ret_message)
{
        char list[NODESET_STR_MAX];
        int fd, r;

        r = cgroup_write_mems(cgroup, nodes);
        if (r == -ENOENT) {
                fd = step_open(cgroup, id);
                if (fd >= 0) {
                        close(fd);
                        *ret_message =
                                step_message("%s has no cpuset.mems: the cpuset controller is not enabled "
                                             "for it",
                                             cgroup);
                }
                return r;
        }
        if (r < 0) {
                *ret_message = step_message("cannot write %s to cpuset.mems of %s: %s",
                                            nodeset_format(nodes, list), cgroup, explain_write(r));
                return r;
        }
        fd = step_open(cgroup, id);
        if (fd >= 0) {
                close(fd);
                return 0;
        }
        /* The cgroup was replaced during the write. If the new cgroup got the set, it must not keep it. */
        if (fd == -ESTALE && back)
                (void)cgroup_write_mems(cgroup, back);
        return fd;
}

int step_verify(int fd, const char *cgroup, const NodeSet *nodes, const NodeSet *needed, char **ret_message)
{
        char is[NODESET_STR_MAX], wanted[NODESET_STR_MAX];
        NodeSet effective, missing;
        int r;

        r = cgroup_read_effective(fd, &effective);
        if (r == -ENOENT) {
                *ret_message =
                        step_message("%s has no cpuset.mems.effective: the cpuset controller is not enabled "
                                     "for it",
                                     cgroup);
                return r;
        }
        if (r < 0)
                return r;
        nodeset_format(&effective, is);
        nodeset_format(nodes, wanted);
        if (nodeset_is_empty(&effective) || !nodeset_is_subset(&effective, nodes)) {
                *ret_message =
                        step_message("%s may use memory nodes %s, but should only use %s: another program "
                                     "writes its cpuset.mems",
                                     cgroup, is, wanted);
                return -EBUSY;
        }
        missing = nodeset_subtract(needed, &effective);
        if (!nodeset_is_empty(&missing)) {
                *ret_message =
                        step_message("%s was given memory nodes %s, but a cgroup above it allows only %s",
                                     cgroup, wanted, is);
                return -EPERM;
        }
        return 0;
}

int step_verify_use(int fd, const char *cgroup, const NodeSet *needed, char **ret_message)
{
        char list[NODESET_STR_MAX], allowed[NODESET_STR_MAX];
        UsableNarrow narrow = { 0 };

        int r = usable_check(fd, needed, &narrow);
        if (r == -EPERM)
                *ret_message = step_message(
                        "no process of %s could use memory node %s: %s%s allows only %s, which was set by "
                        "the program that made it, such as a container runtime or a job manager; start it "
                        "without memory nodes of its own (podman: without --cpuset-mems=)",
                        cgroup, nodeset_format(needed, list), cgroup, narrow.path,
                        nodeset_format(&narrow.nodes, allowed));
        free(narrow.path);
        return r;
}
