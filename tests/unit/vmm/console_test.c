/* SPDX-License-Identifier: BSD-2-Clause */
/* The console's host side: keys that are ours, terminals put back as they were, readers that vanish. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_interrupts.h"
#include "util/error.h"
#include "vmm/console.h"
#include "vmm/serial.h"

static struct fake_interrupts fake;
static struct serial serial;
static struct console console;

static void begin(void)
{
	memset(&console, 0, sizeof(console));
	console.in = console.out = -1;
	fake_interrupts_init(&fake);
	serial_init(&serial, &fake.interrupts, 4, eventfd(0, EFD_NONBLOCK));
	serial_set_output(&serial, console_put, &console);
}

static void end(void)
{
	console_close(&console);
	close(serial.event);
	serial_fini(&serial);
}

static void guest_writes(const char *text)
{
	for (; *text; text++)
		serial_bus_ops.write(&serial, 0, 1, (uint8_t)*text);
}

static void guest_reads(char *text)
{
	while (serial_bus_ops.read(&serial, 5, 1) & 1)
		*text++ = (char)serial_bus_ops.read(&serial, 0, 1);
	*text = '\0';
}

/* What is written comes in as many pieces as the writer likes: reads until `text` has `length` bytes. */
static void read_all(int fd, char *text, size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t got = read(fd, text + done, length - done);

		CU_ASSERT_FATAL(got > 0);
		done += (size_t)got;
	}
	text[done] = '\0';
}

/* Waits until the file has `length` bytes, for the writer has no hurry on a busy host. */
static void read_file(int fd, char *text, size_t length)
{
	ssize_t got;

	while ((got = pread(fd, text, length + 1, 0)) < (ssize_t)length)
		usleep(1000);
	CU_ASSERT_EQUAL_FATAL(got, (ssize_t)length);
	text[length] = '\0';
}

/* One turn of the machine's loop. */
static enum console_command turn(void)
{
	struct pollfd entry;
	int timeout = console.keys_length ? 0 : 1000;

	console_prepare(&console, &serial, &entry, &timeout);
	poll(&entry, 1, timeout);
	return console_serve(&console, &serial, &entry);
}

static void attach(int in, int out)
{
	CU_ASSERT_EQUAL_FATAL(console_attach(&console, in, out, NULL, NULL), 0);
	console_enter(&console);
}

static bool is_raw(int terminal)
{
	struct termios now;

	tcgetattr(terminal, &now);
	return !(now.c_lflag & (ISIG | ICANON | ECHO));
}

static void test_keys_on_a_terminal(void)
{
	char text[SERIAL_INPUT_SIZE + 1];
	struct termios before, after;
	int master, slave;

	begin();
	CU_ASSERT_EQUAL_FATAL(openpty(&master, &slave, NULL, NULL, NULL), 0);
	tcgetattr(slave, &before);
	attach(slave, slave);
	CU_ASSERT_TRUE(is_raw(slave));
	CU_ASSERT_EQUAL(write(master, "a\003\001\001b\001ac", 8), 8);
	CU_ASSERT_EQUAL(turn(), CONSOLE_NOTHING);
	guest_reads(text);
	CU_ASSERT_STRING_EQUAL(text, "a\003\001b\001c");
	CU_ASSERT_EQUAL(write(master, "\001b", 2), 2);
	CU_ASSERT_EQUAL(turn(), CONSOLE_POWER_BUTTON);
	CU_ASSERT_EQUAL(write(master, "\001", 1), 1); /* the two keys may come apart */
	CU_ASSERT_EQUAL(turn(), CONSOLE_NOTHING);
	CU_ASSERT_EQUAL(write(master, "x", 1), 1);
	CU_ASSERT_EQUAL(turn(), CONSOLE_QUIT);
	guest_writes("hello\n");
	read_all(master, text, 7);
	CU_ASSERT_STRING_EQUAL(text, "hello\r\n");
	end();
	tcgetattr(slave, &after);
	CU_ASSERT_EQUAL(after.c_lflag, before.c_lflag);
	CU_ASSERT_EQUAL(after.c_oflag, before.c_oflag);
	close(master);
	close(slave);
}

/* Without a terminal every byte is the guest's, and the end of input is not the end of the machine. */
static void test_pipes(void)
{
	char text[SERIAL_INPUT_SIZE + 1];
	int in[2], out[2];

	begin();
	CU_ASSERT_EQUAL_FATAL(pipe(in), 0);
	CU_ASSERT_EQUAL_FATAL(pipe(out), 0);
	attach(in[0], out[1]);
	CU_ASSERT_EQUAL(write(in[1], "\001x", 2), 2);
	CU_ASSERT_EQUAL(turn(), CONSOLE_NOTHING);
	guest_reads(text);
	CU_ASSERT_STRING_EQUAL(text, "\001x");
	close(in[1]);
	CU_ASSERT_EQUAL(turn(), CONSOLE_NOTHING);
	CU_ASSERT_EQUAL(console.in, -1);
	guest_writes("out");
	read_all(out[0], text, 3);
	CU_ASSERT_STRING_EQUAL(text, "out");
	close(out[0]);
	end();
	close(in[0]);
	close(out[1]);
}

/* A guest that does not read gets what it has room for; the rest stays with the host. */
static void test_input_waits_for_room(void)
{
	char text[SERIAL_INPUT_SIZE + 1], much[200];
	struct pollfd entry;
	int in[2], timeout = -1;

	begin();
	CU_ASSERT_EQUAL_FATAL(pipe(in), 0);
	attach(in[0], -1);
	memset(much, 'm', sizeof(much));
	CU_ASSERT_EQUAL(write(in[1], much, sizeof(much)), (ssize_t)sizeof(much));
	turn();
	console_prepare(&console, &serial, &entry, &timeout);
	CU_ASSERT_EQUAL(entry.fd, -1);
	CU_ASSERT_EQUAL(timeout, -1);
	guest_reads(text);
	CU_ASSERT_EQUAL(strlen(text), SERIAL_INPUT_SIZE);
	turn();
	guest_reads(text);
	CU_ASSERT_EQUAL(strlen(text), SERIAL_INPUT_SIZE);
	end();
	close(in[0]);
	close(in[1]);
}

/* A guest that takes nothing does not keep Ctrl-A x from its machine, and not the first 64 KiB of a paste
 * from itself. */
static void test_our_keys_when_the_guest_is_deaf(void)
{
	char text[SERIAL_INPUT_SIZE + 1], much[1000];
	unsigned kept = 0;
	int master, slave;

	begin();
	CU_ASSERT_EQUAL_FATAL(openpty(&master, &slave, NULL, NULL, NULL), 0);
	attach(slave, slave);
	memset(much, 'm', sizeof(much));
	for (unsigned i = 0; i < 100; i++) {
		CU_ASSERT_EQUAL(write(master, much, sizeof(much)), (ssize_t)sizeof(much));
		CU_ASSERT_EQUAL(turn(), CONSOLE_NOTHING);
	}
	CU_ASSERT_EQUAL(write(master, "\001x", 2), 2);
	CU_ASSERT_EQUAL(turn(), CONSOLE_QUIT);
	do {
		guest_reads(text);
		kept += (unsigned)strspn(text, "m");
		CU_ASSERT_EQUAL(strspn(text, "m"), strlen(text));
		turn();
	} while (serial_input_room(&serial) < SERIAL_INPUT_SIZE);
	CU_ASSERT_EQUAL(kept, CONSOLE_KEYS + SERIAL_INPUT_SIZE);
	end();
	close(master);
	close(slave);
}

/* After a stop somebody else has had the terminal; what it was before us is still known in the end. */
static void test_terminal_after_a_stop(void)
{
	struct termios before, after;
	int master, slave;

	begin();
	CU_ASSERT_EQUAL_FATAL(openpty(&master, &slave, NULL, NULL, NULL), 0);
	tcgetattr(slave, &before);
	attach(slave, slave);
	after = before;
	after.c_lflag &= ~(tcflag_t)ECHOE;
	tcsetattr(slave, TCSANOW, &after); /* as a shell does */
	CU_ASSERT_FALSE(is_raw(slave));
	console_continued(&console);
	CU_ASSERT_EQUAL(write(master, "k", 1), 1);
	turn();
	CU_ASSERT_TRUE(is_raw(slave));
	console_leave(&console);
	tcgetattr(slave, &after);
	CU_ASSERT_EQUAL(after.c_lflag, before.c_lflag);
	turn(); /* not raw again */
	CU_ASSERT_FALSE(is_raw(slave));
	end();
	close(master);
	close(slave);
}

/* A terminal that was hung up is the end of input, and no command. */
static void test_terminal_that_goes_away(void)
{
	int master, slave;

	begin();
	CU_ASSERT_EQUAL_FATAL(openpty(&master, &slave, NULL, NULL, NULL), 0);
	attach(slave, slave);
	close(master);
	CU_ASSERT_EQUAL(turn(), CONSOLE_NOTHING);
	CU_ASSERT_EQUAL(console.in, -1);
	guest_writes("to nobody");
	console_drain(&console);
	end();
	close(slave);
}

static void test_file(void)
{
	struct error error = { 0 };
	char path[128], text[32] = "";
	int fd;

	begin();
	snprintf(path, sizeof(path), "%s/console", unit_directory());
	CU_ASSERT_EQUAL_FATAL(console_open(&console, path, false, NULL, &error), 0);
	serial_bus_ops.write(&serial, 0, 1, 0); /* nothing that keeps the next machine from it */
	guest_writes("to a file");
	fd = open(path, O_RDWR);
	read_file(fd, text, 9);
	CU_ASSERT_STRING_EQUAL(text, "to a file");
	/* logrotate's copytruncate: no hole afterwards. */
	CU_ASSERT_EQUAL(ftruncate(fd, 0), 0);
	guest_writes("anew");
	read_file(fd, text, 4);
	CU_ASSERT_STRING_EQUAL(text, "anew");
	console_close(&console);
	/* The next machine adds to it. */
	CU_ASSERT_EQUAL_FATAL(console_open(&console, path, false, NULL, &error), 0);
	guest_writes("+");
	read_file(fd, text, 5);
	close(fd);
	console_close(&console);
	CU_ASSERT_EQUAL(console_open(&console, "/nonexistent/console", false, NULL, &error),
			-ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "/nonexistent/console"));
	end();
}

static void test_file_that_is_a_disk(void)
{
	struct error error = { 0 };
	char path[128];
	int fd;

	begin();
	snprintf(path, sizeof(path), "%s/disk.qcow2", unit_directory());
	fd = open(path, O_RDWR | O_CREAT, 0600);
	CU_ASSERT_EQUAL(pwrite(fd, "QFI\xfb\0\0\0\3", 8, 0), 8);
	CU_ASSERT_EQUAL(ftruncate(fd, 65536), 0);
	CU_ASSERT_EQUAL(console_open(&console, path, false, NULL, &error), -EEXIST);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "qcow2"));
	close(fd);
	end();
}

/* Nobody waits for a FIFO's reader, who may leave and come again. */
static void test_fifo(void)
{
	struct error error = { 0 };
	char path[128], text[32] = "";
	int fd;

	begin();
	snprintf(path, sizeof(path), "%s/console.fifo", unit_directory());
	CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
	CU_ASSERT_EQUAL_FATAL(console_open(&console, path, false, NULL, &error), 0);
	guest_writes("one");
	fd = open(path, O_RDONLY);
	read_all(fd, text, 3);
	close(fd);
	guest_writes("two");
	fd = open(path, O_RDONLY);
	read_all(fd, text, 3);
	CU_ASSERT_STRING_EQUAL(text, "two");
	close(fd);
	console_close(&console);
	end();
}

UNIT_MAIN("vmm console", UNIT(test_keys_on_a_terminal), UNIT(test_pipes),
	  UNIT(test_input_waits_for_room), UNIT(test_our_keys_when_the_guest_is_deaf),
	  UNIT(test_terminal_after_a_stop), UNIT(test_terminal_that_goes_away), UNIT(test_file),
	  UNIT(test_file_that_is_a_disk), UNIT(test_fifo))
