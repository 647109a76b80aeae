/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Libraries that are loaded by who needs them, as systemd does it since version 256: what is linked each command maps, binds and starts, and what
 * some bring with them (libpcap: D-Bus and systemd's; libnbd: TLS, XML, some twenty), too, which is most of a short command.
 *
 * What is used of one is a list; a header makes a table of it, whose members have the functions' own names, and a source says which library that is:
 *
 *	#define AIO_LIBRARY(F)  F(io_setup) F(io_submit)
 *	LIBRARY_DECLARE(libaio, AIO_LIBRARY)                     (in the header)
 *	LIBRARY_DEFINE(libaio, AIO_LIBRARY, SONAME_aio, "...")   (in one source)
 *
 *	rc = libaio_load(error);
 *	if (!rc)
 *		rc = libaio.io_setup(...);
 *
 * Load where something begins that can fail, and before files, calls or memory that is executed are out of reach (Landlock, seccomp); who lives long at
 * its start. The name is the linker's (sonames.h is made with the build), so what was compiled is what is loaded. For packages and images
 * it is in the program, too, in a note: https://systemd.io/ELF_DLOPEN_METADATA/.
 */
#ifndef TENON_UTIL_LIBRARY_H
#define TENON_UTIL_LIBRARY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sonames.h"

struct error;

struct library_function {
	const char *name;
	void *to; /* a pointer to a function */
};

/*
 * Loads `name`, or finds that it is there, and takes down where its functions are. It stays: what it starts, and registers for the end of
 * the process, must find its code then. 0, or -ENOPKG with an error that names the package to install.
 */
int library_load(const char *name, const struct library_function *functions, size_t count,
		 struct error *error);

/* Where a library is, for who copies a program that loads it; allocated. It is loaded for that. */
int library_path(const char *name, char **path, struct error *error);

/* ---- Tables ---- */

/* A table, and what is to be in it; any thread may ask for it, and one loads it. */
struct library_table {
	const char *name;
	const char *const *functions;
	size_t count;
	void **to;
	pthread_mutex_t lock;
	bool loaded; /* atomic */
};

int library_load_table(struct library_table *table, struct error *error);

#define LIBRARY_MEMBER(function) __typeof__(function) *function;
#define LIBRARY_NAME(function)   #function,

#define LIBRARY_DECLARE(library, LIST)                                                             \
	struct library {                                                                           \
		LIST(LIBRARY_MEMBER)                                                               \
	};                                                                                         \
	extern struct library library;                                                             \
	/* 0, or -ENOPKG with `error` set where this host lacks it. */                             \
	int library##_load(struct error *error);

/*
 * A note of vendor "FDO" and type 0x407c0c0a, in whole words. "recommended": images take it along; "suggested": what brings so many others that only
 * those take it that use it.
 */
#define LIBRARY_NOTE(library, soname, use, priority)                                               \
	LIBRARY_NOTE_TEXT(library, "[{\"feature\":\"" use "\",\"priority\":\"" priority            \
				   "\",\"soname\":[\"" soname "\"]}]")
#define LIBRARY_NOTE_TEXT(library, text)                                                           \
	static const struct {                                                                      \
		uint32_t vendor_bytes, bytes, type;                                                \
		char vendor[4];                                                                    \
		char json[(sizeof(text) + 3) / 4 * 4];                                             \
	} library##_note __attribute__((used, aligned(4), section(".note.dlopen"))) = {            \
		4, sizeof(library##_note.json), 0x407c0c0a, "FDO", text                            \
	}

#define LIBRARY_DEFINE(library, LIST, soname, use)                                                 \
	LIBRARY_NOTE(library, soname, use, "recommended");                                         \
	struct library library;                                                                    \
	int library##_load(struct error *error)                                                    \
	{                                                                                          \
		static const char *const functions[] = { LIST(LIBRARY_NAME) };                     \
		static struct library_table loading = { soname,                                    \
							functions,                                 \
							sizeof(functions) / sizeof(*functions),    \
							(void **)&library,                         \
							PTHREAD_MUTEX_INITIALIZER,                 \
							false };                                   \
                                                                                                   \
		_Static_assert(sizeof(library) == sizeof(functions), "a table of pointers");       \
		return library_load_table(&loading, error);                                        \
	}

#endif
