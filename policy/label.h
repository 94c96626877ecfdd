/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a resource manager says about a cgroup, such as slurm.account=ml. Labels come from a caller that may
 * ask in the name of others, never from the processes in the cgroup. */

#include <stdbool.h>
#include <stddef.h>

#include "policy/macro.h"

#define LABELS_MAX      16
#define LABEL_KEY_MAX   63
#define LABEL_VALUE_MAX 255

typedef struct Label {
        char *key, *value;
} Label;

/* Sorted by key. Keys are unique. */
typedef struct Labels {
        Label *items;
        size_t n;
} Labels;

void labels_clear(Labels *l);
/* ret is overwritten. -ENOMEM. */
int labels_copy(const Labels *l, Labels *ret);
bool labels_equal(const Labels *a, const Labels *b);

/* NULL if this can be a label, else the rest of the sentence `the label KEY ...`, which says why not. */
const char *label_check(const char *key, const char *value);
/* -EINVAL: label_check() says why; -EEXIST: the key exists; -E2BIG: there are LABELS_MAX already;
 * -ENOMEM. */
int labels_add(Labels *l, const char *key, const char *value);

/* Adds the label in `text`, KEY=VALUE. *ret_why: if this fails, the rest of the sentence `the label KEY=VALUE
 * ...`. -EINVAL, -EEXIST, -E2BIG, -ENOMEM. */
int labels_parse(Labels *l, const char *text, const char **ret_why);

/* The value of the key in the first key_length bytes; NULL: there is none. */
const char *labels_find(const Labels *l, const char *key, size_t key_length);

/* True for the keys of resource managers that cdmd knows, and for keys with a domain. */
bool label_key_is_known(const char *key, size_t key_length);
/* "slurm.job, slurm.account, ..." */
#define LABEL_KEYS_KNOWN                                                                                    \
        "slurm.job, slurm.account, slurm.user, slurm.partition, k8s.namespace, k8s.pod, k8s.container"
