/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/vouch.h"

/* The text of one file, and back. -EBADMSG: it is no such file, or a damaged one. */
int store_format_vouch(const Vouch *v, char **ret);
int store_parse_vouch(const char *text, Vouch **ret);
