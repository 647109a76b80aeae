/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ownership by scope: a variable declared with one of these gives up what it holds when it goes
 * out of scope. steal_pointer() and steal_fd() hand ownership on.
 *
 *	CLEANUP_FREE char *name = strdup(argument);
 *	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
 */
#ifndef TENON_UTIL_CLEANUP_H
#define TENON_UTIL_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *at)
{
	free(*(void **)at);
}

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1; /* of what outlives the call, nobody closes or uses it again */
}

#define CLEANUP(function) __attribute__((cleanup(function)))
#define CLEANUP_FREE      CLEANUP(cleanup_free)
#define CLEANUP_CLOSE     CLEANUP(cleanup_close)

/* Defines NAME(), a cleanup for `TYPE *` variables that calls DESTROY on what is not NULL. */
#define DEFINE_CLEANUP(name, type, destroy)                                                        \
	static inline void name(type **at)                                                         \
	{                                                                                          \
		if (*at)                                                                           \
			destroy(*at);                                                              \
	}

#define steal_pointer(at)                                                                          \
	({                                                                                         \
		__typeof__(*(at)) stolen_ = *(at);                                                 \
		*(at) = NULL;                                                                      \
		stolen_;                                                                           \
	})

static inline int steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

#endif
