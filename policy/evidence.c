/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "policy/evidence.h"

#include <stdio.h>
#include <string.h>

static const struct {
        Evidence bit;
        const char *name;
} evidence_names[] = {
        { EVIDENCE_DRIVER, "driver" },
        { EVIDENCE_DAX, "dax" },
        { EVIDENCE_TIER, "tier" },
        { EVIDENCE_HMAT, "hmat" },
};

static unsigned evidence_marks(const Node *n)
{
        /* A DAX device names itself as the device; that is one piece of evidence. */
        bool driver = n->device && !(n->dax && strncmp(n->device, "dax", 3) == 0);

        return (driver ? EVIDENCE_DRIVER : 0u) | (n->dax ? EVIDENCE_DAX : 0u);
}

/* Nodes with evidence do not count as ordinary. Otherwise DRAM would look special beside a CXL expander. */
EvidenceBase evidence_base(const Topology *t)
{
        NodeSet with_cpu = topology_cpu_nodes(t);
        EvidenceBase b = { .has_cpu_memory = !nodeset_is_empty(&with_cpu), .slowest_tier = TIER_UNKNOWN };

        for (size_t i = 0; i < t->n_nodes; i++) {
                const Node *n = &t->nodes[i];

                if (n->size_bytes == 0 || (b.has_cpu_memory ? !n->has_cpu : evidence_marks(n) != 0))
                        continue;
                if (n->tier > b.slowest_tier)
                        b.slowest_tier = n->tier;
                if (n->read_bandwidth_mbps > 0 &&
                    (b.slowest_mbps == 0 || n->read_bandwidth_mbps < b.slowest_mbps))
                        b.slowest_mbps = n->read_bandwidth_mbps;
        }
        return b;
}

/* At least 1.5 times, or at most two thirds: the sockets of one machine differ by less. */
static bool evidence_bandwidth_differs(uint64_t mbps, uint64_t ordinary_mbps)
{
        if (mbps == 0 || ordinary_mbps == 0)
                return false;
        if (mbps > ordinary_mbps)
                return mbps - ordinary_mbps >= ordinary_mbps / 2;
        return ordinary_mbps - mbps >= ordinary_mbps / 3;
}

unsigned evidence_of(const EvidenceBase *base, const Node *n)
{
        unsigned evidence = evidence_marks(n);

        if (n->has_cpu)
                return evidence;
        if (n->tier != TIER_UNKNOWN && base->slowest_tier != TIER_UNKNOWN && n->tier != base->slowest_tier)
                evidence |= EVIDENCE_TIER;
        if (evidence_bandwidth_differs(n->read_bandwidth_mbps, base->slowest_mbps))
                evidence |= EVIDENCE_HMAT;
        return evidence;
}

const char *evidence_format(unsigned evidence, char buf[static EVIDENCE_STR_MAX])
{
        size_t n = 0;

        buf[0] = '\0';
        for (size_t i = 0; i < ARRAY_SIZE(evidence_names); i++)
                if (evidence & evidence_names[i].bit)
                        n += (size_t)snprintf(buf + n, EVIDENCE_STR_MAX - n, "%s%s", n > 0 ? "," : "",
                                              evidence_names[i].name);
        return buf;
}

static NodeSet evidence_select(const Topology *t, bool with)
{
        EvidenceBase base = evidence_base(t);
        NodeSet nodes = NODESET_EMPTY;

        for (size_t i = 0; i < t->n_nodes; i++) {
                const Node *n = &t->nodes[i];
                bool has = evidence_of(&base, n) != 0;

                if (with ? has : n->size_bytes > 0 && !n->has_cpu && !has)
                        nodeset_add(&nodes, n->id);
        }
        return nodes;
}

NodeSet evidence_nodes(const Topology *t)
{
        return evidence_select(t, true);
}

NodeSet evidence_missing(const Topology *t)
{
        return evidence_select(t, false);
}
