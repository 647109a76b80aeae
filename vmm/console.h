/*
 * The host's end of the guest's console: standard input and output, or a file.
 *
 * On a terminal, the terminal is put into raw mode, so that every key goes to the guest (Ctrl-C too),
 * except Ctrl-A, which is ours: Ctrl-A x ends the machine, Ctrl-A b presses its power button, Ctrl-A a
 * (or Ctrl-A again) is a Ctrl-A for the guest.
 */
#ifndef TENON_VMM_CONSOLE_H
#define TENON_VMM_CONSOLE_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <termios.h>

struct error;
struct log;
struct serial;

enum console_command { CONSOLE_NOTHING, CONSOLE_QUIT, CONSOLE_POWER_BUTTON };

struct console {
	int in, out; /* -1: none, or ended */
	bool close_out;
	bool raw; /* `saved` is to be restored */
	struct termios saved;
	bool escape; /* the last key was Ctrl-A */
	uint8_t output[512];
	size_t output_length;
};

/* `target` is "stdio" or a path, which is created or emptied. */
int console_open(struct console *console, const char *target, struct error *error);
/* The same over fds, which stay the caller's. */
void console_attach(struct console *console, int in, int out);
/* Restores the terminal. */
void console_close(struct console *console);

/* Fills in two poll entries (input, output; fd -1 if there is nothing to wait for), and after poll()
 * moves bytes between host and `serial`. Never blocks. */
void console_prepare(struct console *console, struct serial *serial, struct pollfd entries[2]);
enum console_command console_serve(struct console *console, struct serial *serial,
				   const struct pollfd entries[2], struct log *log);

/* Writes out what the guest has written last; waits for the reader, but not longer than a second. */
void console_drain(struct console *console, struct serial *serial);

#endif
