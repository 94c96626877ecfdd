/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Collects the files of `cdmctl report`: a folder in the layout that --root reads, which becomes a
 * tarball. */

#include <stddef.h>
#include <stdio.h>

#include "policy/macro.h"

/* --- stand-ins for names (report-words.c) --------------------------------------------------------------- */

typedef struct ReportWords ReportWords;

/* Adds the users of the machine below root ("": this machine), their home folders, and the host. -ENOMEM. */
int report_words_new(const char *root, ReportWords **ret);
ReportWords *report_words_free(ReportWords *w);
DEFINE_CLEANUP(ReportWords, report_words_free);

/* Replaces whole words only. -ENOMEM. */
int report_words_add(ReportWords *w, const char *from, const char *to);
/* Adds a user and a home folder ("": none). A known user is left as it is. -ENOMEM. */
int report_words_add_user(ReportWords *w, const char *name, const char *home);
int report_words_replace(const ReportWords *w, const char *text, size_t n, char **ret, size_t *ret_n);

/* --- the copy (report-tree.c) --------------------------------------------------------------------------- */

typedef struct Report {
        int root_fd;              /* the source */
        int stage_fd;             /* the destination */
        const ReportWords *words; /* NULL: names are not replaced */
        FILE *missing;            /* gets a line for each file that cannot be read */
        unsigned n_files;
        int error; /* the first error of writing, negative, which ends the copying */
} Report;

/* Copies nodes, memory blocks and tiers, DAX, CXL and PCI devices, and files of the kernel and NVIDIA's
 * driver. */
void report_copy_machine(Report *r);
/* Copies configuration and state of cdmd, and the fence's drop-ins. */
void report_copy_configuration(Report *r);
/* Writes a file of the report. The path is relative to the stage. Names in the text are replaced. */
void report_write(Report *r, const char *path, const char *text, size_t n);
/* Reads the file of the descriptor. -ENOMEM, or an error of read(). */
int report_read(int fd, char **ret, size_t *ret_n);
