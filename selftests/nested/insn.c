// SPDX-License-Identifier: GPL-2.0-only
/*
 * nested/insn: what each VMX instruction checks, and how it says so.
 * Vol. 3, "VMX Instruction Reference".
 */
#include "nested.h"

#define BEYOND		(1ull << 52)	/* no physical address is that wide */
#define NO_FIELD	0x7ffeull

/* every instruction but VMXON, with operands that are good in root operation */
static u64 each_insn(unsigned int n)
{
	u64 v;

	switch (n) {
	case 0:
		return try_vmxoff();
	case 1:
		return try_vmclear(pa(l1_vmcs2));
	case 2:
		return try_vmptrld(pa(l1_vmcs2));
	case 3:
		return try_vmptrst(&v);
	case 4:
		return try_vmread(GUEST_RIP, &v);
	case 5:
		return try_vmwrite(GUEST_RIP, 0);
	case 6:
		return try_vmlaunch();
	case 7:
		return try_vmresume();
	case 8:
		return try_invept(2, 0, 0);
	case 9:
		return try_invvpid(2, 0, 0);
	}
	return 0;
}

#define INSNS	10

static u64 user_insn(u64 n)
{
	return n == INSNS ? try_vmxon(pa(l1_vmxon)) : each_insn(n);
}

static void guest_outside(void)
{
	unsigned int n;

	GUEST_ASSERT_EQ(try_vmxon(pa(l1_vmxon)), FAULT(UD_VECTOR));
	for (n = 0; n < INSNS; n++)
		GUEST_ASSERT_AT(each_insn(n) == FAULT(UD_VECTOR), n, 0);
	l1_enable();
	for (n = 0; n < INSNS; n++)
		GUEST_ASSERT_AT(each_insn(n) == FAULT(UD_VECTOR), n, 1);
	/* and at CPL 3: that VMX operation is off is looked at first */
	for (n = 0; n < INSNS; n++)
		GUEST_ASSERT_AT(guest_user_call(user_insn, n) == FAULT(UD_VECTOR), n, 2);
	GUEST_ASSERT_EQ(guest_user_call(user_insn, INSNS), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_vmxon(pa(l1_vmxon)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmxoff(), VMX_OK);
	for (n = 0; n < INSNS; n++)
		GUEST_ASSERT_AT(each_insn(n) == FAULT(UD_VECTOR), n, 3);
}

/* Outside VMX operation, and VMXON with CR4.VMXE = 0: #UD. */
static void test_outside(void)
{
	nested_run(guest_outside, 0);
}

static void guest_user(void)
{
	unsigned int n;

	l1_vmx_on();
	for (n = 0; n < INSNS; n++) {
		GUEST_ASSERT_AT(guest_user_call(user_insn, n) == FAULT(GP_VECTOR), n, 0);
		GUEST_ASSERT_AT(!guest_fault_error, n, guest_fault_error);
	}
	GUEST_ASSERT_EQ(guest_user_call(user_insn, INSNS), FAULT(GP_VECTOR));
	l1_vmx_off();
	GUEST_ASSERT_EQ(guest_user_call(user_insn, INSNS), FAULT(UD_VECTOR));
}

/* In VMX root operation at CPL 3: #GP(0). */
static void test_user(void)
{
	nested_run(guest_user, 0);
}

static u64 in_compat_mode(void)
{
	u64 f;

	/* with CS.L = 0; the stack is below 4 GiB */
	asm volatile("lea 1f(%%rip), %%rax\n"
		     "push %[cs32]\n"
		     "push %%rax\n"
		     "lretq\n"
		     ".code32\n"
		     "1: xor %%eax, %%eax\n"
		     "2: vmptrst (%%esp)\n"
		     "3: mov %%eax, %%eax\n"
		     "push %[cs64]\n"
		     "push $4f\n"
		     "lret\n"
		     ".code64\n"
		     "4: mov %%r8, %[f]\n"
		     ".pushsection guest_fixups, \"a\"\n"
		     ".quad 2b, 3b\n"
		     ".popsection\n"
		     : [f] "=r"(f) : [cs32] "i"(SEL_CODE32), [cs64] "i"(SEL_CODE64)
		     : "rax", "r8", "r9", "memory", "cc");
	return f;
}

static void guest_compat(void)
{
	l1_vmx_on();
	GUEST_ASSERT_EQ(in_compat_mode(), FAULT(UD_VECTOR));
}

/* In compatibility mode: #UD. */
static void test_compat(void)
{
	nested_run(guest_compat, 0);
}

static void guest_feature(u64 value)
{
	u64 f;

	wrmsr(MSR_FEATURE_CONTROL, 0);
	read_cr0();
	write_cr4(read_cr4() | X86_CR4_VMXE);
	*(volatile u32 *)l1_vmxon = rdmsr(MSR_VMX_BASIC) & 0x7fffffff;
	wrmsr(MSR_FEATURE_CONTROL, value);
	GUEST_ASSERT_EQ(rdmsr(MSR_FEATURE_CONTROL), value);
	f = try_vmxon(pa(l1_vmxon));
	if (value == (FEAT_CTL_LOCK | FEAT_CTL_VMX))
		GUEST_ASSERT_EQ(f, VMX_OK);
	else
		GUEST_ASSERT_EQ(f, FAULT(GP_VECTOR));
	f = try_wrmsr(MSR_FEATURE_CONTROL, FEAT_CTL_LOCK | FEAT_CTL_VMX);
	/* locked until reset */
	GUEST_ASSERT_EQ(f, value & FEAT_CTL_LOCK ? FAULT(GP_VECTOR) : 0);
}

/* VMXON needs IA32_FEATURE_CONTROL's lock and its bit 2; a locked MSR cannot be written. */
static void test_feature_control(void)
{
	u64 value;

	for (value = 0; value < 8; value++) {
		struct vcpu *vcpu;

		/* SMX operation is not for guests */
		if (value & 2)
			continue;
		vcpu = nested_vcpu(guest_feature, value);
		CHECK_EQ(vcpu_set_msr(vcpu, MSR_FEATURE_CONTROL, 0), 1);
		vcpu_done(vcpu);
		vm_free(vcpu->vm);
	}
}

static void guest_vmxon(void)
{
	volatile u32 *revision = (volatile u32 *)l1_vmxon;
	u64 cr0, cr4;

	l1_enable();
	cr0 = read_cr0();
	cr4 = read_cr4();
	/* CR0.NE is fixed to 1 in VMX operation */
	write_cr0(cr0 & ~X86_CR0_NE);
	GUEST_ASSERT_EQ(try_vmxon(pa(l1_vmxon)), FAULT(GP_VECTOR));
	write_cr0(cr0);
	/* a region that is none; there is no current VMCS to hold an error */
	GUEST_ASSERT_EQ(try_vmxon(pa(l1_vmxon) + 8), VMX_INVALID);
	GUEST_ASSERT_EQ(try_vmxon(BEYOND), VMX_INVALID);
	GUEST_ASSERT_EQ(try_vmxon(GPA_MMIO), VMX_INVALID);
	*revision = l1_revision() + 1;
	GUEST_ASSERT_EQ(try_vmxon(pa(l1_vmxon)), VMX_INVALID);
	*revision = l1_revision() | 1u << 31;
	GUEST_ASSERT_EQ(try_vmxon(pa(l1_vmxon)), VMX_INVALID);
	*revision = l1_revision();
	GUEST_ASSERT_EQ(try_vmxon(pa(l1_vmxon)), VMX_OK);
	/* what is fixed cannot be changed */
	GUEST_ASSERT_EQ(try_write_cr0(cr0 & ~X86_CR0_NE), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_write_cr4(cr4 & ~X86_CR4_VMXE), FAULT(GP_VECTOR));
	GUEST_ASSERT_EQ(try_write_cr0(cr0 | X86_CR0_TS), 0);
	GUEST_ASSERT_EQ(try_write_cr0(cr0), 0);
	/* a second one */
	GUEST_ASSERT_EQ(try_vmxon(pa(l1_vmxon)), VMX_INVALID);
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmptrld(pa(l1_vmcs)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmxon(pa(l1_vmxon)), VMX_VALID(ERR_VMXON_IN_ROOT));
	GUEST_ASSERT_EQ(try_vmxon(pa(l1_vmxon) + 8), VMX_VALID(ERR_VMXON_IN_ROOT));
	l1_vmx_off();
	/* once more, from another region */
	write_cr4(cr4);
	GUEST_ASSERT_EQ(try_vmxon(pa(l1_vmcs2)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs2)), VMX_INVALID);
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmxon)), VMX_OK);
}

/* VMXON: CR0, the region's alignment, width and revision, and in root operation. */
static void test_vmxon(void)
{
	nested_run(guest_vmxon, 0);
}

/* each instruction with a memory operand, on an address of choice */
static u64 memory_insn(unsigned int n, u64 at)
{
	switch (n) {
	case 0:
		return VMX_TRY("vmxon (%[at])", [at] "r"(at));
	case 1:
		return VMX_TRY("vmclear (%[at])", [at] "r"(at));
	case 2:
		return VMX_TRY("vmptrld (%[at])", [at] "r"(at));
	case 3:
		return VMX_TRY("vmptrst (%[at])", [at] "r"(at));
	case 4:
		return VMX_TRY("vmread %[e], (%[at])", [at] "r"(at),
			       [e] "r"((u64)GUEST_RIP));
	case 5:
		return VMX_TRY("vmwrite (%[at]), %[e]", [at] "r"(at),
			       [e] "r"((u64)GUEST_RIP));
	case 6:
		return VMX_TRY("invept (%[at]), %[t]", [at] "r"(at), [t] "r"(2ull));
	default:
		return VMX_TRY("invvpid (%[at]), %[t]", [at] "r"(at), [t] "r"(2ull));
	}
}

#define MEMORY_INSNS	8

static u8 absent[4096] VMX_PAGE, only_read[4096] VMX_PAGE;

static void guest_operands(u64 have_inv)
{
	unsigned int n, end = have_inv ? MEMORY_INSNS : MEMORY_INSNS - 2;
	u64 r;

	l1_enable();
	for (n = 0; n < end; n++) {
		r = memory_insn(n, 1ull << 63);
		GUEST_ASSERT_AT(r == FAULT(GP_VECTOR) && !guest_fault_error, n, r);
		r = memory_insn(n, pa(absent));
		GUEST_ASSERT_AT(r == FAULT(PF_VECTOR), n, r);
		GUEST_ASSERT_AT(guest_fault_address == pa(absent), n, guest_fault_address);
		/* VMPTRST and VMREAD write */
		GUEST_ASSERT_AT(guest_fault_error == (n == 3 || n == 4 ? 2 : 0), n,
				guest_fault_error);
		r = memory_insn(n, pa(only_read));
		if (n == 3 || n == 4)
			GUEST_ASSERT_AT(r == FAULT(PF_VECTOR) && guest_fault_error == 3, n, r);
		else
			GUEST_ASSERT_AT(!(r & GUEST_FAULT), n, r);
		if (n)
			continue;
		/* a stack segment's fault is its own */
		r = VMX_TRY("vmxon (%%rbx)", "b"(1ull << 63));
		GUEST_ASSERT_EQ(r, FAULT(GP_VECTOR));
		asm volatile("push %%rbp\n"
			     "mov %[at], %%rbp\n"
			     "xor %%r8d, %%r8d\n"
			     "1: vmxon (%%rbp)\n"
			     "2: pop %%rbp\n"
			     ".pushsection guest_fixups, \"a\"\n"
			     ".quad 1b, 2b\n"
			     ".popsection\n"
			     "mov %%r8, %[r]\n"
			     : [r] "=r"(r) : [at] "r"(1ull << 63)
			     : "r8", "r9", "memory", "cc");
		GUEST_ASSERT_EQ(r, FAULT(SS_VECTOR));
		GUEST_ASSERT_EQ(try_vmxon(pa(l1_vmxon)), VMX_OK);
		GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs)), VMX_OK);
		GUEST_ASSERT_EQ(try_vmptrld(pa(l1_vmcs)), VMX_OK);
	}
	if (!have_inv) {
		GUEST_ASSERT_EQ(memory_insn(6, pa(absent)), FAULT(UD_VECTOR));
		GUEST_ASSERT_EQ(memory_insn(7, pa(absent)), FAULT(UD_VECTOR));
	}
}

/* Memory operands fault as other instructions' do, and writes as writes. */
static void test_operands(void)
{
	struct vcpu *vcpu = nested_vcpu(guest_operands, 0);
	bool have_inv = nested_can(vcpu, PROC2_CTL, PROC2_EPT | PROC2_VPID);

	*vm_split_page(vcpu->vm, pa(absent)) &= ~PTE_P;
	*vm_split_page(vcpu->vm, pa(only_read)) &= ~PTE_W;
	vcpu_call(vcpu, guest_operands, have_inv);
	vcpu_done(vcpu);
}

static void guest_vmclear(void)
{
	u64 v;

	l1_vmx_on();
	/* no current VMCS */
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs) + 8), VMX_INVALID);
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmxon)), VMX_INVALID);
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmptrld(pa(l1_vmcs)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs2) + 8), VMX_VALID(ERR_VMCLEAR_ADDRESS));
	GUEST_ASSERT_EQ(try_vmclear(BEYOND), VMX_VALID(ERR_VMCLEAR_ADDRESS));
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmxon)), VMX_VALID(ERR_VMCLEAR_VMXON));
	/* another's: the current one stays */
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs2)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmptrst(&v), VMX_OK);
	GUEST_ASSERT_EQ(v, pa(l1_vmcs));
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmptrst(&v), VMX_OK);
	GUEST_ASSERT_EQ(v, -1ull);
}

/* VMCLEAR: its errors, and the current VMCS that is cleared is none. */
static void test_vmclear(void)
{
	nested_run(guest_vmclear, 0);
}

static void guest_vmptrld(void)
{
	volatile u32 *revision = (volatile u32 *)l1_vmcs2;
	u64 v, r;

	l1_vmx_on();
	GUEST_ASSERT_EQ(try_vmptrst(&v), VMX_OK);
	GUEST_ASSERT_EQ(v, -1ull);
	GUEST_ASSERT_EQ(try_vmptrld(pa(l1_vmcs) + 8), VMX_INVALID);
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmptrld(pa(l1_vmcs)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmptrld(pa(l1_vmcs) + 8), VMX_VALID(ERR_VMPTRLD_ADDRESS));
	GUEST_ASSERT_EQ(try_vmptrld(BEYOND), VMX_VALID(ERR_VMPTRLD_ADDRESS));
	GUEST_ASSERT_EQ(try_vmptrld(pa(l1_vmxon)), VMX_VALID(ERR_VMPTRLD_VMXON));
	GUEST_ASSERT_EQ(try_vmptrld(GPA_MMIO), VMX_VALID(ERR_VMPTRLD_REVISION));
	*revision = l1_revision() + 1;
	GUEST_ASSERT_EQ(try_vmptrld(pa(l1_vmcs2)), VMX_VALID(ERR_VMPTRLD_REVISION));
	GUEST_ASSERT_EQ(try_vmptrst(&v), VMX_OK);
	GUEST_ASSERT_EQ(v, pa(l1_vmcs));
	/* a shadow VMCS can be current where there are such, but not be launched */
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs2)), VMX_OK);
	*revision = l1_revision() | 1u << 31;
	r = try_vmptrld(pa(l1_vmcs2));
	if (l1_can(PROC2_CTL, PROC2_SHADOW_VMCS)) {
		GUEST_ASSERT_EQ(r, VMX_OK);
		GUEST_ASSERT_EQ(try_vmlaunch(), VMX_INVALID);
		GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs2)), VMX_OK);
	} else {
		GUEST_ASSERT_EQ(r, VMX_VALID(ERR_VMPTRLD_REVISION));
	}
	*revision = l1_revision();
	GUEST_ASSERT_EQ(try_vmptrld(pa(l1_vmcs2)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmptrst(&v), VMX_OK);
	GUEST_ASSERT_EQ(v, pa(l1_vmcs2));
}

/* VMPTRLD: its errors; VMPTRST stores what is current. */
static void test_vmptrld(void)
{
	nested_run(guest_vmptrld, 0);
}

static void guest_two(void)
{
	u64 i;

	l1_vmx_on();
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs2)), VMX_OK);
	for (i = 0; i < 4; i++) {
		GUEST_ASSERT_EQ(try_vmptrld(pa(i & 1 ? l1_vmcs2 : l1_vmcs)), VMX_OK);
		if (i > 1) {
			GUEST_ASSERT_EQ(vmread(GUEST_RIP), 0x1000 + i - 2);
			GUEST_ASSERT_EQ(vmread(GUEST_CS), 0x100 + i - 2);
			GUEST_ASSERT_EQ(vmread(GUEST_ES_BASE), 0x777 + i - 2);
		}
		vmwrite(GUEST_RIP, 0x1000 + i);
		vmwrite(GUEST_CS, 0x100 + i);
		vmwrite(GUEST_ES_BASE, 0x777 + i);
	}
	/* VMCLEAR keeps the data */
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs2)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmptrld(pa(l1_vmcs2)), VMX_OK);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), 0x1003);
	GUEST_ASSERT_EQ(vmread(GUEST_ES_BASE), 0x77a);
	/* so does leaving VMX operation after VMCLEAR */
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs2)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs)), VMX_OK);
	l1_vmx_off();
	l1_vmx_on();
	GUEST_ASSERT_EQ(try_vmptrld(pa(l1_vmcs)), VMX_OK);
	GUEST_ASSERT_EQ(vmread(GUEST_RIP), 0x1002);
}

/* Two VMCSs by turns: each keeps its own. */
static void test_two(void)
{
	nested_run(guest_two, 0);
}

static void guest_vmread(void)
{
	volatile u64 memory[3] = { 1, 2, 3 };
	u64 v, r;

	l1_vmx_on();
	GUEST_ASSERT_EQ(try_vmread(GUEST_RIP, &v), VMX_INVALID);
	GUEST_ASSERT_EQ(v, 0x5a5a5a5a5a5a5a5aull);
	GUEST_ASSERT_EQ(try_vmwrite(GUEST_RIP, 1), VMX_INVALID);
	GUEST_ASSERT_EQ(try_vmread(NO_FIELD, &v), VMX_INVALID);
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmptrld(pa(l1_vmcs)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmread(NO_FIELD, &v), VMX_VALID(ERR_FIELD));
	GUEST_ASSERT_EQ(v, 0x5a5a5a5a5a5a5a5aull);
	GUEST_ASSERT_EQ(try_vmwrite(NO_FIELD, 0), VMX_VALID(ERR_FIELD));
	/* bits 63:15 and 12 are reserved, a 32-bit field has no high half */
	GUEST_ASSERT_EQ(try_vmread(GUEST_RIP | 1ull << 32, &v), VMX_VALID(ERR_FIELD));
	GUEST_ASSERT_EQ(try_vmread(GUEST_RIP | 1ull << 15, &v), VMX_VALID(ERR_FIELD));
	GUEST_ASSERT_EQ(try_vmread(GUEST_RIP | 1ull << 12, &v), VMX_VALID(ERR_FIELD));
	GUEST_ASSERT_EQ(try_vmread(GUEST_RIP | FIELD_HIGH, &v), VMX_VALID(ERR_FIELD));
	GUEST_ASSERT_EQ(try_vmread(PIN_CTL | FIELD_HIGH, &v), VMX_VALID(ERR_FIELD));
	GUEST_ASSERT_EQ(try_vmwrite(GUEST_CS | FIELD_HIGH, 0), VMX_VALID(ERR_FIELD));
	GUEST_ASSERT_EQ(try_vmwrite(GUEST_RIP | 1ull << 63, 0), VMX_VALID(ERR_FIELD));
	/* memory operands: eight bytes, whatever the field's width */
	GUEST_ASSERT_EQ(try_vmwrite(GUEST_CS, 0xabcd), VMX_OK);
	r = VMX_TRY("vmread %[e], (%[m])", [m] "r"(&memory[1]), [e] "r"((u64)GUEST_CS));
	GUEST_ASSERT_EQ(r, VMX_OK);
	GUEST_ASSERT_EQ(memory[0], 1);
	GUEST_ASSERT_EQ(memory[1], 0xabcd);
	GUEST_ASSERT_EQ(memory[2], 3);
	memory[1] = 0x1122334455667788ull;
	r = VMX_TRY("vmwrite (%[m]), %[e]", [m] "r"(&memory[1]), [e] "r"((u64)GUEST_RSP));
	GUEST_ASSERT_EQ(r, VMX_OK);
	GUEST_ASSERT_EQ(vmread(GUEST_RSP), 0x1122334455667788ull);
	/* an unsupported field is looked at before the memory */
	r = VMX_TRY("vmwrite (%[m]), %[e]", [m] "r"(&memory[1]), [e] "r"(NO_FIELD));
	GUEST_ASSERT_EQ(r, VMX_VALID(ERR_FIELD));
	/* the error that was last stays */
	GUEST_ASSERT_EQ(vmread(INSTRUCTION_ERROR), ERR_FIELD);
	GUEST_ASSERT_EQ(try_vmlaunch(), VMX_VALID(ERR_CONTROLS));
	GUEST_ASSERT_EQ(vmread(INSTRUCTION_ERROR), ERR_CONTROLS);
}

/* VMREAD and VMWRITE: without a VMCS, unsupported fields, operands in memory. */
static void test_vmread(void)
{
	nested_run(guest_vmread, 0);
}

static u64 any_base, any_index;

static void guest_addressing(void)
{
	static u64 pointers[4];
	u64 r, v = 0;

	l1_vmx_on();
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs2)), VMX_OK);
	pointers[1] = pa(l1_vmcs);
	pointers[3] = pa(l1_vmcs2);
	any_base = pa(pointers);
	any_index = 1;
	r = VMX_TRY("vmptrld (%[b], %[i], 8)", [b] "r"(any_base), [i] "r"(any_index));
	GUEST_ASSERT_EQ(r, VMX_OK);
	GUEST_ASSERT_EQ(try_vmptrst(&v), VMX_OK);
	GUEST_ASSERT_EQ(v, pa(l1_vmcs));
	r = VMX_TRY("vmptrld 8(%[b], %[i], 4)", [b] "r"(any_base), [i] "r"(4ull));
	GUEST_ASSERT_EQ(r, VMX_OK);
	r = VMX_TRY("vmptrst -8(%[b])", [b] "r"(any_base + 8));
	GUEST_ASSERT_EQ(r, VMX_OK);
	GUEST_ASSERT_EQ(pointers[0], pa(l1_vmcs2));
	/* RIP-relative, and absolute with an FS base */
	r = VMX_TRY("vmptrst any_absolute(%%rip)", "a"(0));
	GUEST_ASSERT_EQ(r, VMX_OK);
	wrmsr(MSR_FS_BASE, pa(pointers));
	pointers[2] = pa(l1_vmcs);
	r = VMX_TRY("vmptrld %%fs:(%[b])", [b] "r"(16ull));
	GUEST_ASSERT_EQ(r, VMX_OK);
	wrmsr(MSR_FS_BASE, 0);
	GUEST_ASSERT_EQ(try_vmptrst(&v), VMX_OK);
	GUEST_ASSERT_EQ(v, pa(l1_vmcs));
	/* a 32-bit address size cuts the address off */
	pointers[0] = 0;
	r = VMX_TRY("vmptrst (%k[b])", [b] "r"(any_base | 7ull << 32));
	GUEST_ASSERT_EQ(r, VMX_OK);
	GUEST_ASSERT_EQ(pointers[0], pa(l1_vmcs));
	/* R12 and up */
	asm volatile("mov %[f], %%r13\n"
		     "mov $0x1234, %%r12d\n"
		     "vmwrite %%r12, %%r13\n"
		     "xor %%r15d, %%r15d\n"
		     "vmread %%r13, %%r15\n"
		     "mov %%r15, %[v]\n"
		     : [v] "=r"(v) : [f] "i"(GUEST_RSP)
		     : "r12", "r13", "r15", "cc", "memory");
	GUEST_ASSERT_EQ(v, 0x1234);
}

asm(".bss\n"
    ".balign 8\n"
    "any_absolute: .quad 0\n"
    ".text\n");

/* Forms of addresses: base, index, scale, displacement, segment, address size. */
static void test_addressing(void)
{
	nested_run(guest_addressing, 0);
}

static const u64 ro_fields[] = {
	INSTRUCTION_ERROR, EXIT_REASON, EXIT_EVENT, EXIT_ERROR, IDT_EVENT, IDT_ERROR,
	EXIT_LENGTH, EXIT_INSTRUCTION, QUALIFICATION, LINEAR_ADDRESS,
};

static void guest_read_only(u64 any)
{
	unsigned int i;

	l1_start(NULL, 0);
	GUEST_ASSERT_EQ(!!(l1_caps.misc & MISC_VMWRITE_ANY), any);
	for (i = 0; i < ARRAY_SIZE(ro_fields); i++) {
		u64 before = vmread(ro_fields[i]);
		u64 r = try_vmwrite(ro_fields[i], before ^ 0x7);
		u64 after = vmread(ro_fields[i]);

		if (any) {
			GUEST_ASSERT_AT(r == VMX_OK && after == (before ^ 0x7), i, r);
			continue;
		}
		GUEST_ASSERT_AT(r == VMX_VALID(ERR_READ_ONLY), i, r);
		if (ro_fields[i] != INSTRUCTION_ERROR)
			GUEST_ASSERT_AT(after == before, i, after);
	}
}

/* Read-only fields: VMfail 13, or written where IA32_VMX_MISC[29] says so. */
static void test_read_only(void)
{
	struct vcpu *vcpu = nested_vcpu(guest_read_only, 0);
	u64 misc = nested_msr(vcpu, MSR_VMX_MISC);

	vcpu_call(vcpu, guest_read_only, !!(misc & MISC_VMWRITE_ANY));
	vcpu_done(vcpu);
	vm_free(vcpu->vm);
	vcpu = nested_vcpu(guest_read_only, 0);
	CHECK_EQ(vcpu_set_msr(vcpu, MSR_VMX_MISC, misc & ~MISC_VMWRITE_ANY), 1);
	vcpu_done(vcpu);
}

static void l2_nothing(void)
{
}

static void guest_launch(void)
{
	u64 r, saved;

	l1_vmx_on();
	GUEST_ASSERT_EQ(try_vmlaunch(), VMX_INVALID);
	GUEST_ASSERT_EQ(try_vmresume(), VMX_INVALID);
	l1_make_vmcs(l1_vmcs, l2_nothing, 0);
	GUEST_ASSERT_EQ(try_vmresume(), VMX_VALID(ERR_VMRESUME_NOT_LAUNCHED));
	r = VMX_TRY("mov %%ss, %%eax\nmov %%eax, %%ss\nvmlaunch", "a"(0));
	GUEST_ASSERT_EQ(r, VMX_VALID(ERR_MOV_SS));
	/* a launch that fails launches nothing */
	saved = vmread(PIN_CTL);
	vmwrite(PIN_CTL, 0);
	GUEST_ASSERT_EQ(l2_enter_by(false), L2_FAILED | VMX_VALID(ERR_CONTROLS));
	vmwrite(PIN_CTL, saved);
	GUEST_ASSERT_EQ(try_vmresume(), VMX_VALID(ERR_VMRESUME_NOT_LAUNCHED));
	vmwrite(GUEST_RFLAGS, 0);
	GUEST_ASSERT_EQ(l2_enter_by(false), REASON_GUEST_STATE | REASON_ENTRY_FAILURE);
	GUEST_ASSERT_EQ(try_vmresume(), VMX_VALID(ERR_VMRESUME_NOT_LAUNCHED));
	vmwrite(GUEST_RFLAGS, 2);
	L2_DONE();
	GUEST_ASSERT_EQ(l2_enter_by(false), L2_FAILED | VMX_VALID(ERR_VMLAUNCH_NOT_CLEAR));
	r = VMX_TRY("mov %%ss, %%eax\nmov %%eax, %%ss\nvmresume", "a"(0));
	GUEST_ASSERT_EQ(r, VMX_VALID(ERR_MOV_SS));
	/* STI's shadow does not matter */
	asm volatile("sti\nnop\ncli");
	l2_call(l2_nothing, 0);
	L2_DONE();
	/* the launch state is the VMCS's */
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs2)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmptrld(pa(l1_vmcs2)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmresume(), VMX_VALID(ERR_VMRESUME_NOT_LAUNCHED));
	GUEST_ASSERT_EQ(try_vmptrld(pa(l1_vmcs)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmlaunch(), VMX_VALID(ERR_VMLAUNCH_NOT_CLEAR));
	l2_call(l2_nothing, 0);
	L2_DONE();
	GUEST_ASSERT_EQ(try_vmclear(pa(l1_vmcs)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmlaunch(), VMX_INVALID);
	GUEST_ASSERT_EQ(try_vmptrld(pa(l1_vmcs)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmresume(), VMX_VALID(ERR_VMRESUME_NOT_LAUNCHED));
	l2_launched = false;
	l2_call(l2_nothing, 0);
	L2_DONE();
}

/* VMLAUNCH wants a clear VMCS, VMRESUME a launched one; neither is for MOV SS's shadow. */
static void test_launch(void)
{
	nested_run(guest_launch, 0);
}

static void guest_invept(void)
{
	u64 type, eptp;

	l1_vmx_on();
	GUEST_ASSERT_EQ(try_invept(0, 0, 0), VMX_INVALID);
	l1_make_vmcs(l1_vmcs, l2_nothing, 0);
	eptp = ept_root();
	for (type = 0; type < 5; type++) {
		u64 bit = type == 1 ? EPT_CAP_INVEPT_ONE : type == 2 ? EPT_CAP_INVEPT_ALL : 0;
		u64 r = try_invept(type, eptp, 0);

		GUEST_ASSERT_AT(r == (l1_caps.ept_vpid & bit ? VMX_OK :
				VMX_VALID(ERR_INV_OPERAND)), type, r);
	}
	GUEST_ASSERT_EQ(try_invept(1ull << 32 | 2, eptp, 0), VMX_VALID(ERR_INV_OPERAND));
	GUEST_ASSERT_EQ(try_invept(~0ull, eptp, 0), VMX_VALID(ERR_INV_OPERAND));
	if (l1_caps.ept_vpid & EPT_CAP_INVEPT_ONE) {
		/* an EPTP that an entry would refuse */
		GUEST_ASSERT_EQ(try_invept(1, eptp & ~0x38ull, 0), VMX_VALID(ERR_INV_OPERAND));
		GUEST_ASSERT_EQ(try_invept(1, eptp | 5, 0), VMX_VALID(ERR_INV_OPERAND));
		GUEST_ASSERT_EQ(try_invept(1, eptp | BEYOND, 0), VMX_VALID(ERR_INV_OPERAND));
	}
	if (l1_caps.ept_vpid & EPT_CAP_INVEPT_ALL)
		GUEST_ASSERT_EQ(try_invept(2, ~0ull, 0), VMX_OK);
}

/* INVEPT: types and descriptors. */
static void test_invept(void)
{
	nested_run_with(guest_invept, 0, PROC2_CTL, PROC2_EPT);
}

static void guest_invvpid(void)
{
	u64 type, r;

	l1_vmx_on();
	GUEST_ASSERT_EQ(try_invvpid(4, 1, 0), VMX_INVALID);
	l1_make_vmcs(l1_vmcs, l2_nothing, 0);
	for (type = 0; type < 6; type++) {
		bool have = type < 4 && l1_caps.ept_vpid & EPT_CAP_INVVPID_TYPE(type);

		r = try_invvpid(type, 1, 0x1000);
		GUEST_ASSERT_AT(r == (have ? VMX_OK : VMX_VALID(ERR_INV_OPERAND)), type, r);
		if (!have)
			continue;
		/* a VPID, but for all of them */
		r = try_invvpid(type, 0, 0x1000);
		GUEST_ASSERT_AT(r == (type == 2 ? VMX_OK : VMX_VALID(ERR_INV_OPERAND)), type, r);
		r = try_invvpid(type, 1 << 16 | 1, 0x1000);
		GUEST_ASSERT_AT(r == VMX_VALID(ERR_INV_OPERAND), type, r);
		/* only one address is looked at */
		r = try_invvpid(type, 1, 1ull << 63);
		GUEST_ASSERT_AT(r == (type ? VMX_OK : VMX_VALID(ERR_INV_OPERAND)), type, r);
	}
	GUEST_ASSERT_EQ(try_invvpid(1ull << 32 | 2, 1, 0), VMX_VALID(ERR_INV_OPERAND));
}

/* INVVPID: types and descriptors. */
static void test_invvpid(void)
{
	nested_run_with(guest_invvpid, 0, PROC2_CTL, PROC2_VPID);
}

static u64 try_vmfunc(void)
{
	u64 f;

	GUEST_TRY(f, "vmfunc", GUEST_NO_OUT, "a"(0), "c"(0));
	return f;
}

static void guest_vmfunc(void)
{
	GUEST_ASSERT_EQ(try_vmfunc(), FAULT(UD_VECTOR));
	l1_vmx_on();
	GUEST_ASSERT_EQ(try_vmfunc(), FAULT(UD_VECTOR));
}

/* VMFUNC outside VMX non-root operation: #UD. */
static void test_vmfunc(void)
{
	nested_run(guest_vmfunc, 0);
}

/* -- an L1 in 32-bit mode ---------------------------------------------------------------- */

u64 l32_vmxon, l32_vmcs, l32_stored;
u32 l32_flags[8], l32_values[8];
u32 l32_directory[1024] VMX_PAGE;
struct ucall l32_done = { .cmd = UCALL_DONE };

asm(".text\n"
    ".code32\n"
    ".macro flags n\n"
    "	pushf\n"
    "	pop l32_flags + 4 * \\n\n"
    ".endm\n"
    ".macro write field, value\n"
    "	mov $\\value, %eax\n"
    "	mov $\\field, %ebx\n"
    "	vmwrite %eax, %ebx\n"
    ".endm\n"
    ".macro read field, n\n"
    "	mov $\\field, %ebx\n"
    "	vmread %ebx, %eax\n"
    "	mov %eax, l32_values + 4 * \\n\n"
    ".endm\n"
    ".globl l32_start\n"
    "l32_start:\n"
    "	mov %cr4, %eax\n"
    "	or $0x2000, %eax\n"
    "	mov %eax, %cr4\n"
    "	mov $0x480, %ecx\n"
    "	rdmsr\n"
    "	and $0x7fffffff, %eax\n"
    "	mov %eax, l1_vmxon\n"
    "	mov %eax, l1_vmcs\n"
    "	vmxon l32_vmxon\n"
    "	flags 0\n"
    "	vmclear l32_vmcs\n"
    "	flags 1\n"
    "	vmptrld l32_vmcs\n"
    "	flags 2\n"
    "	vmptrst l32_stored\n"
    "	flags 3\n"
    /* a 64-bit field, by halves */
    "	write 0x2800, 0x11223344\n"
    "	write 0x2801, 0x55667788\n"
    "	flags 4\n"
    "	read 0x2800, 0\n"
    "	read 0x2801, 1\n"
    /* writing the field itself clears the high half */
    "	write 0x2800, 0x99\n"
    "	read 0x2801, 2\n"
    /* a natural-width one, and memory operands of four bytes */
    "	write 0x681e, 0xfedcba98\n"
    "	mov $0x681e, %ebx\n"
    "	movl $0x77, l32_values + 4 * 4\n"
    "	vmread %ebx, l32_values + 4 * 3\n"
    "	vmwrite l32_values + 4 * 1, %ebx\n"
    "	read 0x681e, 5\n"
    /* a field that is none */
    "	read 0x7ffe, 6\n"
    "	flags 5\n"
    "	read 0x4400, 7\n"
    "	vmxoff\n"
    "	flags 6\n"
    "	mov $l32_done, %eax\n"
    "	mov $0x5e5, %edx\n"
    "	out %eax, %dx\n"
    "	hlt\n"
    ".purgem flags\n"
    ".purgem write\n"
    ".purgem read\n"
    ".code64\n");

extern const char l32_start[];

/* 32-bit paging and a flat code segment */
static void to_32bit(struct vcpu *vcpu)
{
	volatile u32 *directory = vm_ptr(vcpu->vm, pa(l32_directory));
	struct kvm_sregs s;
	unsigned int i;

	for (i = 0; i < 4; i++)
		directory[i] = i << 22 | PTE_P | PTE_W | PTE_PS;
	vcpu_get_sregs(vcpu, &s);
	s.cr3 = pa(l32_directory);
	s.cr4 = X86_CR4_PSE;
	s.efer = 0;
	s.cs.selector = SEL_CODE32;
	s.cs.l = 0;
	s.cs.db = 1;
	vcpu_set_sregs(vcpu, &s);
}

/* Operands of 32 bits: fields by halves, memory of four bytes. */
static void test_32bit(void)
{
	struct vcpu *vcpu = nested_vcpu((void *)l32_start, 0);
	static const u32 values[] = {
		0x11223344, 0x55667788, 0, 0xfedcba98, 0x77, 0x55667788,
	};
	unsigned int i;

	CHECK_EQ(vcpu_set_msr(vcpu, MSR_FEATURE_CONTROL, FEAT_CTL_LOCK | FEAT_CTL_VMX), 1);
	VM_VAR(vcpu->vm, l32_vmxon) = pa(l1_vmxon);
	VM_VAR(vcpu->vm, l32_vmcs) = pa(l1_vmcs);
	to_32bit(vcpu);
	vcpu_done(vcpu);
	for (i = 0; i < 7; i++)
		CHECK_MSG((VM_VAR(vcpu->vm, l32_flags[i]) & 0x8d5) == (i == 5 ? 0x40 : 0),
			  "%u: flags 0x%x", i, VM_VAR(vcpu->vm, l32_flags[i]));
	CHECK_EQ(VM_VAR(vcpu->vm, l32_stored), pa(l1_vmcs));
	for (i = 0; i < ARRAY_SIZE(values); i++)
		CHECK_MSG(VM_VAR(vcpu->vm, l32_values[i]) == values[i], "%u: 0x%x", i,
			  VM_VAR(vcpu->vm, l32_values[i]));
	CHECK_EQ(VM_VAR(vcpu->vm, l32_values[7]), ERR_FIELD);
}

KSFT_MAIN(
	{ "insn: operands of 32 bits", test_32bit },
	{ "insn: outside VMX operation", test_outside },
	{ "insn: CPL 3", test_user },
	{ "insn: compatibility mode", test_compat },
	{ "insn: IA32_FEATURE_CONTROL", test_feature_control },
	{ "insn: VMXON", test_vmxon },
	{ "insn: memory operands", test_operands },
	{ "insn: VMCLEAR", test_vmclear },
	{ "insn: VMPTRLD and VMPTRST", test_vmptrld },
	{ "insn: two VMCSs", test_two },
	{ "insn: VMREAD and VMWRITE", test_vmread },
	{ "insn: forms of addresses", test_addressing },
	{ "insn: read-only fields", test_read_only },
	{ "insn: VMLAUNCH and VMRESUME", test_launch },
	{ "insn: INVEPT", test_invept },
	{ "insn: INVVPID", test_invvpid },
	{ "insn: VMFUNC", test_vmfunc },
)
