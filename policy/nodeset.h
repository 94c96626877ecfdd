/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A set of NUMA node numbers: a value type that is copied by assignment and needs no freeing. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The kernel's MAX_NUMNODES is 1 << CONFIG_NODES_SHIFT, and that is at most 10. */
#define NODE_MAX          1024
#define NODESET_BYTES_MAX (NODE_MAX / 8)
/* Room for the longest list and its NUL: pairs with a gap of one ("0-1,3-4,..."), at most 10 bytes each. */
#define NODESET_STR_MAX ((NODE_MAX / 3 + 1) * 10 + 1)

typedef struct NodeSet {
        uint64_t word[NODE_MAX / 64]; /* node n is bit n % 64 of word n / 64 */
} NodeSet;

#define NODESET_EMPTY ((NodeSet){ { 0 } })

NodeSet nodeset_of(int node);
void nodeset_add(NodeSet *set, int node);
void nodeset_remove(NodeSet *set, int node);
bool nodeset_contains(const NodeSet *set, int node);
bool nodeset_is_empty(const NodeSet *set);
size_t nodeset_count(const NodeSet *set);
bool nodeset_equal(const NodeSet *a, const NodeSet *b);
bool nodeset_is_subset(const NodeSet *part, const NodeSet *whole);
bool nodeset_intersects(const NodeSet *a, const NodeSet *b);
NodeSet nodeset_union(const NodeSet *a, const NodeSet *b);
NodeSet nodeset_intersect(const NodeSet *a, const NodeSet *b);
NodeSet nodeset_subtract(const NodeSet *a, const NodeSet *b);

/* The smallest member that is >= from, or -1. */
int nodeset_next(const NodeSet *set, int from);

#define NODESET_FOREACH(node, set)                                                                          \
        for (int node = nodeset_next((set), 0); node >= 0; node = nodeset_next((set), node + 1))

/* Parses the kernel's list format ("0-1,3"). White space around the list and an empty list are allowed.
 * Numbers are decimal without sign. -EINVAL: not a list; -ERANGE: a node >= NODE_MAX or a range that runs
 * backwards. */
int nodeset_parse(const char *list, NodeSet *ret);

/* Writes the list into buf and returns buf, for use as a printf argument. */
const char *nodeset_format(const NodeSet *set, char buf[static NODESET_STR_MAX]);

/* The form of systemd's AllowedMemoryNodes= on the bus: a little-endian bit mask, byte 0 first, without
 * trailing zero bytes. to_bytes returns the number of bytes written; from_bytes: -ERANGE for a node >=
 * NODE_MAX. */
size_t nodeset_to_bytes(const NodeSet *set, uint8_t out[static NODESET_BYTES_MAX]);
int nodeset_from_bytes(const uint8_t *bytes, size_t n, NodeSet *ret);
