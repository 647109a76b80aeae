/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's end of the guest's console: standard input and output, or a file.
 *
 * On a terminal, the terminal is put into raw mode while the machine runs, so that every key goes to the
 * guest (Ctrl-C too), except Ctrl-A, which is ours: Ctrl-A x ends the machine, Ctrl-A b presses its power
 * button, Ctrl-A a (or Ctrl-A again) is a Ctrl-A for the guest. Keys wait here for a guest that does not
 * take them, so that ours work also then. Only a process in the foreground touches the terminal: from the
 * background nothing is read, and raw mode comes back with the foreground.
 *
 * Input that is no terminal waits in its pipe or file for the guest to have room. The end of input, and a
 * terminal that was hung up, end nothing: what SIGHUP does is the caller's. Output is console_output.h's.
 */
#ifndef TENON_VMM_CONSOLE_H
#define TENON_VMM_CONSOLE_H

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <termios.h>

#include "block/output.h"

struct console_output;
struct error;
struct log;
struct serial;

enum console_command { CONSOLE_NOTHING, CONSOLE_QUIT, CONSOLE_POWER_BUTTON };

#define CONSOLE_KEYS 65536u /* that wait for the guest, at most; what else is typed is dropped */

struct console {
	int in, out;   /* -1: none, or ended */
	bool has_file; /* `out` is the descriptor of `file`, opened here */
	struct output file;
	struct log *log;
	struct console_output *output; /* NULL: there is none */

	bool terminal;        /* `in` is one */
	_Atomic bool running; /* console_enter() was called */
	_Atomic bool raw;     /* as far as we know */
	bool saved_known;     /* `saved` is to be restored */
	struct termios saved;
	bool escape;   /* the last key was Ctrl-A */
	bool dropping; /* keys, and has said so */
	size_t keys_length;
	uint8_t keys[CONSOLE_KEYS];
};

/*
 * `target` is "stdio" or a path: of a file, at whose end output is added (block/output.h says what is
 * refused without `force`); of a FIFO, with readers that come and go; of a terminal. Never waits. -EBUSY,
 * -EEXIST and others with `error` set; closing is due in any case.
 */
int console_open(struct console *console, const char *target, bool force, struct log *log,
		 struct error *error);
/* The same over fds, which stay the caller's; -1 for none. */
int console_attach(struct console *console, int in, int out, struct log *log, struct error *error);
/* Makes the terminal raw; restores it, on whatever thread. */
void console_enter(struct console *console);
void console_leave(struct console *console);
/* Leaves, and forgets what was not written. */
void console_close(struct console *console);

/* The process was stopped and goes on: somebody else has had the terminal. From any thread. */
void console_continued(struct console *console);

/* What the guest writes; never waits. `console` is a struct console. */
void console_put(void *console, uint8_t byte);

/* Fills in a poll entry (fd -1: nothing to wait for) and shortens *timeout_ms (-1: none) where something is to
 * be looked at again; after poll(), moves input to `serial`. Never blocks. */
void console_prepare(struct console *console, struct serial *serial, struct pollfd *entry,
		     int *timeout_ms);
enum console_command console_serve(struct console *console, struct serial *serial,
				   const struct pollfd *entry);

/* Waits until the reader has all that the guest has written, but not longer than a second without progress. */
void console_drain(struct console *console);

#endif
