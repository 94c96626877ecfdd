/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmctl buffer: runs a command that inherits an exact buffer. The command replaces cdmctl: the buffer
 * exists as long as any process has it open, so cdmctl has nothing left to do. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cdm.h"
#include "client/cdmctl.h"
#include "policy/cdm-names.h"
#include "policy/size.h"

static int open_buffer(uint32_t id, uint64_t size_bytes, unsigned flags, int *ret_fd)
{
        Cdm *c;

        int r = cdm_open(isatty(STDIN_FILENO) ? CDM_INTERACTIVE : 0, &c);
        if (r < 0)
                return fail(CDM_EXIT_RUN_FAILED, "cdmd cannot be reached: there is no system bus");
        r = cdm_buffer(c, id, size_bytes, flags, ret_fd);
        if (r == -ENOTCONN)
                (void)fail(CDM_EXIT_RUN_FAILED,
                           "cdmd cannot be reached: %s\n"
                           "see `systemctl status %s`; `systemctl enable --now %s` starts it",
                           cdm_error(c), CDM_UNIT, CDM_UNIT);
        else if (r < 0)
                (void)fail(CDM_EXIT_RUN_FAILED, "%s", cdm_error(c));
        cdm_close(c);
        return r < 0 ? CDM_EXIT_RUN_FAILED : 0;
}

static int buffer_exec(char **command, int fd)
{
        char number[16];

        snprintf(number, sizeof(number), "%d", fd);
        if (fcntl(fd, F_SETFD, 0) < 0 || setenv(CDM_ENV_BUFFER_FD, number, 1) < 0)
                return fail(CDM_EXIT_RUN_FAILED, "the buffer cannot be handed over: %s", strerror(errno));
        fflush(NULL);
        execvp(command[0], command);
        return fail(errno == ENOENT ? CDM_EXIT_RUN_NOT_FOUND : CDM_EXIT_RUN_CANNOT, "cannot run %s: %s",
                    command[0], strerror(errno));
}

int verb_buffer(const Args *args)
{
        unsigned flags = args_given(args, OPTION_HUGETLB) ? CDM_HUGETLB : 0;
        uint32_t id;
        Size size;
        int fd;

        if (args_parse_id(args->positional[0], &id) != 0 || args_parse_size(args->positional[1], &size) != 0)
                return CDM_EXIT_RUN_FAILED;
        if (size.percent) {
                (void)usage_error("'%s': the size of a buffer is 16G, 512M or bytes", args->positional[1]);
                return CDM_EXIT_RUN_FAILED;
        }
        if (!args->command || !args->command[0]) {
                (void)usage_error("CMD is missing; write: cdmctl buffer ID SIZE -- CMD...");
                return CDM_EXIT_RUN_FAILED;
        }
        int status = open_buffer(id, size.value, flags, &fd);
        return status != 0 ? status : buffer_exec(args->command, fd);
}
