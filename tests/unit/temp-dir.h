/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdlib.h>

/* Where tests make temporary files: $TMPDIR, which tests/run sets, or /tmp. */
static inline const char *temp_dir(void)
{
        const char *dir = getenv("TMPDIR");

        return dir && dir[0] ? dir : "/tmp";
}
