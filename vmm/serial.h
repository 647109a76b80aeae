/*
 * The console: a 16550A UART (National Semiconductor PC16550D), as COM1.
 *
 * The transmitter is infinitely fast as long as there is room: the holding register is always empty,
 * and bytes collect in a ring that the machine's loop writes out. When the reader of the console does
 * not keep up and the ring is full, the vCPU that writes waits, so output is never lost. Received
 * bytes wait in a FIFO until the guest takes them.
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

#define SERIAL_PORTS       8u
#define SERIAL_OUTPUT_SIZE 16384u /* a power of two */
#define SERIAL_INPUT_SIZE  64u    /* a power of two */

struct interrupts;

struct serial {
	pthread_mutex_t lock;
	pthread_cond_t room; /* in `output`, or `closed` */

	struct interrupts *interrupts;
	unsigned gsi;
	int event;   /* signalled when there is output again, or room for input again */
	bool closed; /* nobody takes the output any more: it is dropped */

	uint8_t interrupt_enable, line_control, modem_control, scratch;
	uint16_t divisor;
	bool fifo_enabled;
	bool transmit_pending; /* "transmitter holding register empty" to be told by IIR */
	bool line_raised;

	uint32_t input_head, input_tail; /* free running; bytes are tail..head */
	uint8_t input[SERIAL_INPUT_SIZE];
	uint32_t output_head, output_tail;
	uint8_t output[SERIAL_OUTPUT_SIZE];
};

extern const struct bus_ops serial_bus_ops;

/* `event` is an eventfd of the caller's, who also watches it. */
void serial_init(struct serial *serial, struct interrupts *interrupts, unsigned gsi, int event);
void serial_fini(struct serial *serial);

/* The state at power-on. Output that was not yet taken stays. */
void serial_reset(struct serial *serial);

/* Takes up to `size` bytes that the guest has written. */
size_t serial_take_output(struct serial *serial, uint8_t *at, size_t size);

/* From now on output is dropped (closed) or kept; a vCPU that waits for room goes on. */
void serial_set_closed(struct serial *serial, bool closed);

/* How many bytes of input there is room for, and giving it some; returns how many it took. */
size_t serial_input_room(struct serial *serial);
size_t serial_give_input(struct serial *serial, const uint8_t *at, size_t size);

#endif
