/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sizes in the form that users write: bytes, "512M", "16G" (base 1024, K M G T P E, an optional B or iB) or
 * "50%". */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIZE_STR_MAX 32

typedef struct Size {
        uint64_t value; /* bytes, or 0..100 when percent */
        bool percent;
} Size;

/* -EINVAL: not a size; -ERANGE: over INT64_MAX bytes, or over 100%. A fraction ("1.5G") is allowed with a
 * suffix and rounds down to bytes. Negative numbers are -EINVAL. Zero is valid: the caller decides whether
 * to accept it. */
int size_parse(const char *text, Size *ret);

/* The size in bytes, where 100% means whole_bytes. */
uint64_t size_resolve(const Size *size, uint64_t whole_bytes);

/* Rounds up to a multiple of page_bytes (a power of two); UINT64_MAX when it does not fit. */
uint64_t size_round_up(uint64_t bytes, uint64_t page_bytes);

/* "512M", "1.5G", "0B": at most one decimal, never rounded up to the next unit. Returns buf. */
const char *size_format(uint64_t bytes, char buf[static SIZE_STR_MAX]);
