/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How calls end: error is NULL or one of CDM_ERROR_*, text a sentence for the user. */
typedef struct Answer {
        const char *error;
        const char *text;
} Answer;

/* Called once. answer is valid during the call. */
typedef void (*answer_done_t)(const Answer *answer, void *userdata);
