/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/keeper/drift-reason.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/pid1/fence-property.h"
#include "daemon/tenant/book.h"
#include "daemon/tenant/core.h"
#include "policy/cdm-names.h"
#include "policy/config.h"

bool drift_is_fenced(const Book *book)
{
        return book->serving && book->config->mode == FENCE_MODE_ENFORCE &&
               !nodeset_is_empty(&book->pools->cdm);
}

bool drift_can_look(const Book *book)
{
        return drift_is_fenced(book) && !book->fence_busy;
}

/* The likely cause: the kernel does not tell which process wrote. A file of systemd is the cause only if it
 * sets exactly the CDM nodes that were found. */
static char *drift_cause(Book *book, const char *unit, const NodeSet *found)
{
        static const char fence[] = "/" CDM_DROPIN_FENCE, property[] = "/50-AllowedMemoryNodes.conf";
        _cleanup_free_ char *file = NULL;
        NodeSet said, of_found = nodeset_intersect(found, &book->pools->cdm);
        char *text = NULL;
        int r = -ENOENT;

        if (unit)
                r = fence_property_last_word(book->core->root, unit, &file, &said);
        if (r >= 0) {
                said = nodeset_intersect(&said, &book->pools->cdm);
                if (!nodeset_equal(&said, &of_found))
                        r = -ENOENT;
        }
        if (r < 0)
                r = asprintf(&text, "a write to its cpuset.mems; the kernel does not tell whose");
        else if (strstr(file, fence))
                r = asprintf(&text,
                             "its property AllowedMemoryNodes= being removed, as by `systemctl revert`");
        else if (strstr(file, property))
                r = asprintf(&text, "its property AllowedMemoryNodes=, as by `systemctl set-property`: %s",
                             file);
        else
                r = asprintf(&text, "the drop-in %s", file);
        return r < 0 ? NULL : text;
}

char *drift_reason(Book *book, const char *unit, const NodeSet *found)
{
        _cleanup_free_ char *cause = drift_cause(book, unit, found);
        char list[NODESET_STR_MAX], *text;

        if (!cause)
                return NULL;
        int r = asprintf(&text, "it has %s%s, by %s",
                         nodeset_is_empty(found) ? "what its parent has" : "nodes ",
                         nodeset_format(found, list), cause);
        return r < 0 ? NULL : text;
}

char *drift_slice_reason(Book *book, const char *slice, const NodeSet *found)
{
        _cleanup_free_ char *what = drift_reason(book, slice, found);
        char *text;

        if (!what || asprintf(&text, "it leaves no ordinary node to its units: %s", what) < 0)
                return NULL;
        return text;
}
