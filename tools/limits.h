/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Limits of volumes and arrays (block/limit.h): what a person writes, what a server keeps, and what the two say to each other.
 *
 * A limit is a running server's: it holds for a volume or an array, whatever its name becomes, until the server ends.
 */
#ifndef TENON_TOOLS_LIMITS_H
#define TENON_TOOLS_LIMITS_H

#include <stdbool.h>

#include "block/limit.h"
#include "rpc/rpc.h"

struct cli_words;
struct export;
struct serve;

/* Each of these adds one to `limits`: "2000" or "none"; "100M" or "none"; "5s". -EINVAL or -ERANGE with `error` set. */
int limits_parse_iops(const char *text, struct block_limits *limits, struct error *error);
int limits_parse_bandwidth(const char *text, struct block_limits *limits, struct error *error);
int limits_parse_burst(const char *text, struct block_limits *limits, struct error *error);

/* "VG/LV=iops=2000,bandwidth=100M,burst=5s", as `serve --limit` has it. */
int limits_parse_word(const char *word, struct block_limits *limits, struct error *error);
/* All of them. False: what is wrong was said. */
bool limits_check(const struct cli_words *words);

/* ---- In a server, on the control worker (serve_limits.c) ---- */

/* That of a volume, which may be none; one that was given at the start is the volume's from then on. */
struct block_limits serve_limits_of(struct serve *serve, const struct export *export);
/* The volume is gone. */
void serve_limits_forget(struct serve *serve, const char *id);
void serve_limits_free(struct serve *serve);
/* Says of what was given at the start which of it is of no volume that is served. */
void serve_limits_tell(struct serve *serve);

/* lv.limit {name, iops, bandwidth_bytes, burst_ns}: what is not given stays, 0 is none -> as `lv limit --json` */
rpc_method_fn serve_lv_limit;

#endif
