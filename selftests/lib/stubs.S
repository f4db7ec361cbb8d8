/* SPDX-License-Identifier: GPL-2.0-only */
/* stubs: the guest's interrupt entry points and its way to CPL 3 and back */

#define SEL_UDATA	0x20
#define SEL_UCODE64	0x28

	.text

/*
 * 256 stubs of 16 bytes. Those of vectors for which the CPU pushes no error
 * code push a zero, so that every frame has one.
 */
	.globl	guest_stubs
	.balign	16
guest_stubs:
	.set	vector, 0
	.rept	256
	.balign	16
	.if	vector != 8 && vector != 17 && vector != 21 && \
		(vector < 10 || vector > 14)
	push	$0
	.endif
	push	$vector
	jmp	guest_common
	.set	vector, vector + 1
	.endr
	.balign	16

guest_common:
	push	%rax
	push	%rcx
	push	%rdx
	push	%rbx
	push	%rbp
	push	%rsi
	push	%rdi
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	cld
	mov	%rsp, %rdi
	mov	%rsp, %rbx
	and	$-16, %rsp
	call	guest_trap
	mov	%rbx, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdi
	pop	%rsi
	pop	%rbp
	pop	%rbx
	pop	%rdx
	pop	%rcx
	pop	%rax
	add	$16, %rsp
	.globl	guest_iret
guest_iret:
	iretq

/*
 * u64 guest_user_call(u64 (*fn)(u64), u64 arg): the CPL 3 function runs on
 * guest_user_stack; TSS.RSP0 (which vm_create() set below the top of this
 * vCPU's stack area) is not where this function's frame lies, so a trap from
 * CPL 3 leaves it alone.
 */
	.globl	guest_user_call
guest_user_call:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, guest_kernel_rsp(%rip)
	mov	%rdi, %rax
	mov	%rsi, %rdi
	lea	guest_user_top(%rip), %rdx
	push	$SEL_UDATA | 3
	push	%rdx
	push	$2
	push	$SEL_UCODE64 | 3
	lea	1f(%rip), %rdx
	push	%rdx
	iretq
1:	call	*%rax
	int	$0xfe

/* the gate of USER_DONE_VECTOR */
	.globl	guest_user_done
guest_user_done:
	mov	guest_kernel_rsp(%rip), %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

	.bss
	.balign	16
guest_kernel_rsp:
	.quad	0
	.balign	4096
	.space	8192
guest_user_top:
	.space	16

	.section .note.GNU-stack, "", @progbits
