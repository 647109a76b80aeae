/* SPDX-License-Identifier: BSD-2-Clause */
/* What running servers say about volumes and arrays, for listings. */
#ifndef TENON_TOOLS_SERVED_H
#define TENON_TOOLS_SERVED_H

#include <jansson.h>

/*
 * Adds to a row, or to each row of a list, what the servers say: "served", the socket or "not served: why" or
 * null, "clients", and in "serial" the number that guests are told. Rows have "serial", the object's own, by which
 * they are found: two groups of one name on different devices are told apart. A server that does not answer is
 * noted on standard error. On a fiber. 0 or -ENOMEM.
 */
int served_add(json_t *rows);

#endif
