/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/vouch.h"

/* Format and parse the text of one file. -EBADMSG: not such a file, or a damaged one. */
int store_format_vouch(const Vouch *v, char **ret);
int store_parse_vouch(const char *text, Vouch **ret);
