/* SPDX-License-Identifier: GPL-2.0-only */
/* Instruction forms, encoded by the assembler, with what to expect of them */

/*
 * I mode, "op access", instruction: access is r or w or rw and the size in
 * bytes; or - for an instruction outside the set, or ud for one that cannot be.
 * The assembler's labels say how long each is.
 */
.macro I mode, want, text:vararg
	.section .insns, "aw", @progbits
	.code\mode
991:	\text
992:
	.section .insn_strings, "aw", @progbits
993:	.asciz "\want"
994:	.asciz "\text"
	.section .insn_table, "aw", @progbits
	.balign 8
	.quad 991b, 992b - 991b, \mode, 993b, 994b
.endm

/* The same text in all three modes */
.macro ALL want, text:vararg
	I 16, "\want", \text
	I 32, "\want", \text
	I 64, "\want", \text
.endm

	.section .insn_table, "aw", @progbits
	.globl insn_forms
insn_forms:

/* MOV */
I 64, "mov w1", movb %al, (%rbx)
I 64, "mov w2", movw %ax, (%rbx)
I 64, "mov w4", movl %eax, (%rbx)
I 64, "mov w8", movq %rax, (%rbx)
I 64, "mov r1", movb (%rbx), %ch
I 64, "mov r2", movw 8(%rbx), %r9w
I 64, "mov r4", movl 0x12345(%rbx), %r15d
I 64, "mov r8", movq -1(%r13), %r8
I 64, "mov r4", movl (%r12), %eax
I 64, "mov r4", movl (%r13), %eax
I 64, "mov r4", movl (%rsp), %eax
I 64, "mov r4", movl (%rbp), %eax
I 64, "mov r4", movl (%rbx,%rcx,4), %eax
I 64, "mov r4", movl (%rbp,%r12,8), %eax
I 64, "mov r4", movl (%r13,%r12,8), %eax
I 64, "mov r4", movl 0x7f(%rbx,%rcx,2), %eax
I 64, "mov r4", movl 0x80(%rbx,%rcx,2), %eax
I 64, "mov r4", movl 0x1234(,%rcx,8), %eax
I 64, "mov r4", movl 0x1234, %eax
I 64, "mov r4", movl 0x1234(%rip), %eax
I 64, "mov r4", movl 0x1234(%eip), %eax
I 64, "mov r4", movl (%ebx), %eax
I 64, "mov r4", movl %fs:(%rbx), %eax
I 64, "mov r4", movl %gs:0x10, %eax
I 64, "mov w1", movb $0x5a, (%rbx)
I 64, "mov w2", movw $0x5a5a, (%rbx)
I 64, "mov w4", movl $0x12345678, (%rbx)
I 64, "mov w8", movq $-2, 8(%rbx)
I 64, "mov w4", movl $0x12345678, 0x1000(%rip)
I 64, "mov r1", movabsb 0x123456789abcdef0, %al
I 64, "mov r2", movabsw 0x123456789abcdef0, %ax
I 64, "mov r4", movabsl 0x123456789abcdef0, %eax
I 64, "mov r8", movabsq 0x123456789abcdef0, %rax
I 64, "mov w1", movabsb %al, 0x123456789abcdef0
I 64, "mov w8", movabsq %rax, 0x123456789abcdef0
I 64, "mov w4", addr32 movabsl %eax, 0x12345678
I 32, "mov w1", movb %bh, (%ebx)
I 32, "mov w2", movw %ax, (%ebx)
I 32, "mov w4", movl %eax, (%ebx)
I 32, "mov r4", movl 0x1234, %eax
I 32, "mov r4", movl 0x1234, %ecx
I 32, "mov r4", movl (%esi,%edi,8), %ecx
I 32, "mov r4", movl %ss:8(%eax), %ecx
I 32, "mov r4", movl (%bx,%si), %ecx
I 32, "mov r4", movl 0x1234(%bp,%di), %ecx
I 32, "mov r4", addr16 movl 0x1234, %ecx
I 32, "mov w4", movl $0x12345678, (%ebx)
I 32, "mov w2", movw $0x1234, (%ebx)
I 16, "mov w1", movb %al, (%bx)
I 16, "mov w2", movw %ax, (%bx,%si)
I 16, "mov w4", movl %eax, (%bp,%di)
I 16, "mov r2", movw 0x1234, %ax
I 16, "mov r2", movw 0x1234, %cx
I 16, "mov r2", movw %es:(%di), %cx
I 16, "mov r2", movw 5(%si), %cx
I 16, "mov r2", movw 0x500(%bp), %cx
I 16, "mov r2", movw (%bp), %cx
I 16, "mov r4", movl (%eax,%ebx,4), %ecx
I 16, "mov r2", movw (%eax), %cx
I 16, "mov w2", movw $0x1234, (%bx)
I 16, "mov w4", movl $0x12345678, (%bx)
I 16, "mov w1", movb $1, 0x7fff

/* extending loads */
I 64, "movzx r1", movzbw (%rbx), %ax
I 64, "movzx r1", movzbl (%rbx), %eax
I 64, "movzx r1", movzbq (%rbx), %r8
I 64, "movzx r2", movzwl (%rbx), %eax
I 64, "movzx r2", movzwq (%rbx), %rax
I 64, "movsx r1", movsbw (%rbx), %ax
I 64, "movsx r1", movsbl (%rbx), %eax
I 64, "movsx r1", movsbq (%rbx), %rax
I 64, "movsx r2", movswl (%rbx), %eax
I 64, "movsx r2", movswq 4(%rbx), %r12
I 64, "movsx r4", movslq (%rbx), %rax
I 32, "movzx r1", movzbl (%ebx), %eax
I 32, "movsx r2", movswl (%ebx), %eax
I 16, "movzx r1", movzbw (%bx), %ax
I 16, "movzx r2", movzwl (%bx), %eax

/* arithmetic */
.irp op, add, or, adc, sbb, and, sub, xor
I 64, "\op rw1", \op\()b %al, (%rbx)
I 64, "\op rw8", lock \op\()q %rax, (%rbx)
I 64, "\op r2", \op\()w (%rbx), %ax
I 64, "\op r1", \op\()b (%rbx), %sil
I 64, "\op rw1", \op\()b $0x80, (%rbx)
I 64, "\op rw2", \op\()w $0x1234, (%rbx)
I 64, "\op rw4", \op\()l $0x12345678, (%rbx)
I 64, "\op rw8", \op\()q $0x12345678, (%rbx)
I 64, "\op rw8", \op\()q $-1, (%rbx)
I 64, "\op rw2", \op\()w $-1, 0x100(%rbx)
I 32, "\op rw4", lock \op\()l %ecx, (%ebx)
I 32, "\op rw4", \op\()l $0x12345678, (%ebx)
I 16, "\op rw2", \op\()w $0x1234, (%bx)
I 16, "\op rw2", \op\()w $-1, (%bx)
I 16, "\op rw4", \op\()l $0x12345678, (%bx)
.endr
I 64, "cmp r1", cmpb %al, (%rbx)
I 64, "cmp r4", cmpl (%rbx), %eax
I 64, "cmp r8", cmpq $5, (%rbx)
I 64, "cmp r4", cmpl $0x12345678, 4(%rbx)
I 64, "test r1", testb $0x80, (%rbx)
I 64, "test r2", testw $0x1234, (%rbx)
I 64, "test r8", testq $0x12345678, (%rbx)
I 64, "test r4", testl %eax, (%rbx)
I 64, "not rw4", lock notl (%rbx)
I 64, "neg rw8", negq (%rbx)
I 64, "inc rw1", lock incb (%rbx)
I 64, "dec rw2", decw (%rbx)
I 32, "inc rw4", incl (%ebx)
I 16, "dec rw2", decw (%bx)

/* bits */
.irp op, bts, btr, btc
I 64, "\op rw2", \op\()w %ax, (%rbx)
I 64, "\op rw4", lock \op\()l %eax, (%rbx)
I 64, "\op rw8", \op\()q $63, (%rbx)
I 32, "\op rw4", \op\()l $5, (%ebx)
.endr
I 64, "bt r4", btl %eax, (%rbx)
I 64, "bt r8", btq $40, (%rbx)

/* exchanges */
I 64, "xchg rw1", xchgb %al, (%rbx)
I 64, "xchg rw4", xchgl %eax, (%rbx)
I 64, "xchg rw8", lock xchgq %r9, (%rbx)
I 64, "xadd rw1", lock xaddb %al, (%rbx)
I 64, "xadd rw8", xaddq %rax, (%rbx)
I 64, "cmpxchg rw1", cmpxchgb %cl, (%rbx)
I 64, "cmpxchg rw4", lock cmpxchgl %ecx, (%rbx)

I 64, "cmpxchg8b rw8", cmpxchg8b (%rbx)
I 64, "cmpxchg8b rw8", .byte 0x66, 0x0f, 0xc7, 0x0b
I 64, "cmpxchg8b rw16", lock cmpxchg16b (%rbx)
I 32, "cmpxchg8b rw8", lock cmpxchg8b 8(%ebx)
I 16, "cmpxchg8b rw8", cmpxchg8b (%bx)

/* shifts and rotates */
.irp op, rol, ror, rcl, rcr, shl, shr, sar
I 64, "\op rw1", \op\()b (%rbx)
I 64, "\op rw4", \op\()l (%rbx)
I 64, "\op rw2", \op\()w $3, 0x100(%rbx)
I 64, "\op rw8", \op\()q $63, (%rbx)
I 64, "\op rw1", \op\()b $7, (%rip)
I 64, "\op rw1", \op\()b %cl, (%rbx)
I 64, "\op rw8", \op\()q %cl, (%r13)
I 32, "\op rw4", \op\()l $3, (%ebx)
I 16, "\op rw2", \op\()w %cl, (%bx)
.endr
.irp op, shld, shrd
I 64, "\op rw2", \op\()w $3, %ax, (%rbx)
I 64, "\op rw4", \op\()l %cl, %r9d, (%rbx)
I 64, "\op rw8", \op\()q $40, %rax, (%rbx)
I 32, "\op rw4", \op\()l %cl, %eax, (%ebx)
.endr

/* multiplications and divisions */
.irp op, mul, imul, div, idiv
I 64, "\op r1", \op\()b (%rbx)
I 64, "\op r2", \op\()w (%rbx)
I 64, "\op r8", \op\()q (%rbx)
I 32, "\op r4", \op\()l (%ebx)
.endr
I 64, "imul r4", imull (%rbx), %eax
I 64, "imul r8", imulq $0x12345678, (%rbx), %r9
I 64, "imul r2", imulw $0x1234, (%rbx), %ax
I 64, "imul r4", imull $-2, (%rbx), %eax

/* the stack */
I 64, "push w8", pushq %rax
I 64, "push w8", pushq %r12
I 64, "push w2", pushw %ax
I 64, "push w8", pushq $0x12345678
I 64, "push w8", pushq $-2
I 64, "push w2", pushw $0x1234
I 64, "push w2", pushw $2
I 64, "push rw8", pushq 8(%rbx)
I 64, "push rw2", pushw %gs:(%rsp)
I 64, "push rw8", .byte 0x48, 0xff, 0x33	/* REX.W changes nothing */
I 64, "pop r8", popq %rsp
I 64, "pop r8", popq %r15
I 64, "pop r2", popw %ax
I 64, "pop rw8", popq (%rbx)
I 64, "pop rw8", popq 8(%rsp)
I 64, "pop rw2", popw (%ebx)
I 32, "push w4", pushl %eax
I 32, "push w2", pushw %ax
I 32, "push w4", pushl $0x12345678
I 32, "push w4", pushl $5
I 32, "push w2", pushw $0x1234
I 32, "push rw4", pushl 8(%eax)
I 32, "push rw2", pushw (%bx)
I 32, "pop r4", popl %ebp
I 32, "pop rw4", popl (%esp)
I 16, "push w2", pushw %ax
I 16, "push w4", pushl %eax
I 16, "push w2", pushw $0x1234
I 16, "push w4", pushl $0x12345678
I 16, "push rw2", pushw (%bx)
I 16, "pop r2", popw %ax
I 16, "pop rw2", popw (%bx,%si)
I 16, "pop rw4", popl 4(%esp)

/* others */
I 64, "mov w4", movntil %eax, (%rbx)
I 64, "mov w8", movntiq %rax, (%rbx)
I 64, "movbe r2", movbew (%rbx), %ax
I 64, "movbe r4", movbel (%rbx), %eax
I 64, "movbe r8", movbeq (%rbx), %rax
I 64, "movbe w2", movbew %ax, (%rbx)
I 64, "movbe w8", movbeq %rax, (%rbx)
I 64, "setcc w1", sete (%rbx)
I 64, "setcc w1", setg 5(%r8)
I 64, "cmovcc r4", cmovel (%rbx), %eax
I 64, "cmovcc r8", cmovaq (%rbx), %rax
I 64, "cmovcc r2", cmovbw (%rbx), %ax

/* strings */
ALL "stos w1", stosb
ALL "stos w2", rep stosw
ALL "stos w4", rep stosl
I 64, "stos w8", rep stosq
I 64, "stos w4", rep stosl %eax, %es:(%edi)
ALL "lods r1", lodsb
ALL "lods r4", lodsl
ALL "lods r2", lodsw %fs:(%esi), %ax
ALL "movs rw1", rep movsb
ALL "movs rw4", movsl
I 64, "movs rw8", rep movsq
ALL "movs rw2", movsw %gs:(%esi), %es:(%edi)
ALL "scas r1", repne scasb
ALL "scas r4", repe scasl
ALL "cmps r1", repe cmpsb
ALL "cmps r2", repne cmpsw
ALL "ins w1", insb
ALL "ins w2", rep insw
ALL "ins w4", rep insl
ALL "outs r1", outsb
ALL "outs r2", rep outsw %fs:(%esi), %dx
ALL "outs r4", rep outsl

/* SSE */
I 64, "mov r16", movdqu (%rbx), %xmm9
I 64, "mov w16", movdqu %xmm1, 0x100(%rbx)
I 64, "mov r16", movdqa (%rbx), %xmm1
I 64, "mov w16", movdqa %xmm1, (%rbx)
I 64, "mov r16", movups (%rbx), %xmm1
I 64, "mov w16", movups %xmm1, (%rbx)
I 64, "mov r16", movaps (%rbx), %xmm1
I 64, "mov w16", movaps %xmm1, (%rbx)
I 64, "mov r16", movupd (%rbx), %xmm1
I 64, "mov w16", movapd %xmm1, (%rbx)
I 64, "mov r4", movss (%rbx), %xmm1
I 64, "mov w4", movss %xmm1, (%rbx)
I 64, "mov r8", movsd (%rbx), %xmm1
I 64, "mov w8", movsd %xmm1, (%rbx)
I 64, "mov r4", movd (%rbx), %xmm1
I 64, "mov w4", movd %xmm1, (%rbx)
I 64, "mov r8", movq (%rbx), %xmm1
I 64, "mov w8", movq %xmm11, (%rbx)
I 64, "mov w16", movntdq %xmm1, (%rbx)
I 64, "mov w16", movntps %xmm1, (%rbx)
I 64, "mov r16", movntdqa (%rbx), %xmm1
I 64, "mov r16", lddqu (%rbx), %xmm1
I 32, "mov r16", movdqu (%ebx), %xmm1
I 16, "mov r16", movdqu (%bx), %xmm1

/* legal, not in the set */
I 64, "-", call *(%rbx)
I 64, "-", jmp *(%rbx)
I 64, "-", lcall *(%rbx)
I 64, "-", ljmp *(%rbx)
I 64, "-", vmovdqu (%rbx), %ymm1
I 32, "-", vmovdqu (%ebx), %xmm1
I 64, "-", vmovntdqa (%rbx), %xmm1
I 64, "-", vmovd %xmm1, (%rbx)
I 64, "-", vmovdqa %xmm1, (%rbx)
I 64, "-", vmovdqu64 (%rbx), %zmm1
I 64, "-", movq (%rbx), %mm1
I 64, "-", paddd (%rbx), %xmm1
I 64, "-", movhps (%rbx), %xmm1
I 64, "-", crc32b (%rbx), %eax
I 64, "-", crc32w (%rbx), %eax
I 64, "-", fldl (%rbx)
I 64, "-", fxsave (%rbx)
I 64, "-", clflush (%rbx)
I 64, "-", lgdt (%rbx)
I 64, "-", movl %eax, %ebx
I 64, "-", addl $5, %ebx
I 64, "-", movaps %xmm1, %xmm2
I 64, "-", nop
I 64, "-", hlt
I 64, "-", ret
I 64, "-", movq %cr0, %rax
I 64, "-", inb %dx, %al
I 64, "-", movw %ds, (%rbx)
I 64, "-", pushq %fs
I 64, "-", pushfq
I 64, "-", leave
I 32, "-", popal
I 64, "-", xsavec (%rbx)
I 64, "-", rdrand %eax
I 32, "-", arpl %ax, (%ebx)
I 32, "-", lds (%ebx), %eax
I 32, "-", lesl (%ebx), %eax
I 32, "-", bound %eax, (%ebx)
I 32, "-", incl %eax

/* what no CPU executes */
I 64, "ud", .byte 0xf0, 0x89, 0x03		/* lock mov */
I 64, "ud", .byte 0xf0, 0x8b, 0x03
I 64, "ud", .byte 0xf0, 0x39, 0x03		/* lock cmp */
I 64, "ud", .byte 0xf0, 0x85, 0x03		/* lock test */
I 64, "ud", .byte 0xf0, 0x03, 0x03		/* lock add to register */
I 64, "ud", .byte 0xf0, 0x01, 0xc3		/* lock add, no memory */
I 64, "ud", .byte 0xf0, 0x83, 0x3b, 0x00	/* lock cmp imm */
I 64, "ud", .byte 0xf0, 0xc7, 0x03, 0, 0, 0, 0	/* lock mov imm */
I 64, "ud", .byte 0xf0, 0xf6, 0x03, 0x00	/* lock test imm */
I 64, "ud", .byte 0xf0, 0x0f, 0xa3, 0x03	/* lock bt */
I 64, "ud", .byte 0xf0, 0x0f, 0xba, 0x23, 0x01	/* lock bt imm */
I 64, "ud", .byte 0xf0, 0xaa			/* lock stos */
I 64, "ud", .byte 0xf0, 0xf3, 0xa4		/* lock rep movs */
I 64, "ud", .byte 0xf0, 0x6c			/* lock ins */
I 64, "ud", .byte 0xf0, 0xa2, 0, 0, 0, 0, 0, 0, 0, 0
I 64, "ud", .byte 0xf0, 0x0f, 0xb6, 0x03	/* lock movzx */
I 64, "ud", .byte 0xf0, 0x0f, 0x94, 0x03	/* lock sete */
I 64, "ud", .byte 0xf0, 0x0f, 0x44, 0x03	/* lock cmove */
I 64, "ud", .byte 0xf0, 0x0f, 0xc3, 0x03	/* lock movnti */
I 64, "ud", .byte 0xf0, 0x0f, 0x38, 0xf1, 0x03	/* lock movbe */
I 64, "ud", .byte 0xf0, 0xf3, 0x0f, 0x6f, 0x03	/* lock movdqu */
I 64, "ud", .byte 0xf0, 0xc1, 0x23, 0x01	/* lock shl */
I 64, "ud", .byte 0xf0, 0xd3, 0x03		/* lock rol */
I 64, "ud", .byte 0xf0, 0x0f, 0xa5, 0x03	/* lock shld */
I 64, "ud", .byte 0xf0, 0xf7, 0x23		/* lock mul */
I 64, "ud", .byte 0xf0, 0x0f, 0xaf, 0x03	/* lock imul */
I 64, "ud", .byte 0xf0, 0x50			/* lock push */
I 64, "ud", .byte 0xf0, 0xff, 0x33
I 64, "ud", .byte 0xf0, 0x8f, 0x03		/* lock pop */
I 64, "ud", .byte 0x8f, 0x0b			/* 8F /1 */
I 64, "ud", .byte 0xc6, 0x0b, 0x00		/* C6 /1 */
I 64, "ud", .byte 0xc7, 0x33, 0, 0, 0, 0	/* C7 /6 */
I 64, "ud", .byte 0xfe, 0x13			/* FE /2 */
I 64, "ud", .byte 0xff, 0x3b			/* FF /7 */
I 64, "ud", .byte 0x0f, 0xba, 0x1b, 0x00	/* 0F BA /3 */
I 64, "ud", .byte 0x82, 0x03, 0x00		/* 82 in 64-bit mode */
I 64, "ud", .byte 0x66, 0x0f, 0xc3, 0x03	/* 66 movnti */
I 64, "ud", .byte 0xf3, 0x0f, 0xc3, 0x03
I 64, "ud", .byte 0x0f, 0xc3, 0xc3		/* movnti, no memory */
I 64, "ud", .byte 0x0f, 0x38, 0xf0, 0xc3	/* movbe, no memory */

/* encodings that the assembler does not choose */
I 32, "add rw1", .byte 0x82, 0x03, 0x05		/* alias of 80 */
I 64, "test r1", .byte 0xf6, 0x0b, 0x05		/* F6 /1, alias of /0 */
I 64, "mov r4", .byte 0x48, 0x2e, 0x8b, 0x03	/* REX, then a prefix: no REX */
I 64, "mov r8", .byte 0x40, 0x48, 0x8b, 0x03	/* the last REX counts */
I 64, "mov r8", .byte 0x66, 0x48, 0x8b, 0x03	/* REX.W wins over 66 */
I 64, "mov w4", .byte 0xf3, 0x89, 0x03		/* XRELEASE */
I 64, "mov r4", .byte 0x8b, 0x04, 0x20		/* SIB, no index */
I 64, "mov r4", .byte 0x8b, 0x04, 0xe0
I 64, "mov r4", .byte 0x42, 0x8b, 0x04, 0x20	/* index R12 */
I 64, "mov r4", .byte 0x8b, 0x04, 0x25, 0, 0, 0, 0
I 64, "mov r4", .byte 0x41, 0x8b, 0x04, 0x25, 0, 0, 0, 0
I 64, "mov r4", .byte 0x41, 0x8b, 0x05, 0, 0, 0, 0	/* still RIP-relative */
I 64, "mov r4", .byte 0x67, 0x8b, 0x05, 0, 0, 0, 0
I 64, "mov r8", .byte 0xf2, 0xf3, 0x0f, 0x7e, 0x03	/* the last of F2, F3 */
I 64, "shl rw4", .byte 0xc1, 0x33, 0x03	/* C1 /6, alias of /4 */
I 64, "ins w4", .byte 0x48, 0x6d		/* no 64-bit ports */

	.section .insn_table, "aw", @progbits
	.quad 0, 0, 0, 0, 0

	.section .note.GNU-stack, "", @progbits
