/* SPDX-License-Identifier: BSD-2-Clause */
/* The switch between two stacks; context.c makes the first frame of a fresh one. See context.h. */
#if defined(__x86_64__) && !defined(TENON_FIBER_UCONTEXT)

	.text
	.globl	context_switch_sp
	.type	context_switch_sp, @function
	.p2align 4
context_switch_sp:			/* rdi: where to save, rsi: the stack to go on with */
	.cfi_startproc
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	subq	$8, %rsp
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	movl	(%rsp), %eax
	movzwl	4(%rsp), %ecx
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	/* Loading control words is slow, and hardly ever do they differ. */
	cmpl	%eax, (%rsp)
	jne	2f
1:	cmpw	%cx, 4(%rsp)
	jne	3f
4:	addq	$8, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	/* Not ret: the processor's return stack would always predict the other side's caller. */
	popq	%rcx
	jmp	*%rcx
2:	ldmxcsr	(%rsp)
	jmp	1b
3:	fldcw	4(%rsp)
	jmp	4b
	.cfi_endproc
	.size	context_switch_sp, . - context_switch_sp

#endif

	.section .note.GNU-stack, "", @progbits
