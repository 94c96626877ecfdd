/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Compares pool files with the nodes of the machine. None of these facts is an error: the configuration may
 * be intended. But memory would silently be open to all, or closed to all. The default pool, which has no
 * file, may be empty. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "policy/facts-pool.h"
#include "policy/size.h"

int fact_sentence(char **ret, const char *format, ...)
{
        char *text;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0)
                return -ENOMEM;
        *ret = text;
        return 1;
}

static uint64_t fact_bytes(const Topology *t, const NodeSet *nodes)
{
        uint64_t bytes = 0;

        NODESET_FOREACH (node, nodes) {
                const Node *n = topology_find(t, node);

                bytes += n ? n->size_bytes : 0;
        }
        return bytes;
}

/* A paragraph with a sentence or two for each pool that has the same fault. */
typedef struct FactText {
        FILE *file;
        char *text;
        size_t size;
} FactText;

static int fact_text_begin(FactText *f)
{
        *f = (FactText){ 0 };
        f->file = open_memstream(&f->text, &f->size);
        return f->file ? 0 : -ENOMEM;
}

/* 0: nothing was written. */
static int fact_text_end(FactText *f, char **ret)
{
        if (fclose(f->file) != 0) {
                free(f->text);
                return -ENOMEM;
        }
        if (f->size == 0) {
                free(f->text);
                return 0;
        }
        *ret = f->text;
        return 1;
}

/* Returns the file for the next sentence. */
static FILE *fact_text_more(FactText *f)
{
        if (ftell(f->file) > 0)
                fputs("; ", f->file);
        return f->file;
}

/* The nodes from which `auto` chooses: they have memory and no CPUs, and no list names them. */
static NodeSet fact_candidates(const Topology *t, const PoolSet *pools)
{
        NodeSet nodes = topology_memory_nodes(t), with_cpu = topology_cpu_nodes(t);

        nodes = nodeset_subtract(&nodes, &with_cpu);
        for (size_t i = 0; i < pools->n_pools; i++)
                if (!pools->pools[i].nodes_auto)
                        nodes = nodeset_subtract(&nodes, &pools->pools[i].nodes);
        return nodes;
}

/* True if HMAT describes none of the nodes: the usual reason why selectors match nothing. */
static bool fact_is_without_hmat(const Topology *t, const NodeSet *nodes)
{
        NODESET_FOREACH (node, nodes) {
                const Node *n = topology_find(t, node);

                if (n && (n->read_bandwidth_mbps > 0 || n->read_latency_ns > 0))
                        return false;
        }
        return true;
}

static void fact_tell_selectors(FILE *f, const Topology *t, const PoolSet *pools, const Pool *p)
{
        NodeSet candidates = fact_candidates(t, pools);
        char list[NODESET_STR_MAX];

        fprintf(f, "pool %s (%s:%u) is empty: no node with memory and without CPUs meets its %s", p->name,
                p->file, p->line, p->selectors);
        if (nodeset_is_empty(&candidates)) {
                fputs("; there is no such node now", f);
                return;
        }
        nodeset_format(&candidates, list);
        if (fact_is_without_hmat(t, &candidates))
                fprintf(f, "; the firmware has no HMAT for node %s, so that nothing is known about them",
                        list);
        else
                fprintf(f, "; `cdmctl nodes` shows what is known about node %s", list);
        fprintf(f,
                "; if they are device memory, write Nodes=%s instead of the selectors, or remove the "
                "selectors",
                list);
}

int fact_pool_empty(const Topology *t, const PoolSet *pools, char **ret)
{
        char list[NODESET_STR_MAX];
        FactText text;

        int r = fact_text_begin(&text);
        if (r < 0)
                return r;
        for (size_t i = 0; i < pools->n_pools; i++) {
                const Pool *p = &pools->pools[i];

                if (!p->file || p->size_bytes > 0)
                        continue;
                FILE *f = fact_text_more(&text);
                if (p->selectors)
                        fact_tell_selectors(f, t, pools, p);
                else if (p->nodes_auto)
                        fprintf(f,
                                "pool %s (%s:%u) is empty: there is no node for it that has memory and no "
                                "CPUs; if nodes with CPUs are meant, list them with Nodes=",
                                p->name, p->file, p->line);
                else
                        fprintf(f,
                                "pool %s (%s:%u) is empty: node %s has no memory here; `cdmctl nodes` shows "
                                "those that have",
                                p->name, p->file, p->line, nodeset_format(&p->nodes, list));
        }
        return fact_text_end(&text, ret);
}

int fact_nodes_absent(const Topology *t, const PoolSet *pools, char **ret)
{
        NodeSet memory = topology_memory_nodes(t);
        char list[NODESET_STR_MAX];
        FactText text;

        int r = fact_text_begin(&text);
        if (r < 0)
                return r;
        for (size_t i = 0; i < pools->n_pools; i++) {
                const Pool *p = &pools->pools[i];
                NodeSet absent = nodeset_subtract(&p->nodes, &memory);

                if (!p->file || p->size_bytes == 0 || nodeset_is_empty(&absent))
                        continue;
                fprintf(fact_text_more(&text),
                        "pool %s (%s:%u) lists node %s, which has no memory here and joins the pool when its "
                        "memory comes; if it never does, take it out of Nodes=",
                        p->name, p->file, p->line, nodeset_format(&absent, list));
        }
        return fact_text_end(&text, ret);
}

int fact_selects_all(const PoolSet *pools, char **ret)
{
        FactText text;

        int r = fact_text_begin(&text);
        if (r < 0)
                return r;
        for (size_t i = 0; i < pools->n_pools; i++) {
                const Pool *p = &pools->pools[i];

                if (p->selects_all)
                        fprintf(fact_text_more(&text),
                                "every node with memory meets %s of pool %s (%s:%u), also those with CPUs, "
                                "so that it selects nothing; change or remove it (`cdmctl nodes` shows the "
                                "values)",
                                p->selectors, p->name, p->file, p->line);
        }
        return fact_text_end(&text, ret);
}

int fact_no_evidence(const Topology *t, const PoolSet *pools, char **ret)
{
        char list[NODESET_STR_MAX], size[SIZE_STR_MAX], ordinary[SIZE_STR_MAX];

        if (nodeset_is_empty(&pools->unproven))
                return 0;
        nodeset_format(&pools->unproven, list);
        return fact_sentence(
                ret,
                "node %s (%s) counts as device memory for no other reason than that it has no CPUs: neither "
                "HMAT nor memory tiers nor DAX nor a driver says so, and %s of ordinary memory remain for "
                "everybody; if it is device memory, confirm it with Nodes=%s in a file of "
                "/etc/cdm/pools.d; if it is plain memory, list there only the nodes that are not",
                list, size_format(fact_bytes(t, &pools->unproven), size),
                size_format(fact_bytes(t, &pools->ordinary), ordinary), list);
}

int fact_passed_over(const Topology *t, const PoolSet *pools, char **ret)
{
        char list[NODESET_STR_MAX], size[SIZE_STR_MAX], whole[SIZE_STR_MAX];
        NodeSet memory = topology_memory_nodes(t);

        if (nodeset_is_empty(&pools->passed_over))
                return 0;
        nodeset_format(&pools->passed_over, list);
        return fact_sentence(
                ret,
                "node %s (%s of the machine's %s) has no CPUs, but neither HMAT nor memory tiers nor DAX nor "
                "a driver says that it is device memory; so much of it is likely to be plain memory: "
                "Nodes=auto takes none of it, and everybody may use it; if it is device memory, write "
                "Nodes=%s in a file of /etc/cdm/pools.d",
                list, size_format(fact_bytes(t, &pools->passed_over), size),
                size_format(fact_bytes(t, &memory), whole), list);
}

/* FACT_PASSED_OVER reports the nodes that were passed over. */
int fact_not_in_pool(const Topology *t, const PoolSet *pools, char **ret)
{
        NodeSet with_cpu = topology_cpu_nodes(t), open = nodeset_subtract(&pools->ordinary, &with_cpu);
        char list[NODESET_STR_MAX], size[SIZE_STR_MAX];

        if (pools->no_cpu_says_nothing) {
                NodeSet plain = evidence_missing(t);

                open = nodeset_subtract(&open, &plain);
        }
        open = nodeset_subtract(&open, &pools->passed_over);
        if (nodeset_is_empty(&open) || nodeset_is_empty(&with_cpu))
                return 0;
        nodeset_format(&open, list);
        return fact_sentence(
                ret,
                "node %s (%s) has memory and no CPUs, could be device memory, and is in no pool: "
                "everybody may use it; to keep it for reservations, write Nodes=%s in a file of "
                "/etc/cdm/pools.d",
                list, size_format(fact_bytes(t, &open), size), list);
}

/* Boot memory of a node cannot be removed, so kernel data there does no harm. Only memory that was plugged
 * in, or put online by a driver, is reported. */
int fact_unmovable(const Topology *t, const PoolSet *pools, char **ret)
{
        char list[NODESET_STR_MAX], now[64] = "";
        NodeSet nodes = NODESET_EMPTY;

        NODESET_FOREACH (node, &pools->cdm) {
                const Node *n = topology_find(t, node);

                if (n && n->size_bytes > 0 && n->removable && n->kernel_zone)
                        nodeset_add(&nodes, node);
        }
        if (nodeset_is_empty(&nodes))
                return 0;
        if (t->auto_online[0])
                snprintf(now, sizeof(now), " (now: %s)", t->auto_online);
        return fact_sentence(
                ret,
                "memory of node %s was put online in a zone for kernel data: what the kernel keeps there "
                "cannot be moved, so that `cdmctl drain` may not empty it for its removal; have new memory "
                "put online as online_movable: write that to /sys/devices/system/memory/auto_online_blocks%s "
                "and to udev rules that set a block's state, boot with memhp_default_state=online_movable, "
                "then take the memory offline and online again",
                nodeset_format(&nodes, list), now);
}
