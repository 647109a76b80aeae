/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A first look at devices: does it answer at all, and what is underneath? All side by side, in a process aside
 * (fiber/aside.h), so that one that hangs holds nobody up for more than the limit, and only once in a
 * command: it is remembered.
 */
#ifndef TENON_TOOLS_DEVICE_LOOK_H
#define TENON_TOOLS_DEVICE_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "block/identity.h"

struct error;

struct device_look {
	bool silent; /* it did not answer, now or before */
	int failed;  /* a negative errno: why what is underneath cannot be seen */
	struct block_identity identity; /* without parts where it cannot be opened, or seen */
};

/* Looks at all of them; `looks` is to be freed by devices_look_free(). 0, or what this process is short of (-ENOMEM, -EMFILE). Suspends. */
int devices_look(char *const *paths, unsigned count, struct device_look *looks);
void devices_look_free(struct device_look *looks, unsigned count);

/* Before a device is opened for good: -ETIMEDOUT with `error` set when it does not answer now. Suspends. */
int device_check_answers(const char *path, struct error *error);

/* The same of several at once. words[i] may be NULL; paths[i] is the real path of others; the caller frees them, after an error
 * too. Suspends. */
int devices_check_answer(char *const *words, unsigned count, char **paths, struct error *error);

/* Says of a device that it does not answer; returns -ETIMEDOUT. */
int device_say_silent(const char *path, struct error *error);

/* The same of one where what it lies on cannot be seen; returns rc. */
int device_say_failed(const char *path, int rc, struct error *error);

/* That none of the paths shows bytes of another: -EINVAL with `error` naming two that do. Words that are no paths
 * are passed over. Suspends. */
int devices_check_distinct(char *const *paths, unsigned count, struct error *error);

/* The one of `paths` that shows the same bytes as `path`, whatever its name; NULL where there is none, or where that cannot
 * be seen. `paths` may change meanwhile; the caller frees the copy. Suspends. */
char *devices_find_same(char *const *paths, unsigned count, const char *path);

/* How long one may take: $TENON_DEVICE_TIMEOUT in seconds, or 5. */
uint64_t device_limit_ns(void);
/* Whether it says what it can say: 0, or -EINVAL or -ERANGE with `error` set. */
int device_limit_check(struct error *error);

/* realpath(3); of what does not exist the path as it is, of what does not answer the path from the root. The caller
 * frees it; NULL without memory. */
char *device_resolve(const char *path);

#endif
