/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The boot sector of the emulated host: from the BIOS to a kernel that lies in memory already.
 *
 * The emulator puts the kernel's segments, the initrd and a boot block (block.py) into memory
 * before the machine starts, so nothing is read or unpacked here: ask the BIOS for its memory
 * map, copy it to boot_params, and enter the kernel in long mode as Documentation/x86/boot.rst,
 * "64-bit boot protocol", demands.
 */
#define BLOCK		0xe00000	/* boot_params, then what block.py puts behind */
#define PML4		(BLOCK + 0x1000)
#define ENTRY		(BLOCK + 0x7ff8)
#define MAP		0x9000		/* scratch for the BIOS's memory map */
#define E820_ENTRIES	(BLOCK + 0x1e8)
#define E820_TABLE	(BLOCK + 0x2d0)
#define E820_SIZE	20

	.code16
	.globl	_start
_start:
	cli
	cld
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$_start, %sp

	/* INT 15h, E820h: EBX is the BIOS's cursor, zero at the start and after the last. */
	xorl	%ebx, %ebx
	xorl	%ebp, %ebp		/* entries so far */
	movw	$MAP, %di
1:	movl	$0xe820, %eax
	movl	$E820_SIZE, %ecx
	movl	$0x534d4150, %edx	/* "SMAP" */
	int	$0x15
	jc	2f
	incl	%ebp
	addw	$E820_SIZE, %di
	testl	%ebx, %ebx
	jnz	1b
2:	inb	$0x92, %al		/* A20 on */
	orb	$2, %al
	outb	%al, $0x92
	lgdt	gdt_pointer
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	ljmpl	$0x08, $protected

	.code32
protected:
	movw	$0x18, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	%ebp, %eax
	movb	%al, E820_ENTRIES
	imull	$E820_SIZE, %ebp, %ecx
	movl	$MAP, %esi
	movl	$E820_TABLE, %edi
	rep movsb

	movl	%cr4, %eax
	orl	$0x20, %eax		/* PAE */
	movl	%eax, %cr4
	movl	$PML4, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx	/* EFER.LME */
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	%cr0, %eax
	orl	$0x80000000, %eax
	movl	%eax, %cr0
	ljmpl	$0x10, $long

	.code64
long:
	movl	$BLOCK, %esi
	movl	$ENTRY, %eax
	jmp	*(%rax)

	/* The boot protocol wants code at 0x10 and data at 0x18. */
	.balign	8
gdt:
	.quad	0
	.quad	0x00cf9a000000ffff	/* 0x08: 32-bit code */
	.quad	0x00af9a000000ffff	/* 0x10: 64-bit code */
	.quad	0x00cf92000000ffff	/* 0x18: data */
gdt_pointer:
	.word	. - gdt - 1
	.long	gdt

	.org	510
	.word	0xaa55
