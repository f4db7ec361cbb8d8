// SPDX-License-Identifier: GPL-2.0-only
/* exits/guest_debug: KVM_SET_GUEST_DEBUG, a debugger in the VMM */
#include "apic.h"
#include "vmm.h"

#define PORT		0x2f0
#define DR6_FIXED	0xffff0ff0ull
#define DR6_BS		(1ull << 14)
#define DR7_FIXED	0x400ull
#define IRQ_VECTOR	0x41

#define STEP		(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP)

/* labels in the guest code below */
extern const char gd_0[], gd_1[], gd_2[], gd_3[], gd_4[], gd_5[], gd_6[], gd_7[], gd_8[],
	gd_9[];
extern const char gf_0[], gf_1[], gf_2[], gf_ud[];
extern const char go_0[], go_1[], go_2[];
extern const char gi_0[], gi_1[];
extern const char gw_0[], gw_1[], gw_2[];
extern const char gq_0[], gq_1[], gq_2[], gq_3[];
extern const char gn_0[];

static volatile u64 count[256], rips[256], watched;

static void record(struct guest_frame *frame)
{
	count[frame->vector]++;
	rips[frame->vector] = frame->rip;
}

static int try_debug(struct vcpu *vcpu, u32 control, u64 addr, u64 dr7)
{
	struct kvm_guest_debug d = { .control = control };

	d.arch.debugreg[0] = addr;
	d.arch.debugreg[7] = dr7;
	return ioctl(vcpu->fd, KVM_SET_GUEST_DEBUG, &d);
}

static void set_debug(struct vcpu *vcpu, u32 control, u64 addr, u64 dr7)
{
	CHECK_OK(try_debug(vcpu, control, addr, dr7));
}

static struct vcpu *start_at(struct vcpu *vcpu, void *fn)
{
	REQUIRE(dev_cap(KVM_CAP_SET_GUEST_DEBUG) > 0, "no KVM_CAP_SET_GUEST_DEBUG");
	vcpu_call(vcpu, fn, 0);
	return vcpu;
}

static struct vcpu *start(void *fn)
{
	return start_at(vcpu_add(vm_create(), 0), fn);
}

/* the next exit is a step that ended before the instruction at LABEL */
#define expect_step(vcpu, label) do_expect_step(vcpu, label, #label)

static void do_expect_step(struct vcpu *vcpu, const char *label, const char *name)
{
	struct kvm_debug_exit_arch *d = &vcpu->run->debug.arch;
	u32 got = vcpu_exit(vcpu);

	if (got != KVM_EXIT_DEBUG || d->pc != (uintptr_t)label)
		ksft_print("no step to %s", name);
	if (got != KVM_EXIT_DEBUG)
		vcpu_bad_exit(vcpu, got, KVM_EXIT_DEBUG);
	CHECK_EQ(d->pc, (uintptr_t)label);
	CHECK_EQ(d->exception, DB_VECTOR);
	CHECK_EQ(d->dr6 & (DR6_BS | 0xf), DR6_BS);
}

/* run to the breakpoint instruction at LABEL, and step from behind it */
static void run_to(struct vcpu *vcpu, const char *label, u32 control)
{
	struct kvm_regs r;

	set_debug(vcpu, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP, 0, 0);
	vcpu_expect(vcpu, KVM_EXIT_DEBUG);
	CHECK_EQ(vcpu->run->debug.arch.exception, BP_VECTOR);
	CHECK_EQ(vcpu->run->debug.arch.pc, (uintptr_t)label);
	vcpu_get_regs(vcpu, &r);
	CHECK_EQ(r.rip, (uintptr_t)label);
	r.rip++;
	vcpu_set_regs(vcpu, &r);
	set_debug(vcpu, control, 0, 0);
}

/* What is advertised is what works; control bits that mean nothing are EINVAL. */
static void test_control(void)
{
	struct vcpu *vcpu = start(guest_return);
	u32 valid, bit;

	valid = dev_cap(KVM_CAP_SET_GUEST_DEBUG2);
	CHECK_EQ(valid & (STEP | KVM_GUESTDBG_USE_SW_BP | KVM_GUESTDBG_USE_HW_BP |
			  KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP),
		 STEP | KVM_GUESTDBG_USE_SW_BP | KVM_GUESTDBG_USE_HW_BP |
		 KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP);
	for (bit = 1; bit; bit <<= 1) {
		if (valid & bit)
			continue;
		/* KVM 6.1 takes everything */
		if (ksft_is_emys())
			CHECK_ERRNO(try_debug(vcpu, KVM_GUESTDBG_ENABLE | bit, 0, 0), EINVAL);
	}
	if (ksft_is_emys())
		CHECK_ERRNO(try_debug(vcpu, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP, 0,
				      1ull << 32), EINVAL);
	/* without ENABLE nothing else counts */
	set_debug(vcpu, KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP, 0, 0);
	vcpu_done(vcpu);
}

static void guest_steps(void)
{
	asm volatile(".globl gd_0, gd_1, gd_2, gd_3, gd_4, gd_5, gd_6, gd_7, gd_8, gd_9\n"
		     "gd_0: int3\n"
		     "xor %%eax, %%eax\n"
		     "gd_1: cpuid\n"			/* emys does it */
		     "gd_2: mov $0x2f0, %%edx\n"
		     "gd_3: outb %%al, %%dx\n"		/* the VMM does it */
		     "gd_4: inb %%dx, %%al\n"
		     "gd_5: mov $0xd0000000, %%ebx\n"
		     "gd_6: movl %%eax, (%%rbx)\n"	/* and this */
		     "gd_7: mov $0x277, %%ecx\n"
		     "gd_8: rdmsr\n"
		     "gd_9: nop\n"
		     : : : "rax", "rbx", "rcx", "rdx", "memory");
}

/* One instruction at a time, whoever carries it out. */
static void test_steps(void)
{
	struct vcpu *vcpu = start(guest_steps);
	struct kvm_regs r;

	run_to(vcpu, gd_0, STEP);
	expect_step(vcpu, gd_1);
	expect_step(vcpu, gd_2);
	expect_step(vcpu, gd_3);
	vcpu_expect(vcpu, KVM_EXIT_IO);
	CHECK_EQ(vcpu->run->io.port, PORT);
	expect_step(vcpu, gd_4);
	vcpu_expect(vcpu, KVM_EXIT_IO);
	*((u8 *)vcpu->run + vcpu->run->io.data_offset) = 0x77;
	expect_step(vcpu, gd_5);
	vcpu_get_regs(vcpu, &r);
	CHECK_EQ(r.rax & 0xff, 0x77);
	expect_step(vcpu, gd_6);
	vcpu_expect(vcpu, KVM_EXIT_MMIO);
	/* KVM 6.1 forgets to stop after a write that the VMM did */
	if (ksft_is_emys()) {
		expect_step(vcpu, gd_7);
		expect_step(vcpu, gd_8);
		expect_step(vcpu, gd_9);
	}
	vcpu_get_regs(vcpu, &r);
	CHECK_EQ(r.rflags & X86_TF, 0);
	set_debug(vcpu, 0, 0, 0);
	vcpu_done(vcpu);
}

static void guest_flags(void)
{
	u64 flags;

	guest_handlers[UD_VECTOR] = record;
	asm volatile(".globl gf_0, gf_1, gf_2, gf_ud\n"
		     "gf_0: int3\n"
		     "pushfq\n"
		     "gf_1: pop %0\n"
		     "gf_2: nop\n"
		     "gf_ud: ud2\n" : "=r"(flags) : : "memory");
	GUEST_ASSERT_EQ(flags & X86_TF, 0);
}

/*
 * A step is not seen by the guest: not in the flags that it pushes, and not in
 * the frame of an exception, into whose handler the step goes.
 */
static void test_hidden(void)
{
	struct vcpu *vcpu = start(guest_flags);
	struct kvm_regs r;

	REQUIRE(ksft_is_emys(), "KVM steps by RFLAGS.TF");
	run_to(vcpu, gf_0, STEP);
	expect_step(vcpu, gf_1);
	expect_step(vcpu, gf_2);
	expect_step(vcpu, gf_ud);
	expect_step(vcpu, guest_stubs + UD_VECTOR * GUEST_STUB_SIZE);
	vcpu_get_regs(vcpu, &r);
	CHECK_EQ(*(u64 *)vm_ptr(vcpu->vm, r.rsp), (uintptr_t)gf_ud);
	CHECK_EQ(*(u64 *)vm_ptr(vcpu->vm, r.rsp + 16) & X86_TF, 0);
}

static void guest_own_steps(void)
{
	guest_handlers[DB_VECTOR] = record;
	asm volatile(".globl go_0, go_1, go_2\n"
		     "go_0: int3\n"
		     "pushfq\n"
		     "orq $0x100, (%%rsp)\n"
		     "popfq\n"
		     "nop\n"
		     "go_1: nop\n"
		     "pushfq\n"
		     "andq $~0x100, (%%rsp)\n"
		     "popfq\n"
		     "go_2: nop\n" : : : "memory");
	/* nop, nop, pushf, and, popf */
	GUEST_ASSERT_EQ(count[DB_VECTOR], 5);
	GUEST_ASSERT_EQ(rips[DB_VECTOR], (uintptr_t)go_2);
}

/* A guest that steps itself loses none of its traps to a debugger that steps it. */
static void test_own_steps(void)
{
	struct vcpu *vcpu = start(guest_own_steps);
	struct kvm_debug_exit_arch *d = &vcpu->run->debug.arch;
	unsigned int n = 0;

	REQUIRE(ksft_is_emys(), "KVM steps by RFLAGS.TF");
	run_to(vcpu, go_0, STEP);
	do {
		vcpu_expect(vcpu, KVM_EXIT_DEBUG);
		CHECK_EQ(d->exception, DB_VECTOR);
	} while (d->pc != (uintptr_t)go_2 && ++n < 2000);
	CHECK(n < 2000);
	/* five passes through the handler */
	CHECK(n > 100);
	set_debug(vcpu, 0, 0, 0);
	vcpu_done(vcpu);
}

static void guest_int3(void)
{
	guest_handlers[BP_VECTOR] = record;
	guest_handlers[DB_VECTOR] = record;
	asm volatile(".globl gi_0, gi_1\n"
		     "gi_0: int3\n"
		     "gi_1: nop\n" : : : "memory");
	GUEST_ASSERT_EQ(count[BP_VECTOR], 1);
	GUEST_ASSERT_EQ(rips[BP_VECTOR], (uintptr_t)gi_1);
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(count[DB_VECTOR], 1);
}

/* A breakpoint that is the guest's own goes back to it; #DB can be injected. */
static void test_inject(void)
{
	struct vcpu *vcpu = start(guest_int3);

	set_debug(vcpu, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP, 0, 0);
	vcpu_expect(vcpu, KVM_EXIT_DEBUG);
	CHECK_EQ(vcpu->run->debug.arch.pc, (uintptr_t)gi_0);
	set_debug(vcpu, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP | KVM_GUESTDBG_INJECT_BP,
		  0, 0);
	vcpu_sync(vcpu, 1);
	/* the port access is finished first */
	vcpu->run->immediate_exit = 1;
	CHECK_EQ(vcpu_run_raw(vcpu), -EINTR);
	vcpu->run->immediate_exit = 0;
	set_debug(vcpu, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_INJECT_DB, 0, 0);
	/* one is waiting already */
	CHECK_ERRNO(try_debug(vcpu, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_INJECT_DB, 0, 0), EBUSY);
	vcpu_done(vcpu);
}

static void guest_registers(void)
{
	u64 f;

	GUEST_ASSERT_EQ(read_dr0(), 0);
	write_dr0(0x1234567812345678ull);
	write_dr3(0x3333);
	write_dr6(DR6_FIXED | 2);
	write_dr7(DR7_FIXED | 0x10);
	GUEST_ASSERT_EQ(read_dr0(), 0x1234567812345678ull);
	GUEST_ASSERT_EQ(read_dr3(), 0x3333);
	GUEST_ASSERT_EQ(read_dr6(), DR6_FIXED | 2);
	GUEST_ASSERT_EQ(read_dr7(), DR7_FIXED | 0x10);
	GUEST_ASSERT_EQ(try_write_dr7(1ull << 32), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_write_dr6(1ull << 40), FAULT(GP_VECTOR));
	write_cr4(read_cr4() | X86_CR4_DE);
	GUEST_TRY(f, "mov %%dr4, %%rax", GUEST_NO_OUT, "a"(0));
	GUEST_ASSERT_EQ(f, FAULT(UD_VECTOR));
	write_cr4(read_cr4() & ~X86_CR4_DE);
	GUEST_TRY(f, "mov %%rax, %%dr4", GUEST_NO_OUT, "a"(DR6_FIXED | 1));
	GUEST_ASSERT_EQ(f, 0);
	GUEST_ASSERT_EQ(read_dr6(), DR6_FIXED | 1);
	GUEST_SYNC(1);
	GUEST_ASSERT_EQ(read_dr0(), 0x1234567812345678ull);
	GUEST_ASSERT_EQ(read_dr6(), DR6_FIXED | 1);
	GUEST_ASSERT_EQ(read_dr7(), DR7_FIXED | 0x10);
}

/* The debugger's breakpoints are not in the guest's debug registers, nor the reverse. */
static void test_registers(void)
{
	struct vcpu *vcpu = start(guest_registers);
	struct kvm_debugregs d;

	/* a breakpoint where nothing runs */
	set_debug(vcpu, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP, 0x7777, DR7_FIXED | 1);
	vcpu_sync(vcpu, 1);
	CHECK_OK(ioctl(vcpu->fd, KVM_GET_DEBUGREGS, &d));
	CHECK_EQ(d.db[0], 0x1234567812345678ull);
	CHECK_EQ(d.dr6, DR6_FIXED | 1);
	CHECK_EQ(d.dr7, DR7_FIXED | 0x10);
	set_debug(vcpu, 0, 0, 0);
	vcpu_done(vcpu);
}

static void guest_watched(void)
{
	asm volatile(".globl gw_0, gw_1, gw_2\n"
		     "gw_0: nop\n"
		     "gw_1: movl $1, %0\n"
		     "gw_2: nop\n" : "+m"(watched));
}

/* Breakpoints in the debug registers: on execution before it, on a write after it. */
static void test_breakpoints(void)
{
	const u32 hw = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP;
	struct vcpu *vcpu = start(guest_watched);
	struct kvm_debug_exit_arch *d = &vcpu->run->debug.arch;

	REQUIRE(host_has_breakpoints(), "this CPU has no breakpoints");
	set_debug(vcpu, hw, (uintptr_t)gw_0, DR7_FIXED | 2);
	vcpu_expect(vcpu, KVM_EXIT_DEBUG);
	CHECK_EQ(d->exception, DB_VECTOR);
	CHECK_EQ(d->pc, (uintptr_t)gw_0);
	CHECK_EQ(d->dr6 & (DR6_BS | 0xf), 1);
	CHECK_EQ(d->dr7, DR7_FIXED | 2);
	/* as debuggers do: off, over it by a step, and on again */
	set_debug(vcpu, STEP, 0, 0);
	expect_step(vcpu, gw_1);
	set_debug(vcpu, hw, (uintptr_t)&watched, DR7_FIXED | 2 | 1 << 16 | 3 << 18);
	vcpu_expect(vcpu, KVM_EXIT_DEBUG);
	CHECK_EQ(d->pc, (uintptr_t)gw_2);
	CHECK_EQ(d->dr6 & (DR6_BS | 0xf), 1);
	CHECK_EQ((u32)VM_VAR(vcpu->vm, watched), 1);
	set_debug(vcpu, 0, 0, 0);
	vcpu_done(vcpu);
}

static void guest_nmi(void)
{
	guest_handlers[NMI_VECTOR] = record;
	asm volatile("mov $0x2f0, %%edx\n"
		     "outb %%al, %%dx\n"
		     ".globl gn_0\n"
		     "gn_0: nop\n" : : : "rdx", "memory");
	GUEST_ASSERT_EQ(count[NMI_VECTOR], 2);
}

/* A stop before the IRET of an NMI's handler does not let the next NMI in. */
static void test_nmi_iret(void)
{
	struct vcpu *vcpu = start(guest_nmi);
	struct kvm_vcpu_events ev;

	REQUIRE(host_has_breakpoints(), "this CPU has no breakpoints");
	vcpu_expect(vcpu, KVM_EXIT_IO);
	CHECK_OK(ioctl(vcpu->fd, KVM_NMI));
	set_debug(vcpu, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP, (uintptr_t)guest_iret,
		  DR7_FIXED | 2);
	vcpu_expect(vcpu, KVM_EXIT_DEBUG);
	CHECK_EQ(vcpu->run->debug.arch.pc, (uintptr_t)guest_iret);
	vcpu_get_events(vcpu, &ev);
	CHECK_EQ(ev.nmi.masked, 1);
	CHECK_OK(ioctl(vcpu->fd, KVM_NMI));
	set_debug(vcpu, STEP, 0, 0);
	expect_step(vcpu, gn_0);
	expect_step(vcpu, guest_stubs + NMI_VECTOR * GUEST_STUB_SIZE);
	set_debug(vcpu, 0, 0, 0);
	vcpu_done(vcpu);
}

static void on_irq(struct guest_frame *frame)
{
	record(frame);
	apic_eoi();
}

static void guest_irq(void)
{
	guest_handlers[IRQ_VECTOR] = on_irq;
	apic_enable();
	apic_icr(0, ICR_SELF | ICR_FIXED | IRQ_VECTOR);
	asm volatile(".globl gq_0, gq_1, gq_2, gq_3\n"
		     "gq_0: int3\n"
		     "sti\n"
		     "gq_1: nop\n"
		     "gq_2: nop\n"
		     "gq_3: nop\n"
		     "cli\n" : : : "memory");
	GUEST_ASSERT_EQ(count[IRQ_VECTOR], 1);
	GUEST_ASSERT_EQ(rips[IRQ_VECTOR], (uintptr_t)gq_3);
}

/* BLOCKIRQ: a step stays where the debugger looks; the interrupt comes afterwards. */
static void test_blockirq(void)
{
	struct vcpu *vcpu;
	struct vm *vm;

	REQUIRE(dev_cap(KVM_CAP_SET_GUEST_DEBUG2) & KVM_GUESTDBG_BLOCKIRQ,
		"no KVM_GUESTDBG_BLOCKIRQ");
	vm = vm_create();
	vm_irqchip(vm);
	vcpu = start_at(vcpu_add(vm, 0), guest_irq);
	run_to(vcpu, gq_0, STEP | KVM_GUESTDBG_BLOCKIRQ);
	expect_step(vcpu, gq_1);
	expect_step(vcpu, gq_2);
	expect_step(vcpu, gq_3);
	set_debug(vcpu, 0, 0, 0);
	vcpu_done(vcpu);
}

KSFT_MAIN(
	{ "guest_debug: control bits", test_control },
	{ "guest_debug: single steps", test_steps },
	{ "guest_debug: steps are hidden", test_hidden },
	{ "guest_debug: the guest's own steps", test_own_steps },
	{ "guest_debug: breakpoint instructions, injection", test_inject },
	{ "guest_debug: registers kept apart", test_registers },
	{ "guest_debug: breakpoints", test_breakpoints },
	{ "guest_debug: interrupts held back", test_blockirq },
	{ "guest_debug: a stop at the IRET of an NMI handler", test_nmi_iret },
)
