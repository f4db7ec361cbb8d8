// SPDX-License-Identifier: GPL-2.0-only
/* exits/dr: debug registers, breakpoints and single steps */
#include "vmm.h"

#define DR6_FIXED	0xffff0ff0ull
#define DR7_FIXED	0x400ull
#define DR6_BD		(1ull << 13)
#define DR6_BS		(1ull << 14)
#define DR7_GD		(1ull << 13)

static volatile u64 db_count, db_dr6, db_rip;
static volatile u64 watched;

static void on_db(struct guest_frame *frame)
{
	db_count++;
	db_dr6 = read_dr6();
	db_rip = frame->rip;
	write_dr6(DR6_FIXED);
	/* an instruction breakpoint is a fault: RF lets it through */
	frame->rflags |= X86_RF;
	frame->rflags &= ~X86_TF;
}

static void guest_registers(void)
{
	u64 i;

	GUEST_ASSERT_EQ(read_dr6() & ~0xfull, DR6_FIXED);
	GUEST_ASSERT_EQ(read_dr7(), DR7_FIXED);
	for (i = 0; i < 3; i++) {
		write_dr0(0x1111000000000000ull + i);
		write_dr1(0x2222 + i);
		write_dr2(0x3333 + i);
		write_dr3(0xffff800000000000ull + i);
		GUEST_ASSERT_EQ(read_dr0(), 0x1111000000000000ull + i);
		GUEST_ASSERT_EQ(read_dr1(), 0x2222 + i);
		GUEST_ASSERT_EQ(read_dr2(), 0x3333 + i);
		GUEST_ASSERT_EQ(read_dr3(), 0xffff800000000000ull + i);
		if (i == 1)
			GUEST_SYNC(1);
	}
	write_dr6(DR6_FIXED | 0x400f);
	GUEST_ASSERT_EQ(read_dr6(), DR6_FIXED | 0x400f);
	/* fixed bits cannot be changed */
	write_dr6(0);
	GUEST_ASSERT_EQ(read_dr6() & DR6_FIXED & ~(1ull << 11),
			DR6_FIXED & ~(1ull << 11));
	write_dr6(DR6_FIXED);
	write_dr7(0);
	GUEST_ASSERT_EQ(read_dr7(), DR7_FIXED);
	for (i = 32; i < 64; i++) {
		GUEST_ASSERT_AT(try_write_dr6(1ull << i) == FAULT(GP_VECTOR),
				i, 6);
		GUEST_ASSERT_AT(try_write_dr7(1ull << i) == FAULT(GP_VECTOR),
				i, 7);
	}
}

/*
 * DR0 to DR3 read back; DR6 and DR7 keep their fixed bits; a bit above 31 in
 * either is #GP(0). Vol. 3, "Debug Registers".
 */
static void test_registers(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_debugregs d;

	vcpu_call(vcpu, guest_registers, 0);
	vcpu_sync(vcpu, 1);
	CHECK_OK(ioctl(vcpu->fd, KVM_GET_DEBUGREGS, &d));
	CHECK_EQ(d.db[0], 0x1111000000000001ull);
	CHECK_EQ(d.db[1], 0x2223);
	CHECK_EQ(d.db[2], 0x3334);
	CHECK_EQ(d.db[3], 0xffff800000000001ull);
	vcpu_done(vcpu);
}

static void guest_instruction_bp(void)
{
	u64 here, i;

	guest_handlers[DB_VECTOR] = on_db;
	for (i = 0; i < 2; i++) {
		asm volatile("lea 1f(%%rip), %0\n"
			     "mov %0, %%dr0\n"
			     "mov %1, %%dr7\n"
			     "nop\n"
			     "1: nop\n"
			     "mov %2, %%dr7"
			     : "=&r"(here)
			     : "r"(DR7_FIXED | 1), "r"(DR7_FIXED) : "memory");
		GUEST_ASSERT_EQ(db_dr6 & 0xf, 1);
		GUEST_ASSERT_EQ(db_rip, here);
	}
	GUEST_ASSERT_EQ(db_count, 2);
}

/* An enabled instruction breakpoint is a #DB fault at its address. */
static void test_instruction_bp(void)
{
	REQUIRE(host_has_breakpoints(), "this CPU has no breakpoints");
	guest_run(guest_instruction_bp, 0);
}

static void guest_data_bp(void)
{
	guest_handlers[DB_VECTOR] = on_db;
	write_dr1((uintptr_t)&watched);
	/* slot 1: write, 8 bytes */
	write_dr7(DR7_FIXED | 1ull << 2 | 1ull << 20 | 2ull << 22);
	(void)watched;
	GUEST_ASSERT_EQ(db_count, 0);
	watched = 1;
	GUEST_ASSERT_EQ(db_count, 1);
	GUEST_ASSERT_EQ(db_dr6 & 0xf, 2);
	/* read or write */
	write_dr7(DR7_FIXED | 1ull << 2 | 3ull << 20 | 2ull << 22);
	(void)watched;
	GUEST_ASSERT_EQ(db_count, 2);
	write_dr7(DR7_FIXED);
	watched = 2;
	GUEST_ASSERT_EQ(db_count, 2);
}

/* A data breakpoint traps after the access; not when it is disabled. */
static void test_data_bp(void)
{
	REQUIRE(host_has_breakpoints(), "this CPU has no breakpoints");
	guest_run(guest_data_bp, 0);
}

/* an exit in the middle must not lose the breakpoint or the host's own */
static void guest_bp_over_exit(void)
{
	guest_handlers[DB_VECTOR] = on_db;
	write_dr0((uintptr_t)&watched);
	write_dr7(DR7_FIXED | 1 | 1ull << 16 | 2ull << 18);
	GUEST_SYNC(1);
	watched = 1;
	GUEST_ASSERT_EQ(db_count, 1);
	GUEST_SYNC(2);
	watched = 2;
	GUEST_ASSERT_EQ(db_count, 2);
	GUEST_ASSERT_EQ(read_dr7(), DR7_FIXED | 1 | 1ull << 16 | 2ull << 18);
}

/* Breakpoints of the guest live through exits and are the guest's alone. */
static void test_bp_over_exit(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);

	REQUIRE(host_has_breakpoints(), "this CPU has no breakpoints");
	vcpu_call(vcpu, guest_bp_over_exit, 0);
	vcpu_sync(vcpu, 1);
	/* the same address in this process: nothing of the guest's may trap */
	watched = 5;
	vcpu_sync(vcpu, 2);
	watched = 6;
	vcpu_done(vcpu);
}

static volatile u64 step_rip[8], steps;

static void on_step(struct guest_frame *frame)
{
	if (steps < 8)
		step_rip[steps] = frame->rip;
	steps++;
	db_dr6 = read_dr6();
	write_dr6(DR6_FIXED);
}

static void guest_step(void)
{
	u64 first, cpuid_end, a;

	guest_handlers[DB_VECTOR] = on_step;
	asm volatile("lea 1f(%%rip), %0\n"
		     "lea 2f(%%rip), %1\n"
		     "pushfq\n"
		     "orq $0x100, (%%rsp)\n"
		     "popfq\n"
		     "nop\n"			/* TF acts from here */
		     "1: xor %%eax, %%eax\n"
		     "cpuid\n"
		     "2: pushfq\n"
		     "andq $~0x100, (%%rsp)\n"
		     "popfq\n"
		     : "=&S"(first), "=&D"(cpuid_end), "=&a"(a)
		     : : "rbx", "rcx", "rdx", "memory", "cc");
	/* nop, xor, cpuid, pushf, and, popf */
	GUEST_ASSERT_EQ(steps, 6);
	GUEST_ASSERT_EQ(step_rip[0], first);
	GUEST_ASSERT_EQ(step_rip[2], cpuid_end);
	GUEST_ASSERT_EQ(db_dr6 & DR6_BS, DR6_BS);
}

/*
 * RFLAGS.TF traps after each instruction, one that exits (CPUID) included.
 */
static void test_step(void)
{
	guest_run(guest_step, 0);
}

static void guest_step_io(void)
{
	u64 after;

	guest_handlers[DB_VECTOR] = on_step;
	asm volatile("lea 1f(%%rip), %0\n"
		     "mov $0x2f0, %%edx\n"
		     "pushfq\n"
		     "orq $0x100, (%%rsp)\n"
		     "popfq\n"
		     "outb %%al, %%dx\n"
		     "1: pushfq\n"
		     "andq $~0x100, (%%rsp)\n"
		     "popfq\n"
		     : "=&S"(after) : : "rax", "rdx", "memory", "cc");
	GUEST_ASSERT_EQ(steps, 4);
	GUEST_ASSERT_EQ(step_rip[0], after);
}

/* A single step over an instruction that userspace completes. */
static void test_step_io(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);

	vcpu_call(vcpu, guest_step_io, 0);
	vcpu_expect(vcpu, KVM_EXIT_IO);
	CHECK_EQ(vcpu->run->io.port, 0x2f0);
	vcpu_done(vcpu);
}

static void guest_gd(void)
{
	guest_handlers[DB_VECTOR] = on_db;
	db_count = 0;
	write_dr7(DR7_FIXED | DR7_GD);
	/* the handler runs with GD clear: the CPU does that */
	asm volatile("mov %%dr0, %%rax" : : : "rax", "memory");
	GUEST_ASSERT(db_count >= 1);
	GUEST_ASSERT_EQ(db_dr6 & DR6_BD, DR6_BD);
	GUEST_ASSERT_EQ(read_dr7() & DR7_GD, 0);
}

/* DR7.GD: an access to a debug register is a #DB fault with DR6.BD. */
static void test_gd(void)
{
	guest_run(guest_gd, 0);
}

static void guest_de(void)
{
	u64 cr4 = read_cr4();
	u64 f;

	write_cr4(cr4 & ~X86_CR4_DE);
	GUEST_TRY(f, "mov %%dr4, %%rax", GUEST_NO_OUT, "a"(0));
	GUEST_ASSERT_EQ(f, 0);
	GUEST_TRY(f, "mov %%rax, %%dr5", GUEST_NO_OUT, "a"(DR7_FIXED));
	GUEST_ASSERT_EQ(f, 0);
	write_cr4(cr4 | X86_CR4_DE);
	GUEST_TRY(f, "mov %%dr4, %%rax", GUEST_NO_OUT, "a"(0));
	GUEST_ASSERT_EQ(f, FAULT(UD_VECTOR));
	GUEST_TRY(f, "mov %%rax, %%dr5", GUEST_NO_OUT, "a"(DR7_FIXED));
	GUEST_ASSERT_EQ(f, FAULT(UD_VECTOR));
	write_cr4(cr4);
}

/* DR4 and DR5 are DR6 and DR7 while CR4.DE is clear, and #UD otherwise. */
static void test_de(void)
{
	guest_run(guest_de, 0);
}

static u64 user_dr(u64 arg)
{
	u64 f;

	GUEST_TRY(f, "mov %%dr0, %[v]", [v] "+r"(arg) _GUEST_COMMA, "a"(0));
	return f;
}

static void guest_user_dr(void)
{
	GUEST_ASSERT_EQ(guest_user_call(user_dr, 0), FAULT(GP_VECTOR));
}

/* At CPL 3 a debug-register access is #GP(0). */
static void test_user_dr(void)
{
	guest_run_user(guest_user_dr);
}

static void guest_set_dr(void)
{
	GUEST_ASSERT_EQ(read_dr0(), 0x1000);
	GUEST_ASSERT_EQ(read_dr3(), 0x4000);
	GUEST_ASSERT_EQ(read_dr6(), DR6_FIXED | 1);
	GUEST_ASSERT_EQ(read_dr7(), DR7_FIXED | 0x100);
}

/*
 * KVM_SET_DEBUGREGS gives the guest its registers; flags and a DR6 or DR7 with
 * a bit above 31 are EINVAL.
 */
static void test_debugregs(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_add(vm, 0);
	struct kvm_debugregs d = { { 0x1000, 0x2000, 0x3000, 0x4000 } };

	d.dr6 = DR6_FIXED | 1;
	d.dr7 = DR7_FIXED | 0x100;
	d.flags = 1;
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_SET_DEBUGREGS, &d), EINVAL);
	d.flags = 0;
	d.dr6 |= 1ull << 32;
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_SET_DEBUGREGS, &d), EINVAL);
	d.dr6 &= ~(1ull << 32);
	d.dr7 |= 1ull << 33;
	CHECK_ERRNO(ioctl(vcpu->fd, KVM_SET_DEBUGREGS, &d), EINVAL);
	d.dr7 &= ~(1ull << 33);
	CHECK_OK(ioctl(vcpu->fd, KVM_SET_DEBUGREGS, &d));
	vcpu_call(vcpu, guest_set_dr, 0);
	vcpu_done(vcpu);
}

static void guest_debugged(void)
{
	asm volatile(".globl dr_step_1, dr_step_2, dr_int3, dr_watch\n"
		     "dr_step_1: nop\n"
		     "dr_step_2: nop\n"
		     "dr_int3: int3\n"
		     "nop\n"
		     "movl $1, %0\n"
		     "dr_watch: nop\n" : "+m"(watched));
}

extern const char dr_step_1[], dr_step_2[], dr_int3[], dr_watch[];

static void set_debug(struct vcpu *vcpu, u32 control, u64 addr, u64 dr7)
{
	struct kvm_guest_debug d = { .control = control };

	d.arch.debugreg[0] = addr;
	d.arch.debugreg[7] = dr7;
	CHECK_OK(ioctl(vcpu->fd, KVM_SET_GUEST_DEBUG, &d));
}

static struct vcpu *start_debugged(void)
{
	struct vcpu *vcpu;

	REQUIRE(dev_cap(KVM_CAP_SET_GUEST_DEBUG) > 0,
		"no KVM_CAP_SET_GUEST_DEBUG");
	vcpu = vcpu_add(vm_create(), 0);
	vcpu_call(vcpu, guest_debugged, 0);
	return vcpu;
}

/*
 * KVM_SET_GUEST_DEBUG: breakpoint instructions and single steps go to
 * userspace as KVM_EXIT_DEBUG, and to the guest when that is over.
 */
static void test_guest_debug(void)
{
	struct vcpu *vcpu = start_debugged();
	struct kvm_debug_exit_arch *d = &vcpu->run->debug.arch;
	struct kvm_regs regs;

	set_debug(vcpu, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP, 0, 0);
	vcpu_expect(vcpu, KVM_EXIT_DEBUG);
	CHECK_EQ(d->exception, BP_VECTOR);
	CHECK_EQ(d->pc, (uintptr_t)dr_int3);
	vcpu_get_regs(vcpu, &regs);
	CHECK_EQ(regs.rip, (uintptr_t)dr_int3);
	regs.rip = (uintptr_t)dr_step_1;
	vcpu_set_regs(vcpu, &regs);

	set_debug(vcpu, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP, 0, 0);
	vcpu_expect(vcpu, KVM_EXIT_DEBUG);
	CHECK_EQ(d->exception, DB_VECTOR);
	CHECK_EQ(d->pc, (uintptr_t)dr_step_2);
	CHECK_EQ(d->dr6 & DR6_BS, DR6_BS);
	vcpu_expect(vcpu, KVM_EXIT_DEBUG);
	CHECK_EQ(d->pc, (uintptr_t)dr_int3);

	/* off: the guest has its breakpoint instruction for itself */
	set_debug(vcpu, 0, 0, 0);
	VM_VAR(vcpu->vm, guest_handlers[BP_VECTOR]) = on_db;
	vcpu_done(vcpu);
	CHECK_EQ(VM_VAR(vcpu->vm, db_count), 1);
}

/* KVM_SET_GUEST_DEBUG with hardware breakpoints of the VMM's. */
static void test_guest_debug_hw(void)
{
	struct vcpu *vcpu = start_debugged();
	struct kvm_debug_exit_arch *d = &vcpu->run->debug.arch;
	struct kvm_regs regs;

	REQUIRE(host_has_breakpoints(), "this CPU has no breakpoints");
	/* on an instruction: before it runs */
	set_debug(vcpu, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP,
		  (uintptr_t)dr_step_1, 0x402);
	vcpu_expect(vcpu, KVM_EXIT_DEBUG);
	CHECK_EQ(d->exception, DB_VECTOR);
	CHECK_EQ(d->pc, (uintptr_t)dr_step_1);
	CHECK_EQ(d->dr6 & 0xf, 1);
	vcpu_get_regs(vcpu, &regs);
	regs.rip = (uintptr_t)dr_int3 + 1;
	vcpu_set_regs(vcpu, &regs);

	/* on a write: after it */
	set_debug(vcpu, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP,
		  (uintptr_t)&watched, 0x402 | 1 << 16 | 3 << 18);
	vcpu_expect(vcpu, KVM_EXIT_DEBUG);
	CHECK_EQ(d->pc, (uintptr_t)dr_watch);
	set_debug(vcpu, 0, 0, 0);
	vcpu_done(vcpu);
}

KSFT_MAIN(
	{ "dr: registers read back", test_registers },
	{ "dr: instruction breakpoint", test_instruction_bp },
	{ "dr: data breakpoint", test_data_bp },
	{ "dr: breakpoint over an exit", test_bp_over_exit },
	{ "dr: single step", test_step },
	{ "dr: single step over port I/O", test_step_io },
	{ "dr: DR7.GD", test_gd },
	{ "dr: DR4 and DR5", test_de },
	{ "dr: CPL 3", test_user_dr },
	{ "dr: KVM_SET_DEBUGREGS", test_debugregs },
	{ "dr: KVM_SET_GUEST_DEBUG", test_guest_debug },
	{ "dr: KVM_SET_GUEST_DEBUG, hardware breakpoints",
	  test_guest_debug_hw },
)
