/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A multiboot kernel of one page for tests: the command line's first letter
 * says what it does.
 *
 *   p	print a line and power off by ACPI	r	reset by port 0xcf9
 *   t	triple fault				x	write 0x2a to port 0xf4
 *   m	print whether MMIO to nowhere reads all ones, then power off
 *   e	echo one byte of input, then power off	s	spin
 *   d	print by the debug port, then power off	k	reset by port 0x64
 *   j	jump to nowhere (MMIO)
 */
#define COM1	0x3f8
#define PM1_CNT	0x604

	.code32
	.section .text
	.align 4
	.long	0x1badb002, 3, -(0x1badb002 + 3)

	.globl	_start
_start:
	cmpl	$0x2badb002, %eax
	jne	spin
	movl	$0x300000, %esp
	movl	16(%ebx), %esi		/* command line */
	movb	(%esi), %al
	cmpb	$'t', %al
	je	triple
	cmpb	$'x', %al
	je	exit_port
	cmpb	$'m', %al
	je	mmio
	cmpb	$'e', %al
	je	echo
	cmpb	$'d', %al
	je	debug
	cmpb	$'r', %al
	je	reset
	cmpb	$'k', %al
	je	reset_kbd
	cmpb	$'j', %al
	je	nowhere
	cmpb	$'p', %al
	jne	spin
	movl	$hello, %esi
	call	print

poweroff:
	movw	$PM1_CNT, %dx
	movw	$(5 << 10 | 1 << 13), %ax
	outw	%ax, %dx
spin:	pause
	jmp	spin

reset:	movw	$0xcf9, %dx
	movb	$6, %al
	outb	%al, %dx
	jmp	spin

reset_kbd:
	movb	$0xfe, %al
	outb	%al, $0x64
	jmp	spin

triple:	lidt	no_idt
	int3
	jmp	spin

exit_port:
	movw	$0xf4, %dx
	movl	$0x2a, %eax
	outl	%eax, %dx
	jmp	spin

mmio:	movl	$0xd0000000, %edi
	movl	$0x12345678, (%edi)
	movl	(%edi), %eax
	movl	$all_ones, %esi
	cmpl	$0xffffffff, %eax
	je	1f
	movl	$not_ones, %esi
1:	call	print
	jmp	poweroff

echo:	movw	$(COM1 + 5), %dx
1:	inb	%dx, %al
	testb	$1, %al
	jz	1b
	movw	$COM1, %dx
	inb	%dx, %al
	outb	%al, %dx
	jmp	poweroff

debug:	movl	$hello, %esi
	movl	$hello_len, %ecx
	movw	$0xe9, %dx
	rep	outsb
	jmp	poweroff

nowhere:
	movl	$0xd0000000, %eax
	jmp	*%eax

print:	movw	$COM1, %dx
1:	lodsb
	testb	%al, %al
	jz	2f
	outb	%al, %dx
	jmp	1b
2:	ret

hello:	.ascii	"hello from the guest\n"
	.set	hello_len, . - hello
	.byte	0
all_ones: .asciz "all ones\n"
not_ones: .asciz "something\n"
	.align	4
no_idt:	.word	0
	.long	0
