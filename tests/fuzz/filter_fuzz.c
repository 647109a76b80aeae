/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A filter's program from somebody else, and a frame: the first byte is how many instructions of 8 bytes follow, the second how much of the frame
 * lies in its first piece; the rest is the frame. What is taken ends, reads nothing outside of the frame, and decides as libpcap does on the
 * frame in one.
 */
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "vswitch/filter_program.h"

#define MOST 255u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Without stores libpcap's memory is whatever it is. */
static bool uses_memory(const struct filter_instruction *code, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if ((BPF_CLASS(code[i].code) == BPF_LD || BPF_CLASS(code[i].code) == BPF_LDX) &&
		    BPF_MODE(code[i].code) == BPF_MEM)
			return true;
	return false;
}

static bool whole_matches(const struct filter_instruction *code, unsigned count,
			  const uint8_t *bytes, size_t length)
{
	struct bpf_insn copy[MOST];

	for (unsigned i = 0; i < count; i++)
		copy[i] = (struct bpf_insn){ code[i].code, code[i].jump_true, code[i].jump_false,
					     code[i].operand };
	return bpf_filter(copy, bytes, (u_int)length, (u_int)length) != 0;
}

static void run(const struct filter_program *program, const struct filter_instruction *code,
		unsigned count, const uint8_t *bytes, size_t length, size_t first)
{
	static uint8_t room[VIRTIO_NET_FRAME_MAX];
	/* Of their own, so that a byte beyond either is seen. */
	uint8_t *head = malloc(MAX(first, 1u)), *rest = malloc(MAX(length - first, 1u));
	struct iovec pieces[] = { { head, first }, { rest, length - first } };
	struct frame frame = { .pieces = pieces, .count = 2, .length = (uint32_t)length };
	bool matches;

	memcpy(head, bytes, first);
	memcpy(rest, bytes + first, length - first);
	matches = filter_program_matches(program, &frame, room);
	if (!uses_memory(code, count) && matches != whole_matches(code, count, bytes, length))
		abort();
	free(head);
	free(rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct filter_instruction code[MOST];
	struct filter_program *program;
	unsigned count;
	size_t first;

	if (size < 2 || size - 2 < data[0] * 8u)
		return 0;
	count = data[0];
	first = data[1];
	data += 2;
	size -= 2;
	for (unsigned i = 0; i < count; i++, data += 8, size -= 8)
		code[i] = (struct filter_instruction){ get_be16(data), data[2], data[3],
						       get_be32(data + 4) };
	if (size > VIRTIO_NET_FRAME_MAX || size < VIRTIO_NET_FRAME_MIN ||
	    filter_program_take(&program, "", code, count, NULL))
		return 0;
	run(program, code, count, data, size, MIN(first, size));
	filter_program_free(program);
	return 0;
}
