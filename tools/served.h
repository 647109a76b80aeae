/* SPDX-License-Identifier: BSD-2-Clause */
/* What running servers say about volumes and arrays, for listings. */
#ifndef TENON_TOOLS_SERVED_H
#define TENON_TOOLS_SERVED_H

#include <jansson.h>
#include <stdbool.h>

struct cli_words;
struct error;
struct stack;

/* Of arrays in a look at the devices `given`, whose rows are those of the stack's arrays in their order: where a server
 * runs one, the row says what that says. On a fiber. 0 or -ENOMEM. */
int served_arrays(json_t *rows, const struct stack *stack, const struct cli_words *given);

/*
 * Adds to a row, or to each row of a list, what the servers say: "served", the socket; "not_served", why there is
 * none; "clients"; null where no server has to do with it; and in "serial" the number that guests are told. Rows have "serial", the object's own, by which
 * they are found: two groups of one name on different devices are told apart. A server that does not answer is
 * noted on standard error. On a fiber. 0 or -ENOMEM.
 */
int served_add(json_t *rows);

/* Of each server, by the path of its control socket, all of its exports (serve_socket.c). On a fiber. 0 or
 * -ENOMEM. */
int served_exports(json_t **out);

/* A back-end that hung up at once cannot say why. Where one of our servers has that socket, and another client on it,
 * `error` says so of `what`. Also without a fiber. */
void served_explain(const char *socket, const char *what, struct error *error);

#endif
