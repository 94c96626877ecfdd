/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What cdmctl report collects: a folder in the layout that --root reads, which becomes a tarball. */

#include <stddef.h>
#include <stdio.h>

#include "policy/macro.h"

/* --- stand-ins for names (report-words.c) --------------------------------------------------------------- */

typedef struct ReportWords ReportWords;

/* The users of the machine below root ("": this one), their home folders, and the host. -ENOMEM. */
int report_words_new(const char *root, ReportWords **ret);
ReportWords *report_words_free(ReportWords *w);
DEFINE_CLEANUP(ReportWords, report_words_free);

/* Replaces whole words only. -ENOMEM. */
int report_words_add(ReportWords *w, const char *from, const char *to);
/* A user without a home folder; one that is known already is left as it is. -ENOMEM. */
int report_words_add_user(ReportWords *w, const char *name, const char *home);
int report_words_replace(const ReportWords *w, const char *text, size_t n, char **ret, size_t *ret_n);

/* --- the copy (report-tree.c) --------------------------------------------------------------------------- */

typedef struct Report {
        int root_fd;              /* what is copied from */
        int stage_fd;             /* and where to */
        const ReportWords *words; /* NULL: names stay */
        FILE *missing;            /* gets a line for each file that cannot be read */
        unsigned n_files;
        int error; /* the first one of writing, negative; nothing is copied any more then */
} Report;

/* Nodes, memory blocks and tiers, DAX, CXL and PCI devices, and what the kernel and NVIDIA's driver say. */
void report_copy_machine(Report *r);
/* Configuration and state of cdmd, and the fence's files of systemd. */
void report_copy_configuration(Report *r);
/* The path is relative to the stage. The text may hold names. */
void report_write(Report *r, const char *path, const char *text, size_t n);
/* What is in the file behind fd. -ENOMEM, or an error of read(). */
int report_read(int fd, char **ret, size_t *ret_n);
