// SPDX-License-Identifier: GPL-2.0-only
/*
 * nested/traps: what L1 waits for at the boundaries of L2's instructions, where it is the
 * hypervisor below that executes them, or halts: the monitor trap flag, windows, a triple fault.
 * Vol. 3, "Monitor Trap Flag", "Interrupt-Window Exiting and Virtual-Interrupt Delivery".
 */
#include "apic.h"
#include "nested.h"

#define PIC_IMR		0x21
#define PENDING_STEP	(1ull << 14)

/* -- the monitor trap flag ------------------------------------------------------------------ */

extern const char traps_msr[], traps_msr_after[], traps_msr_again[];

/* RDMSR is executed by the hypervisor: no CPU lets a guest at this one */
static void l2_rdmsr(void)
{
	asm volatile(".globl traps_msr, traps_msr_after, traps_msr_again\n"
		     "traps_msr: rdmsr\n"
		     "traps_msr_after: rdmsr\n"
		     "traps_msr_again: nop\n" : : "c"(MSR_APIC_BASE) : "eax", "edx", "memory");
}

static void guest_mtf(void)
{
	l1_start(l2_rdmsr, 0);
	l1_control(PROC_CTL, PROC_MSR_BITMAPS | PROC_MTF, 0);
	vmwrite(GUEST_RIP, pa(traps_msr));
	l2_regs.rcx = MSR_APIC_BASE;
	l2_regs.rax = 0;
	L2_EXIT(REASON_MTF);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(traps_msr_after));
	GUEST_ASSERT_EQ(l2_regs.rax, (u32)rdmsr(MSR_APIC_BASE));
	GUEST_ASSERT_EQ(vmread(EXIT_EVENT) & EVENT_VALID, 0);
	GUEST_ASSERT_EQ(vmread(IDT_EVENT) & EVENT_VALID, 0);
	/* a single step waits behind it */
	vmwrite(GUEST_RFLAGS, 2 | X86_TF);
	L2_EXIT(REASON_MTF);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(traps_msr_again));
	GUEST_ASSERT_EQ(vmread(GUEST_PENDING_DB) & PENDING_STEP, PENDING_STEP);
	l1_control(PROC_CTL, 0, PROC_MTF);
	vmwrite(EXCEPTION_BITMAP, 1 << DB_VECTOR);
	L2_EXIT(REASON_EXCEPTION);
	GUEST_ASSERT_EQ(vmread(EXIT_EVENT), EVENT_VALID | EVENT_HARD | DB_VECTOR);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), PENDING_STEP);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(traps_msr_again));
	GUEST_ASSERT_EQ(vmread(GUEST_PENDING_DB) & PENDING_STEP, 0);
	/* without the flag L2 comes to its end */
	vmwrite(GUEST_RFLAGS, 2);
	vmwrite(GUEST_RIP, pa(traps_msr));
	L2_DONE();
}

/* The monitor trap flag after an instruction that the hypervisor executes for L2. */
static void test_mtf(void)
{
	nested_run_with(guest_mtf, 0, PROC_CTL, PROC_MSR_BITMAPS | PROC_MTF);
}

/* -- string I/O ------------------------------------------------------------------------------- */

extern const char traps_outs[];
static u8 masks[4] = { 0xff, 0xff, 0xff, 0xff };

static void l2_outs(void)
{
	const u8 *from = masks;
	u64 n = sizeof(masks);

	asm volatile(".globl traps_outs\n"
		     "traps_outs: rep outsb\n" : "+S"(from), "+c"(n) : "d"(PIC_IMR) : "memory");
}

static void guest_outs(void)
{
	u64 n;

	l1_start(l2_outs, 0);
	l1_control(PROC_CTL, PROC_MTF, PROC_IO);
	vmwrite(GUEST_RIP, pa(traps_outs));
	l2_regs.rdx = PIC_IMR;
	l2_regs.rcx = sizeof(masks);
	l2_regs.rsi = pa(masks);
	for (n = 1; n <= sizeof(masks); n++) {
		L2_EXIT(REASON_MTF);
		GUEST_ASSERT_EQ(l2_regs.rcx, sizeof(masks) - n);
		GUEST_ASSERT_EQ(l2_regs.rsi, pa(masks) + n);
		GUEST_ASSERT_EQ(vmread(GUEST_RIP) == pa(traps_outs), n < sizeof(masks));
	}
	l1_control(PROC_CTL, 0, PROC_MTF);
	L2_DONE();
}

/* After each element of a string that the hypervisor puts out. */
static void test_outs(void)
{
	struct vcpu *vcpu = nested_vcpu_irqchip(guest_outs, 0);

	REQUIRE(ksft_is_emys(), "KVM has one exit for the whole string");
	REQUIRE(nested_can(vcpu, PROC_CTL, PROC_MTF), "no monitor trap flag");
	vcpu_done(vcpu);
}

/* -- windows in HLT ---------------------------------------------------------------------------- */

static void l2_nothing_more(void)
{
	asm volatile("nop");
}

extern const char traps_halted[];

/* the window opens behind HLT */
static void l2_sti_hlt(void)
{
	asm volatile("sti\n"
		     "hlt\n"
		     ".globl traps_halted\n"
		     "traps_halted: cli\n" : : : "memory");
}

static volatile u64 dbs;

static void on_db(struct guest_frame *frame)
{
	dbs = frame->vector;
}

static u64 handler(unsigned int vector)
{
	return (uintptr_t)guest_stubs + vector * GUEST_STUB_SIZE;
}

/* KVM has it awake after an exit that ended HLT */
static u64 asleep;

/* L2 halts; what is the exit, and where? */
static void halted(u64 reason, u64 rip, u64 activity)
{
	vmwrite(GUEST_ACTIVITY, ACTIVITY_HLT);
	L2_EXIT(reason);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), rip);
	GUEST_ASSERT_EQ(vmread(GUEST_ACTIVITY), activity);
	vmwrite(GUEST_ACTIVITY, ACTIVITY_ACTIVE);
}

static void guest_windows(u64 halts)
{
	asleep = halts ? ACTIVITY_HLT : ACTIVITY_ACTIVE;
	guest_handlers[DB_VECTOR] = on_db;
	l1_start(l2_nothing_more, 0);
	l1_control(PROC_CTL, PROC_INTR_WINDOW, 0);
	vmwrite(GUEST_RFLAGS, 2 | X86_IF);
	halted(REASON_INTR_WINDOW, pa(l2_nothing_more), asleep);
	l1_control(PIN_CTL, PIN_NMI | PIN_VIRTUAL_NMI, 0);
	l1_control(PROC_CTL, PROC_NMI_WINDOW, PROC_INTR_WINDOW);
	vmwrite(GUEST_RFLAGS, 2);
	halted(REASON_NMI_WINDOW, pa(l2_nothing_more), asleep);
	/* the handler's first instruction, awake: an exception ends HLT before the window */
	vmwrite(ENTRY_EVENT, EVENT_VALID | EVENT_HARD | DB_VECTOR);
	halted(REASON_NMI_WINDOW, handler(DB_VECTOR), ACTIVITY_ACTIVE);
	l1_control(PROC_CTL, 0, PROC_NMI_WINDOW);
	L2_DONE();
}

/* An open window ends HLT. */
static void test_windows(void)
{
	struct vcpu *vcpu = nested_vcpu_irqchip(guest_windows, ksft_is_emys());

	REQUIRE(nested_msr(vcpu, MSR_VMX_MISC) & MISC_HLT, "no HLT activity state");
	REQUIRE(nested_can(vcpu, PIN_CTL, PIN_VIRTUAL_NMI), "no virtual NMIs");
	vcpu_done(vcpu);
}

static void guest_halts(void)
{
	l1_start(l2_sti_hlt, 0);
	l1_control(PROC_CTL, PROC_INTR_WINDOW, 0);
	L2_EXIT(REASON_INTR_WINDOW);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(traps_halted));
	GUEST_ASSERT_EQ(vmread(GUEST_ACTIVITY), ACTIVITY_HLT);
	vmwrite(GUEST_ACTIVITY, ACTIVITY_ACTIVE);
	l1_control(PROC_CTL, 0, PROC_INTR_WINDOW);
	L2_DONE();
}

/* The same where L2 halts by itself, with and without interrupt controllers in the kernel. */
static void test_halts(void)
{
	REQUIRE(ksft_is_emys(), "KVM sleeps on");
	vcpu_done(nested_vcpu_irqchip(guest_halts, 0));
	vcpu_done(nested_vcpu(guest_halts, 0));
}

static void guest_closed(void)
{
	asleep = ACTIVITY_HLT;
	apic_enable();
	l1_start(l2_nothing_more, 0);
	l1_control(PIN_CTL, PIN_EXTINT | PIN_NMI | PIN_VIRTUAL_NMI, 0);
	l1_control(PROC_CTL, PROC_INTR_WINDOW | PROC_NMI_WINDOW, 0);
	vmwrite(GUEST_RFLAGS, 2);
	vmwrite(GUEST_BLOCKING, 8);
	apic_write(APIC_TDCR, 0xb);
	apic_write(APIC_LVTT, 0x40);
	apic_write(APIC_TMICT, 1000000);
	halted(REASON_EXTINT, pa(l2_nothing_more), asleep);
	/* it waited for the timer */
	GUEST_ASSERT_EQ(apic_bit(APIC_IRR, 0x40), 1);
}

/* A closed one does not: interrupts off, NMIs blocked. */
static void test_closed(void)
{
	struct vcpu *vcpu = nested_vcpu_irqchip(guest_closed, 0);

	REQUIRE(ksft_is_emys(), "KVM does not halt while it waits for an NMI window");
	REQUIRE(nested_msr(vcpu, MSR_VMX_MISC) & MISC_HLT, "no HLT activity state");
	REQUIRE(nested_can(vcpu, PIN_CTL, PIN_VIRTUAL_NMI), "no virtual NMIs");
	vcpu_done(vcpu);
}

/* -- a triple fault ------------------------------------------------------------------------------ */

static void l2_sync(void)
{
	GUEST_SYNC(1);
}

static void guest_shutdown(u64 l2)
{
	l1_start(l2_sync, 0);
	if (!l2) {
		GUEST_SYNC(1);
		return;
	}
	L2_EXIT(REASON_TRIPLE_FAULT);
	GUEST_ASSERT_EQ(vmread(EXIT_EVENT) & EVENT_VALID, 0);
	GUEST_ASSERT_EQ(vmread(IDT_EVENT) & EVENT_VALID, 0);
	/* L1 goes on, and so may L2 */
	L2_DONE();
}

/* A machine check that cannot be delivered: CR4.MCE is 0 in either guest */
static struct vcpu *shut_down(u64 l2)
{
	struct kvm_x86_mce mce = { .status = 1ull << 63 | 1ull << 61, .mcg_status = 4 };
	struct vcpu *vcpu = nested_vcpu(guest_shutdown, l2);
	u64 cap = 1;

	CHECK_OK(ioctl(vcpu->fd, KVM_X86_SETUP_MCE, &cap));
	vcpu_sync(vcpu, 1);
	CHECK_OK(ioctl(vcpu->fd, KVM_X86_SET_MCE, &mce));
	return vcpu;
}

/* A CPU that the VMM shuts down while L2 runs: an exit to L1; while L1 runs: the VM's end. */
static void test_shutdown(void)
{
	vcpu_done(shut_down(1));
	vcpu_expect(shut_down(0), KVM_EXIT_SHUTDOWN);
}

/* -- debug controls -------------------------------------------------------------------------------- */

#define MSR_DEBUGCTL	0x1d9
#define DEBUGCTL_LBR	1ull
#define DEBUGCTL_BTF	2ull

static void l2_debug(void)
{
	GUEST_ASSERT_EQ(rdmsr(MSR_DEBUGCTL) & ~(DEBUGCTL_LBR | DEBUGCTL_BTF), 0);
	wrmsr(MSR_DEBUGCTL, DEBUGCTL_LBR | DEBUGCTL_BTF);
	vmcall();
}

static void guest_debug(void)
{
	u64 bits;

	wrmsr(MSR_DEBUGCTL, DEBUGCTL_LBR);
	for (bits = 0; bits <= (DEBUGCTL_LBR | DEBUGCTL_BTF); bits++) {
		l1_start(l2_debug, 0);
		l1_control(PROC_CTL, PROC_MSR_BITMAPS, 0);
		l1_control(ENTRY_CTL, ENTRY_LOAD_DEBUG, 0);
		l1_control(EXIT_CTL, EXIT_SAVE_DEBUG, 0);
		vmwrite(GUEST_DEBUGCTL, bits);
		vmwrite(GUEST_DR7, 0x404);
		L2_EXIT_SKIP(REASON_VMCALL);
		GUEST_ASSERT_EQ(vmread(GUEST_DR7), 0x404);
		/* an exit clears it */
		GUEST_ASSERT_EQ(rdmsr(MSR_DEBUGCTL), 0);
		L2_DONE();
		l1_vmx_off();
	}
}

/* IA32_DEBUGCTL of L2: what L1 may write it may load. */
static void test_debug(void)
{
	nested_run_with(guest_debug, 0, PROC_CTL, PROC_MSR_BITMAPS);
}

KSFT_MAIN(
	{ "traps: MTF behind an instruction of the hypervisor's", test_mtf },
	{ "traps: MTF in a string", test_outs },
	{ "traps: windows in HLT", test_windows },
	{ "traps: a window behind HLT", test_halts },
	{ "traps: closed windows in HLT", test_closed },
	{ "traps: shutdown in L2", test_shutdown },
	{ "traps: debug controls", test_debug },
)
