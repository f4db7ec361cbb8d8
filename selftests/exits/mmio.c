// SPDX-License-Identifier: GPL-2.0-only
/* exits/mmio: accesses to addresses without memory, through the decoder */
#include "vmm.h"

/*
 * The device is 12 KiB of plain storage on the host's side. Accesses may reach
 * it split into several exits (page crossing, more than 8 bytes): only the
 * result counts, and which kinds of exits were seen.
 */
#define DEV	GPA_MMIO
#define DEV_SIZE 0x3000
#define BUF	0x180000ull

static u8 dev[DEV_SIZE];
static unsigned int reads, writes;
static u32 last_len;

static void serve(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	u64 off;

	CHECK(run->mmio.phys_addr >= DEV &&
	      run->mmio.phys_addr + run->mmio.len <= DEV + DEV_SIZE);
	CHECK(run->mmio.len >= 1 && run->mmio.len <= 8);
	off = run->mmio.phys_addr - DEV;
	last_len = run->mmio.len;
	if (run->mmio.is_write) {
		memcpy(dev + off, run->mmio.data, run->mmio.len);
		writes++;
	} else {
		memset(run->mmio.data, 0xee, 8);
		memcpy(run->mmio.data, dev + off, run->mmio.len);
		reads++;
	}
}

/* answer the device until the next ucall */
static u64 serve_until_ucall(struct vcpu *vcpu)
{
	u32 reason;

	reads = writes = 0;
	for (;;) {
		reason = vcpu_exit(vcpu);
		if (reason == EXIT_UCALL)
			return vcpu->uc.cmd;
		if (reason != KVM_EXIT_MMIO)
			vcpu_bad_exit(vcpu, reason, KVM_EXIT_MMIO);
		serve(vcpu);
	}
}

static struct vcpu *start(void *fn)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	int i;

	for (i = 0; i < DEV_SIZE; i++)
		dev[i] = i * 5 + 3;
	vcpu_call(vcpu, fn, 0);
	return vcpu;
}

static void finish(struct vcpu *vcpu)
{
	CHECK_EQ(serve_until_ucall(vcpu), UCALL_DONE);
}

#define LOAD(insn, type, off)						\
	({								\
		type _v = (type)-1;					\
									\
		asm volatile(insn : "+a"(_v) : "S"(DEV + (off))		\
			     : "memory", "cc");				\
		_v;							\
	})

#define STORE(insn, value, off)						\
	asm volatile(insn : : "a"(value), "D"(DEV + (off)) : "memory", "cc")

static void guest_loads(void)
{
	u64 v;

	/* every size, and what becomes of the rest of the register */
	v = 0x1111111111111111ull;
	asm volatile("movb (%1), %%al" : "+a"(v) : "S"(DEV));
	GUEST_ASSERT_EQ(v, 0x1111111111111103ull);
	asm volatile("movw (%1), %%ax" : "+a"(v) : "S"(DEV));
	GUEST_ASSERT_EQ(v, 0x1111111111110803ull);
	asm volatile("movl (%1), %%eax" : "+a"(v) : "S"(DEV));
	GUEST_ASSERT_EQ(v, 0x120d0803ull);
	asm volatile("movq (%1), %%rax" : "+a"(v) : "S"(DEV));
	GUEST_ASSERT_EQ(v, 0x26211c17120d0803ull);
	/* AH, BPL, R15 */
	v = 0;
	asm volatile("movb (%1), %%ah" : "+a"(v) : "S"(DEV + 1));
	GUEST_ASSERT_EQ(v, 0x0800);
	asm volatile("push %%rbp; mov $-1, %%rbp; movb (%1), %%bpl\n"
		     "mov %%rbp, %0; pop %%rbp" : "=&a"(v) : "S"(DEV + 2));
	GUEST_ASSERT_EQ(v, 0xffffffffffffff0dull);
	asm volatile("movq (%1), %%r15; mov %%r15, %0" : "=a"(v)
		     : "S"(DEV + 8) : "r15");
	GUEST_ASSERT_EQ(v, 0x4e49443f3a35302bull);
	/* the accumulator form with a 64-bit address */
	asm volatile("movabs 0xd0000004, %%al" : "+a"(v));
	GUEST_ASSERT_EQ(v & 0xff, 0x17);
	asm volatile("movabs 0xd0000004, %%eax" : "=a"(v));
	GUEST_ASSERT_EQ(v, 0x26211c17);
	/* base, index, scale and displacement; RIP-relative */
	asm volatile("movl 0x10(%1, %2, 4), %%eax" : "=a"(v)
		     : "S"(DEV - 0x20), "D"(8ull));
	GUEST_ASSERT_EQ(v, 0x625d5853);
	asm volatile("movl %%gs:(%1), %%eax" : "=a"(v) : "S"(DEV));
	GUEST_ASSERT_EQ(v, 0x120d0803);
	/* a 32-bit address */
	asm volatile("movl (%%esi), %%eax" : "=a"(v)
		     : "S"(DEV | 0xabcd00000000ull));
	GUEST_ASSERT_EQ(v, 0x120d0803);
}

/* MOV from the device in all sizes and address forms. */
static void test_loads(void)
{
	finish(start(guest_loads));
}

static void guest_extend(void)
{
	u64 v;

	/* byte 25 is 128: its sign is set */
	asm volatile("movzbl (%1), %%eax" : "=a"(v) : "S"(DEV + 25));
	GUEST_ASSERT_EQ(v, 0x80);
	asm volatile("movzbq (%1), %%rax" : "=a"(v) : "S"(DEV + 25));
	GUEST_ASSERT_EQ(v, 0x80);
	v = -1ull;
	asm volatile("movzbw (%1), %%ax" : "+a"(v) : "S"(DEV + 25));
	GUEST_ASSERT_EQ(v, 0xffffffffffff0080ull);
	asm volatile("movzwl (%1), %%eax" : "=a"(v) : "S"(DEV + 25));
	GUEST_ASSERT_EQ(v, 0x8580);
	asm volatile("movsbl (%1), %%eax" : "=a"(v) : "S"(DEV + 25));
	GUEST_ASSERT_EQ(v, 0xffffff80ull);
	asm volatile("movsbq (%1), %%rax" : "=a"(v) : "S"(DEV + 25));
	GUEST_ASSERT_EQ(v, 0xffffffffffffff80ull);
	asm volatile("movswq (%1), %%rax" : "=a"(v) : "S"(DEV + 25));
	GUEST_ASSERT_EQ(v, 0xffffffffffff8580ull);
	asm volatile("movslq (%1), %%rax" : "=a"(v) : "S"(DEV + 25));
	GUEST_ASSERT_EQ(v, 0xffffffff8f8a8580ull);
}

/* MOVZX, MOVSX and MOVSXD from the device. */
static void test_extend(void)
{
	finish(start(guest_extend));
}

static void guest_stores(void)
{
	STORE("movb %%al, (%%rdi)", 0x8877665544332211ull, 0x100);
	STORE("movw %%ax, (%%rdi)", 0x8877665544332211ull, 0x110);
	STORE("movl %%eax, (%%rdi)", 0x8877665544332211ull, 0x120);
	STORE("movq %%rax, (%%rdi)", 0x8877665544332211ull, 0x130);
	STORE("movb %%ah, (%%rdi)", 0x8877665544332211ull, 0x140);
	STORE("movb $0x5a, (%%rdi)", 0, 0x150);
	STORE("movw $0x5a5b, (%%rdi)", 0, 0x160);
	STORE("movl $0x5a5b5c5d, (%%rdi)", 0, 0x170);
	STORE("movq $-2, (%%rdi)", 0, 0x180);
	asm volatile("movabs %%al, 0xd0000190" : : "a"(0x77ull));
	asm volatile("movabs %%rax, 0xd00001a0"
		     : : "a"(0x1020304050607080ull));
	asm volatile("mov $0x99, %%r9d; movl %%r9d, (%0)"
		     : : "D"(DEV + 0x1b0) : "r9", "memory");
}

static u64 dev_at(u64 off, unsigned int size)
{
	u64 v = 0;

	memcpy(&v, dev + off, size);
	return v;
}

/* MOV to the device in all sizes, from registers and immediates. */
static void test_stores(void)
{
	struct vcpu *vcpu = start(guest_stores);

	memset(dev, 0, sizeof(dev));
	finish(vcpu);
	CHECK_EQ(dev_at(0x100, 8), 0x11);
	CHECK_EQ(dev_at(0x110, 8), 0x2211);
	CHECK_EQ(dev_at(0x120, 8), 0x44332211);
	CHECK_EQ(dev_at(0x130, 8), 0x8877665544332211ull);
	CHECK_EQ(dev_at(0x140, 8), 0x22);
	CHECK_EQ(dev_at(0x150, 8), 0x5a);
	CHECK_EQ(dev_at(0x160, 8), 0x5a5b);
	CHECK_EQ(dev_at(0x170, 8), 0x5a5b5c5d);
	CHECK_EQ(dev_at(0x180, 8), -2ll);
	CHECK_EQ(dev_at(0x190, 8), 0x77);
	CHECK_EQ(dev_at(0x1a0, 8), 0x1020304050607080ull);
	CHECK_EQ(dev_at(0x1b0, 8), 0x99);
	CHECK_EQ(reads, 0);
	CHECK_EQ(writes, 12);
}

static void guest_rmw(void)
{
	volatile u32 *r = (u32 *)(DEV + 0x200);
	u32 old;
	u64 fl;

	r[0] = 0x10;
	asm volatile("addl $5, %0" : "+m"(r[0]));
	GUEST_ASSERT_EQ(r[0], 0x15);
	asm volatile("subl %1, %0" : "+m"(r[0]) : "r"(0x10));
	GUEST_ASSERT_EQ(r[0], 5);
	asm volatile("orl $0xf0, %0" : "+m"(r[0]));
	GUEST_ASSERT_EQ(r[0], 0xf5);
	asm volatile("andl %1, %0" : "+m"(r[0]) : "r"(0xf0));
	GUEST_ASSERT_EQ(r[0], 0xf0);
	asm volatile("xorb $0xff, %0" : "+m"(r[0]));
	GUEST_ASSERT_EQ(r[0], 0x0f);
	asm volatile("incl %0" : "+m"(r[0]));
	GUEST_ASSERT_EQ(r[0], 0x10);
	asm volatile("decl %0" : "+m"(r[0]));
	GUEST_ASSERT_EQ(r[0], 0x0f);
	asm volatile("notl %0" : "+m"(r[0]));
	GUEST_ASSERT_EQ(r[0], 0xfffffff0);
	asm volatile("negl %0" : "+m"(r[0]));
	GUEST_ASSERT_EQ(r[0], 0x10);
	asm volatile("stc; adcl $0, %0" : "+m"(r[0]) : : "cc");
	GUEST_ASSERT_EQ(r[0], 0x11);
	old = 0x1234;
	asm volatile("xchgl %0, %1" : "+r"(old), "+m"(r[0]));
	GUEST_ASSERT_EQ(old, 0x11);
	GUEST_ASSERT_EQ(r[0], 0x1234);
	/* locked and bit forms */
	asm volatile("lock orl $1, %0" : "+m"(r[0]));
	GUEST_ASSERT_EQ(r[0], 0x1235);
	asm volatile("btsl $31, %0" : "+m"(r[0]) : : "cc");
	GUEST_ASSERT_EQ(r[0], 0x80001235);
	asm volatile("btrl $0, %0; pushfq; pop %1"
		     : "+m"(r[0]), "=r"(fl) : : "cc");
	GUEST_ASSERT_EQ(r[0], 0x80001234);
	GUEST_ASSERT_EQ(fl & 1, 1);
	/* flags of what only reads */
	r[1] = 7;
	asm volatile("cmpl $7, %1; pushfq; pop %0" : "=r"(fl) : "m"(r[1])
		     : "cc");
	GUEST_ASSERT_EQ(fl & 0x40, 0x40);
	asm volatile("cmpl %2, %1; pushfq; pop %0" : "=r"(fl)
		     : "m"(r[1]), "r"(8) : "cc");
	GUEST_ASSERT_EQ(fl & 0x41, 1);
	asm volatile("testb $8, %1; pushfq; pop %0" : "=r"(fl) : "m"(r[1])
		     : "cc");
	GUEST_ASSERT_EQ(fl & 0x40, 0x40);
	asm volatile("btl $2, %1; pushfq; pop %0" : "=r"(fl) : "m"(r[1])
		     : "cc");
	GUEST_ASSERT_EQ(fl & 1, 1);
	/* register destination */
	old = 3;
	asm volatile("addl %1, %0" : "+r"(old) : "m"(r[1]) : "cc");
	GUEST_ASSERT_EQ(old, 10);
	asm volatile("andl %1, %0" : "+r"(old) : "m"(r[1]) : "cc");
	GUEST_ASSERT_EQ(old, 2);
}

/* Read-modify-write and compare forms give results and flags. */
static void test_rmw(void)
{
	finish(start(guest_rmw));
}

static void guest_string(void)
{
	u64 rdi, rsi, rcx;
	u8 *buf = (u8 *)BUF;
	int i;

	asm volatile("rep stosb" : "=D"(rdi), "=c"(rcx)
		     : "0"(DEV + 0x300), "1"(16ull), "a"(0xab) : "memory");
	GUEST_ASSERT_EQ(rdi, DEV + 0x310);
	GUEST_ASSERT_EQ(rcx, 0);
	asm volatile("rep stosl" : "=D"(rdi), "=c"(rcx)
		     : "0"(DEV + 0x320), "1"(8ull), "a"(0x01020304)
		     : "memory");
	GUEST_ASSERT_EQ(rdi, DEV + 0x340);
	asm volatile("std; stosq; cld" : "=D"(rdi)
		     : "0"(DEV + 0x348), "a"(0x1122334455667788ull)
		     : "memory");
	GUEST_ASSERT_EQ(rdi, DEV + 0x340);

	/* memory to device and back */
	for (i = 0; i < 64; i++)
		buf[i] = 200 - i;
	asm volatile("rep movsb" : "=S"(rsi), "=D"(rdi), "=c"(rcx)
		     : "0"(BUF), "1"(DEV + 0x400), "2"(64ull) : "memory");
	GUEST_ASSERT_EQ(rsi, BUF + 64);
	GUEST_ASSERT_EQ(rdi, DEV + 0x440);
	GUEST_ASSERT_EQ(rcx, 0);
	asm volatile("rep movsl" : "=S"(rsi), "=D"(rdi), "=c"(rcx)
		     : "0"(DEV + 0x400), "1"(BUF + 0x100), "2"(16ull)
		     : "memory");
	for (i = 0; i < 64; i++)
		GUEST_ASSERT_AT(buf[0x100 + i] == 200 - i, i,
				buf[0x100 + i]);
	/* device to device */
	asm volatile("rep movsq" : "=S"(rsi), "=D"(rdi), "=c"(rcx)
		     : "0"(DEV + 0x400), "1"(DEV + 0x500), "2"(8ull)
		     : "memory");
	GUEST_ASSERT_EQ(rcx, 0);
	asm volatile("lodsb" : "=S"(rsi), "=a"(rcx)
		     : "0"(DEV + 0x500), "1"(0) : "memory");
	GUEST_ASSERT_EQ(rcx & 0xff, 200);
	GUEST_ASSERT_EQ(rsi, DEV + 0x501);
	asm volatile("lodsl" : "=S"(rsi), "=a"(rcx)
		     : "0"(DEV + 0x504) : "memory");
	GUEST_ASSERT_EQ(rcx, 0xc1c2c3c4);
	/* a zero count touches nothing */
	asm volatile("rep movsb" : "=S"(rsi), "=D"(rdi), "=c"(rcx)
		     : "0"(1ull << 62), "1"(DEV), "2"(0ull) : "memory");
	GUEST_ASSERT_EQ(rdi, DEV);
}

/* STOS, MOVS and LODS, with and without REP, both directions. */
static void test_string(void)
{
	struct vcpu *vcpu = start(guest_string);
	int i;

	finish(vcpu);
	for (i = 0; i < 16; i++)
		CHECK_EQ(dev[0x300 + i], 0xab);
	for (i = 0; i < 8; i++)
		CHECK_EQ(dev_at(0x320 + 4 * i, 4), 0x01020304);
	CHECK_EQ(dev_at(0x348, 8), 0x1122334455667788ull);
	for (i = 0; i < 64; i++) {
		CHECK_EQ(dev[0x400 + i], (u8)(200 - i));
		CHECK_EQ(dev[0x500 + i], (u8)(200 - i));
	}
}

static void guest_unaligned(void)
{
	u64 v;

	STORE("movq %%rax, (%%rdi)", 0x1122334455667788ull, 0x603);
	v = LOAD("movq (%%rsi), %%rax", u64, 0x603);
	GUEST_ASSERT_EQ(v, 0x1122334455667788ull);
	/* across two pages of the device */
	STORE("movq %%rax, (%%rdi)", 0x8877665544332211ull, 0xffd);
	v = LOAD("movq (%%rsi), %%rax", u64, 0xffd);
	GUEST_ASSERT_EQ(v, 0x8877665544332211ull);
	STORE("movl %%eax, (%%rdi)", 0xa1a2a3a4ull, 0x1fff);
	v = LOAD("movl (%%rsi), %%eax", u64, 0x1fff) & 0xffffffff;
	GUEST_ASSERT_EQ(v, 0xa1a2a3a4);
	STORE("movw %%ax, (%%rdi)", 0xb1b2, 0xfff);
	v = LOAD("movw (%%rsi), %%ax", u16, 0xfff);
	GUEST_ASSERT_EQ(v, 0xb1b2);
}

/* Unaligned accesses and those across two pages keep every byte. */
static void test_unaligned(void)
{
	struct vcpu *vcpu = start(guest_unaligned);

	finish(vcpu);
	CHECK_EQ(dev_at(0x603, 8), 0x1122334455667788ull);
	CHECK_EQ(dev_at(0x1fff, 4), 0xa1a2a3a4);
	CHECK_EQ(dev_at(0xfff, 2), 0xb1b2);
	CHECK_EQ(dev_at(0x1001, 4), 0x88776655);
}

static void guest_ram_edge(void)
{
	volatile u64 *edge = (u64 *)(VM_MEM - 4);

	/* the slot ends in the middle of this access */
	*edge = 0x1122334455667788ull;
	GUEST_ASSERT_EQ(*(volatile u32 *)(VM_MEM - 4), 0x55667788);
	GUEST_ASSERT_EQ(*edge, 0x1122334455667788ull);
}

/* An access half in memory and half outside of it: each half goes its way. */
static void test_ram_edge(void)
{
	struct vcpu *vcpu = start(guest_ram_edge);
	struct kvm_run *run = vcpu->run;
	u8 outside[8] = { 0 };
	u32 reason;
	u64 off;

	while ((reason = vcpu_exit(vcpu)) == KVM_EXIT_MMIO) {
		off = run->mmio.phys_addr - VM_MEM;
		CHECK(off + run->mmio.len <= 8);
		if (run->mmio.is_write)
			memcpy(outside + off, run->mmio.data, run->mmio.len);
		else
			memcpy(run->mmio.data, outside + off, run->mmio.len);
	}
	CHECK_EQ(reason, EXIT_UCALL);
	CHECK_EQ(vcpu->uc.cmd, UCALL_DONE);
	CHECK_EQ(*(u32 *)outside, 0x11223344);
}

static void guest_one(void)
{
	asm volatile("movl %%eax, (%%rdi)" : : "a"(0x12345678), "D"(DEV));
	asm volatile("movq (%%rdi), %%rax" : : "D"(DEV + 8) : "rax");
}

/* One aligned access is one exit, with its address, length and direction. */
static void test_one(void)
{
	struct vcpu *vcpu = start(guest_one);
	struct kvm_run *run = vcpu->run;

	vcpu_expect(vcpu, KVM_EXIT_MMIO);
	CHECK_EQ(run->mmio.phys_addr, DEV);
	CHECK_EQ(run->mmio.len, 4);
	CHECK_EQ(run->mmio.is_write, 1);
	CHECK_EQ(*(u32 *)run->mmio.data, 0x12345678);
	vcpu_expect(vcpu, KVM_EXIT_MMIO);
	CHECK_EQ(run->mmio.phys_addr, DEV + 8);
	CHECK_EQ(run->mmio.len, 8);
	CHECK_EQ(run->mmio.is_write, 0);
	vcpu_done(vcpu);
}

static void guest_execute(void)
{
	((void (*)(void))DEV)();
}

/*
 * A jump to where there is no memory stops the VM with a clear exit (or a
 * fault in the guest), never with a hang.
 */
static void test_execute(void)
{
	struct vcpu *vcpu = start(guest_execute);
	int r = vcpu_run_raw(vcpu);
	u32 reason = vcpu->run->exit_reason;

	ksft_print("KVM_RUN %d, exit %s", r, exit_name(reason));
	CHECK(r == -EFAULT || r == -EINVAL || reason == KVM_EXIT_INTERNAL_ERROR ||
	      reason == KVM_EXIT_SHUTDOWN || reason == KVM_EXIT_MMIO);
}

static void guest_shift(void)
{
	volatile u32 *r = (u32 *)(DEV + 0x200);

	r[0] = 0x11;
	asm volatile("shll $4, %0" : "+m"(r[0]) : : "cc");
	GUEST_ASSERT_EQ(r[0], 0x110);
}

static void guest_stack(void)
{
	u64 v;

	asm volatile("mov %%rsp, %%rbx\n"
		     "mov %1, %%rsp\n"
		     "push %2\n"
		     "push $0x77\n"
		     "pop %%rcx\n"
		     "pop %0\n"
		     "mov %%rbx, %%rsp\n"
		     : "=&a"(v)
		     : "r"(DEV + 0x800), "r"(0x1234567890ull)
		     : "rbx", "rcx", "memory");
	GUEST_ASSERT_EQ(v, 0x1234567890ull);
}

static void guest_push_device(void)
{
	u64 v;

	STORE("movq %%rax, (%%rdi)", 0xabcdefull, 0x900);
	asm volatile("pushq (%1); pop %0" : "=r"(v) : "r"(DEV + 0x900)
		     : "memory");
	GUEST_ASSERT_EQ(v, 0xabcdef);
	asm volatile("push %0; popq (%1)" : : "r"(0x5555ull),
		     "r"(DEV + 0x908) : "memory");
	GUEST_ASSERT_EQ(LOAD("movq (%%rsi), %%rax", u64, 0x908), 0x5555);
}

static void guest_sse(void)
{
	u64 v;

	asm volatile("movups (%1), %%xmm2; movups %%xmm2, (%2)\n"
		     "movq %%xmm2, %0" : "=r"(v)
		     : "r"(DEV), "r"(DEV + 0xb00) : "memory");
	GUEST_ASSERT_EQ(v, 0x26211c17120d0803ull);
}

/*
 * Forms that no driver uses on a device: either they work, or the VM stops with
 * KVM_EXIT_INTERNAL_ERROR of the emulation kind, RIP at the instruction. Never
 * a wrong result, an exit that repeats for ever, or nothing at all.
 */
static void test_rare(void)
{
	static const struct {
		const char *name;
		void (*fn)(void);
	} forms[] = {
		{ "shl", guest_shift }, { "stack", guest_stack },
		{ "push and pop of an operand", guest_push_device },
		{ "16 bytes", guest_sse },
	};
	struct kvm_regs before, after;
	struct vcpu *vcpu;
	unsigned int i;
	u32 reason;

	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		vcpu = start(forms[i].fn);
		while ((reason = vcpu_exit(vcpu)) == KVM_EXIT_MMIO)
			serve(vcpu);
		if (reason == EXIT_UCALL) {
			CHECK_EQ(vcpu->uc.cmd, UCALL_DONE);
			ksft_print("%s: works", forms[i].name);
			continue;
		}
		if (reason != KVM_EXIT_INTERNAL_ERROR)
			vcpu_bad_exit(vcpu, reason, KVM_EXIT_INTERNAL_ERROR);
		CHECK_EQ(vcpu->run->internal.suberror,
			 KVM_INTERNAL_ERROR_EMULATION);
		vcpu_get_regs(vcpu, &before);
		/* asked again, it says the same */
		CHECK_EQ(vcpu_exit(vcpu), KVM_EXIT_INTERNAL_ERROR);
		vcpu_get_regs(vcpu, &after);
		CHECK_EQ(before.rip, after.rip);
		ksft_print("%s: refused", forms[i].name);
	}
}

static void guest_flood(void)
{
	volatile u32 *r = (u32 *)(DEV + 0xa00);
	u32 i;

	for (i = 0; i < 1000; i++) {
		*r = i;
		GUEST_ASSERT_EQ(*r, i);
	}
}

/* A thousand writes and reads in a row. */
static void test_flood(void)
{
	struct vcpu *vcpu = start(guest_flood);

	finish(vcpu);
	CHECK_EQ(reads, 1000);
	CHECK_EQ(writes, 1000);
}

static u64 user_mmio(u64 addr)
{
	u32 v;
	u64 f = try_read32((u32 *)addr, &v);

	return f ? f : v;
}

static void guest_user(void)
{
	*guest_pte(DEV) &= ~PTE_U;
	invlpg(DEV);
	GUEST_ASSERT_EQ(guest_user_call(user_mmio, DEV), FAULT(PF_VECTOR));
	*guest_pte(DEV) |= PTE_U;
	invlpg(DEV);
	GUEST_ASSERT_EQ(guest_user_call(user_mmio, DEV), 0x120d0803);
	/* the guest's own tables come first */
	*guest_pte(DEV) &= ~PTE_W;
	invlpg(DEV);
	GUEST_ASSERT_EQ(try_write32((u32 *)DEV, 1), FAULT(PF_VECTOR));
	*guest_pte(DEV) &= ~PTE_P;
	invlpg(DEV);
	GUEST_ASSERT_EQ(try_write32((u32 *)DEV, 1), FAULT(PF_VECTOR));
}

/* The guest's page tables decide before the device does. */
static void test_user(void)
{
	struct vcpu *vcpu = start(guest_user);

	vm_map_user(vcpu->vm);
	finish(vcpu);
}

KSFT_MAIN(
	{ "mmio: loads", test_loads },
	{ "mmio: extending loads", test_extend },
	{ "mmio: stores", test_stores },
	{ "mmio: read-modify-write", test_rmw },
	{ "mmio: string instructions", test_string },
	{ "mmio: unaligned and across pages", test_unaligned },
	{ "mmio: half memory, half device", test_ram_edge },
	{ "mmio: one access, one exit", test_one },
	{ "mmio: jump to nowhere", test_execute },
	{ "mmio: rare forms work or stop the VM", test_rare },
	{ "mmio: a thousand accesses", test_flood },
	{ "mmio: the guest's page tables come first", test_user },
)
