// SPDX-License-Identifier: GPL-2.0-only
/* nested: tests whose guest is a hypervisor; see nested.h */
#include "nested.h"

#define EPT_POOL	48
#define EPT_ADDRESS	0xffffffffff000ull

extern volatile u64 l2_flags;
u64 l2_enter(u64 resume);
void l2_end(void);

u8 l1_vmxon[4096] VMX_PAGE;
u8 l1_vmcs[4096] VMX_PAGE;
u8 l1_vmcs2[4096] VMX_PAGE;
u8 l1_io_bitmaps[8192] VMX_PAGE;
u8 l1_msr_bitmap[4096] VMX_PAGE;
u8 l2_stack[8192] VMX_PAGE;
static u8 exit_stack[4096] VMX_PAGE;
static u64 ept_pool[EPT_POOL][512] VMX_PAGE;
static unsigned int ept_used;

struct l1_caps l1_caps;
struct l2_regs l2_regs;
bool l2_launched;

/* -- the VMM's half -------------------------------------------------------------- */

static struct vcpu *with_vmx(struct vm *vm, void *fn, u64 arg)
{
	struct vcpu *vcpu = vcpu_add(vm, 0);

	REQUIRE(vcpu_leaf(vcpu, 1, 0)->ecx & 1u << 5, "no VMX for guests");
	vm_map_user(vm);
	vcpu_call(vcpu, fn, arg);
	return vcpu;
}

struct vcpu *nested_vcpu(void *fn, u64 arg)
{
	return with_vmx(vm_create(), fn, arg);
}

struct vcpu *nested_vcpu_irqchip(void *fn, u64 arg)
{
	struct vm *vm = vm_create();

	vm_irqchip(vm);
	return with_vmx(vm, fn, arg);
}

void nested_run(void *fn, u64 arg)
{
	struct vcpu *vcpu = nested_vcpu(fn, arg);

	vcpu_done(vcpu);
	vm_free(vcpu->vm);
}

u64 nested_msr(struct vcpu *vcpu, u32 msr)
{
	u64 v = 0;

	CHECK_MSG(vcpu_get_msr(vcpu, msr, &v), "MSR 0x%x cannot be read", msr);
	return v;
}

static u32 control_msr(enum vmcs_field control, bool have_true)
{
	switch (control) {
	case PIN_CTL:
		return have_true ? MSR_VMX_TRUE_PIN : MSR_VMX_PIN;
	case PROC_CTL:
		return have_true ? MSR_VMX_TRUE_PROC : MSR_VMX_PROC;
	case EXIT_CTL:
		return have_true ? MSR_VMX_TRUE_EXIT : MSR_VMX_EXIT;
	case ENTRY_CTL:
		return have_true ? MSR_VMX_TRUE_ENTRY : MSR_VMX_ENTRY;
	default:
		return MSR_VMX_PROC2;
	}
}

bool nested_can(struct vcpu *vcpu, enum vmcs_field control, u32 bits)
{
	bool have_true = nested_msr(vcpu, MSR_VMX_BASIC) & BASIC_TRUE;

	if (control == PROC2_CTL && !nested_can(vcpu, PROC_CTL, PROC_PROC2))
		return false;
	return (nested_msr(vcpu, control_msr(control, have_true)) >> 32 & bits) == bits;
}

struct vcpu *nested_vcpu_with(void *fn, u64 arg, enum vmcs_field control, u32 bits)
{
	struct vcpu *vcpu = nested_vcpu(fn, arg);

	REQUIRE(nested_can(vcpu, control, bits), "L1 may not set 0x%x in field 0x%x", bits,
		control);
	return vcpu;
}

void nested_run_with(void *fn, u64 arg, enum vmcs_field control, u32 bits)
{
	struct vcpu *vcpu = nested_vcpu_with(fn, arg, control, bits);

	vcpu_done(vcpu);
	vm_free(vcpu->vm);
}

/* -- instructions ---------------------------------------------------------------- */

#define FLAG_CF		(1u << 0)
#define FLAG_ZF		(1u << 6)
#define FLAGS_ARITH	0x8d5u

/* VMsucceed, VMfailInvalid and VMfailValid name each of the six arithmetic flags. */
u64 vmx_result(u64 fault, u64 flags)
{
	u64 error;

	if (fault)
		return fault;
	switch (flags & FLAGS_ARITH) {
	case 0:
		return VMX_OK;
	case FLAG_CF:
		return VMX_INVALID;
	case FLAG_ZF:
		asm volatile("vmread %1, %0" : "=r"(error) : "r"((u64)INSTRUCTION_ERROR));
		return VMX_VALID(error);
	default:
		return VMX_FLAGS | (flags & FLAGS_ARITH);
	}
}

u64 vmread(u64 field)
{
	u64 v, r = try_vmread(field, &v);

	GUEST_ASSERT_AT(r == VMX_OK, field, r);
	return v;
}

void vmwrite(u64 field, u64 v)
{
	u64 r = try_vmwrite(field, v);

	GUEST_ASSERT_AT(r == VMX_OK, field, r);
}

void vmset(u64 field, u64 bits)
{
	vmwrite(field, vmread(field) | bits);
}

void vmunset(u64 field, u64 bits)
{
	vmwrite(field, vmread(field) & ~bits);
}

/* -- L1 ---------------------------------------------------------------------------- */

static u64 control_caps(enum vmcs_field control)
{
	switch (control) {
	case PIN_CTL:
		return l1_caps.pin;
	case PROC_CTL:
		return l1_caps.proc;
	case EXIT_CTL:
		return l1_caps.exit;
	case ENTRY_CTL:
		return l1_caps.entry;
	default:
		return l1_caps.proc2;
	}
}

bool l1_can(enum vmcs_field control, u32 bits)
{
	return (control_caps(control) >> 32 & bits) == bits;
}

static void read_caps(void)
{
	bool have_true;

	l1_caps.basic = rdmsr(MSR_VMX_BASIC);
	have_true = l1_caps.basic & BASIC_TRUE;
	l1_caps.misc = rdmsr(MSR_VMX_MISC);
	l1_caps.pin = rdmsr(control_msr(PIN_CTL, have_true));
	l1_caps.proc = rdmsr(control_msr(PROC_CTL, have_true));
	l1_caps.exit = rdmsr(control_msr(EXIT_CTL, have_true));
	l1_caps.entry = rdmsr(control_msr(ENTRY_CTL, have_true));
	if (!l1_can(PROC_CTL, PROC_PROC2))
		return;
	l1_caps.proc2 = rdmsr(MSR_VMX_PROC2);
	if (l1_caps.proc2 >> 32 & (PROC2_EPT | PROC2_VPID))
		l1_caps.ept_vpid = rdmsr(MSR_VMX_EPT_VPID);
}

static void set_revision(void *region)
{
	*(volatile u32 *)region = l1_revision();
}

void l1_enable(void)
{
	u64 feat = rdmsr(MSR_FEATURE_CONTROL);

	if (!(feat & FEAT_CTL_LOCK))
		wrmsr(MSR_FEATURE_CONTROL, feat | FEAT_CTL_LOCK | FEAT_CTL_VMX);
	read_caps();
	write_cr0((read_cr0() | rdmsr(MSR_VMX_CR0_FIXED0)) & rdmsr(MSR_VMX_CR0_FIXED1));
	write_cr4((read_cr4() | rdmsr(MSR_VMX_CR4_FIXED0)) & rdmsr(MSR_VMX_CR4_FIXED1));
	set_revision(l1_vmxon);
	set_revision(l1_vmcs);
	set_revision(l1_vmcs2);
}

void l1_vmx_on(void)
{
	l1_enable();
	GUEST_ASSERT_EQ(try_vmxon(pa(l1_vmxon)), VMX_OK);
}

void l1_vmx_off(void)
{
	GUEST_ASSERT_EQ(try_vmxoff(), VMX_OK);
	write_cr4(read_cr4() & ~X86_CR4_VMXE);
	l2_launched = false;
}

void l1_control(enum vmcs_field control, u32 on, u32 off)
{
	u64 caps = control_caps(control);
	u32 v = ((u32)vmread(control) | on) & ~off;

	GUEST_ASSERT_AT(!(v & ~(caps >> 32)), control, v & ~(caps >> 32));
	GUEST_ASSERT_AT(!((u32)caps & ~v), control, (u32)caps & ~v);
	vmwrite(control, v);
	if (control == PROC2_CTL && v)
		l1_control(PROC_CTL, PROC_PROC2, 0);
}

struct table_ptr {
	u16 limit;
	u64 base;
} __attribute__((packed));

static void fill_controls(void)
{
	vmwrite(PIN_CTL, (u32)l1_caps.pin);
	vmwrite(PROC_CTL, (u32)l1_caps.proc);
	if (l1_can(PROC_CTL, PROC_PROC2))
		vmwrite(PROC2_CTL, 0);
	vmwrite(EXIT_CTL, (u32)l1_caps.exit);
	vmwrite(ENTRY_CTL, (u32)l1_caps.entry);
	l1_control(EXIT_CTL, EXIT_HOST_64, 0);
	l1_control(ENTRY_CTL, ENTRY_IA32E, 0);
	vmwrite(EXCEPTION_BITMAP, 0);
	vmwrite(PF_MASK, 0);
	vmwrite(PF_MATCH, 0);
	vmwrite(CR3_TARGETS, 0);
	vmwrite(EXIT_STORE_COUNT, 0);
	vmwrite(EXIT_LOAD_COUNT, 0);
	vmwrite(ENTRY_LOAD_COUNT, 0);
	vmwrite(ENTRY_EVENT, 0);
	vmwrite(ENTRY_ERROR, 0);
	vmwrite(ENTRY_LENGTH, 0);
	vmwrite(CR0_MASK, 0);
	vmwrite(CR4_MASK, 0);
	vmwrite(CR0_SHADOW, 0);
	vmwrite(CR4_SHADOW, 0);
	vmwrite(TSC_OFFSET, 0);
	vmwrite(LINK_POINTER, -1ull);
	if (l1_can(PROC_CTL, PROC_MSR_BITMAPS))
		vmwrite(MSR_BITMAP, pa(l1_msr_bitmap));
	if (l1_can(PROC_CTL, PROC_IO_BITMAPS)) {
		vmwrite(IO_BITMAP_A, pa(l1_io_bitmaps));
		vmwrite(IO_BITMAP_B, pa(l1_io_bitmaps) + 4096);
	}
}

static void fill_host(struct table_ptr *gdt, struct table_ptr *idt)
{
	vmwrite(HOST_CR0, read_cr0());
	vmwrite(HOST_CR3, read_cr3());
	vmwrite(HOST_CR4, read_cr4());
	vmwrite(HOST_CS, SEL_CODE64);
	vmwrite(HOST_SS, SEL_DATA);
	vmwrite(HOST_DS, SEL_DATA);
	vmwrite(HOST_ES, SEL_DATA);
	vmwrite(HOST_FS, SEL_DATA);
	vmwrite(HOST_GS, SEL_DATA);
	vmwrite(HOST_TR, SEL_TSS);
	vmwrite(HOST_FS_BASE, rdmsr(MSR_FS_BASE));
	vmwrite(HOST_GS_BASE, rdmsr(MSR_GS_BASE));
	vmwrite(HOST_TR_BASE, GPA_TSS);
	vmwrite(HOST_GDTR_BASE, gdt->base);
	vmwrite(HOST_IDTR_BASE, idt->base);
	vmwrite(HOST_SYSENTER_CS, rdmsr(MSR_SYSENTER_CS));
	vmwrite(HOST_SYSENTER_ESP, rdmsr(MSR_SYSENTER_ESP));
	vmwrite(HOST_SYSENTER_EIP, rdmsr(MSR_SYSENTER_EIP));
	if (l1_can(EXIT_CTL, EXIT_LOAD_PAT))
		vmwrite(HOST_PAT, rdmsr(MSR_PAT));
	if (l1_can(EXIT_CTL, EXIT_LOAD_EFER))
		vmwrite(HOST_EFER, rdmsr(MSR_EFER));
	vmwrite(HOST_RSP, pa(exit_stack) + sizeof(exit_stack) - 16);
	vmwrite(HOST_RIP, (uintptr_t)l2_exited);
}

/* the fields of segment register N, in the order of the encodings: ES is 0, TR is 7 */
static void fill_segment(u32 n, u16 sel, u32 ar, u64 base, u32 limit)
{
	vmwrite(GUEST_ES + 2 * n, sel);
	vmwrite(GUEST_ES_AR + 2 * n, ar);
	vmwrite(GUEST_ES_BASE + 2 * n, base);
	vmwrite(GUEST_ES_LIMIT + 2 * n, limit);
}

static void fill_guest(struct table_ptr *gdt, struct table_ptr *idt)
{
	u32 n;

	for (n = 0; n < 6; n++)
		fill_segment(n, SEL_DATA, 0xc093, 0, 0xffffffff);
	fill_segment(1, SEL_CODE64, 0xa09b, 0, 0xffffffff);
	fill_segment(6, 0, AR_UNUSABLE, 0, 0);
	fill_segment(7, SEL_TSS, 0x8b, GPA_TSS, 0x67);
	vmwrite(GUEST_GDTR_BASE, gdt->base);
	vmwrite(GUEST_GDTR_LIMIT, gdt->limit);
	vmwrite(GUEST_IDTR_BASE, idt->base);
	vmwrite(GUEST_IDTR_LIMIT, idt->limit);
	vmwrite(GUEST_CR0, read_cr0());
	vmwrite(GUEST_CR3, read_cr3());
	vmwrite(GUEST_CR4, read_cr4());
	vmwrite(GUEST_DR7, 0x400);
	vmwrite(GUEST_RFLAGS, 2);
	vmwrite(GUEST_BLOCKING, 0);
	vmwrite(GUEST_ACTIVITY, ACTIVITY_ACTIVE);
	vmwrite(GUEST_PENDING_DB, 0);
	vmwrite(GUEST_DEBUGCTL, 0);
	vmwrite(GUEST_SYSENTER_CS, rdmsr(MSR_SYSENTER_CS));
	vmwrite(GUEST_SYSENTER_ESP, rdmsr(MSR_SYSENTER_ESP));
	vmwrite(GUEST_SYSENTER_EIP, rdmsr(MSR_SYSENTER_EIP));
	if (l1_can(ENTRY_CTL, ENTRY_LOAD_PAT))
		vmwrite(GUEST_PAT, rdmsr(MSR_PAT));
	if (l1_can(ENTRY_CTL, ENTRY_LOAD_EFER))
		vmwrite(GUEST_EFER, rdmsr(MSR_EFER));
}

void l1_make_vmcs(void *vmcs, void *fn, u64 arg)
{
	struct table_ptr gdt, idt;

	asm volatile("sgdt %0; sidt %1" : "=m"(gdt), "=m"(idt));
	GUEST_ASSERT_EQ(try_vmclear(pa(vmcs)), VMX_OK);
	GUEST_ASSERT_EQ(try_vmptrld(pa(vmcs)), VMX_OK);
	l2_launched = false;
	fill_controls();
	fill_host(&gdt, &idt);
	fill_guest(&gdt, &idt);
	l2_call(fn, arg);
}

void l1_start(void *fn, u64 arg)
{
	l1_vmx_on();
	l1_make_vmcs(l1_vmcs, fn, arg);
}

/* -- EPT12 ------------------------------------------------------------------------- */

static u64 *ept_page(void)
{
	GUEST_ASSERT(ept_used < EPT_POOL);
	return ept_pool[ept_used++];
}

u64 ept_root(void)
{
	return pa(ept_page()) | EPTP_WB | EPTP_WALK4;
}

u64 *ept_entry(u64 eptp, u64 gpa, int level)
{
	u64 *table = (u64 *)(eptp & EPT_ADDRESS);
	int at, i;

	for (at = 4; at > level; at--) {
		int shift = 3 + 9 * at;
		u64 *entry = &table[gpa >> shift & 511];
		u64 old = *entry;

		if (!(old & EPT_RWX) || old & EPT_LARGE) {
			table = ept_page();
			for (i = 0; old & EPT_LARGE && i < 512; i++)
				table[i] = (old & ~(at == 2 ? EPT_LARGE : 0)) +
					   ((u64)i << (shift - 9));
			*entry = pa(table) | EPT_RWX;
		}
		table = (u64 *)(*entry & EPT_ADDRESS);
	}
	return &table[gpa >> (3 + 9 * level) & 511];
}

void ept_map(u64 eptp, u64 gpa, u64 to, int level, u64 bits)
{
	*ept_entry(eptp, gpa, level) = to | bits | EPT_WB | (level > 1 ? EPT_LARGE : 0);
}

u64 ept_identity(int level)
{
	u64 size = 1ull << (3 + 9 * level);
	u64 eptp = ept_root();
	u64 gpa;

	for (gpa = 0; gpa < VM_MEM; gpa += size)
		ept_map(eptp, gpa, gpa, level, EPT_RWX);
	return eptp;
}

void l1_use_ept(u64 eptp)
{
	vmwrite(EPTP, eptp);
	l1_control(PROC2_CTL, PROC2_EPT, 0);
}

/* -- L2 ---------------------------------------------------------------------------- */

void l2_call(void *fn, u64 arg)
{
	u64 *top = (u64 *)(l2_stack + sizeof(l2_stack) - 16);

	top[-1] = (uintptr_t)l2_end;
	vmwrite(GUEST_RSP, pa(&top[-1]));
	vmwrite(GUEST_RIP, (uintptr_t)fn);
	vmwrite(GUEST_RFLAGS, 2);
	l2_regs.rdi = arg;
}

u64 l2_enter_by(bool resume)
{
	u64 r = l2_enter(resume);

	if (r)
		return L2_FAILED | (r == 1 ? vmx_result(0, l2_flags) : r);
	r = vmread(EXIT_REASON);
	if (!(r & REASON_ENTRY_FAILURE))
		l2_launched = true;
	return r;
}

u64 l2_run(void)
{
	return l2_enter_by(l2_launched);
}

void l2_skip(void)
{
	vmwrite(GUEST_RIP, vmread(GUEST_RIP) + vmread(EXIT_LENGTH));
}
