/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The syntax of configuration files: bytes, lines, words, names. No I/O. conf-read.c passes the text,
 * conf-keys.c knows the meaning. */

#include <stdbool.h>
#include <stddef.h>

/* NULL when all bytes are UTF-8 text in lines that end with LF; else what is wrong and what to do, and the
 * line. */
const char *conf_text_check(const char *text, size_t n, unsigned *ret_line);

typedef enum ConfLineKind { CONF_LINE_BLANK, CONF_LINE_SECTION, CONF_LINE_KEY, CONF_LINE_BAD } ConfLineKind;

/* Classifies a line (without its LF) and cuts off its comment: a whole line that starts with # or ;, or what
 * follows # or ; after white space. For a section, *ret is its name, cut out of the line. For a bad line,
 * *ret says what is wrong and what to do. */
ConfLineKind conf_line_classify(char *line, const char **ret);

/* The candidate that was probably meant: equal except for case, or at most two edits away. NULL: none. */
const char *conf_text_nearest(const char *word, const char *const *candidates, size_t n);

/* Cuts a value at white space into a NULL-terminated array that the caller frees with conf_words_free(). */
int conf_words_split(const char *value, char ***ret);
char **conf_words_free(char **words);

/* Each returns NULL if the word is valid, else the rest of the sentence `"WORD" ...`. */
const char *conf_check_unit(const char *word);
const char *conf_check_pool_name(const char *word);
/* For CDI devices, whose class is the pool's name and whose name is a size: accept what podman 4.3
 * accepts. */
const char *conf_check_cdi_class(const char *word);
const char *conf_check_cdi_size(const char *word);
const char *conf_check_unit_glob(const char *word);
const char *conf_check_slice_glob(const char *word);
const char *conf_check_pool_glob(const char *word);
const char *conf_check_cgroup_glob(const char *word);
const char *conf_check_container_glob(const char *word);
const char *conf_check_label_glob(const char *word);
const char *conf_check_user(const char *word);
/* For the units of a Static= rule: accepts units for which a drop-in can be written before they exist. */
const char *conf_check_static_unit(const char *word);
