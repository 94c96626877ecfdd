/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/macro.h"
#include "policy/nodeset.h"

#define WORDS ARRAY_SIZE(((NodeSet *)NULL)->word)

NodeSet nodeset_of(int node)
{
        NodeSet set = NODESET_EMPTY;

        nodeset_add(&set, node);
        return set;
}

void nodeset_add(NodeSet *set, int node)
{
        assert(node >= 0 && node < NODE_MAX);
        set->word[node / 64] |= UINT64_C(1) << (node % 64);
}

void nodeset_remove(NodeSet *set, int node)
{
        assert(node >= 0 && node < NODE_MAX);
        set->word[node / 64] &= ~(UINT64_C(1) << (node % 64));
}

bool nodeset_contains(const NodeSet *set, int node)
{
        if (node < 0 || node >= NODE_MAX)
                return false;
        return set->word[node / 64] >> (node % 64) & 1;
}

bool nodeset_is_empty(const NodeSet *set)
{
        for (size_t i = 0; i < WORDS; i++)
                if (set->word[i] != 0)
                        return false;
        return true;
}

size_t nodeset_count(const NodeSet *set)
{
        size_t n = 0;

        for (size_t i = 0; i < WORDS; i++)
                n += (size_t)__builtin_popcountll(set->word[i]);
        return n;
}

bool nodeset_equal(const NodeSet *a, const NodeSet *b)
{
        return memcmp(a->word, b->word, sizeof(a->word)) == 0;
}

bool nodeset_is_subset(const NodeSet *part, const NodeSet *whole)
{
        NodeSet outside = nodeset_subtract(part, whole);

        return nodeset_is_empty(&outside);
}

bool nodeset_intersects(const NodeSet *a, const NodeSet *b)
{
        NodeSet common = nodeset_intersect(a, b);

        return !nodeset_is_empty(&common);
}

NodeSet nodeset_union(const NodeSet *a, const NodeSet *b)
{
        NodeSet result;

        for (size_t i = 0; i < WORDS; i++)
                result.word[i] = a->word[i] | b->word[i];
        return result;
}

NodeSet nodeset_intersect(const NodeSet *a, const NodeSet *b)
{
        NodeSet result;

        for (size_t i = 0; i < WORDS; i++)
                result.word[i] = a->word[i] & b->word[i];
        return result;
}

NodeSet nodeset_subtract(const NodeSet *a, const NodeSet *b)
{
        NodeSet result;

        for (size_t i = 0; i < WORDS; i++)
                result.word[i] = a->word[i] & ~b->word[i];
        return result;
}

int nodeset_next(const NodeSet *set, int from)
{
        if (from < 0)
                from = 0;
        if (from >= NODE_MAX)
                return -1;

        size_t i = (size_t)from / 64;
        uint64_t rest = set->word[i] & (UINT64_MAX << (from % 64));

        while (rest == 0) {
                if (++i == WORDS)
                        return -1;
                rest = set->word[i];
        }
        return (int)(i * 64) + __builtin_ctzll(rest);
}

/* Reads one number and moves *p past it. All digits of a number that is too large are read, so that the
 * error for "99999x" is "not a list" and not "out of range". */
static int nodeset_read_node(const char **p, int *ret)
{
        int node = 0;

        if (!isdigit((unsigned char)**p))
                return -EINVAL;
        for (; isdigit((unsigned char)**p); (*p)++)
                if (node < NODE_MAX)
                        node = node * 10 + (**p - '0');
        *ret = node;
        return 0;
}

int nodeset_parse(const char *list, NodeSet *ret)
{
        NodeSet set = NODESET_EMPTY;
        bool in_range = true;
        const char *p = list + strspn(list, " \t\n");

        while (*p != '\0') {
                int first, last;

                if (nodeset_read_node(&p, &first) < 0)
                        return -EINVAL;
                last = first;
                if (*p == '-') {
                        p++;
                        if (nodeset_read_node(&p, &last) < 0)
                                return -EINVAL;
                }
                if (last >= NODE_MAX || first > last)
                        in_range = false;
                for (int node = first; in_range && node <= last; node++)
                        nodeset_add(&set, node);

                if (*p == ',') {
                        p++;
                        if (!isdigit((unsigned char)*p))
                                return -EINVAL;
                } else {
                        p += strspn(p, " \t\n");
                        if (*p != '\0')
                                return -EINVAL;
                }
        }
        if (!in_range)
                return -ERANGE;
        *ret = set;
        return 0;
}

const char *nodeset_format(const NodeSet *set, char buf[static NODESET_STR_MAX])
{
        size_t n = 0;

        buf[0] = '\0';
        for (int first = nodeset_next(set, 0); first >= 0;) {
                int last = first;

                while (nodeset_contains(set, last + 1))
                        last++;
                n += (size_t)snprintf(buf + n, NODESET_STR_MAX - n, n > 0 ? ",%d" : "%d", first);
                if (last > first)
                        n += (size_t)snprintf(buf + n, NODESET_STR_MAX - n, "-%d", last);
                first = nodeset_next(set, last + 1);
        }
        return buf;
}

size_t nodeset_to_bytes(const NodeSet *set, uint8_t out[static NODESET_BYTES_MAX])
{
        size_t n = 0;

        for (size_t i = 0; i < NODESET_BYTES_MAX; i++) {
                out[i] = (uint8_t)(set->word[i / 8] >> (i % 8 * 8));
                if (out[i] != 0)
                        n = i + 1;
        }
        return n;
}

int nodeset_from_bytes(const uint8_t *bytes, size_t n, NodeSet *ret)
{
        NodeSet set = NODESET_EMPTY;

        for (size_t i = 0; i < n; i++) {
                if (bytes[i] == 0)
                        continue;
                if (i >= NODESET_BYTES_MAX)
                        return -ERANGE;
                set.word[i / 8] |= (uint64_t)bytes[i] << (i % 8 * 8);
        }
        *ret = set;
        return 0;
}
