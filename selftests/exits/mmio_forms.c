// SPDX-License-Identifier: GPL-2.0-only
/* exits/mmio_forms: rarer instructions on addresses without memory, and their faults */
#include "vmm.h"

/* The device is plain storage on the host's side */
#define DEV	GPA_MMIO
#define ABSENT	(DEV + 0x200000)	/* in another large page */
#define NOWHERE	0x8000000000000000ull	/* not canonical */

static u8 dev[0x1000];
static unsigned int writes;

/* Answer the device until another exit; its reason */
static u32 serve(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	u32 reason;
	u64 off;

	writes = 0;
	while ((reason = vcpu_exit(vcpu)) == KVM_EXIT_MMIO) {
		off = run->mmio.phys_addr - DEV;
		CHECK(off < sizeof(dev) && off + run->mmio.len <= sizeof(dev));
		if (run->mmio.is_write) {
			memcpy(dev + off, run->mmio.data, run->mmio.len);
			writes++;
		} else {
			memcpy(run->mmio.data, dev + off, run->mmio.len);
		}
	}
	return reason;
}

static void run_to_end(void *fn)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);

	memset(dev, 0, sizeof(dev));
	vcpu_call(vcpu, fn, 0);
	CHECK_EQ(serve(vcpu), EXIT_UCALL);
	CHECK_EQ(vcpu->uc.cmd, UCALL_DONE);
}

#define CPUID_XSAVE	(1u << 26)
#define CPUID_AVX	(1u << 28)
#define CF	0x001
#define OF	0x800

/* Run @insn on a new value in the device: the flags afterwards */
#define ON(value, insn, ...)						\
	({								\
		u64 _f;							\
									\
		*r = (value);						\
		asm volatile("clc\n" insn "; pushfq; pop %[f]"		\
			     : [f] "=&r"(_f), [m] "+m"(*r)		\
			     : __VA_ARGS__ : "cc", "memory");		\
		_f & (CF | OF);						\
	})

static void guest_shifts(void)
{
	volatile u32 *r = (u32 *)DEV;

	GUEST_ASSERT_EQ(ON(0x80000001, "shll %[m]"), CF | OF);
	GUEST_ASSERT_EQ(*r, 2);
	GUEST_ASSERT_EQ(ON(0x80000001, "shrl %[m]"), CF | OF);
	GUEST_ASSERT_EQ(*r, 0x40000000);
	GUEST_ASSERT_EQ(ON(0x80000001, "sarl %[m]"), CF);
	GUEST_ASSERT_EQ(*r, 0xc0000000);
	GUEST_ASSERT_EQ(ON(0x80000001, "roll %[m]"), CF | OF);
	GUEST_ASSERT_EQ(*r, 3);
	GUEST_ASSERT_EQ(ON(0x80000001, "rorl %[m]"), CF);
	GUEST_ASSERT_EQ(*r, 0xc0000000);
	GUEST_ASSERT_EQ(ON(0x80000001, "rcll %[m]"), CF | OF);
	GUEST_ASSERT_EQ(*r, 2);
	GUEST_ASSERT_EQ(ON(0x80000001, "rcrl %[m]") & CF, CF);
	GUEST_ASSERT_EQ(*r, 0x40000000);
	/* by an immediate and by CL, of which five bits count */
	GUEST_ASSERT_EQ(ON(0x12345678, "shll $8, %[m]") & CF, 0);
	GUEST_ASSERT_EQ(*r, 0x34567800);
	ON(0x12345678, "rorl %%cl, %[m]", "c"(0x24));
	GUEST_ASSERT_EQ(*r, 0x81234567);
	ON(0x12345678, "sarw %%cl, %[m]", "c"(4));
	GUEST_ASSERT_EQ(*r, 0x12340567);
	/* by nothing: the flags stay */
	GUEST_ASSERT_EQ(ON(0x80000001, "stc; shll %%cl, %[m]", "c"(0x20)) & CF, CF);
	GUEST_ASSERT_EQ(*r, 0x80000001);
	ON(0x12345678, "shldl $8, %[s], %[m]", [s] "r"(0xabcdef01));
	GUEST_ASSERT_EQ(*r, 0x345678ab);
	ON(0x12345678, "shrdl %%cl, %[s], %[m]", [s] "r"(0xabcdef01), "c"(8));
	GUEST_ASSERT_EQ(*r, 0x01123456);
}

/* Shifts and rotates by 1, an immediate, CL; results, CF and defined OF. */
static void test_shifts(void)
{
	run_to_end(guest_shifts);
}

static void guest_muldiv(void)
{
	volatile u64 *r = (u64 *)DEV;
	u64 lo, hi, f;

	*r = 0xfffffffffffffffeull;
	lo = 3;
	asm volatile("mulq %[m]; setc %%cl; movzbl %%cl, %%ecx"
		     : "+a"(lo), "=d"(hi), "=c"(f) : [m] "m"(*r) : "cc");
	GUEST_ASSERT_EQ(lo, 0xfffffffffffffffaull);
	GUEST_ASSERT_EQ(hi, 2);
	GUEST_ASSERT_EQ(f, 1);
	lo = 3;
	asm volatile("imulq %[m]; setc %%cl; movzbl %%cl, %%ecx"
		     : "+a"(lo), "=d"(hi), "=c"(f) : [m] "m"(*r) : "cc");
	GUEST_ASSERT_EQ(lo, -6ull);
	GUEST_ASSERT_EQ(hi, -1ull);
	GUEST_ASSERT_EQ(f, 0);
	asm volatile("imulq $-5, %[m], %[lo]" : [lo] "=r"(lo) : [m] "m"(*r) : "cc");
	GUEST_ASSERT_EQ(lo, 10);
	*r = 10;
	lo = 105;
	hi = 0;
	asm volatile("divq %[m]" : "+a"(lo), "+d"(hi) : [m] "m"(*r) : "cc");
	GUEST_ASSERT_EQ(lo, 10);
	GUEST_ASSERT_EQ(hi, 5);
	lo = -105ull;
	hi = -1ull;
	asm volatile("idivq %[m]" : "+a"(lo), "+d"(hi) : [m] "m"(*r) : "cc");
	GUEST_ASSERT_EQ(lo, -10ull);
	GUEST_ASSERT_EQ(hi, -5ull);
	/* the quotient does not fit; there is none */
	hi = 10;
	GUEST_TRY(f, "divq (%[p])", "+a"(lo) _GUEST_COMMA "+d"(hi) _GUEST_COMMA,
		  [p] "r"(r));
	GUEST_ASSERT_EQ(f, FAULT(DE_VECTOR));
	GUEST_ASSERT_EQ(hi, 10);
	*r = 0;
	GUEST_TRY(f, "idivl (%[p])", "+a"(lo) _GUEST_COMMA "+d"(hi) _GUEST_COMMA,
		  [p] "r"(r));
	GUEST_ASSERT_EQ(f, FAULT(DE_VECTOR));
}

/* MUL, IMUL, DIV and IDIV by the device; a quotient that is none is #DE. */
static void test_muldiv(void)
{
	run_to_end(guest_muldiv);
}

static void guest_quad(void)
{
	volatile u64 *r = (u64 *)DEV;
	u32 lo = 1, hi = 2;
	u8 z;

	*r = 0x0000000200000001ull;
	asm volatile("lock cmpxchg8b %[m]; setz %[z]"
		     : [m] "+m"(*r), [z] "=q"(z), "+a"(lo), "+d"(hi)
		     : "b"(3), "c"(4) : "cc");
	GUEST_ASSERT_EQ(z, 1);
	GUEST_ASSERT_EQ(*r, 0x0000000400000003ull);
	asm volatile("lock cmpxchg8b %[m]; setz %[z]"
		     : [m] "+m"(*r), [z] "=q"(z), "+a"(lo), "+d"(hi)
		     : "b"(5), "c"(6) : "cc");
	GUEST_ASSERT_EQ(z, 0);
	GUEST_ASSERT_EQ(lo, 3);
	GUEST_ASSERT_EQ(hi, 4);
	GUEST_ASSERT_EQ(*r, 0x0000000400000003ull);
}

/* CMPXCHG8B, of the value that is there and of another. */
static void test_quad(void)
{
	run_to_end(guest_quad);
}

static void guest_stack(void)
{
	u64 v = 0x1234567890ull, word = 0, sp;

	/* the stack in the device: 64 and 16 bits, immediates, RSP itself */
	asm volatile("mov %%rsp, %%rbx\n"
		     "mov %[top], %%rsp\n"
		     "push %[v]\n"
		     "push %%rsp\n"
		     "pushw $0x1234\n"
		     "push $-2\n"
		     "pop %%rcx\n"
		     "popw %%dx\n"
		     "pop %[sp]\n"
		     "pop %[v]\n"
		     "xchg %%rbx, %%rsp\n"
		     : [v] "+a"(v), [sp] "=&r"(sp), "+d"(word)
		     : [top] "r"(DEV + 0x800)
		     : "rbx", "rcx", "memory");
	GUEST_ASSERT_EQ(v, 0x1234567890ull);
	GUEST_ASSERT_EQ(sp, DEV + 0x7f8);
	GUEST_ASSERT_EQ(word & 0xffff, 0x1234);
	/* stack and operand both in the device; POP addresses with the new RSP */
	asm volatile("mov %%rsp, %%rbx\n"
		     "mov %[top], %%rsp\n"
		     "push $0x55\n"
		     "pushq (%%rsp)\n"
		     "popq 0x100(%%rsp)\n"
		     "mov 0x100(%%rsp), %[v]\n"
		     "xchg %%rbx, %%rsp\n"
		     "mov %%rbx, %[sp]\n"
		     : [v] "=&r"(v), [sp] "=&r"(sp)
		     : [top] "a"(DEV + 0x800) : "rbx", "memory");
	GUEST_ASSERT_EQ(v, 0x55);
	GUEST_ASSERT_EQ(sp, DEV + 0x7f8);
}

/* PUSH and POP whose stack, operand, or both are the device. */
static void test_stack(void)
{
	run_to_end(guest_stack);
}

static void guest_second(void)
{
	u64 f;

	/* the source is the device's; the destination cannot be anywhere */
	GUEST_TRY(f, "movsb", GUEST_NO_OUT, "S"(DEV), "D"(NOWHERE));
	GUEST_ASSERT_EQ(f, FAULT(GP_VECTOR));
	*guest_pte(ABSENT) &= ~PTE_P;
	invlpg(ABSENT);
	GUEST_TRY(f, "movsb", GUEST_NO_OUT, "S"(DEV), "D"(ABSENT));
	GUEST_ASSERT_EQ(f, FAULT(PF_VECTOR));
	GUEST_TRY(f, "popq (%[p])", GUEST_NO_OUT, [p] "r"(ABSENT));
	GUEST_ASSERT_EQ(f, FAULT(PF_VECTOR));
	GUEST_ASSERT_EQ(guest_fault_address, ABSENT);
}

/* An operand that the CPU did not come to is checked all the same. */
static void test_second(void)
{
	run_to_end(guest_second);
}

static void guest_unknown(void)
{
	asm volatile("paddd (%0), %%xmm0" : : "r"(DEV));
}

static void guest_vex(void)
{
	u32 a, b, c, d;

	cpuid(1, 0, &a, &b, &c, &d);
	if (!(c & CPUID_XSAVE) || !(c & CPUID_AVX))
		return;
	GUEST_ASSERT_EQ(try_write_cr4(read_cr4() | X86_CR4_OSXSAVE), 0);
	asm volatile("xsetbv" : : "c"(0), "a"(7), "d"(0));
	asm volatile("vmovdqu (%0), %%ymm0" : : "r"(DEV));
}

/* What no emulator does stops the VM, before the device sees anything. */
static void test_unknown(void)
{
	static void (*const fn[])(void) = { guest_unknown, guest_vex };
	struct vcpu *vcpu;
	unsigned int i;
	u32 reason;

	for (i = 0; i < ARRAY_SIZE(fn); i++) {
		vcpu = vcpu_add(vm_create(), 0);
		vcpu_call(vcpu, fn[i], 0);
		reason = serve(vcpu);
		if (i && reason == EXIT_UCALL && vcpu->uc.cmd == UCALL_DONE) {
			ksft_print("the CPU has no AVX");
			continue;
		}
		CHECK_EQ(reason, KVM_EXIT_INTERNAL_ERROR);
		CHECK_EQ(vcpu->run->internal.suberror, KVM_INTERNAL_ERROR_EMULATION);
		CHECK_EQ(writes, 0);
	}
}

KSFT_MAIN(
	{ "mmio forms: shifts and rotates", test_shifts },
	{ "mmio forms: multiply and divide", test_muldiv },
	{ "mmio forms: compare and exchange 8 bytes", test_quad },
	{ "mmio forms: stack", test_stack },
	{ "mmio forms: the other operand faults", test_second },
	{ "mmio forms: others stop the VM", test_unknown },
)
