/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cdmctl drain and undrain: a node is emptied for a reset or removal, and taken into use again. */

#include <stdlib.h>

#include "client/cdmctl.h"
#include "policy/cdm-names.h"
#include "policy/nodeset.h"

static int not_yet(const Args *args, const char *verb)
{
        char *end;
        unsigned long node = strtoul(args->positional[0], &end, 10);

        if (end == args->positional[0] || *end != '\0' || node >= NODE_MAX)
                return usage_error("'%s' is not a node's number; `cdmctl nodes` shows them",
                                   args->positional[0]);
        return fail(
                CDM_EXIT_FAILED,
                "`cdmctl %s` is not supported yet. Release the node's reservations instead: `cdmctl list` "
                "shows them.",
                verb);
}

int verb_drain(const Args *args)
{
        return not_yet(args, "drain");
}

int verb_undrain(const Args *args)
{
        return not_yet(args, "undrain");
}
