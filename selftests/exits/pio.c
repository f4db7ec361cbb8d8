// SPDX-License-Identifier: GPL-2.0-only
/* exits/pio: port I/O that userspace completes */
#include "vmm.h"

#define PORT	0x2f0
#define BUF	0x180000ull		/* two pages of the guest's */
#define UNMAPPED 0x1a0000ull

static struct vcpu *start(void *fn)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);

	vm_split_page(vm, BUF);
	*vm_split_page(vm, UNMAPPED) = 0;
	vcpu_call(vcpu, fn, 0);
	return vcpu;
}

static void *data(struct vcpu *vcpu)
{
	return (u8 *)vcpu->run + vcpu->run->io.data_offset;
}

static void expect_io(struct vcpu *vcpu, int out, unsigned int size)
{
	vcpu_expect(vcpu, KVM_EXIT_IO);
	CHECK_EQ(vcpu->run->io.direction,
		 out ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN);
	CHECK_EQ(vcpu->run->io.port, PORT);
	CHECK_EQ(vcpu->run->io.size, size);
}

static void guest_out(void)
{
	outb(PORT, 0x12);
	outw(PORT, 0x3456);
	outl(PORT, 0x789abcde);
	asm volatile("outb %%al, $0x80" : : "a"(0x42));
}

/* OUT of 1, 2 and 4 bytes, to DX and to an immediate port. */
static void test_out(void)
{
	struct vcpu *vcpu = start(guest_out);

	expect_io(vcpu, 1, 1);
	CHECK_EQ(vcpu->run->io.count, 1);
	CHECK_EQ(*(u8 *)data(vcpu), 0x12);
	expect_io(vcpu, 1, 2);
	CHECK_EQ(*(u16 *)data(vcpu), 0x3456);
	expect_io(vcpu, 1, 4);
	CHECK_EQ(*(u32 *)data(vcpu), 0x789abcde);
	vcpu_expect(vcpu, KVM_EXIT_IO);
	CHECK_EQ(vcpu->run->io.port, 0x80);
	CHECK_EQ(*(u8 *)data(vcpu), 0x42);
	vcpu_done(vcpu);
}

static void guest_in(void)
{
	u64 v = 0x1122334455667788ull;

	asm volatile("inb %1, %%al" : "+a"(v) : "d"((u16)PORT));
	GUEST_ASSERT_EQ(v, 0x11223344556677a1ull);
	asm volatile("inw %1, %%ax" : "+a"(v) : "d"((u16)PORT));
	GUEST_ASSERT_EQ(v, 0x112233445566a2a3ull);
	/* the 32-bit form clears the upper half */
	asm volatile("inl %1, %%eax" : "+a"(v) : "d"((u16)PORT));
	GUEST_ASSERT_EQ(v, 0xa4a5a6a7ull);
	asm volatile("inb $0x80, %%al" : "+a"(v));
	GUEST_ASSERT_EQ(v, 0xa4a5a60bull);
}

/* IN writes AL, AX or EAX and, but for EAX, nothing else. */
static void test_in(void)
{
	struct vcpu *vcpu = start(guest_in);

	expect_io(vcpu, 0, 1);
	*(u32 *)data(vcpu) = 0xffffffa1;
	expect_io(vcpu, 0, 2);
	*(u32 *)data(vcpu) = 0xffffa2a3;
	expect_io(vcpu, 0, 4);
	*(u32 *)data(vcpu) = 0xa4a5a6a7;
	vcpu_expect(vcpu, KVM_EXIT_IO);
	CHECK_EQ(vcpu->run->io.port, 0x80);
	*(u8 *)data(vcpu) = 0x0b;
	vcpu_done(vcpu);
}

/* collect the bytes of OUTS until the guest's next ucall */
static u64 collect(struct vcpu *vcpu, unsigned int size, u8 *to, u64 max)
{
	struct kvm_run *run = vcpu->run;
	u64 got = 0, n;
	u32 reason;

	for (;;) {
		reason = vcpu_exit(vcpu);
		if (reason == EXIT_UCALL)
			return got;
		CHECK_EQ(reason, KVM_EXIT_IO);
		CHECK_EQ(run->io.direction, KVM_EXIT_IO_OUT);
		CHECK_EQ(run->io.port, PORT);
		CHECK_EQ(run->io.size, size);
		n = (u64)run->io.size * run->io.count;
		CHECK(n && got + n <= max);
		memcpy(to + got, data(vcpu), n);
		got += n;
	}
}

/* feed INS until the guest's next ucall: byte i is (u8)(i * 7 + 1) */
static u64 feed(struct vcpu *vcpu, unsigned int size)
{
	struct kvm_run *run = vcpu->run;
	u64 fed = 0, n, i;
	u32 reason;

	for (;;) {
		reason = vcpu_exit(vcpu);
		if (reason == EXIT_UCALL)
			return fed;
		CHECK_EQ(reason, KVM_EXIT_IO);
		CHECK_EQ(run->io.direction, KVM_EXIT_IO_IN);
		CHECK_EQ(run->io.size, size);
		n = (u64)run->io.size * run->io.count;
		CHECK(n);
		for (i = 0; i < n; i++)
			((u8 *)data(vcpu))[i] = (fed + i) * 7 + 1;
		fed += n;
	}
}

#define REP(insn, ptr, count, df)					\
	do {								\
		u64 _p = (ptr), _c = (count);				\
									\
		asm volatile(df "; rep " insn "; cld"			\
			     : "+S"(_p), "+c"(_c), "=D"(rdi)		\
			     : "d"((u16)PORT), "2"(_p) : "memory");	\
		rsi = _p;						\
		rcx = _c;						\
	} while (0)

static void guest_outs(void)
{
	u8 *buf = (u8 *)BUF;
	u64 rsi, rdi, rcx;
	int i;

	for (i = 0; i < 8192; i++)
		buf[i] = i * 3;
	REP("outsb", BUF + 16, 100, "cld");
	GUEST_ASSERT_EQ(rcx, 0);
	GUEST_ASSERT_EQ(rsi, BUF + 116);
	GUEST_SYNC(1);
	REP("outsw", BUF + 4096 - 50, 50, "cld");
	GUEST_ASSERT_EQ(rsi, BUF + 4096 + 50);
	GUEST_SYNC(2);
	/* an element that lies across the page boundary */
	REP("outsl", BUF + 4096 - 10, 5, "cld");
	GUEST_ASSERT_EQ(rsi, BUF + 4096 + 10);
	GUEST_SYNC(3);
	REP("outsl", BUF, 2048, "cld");
	GUEST_ASSERT_EQ(rsi, BUF + 8192);
	GUEST_SYNC(4);
	/* downwards */
	REP("outsb", BUF + 99, 100, "std");
	GUEST_ASSERT_EQ(rsi, BUF - 1);
	GUEST_ASSERT_EQ(rcx, 0);
	GUEST_SYNC(5);
	/* a count of 0 does nothing, not even a fault */
	REP("outsb", UNMAPPED, 0, "cld");
	GUEST_ASSERT_EQ(rsi, UNMAPPED);
	GUEST_SYNC(6);
	/* without the prefix: one */
	asm volatile("outsb" : "=S"(rsi) : "S"(BUF + 5), "d"((u16)PORT)
		     : "memory");
	GUEST_ASSERT_EQ(rsi, BUF + 6);
	GUEST_SYNC(7);
}

/*
 * OUTS: the VMM gets every byte in order, whatever the element size, the
 * direction and the page boundary, and RSI and RCX end where the manual says.
 */
static void test_outs(void)
{
	struct vcpu *vcpu = start(guest_outs);
	static u8 got[16384];
	int i;

	CHECK_EQ(collect(vcpu, 1, got, sizeof(got)), 100);
	CHECK_EQ(vcpu->uc.arg[0], 1);
	for (i = 0; i < 100; i++)
		CHECK_EQ(got[i], (u8)((16 + i) * 3));
	CHECK_EQ(collect(vcpu, 2, got, sizeof(got)), 100);
	CHECK_EQ(vcpu->uc.arg[0], 2);
	for (i = 0; i < 100; i++)
		CHECK_EQ(got[i], (u8)((4046 + i) * 3));
	CHECK_EQ(collect(vcpu, 4, got, sizeof(got)), 20);
	CHECK_EQ(vcpu->uc.arg[0], 3);
	for (i = 0; i < 20; i++)
		CHECK_EQ(got[i], (u8)((4086 + i) * 3));
	CHECK_EQ(collect(vcpu, 4, got, sizeof(got)), 8192);
	CHECK_EQ(vcpu->uc.arg[0], 4);
	for (i = 0; i < 8192; i++)
		CHECK_EQ(got[i], (u8)(i * 3));
	CHECK_EQ(collect(vcpu, 1, got, sizeof(got)), 100);
	CHECK_EQ(vcpu->uc.arg[0], 5);
	for (i = 0; i < 100; i++)
		CHECK_EQ(got[i], (u8)((99 - i) * 3));
	CHECK_EQ(collect(vcpu, 1, got, sizeof(got)), 0);
	CHECK_EQ(vcpu->uc.arg[0], 6);
	CHECK_EQ(collect(vcpu, 1, got, sizeof(got)), 1);
	CHECK_EQ(got[0], 15);
	vcpu_done(vcpu);
}

static void check_fed(const u8 *p, u64 n)
{
	u64 i;

	for (i = 0; i < n; i++)
		GUEST_ASSERT_AT(p[i] == (u8)(i * 7 + 1), i, p[i]);
}

#define INS(insn, ptr, count, df)					\
	asm volatile(df "; rep " insn "; cld"				\
		     : "=D"(rdi), "=c"(rcx)				\
		     : "0"(ptr), "1"((u64)(count)), "d"((u16)PORT)	\
		     : "memory")

static void guest_ins(void)
{
	u8 *buf = (u8 *)BUF;
	u64 rdi, rcx;
	int i;

	INS("insb", BUF, 100, "cld");
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(rdi, BUF + 100);
	GUEST_ASSERT_EQ(rcx, 0);
	check_fed(buf, 100);
	INS("insw", BUF + 4096 - 20, 20, "cld");
	GUEST_SYNC(2);
	GUEST_ASSERT_EQ(rdi, BUF + 4096 + 20);
	check_fed(buf + 4096 - 20, 40);
	INS("insl", BUF + 4096 - 6, 3, "cld");
	GUEST_SYNC(3);
	check_fed(buf + 4096 - 6, 12);
	INS("insl", BUF, 2048, "cld");
	GUEST_SYNC(4);
	check_fed(buf, 8192);
	INS("insb", BUF + 63, 64, "std");
	GUEST_SYNC(5);
	GUEST_ASSERT_EQ(rdi, BUF - 1);
	for (i = 0; i < 64; i++)
		GUEST_ASSERT_EQ(buf[63 - i], (u8)(i * 7 + 1));
}

/* INS: the guest's memory gets every byte in order. */
static void test_ins(void)
{
	struct vcpu *vcpu = start(guest_ins);

	CHECK_EQ(feed(vcpu, 1), 100);
	CHECK_EQ(feed(vcpu, 2), 40);
	CHECK_EQ(feed(vcpu, 4), 12);
	CHECK_EQ(feed(vcpu, 4), 8192);
	CHECK_EQ(feed(vcpu, 1), 64);
	CHECK_EQ(vcpu->uc.arg[0], 5);
	vcpu_done(vcpu);
}

static void guest_fault(void)
{
	u64 f, p = UNMAPPED;

	GUEST_TRY(f, "insb", GUEST_NO_OUT, "D"(p), "d"((u16)PORT));
	GUEST_ASSERT_EQ(f, FAULT(PF_VECTOR));
	GUEST_ASSERT_EQ(guest_fault_error, 2);
	GUEST_ASSERT_EQ(guest_fault_address, UNMAPPED);
	GUEST_TRY(f, "outsl", GUEST_NO_OUT, "S"(p), "d"((u16)PORT));
	GUEST_ASSERT_EQ(f, FAULT(PF_VECTOR));
	GUEST_ASSERT_EQ(guest_fault_error, 0);
	p = 1ull << 63;
	GUEST_TRY(f, "outsb", GUEST_NO_OUT, "S"(p), "d"((u16)PORT));
	GUEST_ASSERT_EQ(f, FAULT(GP_VECTOR));
	GUEST_SYNC(1);
}

/* A string instruction whose memory cannot be reached faults in the guest. */
static void test_fault(void)
{
	struct vcpu *vcpu = start(guest_fault);
	u32 reason;

	/* whether the port is touched before the memory is the CPU's affair */
	do {
		reason = vcpu_exit(vcpu);
	} while (reason == KVM_EXIT_IO &&
		 vcpu->run->io.direction == KVM_EXIT_IO_IN);
	if (reason != EXIT_UCALL)
		vcpu_bad_exit(vcpu, reason, EXIT_UCALL);
	CHECK_EQ(vcpu->uc.arg[0], 1);
	vcpu_done(vcpu);
}

static u64 user_out(u64 arg)
{
	u64 f;

	(void)arg;
	GUEST_TRY(f, "outb %%al, %%dx", GUEST_NO_OUT, "a"(0),
		  "d"((u16)PORT));
	return f;
}

static void guest_user(void)
{
	GUEST_ASSERT_EQ(guest_user_call(user_out, 0), FAULT(GP_VECTOR));
}

/* At CPL 3 with IOPL 0 and no I/O permission map, a port is #GP(0). */
static void test_user(void)
{
	guest_run_user(guest_user);
}

static void guest_many(void)
{
	u32 i, sum = 0;

	for (i = 0; i < 2000; i++)
		sum += inl(PORT);
	GUEST_ASSERT_EQ(sum, 2000 * 1999 / 2);
}

/* Two thousand reads in a row each get their own answer. */
static void test_many(void)
{
	struct vcpu *vcpu = start(guest_many);
	u32 i;

	for (i = 0; i < 2000; i++) {
		expect_io(vcpu, 0, 4);
		*(u32 *)data(vcpu) = i;
	}
	vcpu_done(vcpu);
}

static void guest_rip(void)
{
	asm volatile(".globl pio_out, pio_after\n"
		     "pio_out: outb %%al, %%dx\n"
		     "pio_after: nop" : : "a"(1), "d"((u16)PORT));
}

extern const char pio_out[], pio_after[];

/*
 * KVM_SET_REGS between the exit and the next run wins: the VMM can send the
 * guest elsewhere.
 */
static void test_redirect(void)
{
	struct vcpu *vcpu = start(guest_rip);
	struct kvm_regs regs;

	expect_io(vcpu, 1, 1);
	/* the exit completes with immediate_exit, and nothing else runs */
	vcpu->run->immediate_exit = 1;
	CHECK_EQ(vcpu_run_raw(vcpu), -EINTR);
	vcpu->run->immediate_exit = 0;
	vcpu_get_regs(vcpu, &regs);
	CHECK_EQ(regs.rip, (uintptr_t)pio_after);
	regs.rip = (uintptr_t)pio_out;
	vcpu_set_regs(vcpu, &regs);
	expect_io(vcpu, 1, 1);
	vcpu_done(vcpu);
}

KSFT_MAIN(
	{ "pio: out", test_out },
	{ "pio: in", test_in },
	{ "pio: outs", test_outs },
	{ "pio: ins", test_ins },
	{ "pio: faults of string I/O", test_fault },
	{ "pio: CPL 3", test_user },
	{ "pio: two thousand reads", test_many },
	{ "pio: redirected by KVM_SET_REGS", test_redirect },
)
