/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Libraries that are loaded by who needs them: what they bring with them (libpcap: D-Bus and systemd's; libnbd: TLS, XML, some twenty)
 * would cost every command a part of its start, most of that of a short one.
 */
#ifndef TENON_UTIL_LIBRARY_H
#define TENON_UTIL_LIBRARY_H

#include <stddef.h>

struct error;

struct library_function {
	const char *name;
	void *to; /* a pointer to a function */
};

/*
 * Loads `name`, or finds that it is there, and takes down where its functions are. It stays: what it starts, and registers for the end of
 * the process, must find its code then. 0, or -ENOPKG with an error that names the `package` to install.
 */
int library_load(const char *name, const char *package, const struct library_function *functions,
		 size_t count, struct error *error);

#endif
