/* SPDX-License-Identifier: GPL-2.0-only */
/* l2: L1's way into L2 and back */

	.text

	.macro	each_reg op
	\op	rax, 0
	\op	rcx, 1
	\op	rdx, 2
	\op	rbx, 3
	\op	rbp, 4
	\op	rsi, 5
	\op	rdi, 6
	\op	r8, 7
	\op	r9, 8
	\op	r10, 9
	\op	r11, 10
	\op	r12, 11
	\op	r13, 12
	\op	r14, 13
	\op	r15, 14
	.endm

	.macro	load reg, slot
	mov	l2_regs + 8 * \slot(%rip), %\reg
	.endm

	.macro	save reg, slot
	mov	%\reg, l2_regs + 8 * \slot(%rip)
	.endm

	.macro	leave_l1
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret
	.endm

/*
 * u64 l2_enter(u64 resume): 0 after an exit of L2; 1 when the instruction failed, its flags
 * are in l2_flags then; FAULT(vector) when it faulted.
 */
	.globl	l2_enter
l2_enter:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, l1_rsp(%rip)
	test	%rdi, %rdi
	each_reg load
	jnz	1f
	/* ZF and PF are set: VMLAUNCH has to clear what it does not set */
771:	vmlaunch
	jmp	2f
1:	xor	%eax, %eax
	mov	l2_regs(%rip), %rax
772:	vmresume
2:	pushfq
	pop	l2_flags(%rip)
	mov	$1, %eax
	leave_l1
/* guest_trap() comes here with R8 = FAULT(vector) */
3:	mov	%r8, %rax
	leave_l1

	.pushsection guest_fixups, "a"
	.quad	771b, 3b
	.quad	772b, 3b
	.popsection

/* HOST_RIP */
	.globl	l2_exited
l2_exited:
	each_reg save
	mov	l1_rsp(%rip), %rsp
	xor	%eax, %eax
	leave_l1

/* where L2's function returns to */
	.globl	l2_end
l2_end:
	mov	$0x600d, %eax
	.globl	l2_end_call
l2_end_call:
	vmcall
	jmp	l2_end

	.bss
	.balign	8
l1_rsp:
	.quad	0
	.globl	l2_flags
l2_flags:
	.quad	0

	.section .note.GNU-stack, "", @progbits
