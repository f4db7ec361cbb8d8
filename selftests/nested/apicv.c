// SPDX-License-Identifier: GPL-2.0-only
/*
 * nested/apicv: APIC virtualization of L1 for L2. Vol. 3, "APIC Virtualization and Virtual
 * Interrupts".
 */
#include "vapic.h"

#define VECTOR	0x51
#define VECTOR2	0x91

/* the page whose accesses are the APIC's */
static u8 access_page[4096] VMX_PAGE;

static volatile u64 got;

static void l2_cr8(void)
{
	got = read_cr8();
	asm volatile("mov %0, %%cr8\n"
		     ".globl apicv_cr8\n"
		     "apicv_cr8: nop" : : "r"(3ull) : "memory");
}

extern const char apicv_cr8[];

static void guest_tpr(void)
{
	l1_vmx_on();
	vapic_start(l2_cr8, 0);
	*vapic_reg(APIC_TPR) = 0x90;
	L2_DONE();
	GUEST_ASSERT_EQ(got, 9);
	GUEST_ASSERT_EQ(*vapic_reg(APIC_TPR), 0x30);
	GUEST_ASSERT_EQ(read_cr8(), 0);
	/* at the threshold it does not exit, below it does, after the instruction */
	*vapic_reg(APIC_TPR) = 0x90;
	vmwrite(TPR_THRESHOLD, 3);
	l2_call(l2_cr8, 0);
	L2_DONE();
	*vapic_reg(APIC_TPR) = 0x90;
	vmwrite(TPR_THRESHOLD, 4);
	l2_call(l2_cr8, 0);
	L2_EXIT(REASON_TPR);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(apicv_cr8));
	GUEST_ASSERT_EQ(*vapic_reg(APIC_TPR), 0x30);
	/* the exits of MOV CR8 come first */
	vmwrite(TPR_THRESHOLD, 0);
	l1_control(PROC_CTL, PROC_CR8_LOAD, 0);
	*vapic_reg(APIC_TPR) = 0x90;
	l2_call(l2_cr8, 0);
	L2_EXIT(REASON_CR);
	GUEST_ASSERT_EQ(*vapic_reg(APIC_TPR), 0x90);
}

/* TPR shadow: CR8 is in the virtual-APIC page, and the threshold exits. */
static void test_tpr(void)
{
	struct vcpu *vcpu = nested_vcpu_irqchip(guest_tpr, 0);

	REQUIRE(nested_can(vcpu, PROC_CTL, PROC_TPR_SHADOW), "no TPR shadow");
	vcpu_done(vcpu);
}

/* The same where L1 has no APIC of its own in the kernel. */
static void test_tpr_alone(void)
{
	REQUIRE(ksft_is_emys(), "KVM gives L2 the CR8 of L1");
	nested_run_with(guest_tpr, 0, PROC_CTL, PROC_TPR_SHADOW);
}

/* an address of the VM's that is no memory */
#define NOWHERE		0xc0000000ull

static void guest_nowhere(void)
{
	l1_vmx_on();
	vapic_start(l2_cr8, 0);
	vmwrite(VIRTUAL_APIC, NOWHERE);
	vmwrite(TPR_THRESHOLD, 15);
	/* all ones: not below the threshold */
	L2_EXIT(REASON_TPR);
	GUEST_ASSERT_EQ(got, 15);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(apicv_cr8));
	/* and one of L1's again */
	vmwrite(VIRTUAL_APIC, pa(virtual_apic));
	vmwrite(TPR_THRESHOLD, 0);
	*vapic_reg(APIC_TPR) = 0x90;
	l2_call(l2_cr8, 0);
	L2_DONE();
	GUEST_ASSERT_EQ(got, 9);
	GUEST_ASSERT_EQ(*vapic_reg(APIC_TPR), 0x30);
}

/* A virtual-APIC page in no memory: any address within the width will do for an entry. */
static void test_nowhere(void)
{
	REQUIRE(ksft_is_emys(), "KVM has no virtual-APIC page then");
	nested_run_with(guest_nowhere, 0, PROC_CTL, PROC_TPR_SHADOW);
}

static void l2_read(u64 at)
{
	got = *(volatile u32 *)at;
}

static void l2_write(u64 at)
{
	*(volatile u32 *)at = 0x20;
}

static void guest_access(u64 ept)
{
	l1_vmx_on();
	l1_make_vmcs(l1_vmcs, l2_read, pa(access_page) + APIC_ID);
	vmwrite(APIC_ACCESS, pa(access_page));
	l1_control(PROC2_CTL, PROC2_APIC_ACCESS, 0);
	if (ept)
		l1_use_ept(ept_identity(1));
	/* offset, and what kind of access: 0 read, 1 write */
	L2_EXIT(REASON_APIC_ACCESS);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), APIC_ID);
	l2_call(l2_write, pa(access_page) + APIC_ICR);
	L2_EXIT(REASON_APIC_ACCESS);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), APIC_ICR | 1 << 12);
	/* TPR is no exception without its shadow */
	l2_call(l2_read, pa(access_page) + APIC_TPR);
	L2_EXIT(REASON_APIC_ACCESS);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), APIC_TPR);
	/* nor is the next page one */
	l2_call(l2_read, pa(virtual_apic) + APIC_ID);
	L2_DONE();
	if (!l1_can(PROC_CTL, PROC_TPR_SHADOW))
		return;
	vmwrite(VIRTUAL_APIC, pa(virtual_apic));
	vmwrite(TPR_THRESHOLD, 0);
	l1_control(PROC_CTL, PROC_TPR_SHADOW, 0);
	*vapic_reg(APIC_TPR) = 0x70;
	l2_call(l2_read, pa(access_page) + APIC_TPR);
	L2_DONE();
	GUEST_ASSERT_EQ(got, 0x70);
	l2_call(l2_write, pa(access_page) + APIC_TPR);
	L2_DONE();
	GUEST_ASSERT_EQ(*vapic_reg(APIC_TPR), 0x20);
	l2_call(l2_read, pa(access_page) + APIC_ID);
	L2_EXIT(REASON_APIC_ACCESS);
	/* off: it is memory */
	l1_control(PROC2_CTL, 0, PROC2_APIC_ACCESS);
	*(volatile u32 *)(access_page + APIC_ID) = 0x4321;
	l2_call(l2_read, pa(access_page) + APIC_ID);
	L2_DONE();
	GUEST_ASSERT_EQ(got, 0x4321);
}

/* The APIC-access page, with L1's EPT and without. */
static void test_access(void)
{
	vcpu_done(nested_vcpu_with(guest_access, 0, PROC2_CTL, PROC2_APIC_ACCESS));
	vcpu_done(nested_vcpu_with(guest_access, 1, PROC2_CTL, PROC2_APIC_ACCESS | PROC2_EPT));
}

static void l2_x2apic(void)
{
	got = rdmsr(0x808);
	wrmsr(0x808, 0x40);
}

static void l2_x2apic_id(void)
{
	got = rdmsr(0x802);
}

static void guest_x2apic(void)
{
	l1_vmx_on();
	vapic_start(l2_x2apic, 0);
	l1_control(PROC_CTL, PROC_MSR_BITMAPS, 0);
	l1_control(PROC2_CTL, PROC2_X2APIC, 0);
	*vapic_reg(APIC_TPR) = 0x60;
	L2_DONE();
	GUEST_ASSERT_EQ(got, 0x60);
	GUEST_ASSERT_EQ(*vapic_reg(APIC_TPR), 0x40);
	/* the bitmap comes first */
	l1_msr_bitmap[0x808 / 8] = 1 << 0x808 % 8;
	l2_call(l2_x2apic, 0);
	L2_EXIT(REASON_RDMSR);
	l1_msr_bitmap[0x808 / 8] = 0;
	if (!l1_can(PROC2_CTL, PROC2_APIC_REGISTERS))
		return;
	l1_control(PROC2_CTL, PROC2_APIC_REGISTERS, 0);
	*vapic_reg(APIC_ID) = 0x1234;
	l2_call(l2_x2apic_id, 0);
	L2_DONE();
	GUEST_ASSERT_EQ(got, 0x1234);
}

/* x2APIC mode: TPR by its MSR, and the other registers where they are virtual, too. */
static void test_x2apic(void)
{
	nested_run_with(guest_x2apic, 0, PROC2_CTL, PROC2_X2APIC);
}

/* -- what is L1's own -------------------------------------------------------------------- */

#define X2APIC(reg)	(0x800 + (reg) / 16)
#define SVR_L1		(APIC_SVR_EN | 0xee)
#define SVR_L2		(APIC_SVR_EN | 0xcc)

static volatile u64 fault;

static void l2_svr(u64 svr)
{
	got = x2apic_read(APIC_SVR);
	if (svr)
		x2apic_write(APIC_SVR, svr);
}

/* an MSR that is no register */
static void l2_none(void)
{
	u64 v;

	fault = try_rdmsr(X2APIC(0x10), &v);
	got = v;
}

static void bitmap_bit(u32 msr, bool write, bool on)
{
	u8 *p = &l1_msr_bitmap[(write ? 2048 : 0) + msr / 8];

	*p = on ? *p | 1 << msr % 8 : *p & ~(1 << msr % 8);
}

static void guest_x2apic_own(void)
{
	x2apic_enable();
	x2apic_write(APIC_SVR, SVR_L1);
	l1_vmx_on();
	/* TPR alone is virtual */
	vapic_start(l2_svr, 0);
	l1_control(PROC_CTL, PROC_MSR_BITMAPS, 0);
	l1_control(PROC2_CTL, PROC2_X2APIC, 0);
	*vapic_reg(APIC_SVR) = 0x1234;
	*vapic_reg(0x10) = 0x77;
	L2_DONE();
	GUEST_ASSERT_EQ(got, SVR_L1);
	l2_call(l2_none, 0);
	L2_DONE();
	GUEST_ASSERT_EQ(fault, FAULT(GP_VECTOR));
	/* all that is read is, and nothing more that is written */
	l1_control(PROC2_CTL, PROC2_APIC_REGISTERS, 0);
	l2_call(l2_svr, SVR_L2);
	L2_DONE();
	GUEST_ASSERT_EQ(got, 0x1234);
	GUEST_ASSERT_EQ(*vapic_reg(APIC_SVR), 0x1234);
	GUEST_ASSERT_EQ(x2apic_read(APIC_SVR), SVR_L2);
	l2_call(l2_none, 0);
	L2_DONE();
	GUEST_ASSERT_EQ(fault, 0);
	GUEST_ASSERT_EQ(got, 0x77);
	/* where L1 wants to know, it does */
	bitmap_bit(X2APIC(APIC_SVR), true, true);
	l2_call(l2_svr, SVR_L1);
	L2_EXIT(REASON_WRMSR);
	GUEST_ASSERT_EQ(got, 0x1234);
	bitmap_bit(X2APIC(APIC_SVR), false, true);
	l2_call(l2_svr, SVR_L1);
	L2_EXIT(REASON_RDMSR);
	bitmap_bit(X2APIC(APIC_SVR), true, false);
	bitmap_bit(X2APIC(APIC_SVR), false, false);
	GUEST_ASSERT_EQ(x2apic_read(APIC_SVR), SVR_L2);
	/* without the mode all are L1's again */
	l1_control(PROC2_CTL, 0, PROC2_X2APIC | PROC2_APIC_REGISTERS);
	l2_call(l2_svr, SVR_L1);
	L2_DONE();
	GUEST_ASSERT_EQ(got, SVR_L2);
	GUEST_ASSERT_EQ(x2apic_read(APIC_SVR), SVR_L1);
	GUEST_ASSERT_EQ(x2apic_read(APIC_TPR), 0);
}

/* x2APIC registers that the CPU does not virtualize are those of L1's APIC. */
static void test_x2apic_own(void)
{
	struct vcpu *vcpu = nested_vcpu_irqchip(guest_x2apic_own, 0);

	REQUIRE(nested_can(vcpu, PROC2_CTL, PROC2_X2APIC | PROC2_APIC_REGISTERS),
		"no x2APIC mode, or no APIC registers");
	vcpu_done(vcpu);
}

static void l2_xapic(u64 tpr)
{
	got = xapic_read(APIC_TPR) | xapic_read(APIC_SVR) << 16;
	xapic_write(APIC_TPR, tpr);
}

static void own_page(u32 proc2, u64 eptp)
{
	xapic_write(APIC_TPR, 0x10);
	vapic_start(l2_xapic, 0x20);
	if (proc2)
		l1_control(PROC2_CTL, proc2, 0);
	if (eptp)
		l1_use_ept(eptp);
	*vapic_reg(APIC_TPR) = 0x60;
	*vapic_reg(APIC_SVR) = 0x123;
	L2_DONE();
	GUEST_ASSERT_EQ(got, 0x10 | SVR_L1 << 16);
	GUEST_ASSERT_EQ(xapic_read(APIC_TPR), 0x20);
	GUEST_ASSERT_EQ(*vapic_reg(APIC_TPR), 0x60);
}

static void guest_own_page(u64 ept)
{
	u64 eptp = ept ? ept_identity(1) : 0;

	if (ept)
		ept_map(eptp, APIC_BASE_GPA, APIC_BASE_GPA, 1, EPT_RWX);
	apic_enable();
	xapic_write(APIC_SVR, SVR_L1);
	l1_vmx_on();
	own_page(0, eptp);
	if (l1_can(PROC2_CTL, PROC2_X2APIC | PROC2_APIC_REGISTERS)) {
		own_page(PROC2_X2APIC, eptp);
		own_page(PROC2_APIC_REGISTERS, eptp);
		own_page(PROC2_X2APIC | PROC2_APIC_REGISTERS, eptp);
	}
	/* as before, for L1 */
	l1_vmx_off();
	xapic_write(APIC_TPR, 0x30);
	GUEST_ASSERT_EQ(xapic_read(APIC_TPR), 0x30);
	GUEST_ASSERT_EQ(xapic_read(APIC_SVR), SVR_L1);
}

/* L1 gives L2 a virtual-APIC page, and lets it at the page of its own APIC. */
static void test_own_page(void)
{
	struct vcpu *vcpu = nested_vcpu_irqchip(guest_own_page, 0);

	REQUIRE(nested_can(vcpu, PROC_CTL, PROC_TPR_SHADOW), "no TPR shadow");
	vcpu_done(vcpu);
	vm_free(vcpu->vm);
	vcpu = nested_vcpu_irqchip(guest_own_page, 1);
	REQUIRE(nested_can(vcpu, PROC2_CTL, PROC2_EPT), "no EPT");
	vcpu_done(vcpu);
}

/* -- APIC registers ------------------------------------------------------------------------ */

static void guest_registers(u64 ept)
{
	static const u16 trapped[] = { APIC_ID, APIC_EOI, APIC_SVR, APIC_ICR, APIC_LVT0, APIC_TDCR };
	unsigned int i;

	l1_vmx_on();
	vapic_start(l2_read, pa(access_page) + APIC_ID);
	vmwrite(APIC_ACCESS, pa(access_page));
	l1_control(PROC2_CTL, PROC2_APIC_ACCESS | PROC2_APIC_REGISTERS, 0);
	if (ept)
		l1_use_ept(ept_identity(1));
	*vapic_reg(APIC_ID) = 0x5000000;
	L2_DONE();
	GUEST_ASSERT_EQ(got, 0x5000000);
	/* the timer's count is not there to be read, nor is the version to be written */
	l2_call(l2_read, pa(access_page) + APIC_TMCCT);
	L2_EXIT(REASON_APIC_ACCESS);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), APIC_TMCCT);
	l2_call(l2_write, pa(access_page) + APIC_VERSION);
	L2_EXIT(REASON_APIC_ACCESS);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), APIC_VERSION | 1 << 12);
	/* what is written is told, after the instruction */
	for (i = 0; i < ARRAY_SIZE(trapped); i++) {
		*vapic_reg(trapped[i]) = 0;
		l2_call(l2_write, pa(access_page) + trapped[i]);
		L2_EXIT(REASON_APIC_WRITE);
		GUEST_ASSERT_EQ(vmread(QUALIFICATION), trapped[i]);
		GUEST_ASSERT_EQ(*vapic_reg(trapped[i]), 0x20);
		L2_DONE();
	}
	/* and the second half of the ICR has one byte, about which there is nothing to tell */
	*vapic_reg(APIC_ICR2) = 0xff000000;
	l2_call(l2_write, pa(access_page) + APIC_ICR2);
	L2_DONE();
	GUEST_ASSERT_EQ(*vapic_reg(APIC_ICR2), 0);
}

/* APIC-register virtualization at the APIC-access page. */
static void test_registers(void)
{
	vcpu_done(nested_vcpu_with(guest_registers, 0, PROC2_CTL,
				   PROC2_APIC_ACCESS | PROC2_APIC_REGISTERS));
	vcpu_done(nested_vcpu_with(guest_registers, 1, PROC2_CTL,
				   PROC2_APIC_ACCESS | PROC2_APIC_REGISTERS | PROC2_EPT));
}

/* -- virtual interrupts -------------------------------------------------------------------- */

asm(".text\n"
    ".globl l2_nops\n"
    "l2_nops: nop\nnop\nret\n");
void l2_nops(void);

static void l2_self_ipi(void)
{
	wrmsr(0x83f, VECTOR);
	asm volatile("nop");
}

static void guest_vid(void)
{
	unsigned int i;

	guest_handlers[VECTOR] = on_virtual;
	guest_handlers[VECTOR2] = on_virtual;
	l1_vmx_on();
	/* two are requested: both are delivered, the higher one first, and ended */
	vapic_start_vid(l2_nops, 0, PROC2_X2APIC);
	vapic_set(APIC_IRR, VECTOR, true);
	vapic_set(APIC_IRR, VECTOR2, true);
	vmwrite(GUEST_INTR_STATUS, VECTOR2);
	L2_DONE();
	GUEST_ASSERT_EQ(order, VECTOR2 << 8 | VECTOR);
	GUEST_ASSERT(!vapic_has(APIC_IRR, VECTOR) && !vapic_has(APIC_ISR, VECTOR));
	GUEST_ASSERT_EQ(vmread(GUEST_INTR_STATUS), 0);
	/* TPR holds it back */
	vapic_start_vid(l2_nops, 0, PROC2_X2APIC);
	*vapic_reg(APIC_TPR) = 0x60;
	vapic_set(APIC_IRR, VECTOR, true);
	vmwrite(GUEST_INTR_STATUS, VECTOR);
	L2_DONE();
	GUEST_ASSERT_EQ(handled, 0);
	GUEST_ASSERT_EQ(vmread(GUEST_INTR_STATUS), VECTOR);
	/* so does RFLAGS.IF */
	*vapic_reg(APIC_TPR) = 0;
	l2_call(l2_nops, 0);
	L2_DONE();
	GUEST_ASSERT_EQ(handled, 0);
	vapic_set(APIC_IRR, VECTOR, false);
	/* an EOI that L1 wants to know of */
	vapic_start_vid(l2_nops, 0, PROC2_X2APIC);
	vmwrite(EOI_EXIT1, 1ull << (VECTOR - 64));
	vapic_set(APIC_IRR, VECTOR, true);
	vmwrite(GUEST_INTR_STATUS, VECTOR);
	L2_EXIT(REASON_EOI);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), VECTOR);
	GUEST_ASSERT_EQ(handled, 1);
	L2_DONE();
	/* each of the four words of the bitmap, and none of them */
	for (i = 0; i < 4; i++) {
		u8 vector = 0x31 + 64 * i;

		guest_handlers[vector] = on_virtual;
		vapic_start_vid(l2_nops, 0, PROC2_X2APIC);
		vmwrite(EOI_EXIT0 + 2 * i, 1ull << vector % 64);
		vapic_set(APIC_IRR, vector, true);
		vmwrite(GUEST_INTR_STATUS, vector);
		L2_EXIT(REASON_EOI);
		GUEST_ASSERT_EQ(vmread(QUALIFICATION), vector);
		L2_DONE();
		vapic_start_vid(l2_nops, 0, PROC2_X2APIC);
		vmwrite(EOI_EXIT0 + 2 * i, ~(1ull << vector % 64));
		vapic_set(APIC_IRR, vector, true);
		vmwrite(GUEST_INTR_STATUS, vector);
		L2_DONE();
		GUEST_ASSERT_EQ(order, vector);
	}
	/* a self-IPI of L2 stays in L2 */
	vapic_start_vid(l2_self_ipi, 0, PROC2_X2APIC);
	L2_DONE();
	GUEST_ASSERT_EQ(order, VECTOR);
}

/* Virtual-interrupt delivery: evaluation, TPR, EOI exits, self-IPI. */
static void test_vid(void)
{
	nested_run_with(guest_vid, 0, PROC2_CTL, VAPIC_VID);
}

static void on_page(struct guest_frame *frame)
{
	handled++;
	order = order << 8 | frame->vector;
	*(volatile u32 *)(access_page + APIC_EOI) = 0;
}

static void l2_icr(u64 icr)
{
	*(volatile u32 *)(access_page + APIC_ICR) = icr;
	asm volatile("nop");
}

static void guest_vid_page(u64 ept)
{
	u64 eptp = ept ? ept_identity(1) : 0;

	guest_handlers[VECTOR] = on_page;
	l1_vmx_on();
	vapic_start_vid(l2_nops, 0, PROC2_APIC_ACCESS);
	vmwrite(APIC_ACCESS, pa(access_page));
	if (ept)
		l1_use_ept(eptp);
	vapic_set(APIC_IRR, VECTOR, true);
	vmwrite(GUEST_INTR_STATUS, VECTOR);
	L2_DONE();
	GUEST_ASSERT_EQ(order, VECTOR);
	GUEST_ASSERT(!vapic_has(APIC_IRR, VECTOR) && !vapic_has(APIC_ISR, VECTOR));
	/* an IPI to itself is L2's own business, another is L1's */
	l2_call(l2_icr, ICR_SELF | VECTOR);
	vmset(GUEST_RFLAGS, X86_IF);
	L2_DONE();
	GUEST_ASSERT_EQ(order, VECTOR << 8 | VECTOR);
	l2_call(l2_icr, ICR_OTHERS | VECTOR);
	L2_EXIT(REASON_APIC_WRITE);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), APIC_ICR);
	GUEST_ASSERT_EQ(*vapic_reg(APIC_ICR), ICR_OTHERS | VECTOR);
	GUEST_ASSERT_EQ(handled, 2);
}

/* The same at the APIC-access page. */
static void test_vid_page(void)
{
	u32 want = PROC2_APIC_ACCESS | PROC2_VID | PROC2_APIC_REGISTERS;

	vcpu_done(nested_vcpu_with(guest_vid_page, 0, PROC2_CTL, want));
	vcpu_done(nested_vcpu_with(guest_vid_page, 1, PROC2_CTL, want | PROC2_EPT));
}

#define REFUSED()	GUEST_ASSERT_EQ(l2_run(), L2_FAILED | VMX_VALID(ERR_CONTROLS))

static void guest_controls(void)
{
	l1_vmx_on();
	vapic_start_vid(l2_nops, 0, PROC2_X2APIC);
	vmwrite(APIC_ACCESS, pa(access_page));
	/* one or the other */
	l1_control(PROC2_CTL, PROC2_APIC_ACCESS, 0);
	REFUSED();
	l1_control(PROC2_CTL, 0, PROC2_X2APIC);
	L2_DONE();
	l1_control(PROC2_CTL, 0, PROC2_APIC_ACCESS);
	/* interrupts for L1 are exits */
	l2_call(l2_nops, 0);
	l1_control(PIN_CTL, 0, PIN_EXTINT);
	REFUSED();
	l1_control(PROC2_CTL, 0, PROC2_VID);
	L2_DONE();
	/* each of the three has the virtual-APIC page */
	l1_control(PROC_CTL, PROC_CR8_LOAD | PROC_CR8_STORE, PROC_TPR_SHADOW);
	l2_call(l2_nops, 0);
	REFUSED();
	l1_control(PROC2_CTL, PROC2_X2APIC, PROC2_APIC_REGISTERS);
	REFUSED();
	l1_control(PROC2_CTL, PROC2_VID, PROC2_X2APIC);
	l1_control(PIN_CTL, PIN_EXTINT, 0);
	REFUSED();
	l1_control(PROC2_CTL, 0, PROC2_VID);
	L2_DONE();
	/* with virtual interrupts there is no threshold, and any value will do */
	vapic_start_vid(l2_nops, 0, PROC2_X2APIC);
	vmwrite(TPR_THRESHOLD, 0x1f);
	L2_DONE();
	l1_control(PROC2_CTL, 0, PROC2_VID);
	l2_call(l2_nops, 0);
	REFUSED();
}

/* What VM entry wants of these controls. */
static void test_controls(void)
{
	nested_run_with(guest_controls, 0, PROC2_CTL, VAPIC_VID | PROC2_APIC_ACCESS);
}

KSFT_MAIN(
	{ "apicv: TPR shadow", test_tpr },
	{ "apicv: TPR shadow, no irqchip", test_tpr_alone },
	{ "apicv: TPR shadow in no memory", test_nowhere },
	{ "apicv: APIC-access page", test_access },
	{ "apicv: x2APIC mode", test_x2apic },
	{ "apicv: x2APIC mode, registers of L1's", test_x2apic_own },
	{ "apicv: L1's own APIC page", test_own_page },
	{ "apicv: APIC registers", test_registers },
	{ "apicv: virtual-interrupt delivery", test_vid },
	{ "apicv: virtual-interrupt delivery, APIC-access page", test_vid_page },
	{ "apicv: controls", test_controls },
)
