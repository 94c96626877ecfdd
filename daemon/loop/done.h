/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Called from the event loop when a part has done what it was asked to do, once for each time that it was
 * asked. result: 0 or more, or a negative errno; always 0 where the part cannot fail. Anything else that the
 * part has found is read from the part. */
typedef void (*done_t)(int result, void *userdata);
