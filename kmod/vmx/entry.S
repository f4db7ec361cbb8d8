/* SPDX-License-Identifier: GPL-2.0-only */
/* The way into the guest and back: general registers, and what speculation needs. */
#include <linux/linkage.h>
#include <asm/alternative.h>
#include <asm/asm.h>
#include <asm/cpufeatures.h>
#include <asm/nospec-branch.h>
#include <asm/segment.h>
#include <asm/unwind_hints.h>

#include "entry.h"

#define HOST_RSP_FIELD	0x6c14

.section .noinstr.text, "ax"

/*
 * int vmx_enter(struct vmx_enter_args *args, unsigned int flags)
 *
 * Interrupts off, our VMCS current. 0 after an exit; 1 when the instruction
 * failed or faulted.
 */
SYM_FUNC_START(vmx_enter)
	push	%rbp
	mov	%rsp, %rbp
	push	%r15
	push	%r14
	push	%r13
	push	%r12
	push	%rbx
	push	%rdi
	UNWIND_HINT_SAVE

	mov	$HOST_RSP_FIELD, %eax
	vmwrite	%rsp, %rax

	/* The guest's SPEC_CTRL, if it is not the host's. */
	test	$VMX_ENTER_SPEC_CTRL, %esi
	jz	1f
	mov	$0x48, %ecx
	mov	ARGS_SPEC_GUEST(%rdi), %eax
	xor	%edx, %edx
	wrmsr
1:
	/* What the CPU's buffers hold of the host must not be sampled by the guest. */
	test	$VMX_ENTER_VERW, %esi
	jz	2f
	verw	vmx_verw_sel(%rip)
2:
	mov	ARGS_REGS(%rdi), %rax
	/* mov leaves the flags alone, so the choice is made before the registers go. */
	test	$VMX_ENTER_RESUME, %esi

	mov	GPR_RCX(%rax), %rcx
	mov	GPR_RDX(%rax), %rdx
	mov	GPR_RBX(%rax), %rbx
	mov	GPR_RBP(%rax), %rbp
	mov	GPR_RSI(%rax), %rsi
	mov	GPR_RDI(%rax), %rdi
	mov	GPR_R8(%rax), %r8
	mov	GPR_R9(%rax), %r9
	mov	GPR_R10(%rax), %r10
	mov	GPR_R11(%rax), %r11
	mov	GPR_R12(%rax), %r12
	mov	GPR_R13(%rax), %r13
	mov	GPR_R14(%rax), %r14
	mov	GPR_R15(%rax), %r15
	mov	GPR_RAX(%rax), %rax

	jz	.Llaunch
.Lresume:
	vmresume
	jmp	.Lfail
.Llaunch:
	vmlaunch
	jmp	.Lfail
	_ASM_EXTABLE(.Lresume, .Lfail)
	_ASM_EXTABLE(.Llaunch, .Lfail)

SYM_INNER_LABEL(vmx_exit_here, SYM_L_GLOBAL)
	UNWIND_HINT_RESTORE
	ENDBR

	push	%rax
	mov	8(%rsp), %rax
	mov	ARGS_REGS(%rax), %rax
	pop	GPR_RAX(%rax)
	mov	%rcx, GPR_RCX(%rax)
	mov	%rdx, GPR_RDX(%rax)
	mov	%rbx, GPR_RBX(%rax)
	mov	%rbp, GPR_RBP(%rax)
	mov	%rsi, GPR_RSI(%rax)
	mov	%rdi, GPR_RDI(%rax)
	mov	%r8, GPR_R8(%rax)
	mov	%r9, GPR_R9(%rax)
	mov	%r10, GPR_R10(%rax)
	mov	%r11, GPR_R11(%rax)
	mov	%r12, GPR_R12(%rax)
	mov	%r13, GPR_R13(%rax)
	mov	%r14, GPR_R14(%rax)
	mov	%r15, GPR_R15(%rax)
	xor	%eax, %eax

.Lout:
	/*
	 * No guest value may steer speculation: registers that are not
	 * overwritten below are cleared.
	 */
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%ebp, %ebp
	xor	%esi, %esi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	xor	%r12d, %r12d
	xor	%r13d, %r13d
	xor	%r14d, %r14d
	xor	%r15d, %r15d

	/*
	 * IMPORTANT: fill the RSB, then give the host its SPEC_CTRL, both
	 * before the first RET whose CALL was made before the exit.
	 */
	FILL_RETURN_BUFFER %rbx, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT, \
			   X86_FEATURE_RSB_VMEXIT_LITE

	mov	(%rsp), %rdi
	cmpb	$0, ARGS_SPEC_SWAP(%rdi)
	je	3f
	mov	%eax, %ebx
	mov	$0x48, %ecx
	rdmsr
	mov	%eax, ARGS_SPEC_GUEST(%rdi)
	mov	ARGS_SPEC_HOST(%rdi), %eax
	xor	%edx, %edx
	wrmsr
	mov	%ebx, %eax
	xor	%ecx, %ecx
3:
	/* The branch above may be mispredicted: no RET with the guest's SPEC_CTRL. */
	lfence
#ifdef EMYS_CLEAR_BHB
	ALTERNATIVE "jmp .Lbhb_done", "", X86_FEATURE_CLEAR_BHB_LOOP_ON_VMEXIT
	/* It uses RAX and RCX. */
	push	%rax
	call	clear_bhb_loop
	pop	%rax
.Lbhb_done:
#endif
	pop	%rdi
	pop	%rbx
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
	pop	%rbp
	RET

.Lfail:
	/*
	 * The guest's registers are in the CPU but the guest did not run.
	 * RBP is the guest's; the stack pointer never changed.
	 */
	mov	$1, %eax
	jmp	.Lout
SYM_FUNC_END(vmx_enter)

.section .rodata
	.balign	2
SYM_DATA(vmx_verw_sel, .word __KERNEL_DS)
