/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which frames an expression is about: libpcap's language (pcap-filter(7)), compiled to a BPF program that is run on the frame as it
 * stands at a port, with its tag.
 *
 * A program comes from somebody else than the switch, which looks at it before it runs it: it has at most FILTER_PROGRAM_MOST
 * instructions, only jumps forward, and reads nothing outside of the frame. So it ends, and costs no more than its instructions.
 *
 * A frame lies in pieces, a program wants it in one. How far into a frame a program can look follows from its instructions, mostly;
 * where that is within the head, which a sender cannot change any more, it runs there. Else the frame's beginning is copied first.
 */
#ifndef TENON_VSWITCH_FILTER_PROGRAM_H
#define TENON_VSWITCH_FILTER_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vswitch/frame.h"

struct error;
struct filter_program;

#define FILTER_EXPRESSION_MOST 1024u /* bytes */
#define FILTER_PROGRAM_MOST    4096u /* instructions, as the kernel has it: BPF_MAXINSNS */

/* An instruction, as in struct bpf_insn. */
struct filter_instruction {
	uint16_t code;
	uint8_t jump_true, jump_false;
	uint32_t operand;
};

/*
 * Compiles `expression`; "" is all frames. Names of hosts in it are looked up, which may take its time: not for a thread that
 * somebody waits for. -EINVAL with what libpcap says of it, or that it is too long; -ENOMEM.
 */
int filter_program_compile(struct filter_program **out, const char *expression,
			   struct error *error);

/* Takes a program that somebody else has compiled of `expression`. -EINVAL: it is none that can be run. */
int filter_program_take(struct filter_program **out, const char *expression,
			const struct filter_instruction *instructions, unsigned count,
			struct error *error);

/* NULL is fine. */
void filter_program_free(struct filter_program *program);

const char *filter_program_expression(const struct filter_program *program);
unsigned filter_program_instructions(const struct filter_program *program,
				     const struct filter_instruction **instructions);

/* How many bytes of a frame it may look at: it is run on that many. */
size_t filter_program_reach(const struct filter_program *program);

/* `room`: VIRTIO_NET_FRAME_MAX bytes to copy to. A NULL program matches all. */
bool filter_program_matches(const struct filter_program *program, const struct frame *frame,
			    uint8_t *room);

#endif
