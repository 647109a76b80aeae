/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's end of the console; see console.h. */
#include "vmm/console.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/output.h"
#include "util/bytes.h"
#include "util/error.h"
#include "util/log.h"
#include "vmm/console_output.h"
#include "vmm/serial.h"

#define ESCAPE      0x01 /* Ctrl-A */
#define PATIENCE_MS 1000
#define LOOK_MS     500 /* between two looks at whether we are in the foreground again */

/* ---- The terminal ---- */

/* A terminal that is not our controlling one knows no foreground: it is ours. */
static bool in_foreground(const struct console *console)
{
	pid_t group = tcgetpgrp(console->in);

	return group < 0 || group == getpgrp();
}

static void make_raw(struct console *console)
{
	struct termios raw;

	if (tcgetattr(console->in, &raw) < 0)
		return;
	/* What it was before us, not what somebody has left while we were stopped. */
	if (!console->saved_known)
		console->saved = raw;
	console->saved_known = true;
	cfmakeraw(&raw);
	/* A newline of the guest's comes with its own carriage return; messages of ours do not. */
	raw.c_oflag |= OPOST | ONLCR;
	console->raw = tcsetattr(console->in, TCSANOW, &raw) == 0;
}

void console_enter(struct console *console)
{
	console->running = true;
	if (console->terminal && in_foreground(console))
		make_raw(console);
}

void console_leave(struct console *console)
{
	console->running = false;
	if (atomic_exchange(&console->raw, false) && in_foreground(console))
		tcsetattr(console->in, TCSANOW, &console->saved);
}

void console_continued(struct console *console)
{
	console->raw = false;
}

/* Follows the process between foreground and background; true if the terminal may be read. */
static bool follow_foreground(struct console *console)
{
	bool ours = in_foreground(console);

	if (!ours)
		console->raw = false;
	else if (console->running && !console->raw)
		make_raw(console);
	return ours;
}

/* ---- Opening ---- */

int console_attach(struct console *console, int in, int out, struct log *log, struct error *error)
{
	console->in = in;
	console->out = out;
	console->log = log;
	console->terminal = in >= 0 && isatty(in);
	return out < 0 ? 0 : console_output_create(&console->output, out, log, error);
}

/* Open for reading too, a FIFO has a reader at any time, and neither waits for one nor loses one. */
static int open_output(struct output *output, const char *target, bool force, struct error *error)
{
	static const struct output_kind kind = { "a console's text", output_is_text };
	unsigned flags = OUTPUT_APPEND | (force ? OUTPUT_FORCE : 0);
	struct stat status;

	if (stat(target, &status) || !S_ISFIFO(status.st_mode))
		return output_open(output, target, flags, &kind, error);
	*output = (struct output){ .fd = open(target, O_RDWR | O_CLOEXEC | O_NONBLOCK) };
	return output->fd >= 0 ? 0 : error_set(error, -errno, "%s: %s", target, error_name(errno));
}

int console_open(struct console *console, const char *target, bool force, struct log *log,
		 struct error *error)
{
	int rc;

	if (!strcmp(target, "stdio"))
		return console_attach(console, STDIN_FILENO, STDOUT_FILENO, log, error);
	rc = open_output(&console->file, target, force, error);
	if (rc < 0) {
		error_prefix(error, "console");
		return rc;
	}
	console->has_file = true;
	return console_attach(console, -1, console->file.fd, log, error);
}

void console_close(struct console *console)
{
	console_leave(console);
	console_output_destroy(console->output);
	console->output = NULL;
	if (console->has_file)
		output_close(&console->file);
	console->has_file = false;
	console->in = console->out = -1;
}

/* ---- Output ---- */

void console_put(void *context, uint8_t byte)
{
	struct console *console = context;

	/* A zero byte is nothing on a terminal; in a file it would make the next machine refuse to add to it, as
	 * to what is no text. */
	if (!byte && console->has_file)
		return;
	if (console->output)
		console_output_put(console->output, byte);
}

void console_drain(struct console *console)
{
	if (console->output)
		console_output_drain(console->output, PATIENCE_MS);
}

/* ---- Input ---- */

/* Gives the guest the keys that it has room for. */
static void feed(struct console *console, struct serial *serial)
{
	size_t taken = serial_give_input(serial, console->keys, console->keys_length);

	console->keys_length -= taken;
	memmove(console->keys, console->keys + taken, console->keys_length);
	if (taken)
		console->dropping = false;
}

void console_prepare(struct console *console, struct serial *serial, struct pollfd *entry,
		     int *timeout_ms)
{
	bool wanted;

	if (console->keys_length)
		feed(console, serial);
	*entry = (struct pollfd){ .fd = -1, .events = POLLIN };
	if (console->in < 0)
		return;
	if (console->terminal) {
		wanted = follow_foreground(console);
		if (!wanted && (*timeout_ms < 0 || *timeout_ms > LOOK_MS))
			*timeout_ms = LOOK_MS;
	} else {
		wanted = !console->keys_length && serial_input_room(serial);
	}
	if (wanted)
		entry->fd = console->in;
}

static void keep_key(struct console *console, uint8_t key)
{
	if (console->keys_length < CONSOLE_KEYS) {
		console->keys[console->keys_length++] = key;
		return;
	}
	if (!console->dropping)
		log_warning(console->log, "console: the guest takes no input; keys are dropped");
	console->dropping = true;
}

/* Takes out our own keys. */
static enum console_command take_keys(struct console *console, const uint8_t *at, size_t length)
{
	enum console_command command = CONSOLE_NOTHING;

	for (size_t i = 0; i < length; i++) {
		if (!console->escape) {
			if (at[i] == ESCAPE)
				console->escape = true;
			else
				keep_key(console, at[i]);
			continue;
		}
		console->escape = false;
		if (at[i] == 'x' || at[i] == 'X')
			command = CONSOLE_QUIT;
		else if (at[i] == 'b' || at[i] == 'B')
			command = CONSOLE_POWER_BUTTON;
		else if (at[i] == ESCAPE || at[i] == 'a')
			keep_key(console, ESCAPE);
	}
	return command;
}

enum console_command console_serve(struct console *console, struct serial *serial,
				   const struct pollfd *entry)
{
	enum console_command command = CONSOLE_NOTHING;
	uint8_t bytes[4096];
	size_t most = console->terminal ? sizeof(bytes) : serial_input_room(serial);
	ssize_t length;

	if (entry->fd < 0 || !entry->revents)
		return CONSOLE_NOTHING;
	length = read(console->in, bytes, MIN(sizeof(bytes), most));
	if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR)) {
		/* In the background a terminal gives EIO to those who block SIGTTIN. */
		if (!console->terminal || in_foreground(console))
			console->in = -1;
		return CONSOLE_NOTHING;
	}
	if (length > 0 && console->terminal)
		command = take_keys(console, bytes, (size_t)length);
	else if (length > 0)
		for (ssize_t i = 0; i < length; i++)
			keep_key(console, bytes[i]);
	feed(console, serial);
	return command;
}
