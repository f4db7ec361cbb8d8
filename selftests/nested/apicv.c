// SPDX-License-Identifier: GPL-2.0-only
/*
 * nested/apicv: APIC virtualization of L1 for L2. Vol. 3, "APIC Virtualization and Virtual
 * Interrupts".
 */
#include "apic.h"
#include "nested.h"

#define VECTOR	0x51
#define VECTOR2	0x91

/* the virtual-APIC page, and the page whose accesses are the APIC's */
static u32 virtual_apic[1024] VMX_PAGE;
static u8 access_page[4096] VMX_PAGE;

static volatile u64 got, order, handled;

static volatile u32 *reg(u32 offset)
{
	return &virtual_apic[offset / 4];
}

static void start(void *fn, u64 arg)
{
	l1_make_vmcs(l1_vmcs, fn, arg);
	vmwrite(VIRTUAL_APIC, pa(virtual_apic));
	vmwrite(TPR_THRESHOLD, 0);
	l1_control(PROC_CTL, PROC_TPR_SHADOW, PROC_CR8_LOAD | PROC_CR8_STORE);
}

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
	start(l2_cr8, 0);
	*reg(APIC_TPR) = 0x90;
	L2_DONE();
	GUEST_ASSERT_EQ(got, 9);
	GUEST_ASSERT_EQ(*reg(APIC_TPR), 0x30);
	GUEST_ASSERT_EQ(read_cr8(), 0);
	/* at the threshold it does not exit, below it does, after the instruction */
	*reg(APIC_TPR) = 0x90;
	vmwrite(TPR_THRESHOLD, 3);
	l2_call(l2_cr8, 0);
	L2_DONE();
	*reg(APIC_TPR) = 0x90;
	vmwrite(TPR_THRESHOLD, 4);
	l2_call(l2_cr8, 0);
	L2_EXIT(REASON_TPR);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(apicv_cr8));
	GUEST_ASSERT_EQ(*reg(APIC_TPR), 0x30);
	/* the exits of MOV CR8 come first */
	vmwrite(TPR_THRESHOLD, 0);
	l1_control(PROC_CTL, PROC_CR8_LOAD, 0);
	*reg(APIC_TPR) = 0x90;
	l2_call(l2_cr8, 0);
	L2_EXIT(REASON_CR);
	GUEST_ASSERT_EQ(*reg(APIC_TPR), 0x90);
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
	*reg(APIC_TPR) = 0x70;
	l2_call(l2_read, pa(access_page) + APIC_TPR);
	L2_DONE();
	GUEST_ASSERT_EQ(got, 0x70);
	l2_call(l2_write, pa(access_page) + APIC_TPR);
	L2_DONE();
	GUEST_ASSERT_EQ(*reg(APIC_TPR), 0x20);
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
	start(l2_x2apic, 0);
	l1_control(PROC_CTL, PROC_MSR_BITMAPS, 0);
	l1_control(PROC2_CTL, PROC2_X2APIC, 0);
	*reg(APIC_TPR) = 0x60;
	L2_DONE();
	GUEST_ASSERT_EQ(got, 0x60);
	GUEST_ASSERT_EQ(*reg(APIC_TPR), 0x40);
	/* the bitmap comes first */
	l1_msr_bitmap[0x808 / 8] = 1 << 0x808 % 8;
	l2_call(l2_x2apic, 0);
	L2_EXIT(REASON_RDMSR);
	l1_msr_bitmap[0x808 / 8] = 0;
	if (!l1_can(PROC2_CTL, PROC2_APIC_REGISTERS))
		return;
	l1_control(PROC2_CTL, PROC2_APIC_REGISTERS, 0);
	*reg(APIC_ID) = 0x1234;
	l2_call(l2_x2apic_id, 0);
	L2_DONE();
	GUEST_ASSERT_EQ(got, 0x1234);
}

/* x2APIC mode: TPR by its MSR, and the other registers where they are virtual, too. */
static void test_x2apic(void)
{
	nested_run_with(guest_x2apic, 0, PROC2_CTL, PROC2_X2APIC);
}

static void on_virtual(struct guest_frame *frame)
{
	handled++;
	order = order << 8 | frame->vector;
	/* x2APIC EOI */
	wrmsr(0x80b, 0);
}

asm(".text\n"
    ".globl l2_nops\n"
    "l2_nops: nop\nnop\nret\n");
void l2_nops(void);

static void set_vector(u32 base, u8 vector, bool on)
{
	volatile u32 *p = reg(base + (vector >> 5) * 0x10);

	if (on)
		*p |= 1u << (vector & 31);
	else
		*p &= ~(1u << (vector & 31));
}

static bool has_vector(u32 base, u8 vector)
{
	return *reg(base + (vector >> 5) * 0x10) >> (vector & 31) & 1;
}

static void start_vid(void *fn)
{
	start(fn, 0);
	l1_control(PROC_CTL, PROC_MSR_BITMAPS, 0);
	l1_control(PIN_CTL, PIN_EXTINT, 0);
	l1_control(PROC2_CTL, PROC2_X2APIC | PROC2_VID | PROC2_APIC_REGISTERS, 0);
	vmwrite(EOI_EXIT0, 0);
	vmwrite(EOI_EXIT1, 0);
	vmwrite(EOI_EXIT2, 0);
	vmwrite(EOI_EXIT3, 0);
	vmwrite(GUEST_INTR_STATUS, 0);
	vmwrite(GUEST_RFLAGS, 2 | X86_IF);
	*reg(APIC_TPR) = 0;
	order = 0;
	handled = 0;
}

static void l2_self_ipi(void)
{
	wrmsr(0x83f, VECTOR);
	asm volatile("nop");
}

static void guest_vid(void)
{
	guest_handlers[VECTOR] = on_virtual;
	guest_handlers[VECTOR2] = on_virtual;
	l1_vmx_on();
	/* two are requested: both are delivered, the higher one first, and ended */
	start_vid(l2_nops);
	set_vector(APIC_IRR, VECTOR, true);
	set_vector(APIC_IRR, VECTOR2, true);
	vmwrite(GUEST_INTR_STATUS, VECTOR2);
	L2_DONE();
	GUEST_ASSERT_EQ(order, VECTOR2 << 8 | VECTOR);
	GUEST_ASSERT(!has_vector(APIC_IRR, VECTOR) && !has_vector(APIC_ISR, VECTOR));
	GUEST_ASSERT_EQ(vmread(GUEST_INTR_STATUS), 0);
	/* TPR holds it back */
	start_vid(l2_nops);
	*reg(APIC_TPR) = 0x60;
	set_vector(APIC_IRR, VECTOR, true);
	vmwrite(GUEST_INTR_STATUS, VECTOR);
	L2_DONE();
	GUEST_ASSERT_EQ(handled, 0);
	GUEST_ASSERT_EQ(vmread(GUEST_INTR_STATUS), VECTOR);
	/* so does RFLAGS.IF */
	*reg(APIC_TPR) = 0;
	l2_call(l2_nops, 0);
	L2_DONE();
	GUEST_ASSERT_EQ(handled, 0);
	set_vector(APIC_IRR, VECTOR, false);
	/* an EOI that L1 wants to know of */
	start_vid(l2_nops);
	vmwrite(EOI_EXIT1, 1ull << (VECTOR - 64));
	set_vector(APIC_IRR, VECTOR, true);
	vmwrite(GUEST_INTR_STATUS, VECTOR);
	L2_EXIT(REASON_EOI);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), VECTOR);
	GUEST_ASSERT_EQ(handled, 1);
	L2_DONE();
	/* a self-IPI of L2 stays in L2 */
	start_vid(l2_self_ipi);
	L2_DONE();
	GUEST_ASSERT_EQ(order, VECTOR);
}

/* Virtual-interrupt delivery: evaluation, TPR, EOI exits, self-IPI. */
static void test_vid(void)
{
	nested_run_with(guest_vid, 0, PROC2_CTL,
			PROC2_X2APIC | PROC2_VID | PROC2_APIC_REGISTERS);
}

KSFT_MAIN(
	{ "apicv: TPR shadow", test_tpr },
	{ "apicv: TPR shadow, no irqchip", test_tpr_alone },
	{ "apicv: APIC-access page", test_access },
	{ "apicv: x2APIC mode", test_x2apic },
	{ "apicv: virtual-interrupt delivery", test_vid },
)
