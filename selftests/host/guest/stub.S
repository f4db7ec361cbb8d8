/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What stands before the packed kernel in a guest's vmlinuz: unpack, and enter the kernel.
 *
 * In place of the kernel's own decompressor, which takes an emulated CPU half a minute. Entered
 * as boot.rst, "64-bit boot protocol", says: at offset 0x200, RSI boot_params, wherever the
 * image was loaded below 4 GiB. The image is moved above the kernel's place first.
 */
#define HIGH	high		/* where the image moves; given by repack.py */

	.section .head, "ax"
	.code32
	.globl	_start
_start:
	/* The 32-bit entry: no loader of ours takes it. */
	cli
1:	hlt
	jmp	1b

	.org	0x200
	.code64
entry64:
	cli
	cld
	movq	%rsi, %rbp
	leaq	_start(%rip), %rsi

	/* Once here and once after the move: the kernel may overwrite the first tables. */
	leaq	1f(%rip), %r8
	jmp	map
1:
	movl	$HIGH, %edi
	movl	header_bytes(%rip), %ecx
	shrl	$3, %ecx
	rep movsq
	movl	$HIGH, %eax
	addq	$(moved - _start), %rax
	jmp	*%rax

moved:	leaq	1f(%rip), %r8
	jmp	map
1:
	leaq	stack_top(%rip), %rsp
	leaq	payload(%rip), %rdi
	movl	header_packed(%rip), %esi
	movl	header_base(%rip), %edx
	call	unlz4
	movl	header_entry(%rip), %eax
	movq	%rbp, %rsi
	jmp	*%rax

	/*
	 * Map the first 4 GiB one to one, as the loader has mapped what it must and no more, and
	 * go on at R8: there is no stack yet.
	 */
map:
	leaq	tables(%rip), %rdi
	leaq	0x1003(%rdi), %rax	/* present, writable */
	movq	%rax, (%rdi)
	leaq	0x2003(%rdi), %rax
	movl	$4, %ecx
1:	movq	%rax, 0x1000(%rdi)
	addq	$0x1000, %rax
	addq	$8, %rdi
	loop	1b
	leaq	tables+0x2000(%rip), %rdi
	movl	$0x83, %eax		/* and 2M */
	movl	$2048, %ecx
2:	movq	%rax, (%rdi)
	addq	$0x200000, %rax
	addq	$8, %rdi
	loop	2b
	leaq	tables(%rip), %rax
	movq	%rax, %cr3
	jmp	*%r8

	.balign	8
	.globl	header
header:					/* filled in by repack.py */
header_bytes:	.long 0			/* of the whole image, a multiple of 8 */
header_packed:	.long 0			/* of the packed kernel */
header_base:	.long 0			/* physical address it unpacks to */
header_entry:	.long 0			/* physical address of its entry */

	.section .tail, "aw"
	.balign	4096
tables:
	.fill	0x6000
	.fill	0x1000
stack_top:
	.globl	payload
payload:
