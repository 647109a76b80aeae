/* The host's end of the console; see console.h. */
#include "vmm/console.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/error.h"
#include "util/log.h"
#include "vmm/serial.h"

#define ESCAPE 0x01 /* Ctrl-A */

static void make_raw(struct console *console)
{
	struct termios raw;

	if (tcgetattr(console->in, &console->saved) < 0)
		return;
	raw = console->saved;
	cfmakeraw(&raw);
	/* A newline of the guest's comes with its own carriage return; messages of ours do not. */
	raw.c_oflag |= OPOST | ONLCR;
	console->raw = tcsetattr(console->in, TCSANOW, &raw) == 0;
}

void console_attach(struct console *console, int in, int out)
{
	*console = (struct console){ .in = in, .out = out };
	make_raw(console);
}

int console_open(struct console *console, const char *target, struct error *error)
{
	if (!strcmp(target, "stdio")) {
		console_attach(console, STDIN_FILENO, STDOUT_FILENO);
		return 0;
	}
	*console = (struct console){ .in = -1, .out = -1 };
	console->out = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (console->out < 0)
		return error_set(error, -errno, "%s: console: %s", target, error_name(errno));
	console->close_out = true;
	return 0;
}

void console_close(struct console *console)
{
	if (console->raw)
		tcsetattr(console->in, TCSANOW, &console->saved);
	if (console->close_out && console->out >= 0)
		close(console->out);
	*console = (struct console){ .in = -1, .out = -1 };
}

static void fetch_output(struct console *console, struct serial *serial)
{
	console->output_length +=
		serial_take_output(serial, console->output + console->output_length,
				   sizeof(console->output) - console->output_length);
}

void console_prepare(struct console *console, struct serial *serial, struct pollfd entries[2])
{
	bool room = serial_input_room(serial) > 0;

	fetch_output(console, serial);
	if (console->out < 0)
		console->output_length = 0;
	entries[0] = (struct pollfd){ .fd = room ? console->in : -1, .events = POLLIN };
	entries[1] = (struct pollfd){ .fd = console->output_length ? console->out : -1,
				      .events = POLLOUT };
}

/* Nobody reads any more: the guest goes on and its output is dropped. */
static void give_up_output(struct console *console, struct serial *serial, struct log *log)
{
	log_warning(log, "console: cannot write: %s; the guest's output is dropped from here on",
		    error_name(errno));
	if (console->close_out)
		close(console->out);
	console->out = -1;
	console->output_length = 0;
	serial_set_closed(serial, true);
}

/* At most 512 bytes go out, which a pipe or terminal that is ready takes without blocking. */
static void write_output(struct console *console, struct serial *serial, struct log *log)
{
	ssize_t written = write(console->out, console->output, console->output_length);

	if (written < 0) {
		if (errno != EAGAIN && errno != EINTR)
			give_up_output(console, serial, log);
		return;
	}
	console->output_length -= (size_t)written;
	memmove(console->output, console->output + written, console->output_length);
}

/* Takes out our own keys; what is for the guest stays at `at`. Returns its length. */
static size_t filter_keys(struct console *console, uint8_t *at, size_t length,
			  enum console_command *command)
{
	size_t kept = 0;

	for (size_t i = 0; i < length; i++) {
		if (!console->escape) {
			if (at[i] == ESCAPE)
				console->escape = true;
			else
				at[kept++] = at[i];
			continue;
		}
		console->escape = false;
		if (at[i] == 'x' || at[i] == 'X')
			*command = CONSOLE_QUIT;
		else if (at[i] == 'b' || at[i] == 'B')
			*command = CONSOLE_POWER_BUTTON;
		else if (at[i] == ESCAPE || at[i] == 'a')
			at[kept++] = ESCAPE;
	}
	return kept;
}

static enum console_command read_input(struct console *console, struct serial *serial)
{
	enum console_command command = CONSOLE_NOTHING;
	uint8_t bytes[SERIAL_INPUT_SIZE];
	ssize_t length = read(console->in, bytes, MIN(sizeof(bytes), serial_input_room(serial)));

	if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR)) {
		if (!console->raw)
			console->in = -1;
		return console->raw ? CONSOLE_QUIT : CONSOLE_NOTHING;
	}
	if (length > 0) {
		size_t kept = (size_t)length;

		if (console->raw)
			kept = filter_keys(console, bytes, kept, &command);
		serial_give_input(serial, bytes, kept);
	}
	return command;
}

enum console_command console_serve(struct console *console, struct serial *serial,
				   const struct pollfd entries[2], struct log *log)
{
	if (entries[1].fd >= 0 && entries[1].revents)
		write_output(console, serial, log);
	if (entries[0].fd >= 0 && entries[0].revents)
		return read_input(console, serial);
	return CONSOLE_NOTHING;
}

void console_drain(struct console *console, struct serial *serial)
{
	for (;;) {
		struct pollfd entries[2];

		console_prepare(console, serial, entries);
		if (entries[1].fd < 0 || poll(&entries[1], 1, 1000) <= 0)
			return;
		write_output(console, serial, NULL);
		if (console->out < 0)
			return;
	}
}
