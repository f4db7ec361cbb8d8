// SPDX-License-Identifier: GPL-2.0-only
/*
 * nested/exits: which instructions and exceptions of L2 exit to L1, and with what.
 * Vol. 3, "VMX Non-Root Operation" and "VM Exits".
 */
#include "nested.h"

#define PORT	0x2f0

/* general registers in exit qualifications and instruction information */
#define REG_RAX	0
#define REG_RCX	1
#define REG_RDX	2
#define REG_RSI	6
#define REG_R9	9

/* -- instructions that always exit, and those that one control makes exit ---------- */

L2_SNIPPET(l2_cpuid, "mov $0x12345678, %eax\nmov $0x9abcdef0, %ecx", "cpuid");
L2_SNIPPET(l2_invd, "", "invd");
L2_SNIPPET(l2_vmcall, "", "vmcall");
L2_SNIPPET(l2_vmxoff, "", "vmxoff");
L2_SNIPPET(l2_vmlaunch, "", "vmlaunch");
L2_SNIPPET(l2_vmresume, "", "vmresume");
L2_SNIPPET(l2_vmxon, "mov $l1_vmcs, %ecx", "vmxon 0x10(%rcx)");
L2_SNIPPET(l2_vmclear, "mov $l1_vmcs, %ecx", "vmclear -8(%rcx)");
L2_SNIPPET(l2_vmptrld, "mov $l1_vmcs, %ecx", "vmptrld 0x1234(%rcx)");
L2_SNIPPET(l2_vmptrst, "mov $l1_vmcs, %ecx", "vmptrst (%rcx)");
L2_SNIPPET(l2_vmread, "mov $0x681e, %ecx", "vmread %rcx, %rdx");
L2_SNIPPET(l2_vmwrite, "mov $0x681e, %ecx", "vmwrite %rdx, %rcx");
L2_SNIPPET(l2_invept, "mov $2, %ecx", "invept l2_stack, %rcx");
L2_SNIPPET(l2_invvpid, "mov $2, %ecx", "invvpid l2_stack, %rcx");
L2_SNIPPET(l2_hlt, "", "hlt");
L2_SNIPPET(l2_invlpg, "mov $l2_stack, %ecx", "invlpg 0x18(%rcx)");
L2_SNIPPET(l2_rdpmc, "xor %ecx, %ecx", "rdpmc");
L2_SNIPPET(l2_rdtsc, "", "rdtsc");
L2_SNIPPET(l2_pause, "", "pause");
L2_SNIPPET(l2_wbinvd, "", "wbinvd");
L2_SNIPPET(l2_rdrand, "", "rdrand %eax");
L2_SNIPPET(l2_rdseed, "", "rdseed %eax");
L2_SNIPPET(l2_rdtscp, "", "rdtscp");
L2_SNIPPET(l2_sgdt, "", "sgdt l2_scratch(%rip)");
L2_SNIPPET(l2_sidt, "", "sidt l2_scratch(%rip)");
L2_SNIPPET(l2_lgdt, "sgdt l2_scratch(%rip)", "lgdt l2_scratch(%rip)");
L2_SNIPPET(l2_lidt, "sidt l2_scratch(%rip)", "lidt l2_scratch(%rip)");
L2_SNIPPET(l2_sldt, "", "sldt %eax");
L2_SNIPPET(l2_str, "", "str %eax");
L2_SNIPPET(l2_lldt, "xor %eax, %eax", "lldt %ax");

u8 l2_scratch[64];

#define NO_QUALIFICATION	(-1ull << 32)

struct insn_row {
	void (*fn)(void);
	const char *at;
	u32 control, bits;	/* 0: unconditional */
	u32 reason;
	u32 length;
	u64 qualification;	/* NO_QUALIFICATION: undefined */
};

#define ROW(name, control, bits, reason, length, qualification)		\
	{ name, name##_at, control, bits, reason, length, qualification }

static const struct insn_row always[] = {
	ROW(l2_cpuid, 0, 0, REASON_CPUID, 2, 0),
	ROW(l2_invd, 0, 0, REASON_INVD, 2, 0),
	ROW(l2_vmcall, 0, 0, REASON_VMCALL, 3, 0),
	ROW(l2_vmxoff, 0, 0, REASON_VMXOFF, 3, 0),
	ROW(l2_vmlaunch, 0, 0, REASON_VMLAUNCH, 3, 0),
	ROW(l2_vmresume, 0, 0, REASON_VMRESUME, 3, 0),
	/* the displacement of the memory operand */
	ROW(l2_vmxon, 0, 0, REASON_VMXON, 5, 0x10),
	ROW(l2_vmclear, 0, 0, REASON_VMCLEAR, 5, -8ull),
	ROW(l2_vmptrld, 0, 0, REASON_VMPTRLD, 7, 0x1234),
	ROW(l2_vmptrst, 0, 0, REASON_VMPTRST, 3, 0),
	ROW(l2_vmread, 0, 0, REASON_VMREAD, 3, NO_QUALIFICATION),
	ROW(l2_vmwrite, 0, 0, REASON_VMWRITE, 3, NO_QUALIFICATION),
};

static const struct insn_row by_control[] = {
	ROW(l2_hlt, PROC_CTL, PROC_HLT, REASON_HLT, 1, 0),
	ROW(l2_invlpg, PROC_CTL, PROC_INVLPG, REASON_INVLPG, 4, NO_QUALIFICATION),
	ROW(l2_rdpmc, PROC_CTL, PROC_RDPMC, REASON_RDPMC, 2, 0),
	ROW(l2_rdtsc, PROC_CTL, PROC_RDTSC, REASON_RDTSC, 2, 0),
	ROW(l2_pause, PROC_CTL, PROC_PAUSE, REASON_PAUSE, 2, 0),
	ROW(l2_wbinvd, PROC2_CTL, PROC2_WBINVD, REASON_WBINVD, 2, 0),
	ROW(l2_rdrand, PROC2_CTL, PROC2_RDRAND, REASON_RDRAND, 3, NO_QUALIFICATION),
	ROW(l2_rdseed, PROC2_CTL, PROC2_RDSEED, REASON_RDSEED, 3, NO_QUALIFICATION),
	ROW(l2_sgdt, PROC2_CTL, PROC2_DESC, REASON_GDTR_IDTR, 7, NO_QUALIFICATION),
	ROW(l2_sidt, PROC2_CTL, PROC2_DESC, REASON_GDTR_IDTR, 7, NO_QUALIFICATION),
	ROW(l2_lgdt, PROC2_CTL, PROC2_DESC, REASON_GDTR_IDTR, 7, NO_QUALIFICATION),
	ROW(l2_lidt, PROC2_CTL, PROC2_DESC, REASON_GDTR_IDTR, 7, NO_QUALIFICATION),
	ROW(l2_sldt, PROC2_CTL, PROC2_DESC, REASON_LDTR_TR, 3, NO_QUALIFICATION),
	ROW(l2_str, PROC2_CTL, PROC2_DESC, REASON_LDTR_TR, 3, NO_QUALIFICATION),
	ROW(l2_lldt, PROC2_CTL, PROC2_DESC, REASON_LDTR_TR, 3, NO_QUALIFICATION),
};

static void check_insn(const struct insn_row *row, u64 n)
{
	u64 r = l2_run();

	GUEST_ASSERT_AT(r == row->reason, n, r);
	GUEST_ASSERT_AT(vmread(GUEST_RIP) == pa(row->at), n, vmread(GUEST_RIP));
	GUEST_ASSERT_AT(vmread(EXIT_LENGTH) == row->length, n, vmread(EXIT_LENGTH));
	if (row->qualification != NO_QUALIFICATION)
		GUEST_ASSERT_AT(vmread(QUALIFICATION) == row->qualification, n,
				vmread(QUALIFICATION));
	GUEST_ASSERT_EQ(vmread(EXIT_EVENT) & EVENT_VALID, 0);
	GUEST_ASSERT_EQ(vmread(IDT_EVENT) & EVENT_VALID, 0);
	GUEST_ASSERT_EQ(vmread(ENTRY_EVENT) & EVENT_VALID, 0);
	l2_skip();
}

static void guest_always(void)
{
	unsigned int n;

	l1_vmx_on();
	for (n = 0; n < ARRAY_SIZE(always); n++) {
		l1_make_vmcs(l1_vmcs, always[n].fn, 0);
		check_insn(&always[n], n);
		if (!n) {
			/* L2's registers are L1's to read and write */
			GUEST_ASSERT_EQ(l2_regs.rax, 0x12345678);
			GUEST_ASSERT_EQ(l2_regs.rcx, 0x9abcdef0);
		}
		L2_DONE();
	}
	if (l1_can(PROC2_CTL, PROC2_EPT)) {
		l1_make_vmcs(l1_vmcs, l2_invept, 0);
		L2_EXIT_SKIP(REASON_INVEPT);
		L2_DONE();
	}
	if (l1_can(PROC2_CTL, PROC2_VPID)) {
		l1_make_vmcs(l1_vmcs, l2_invvpid, 0);
		L2_EXIT_SKIP(REASON_INVVPID);
		L2_DONE();
	}
}

/* Instructions that exit whatever the controls say, with length and qualification. */
static void test_always(void)
{
	nested_run(guest_always, 0);
}

static void guest_info(void)
{
	u32 info;

	/* bits 1:0 scale, 6:3 register, 9:7 address size, 10 register form, 17:15 segment,
	 * 21:18 index, 22 no index, 26:23 base, 27 no base, 31:28 the second register
	 */
	l1_start(l2_vmread, 0);
	L2_EXIT(REASON_VMREAD);
	info = vmread(EXIT_INSTRUCTION);
	GUEST_ASSERT_EQ(info >> 10 & 1, 1);
	GUEST_ASSERT_EQ(info >> 3 & 15, REG_RDX);
	GUEST_ASSERT_EQ(info >> 28, REG_RCX);
	l1_make_vmcs(l1_vmcs, l2_vmptrld, 0);
	L2_EXIT(REASON_VMPTRLD);
	info = vmread(EXIT_INSTRUCTION);
	GUEST_ASSERT_EQ(info >> 10 & 1, 0);
	GUEST_ASSERT_EQ(info >> 7 & 7, 2);
	GUEST_ASSERT_EQ(info >> 15 & 7, 3);
	GUEST_ASSERT_EQ(info >> 22 & 1, 1);
	GUEST_ASSERT_EQ(info >> 27 & 1, 0);
	GUEST_ASSERT_EQ(info >> 23 & 15, REG_RCX);
	if (!l1_can(PROC2_CTL, PROC2_DESC))
		return;
	l1_make_vmcs(l1_vmcs, l2_lidt, 0);
	l1_control(PROC2_CTL, PROC2_DESC, 0);
	/* 29:28: SGDT, SIDT, LGDT, LIDT; SLDT, STR, LLDT, LTR */
	L2_EXIT(REASON_GDTR_IDTR);
	GUEST_ASSERT_EQ(vmread(EXIT_INSTRUCTION) >> 28 & 3, 1);
	vmwrite(GUEST_RIP, pa(l2_lidt_at));
	L2_EXIT(REASON_GDTR_IDTR);
	GUEST_ASSERT_EQ(vmread(EXIT_INSTRUCTION) >> 28 & 3, 3);
	l1_make_vmcs(l1_vmcs, l2_str, 0);
	l1_control(PROC2_CTL, PROC2_DESC, 0);
	L2_EXIT(REASON_LDTR_TR);
	info = vmread(EXIT_INSTRUCTION);
	GUEST_ASSERT_EQ(info >> 28 & 3, 1);
	GUEST_ASSERT_EQ(info >> 10 & 1, 1);
	GUEST_ASSERT_EQ(info >> 3 & 15, REG_RAX);
}

/* The instruction-information field. */
static void test_info(void)
{
	nested_run(guest_info, 0);
}

static void guest_by_control(void)
{
	unsigned int n;

	l1_vmx_on();
	for (n = 0; n < ARRAY_SIZE(by_control); n++) {
		const struct insn_row *row = &by_control[n];

		if (!l1_can(row->control, row->bits))
			continue;
		l1_make_vmcs(l1_vmcs, row->fn, 0);
		l1_control(row->control, row->bits, 0);
		/* what comes before the instruction may exit, too */
		if (row->fn == l2_lgdt || row->fn == l2_lidt)
			L2_EXIT_SKIP(REASON_GDTR_IDTR);
		check_insn(row, n);
		if (row->fn == l2_invlpg)
			GUEST_ASSERT_EQ(vmread(QUALIFICATION), pa(l2_stack) + 0x18);
		L2_DONE();
		/* and without the control it does not */
		l1_control(row->control, 0, row->bits);
		l2_call(row->fn, 0);
		L2_DONE();
	}
}

/* Instructions that exit when a control is 1, and do not when it is 0. */
static void test_by_control(void)
{
	struct vcpu *vcpu = nested_vcpu(guest_by_control, 0);

	/* L2's halt is L0's, which has no interrupt to wait for: the VMM goes on */
	vcpu_expect(vcpu, KVM_EXIT_HLT);
	vcpu_done(vcpu);
}

static void guest_rdtscp(void)
{
	l1_start(l2_rdtscp, 0);
	vmwrite(EXCEPTION_BITMAP, 1 << UD_VECTOR);
	/* not enabled: #UD, whatever RDTSC exiting says */
	L2_EXIT(REASON_EXCEPTION);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(l2_rdtscp_at));
	l1_control(PROC_CTL, PROC_RDTSC, 0);
	L2_EXIT(REASON_EXCEPTION);
	l1_control(PROC2_CTL, PROC2_RDTSCP, 0);
	L2_EXIT(REASON_RDTSCP);
	GUEST_ASSERT_EQ(vmread(EXIT_LENGTH), 3);
	l1_control(PROC_CTL, 0, PROC_RDTSC);
	wrmsr(MSR_TSC_AUX, 0x4321);
	L2_DONE();
	GUEST_ASSERT_EQ(l2_regs.rcx, 0x4321);
}

/* RDTSCP: #UD unless it is enabled. */
static void test_rdtscp(void)
{
	struct vcpu *vcpu = nested_vcpu_with(guest_rdtscp, 0, PROC2_CTL, PROC2_RDTSCP);

	REQUIRE(vcpu_leaf(vcpu, 0x80000001, 0)->edx & 1u << 27, "no RDTSCP");
	vcpu_done(vcpu);
}

u64 inv_descriptor[2] __attribute__((aligned(16)));

L2_SNIPPET(l2_invpcid, "mov $inv_descriptor, %ecx\nmov $2, %eax", "invpcid 0(%rcx), %rax");

static void guest_invpcid(void)
{
	inv_descriptor[0] = 0;
	l1_start(l2_invpcid, 0);
	vmwrite(EXCEPTION_BITMAP, 1 << UD_VECTOR);
	/* not enabled: #UD, whatever INVLPG exiting says */
	l1_control(PROC_CTL, PROC_INVLPG, 0);
	L2_EXIT(REASON_EXCEPTION);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(l2_invpcid_at));
	l1_control(PROC2_CTL, PROC2_INVPCID, 0);
	L2_EXIT(REASON_INVPCID);
	GUEST_ASSERT_EQ(vmread(EXIT_INSTRUCTION) >> 28, REG_RAX);
	GUEST_ASSERT_EQ(vmread(EXIT_INSTRUCTION) >> 23 & 15, REG_RCX);
	l1_control(PROC_CTL, 0, PROC_INVLPG);
	L2_DONE();
}

/* INVPCID: #UD unless it is enabled; it exits as INVLPG does. */
static void test_invpcid(void)
{
	struct vcpu *vcpu = nested_vcpu_with(guest_invpcid, 0, PROC2_CTL, PROC2_INVPCID);

	REQUIRE(vcpu_leaf(vcpu, 7, 0)->ebx & 1u << 10, "no INVPCID");
	vcpu_done(vcpu);
}

u8 xsave_area[4096] __attribute__((aligned(64)));

L2_SNIPPET(l2_xsaves, "mov $xsave_area, %ecx\nxor %edx, %edx\nmov $1, %eax",
	   "xsaves64 (%rcx)");

static void guest_xsaves(void)
{
	write_cr4(read_cr4() | X86_CR4_OSXSAVE);
	l1_start(l2_xsaves, 0);
	vmwrite(EXCEPTION_BITMAP, 1 << UD_VECTOR);
	vmwrite(XSS_EXITING, 0);
	L2_EXIT(REASON_EXCEPTION);
	/* enabled; the bitmap names components that are supervisor state */
	l1_control(PROC2_CTL, PROC2_XSAVES, 0);
	L2_DONE();
	vmwrite(XSS_EXITING, 1 << 1);
	l2_call(l2_xsaves, 0);
	L2_DONE();
}

/* XSAVES: #UD unless it is enabled. */
static void test_xsaves(void)
{
	struct vcpu *vcpu = nested_vcpu_with(guest_xsaves, 0, PROC2_CTL, PROC2_XSAVES);

	REQUIRE(vcpu_leaf(vcpu, 0xd, 1)->eax & 1u << 3, "no XSAVES");
	vcpu_done(vcpu);
}

static u64 user_hlt(u64 arg)
{
	u64 f;

	GUEST_TRY(f, "hlt", GUEST_NO_OUT, "a"(arg));
	return f;
}

static u64 user_invlpg(u64 arg)
{
	u64 f;

	GUEST_TRY(f, "invlpg (%%rax)", GUEST_NO_OUT, "a"(arg));
	return f;
}

static u64 user_invd(u64 arg)
{
	u64 f;

	GUEST_TRY(f, "invd", GUEST_NO_OUT, "a"(arg));
	return f;
}

static u64 user_cr3(u64 arg)
{
	u64 f;

	GUEST_TRY(f, "mov %%cr3, %%rax", GUEST_NO_OUT, "a"(arg));
	return f;
}

static u64 user_wrmsr(u64 arg)
{
	return try_wrmsr(MSR_TSC, arg);
}

static u64 user_cpuid(u64 leaf)
{
	u32 a, b, c, d;

	cpuid(leaf, 0, &a, &b, &c, &d);
	return 0;
}

static u64 user_vmread(u64 arg)
{
	u64 f;

	GUEST_TRY(f, "vmread %%rax, %%rax", GUEST_NO_OUT, "a"(arg));
	return f;
}

static void l2_user(void)
{
	GUEST_ASSERT_EQ(guest_user_call(user_hlt, 0), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(guest_user_call(user_invlpg, 0), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(guest_user_call(user_invd, 0), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(guest_user_call(user_cr3, 0), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(guest_user_call(user_wrmsr, 0), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(guest_user_call(user_cpuid, 0), 0);
	GUEST_ASSERT_EQ(guest_user_call(user_vmread, GUEST_RIP), 0);
}

static void guest_user(void)
{
	l1_start(l2_user, 0);
	l1_control(PROC_CTL, PROC_HLT | PROC_INVLPG | PROC_CR3_STORE | PROC_CR3_LOAD, 0);
	L2_EXIT_SKIP(REASON_CPUID);
	GUEST_ASSERT_EQ(vmread(GUEST_CS) & 3, 3);
	L2_EXIT_SKIP(REASON_VMREAD);
	GUEST_ASSERT_EQ(vmread(GUEST_CS) & 3, 3);
	L2_DONE();
}

/*
 * A fault by privilege comes before the exit; but of the instructions of VMX,
 * which exit at any CPL.
 */
static void test_user(void)
{
	nested_run(guest_user, 0);
}

/* -- port I/O ---------------------------------------------------------------------- */

#define IO_IN		(1u << 3)
#define IO_STRING	(1u << 4)
#define IO_REP		(1u << 5)
#define IO_IMM		(1u << 6)
#define IO_QUAL(port, size, flags) ((u32)(port) << 16 | (flags) | ((size) - 1))

static void l2_ports(void)
{
	asm volatile("outb %%al, %%dx" : : "a"(0x11), "d"(PORT));
	asm volatile("inw %%dx, %%ax" : : "a"(0), "d"(PORT));
	asm volatile("outl %%eax, $0x80" : : "a"(0x44));
}

static void guest_io(void)
{
	l1_start(l2_ports, 0);
	l1_control(PROC_CTL, PROC_IO, 0);
	L2_EXIT(REASON_IO);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), IO_QUAL(PORT, 1, 0));
	GUEST_ASSERT_EQ(vmread(EXIT_LENGTH), 1);
	GUEST_ASSERT_EQ(l2_regs.rax, 0x11);
	l2_skip();
	L2_EXIT(REASON_IO);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), IO_QUAL(PORT, 2, IO_IN));
	GUEST_ASSERT_EQ(vmread(EXIT_LENGTH), 2);
	l2_skip();
	L2_EXIT(REASON_IO);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), IO_QUAL(0x80, 4, IO_IMM));
	GUEST_ASSERT_EQ(vmread(EXIT_LENGTH), 2);
	l2_skip();
	L2_DONE();
	/* without the control they are L0's */
	l1_control(PROC_CTL, 0, PROC_IO);
	l2_call(l2_ports, 0);
	L2_DONE();
}

/* Unconditional I/O exiting; without it the VMM gets the accesses of L2. */
static void test_io(void)
{
	struct vcpu *vcpu = nested_vcpu(guest_io, 0);

	vcpu_expect(vcpu, KVM_EXIT_IO);
	CHECK_EQ(vcpu->run->io.port, PORT);
	CHECK_EQ(vcpu->run->io.size, 1);
	vcpu_expect(vcpu, KVM_EXIT_IO);
	CHECK_EQ(vcpu->run->io.size, 2);
	vcpu_expect(vcpu, KVM_EXIT_IO);
	CHECK_EQ(vcpu->run->io.port, 0x80);
	vcpu_done(vcpu);
}

struct io_row {
	u16 port;
	u8 size;
	u16 bit;		/* the one that is set in the bitmaps */
	bool exits;
};

static const struct io_row io_rows[] = {
	{ 0x2f0, 1, 0x2f0, true },
	{ 0x2f0, 1, 0x2ef, false },
	{ 0x2f0, 1, 0x2f1, false },
	{ 0x2f0, 2, 0x2f1, true },
	{ 0x2f0, 4, 0x2f3, true },
	{ 0x2f0, 4, 0x2f4, false },
	{ 0x7fff, 1, 0x7fff, true },
	{ 0x7fff, 2, 0x8000, true },
	{ 0x8000, 1, 0x8000, true },
	{ 0x8000, 1, 0, false },
	{ 0xfffe, 1, 0xffff, false },
	{ 0xffff, 1, 0xffff, true },
	{ 0xfffe, 2, 0xffff, true },
	/* around the end: it exits, whatever the bitmaps say */
	{ 0xffff, 2, 0x1000, true },
	{ 0xfffd, 4, 0x1000, true },
};

static volatile struct io_row io_row;

static void l2_io(void)
{
	switch (io_row.size) {
	case 1:
		outb(io_row.port, 0);
		break;
	case 2:
		outw(io_row.port, 0);
		break;
	default:
		outl(io_row.port, 0);
	}
}

static void guest_io_bitmap(void)
{
	unsigned int n;

	l1_vmx_on();
	for (n = 0; n < ARRAY_SIZE(io_rows); n++) {
		u32 bit = io_rows[n].bit;
		u64 r;

		io_row = io_rows[n];
		l1_make_vmcs(l1_vmcs, l2_io, 0);
		/* the bitmaps take precedence over the other control */
		l1_control(PROC_CTL, PROC_IO_BITMAPS | PROC_IO, 0);
		l1_io_bitmaps[bit / 8] = 1 << bit % 8;
		r = l2_run();
		if (io_row.exits) {
			GUEST_ASSERT_AT(r == REASON_IO, n, r);
			GUEST_ASSERT_AT(vmread(QUALIFICATION) ==
					IO_QUAL(io_row.port, io_row.size, 0), n,
					vmread(QUALIFICATION));
			l2_skip();
			r = l2_run();
		}
		GUEST_ASSERT_AT(r == REASON_VMCALL, n, r);
		/* L1 changes its bitmap while L2 is launched */
		l1_io_bitmaps[bit / 8] = 0;
		l2_call(l2_io, 0);
		r = l2_run();
		if (io_row.port + io_row.size > 0x10000) {
			GUEST_ASSERT_AT(r == REASON_IO, n, r);
			continue;
		}
		GUEST_ASSERT_AT(r == REASON_VMCALL, n, r);
	}
}

/* The I/O bitmaps: each byte of an access counts, and no other. */
static void test_io_bitmap(void)
{
	struct vcpu *vcpu = nested_vcpu_with(guest_io_bitmap, 0, PROC_CTL, PROC_IO_BITMAPS);
	u32 got;

	do {
		got = vcpu_exit(vcpu);
	} while (got == KVM_EXIT_IO);
	CHECK_EQ(got, EXIT_UCALL);
	CHECK_EQ(vcpu->uc.cmd, UCALL_DONE);
}

L2_SNIPPET(l2_outs, "mov $l2_scratch, %esi\nmov $0x2f0, %edx", "outsw");
L2_SNIPPET(l2_rep_ins, "mov $l2_scratch, %edi\nmov $0x2f0, %edx\nmov $5, %ecx", "rep insl");

static void guest_string(void)
{
	u32 info;

	l1_start(l2_outs, 0);
	l1_control(PROC_CTL, PROC_IO, 0);
	L2_EXIT(REASON_IO);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), IO_QUAL(PORT, 2, IO_STRING));
	GUEST_ASSERT_EQ(vmread(LINEAR_ADDRESS), pa(l2_scratch));
	if (l1_caps.basic >> 54 & 1) {
		info = vmread(EXIT_INSTRUCTION);
		GUEST_ASSERT_EQ(info >> 7 & 7, 2);
		GUEST_ASSERT_EQ(info >> 15 & 7, 3);
	}
	GUEST_ASSERT_EQ(l2_regs.rsi, pa(l2_scratch));
	l1_make_vmcs(l1_vmcs, l2_rep_ins, 0);
	l1_control(PROC_CTL, PROC_IO, 0);
	L2_EXIT(REASON_IO);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), IO_QUAL(PORT, 4, IO_STRING | IO_REP | IO_IN));
	GUEST_ASSERT_EQ(vmread(LINEAR_ADDRESS), pa(l2_scratch));
	GUEST_ASSERT_EQ(l2_regs.rcx, 5);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(l2_rep_ins_at));
}

/* String I/O: linear address, REP, nothing of it done. */
static void test_string(void)
{
	nested_run(guest_string, 0);
}

/* -- MSRs --------------------------------------------------------------------------- */

/* of the MSR bitmap */
#define READ_LOW	0
#define READ_HIGH	1024
#define WRITE_LOW	2048
#define WRITE_HIGH	3072

static volatile u64 l2_fault;

static void l2_rdmsr(u32 msr)
{
	u64 v;

	l2_fault = try_rdmsr(msr, &v);
}

static void l2_wrmsr(u32 msr)
{
	l2_fault = try_wrmsr(msr, 0);
}

static void one_msr(void *fn, u32 msr, u32 part, bool exits)
{
	u32 n = msr & 0x1fff;
	u64 reason = fn == l2_rdmsr ? REASON_RDMSR : REASON_WRMSR;

	l1_make_vmcs(l1_vmcs, fn, msr);
	l1_control(PROC_CTL, PROC_MSR_BITMAPS, 0);
	l1_msr_bitmap[part + n / 8] = 1 << n % 8;
	if (exits) {
		GUEST_ASSERT_AT(l2_run() == reason, msr, part);
		GUEST_ASSERT_EQ((u32)l2_regs.rcx, msr);
		GUEST_ASSERT_EQ(vmread(EXIT_LENGTH), 2);
		GUEST_ASSERT_EQ(vmread(QUALIFICATION), 0);
		l2_skip();
	}
	GUEST_ASSERT_AT(l2_run() == REASON_VMCALL, msr, part);
	l1_msr_bitmap[part + n / 8] = 0;
}

static void guest_msr(void)
{
	l1_vmx_on();
	one_msr(l2_rdmsr, MSR_SYSENTER_CS, READ_LOW, true);
	one_msr(l2_rdmsr, MSR_SYSENTER_CS, WRITE_LOW, false);
	one_msr(l2_rdmsr, MSR_SYSENTER_CS, READ_HIGH, false);
	one_msr(l2_wrmsr, MSR_SYSENTER_CS, WRITE_LOW, true);
	one_msr(l2_wrmsr, MSR_SYSENTER_CS, READ_LOW, false);
	one_msr(l2_rdmsr, MSR_KERNEL_GS_BASE, READ_HIGH, true);
	one_msr(l2_rdmsr, MSR_KERNEL_GS_BASE, READ_LOW, false);
	one_msr(l2_wrmsr, MSR_KERNEL_GS_BASE, WRITE_HIGH, true);
	one_msr(l2_wrmsr, MSR_KERNEL_GS_BASE, WRITE_LOW, false);
	one_msr(l2_rdmsr, 0x1fff, READ_LOW, true);
	one_msr(l2_rdmsr, 0xc0001fff, READ_HIGH, true);
	/* outside of both ranges */
	one_msr(l2_rdmsr, 0x2000, READ_LOW, true);
	one_msr(l2_rdmsr, 0x40000000, READ_LOW, true);
	one_msr(l2_wrmsr, 0xc0002000, READ_LOW, true);
	one_msr(l2_wrmsr, 0xffffffff, READ_LOW, true);
	/* one that is not there and does not exit: #GP in L2 */
	one_msr(l2_rdmsr, 0x1f00, READ_HIGH, false);
	GUEST_ASSERT_EQ(l2_fault, FAULT(GP_VECTOR));
	/* without bitmaps each exits */
	l1_make_vmcs(l1_vmcs, l2_rdmsr, MSR_KERNEL_GS_BASE);
	L2_EXIT_SKIP(REASON_RDMSR);
	L2_DONE();
	l2_call(l2_wrmsr, MSR_SYSENTER_EIP);
	L2_EXIT_SKIP(REASON_WRMSR);
	L2_DONE();
}

/* RDMSR and WRMSR: the bitmap's four parts, and what lies outside. */
static void test_msr(void)
{
	nested_run_with(guest_msr, 0, PROC_CTL, PROC_MSR_BITMAPS);
}

static void l2_own_msrs(void)
{
	GUEST_ASSERT_EQ(rdmsr(MSR_SYSENTER_CS), 0x111);
	GUEST_ASSERT_EQ(rdmsr(MSR_SYSENTER_ESP), 0x222);
	GUEST_ASSERT_EQ(rdmsr(MSR_FS_BASE), 0x333);
	wrmsr(MSR_SYSENTER_CS, 0x444);
	wrmsr(MSR_SYSENTER_ESP, 0x555);
	wrmsr(MSR_FS_BASE, 0x666);
	wrmsr(MSR_KERNEL_GS_BASE, 0x777);
}

static void guest_own_msrs(void)
{
	wrmsr(MSR_SYSENTER_ESP, 0x1000);
	wrmsr(MSR_KERNEL_GS_BASE, 0x2000);
	l1_start(l2_own_msrs, 0);
	l1_control(PROC_CTL, PROC_MSR_BITMAPS, 0);
	vmwrite(GUEST_SYSENTER_CS, 0x111);
	vmwrite(GUEST_SYSENTER_ESP, 0x222);
	vmwrite(GUEST_FS_BASE, 0x333);
	vmwrite(HOST_FS_BASE, 0x3000);
	L2_DONE();
	GUEST_ASSERT_EQ(vmread(GUEST_SYSENTER_CS), 0x444);
	GUEST_ASSERT_EQ(vmread(GUEST_SYSENTER_ESP), 0x555);
	GUEST_ASSERT_EQ(vmread(GUEST_FS_BASE), 0x666);
	GUEST_ASSERT_EQ(rdmsr(MSR_SYSENTER_ESP), 0x1000);
	GUEST_ASSERT_EQ(rdmsr(MSR_FS_BASE), 0x3000);
	/* what the VMCS does not have is shared */
	GUEST_ASSERT_EQ(rdmsr(MSR_KERNEL_GS_BASE), 0x777);
}

/* MSRs that do not exit: L2 has those of the VMCS, and shares the others with L1. */
static void test_own_msrs(void)
{
	nested_run_with(guest_own_msrs, 0, PROC_CTL, PROC_MSR_BITMAPS);
}

/* -- control registers ------------------------------------------------------------- */

#define CR_TO		(0u << 4)
#define CR_FROM		(1u << 4)
#define CR_CLTS		(2u << 4)
#define CR_LMSW		(3u << 4)
#define CR_LMSW_MEMORY	(1u << 6)
#define CR_QUAL(cr, type, reg)	((cr) | (type) | (reg) << 8)

static u16 msw;

static void set_cr0(u64 v)
{
	asm volatile("mov %0, %%cr0" : : "d"(v) : "memory");
}

static void set_cr4(u64 v)
{
	asm volatile("mov %0, %%cr4" : : "S"(v) : "memory");
}

static void l2_cr0(void)
{
	u64 cr0 = read_cr0();
	u64 v;

	/* what L1 owns is as in the shadow */
	GUEST_ASSERT_EQ(cr0 & (X86_CR0_TS | X86_CR0_AM), X86_CR0_TS);
	set_cr0(cr0 ^ X86_CR0_WP);
	GUEST_ASSERT_EQ(read_cr0(), cr0 ^ X86_CR0_WP);
	asm volatile("smsw %0" : "=r"(v));
	GUEST_ASSERT_EQ(v & X86_CR0_TS, X86_CR0_TS);
	set_cr0(cr0 & ~X86_CR0_TS);
	set_cr0(cr0 | X86_CR0_AM);
	asm volatile("clts");
	asm volatile("lmsw %%ax" : : "a"(X86_CR0_PE | X86_CR0_MP));
	msw = X86_CR0_PE | X86_CR0_MP;
	asm volatile("lmsw %0" : : "m"(msw));
	/* the masked bits as in the shadow: no exit */
	asm volatile("lmsw %%ax" : : "a"(X86_CR0_PE | X86_CR0_MP | X86_CR0_TS));
	set_cr0(cr0);
}

static void guest_cr0(void)
{
	u64 cr0;

	l1_start(l2_cr0, 0);
	cr0 = read_cr0();
	GUEST_ASSERT_EQ(cr0 & (X86_CR0_TS | X86_CR0_AM), X86_CR0_AM);
	vmwrite(CR0_MASK, X86_CR0_TS | X86_CR0_AM);
	vmwrite(CR0_SHADOW, X86_CR0_TS);
	L2_EXIT(REASON_CR);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), CR_QUAL(0, CR_TO, REG_RDX));
	GUEST_ASSERT_EQ(vmread(EXIT_LENGTH), 3);
	GUEST_ASSERT_EQ(l2_regs.rdx & X86_CR0_TS, 0);
	/* what L2 wrote of its own bits is there, L1's bits are untouched */
	GUEST_ASSERT_EQ(vmread(GUEST_CR0), cr0 ^ X86_CR0_WP);
	l2_skip();
	L2_EXIT_SKIP(REASON_CR);
	GUEST_ASSERT_EQ(l2_regs.rdx & X86_CR0_AM, X86_CR0_AM);
	L2_EXIT(REASON_CR);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION) & 0x3f, CR_QUAL(0, CR_CLTS, 0));
	GUEST_ASSERT_EQ(vmread(EXIT_LENGTH), 2);
	l2_skip();
	L2_EXIT(REASON_CR);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION) & 0xffff007f, CR_QUAL(0, CR_LMSW, 0) | 3 << 16);
	l2_skip();
	L2_EXIT(REASON_CR);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION) & 0xffff007f,
			CR_QUAL(0, CR_LMSW | CR_LMSW_MEMORY, 0) | 3 << 16);
	GUEST_ASSERT_EQ(vmread(LINEAR_ADDRESS), pa(&msw));
	l2_skip();
	L2_DONE();
	GUEST_ASSERT_EQ(vmread(GUEST_CR0), cr0);
	GUEST_ASSERT_EQ(read_cr0(), cr0);
}

/* CR0: L2 owns the bits that are not in the mask, and reads the shadow of the others. */
static void test_cr0(void)
{
	nested_run(guest_cr0, 0);
}

static void l2_clts(u64 ts)
{
	asm volatile("clts");
	GUEST_ASSERT_EQ(read_cr0() & X86_CR0_TS, ts);
}

static void guest_clts(void)
{
	u64 cr0;

	l1_start(l2_clts, 0);
	cr0 = read_cr0();
	/* L2 owns it */
	vmwrite(GUEST_CR0, cr0 | X86_CR0_TS);
	L2_DONE();
	GUEST_ASSERT_EQ(vmread(GUEST_CR0), cr0);
	/* L1 owns it, and L2 thinks that it is clear: nothing happens */
	vmwrite(GUEST_CR0, cr0 | X86_CR0_TS);
	vmwrite(CR0_MASK, X86_CR0_TS);
	vmwrite(CR0_SHADOW, 0);
	l2_call(l2_clts, 0);
	L2_DONE();
	GUEST_ASSERT_EQ(vmread(GUEST_CR0), cr0 | X86_CR0_TS);
	/* L1 owns it, and L2 thinks that it is set */
	vmwrite(CR0_SHADOW, X86_CR0_TS);
	l2_call(l2_clts, X86_CR0_TS);
	L2_EXIT_SKIP(REASON_CR);
	L2_DONE();
	GUEST_ASSERT_EQ(vmread(GUEST_CR0), cr0 | X86_CR0_TS);
}

/* CLTS goes by mask and shadow. */
static void test_clts(void)
{
	nested_run(guest_clts, 0);
}

static void l2_cr4(void)
{
	u64 cr4 = read_cr4();

	GUEST_ASSERT_EQ(cr4 & (X86_CR4_VMXE | X86_CR4_PGE), X86_CR4_PGE);
	set_cr4(cr4 ^ X86_CR4_DE);
	GUEST_ASSERT_EQ(read_cr4(), cr4 ^ X86_CR4_DE);
	set_cr4(cr4 | X86_CR4_VMXE);
	set_cr4(cr4 & ~X86_CR4_PGE);
	set_cr4(cr4);
	/* a fault comes before the exit only where the bits are L2's */
	GUEST_ASSERT_EQ(try_write_cr4(cr4 | 1ull << 63), FAULT(GP_VECTOR));
}

static void guest_cr4(void)
{
	u64 cr4;

	l1_start(l2_cr4, 0);
	cr4 = read_cr4();
	vmwrite(CR4_MASK, X86_CR4_VMXE | X86_CR4_PGE);
	vmwrite(CR4_SHADOW, X86_CR4_PGE);
	L2_EXIT(REASON_CR);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), CR_QUAL(4, CR_TO, REG_RSI));
	GUEST_ASSERT_EQ(vmread(GUEST_CR4), cr4 ^ X86_CR4_DE);
	l2_skip();
	L2_EXIT_SKIP(REASON_CR);
	L2_DONE();
	GUEST_ASSERT_EQ(vmread(GUEST_CR4), cr4);
	GUEST_ASSERT_EQ(read_cr4(), cr4);
}

/* CR4, likewise. */
static void test_cr4(void)
{
	nested_run(guest_cr4, 0);
}

static void l2_cr3(void)
{
	u64 v = read_cr3();

	asm volatile("mov %0, %%cr3" : : "c"(v) : "memory");
	asm volatile("mov %%cr3, %%r9" : : : "r9", "memory");
}

static void guest_cr3(void)
{
	l1_start(l2_cr3, 0);
	l1_control(PROC_CTL, PROC_CR3_LOAD, PROC_CR3_STORE);
	L2_EXIT(REASON_CR);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), CR_QUAL(3, CR_TO, REG_RCX));
	GUEST_ASSERT_EQ(l2_regs.rcx, read_cr3());
	l2_skip();
	L2_DONE();
	if (MISC_CR3_TARGETS(l1_caps.misc)) {
		vmwrite(CR3_TARGET0, read_cr3());
		vmwrite(CR3_TARGETS, 1);
		l2_call(l2_cr3, 0);
		L2_DONE();
		vmwrite(CR3_TARGET0, read_cr3() + 4096);
		l2_call(l2_cr3, 0);
		L2_EXIT_SKIP(REASON_CR);
		L2_DONE();
	}
	l1_control(PROC_CTL, PROC_CR3_STORE, PROC_CR3_LOAD);
	l2_call(l2_cr3, 0);
	L2_EXIT(REASON_CR);
	l2_regs.rax = read_cr3();
	l2_regs.rcx = read_cr3();
	l2_regs.rdx = read_cr3();
	l2_skip();
	L2_EXIT(REASON_CR);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), CR_QUAL(3, CR_FROM, REG_R9));
	l2_skip();
	L2_DONE();
}

/* CR3: load and store exiting, target values. */
static void test_cr3(void)
{
	nested_run(guest_cr3, 0);
}

static void l2_new_cr3(u64 cr3)
{
	write_cr3(cr3);
	GUEST_ASSERT_EQ(read_cr3(), cr3);
}

static void guest_new_cr3(void)
{
	u64 cr3 = read_cr3();

	l1_start(l2_new_cr3, 0);
	l1_control(PROC_CTL, 0, PROC_CR3_LOAD | PROC_CR3_STORE);
	/* PWT is as good as another address, and the tables stay */
	l2_regs.rdi = cr3 | 8;
	L2_DONE();
	GUEST_ASSERT_EQ(vmread(GUEST_CR3), cr3 | 8);
	GUEST_ASSERT_EQ(read_cr3(), cr3);
}

/* CR3 without exits is L2's. */
static void test_new_cr3(void)
{
	nested_run(guest_new_cr3, 0);
}

static void l2_cr8(void)
{
	asm volatile("mov %0, %%cr8" : : "d"(5ull) : "memory");
	asm volatile("mov %%cr8, %%r9" : : : "r9", "memory");
}

static void guest_cr8(void)
{
	l1_start(l2_cr8, 0);
	l1_control(PROC_CTL, PROC_CR8_LOAD | PROC_CR8_STORE, 0);
	L2_EXIT(REASON_CR);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), CR_QUAL(8, CR_TO, REG_RDX));
	l2_skip();
	L2_EXIT(REASON_CR);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), CR_QUAL(8, CR_FROM, REG_R9));
	l2_skip();
	L2_DONE();
	GUEST_ASSERT_EQ(read_cr8(), 0);
	l1_control(PROC_CTL, 0, PROC_CR8_LOAD | PROC_CR8_STORE);
	l2_call(l2_cr8, 0);
	L2_DONE();
	GUEST_ASSERT_EQ(read_cr8(), 5);
}

/* CR8: exits, or is L1's own. */
static void test_cr8(void)
{
	/* it is the local APIC's */
	vcpu_done(nested_vcpu_irqchip(guest_cr8, 0));
}

static void l2_dr(void)
{
	write_dr0(0x1000);
	asm volatile("mov %%rcx, %%dr3" : : "c"(0x4000ull) : "memory");
	asm volatile("mov %%dr7, %%rdx" : : : "rdx", "memory");
}

static void guest_dr(void)
{
	l1_start(l2_dr, 0);
	l1_control(PROC_CTL, PROC_DR, 0);
	write_dr0(0x9000);
	write_dr3(0x8000);
	L2_EXIT(REASON_DR);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION) & 0x17, 0);
	GUEST_ASSERT_EQ(vmread(EXIT_LENGTH), 3);
	l2_skip();
	L2_EXIT(REASON_DR);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), 3 | REG_RCX << 8);
	l2_skip();
	L2_EXIT(REASON_DR);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), 7 | 1 << 4 | REG_RDX << 8);
	l2_skip();
	L2_DONE();
	GUEST_ASSERT_EQ(read_dr0(), 0x9000);
	GUEST_ASSERT_EQ(read_dr3(), 0x8000);
	l1_control(PROC_CTL, 0, PROC_DR);
	l2_call(l2_dr, 0);
	L2_DONE();
	GUEST_ASSERT_EQ(read_dr0(), 0x1000);
	GUEST_ASSERT_EQ(read_dr3(), 0x4000);
	GUEST_ASSERT_EQ(l2_regs.rdx, 0x400);
}

/* MOV DR: exits, or DR0 to DR3 are shared with L1. */
static void test_dr(void)
{
	nested_run(guest_dr, 0);
}

static void l2_xsetbv(u64 xcr0)
{
	write_cr4(read_cr4() | X86_CR4_OSXSAVE);
	asm volatile("xsetbv" : : "a"((u32)xcr0), "d"(0), "c"(0));
}

static void guest_xsetbv(void)
{
	u32 a, d;

	l1_start(l2_xsetbv, 3);
	L2_EXIT(REASON_XSETBV);
	GUEST_ASSERT_EQ(vmread(EXIT_LENGTH), 3);
	GUEST_ASSERT_EQ((u32)l2_regs.rax, 3);
	GUEST_ASSERT_EQ((u32)l2_regs.rcx, 0);
	l2_skip();
	L2_DONE();
	write_cr4(read_cr4() | X86_CR4_OSXSAVE);
	asm volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	GUEST_ASSERT_EQ(a, 1);
}

/* XSETBV always exits, and does nothing then. */
static void test_xsetbv(void)
{
	struct vcpu *vcpu = nested_vcpu(guest_xsetbv, 0);

	REQUIRE(vcpu_leaf(vcpu, 1, 0)->ecx & 1u << 26, "no XSAVE");
	vcpu_done(vcpu);
}

/* -- exceptions --------------------------------------------------------------------- */

L2_SNIPPET(l2_ud, "", "ud2");
L2_SNIPPET(l2_gp, "mov $0x50, %eax\nmov $1, %edx\nshl $63, %rdx", "mov (%rdx), %eax");
L2_SNIPPET(l2_np, "mov $0x50, %eax", "mov %eax, %fs");
L2_SNIPPET(l2_int3, "", "int3");
L2_SNIPPET(l2_int1, "", ".byte 0xf1");
L2_SNIPPET(l2_int6, "", "int $6");
L2_SNIPPET(l2_de, "xor %ecx, %ecx", "div %ecx");

struct exception_row {
	void (*fn)(void);
	const char *at;
	u32 event;
	u32 error;
	u32 length;		/* of software exceptions */
};

#define EXCEPTION(name, event, error, length)				\
	{ name, name##_at, EVENT_VALID | (event), error, length }

static const struct exception_row exceptions[] = {
	EXCEPTION(l2_ud, EVENT_HARD | UD_VECTOR, 0, 0),
	EXCEPTION(l2_gp, EVENT_HARD | EVENT_ERROR | GP_VECTOR, 0, 0),
	EXCEPTION(l2_np, EVENT_HARD | EVENT_ERROR | NP_VECTOR, 0x50, 0),
	EXCEPTION(l2_de, EVENT_HARD | DE_VECTOR, 0, 0),
	EXCEPTION(l2_int3, EVENT_SOFT_EXC | BP_VECTOR, 0, 1),
	EXCEPTION(l2_int1, EVENT_PRIV_SOFT | DB_VECTOR, 0, 1),
};

static volatile u64 handled;

L2_SNIPPET(l2_ret, "", "nop");

/* a fault is not tried again; what INT3 and INT1 push is behind them */
static void on_exception(struct guest_frame *frame)
{
	handled = 0x100 | frame->vector;
	if (frame->vector != BP_VECTOR && frame->vector != DB_VECTOR)
		frame->rip = (uintptr_t)l2_ret;
}

static void guest_exceptions(void)
{
	unsigned int n;

	l1_vmx_on();
	for (n = 0; n < ARRAY_SIZE(exceptions); n++) {
		const struct exception_row *row = &exceptions[n];
		u32 vector = row->event & 0xff;
		u64 r;

		l1_make_vmcs(l1_vmcs, row->fn, 0);
		vmwrite(EXCEPTION_BITMAP, 1u << vector);
		r = l2_run();
		GUEST_ASSERT_AT(r == REASON_EXCEPTION, n, r);
		GUEST_ASSERT_AT(vmread(EXIT_EVENT) == row->event, n, vmread(EXIT_EVENT));
		GUEST_ASSERT_AT(vmread(GUEST_RIP) == pa(row->at), n, vmread(GUEST_RIP));
		if (row->event & EVENT_ERROR)
			GUEST_ASSERT_AT(vmread(EXIT_ERROR) == row->error, n, vmread(EXIT_ERROR));
		if (row->length)
			GUEST_ASSERT_AT(vmread(EXIT_LENGTH) == row->length, n,
					vmread(EXIT_LENGTH));
		GUEST_ASSERT_EQ(vmread(IDT_EVENT) & EVENT_VALID, 0);
		/* all others: it is L2's own */
		vmwrite(EXCEPTION_BITMAP, ~(1u << vector));
		guest_handlers[vector] = on_exception;
		handled = 0;
		l2_call(row->fn, 0);
		r = l2_run();
		GUEST_ASSERT_AT(r == REASON_VMCALL, n, r);
		GUEST_ASSERT_AT(handled == (0x100 | vector), n, handled);
		guest_handlers[vector] = NULL;
	}
	/* INT n is no exception */
	l1_make_vmcs(l1_vmcs, l2_int6, 0);
	vmwrite(EXCEPTION_BITMAP, ~0u);
	guest_handlers[UD_VECTOR] = on_exception;
	handled = 0;
	L2_DONE();
	GUEST_ASSERT_EQ(handled, 0x100 | UD_VECTOR);
}

/* Exceptions by the bitmap: event, error code, instruction length. */
static void test_exceptions(void)
{
	nested_run(guest_exceptions, 0);
}

static u8 absent[4096] VMX_PAGE;

static void l2_pf(u64 write)
{
	u32 v;

	if (write)
		l2_fault = try_write32((volatile u32 *)(absent + 0x10), 0);
	else
		l2_fault = try_read32((volatile u32 *)(absent + 0x10), &v);
}

static void one_pf(u32 bitmap, u32 mask, u32 match, u64 write, bool exits)
{
	u64 r;

	l1_make_vmcs(l1_vmcs, l2_pf, write);
	vmwrite(EXCEPTION_BITMAP, bitmap << PF_VECTOR);
	vmwrite(PF_MASK, mask);
	vmwrite(PF_MATCH, match);
	asm volatile("mov %0, %%cr2" : : "r"(0x1230ull));
	l2_fault = 0;
	r = l2_run();
	if (!exits) {
		GUEST_ASSERT_EQ(r, REASON_VMCALL);
		GUEST_ASSERT_EQ(l2_fault, FAULT(PF_VECTOR));
		GUEST_ASSERT_EQ(guest_fault_address, pa(absent) + 0x10);
		GUEST_ASSERT_EQ(guest_fault_error, write ? 2 : 0);
		return;
	}
	GUEST_ASSERT_EQ(r, REASON_EXCEPTION);
	GUEST_ASSERT_EQ(vmread(EXIT_EVENT),
			EVENT_VALID | EVENT_HARD | EVENT_ERROR | PF_VECTOR);
	GUEST_ASSERT_EQ(vmread(EXIT_ERROR), write ? 2 : 0);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), pa(absent) + 0x10);
	/* CR2 is not written by one that exits */
	GUEST_ASSERT_EQ(read_cr2(), 0x1230);
}

static void guest_pf(void)
{
	l1_vmx_on();
	one_pf(1, 0, 0, 0, true);
	one_pf(0, 0, 0, 0, false);
	/* never equal, which turns the bitmap's bit around */
	one_pf(1, 0, 1, 0, false);
	one_pf(0, 0, 1, 0, true);
	/* writes only */
	one_pf(1, 2, 2, 0, false);
	one_pf(1, 2, 2, 1, true);
	one_pf(0, 2, 2, 0, true);
	one_pf(0, 2, 2, 1, false);
	/* a bit of the mask that differs */
	one_pf(1, 3, 3, 1, false);
	one_pf(1, 3, 2, 1, true);
}

/* Page faults by mask and match of the error code. */
static void test_pf(void)
{
	struct vcpu *vcpu = nested_vcpu(guest_pf, 0);

	*vm_split_page(vcpu->vm, pa(absent)) &= ~PTE_P;
	vcpu_done(vcpu);
}

static void l2_step(void)
{
	asm volatile("pushfq\n"
		     "orq $0x100, (%rsp)\n"
		     "popfq\n"
		     ".globl exits_step\n"
		     "exits_step: nop\n"
		     "nop\n");
}

extern const char exits_step[];

static void guest_db(void)
{
	write_dr6(0xffff0ff0);
	l1_start(l2_step, 0);
	vmwrite(EXCEPTION_BITMAP, 1 << DB_VECTOR);
	L2_EXIT(REASON_EXCEPTION);
	GUEST_ASSERT_EQ(vmread(EXIT_EVENT), EVENT_VALID | EVENT_HARD | DB_VECTOR);
	/* a trap: behind the instruction; DR6 is L1's to write */
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(exits_step) + 1);
	GUEST_ASSERT_EQ(vmread(QUALIFICATION), 1 << 14);
	GUEST_ASSERT_EQ(read_dr6() & 1 << 14, 0);
	vmunset(GUEST_RFLAGS, X86_TF);
	L2_DONE();
}

/* A debug exception: the qualification holds what DR6 would. */
static void test_db(void)
{
	nested_run(guest_db, 0);
}

static void l2_triple(void)
{
	static const struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) none = { 0, 0 };

	asm volatile("lidt %0\n"
		     ".globl exits_triple\n"
		     "exits_triple: ud2" : : "m"(none));
}

extern const char exits_triple[];

static void guest_triple(void)
{
	l1_start(l2_triple, 0);
	L2_EXIT(REASON_TRIPLE_FAULT);
	GUEST_ASSERT_EQ(vmread(GUEST_IDTR_LIMIT), 0);
	GUEST_ASSERT_EQ(vmread(EXIT_EVENT) & EVENT_VALID, 0);
	/* L1 has its IDT back */
	GUEST_ASSERT_EQ(try_write_cr4(1ull << 63), FAULT(GP_VECTOR));
	/* an exception of the chain that L1 wants comes first */
	l1_make_vmcs(l1_vmcs, l2_triple, 0);
	vmwrite(EXCEPTION_BITMAP, 1 << DF_VECTOR);
	L2_EXIT(REASON_EXCEPTION);
	GUEST_ASSERT_EQ(vmread(EXIT_EVENT), EVENT_VALID | EVENT_HARD | EVENT_ERROR | DF_VECTOR);
	GUEST_ASSERT_EQ(vmread(EXIT_ERROR), 0);
}

/* A triple fault of L2 is an exit, and no reset. */
static void test_triple(void)
{
	nested_run(guest_triple, 0);
}

/* -- windows, timer, MTF ------------------------------------------------------------- */

static void l2_sti(void)
{
	asm volatile("nop\n"
		     "sti\n"
		     "nop\n"
		     ".globl exits_sti\n"
		     "exits_sti: nop\n"
		     "cli\n");
}

extern const char exits_sti[];

static void guest_intr_window(void)
{
	l1_start(l2_sti, 0);
	l1_control(PROC_CTL, PROC_INTR_WINDOW, 0);
	L2_EXIT(REASON_INTR_WINDOW);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(exits_sti));
	GUEST_ASSERT_EQ(vmread(GUEST_RFLAGS) & X86_IF, X86_IF);
	/* open at entry: before the first instruction */
	L2_EXIT(REASON_INTR_WINDOW);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(exits_sti));
	/* closed by STI's shadow */
	vmwrite(GUEST_BLOCKING, BLOCKING_STI);
	L2_EXIT(REASON_INTR_WINDOW);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(exits_sti) + 1);
	GUEST_ASSERT_EQ(vmread(GUEST_BLOCKING), 0);
	l1_control(PROC_CTL, 0, PROC_INTR_WINDOW);
	L2_DONE();
	l2_call(l2_sti, 0);
	L2_DONE();
}

/* Interrupt-window exiting: as soon as an interrupt could come, and not before. */
static void test_intr_window(void)
{
	nested_run(guest_intr_window, 0);
}

static void l2_iret(void)
{
	asm volatile("nop\n"
		     "mov %%rsp, %%rcx\n"
		     "push %0\n"
		     "push %%rcx\n"
		     "pushfq\n"
		     "push %1\n"
		     "push $exits_iret\n"
		     "iretq\n"
		     ".globl exits_iret\n"
		     "exits_iret: nop\n"
		     : : "i"(SEL_DATA), "i"(SEL_CODE64) : "rcx", "memory");
}

extern const char exits_iret[];

static void guest_nmi_window(void)
{
	l1_start(l2_iret, 0);
	l1_control(PIN_CTL, PIN_NMI | PIN_VIRTUAL_NMI, 0);
	l1_control(PROC_CTL, PROC_NMI_WINDOW, 0);
	L2_EXIT(REASON_NMI_WINDOW);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), (uintptr_t)l2_iret);
	/* blocked until an IRET */
	vmwrite(GUEST_BLOCKING, BLOCKING_NMI);
	L2_EXIT(REASON_NMI_WINDOW);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(exits_iret));
	GUEST_ASSERT_EQ(vmread(GUEST_BLOCKING), 0);
	l1_control(PROC_CTL, 0, PROC_NMI_WINDOW);
	L2_DONE();
}

/* NMI-window exiting, with virtual NMIs. */
static void test_nmi_window(void)
{
	nested_run_with(guest_nmi_window, 0, PIN_CTL, PIN_NMI | PIN_VIRTUAL_NMI);
}

static volatile u64 turns;

static void l2_turns(void)
{
	for (turns = 0; turns < 1000000; turns++)
		cpu_pause();
}

static void l2_short(void)
{
	turns++;
}

static void guest_timer(void)
{
	u64 rate;

	l1_start(l2_turns, 0);
	rate = l1_caps.misc & 31;
	l1_control(PIN_CTL, PIN_TIMER, 0);
	/* 0: before anything else */
	vmwrite(PREEMPTION_TIMER, 0);
	turns = 77;
	L2_EXIT(REASON_TIMER);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), (uintptr_t)l2_turns);
	GUEST_ASSERT_EQ(turns, 77);
	/* in the middle */
	vmwrite(PREEMPTION_TIMER, (100000 >> rate) + 1);
	L2_EXIT(REASON_TIMER);
	GUEST_ASSERT(turns < 1000000);
	/* not saved: the field keeps its value */
	GUEST_ASSERT_EQ(vmread(PREEMPTION_TIMER), (100000 >> rate) + 1);
	/* not before its time */
	vmwrite(PREEMPTION_TIMER, 0x7fffffff);
	l2_call(l2_short, 0);
	L2_DONE();
	GUEST_ASSERT_EQ(vmread(PREEMPTION_TIMER), 0x7fffffff);
	if (l1_can(EXIT_CTL, EXIT_SAVE_TIMER)) {
		l1_control(EXIT_CTL, EXIT_SAVE_TIMER, 0);
		l2_call(l2_short, 0);
		L2_DONE();
		GUEST_ASSERT(vmread(PREEMPTION_TIMER) <= 0x7fffffff);
		GUEST_ASSERT(vmread(PREEMPTION_TIMER) > 0x70000000);
		vmwrite(PREEMPTION_TIMER, 100);
		l2_call(l2_turns, 0);
		L2_EXIT(REASON_TIMER);
		GUEST_ASSERT_EQ(vmread(PREEMPTION_TIMER), 0);
	}
	l1_control(EXIT_CTL, 0, EXIT_SAVE_TIMER);
	l1_control(PIN_CTL, 0, PIN_TIMER);
	vmwrite(PREEMPTION_TIMER, 0);
	l2_call(l2_short, 0);
	L2_DONE();
}

/* The preemption timer: 0, in the middle, not yet, saved or not. */
static void test_timer(void)
{
	nested_run_with(guest_timer, 0, PIN_CTL, PIN_TIMER);
}

asm(".text\n"
    ".globl exits_mtf\n"
    "exits_mtf: nop\n"		/* 1 byte */
    "xor %ecx, %ecx\n"		/* 2 */
    "mov $3, %ecx\n"		/* 5 */
    "loop .\n"			/* 2, three times */
    "ret\n");

void exits_mtf(void);

static void guest_mtf(void)
{
	static const u8 offset[] = { 1, 3, 8, 8, 8, 10 };
	unsigned int n;

	l1_start(exits_mtf, 0);
	l1_control(PROC_CTL, PROC_MTF, 0);
	for (n = 0; n < ARRAY_SIZE(offset); n++) {
		u64 r = l2_run();

		GUEST_ASSERT_AT(r == REASON_MTF, n, r);
		GUEST_ASSERT_AT(vmread(GUEST_RIP) == (uintptr_t)exits_mtf + offset[n], n,
				vmread(GUEST_RIP));
	}
	/* an instruction that exits does so first */
	l2_call(l2_vmcall, 0);
	L2_EXIT(REASON_VMCALL);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), pa(l2_vmcall_at));
	l1_control(PROC_CTL, 0, PROC_MTF);
	l2_call(exits_mtf, 0);
	L2_DONE();
}

/* The monitor trap flag: after each instruction. */
static void test_mtf(void)
{
	nested_run_with(guest_mtf, 0, PROC_CTL, PROC_MTF);
}

/* -- what an exit saves and loads ------------------------------------------------------ */

static void l2_state(void)
{
	asm volatile("mov %0, %%es" : : "r"(SEL_UDATA | 3));
	asm volatile("mov %0, %%ds" : : "r"(0));
	wrmsr(MSR_GS_BASE, 0x123456789abcull);
	asm volatile("pushfq; orq $0x4c5, (%rsp); popfq");
	asm volatile("vmcall");
}

struct table_ptr {
	u16 limit;
	u64 base;
} __attribute__((packed));

static void guest_state(void)
{
	struct table_ptr gdt, idt;
	u16 es, ds, ldt, tr;

	l1_start(l2_state, 0);
	if (l1_can(PROC_CTL, PROC_MSR_BITMAPS))
		l1_control(PROC_CTL, PROC_MSR_BITMAPS, 0);
	vmwrite(HOST_GS_BASE, 0x7000);
	vmwrite(HOST_FS_BASE, 0xffff800000000000ull);
	vmwrite(HOST_SYSENTER_CS, 0x70);
	vmwrite(HOST_SYSENTER_ESP, 0x71);
	vmwrite(HOST_SYSENTER_EIP, 0x72);
	vmwrite(HOST_CR4, read_cr4() | X86_CR4_DE);
	vmwrite(HOST_ES, 0);
	vmwrite(GUEST_GDTR_LIMIT, 0x57);
	vmwrite(GUEST_IDTR_LIMIT, 0xfff);
	write_dr7(0x401);
	L2_EXIT(REASON_VMCALL);
	asm volatile("sgdt %0; sidt %1; mov %%es, %2; mov %%ds, %3; sldt %4; str %5"
		     : "=m"(gdt), "=m"(idt), "=r"(es), "=r"(ds), "=r"(ldt), "=r"(tr));
	GUEST_ASSERT_EQ(rdmsr(MSR_GS_BASE), 0x7000);
	GUEST_ASSERT_EQ(rdmsr(MSR_FS_BASE), 0xffff800000000000ull);
	GUEST_ASSERT_EQ(rdmsr(MSR_SYSENTER_CS), 0x70);
	GUEST_ASSERT_EQ(rdmsr(MSR_SYSENTER_ESP), 0x71);
	GUEST_ASSERT_EQ(rdmsr(MSR_SYSENTER_EIP), 0x72);
	GUEST_ASSERT_EQ(read_cr4() & X86_CR4_DE, X86_CR4_DE);
	GUEST_ASSERT_EQ(read_dr7(), 0x400);
	GUEST_ASSERT_EQ(gdt.limit, 0xffff);
	GUEST_ASSERT_EQ(idt.limit, 0xffff);
	GUEST_ASSERT_EQ(gdt.base, GPA_GDT);
	GUEST_ASSERT_EQ(es, 0);
	GUEST_ASSERT_EQ(ds, SEL_DATA);
	GUEST_ASSERT_EQ(ldt, 0);
	GUEST_ASSERT_EQ(tr, SEL_TSS);
	GUEST_ASSERT_EQ(vmread(GUEST_ES), SEL_UDATA | 3);
	GUEST_ASSERT_EQ(vmread(GUEST_ES_AR) & 0x100ff, 0xf3);
	GUEST_ASSERT_EQ(vmread(GUEST_DS), 0);
	GUEST_ASSERT_EQ(vmread(GUEST_DS_AR) & AR_UNUSABLE, AR_UNUSABLE);
	GUEST_ASSERT_EQ(vmread(GUEST_GS_BASE), 0x123456789abcull);
	GUEST_ASSERT_EQ(vmread(GUEST_RFLAGS) & 0x4c5, 0x4c5);
	GUEST_ASSERT_EQ(vmread(GUEST_GDTR_LIMIT), 0x57);
	GUEST_ASSERT_EQ(vmread(GUEST_IDTR_LIMIT), 0xfff);
	GUEST_ASSERT_EQ(vmread(GUEST_TR_AR), 0x8b);
	GUEST_ASSERT_EQ(vmread(GUEST_CS_AR), 0xa09b);
	GUEST_ASSERT_EQ(vmread(GUEST_LDTR_AR) & AR_UNUSABLE, AR_UNUSABLE);
	GUEST_ASSERT_EQ(vmread(GUEST_ACTIVITY), ACTIVITY_ACTIVE);
	GUEST_ASSERT_EQ(vmread(GUEST_BLOCKING), 0);
}

/* An exit saves the guest's state and loads the host's. */
static void test_state(void)
{
	nested_run(guest_state, 0);
}

static void l2_debugctl(void)
{
	write_dr7(0x455);
}

static void guest_dr7(void)
{
	u64 save;

	l1_start(l2_debugctl, 0);
	save = l1_can(EXIT_CTL, EXIT_SAVE_DEBUG);
	GUEST_ASSERT(save);
	l1_control(EXIT_CTL, EXIT_SAVE_DEBUG, 0);
	l1_control(ENTRY_CTL, ENTRY_LOAD_DEBUG, 0);
	vmwrite(GUEST_DR7, 0x401);
	L2_DONE();
	GUEST_ASSERT_EQ(vmread(GUEST_DR7), 0x455);
	GUEST_ASSERT_EQ(read_dr7(), 0x400);
}

/* DR7 is saved and loaded by the controls for it. */
static void test_dr7(void)
{
	nested_run(guest_dr7, 0);
}

static void l2_efer(u64 toggle)
{
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) ^ toggle);
}

static void l2_pat(u64 v)
{
	GUEST_ASSERT_EQ(rdmsr(MSR_PAT), 0x0606060606060606ull);
	wrmsr(MSR_PAT, v);
}

static void guest_efer(void)
{
	u64 efer = rdmsr(MSR_EFER), old = rdmsr(MSR_PAT);

	l1_start(l2_efer, X86_EFER_SCE);
	l1_control(PROC_CTL, PROC_MSR_BITMAPS, 0);
	l1_control(ENTRY_CTL, ENTRY_LOAD_EFER, 0);
	l1_control(EXIT_CTL, EXIT_SAVE_EFER | EXIT_LOAD_EFER, 0);
	vmwrite(GUEST_EFER, efer & ~X86_EFER_NX);
	vmwrite(HOST_EFER, efer);
	L2_DONE();
	GUEST_ASSERT_EQ(vmread(GUEST_EFER), (efer & ~X86_EFER_NX) ^ X86_EFER_SCE);
	GUEST_ASSERT_EQ(rdmsr(MSR_EFER), efer);
	/* not loaded at the exit: L1 goes on with what L2 had */
	l1_control(EXIT_CTL, 0, EXIT_LOAD_EFER | EXIT_SAVE_EFER);
	vmwrite(GUEST_EFER, efer);
	l2_call(l2_efer, X86_EFER_SCE);
	L2_DONE();
	GUEST_ASSERT_EQ(vmread(GUEST_EFER), efer);
	GUEST_ASSERT_EQ(rdmsr(MSR_EFER), efer ^ X86_EFER_SCE);
	wrmsr(MSR_EFER, efer);

	l1_make_vmcs(l1_vmcs, l2_pat, 0x0007040600070406ull);
	l1_control(PROC_CTL, PROC_MSR_BITMAPS, 0);
	l1_control(ENTRY_CTL, ENTRY_LOAD_PAT, 0);
	l1_control(EXIT_CTL, EXIT_SAVE_PAT | EXIT_LOAD_PAT, 0);
	vmwrite(GUEST_PAT, 0x0606060606060606ull);
	vmwrite(HOST_PAT, 0x0606040600070406ull);
	L2_DONE();
	GUEST_ASSERT_EQ(vmread(GUEST_PAT), 0x0007040600070406ull);
	GUEST_ASSERT_EQ(rdmsr(MSR_PAT), 0x0606040600070406ull);
	wrmsr(MSR_PAT, old);
}

/* EFER and PAT by the controls that load and save them. */
static void test_efer(void)
{
	struct vcpu *vcpu = nested_vcpu(guest_efer, 0);

	REQUIRE(nested_can(vcpu, ENTRY_CTL, ENTRY_LOAD_EFER | ENTRY_LOAD_PAT) &&
		nested_can(vcpu, EXIT_CTL, EXIT_SAVE_EFER | EXIT_LOAD_EFER | EXIT_SAVE_PAT |
			   EXIT_LOAD_PAT), "EFER and PAT are not loaded and saved");
	vcpu_done(vcpu);
}

static volatile u64 l2_tsc;

static void l2_read_tsc(void)
{
	l2_tsc = rdtsc();
}

static void guest_tsc(void)
{
	u64 before, after, offset = 1ull << 40;

	l1_start(l2_read_tsc, 0);
	l1_control(PROC_CTL, PROC_TSC_OFFSET, 0);
	vmwrite(TSC_OFFSET, offset);
	before = rdtsc();
	L2_DONE();
	after = rdtsc();
	GUEST_ASSERT(l2_tsc >= before + offset && l2_tsc <= after + offset);
	/* a negative one, and none */
	vmwrite(TSC_OFFSET, -offset);
	l2_call(l2_read_tsc, 0);
	before = rdtsc();
	L2_DONE();
	after = rdtsc();
	GUEST_ASSERT(l2_tsc >= before - offset && l2_tsc <= after - offset);
	l1_control(PROC_CTL, 0, PROC_TSC_OFFSET);
	l2_call(l2_read_tsc, 0);
	before = rdtsc();
	L2_DONE();
	after = rdtsc();
	GUEST_ASSERT(l2_tsc >= before && l2_tsc <= after);
	if (!l1_can(PROC2_CTL, PROC2_TSC_SCALING))
		return;
	l1_control(PROC_CTL, PROC_TSC_OFFSET, 0);
	l1_control(PROC2_CTL, PROC2_TSC_SCALING, 0);
	/* 16.48: a half */
	vmwrite(TSC_MULTIPLIER, 1ull << 47);
	vmwrite(TSC_OFFSET, offset);
	l2_call(l2_read_tsc, 0);
	before = rdtsc();
	L2_DONE();
	after = rdtsc();
	GUEST_ASSERT_AT(l2_tsc >= before / 2 + offset && l2_tsc <= after / 2 + offset + 1, before,
			l2_tsc);
	/* five times; and L1 moves its own meanwhile */
	vmwrite(TSC_MULTIPLIER, 5ull << 48);
	vmwrite(TSC_OFFSET, -offset);
	wrmsr(MSR_TSC, 1ull << 40);
	l2_call(l2_read_tsc, 0);
	before = rdtsc();
	L2_DONE();
	after = rdtsc();
	GUEST_ASSERT_AT(l2_tsc >= 5 * before - offset && l2_tsc <= 5 * after - offset + 5, before,
			l2_tsc);
	/* there is nothing to scale without an offset */
	l1_control(PROC_CTL, 0, PROC_TSC_OFFSET);
	l2_call(l2_read_tsc, 0);
	before = rdtsc();
	L2_DONE();
	after = rdtsc();
	GUEST_ASSERT_AT(l2_tsc >= before && l2_tsc <= after, before, l2_tsc);
	l1_control(PROC_CTL, PROC_TSC_OFFSET, 0);
	vmwrite(TSC_MULTIPLIER, 0);
	GUEST_ASSERT_EQ(try_vmresume(), VMX_VALID(7));
}

/* TSC offset and scaling: L2's TSC is L1's, scaled, and the offset. */
static void test_tsc(void)
{
	nested_run_with(guest_tsc, 0, PROC_CTL, PROC_TSC_OFFSET);
}

/* And L1's is scaled already. */
static void test_tsc_scaled(void)
{
	static const u32 rates[][2] = { { 3, 1 }, { 2, 3 } };
	struct vcpu *vcpu;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(rates); i++) {
		vcpu = nested_vcpu_with(guest_tsc, 0, PROC_CTL, PROC_TSC_OFFSET);
		vcpu_scale_tsc(vcpu, rates[i][0], rates[i][1]);
		vcpu_done(vcpu);
		vm_free(vcpu->vm);
	}
}

static void guest_tiny(void)
{
	u64 first;

	l1_start(l2_read_tsc, 0);
	l1_control(PROC_CTL, PROC_TSC_OFFSET, 0);
	l1_control(PROC2_CTL, PROC2_TSC_SCALING, 0);
	/* nearly nothing, of a TSC that is slow: it stands still */
	vmwrite(TSC_OFFSET, 0);
	vmwrite(TSC_MULTIPLIER, 1);
	L2_DONE();
	first = l2_tsc;
	l2_call(l2_read_tsc, 0);
	L2_DONE();
	GUEST_ASSERT_AT(l2_tsc - first <= 1, first, l2_tsc);
	/* and more than there are bits for */
	vmwrite(TSC_MULTIPLIER, ~0ull);
	l2_call(l2_read_tsc, 0);
	L2_DONE();
	vmwrite(TSC_MULTIPLIER, 1ull << 63);
	l2_call(l2_read_tsc, 0);
	L2_DONE();
}

/* What both together cannot say is no harm to anybody. */
static void test_tsc_extremes(void)
{
	static const u32 rates[][2] = { { 2, 1 }, { 1, 2 } };
	struct vcpu *vcpu;
	u32 i;

	REQUIRE(ksft_is_emys(), "in KVM 6.1 a product of 0 fails L1's entry");
	for (i = 0; i < ARRAY_SIZE(rates); i++) {
		vcpu = nested_vcpu_with(guest_tiny, 0, PROC2_CTL, PROC2_TSC_SCALING);
		vcpu_scale_tsc(vcpu, rates[i][0], rates[i][1]);
		vcpu_done(vcpu);
		vm_free(vcpu->vm);
	}
}

KSFT_MAIN(
	{ "exits: unconditional", test_always },
	{ "exits: instruction information", test_info },
	{ "exits: by one control", test_by_control },
	{ "exits: RDTSCP", test_rdtscp },
	{ "exits: INVPCID", test_invpcid },
	{ "exits: XSAVES", test_xsaves },
	{ "exits: CPL 3", test_user },
	{ "exits: port I/O", test_io },
	{ "exits: I/O bitmaps", test_io_bitmap },
	{ "exits: string I/O", test_string },
	{ "exits: MSR bitmap", test_msr },
	{ "exits: MSRs of L2", test_own_msrs },
	{ "exits: CR0", test_cr0 },
	{ "exits: CLTS", test_clts },
	{ "exits: CR4", test_cr4 },
	{ "exits: CR3", test_cr3 },
	{ "exits: CR3 of L2", test_new_cr3 },
	{ "exits: CR8", test_cr8 },
	{ "exits: MOV DR", test_dr },
	{ "exits: XSETBV", test_xsetbv },
	{ "exits: exceptions", test_exceptions },
	{ "exits: page faults", test_pf },
	{ "exits: single step", test_db },
	{ "exits: triple fault", test_triple },
	{ "exits: interrupt window", test_intr_window },
	{ "exits: NMI window", test_nmi_window },
	{ "exits: preemption timer", test_timer },
	{ "exits: monitor trap flag", test_mtf },
	{ "exits: state saved and loaded", test_state },
	{ "exits: DR7", test_dr7 },
	{ "exits: EFER and PAT", test_efer },
	{ "exits: TSC", test_tsc },
	{ "exits: TSC of an L1 at another rate", test_tsc_scaled },
	{ "exits: TSC multipliers beyond the CPU's", test_tsc_extremes },
)
