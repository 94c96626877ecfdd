/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The few language helpers that every file may use: scope-bound cleanup and array sizes. Nothing here is
 * specific to cdmd. */

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_SIZE(a)  (sizeof(a) / sizeof((a)[0]))
#define _cleanup_(f)   __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _unused_       __attribute__((unused))

/* Returns the pointer and sets the variable to NULL, so that a cleanup attribute does not free it. */
#define TAKE_PTR(p)                                                                                         \
        ({                                                                                                  \
                __typeof__(p) *_pp = &(p);                                                                  \
                __typeof__(p) _taken = *_pp;                                                                \
                *_pp = NULL;                                                                                \
                _taken;                                                                                     \
        })

/* Likewise for a file descriptor, which is set to -EBADF. */
#define TAKE_FD(fd)                                                                                         \
        ({                                                                                                  \
                int *_pfd = &(fd);                                                                          \
                int _taken = *_pfd;                                                                         \
                *_pfd = -EBADF;                                                                             \
                _taken;                                                                                     \
        })

/* Defines func_p() for _cleanup_(func_p), where func frees a pointer and returns NULL. */
#define DEFINE_CLEANUP(type, func)                                                                          \
        static inline void func##_p(type **p)                                                               \
        {                                                                                                   \
                if (*p)                                                                                     \
                        *p = func(*p);                                                                      \
        }                                                                                                   \
        struct _cleanup_needs_semicolon_

static inline void free_p(void *p)
{
        free(*(void **)p);
}
#define _cleanup_free_ _cleanup_(free_p)

/* strdup() that copies NULL as NULL. */
static inline int string_copy(const char *s, char **ret)
{
        char *copy = s ? strdup(s) : NULL;

        if (s && !copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}
