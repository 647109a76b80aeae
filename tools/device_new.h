/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening devices that are taken for something new: a member of an array, a physical volume. */
#ifndef TENON_TOOLS_DEVICE_NEW_H
#define TENON_TOOLS_DEVICE_NEW_H

#include <stdbool.h>

#include "tools/cli.h"

struct block;
struct error;
struct stack;

/* Claims, for writing, the arrays among `devices` (those of the form md/NAME); *out is NULL where there
 * are none. */
int device_claim_below(struct stack **out, const struct cli_words *given,
		       const struct cli_words *devices, struct error *error);

/*
 * Opens devices (paths, or md/NAME in `below`; NULL: nothing is opened there): for writing, locked, and refused with -EEXIST
 * where one carries a signature, unless `force`. blocks[], NULL to begin with, are the caller's, after an error too.
 * Whether they answer is seen for all of them at once. Suspends.
 */
int devices_open_new(struct stack *below, char *const *words, unsigned count, bool force,
		     struct block **blocks, struct error *error);

/* The same of one; *out is set where it could be opened. */
int device_open_new(struct stack *below, const char *device, bool force, struct block **out,
		    struct error *error);

#endif
