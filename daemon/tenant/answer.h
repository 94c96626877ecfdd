/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How calls end: error is NULL or one of CDM_ERROR_*, text a sentence for the user. */
typedef struct Answer {
        const char *error;
        const char *text;
} Answer;
