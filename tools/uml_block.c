/* SPDX-License-Identifier: BSD-2-Clause */
/* What a guest has open, as a block device here: data go through slots of the mailbox; see uml.h. */
#include <errno.h>
#include <stdlib.h>

#include "block/block.h"
#include "block/iov.h"
#include "block/layer.h"
#include "block/start.h"
#include "tools/uml.h"
#include "util/bytes.h"
#include "util/error.h"

struct uml_block {
	struct block block;
	struct uml *uml;
};

static unsigned take_slot(struct uml *uml)
{
	for (;;) {
		for (unsigned i = 0; i < UML_SLOTS; i++)
			if (!uml->slots[i]) {
				uml->slots[i] = true;
				return i;
			}
		fiber_queue_wait_always(&uml->slot_queue);
	}
}

static void give_slot(struct uml *uml, unsigned slot)
{
	uml->slots[slot] = false;
	fiber_queue_wake_one(&uml->slot_queue);
}

/* A part of a request that has room in a slot. */
static int transfer(struct uml *uml, bool write, uint64_t offset, uint64_t length,
		    struct iov_range *range, unsigned flags, uint64_t *took)
{
	unsigned slot = take_slot(uml);
	const struct uml_call call = { .kind = write ? UML_WRITE : UML_READ,
				       .slot = slot,
				       .flag = flags & BLOCK_FUA,
				       .offset = offset,
				       .length = (uint32_t)length };
	CLEANUP_FREE char *bytes = malloc(length);
	int rc = bytes ? 0 : -ENOMEM;

	if (!rc && write) {
		iov_copy_out(range, bytes, length);
		rc = block_write(uml->mailbox, (uint64_t)slot * UML_SLOT, bytes, length, 0);
	}
	if (!rc)
		rc = uml_ask_device(uml, &call, took);
	if (!rc && !write) {
		rc = block_read(uml->mailbox, (uint64_t)slot * UML_SLOT, bytes, length);
		iov_copy_in(range, bytes, length);
	}
	give_slot(uml, slot);
	return rc;
}

/* The oldest is forgotten. */
static void note_time(struct uml *uml, uint64_t offset, uint64_t ns)
{
	uml->took[uml->took_next].offset = offset;
	uml->took[uml->took_next].ns = ns;
	uml->took_next = (uml->took_next + 1) % UML_TOOK;
}

uint64_t uml_latency(const struct uml *uml, uint64_t offset)
{
	for (unsigned i = 0; i < UML_TOOK; i++) {
		unsigned at = (uml->took_next + UML_TOOK - 1 - i) % UML_TOOK;

		if (uml->took[at].offset == offset && uml->took[at].ns)
			return uml->took[at].ns;
	}
	return 0;
}

static int transfer_parts(struct block *block, bool write, uint64_t offset, uint64_t length,
			  const struct iovec *iov, unsigned count, unsigned flags)
{
	struct uml_block *guest = container_of(block, struct uml_block, block);
	struct iov_range range = iov_range_of(iov, count);
	uint64_t took = 0, begin = offset;
	int rc = 0;

	for (uint64_t step; length && !rc; offset += step, length -= step) {
		step = MIN(length, UML_SLOT);
		rc = transfer(guest->uml, write, offset, step, &range, flags, &took);
	}
	note_time(guest->uml, begin, took);
	return rc;
}

static int guest_readv(struct block *block, uint64_t offset, uint64_t length,
		       const struct iovec *iov, unsigned count)
{
	return transfer_parts(block, false, offset, length, iov, count, 0);
}

static int guest_writev(struct block *block, uint64_t offset, uint64_t length,
			const struct iovec *iov, unsigned count, unsigned flags)
{
	return transfer_parts(block, true, offset, length, iov, count, flags);
}

static int guest_flush(struct block *block)
{
	struct uml_block *guest = container_of(block, struct uml_block, block);
	const struct uml_call call = { .kind = UML_FLUSH };
	uint64_t took = 0;
	int rc = uml_ask_device(guest->uml, &call, &took);

	note_time(guest->uml, UINT64_MAX, took);
	return rc;
}

static void guest_close(struct block *block)
{
	free(container_of(block, struct uml_block, block));
}

static bool guest_begin(struct block *block, struct block_work *work)
{
	return block_start_on_fiber(block, work);
}

static const struct block_ops ops = {
	.type = "guest",
	.start = guest_begin,
	.readv = guest_readv,
	.writev = guest_writev,
	.flush = guest_flush,
	.close = guest_close,
};

int uml_block_create(struct uml *uml, const char *name, uint64_t size, struct block **out,
		     struct error *error)
{
	struct uml_block *guest = calloc(1, sizeof(*guest));
	const struct uml_call call = { .kind = UML_OPEN };
	int rc = guest ? uml_ask(uml, &call, name, NULL, NULL) : -ENOMEM;

	if (rc) {
		free(guest);
		return error_set(error, rc, "%s in the guest: %s", name, error_name(rc));
	}
	guest->uml = uml;
	block_init(&guest->block, &ops, name);
	guest->block.size = size;
	*out = &guest->block;
	return 0;
}
