/* SPDX-License-Identifier: BSD-2-Clause */
/* Standard input, output and error, as a parent may have left them. */
#ifndef TENON_UTIL_STANDARD_H
#define TENON_UTIL_STANDARD_H

#include <stdbool.h>

/*
 * Puts /dev/null on those of descriptors 0, 1 and 2 that are closed: the first thing that main() does, before
 * a disk or a socket can get one of these numbers and messages be written into it. What is opened refuses
 * what the descriptor is for (EBADF), so that reading a closed standard input is an error and not an empty
 * file, and a listing that nobody gets is not reported as done; standard error takes all and keeps nothing.
 * 0, or a negative errno where /dev/null cannot be opened: do not go on then.
 */
int standard_open(void);

/*
 * Sees that what was printed on standard output has arrived: 0, or a negative errno (-EIO where the cause is
 * not known any more). Forgets the failure.
 */
int standard_output_flush(void);

/* Whether standard output is a pipe, socket or terminal whose other end is gone: for who prints only when something happens. */
bool standard_output_is_left(void);

#endif
