/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console: a 16550A UART (National Semiconductor PC16550D), as COM1.
 *
 * The transmitter is infinitely fast: the holding register is always empty, and each byte goes to whoever
 * serial_set_output() named, who must not wait. Received bytes wait in a FIFO until the guest takes them.
 *
 * What Linux's 8250 driver probes (drivers/tty/serial/8250/8250_port.c, 6.1): the low four bits of IER
 * read back, MCR loopback gives MSR 0x90, the top bits of IIR show the FIFOs, the scratch register
 * holds its value, and the transmitter interrupt is raised anew when IER.THRI goes from 0 to 1.
 */
#ifndef TENON_VMM_SERIAL_H
#define TENON_VMM_SERIAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/bus.h"

#define SERIAL_PORTS      8u
#define SERIAL_INPUT_SIZE 64u /* a power of two */

struct interrupts;

struct serial {
	pthread_mutex_t lock;

	struct interrupts *interrupts;
	unsigned gsi;
	int event; /* signalled when there is room for input again */
	void (*output)(void *context, uint8_t byte); /* NULL: output is dropped */
	void *output_context;

	uint8_t interrupt_enable, line_control, modem_control, scratch;
	uint16_t divisor;
	bool fifo_enabled;
	bool transmit_pending; /* "transmitter holding register empty" to be told by IIR */
	bool line_raised;

	uint32_t input_head, input_tail; /* free running; bytes are tail..head */
	uint8_t input[SERIAL_INPUT_SIZE];
};

extern const struct bus_ops serial_bus_ops;

/* `event` is an eventfd of the caller's, who also watches it. */
void serial_init(struct serial *serial, struct interrupts *interrupts, unsigned gsi, int event);
void serial_fini(struct serial *serial);

/* Where the guest's bytes go from now on: `output` is called on the vCPU's thread, with a lock held. */
void serial_set_output(struct serial *serial, void (*output)(void *context, uint8_t byte),
		       void *context);

/* The state at power-on. */
void serial_reset(struct serial *serial);

/* How many bytes of input there is room for, and giving it some; returns how many it took. */
size_t serial_input_room(struct serial *serial);
size_t serial_give_input(struct serial *serial, const uint8_t *at, size_t size);

#endif
