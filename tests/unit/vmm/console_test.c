/* The console's host side: keys that are ours, terminals put back as they were, readers that vanish. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
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
	fake_interrupts_init(&fake);
	serial_init(&serial, &fake.interrupts, 4, eventfd(0, EFD_NONBLOCK));
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

/* One turn of the machine's loop. */
static enum console_command turn(void)
{
	struct pollfd entries[2];

	console_prepare(&console, &serial, entries);
	poll(entries, 2, 1000);
	return console_serve(&console, &serial, entries, NULL);
}

static void test_keys_on_a_terminal(void)
{
	char text[SERIAL_INPUT_SIZE + 1];
	struct termios before, during, after;
	int master, slave;

	begin();
	CU_ASSERT_EQUAL_FATAL(openpty(&master, &slave, NULL, NULL, NULL), 0);
	tcgetattr(slave, &before);
	console_attach(&console, slave, slave);
	tcgetattr(slave, &during);
	CU_ASSERT_FALSE(during.c_lflag & (ISIG | ICANON | ECHO));
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
	console_drain(&console, &serial);
	CU_ASSERT_EQUAL(read(master, text, sizeof(text)), 7);
	CU_ASSERT_EQUAL(memcmp(text, "hello\r\n", 7), 0);
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
	console_attach(&console, in[0], out[1]);
	CU_ASSERT_EQUAL(write(in[1], "\001x", 2), 2);
	CU_ASSERT_EQUAL(turn(), CONSOLE_NOTHING);
	guest_reads(text);
	CU_ASSERT_STRING_EQUAL(text, "\001x");
	close(in[1]);
	CU_ASSERT_EQUAL(turn(), CONSOLE_NOTHING);
	CU_ASSERT_EQUAL(console.in, -1);
	guest_writes("out");
	turn();
	CU_ASSERT_EQUAL(read(out[0], text, sizeof(text)), 3);
	/* Nobody reads any more: the guest goes on. */
	signal(SIGPIPE, SIG_IGN);
	close(out[0]);
	guest_writes("lost");
	turn();
	CU_ASSERT_EQUAL(console.out, -1);
	for (unsigned i = 0; i < SERIAL_OUTPUT_SIZE; i++)
		guest_writes("lost");
	end();
	close(in[0]);
	close(out[1]);
}

/* A guest that does not read gets what it has room for; the rest stays with the host. */
static void test_input_waits_for_room(void)
{
	char text[SERIAL_INPUT_SIZE + 1], much[200];
	struct pollfd entries[2];
	int in[2];

	begin();
	CU_ASSERT_EQUAL_FATAL(pipe(in), 0);
	console_attach(&console, in[0], -1);
	memset(much, 'm', sizeof(much));
	CU_ASSERT_EQUAL(write(in[1], much, sizeof(much)), (ssize_t)sizeof(much));
	turn();
	console_prepare(&console, &serial, entries);
	CU_ASSERT_EQUAL(entries[0].fd, -1);
	guest_reads(text);
	CU_ASSERT_EQUAL(strlen(text), SERIAL_INPUT_SIZE);
	turn();
	guest_reads(text);
	CU_ASSERT_EQUAL(strlen(text), SERIAL_INPUT_SIZE);
	end();
	close(in[0]);
	close(in[1]);
}

static void test_file(void)
{
	struct error error = { 0 };
	char path[128], text[32] = "";
	int fd;

	begin();
	snprintf(path, sizeof(path), "%s/console", unit_directory());
	CU_ASSERT_EQUAL_FATAL(console_open(&console, path, &error), 0);
	guest_writes("to a file");
	console_drain(&console, &serial);
	fd = open(path, O_RDONLY);
	CU_ASSERT_EQUAL(read(fd, text, sizeof(text)), 9);
	CU_ASSERT_STRING_EQUAL(text, "to a file");
	close(fd);
	console_close(&console);
	CU_ASSERT_EQUAL(console_open(&console, "/nonexistent/console", &error), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "/nonexistent/console"));
	end();
}

UNIT_MAIN("vmm console", UNIT(test_keys_on_a_terminal), UNIT(test_pipes),
	  UNIT(test_input_waits_for_room), UNIT(test_file))
