/* SPDX-License-Identifier: BSD-2-Clause */
/* Verbs of `tenon link` that have files of their own. */
#ifndef TENON_TOOLS_LINK_H
#define TENON_TOOLS_LINK_H

#include <stddef.h>

struct error;

int link_schedule(int argc, char **argv);

/* All of a file of text, at most `most` bytes of it; "-" is standard input. NULL with `error` set, which begins with `what`. */
char *link_read_text(const char *what, const char *path, size_t most, struct error *error);
/* The same of a table of jitter: of a file, or by the name of one of iproute2's. */
char *link_read_table(const char *name, struct error *error);

#endif
