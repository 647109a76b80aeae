/* SPDX-License-Identifier: BSD-2-Clause */
/* The 16550: what Linux's driver probes, interrupts as edges, input that does not get lost. */
#include "unit.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fake_interrupts.h"
#include "vmm/serial.h"

enum { DATA, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR };

static struct fake_interrupts fake;
static struct serial serial;

static uint8_t in(uint64_t port)
{
	return (uint8_t)serial_bus_ops.read(&serial, port, 1);
}

static void out(uint64_t port, uint8_t value)
{
	serial_bus_ops.write(&serial, port, 1, value);
}

static uint8_t sent[64];
static unsigned sent_count;

static void keep(void *context, uint8_t byte)
{
	(void)context;
	sent[sent_count++ % sizeof(sent)] = byte;
}

static int begin(void)
{
	int event = eventfd(0, EFD_NONBLOCK);

	fake_interrupts_init(&fake);
	serial_init(&serial, &fake.interrupts, 4, event);
	serial_set_output(&serial, keep, NULL);
	sent_count = 0;
	return event;
}

static void end(int event)
{
	serial_fini(&serial);
	close(event);
}

/* drivers/tty/serial/8250/8250_port.c (6.1), autoconfig(). */
static void test_linux_finds_a_16550a(void)
{
	int event = begin();

	out(IER, 0x00);
	CU_ASSERT_EQUAL(in(IER), 0x00);
	out(IER, 0x0f);
	CU_ASSERT_EQUAL(in(IER)&0x0f, 0x0f);
	out(IER, 0);
	out(MCR, 0x10 | 0x0a);
	CU_ASSERT_EQUAL(in(MSR)&0xf0, 0x90);
	out(MCR, 0);
	out(LCR, 0xbf);
	out(IIR_FCR, 0);
	out(LCR, 0);
	out(IIR_FCR, 1);
	CU_ASSERT_EQUAL(in(IIR_FCR) >> 6, 3);
	out(SCR, 0x5a);
	CU_ASSERT_EQUAL(in(SCR), 0x5a);
	CU_ASSERT_EQUAL(in(LSR), 0x60);
	CU_ASSERT_EQUAL(in(MSR)&0xf0, 0xb0);
	end(event);
}

static void test_divisor_latch_hides_data(void)
{
	int event = begin();

	out(LCR, 0x83);
	out(DATA, 0x34);
	out(IER, 0x12);
	CU_ASSERT_EQUAL(in(DATA), 0x34);
	CU_ASSERT_EQUAL(in(IER), 0x12);
	out(LCR, 0x03);
	CU_ASSERT_EQUAL(in(IER), 0);
	CU_ASSERT_EQUAL(sent_count, 0);
	end(event);
}

/* The driver takes one interrupt for "transmitter empty" each time that it enables it or sends. */
static void test_transmitter_interrupt(void)
{
	int event = begin();

	out(IER, 0x02);
	CU_ASSERT_EQUAL(fake.rises, 1);
	CU_ASSERT_EQUAL(in(IIR_FCR)&0x0f, 0x02);
	CU_ASSERT_FALSE(fake.level);
	CU_ASSERT_EQUAL(in(IIR_FCR)&0x0f, 0x01);
	out(DATA, 'a');
	CU_ASSERT_EQUAL(fake.rises, 2);
	out(DATA, 'b'); /* nobody has looked: still a new edge */
	CU_ASSERT_EQUAL(fake.rises, 3);
	out(IER, 0x00);
	CU_ASSERT_FALSE(fake.level);
	in(IIR_FCR);
	out(IER, 0x02);
	CU_ASSERT_TRUE(fake.level);
	end(event);
}

static void test_input(void)
{
	int event = begin();
	uint8_t bytes[100];
	eventfd_t value;

	memset(bytes, 'x', sizeof(bytes));
	out(IER, 0x01);
	CU_ASSERT_EQUAL(serial_give_input(&serial, bytes, 2), 2);
	CU_ASSERT_TRUE(fake.level);
	CU_ASSERT_EQUAL(in(IIR_FCR)&0x0f, 0x04);
	CU_ASSERT_EQUAL(in(LSR)&1, 1);
	CU_ASSERT_EQUAL(in(DATA), 'x');
	CU_ASSERT_TRUE(fake.level);
	CU_ASSERT_EQUAL(in(DATA), 'x');
	CU_ASSERT_FALSE(fake.level);
	CU_ASSERT_EQUAL(in(LSR)&1, 0);
	CU_ASSERT_EQUAL(in(DATA), 0);

	/* No more than there is room for; room is announced when it comes back. */
	CU_ASSERT_EQUAL(serial_give_input(&serial, bytes, sizeof(bytes)), SERIAL_INPUT_SIZE);
	CU_ASSERT_EQUAL(serial_input_room(&serial), 0);
	CU_ASSERT_EQUAL(eventfd_read(event, &value), -1);
	in(DATA);
	CU_ASSERT_EQUAL(eventfd_read(event, &value), 0);
	CU_ASSERT_EQUAL(serial_input_room(&serial), 1);
	out(IIR_FCR, 0x03);
	CU_ASSERT_EQUAL(serial_input_room(&serial), SERIAL_INPUT_SIZE);
	end(event);
}

static void test_loopback(void)
{
	int event = begin();

	out(MCR, 0x10);
	out(DATA, 'q');
	CU_ASSERT_EQUAL(sent_count, 0);
	CU_ASSERT_EQUAL(in(DATA), 'q');
	end(event);
}

static void test_wide_and_hostile_accesses(void)
{
	int event = begin();

	/* A wide access is its bytes in turn; nothing is read beyond the registers. */
	out(SCR, 0x77);
	CU_ASSERT_EQUAL(serial_bus_ops.read(&serial, LSR, 1) & 0x60, 0x60);
	CU_ASSERT_EQUAL(serial_bus_ops.read(&serial, LCR, 4) >> 16 & 0xff, 0x60);
	for (unsigned size = 1; size <= 8; size++)
		for (uint64_t port = 0; port + size <= SERIAL_PORTS; port++) {
			serial_bus_ops.write(&serial, port, size, UINT64_MAX);
			serial_bus_ops.read(&serial, port, size);
		}
	end(event);
}

static void test_output_goes_on_at_once(void)
{
	int event = begin();

	out(DATA, 'h');
	out(DATA, 'i');
	CU_ASSERT_EQUAL(sent_count, 2);
	CU_ASSERT_EQUAL(memcmp(sent, "hi", 2), 0);
	serial_set_output(&serial, NULL, NULL);
	out(DATA, 'x'); /* nobody is there */
	CU_ASSERT_EQUAL(sent_count, 2);
	CU_ASSERT_EQUAL(in(LSR)&0x60, 0x60);
	end(event);
}

UNIT_MAIN("vmm serial", UNIT(test_linux_finds_a_16550a), UNIT(test_divisor_latch_hides_data),
	  UNIT(test_transmitter_interrupt), UNIT(test_input), UNIT(test_loopback),
	  UNIT(test_wide_and_hostile_accesses), UNIT(test_output_goes_on_at_once))
