/* SPDX-License-Identifier: BSD-2-Clause */
/* Asking all running servers of this user the same thing at once. */
#ifndef TENON_TOOLS_ASK_H
#define TENON_TOOLS_ASK_H

#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

#include "tools/cli.h"

/* One that was asked. */
struct ask_answer {
	const char *path; /* of its control socket */
	pid_t pid; /* as the socket's name says, or the kernel of who listens; 0: it has none here, or is not known */
	json_t *result; /* or NULL, and then: */
	int rc;
	struct error error;

	struct fiber *fiber;
	const char *method;
	uint64_t limit_ns;
};

struct ask {
	struct ask_answer *answers;
	unsigned count;
};

/* Calls `method` of all whose control socket's name begins with `prefix`. The socket of one that was killed is removed,
 * and has no answer (-ECONNREFUSED). On a fiber. 0; -ENOMEM; or they could not be looked for, as runtime_each_socket() has it, or for ask_own()
 * runtime_each_own_socket(). ask_free() is due in any case. */
int ask_all(struct ask *ask, const char *prefix, const char *method, uint64_t limit_ns,
	    struct error *error);
int ask_own(struct ask *ask, const char *prefix, const char *method, uint64_t limit_ns,
	    struct error *error);
void ask_free(struct ask *ask);

/* Whose control socket it is, by the kernel's word: in *pid; 0: of a process that has no number in this namespace. 0, or -ECONNREFUSED (nobody
 * listens), -ENOENT, -EBUSY (so many want to ask it that it is not known). */
int ask_listener(const char *path, pid_t *pid);

/* What is known of the process without its answer: pid, command, control, problem. */
json_t *ask_row(pid_t pid, const struct ask_answer *answer);
/* A member of the answer; else `nothing`, which is stolen. */
void ask_take(json_t *row, json_t *answer, const char *key, json_t *nothing);

/* For those that hold what lists are about: they answer from memory. */
#define ASK_LIST_NS (3 * 1000000000ull)

/* Whether nobody listens at a control socket any more; it is removed then. `pid` as the socket's name says; 0: it does not say. */
bool ask_is_left_over(const char *path, pid_t pid);

#endif
