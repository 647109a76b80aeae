/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI-X of one PCI function: the vector table, the pending bits, masks, and which eventfds raise which
 * vector. PCI Local Bus 3.0, section 6.8.2.
 *
 * A *source* is an eventfd that a back-end signals. While its vector is unmasked the eventfd is attached
 * to a route in KVM and no thread of ours sees the interrupt. While it is masked the eventfd is
 * detached, so a signal stays in it: that is the pending bit, and attaching it again delivers it.
 *
 * Routes are made when they are first needed, and all that a change needs is committed at once.
 * The owner's lock guards it all.
 */
#ifndef TENON_VMM_MSIX_H
#define TENON_VMM_MSIX_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/interrupts.h"

#define MSIX_ENTRY_SIZE    16u
#define MSIX_VECTORS_MAX   256u
#define MSIX_NO_VECTOR     0xffffu
#define MSIX_CAPABILITY_ID 0x11u

/* In the message control word of the capability. */
#define MSIX_CONTROL          2u /* its offset in the capability */
#define MSIX_CONTROL_MASK_ALL 0x4000u
#define MSIX_CONTROL_ENABLE   0x8000u

struct msix_vector {
	int gsi; /* -1: no route yet */
	bool pending;
	struct interrupt_message routed; /* what the route says */
};

struct msix_source {
	int fd; /* -1: none */
	uint16_t vector;
	int attached; /* the GSI, or -1 */
};

struct msix {
	struct interrupts *interrupts;
	unsigned vector_count, source_count;
	uint16_t control;
	uint8_t *table;
	struct msix_vector *vectors;
	struct msix_source *sources;
};

/* -ENOMEM. `vectors` up to MSIX_VECTORS_MAX. */
int msix_init(struct msix *msix, struct interrupts *interrupts, unsigned vectors, unsigned sources);
void msix_fini(struct msix *msix);

/* As after power-on: everything masked, nothing connected, no routes. */
void msix_reset(struct msix *msix);

/* The guest wrote the message control word. 0, or the errno with which KVM refused a route. */
int msix_set_control(struct msix *msix, uint16_t control);

/* Guest accesses to the table; they lie within it. Errors as above. */
uint64_t msix_table_read(const struct msix *msix, uint64_t offset, unsigned size);
int msix_table_write(struct msix *msix, uint64_t offset, unsigned size, uint64_t value);
/* To the pending bits: 0 beyond them. */
uint64_t msix_pending_read(const struct msix *msix, uint64_t offset, unsigned size);

/* Says that `fd` raises `vector` (MSIX_NO_VECTOR: nothing). Takes effect with msix_update(). */
void msix_connect(struct msix *msix, unsigned source, int fd, uint16_t vector);
/* At once; the fd may be closed after it. */
void msix_disconnect(struct msix *msix, unsigned source);
/* Brings routes and attachments into line with the table. Errors as above. */
int msix_update(struct msix *msix);

/* Raises a vector by hand; if it is masked, later. */
void msix_raise(struct msix *msix, uint16_t vector);

#endif
