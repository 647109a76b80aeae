/* SPDX-License-Identifier: BSD-2-Clause */
/* MSI-X; see msix.h. */
#include "vmm/msix.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "vmm/bus.h"

/* A table entry: address, data, and vector control, whose bit 0 masks. */
#define ENTRY_DATA    8
#define ENTRY_CONTROL 12
#define ENTRY_MASKED  1u

int msix_init(struct msix *msix, struct interrupts *interrupts, unsigned vectors, unsigned sources)
{
	*msix = (struct msix){ .interrupts = interrupts,
			       .vector_count = vectors,
			       .source_count = sources };
	msix->table = calloc(vectors, MSIX_ENTRY_SIZE);
	msix->vectors = calloc(vectors, sizeof(*msix->vectors));
	msix->sources = calloc(MAX(sources, 1u), sizeof(*msix->sources));
	if (!msix->table || !msix->vectors || !msix->sources) {
		msix->vector_count = msix->source_count = 0;
		msix_fini(msix);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < vectors; i++)
		msix->vectors[i].gsi = -1;
	for (unsigned i = 0; i < sources; i++)
		msix->sources[i] =
			(struct msix_source){ .fd = -1, .vector = MSIX_NO_VECTOR, .attached = -1 };
	msix_reset(msix);
	return 0;
}

void msix_fini(struct msix *msix)
{
	free(msix->table);
	free(msix->vectors);
	free(msix->sources);
	*msix = (struct msix){ 0 };
}

static bool masked(const struct msix *msix, unsigned vector)
{
	const uint8_t *entry = msix->table + vector * MSIX_ENTRY_SIZE;

	return !(msix->control & MSIX_CONTROL_ENABLE) || (msix->control & MSIX_CONTROL_MASK_ALL) ||
	       (get_le32(entry + ENTRY_CONTROL) & ENTRY_MASKED);
}

static struct interrupt_message message_of(const struct msix *msix, unsigned vector)
{
	const uint8_t *entry = msix->table + vector * MSIX_ENTRY_SIZE;

	return (struct interrupt_message){ .address = get_le64(entry),
					   .data = get_le32(entry + ENTRY_DATA) };
}

static void detach_vector(struct msix *msix, struct msix_source *source)
{
	if (source->attached >= 0)
		msix->interrupts->ops->detach(msix->interrupts, source->attached, source->fd);
	source->attached = -1;
}

void msix_reset(struct msix *msix)
{
	for (unsigned i = 0; i < msix->source_count; i++)
		msix_disconnect(msix, i);
	for (unsigned i = 0; i < msix->vector_count; i++) {
		struct msix_vector *vector = &msix->vectors[i];

		if (vector->gsi >= 0)
			msix->interrupts->ops->free_route(msix->interrupts, vector->gsi);
		*vector = (struct msix_vector){ .gsi = -1 };
		memset(msix->table + i * MSIX_ENTRY_SIZE, 0, MSIX_ENTRY_SIZE);
		put_le32(msix->table + i * MSIX_ENTRY_SIZE + ENTRY_CONTROL, ENTRY_MASKED);
	}
	msix->control = 0;
}

static bool wanted(const struct msix *msix, const struct msix_source *source)
{
	return source->fd >= 0 && source->vector < msix->vector_count &&
	       !masked(msix, source->vector);
}

/* Makes the vector's route say what the table says; 1 if it has to be committed. */
static int prepare_route(struct msix *msix, unsigned index)
{
	struct msix_vector *vector = &msix->vectors[index];
	struct interrupt_message message = message_of(msix, index);
	bool fresh = vector->gsi < 0;

	if (fresh) {
		int gsi = msix->interrupts->ops->allocate_route(msix->interrupts);

		if (gsi < 0)
			return gsi;
		vector->gsi = gsi;
	}
	if (!fresh && message.address == vector->routed.address &&
	    message.data == vector->routed.data)
		return 0;
	vector->routed = message;
	msix->interrupts->ops->set_route(msix->interrupts, vector->gsi, &message);
	return 1;
}

static int attach_vector(struct msix *msix, struct msix_source *source)
{
	int gsi = msix->vectors[source->vector].gsi, rc;

	if (source->attached == gsi)
		return 0;
	detach_vector(msix, source);
	rc = msix->interrupts->ops->attach(msix->interrupts, gsi, source->fd);
	if (rc == 0)
		source->attached = gsi;
	return rc;
}

static void send_pending(struct msix *msix)
{
	for (unsigned i = 0; i < msix->vector_count; i++)
		if (msix->vectors[i].pending && !masked(msix, i))
			msix_raise(msix, (uint16_t)i);
}

int msix_update(struct msix *msix)
{
	bool commit = false;
	int rc = 0;

	for (unsigned i = 0; i < msix->source_count; i++) {
		if (!wanted(msix, &msix->sources[i])) {
			detach_vector(msix, &msix->sources[i]);
			continue;
		}
		rc = prepare_route(msix, msix->sources[i].vector);
		if (rc < 0)
			return rc;
		commit |= rc > 0;
	}
	if (commit) {
		rc = msix->interrupts->ops->commit_routes(msix->interrupts);
		if (rc < 0)
			return rc;
	}
	for (unsigned i = 0; i < msix->source_count; i++) {
		if (!wanted(msix, &msix->sources[i]))
			continue;
		rc = attach_vector(msix, &msix->sources[i]);
		if (rc < 0)
			return rc;
	}
	send_pending(msix);
	return 0;
}

int msix_set_control(struct msix *msix, uint16_t control)
{
	control &= MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASK_ALL;
	if (control == msix->control)
		return 0;
	msix->control = control;
	return msix_update(msix);
}

uint64_t msix_table_read(const struct msix *msix, uint64_t offset, unsigned size)
{
	return bus_bytes_read(msix->table, offset, size);
}

int msix_table_write(struct msix *msix, uint64_t offset, unsigned size, uint64_t value)
{
	/* Aligned dwords and qwords are defined; a byte somewhere is not. */
	if ((size != 4 && size != 8) || offset % size)
		return 0;
	bus_bytes_write(msix->table, offset, size, value);
	return masked(msix, (unsigned)(offset / MSIX_ENTRY_SIZE)) &&
			       offset % MSIX_ENTRY_SIZE + size <= ENTRY_CONTROL
		       ? 0
		       : msix_update(msix);
}

static bool is_pending(const struct msix *msix, unsigned vector)
{
	if (msix->vectors[vector].pending)
		return true;
	for (unsigned i = 0; i < msix->source_count; i++) {
		const struct msix_source *source = &msix->sources[i];
		struct pollfd entry = { .fd = source->fd, .events = POLLIN };

		if (source->vector == vector && source->fd >= 0 && source->attached < 0 &&
		    poll(&entry, 1, 0) == 1)
			return true;
	}
	return false;
}

uint64_t msix_pending_read(const struct msix *msix, uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	for (unsigned bit = 0; bit < 8 * size; bit++) {
		uint64_t vector = offset * 8 + bit;

		if (vector < msix->vector_count && is_pending(msix, (unsigned)vector))
			value |= 1ULL << bit;
	}
	return value;
}

void msix_connect(struct msix *msix, unsigned source, int fd, uint16_t vector)
{
	msix_disconnect(msix, source);
	msix->sources[source].fd = fd;
	msix->sources[source].vector = vector;
}

void msix_disconnect(struct msix *msix, unsigned source)
{
	detach_vector(msix, &msix->sources[source]);
	msix->sources[source].fd = -1;
	msix->sources[source].vector = MSIX_NO_VECTOR;
}

void msix_raise(struct msix *msix, uint16_t vector)
{
	struct interrupt_message message;

	if (vector >= msix->vector_count || !(msix->control & MSIX_CONTROL_ENABLE))
		return;
	msix->vectors[vector].pending = masked(msix, vector);
	if (msix->vectors[vector].pending)
		return;
	message = message_of(msix, vector);
	msix->interrupts->ops->send(msix->interrupts, &message);
}
