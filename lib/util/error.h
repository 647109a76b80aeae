/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Errors that a user reads.
 *
 * Functions return 0 (or a count) or a negative errno. Where a person must be told more than the
 * errno says, the function also takes a `struct error *` and fills it once, at the place where the
 * trouble was found:
 *
 *	return error_set(error, -EINVAL, "%s: md superblock at byte %llu: magic is 0x%08x, expected "
 *			 "0x%08x", name, where, found, MD_MAGIC);
 *
 * The text names the object, where in it, what was found and what was expected, in this order.
 * What the user can do about it goes into the advice. Names in them may be anything: text and advice are
 * made fit for a terminal here (text.h). Callers pass the error up unchanged, or put
 * the name of what they were doing before it with error_prefix().
 */
#ifndef TENON_UTIL_ERROR_H
#define TENON_UTIL_ERROR_H

#include <stdbool.h>

struct error {
	int code;         /* a negative errno; 0 while nothing is set */
	char text[768];   /* one line without a newline */
	char advice[256]; /* what to do, or empty */
};

/* Sets code and text, clears the advice. Returns `code`. `error` may be NULL. */
int error_set(struct error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Sets the advice. Returns the error's code, so that it can end a function. Where `error` is NULL, or was not set,
 * -EINVAL is returned, never success: keep the code yourself where a caller may pass NULL and look at it. */
int error_advise(struct error *error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Puts "PREFIX: " before the text, unless it begins with that. `error` may be NULL, or not be set: it says nothing of
 * whether something failed, which the caller knows. */
void error_prefix(struct error *error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Whether a negative errno says that this process or host is short of memory or descriptors: nothing of what was looked at,
 * which is as little "not there" as "there". */
bool error_is_shortage(int code);

/* The text for an errno, positive or negative, without locale or shared buffers. */
const char *error_name(int code);

#endif
