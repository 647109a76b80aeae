/* SPDX-License-Identifier: BSD-2-Clause */
/* A 16550A UART; see serial.h. */
#include "vmm/serial.h"

#include <sys/eventfd.h>

#include "util/bytes.h"
#include "vmm/interrupts.h"

/* Registers; the first two are the divisor when LCR.DLAB is set. */
enum { RBR_THR_DLL, IER_DLM, IIR_FCR, LCR, MCR, LSR, MSR, SCR };

#define IER_RECEIVED    0x01
#define IER_TRANSMITTER 0x02
#define IER_LINE        0x04
#define IER_WRITABLE    0x0f

#define IIR_NONE        0x01
#define IIR_TRANSMITTER 0x02
#define IIR_RECEIVED    0x04
#define IIR_FIFOS       0xc0

#define FCR_ENABLE        0x01
#define FCR_CLEAR_RECEIVE 0x02

#define LCR_DIVISOR_LATCH 0x80

#define MCR_WRITABLE 0x1f
#define MCR_LOOPBACK 0x10

#define LSR_DATA_READY        0x01
#define LSR_TRANSMITTER_EMPTY 0x60 /* THRE and TEMT */

/* Clear to send, data set ready, carrier: somebody is always there. */
#define MSR_CONNECTED 0xb0

void serial_init(struct serial *serial, struct interrupts *interrupts, unsigned gsi, int event)
{
	*serial = (struct serial){ .interrupts = interrupts, .gsi = gsi, .event = event };
	pthread_mutex_init(&serial->lock, NULL);
	serial_reset(serial);
}

void serial_fini(struct serial *serial)
{
	pthread_mutex_destroy(&serial->lock);
}

void serial_set_output(struct serial *serial, void (*output)(void *context, uint8_t byte),
		       void *context)
{
	pthread_mutex_lock(&serial->lock);
	serial->output = output;
	serial->output_context = context;
	pthread_mutex_unlock(&serial->lock);
}

void serial_reset(struct serial *serial)
{
	pthread_mutex_lock(&serial->lock);
	serial->interrupt_enable = 0;
	serial->line_control = 0;
	serial->modem_control = 0;
	serial->scratch = 0;
	serial->divisor = 1;
	serial->fifo_enabled = false;
	serial->transmit_pending = false;
	serial->line_raised = false;
	serial->input_tail = serial->input_head;
	pthread_mutex_unlock(&serial->lock);
}

/* The interrupt that IIR shows: the highest in priority that is both pending and enabled. */
static uint8_t interrupt_identity(const struct serial *serial)
{
	if ((serial->interrupt_enable & IER_RECEIVED) && serial->input_head != serial->input_tail)
		return IIR_RECEIVED;
	if ((serial->interrupt_enable & IER_TRANSMITTER) && serial->transmit_pending)
		return IIR_TRANSMITTER;
	return IIR_NONE;
}

static void update_line(struct serial *serial)
{
	bool level = interrupt_identity(serial) != IIR_NONE;

	if (level == serial->line_raised)
		return;
	serial->line_raised = level;
	serial->interrupts->ops->set_line(serial->interrupts, serial->gsi, level);
}

static void push_input(struct serial *serial, uint8_t byte)
{
	if (serial->input_head - serial->input_tail < SERIAL_INPUT_SIZE)
		serial->input[serial->input_head++ % SERIAL_INPUT_SIZE] = byte;
}

static uint8_t pop_input(struct serial *serial)
{
	if (serial->input_head == serial->input_tail)
		return 0;
	if (serial->input_head - serial->input_tail == SERIAL_INPUT_SIZE)
		eventfd_write(serial->event, 1);
	return serial->input[serial->input_tail++ % SERIAL_INPUT_SIZE];
}

/* The byte fills the holding register for no time at all: the interrupt goes away and comes back, which
 * is an edge for the I/O APIC even if nobody has looked at the last one. */
static void transmit(struct serial *serial, uint8_t byte)
{
	serial->transmit_pending = false;
	update_line(serial);
	if (serial->modem_control & MCR_LOOPBACK)
		push_input(serial, byte);
	else if (serial->output)
		serial->output(serial->output_context, byte);
	serial->transmit_pending = true;
}

/* In loopback the modem outputs are wired to the modem inputs (PC16550D, "MCR"). */
static uint8_t modem_status(const struct serial *serial)
{
	uint8_t control = serial->modem_control, status = 0;

	if (!(control & MCR_LOOPBACK))
		return MSR_CONNECTED;
	status |= control & 0x01 ? 0x20 : 0; /* DTR -> DSR */
	status |= control & 0x02 ? 0x10 : 0; /* RTS -> CTS */
	status |= control & 0x04 ? 0x40 : 0; /* OUT1 -> RI */
	status |= control & 0x08 ? 0x80 : 0; /* OUT2 -> DCD */
	return status;
}

static uint8_t read_identity(struct serial *serial)
{
	uint8_t identity = interrupt_identity(serial);

	if (identity == IIR_TRANSMITTER)
		serial->transmit_pending = false;
	return identity | (serial->fifo_enabled ? IIR_FIFOS : 0);
}

static uint8_t read_register(struct serial *serial, uint64_t offset)
{
	bool latch = serial->line_control & LCR_DIVISOR_LATCH;

	switch (offset) {
	case RBR_THR_DLL:
		return latch ? (uint8_t)serial->divisor : pop_input(serial);
	case IER_DLM:
		return latch ? serial->divisor >> 8 : serial->interrupt_enable;
	case IIR_FCR:
		return read_identity(serial);
	case LCR:
		return serial->line_control;
	case MCR:
		return serial->modem_control;
	case LSR:
		return LSR_TRANSMITTER_EMPTY |
		       (serial->input_head != serial->input_tail ? LSR_DATA_READY : 0);
	case MSR:
		return modem_status(serial);
	case SCR:
		return serial->scratch;
	}
	return 0xff;
}

static void write_register(struct serial *serial, uint64_t offset, uint8_t value)
{
	bool latch = serial->line_control & LCR_DIVISOR_LATCH;

	switch (offset) {
	case RBR_THR_DLL:
		if (latch)
			serial->divisor = (serial->divisor & 0xff00) | value;
		else
			transmit(serial, value);
		break;
	case IER_DLM:
		if (latch) {
			serial->divisor = (uint16_t)((serial->divisor & 0xff) | value << 8);
			break;
		}
		if ((value & ~serial->interrupt_enable) & IER_TRANSMITTER)
			serial->transmit_pending = true;
		serial->interrupt_enable = value & IER_WRITABLE;
		break;
	case IIR_FCR:
		serial->fifo_enabled = value & FCR_ENABLE;
		if (value & FCR_CLEAR_RECEIVE)
			serial->input_tail = serial->input_head;
		break;
	case LCR:
		serial->line_control = value;
		break;
	case MCR:
		serial->modem_control = value & MCR_WRITABLE;
		break;
	case SCR:
		serial->scratch = value;
		break;
	}
}

/* The registers are bytes; a wider access touches neighbours in turn, as on an ISA bus. */
static uint64_t serial_read(void *device, uint64_t offset, unsigned size)
{
	struct serial *serial = device;
	uint64_t value = 0;

	pthread_mutex_lock(&serial->lock);
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)read_register(serial, offset + i) << (8 * i);
	update_line(serial);
	pthread_mutex_unlock(&serial->lock);
	return value;
}

static void serial_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
	struct serial *serial = device;

	pthread_mutex_lock(&serial->lock);
	for (unsigned i = 0; i < size; i++)
		write_register(serial, offset + i, (uint8_t)(value >> (8 * i)));
	update_line(serial);
	pthread_mutex_unlock(&serial->lock);
}

const struct bus_ops serial_bus_ops = { .read = serial_read, .write = serial_write };

size_t serial_input_room(struct serial *serial)
{
	size_t room;

	pthread_mutex_lock(&serial->lock);
	room = SERIAL_INPUT_SIZE - (serial->input_head - serial->input_tail);
	pthread_mutex_unlock(&serial->lock);
	return room;
}

size_t serial_give_input(struct serial *serial, const uint8_t *at, size_t size)
{
	size_t given = 0;

	pthread_mutex_lock(&serial->lock);
	while (given < size && serial->input_head - serial->input_tail < SERIAL_INPUT_SIZE)
		push_input(serial, at[given++]);
	update_line(serial);
	pthread_mutex_unlock(&serial->lock);
	return given;
}
