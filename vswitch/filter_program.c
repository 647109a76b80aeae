/* SPDX-License-Identifier: BSD-2-Clause */
/* See filter_program.h. */
#include "vswitch/filter_program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/error.h"
#include "vswitch/pcap_library.h"

struct filter_program {
	struct pcap_library library;
	char expression[FILTER_EXPRESSION_MOST + 1];
	size_t reach;
	unsigned count;
	struct bpf_insn *code;
	struct filter_instruction *instructions; /* the same, for others */
};

/* ---- What a program reads ---- */

#define MSH_MOST 60u /* 4 * (byte & 15) */

static size_t load_size(uint16_t code)
{
	return BPF_SIZE(code) == BPF_W ? 4 : BPF_SIZE(code) == BPF_H ? 2 : 1;
}

/* Whether an instruction gives X a value of which no bound is known. (From the frame's length on, nothing is read.) */
static bool frees_x(const struct bpf_insn *at)
{
	if (BPF_CLASS(at->code) == BPF_MISC)
		return BPF_MISCOP(at->code) == BPF_TAX;
	return BPF_CLASS(at->code) == BPF_LDX && BPF_MODE(at->code) == BPF_MEM;
}

/* The farthest byte that can be read, whatever way the program goes; all of a frame where X may be anything. */
static size_t reach_of(const struct bpf_insn *code, unsigned count)
{
	size_t reach = 0, x = MSH_MOST;

	for (unsigned i = 0; i < count; i++) {
		if (frees_x(&code[i]))
			return VIRTIO_NET_FRAME_MAX;
		if (BPF_CLASS(code[i].code) == BPF_LDX && BPF_MODE(code[i].code) == BPF_IMM)
			x = MAX(x, (size_t)code[i].k);
	}
	for (unsigned i = 0; i < count; i++) {
		const struct bpf_insn *at = &code[i];
		size_t end = 0;

		if (BPF_CLASS(at->code) == BPF_LDX && BPF_MODE(at->code) == BPF_MSH)
			end = (size_t)at->k + 1;
		if (BPF_CLASS(at->code) == BPF_LD && BPF_MODE(at->code) == BPF_ABS)
			end = at->k + load_size(at->code);
		if (BPF_CLASS(at->code) == BPF_LD && BPF_MODE(at->code) == BPF_IND)
			end = at->k + x + load_size(at->code);
		reach = MAX(reach, end);
	}
	return MIN(reach, (size_t)VIRTIO_NET_FRAME_MAX);
}

/* ---- Making one ---- */

static int out_of_memory(struct error *error)
{
	return error_set(error, -ENOMEM, "filter: out of memory");
}

/* libpcap's own check lets programs jump back (it compiles `protochain` to that), and those may never end. */
static bool only_goes_on(const struct bpf_insn *code, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (code[i].code == (BPF_JMP | BPF_JA) && code[i].k >= count - i - 1)
			return false;
	return true;
}

/*
 * Whether it is one of the instructions that there are, bit by bit: libpcap's check looks at each field of a code for itself, and its
 * interpreter ends the process at what it does not know.
 */
static bool is_known(const struct bpf_insn *at)
{
	static const uint16_t codes[] = {
		BPF_LD | BPF_W | BPF_ABS,
		BPF_LD | BPF_H | BPF_ABS,
		BPF_LD | BPF_B | BPF_ABS,
		BPF_LD | BPF_W | BPF_IND,
		BPF_LD | BPF_H | BPF_IND,
		BPF_LD | BPF_B | BPF_IND,
		BPF_LD | BPF_W | BPF_LEN,
		BPF_LD | BPF_IMM,
		BPF_LD | BPF_MEM,
		BPF_LDX | BPF_W | BPF_LEN,
		BPF_LDX | BPF_IMM,
		BPF_LDX | BPF_MEM,
		BPF_LDX | BPF_B | BPF_MSH,
		BPF_ST,
		BPF_STX,
		BPF_ALU | BPF_NEG,
		BPF_JMP | BPF_JA,
		BPF_RET | BPF_K,
		BPF_RET | BPF_A,
		BPF_MISC | BPF_TAX,
		BPF_MISC | BPF_TXA,
	};
	uint16_t with_x = at->code & (uint16_t)~BPF_X;

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (at->code == codes[i])
			return true;
	switch (with_x) {
	case BPF_JMP | BPF_JEQ:
	case BPF_JMP | BPF_JGT:
	case BPF_JMP | BPF_JGE:
	case BPF_JMP | BPF_JSET:
	case BPF_ALU | BPF_ADD:
	case BPF_ALU | BPF_SUB:
	case BPF_ALU | BPF_MUL:
	case BPF_ALU | BPF_DIV:
	case BPF_ALU | BPF_MOD:
	case BPF_ALU | BPF_AND:
	case BPF_ALU | BPF_OR:
	case BPF_ALU | BPF_XOR:
		return true;
	case BPF_ALU | BPF_LSH:
	case BPF_ALU | BPF_RSH:
		return at->code != with_x || at->k < 32;
	default:
		return false;
	}
}

static bool all_known(const struct bpf_insn *code, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (!is_known(&code[i]))
			return false;
	return true;
}

/* Of `count` instructions at `code`, which are checked here. */
static int make(struct filter_program **out, const struct pcap_library *library,
		const char *expression, const struct bpf_insn *code, unsigned count,
		struct error *error)
{
	struct filter_program *program;

	if (!count || count > FILTER_PROGRAM_MOST)
		return error_set(error, -EINVAL,
				 "filter \"%.60s\": %u instructions, expected 1 to %u", expression,
				 count, FILTER_PROGRAM_MOST);
	if (!all_known(code, count) || !only_goes_on(code, count) ||
	    !library->bpf_validate(code, (int)count)) {
		error_set(error, -EINVAL,
			  "filter \"%.60s\": its program cannot be run: a jump back, or out "
			  "of it; an unknown instruction, or no end",
			  expression);
		error_advise(error, "of pcap-filter(7) all but protochain can be used");
		return -EINVAL;
	}
	program = calloc(1, sizeof(*program));
	if (!program)
		return out_of_memory(error);
	program->library = *library;
	strcpy(program->expression, expression);
	program->count = count;
	program->code = calloc(count, sizeof(*program->code));
	program->instructions = calloc(count, sizeof(*program->instructions));
	if (!program->code || !program->instructions) {
		filter_program_free(program);
		return out_of_memory(error);
	}
	memcpy(program->code, code, count * sizeof(*code));
	for (unsigned i = 0; i < count; i++)
		program->instructions[i] = (struct filter_instruction){ code[i].code, code[i].jt,
									code[i].jf, code[i].k };
	program->reach = reach_of(code, count);
	*out = program;
	return 0;
}

static int check_expression(const char *expression, struct error *error)
{
	if (strlen(expression) <= FILTER_EXPRESSION_MOST)
		return 0;
	return error_set(error, -EINVAL, "filter \"%.40s...\": %zu bytes long, at most %u fit",
			 expression, strlen(expression), FILTER_EXPRESSION_MOST);
}

int filter_program_compile(struct filter_program **out, const char *expression, struct error *error)
{
	struct pcap_library library;
	struct bpf_program compiled;
	pcap_t *pcap;
	int rc = check_expression(expression, error);

	if (!rc)
		rc = pcap_library_load(&library, error);
	if (rc)
		return rc;
	pcap = library.pcap_open_dead(DLT_EN10MB, VIRTIO_NET_FRAME_MAX);
	if (!pcap)
		return out_of_memory(error);
	if (library.pcap_compile(pcap, &compiled, expression, 1, PCAP_NETMASK_UNKNOWN)) {
		rc = error_set(error, -EINVAL, "filter \"%.60s\": %s", expression,
			       library.pcap_geterr(pcap));
	} else {
		rc = make(out, &library, expression, compiled.bf_insns, compiled.bf_len, error);
		library.pcap_freecode(&compiled);
	}
	library.pcap_close(pcap);
	return rc;
}

int filter_program_take(struct filter_program **out, const char *expression,
			const struct filter_instruction *instructions, unsigned count,
			struct error *error)
{
	struct bpf_insn code[FILTER_PROGRAM_MOST];
	struct pcap_library library;
	int rc = check_expression(expression, error);

	if (!rc)
		rc = pcap_library_load(&library, error);
	if (rc)
		return rc;
	for (unsigned i = 0; i < MIN(count, FILTER_PROGRAM_MOST); i++)
		code[i] = (struct bpf_insn){ instructions[i].code, instructions[i].jump_true,
					     instructions[i].jump_false, instructions[i].operand };
	return make(out, &library, expression, code, count, error);
}

void filter_program_free(struct filter_program *program)
{
	if (!program)
		return;
	free(program->code);
	free(program->instructions);
	free(program);
}

const char *filter_program_expression(const struct filter_program *program)
{
	return program->expression;
}

unsigned filter_program_instructions(const struct filter_program *program,
				     const struct filter_instruction **instructions)
{
	*instructions = program->instructions;
	return program->count;
}

size_t filter_program_reach(const struct filter_program *program)
{
	return program->reach;
}

/* ---- Running ---- */

bool filter_program_matches(const struct filter_program *program, const struct frame *frame,
			    uint8_t *room)
{
	size_t needed, there = frame->pieces[0].iov_len;
	const uint8_t *at = frame->pieces[0].iov_base;

	if (!program)
		return true;
	needed = MIN(program->reach, (size_t)frame->length);
	if (there < needed) {
		frame_copy_out(frame->pieces, frame->count, 0, room, needed);
		at = room;
		there = needed;
	}
	return program->library.bpf_filter(program->code, at, frame->length, (u_int)there) != 0;
}
