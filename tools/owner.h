/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Running storage servers, from the point of view of a command: which of them owns what the command
 * is about. A server holds locks on its devices; a command finds it through its control socket and asks
 * it instead of taking the devices itself.
 */
#ifndef TENON_TOOLS_OWNER_H
#define TENON_TOOLS_OWNER_H

#include <jansson.h>

#include "tools/devices.h"

struct stack;

/* The socket of the server that owns one of the devices below `target` (found as the stack finds them; or,
 * where no devices are known at all, the server that says it has the target). *socket is NULL when there
 * is none, also when the target is not found: claiming it then says why. A server that does not answer in
 * time is -ETIMEDOUT, one that has been ending for some time -EBUSY, and named, where it may have one of these devices open; else it is passed over. The caller
 * frees it. */
int owner_find(const struct cli_words *given, const char *target, char **socket,
	       struct error *error);

/* The same; *look is what was looked at for that, if anything was, or NULL: stack_look_below(), or with `volumes` stack_look(). The
 * caller closes it. */
int owner_find_look(const struct cli_words *given, const char *target, bool volumes, char **socket,
		    struct stack **look, struct error *error);

/* Of what a call of its socket returned: the owner has ended and has done nothing of that. Another search tells who has
 * the target now, which is likely nobody. */
bool owner_has_ended(int rc, const char *socket);

/* owner_find(), then the call; again where the owner has ended meanwhile. 1 and *result when an owner answered, 0 when there is none, or a negative
 * errno with `error` set. `params` is stolen. */
int owner_call(const struct cli_words *given, const char *target, const char *method,
	       json_t *params, json_t **result, struct error *error);

#endif
