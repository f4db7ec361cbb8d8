// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMX instructions of L1. SDM volume 3, "VMX Instruction Reference" and "Conventions": each
 * succeeds, fails without a current VMCS (VMfailInvalid), or leaves its error there (VMfailValid).
 */
#include <asm/trapnr.h>

#include "../emys.h"
#include "../trace.h"
#include "internal.h"

#define FLAGS_ALL	(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | \
			 X86_EFLAGS_SF | X86_EFLAGS_OF)

static int finish(struct emys_vcpu *vcpu, u64 flag)
{
	vmx_set_rflags(vcpu, (vmx_rflags(vcpu) & ~(u64)FLAGS_ALL) | flag);
	vmx_skip(vcpu);
	return EMYS_RESUME;
}

static int succeed(struct emys_vcpu *vcpu)
{
	return finish(vcpu, 0);
}

int nested_fail_invalid(struct emys_vcpu *vcpu)
{
	return finish(vcpu, X86_EFLAGS_CF);
}

int nested_fail(struct emys_vcpu *vcpu, u32 error)
{
	struct nested_vcpu *n = vcpu->nested;

	if (n->ptr == NESTED_NO_VMCS)
		return nested_fail_invalid(vcpu);
	n->v12->vm_instruction_error = error;
	return finish(vcpu, X86_EFLAGS_ZF);
}

static int fault_ud(struct emys_vcpu *vcpu)
{
	vmx_inject_ud(vcpu);
	return EMYS_RESUME;
}

static int fault_gp(struct emys_vcpu *vcpu)
{
	vmx_inject_gp(vcpu);
	return EMYS_RESUME;
}

/* Protected mode, and 64-bit code when in IA-32e mode: else #UD whatever the instruction. */
static bool mode_allows(struct emys_vcpu *vcpu)
{
	if (!(vmx_get_cr0(vcpu) & X86_CR0_PE) || (vmx_rflags(vcpu) & X86_EFLAGS_VM))
		return false;
	return !(vcpu->msrs.efer & EFER_LMA) || vmx_is_64bit(vcpu);
}

/* For all but VMXON. True: go on; else a fault is queued. */
static bool may_execute(struct emys_vcpu *vcpu)
{
	if (!vcpu->nested || !vcpu->nested->vmxon || !mode_allows(vcpu)) {
		vmx_inject_ud(vcpu);
		return false;
	}
	if (vmx_get_cpl(vcpu)) {
		vmx_inject_gp(vcpu);
		return false;
	}
	return true;
}

/* -- operands: "Format of the VM-Exit Instruction-Information Field" ----------------------- */

#define INFO_SCALE(i)		((i) & 3)
#define INFO_REG1(i)		((i) >> 3 & 15)
#define INFO_ADDR_SIZE(i)	((i) >> 7 & 7)		/* 0: 16, 1: 32, 2: 64 bits */
#define INFO_IS_REG(i)		((i) & BIT(10))		/* VMREAD, VMWRITE */
#define INFO_SEG(i)		((i) >> 15 & 7)
#define INFO_INDEX(i)		((i) >> 18 & 15)
#define INFO_NO_INDEX(i)	((i) & BIT(22))
#define INFO_BASE(i)		((i) >> 23 & 15)
#define INFO_NO_BASE(i)		((i) & BIT(27))
#define INFO_REG2(i)		((i) >> 28 & 15)

static bool limit_allows(const struct kvm_segment *s, u64 offset, u32 len, bool write)
{
	u64 last = offset + len - 1;

	if (s->unusable)
		return false;
	if (write && (s->type & 10) != 2)	/* data, writable */
		return false;
	if (!write && (s->type & 10) == 8)	/* execute-only code */
		return false;
	if (!(s->type & 8) && (s->type & 4))	/* expand-down */
		return offset > s->limit && last <= (s->db ? 0xffffffffull : 0xffffull);
	return last <= s->limit;
}

/* The linear address of the memory operand. 0, or 1: a fault is queued. */
static int operand_address(struct emys_vcpu *vcpu, u32 len, bool write, u64 *gva)
{
	const struct vmx_exit *e = &vcpu->vmx.exit;
	u32 info = e->insn_info, seg = INFO_SEG(info);
	struct kvm_segment s;
	u64 offset = e->qual;
	u8 trap = seg == SEG_SS ? X86_TRAP_SS : X86_TRAP_GP;

	if (!INFO_NO_BASE(info))
		offset += vmx_gpr(vcpu, INFO_BASE(info));
	if (!INFO_NO_INDEX(info))
		offset += vmx_gpr(vcpu, INFO_INDEX(info)) << INFO_SCALE(info);
	if (INFO_ADDR_SIZE(info) == 0)
		offset &= 0xffff;
	else if (INFO_ADDR_SIZE(info) == 1)
		offset &= 0xffffffff;

	vmx_get_segment(vcpu, seg, &s);
	if (vmx_is_64bit(vcpu)) {
		*gva = offset + (seg == SEG_FS || seg == SEG_GS ? s.base : 0);
		if (__is_canonical_address(*gva, 48))
			return 0;
	} else {
		*gva = (u32)(offset + s.base);
		if (limit_allows(&s, offset, len, write))
			return 0;
	}
	vmx_queue_exception(vcpu, trap, true, 0);
	return 1;
}

/* 0, 1: a fault is queued, -errno. */
static int read_operand(struct emys_vcpu *vcpu, void *val, u32 len)
{
	u64 gva, at;
	u32 error;
	int r;

	if (operand_address(vcpu, len, false, &gva))
		return 1;
	r = mem_read_gva(vcpu, gva, val, len, 0, &error, &at);
	if (r > 0)
		vmx_inject_pf(vcpu, at, error);
	return r;
}

static int write_operand(struct emys_vcpu *vcpu, const void *val, u32 len)
{
	u64 gva, at;
	u32 error;
	int r;

	if (operand_address(vcpu, len, true, &gva))
		return 1;
	r = mem_write_gva(vcpu, gva, val, len, GWALK_WRITE, &error, &at);
	if (r > 0)
		vmx_inject_pf(vcpu, at, error);
	return r;
}

/* What read_operand() and write_operand() say, as the end of a handler. */
static int operand_failed(struct emys_vcpu *vcpu, int r)
{
	return r > 0 ? EMYS_RESUME : vmx_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION);
}

/* The operand of VMCLEAR and VMPTRLD. True: it is one; else *@end is the handler's end. */
static bool read_region(struct emys_vcpu *vcpu, u32 bad_address, u32 is_vmxon, u64 *gpa, int *end)
{
	int r;

	if (!may_execute(vcpu)) {
		*end = EMYS_RESUME;
		return false;
	}
	r = read_operand(vcpu, gpa, sizeof(*gpa));
	if (r)
		*end = operand_failed(vcpu, r);
	else if (!nested_region_valid(vcpu, *gpa))
		*end = nested_fail(vcpu, bad_address);
	else if (*gpa == vcpu->nested->vmxon_ptr)
		*end = nested_fail(vcpu, is_vmxon);
	else
		return true;
	return false;
}

/* -- VMX operation ----------------------------------------------------------------------- */

static bool read_revision(struct emys_vcpu *vcpu, u64 gpa, u32 *rev)
{
	return !mem_read(vcpu->vm, gpa, rev, sizeof(*rev));
}

static int handle_vmxon(struct emys_vcpu *vcpu)
{
	const u64 need = FEAT_CTL_LOCKED | FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX;
	struct nested_vcpu *n = vcpu->nested;
	u64 gpa;
	u32 rev;
	int r;

	if (!n || !mode_allows(vcpu) || !(vmx_get_cr4(vcpu) & X86_CR4_VMXE))
		return fault_ud(vcpu);
	if (vmx_get_cpl(vcpu))
		return fault_gp(vcpu);
	if (n->vmxon)
		return nested_fail(vcpu, VMXERR_VMXON_IN_ROOT);
	if (!nested_cr0_allows_vmxon(vcpu, vmx_get_cr0(vcpu)) ||
	    !nested_cr4_allows_vmxon(vcpu, vmx_get_cr4(vcpu)) ||
	    (vcpu->msrs.feat_ctl & need) != need)
		return fault_gp(vcpu);
	r = read_operand(vcpu, &gpa, sizeof(gpa));
	if (r)
		return operand_failed(vcpu, r);
	if (!nested_region_valid(vcpu, gpa) || !read_revision(vcpu, gpa, &rev) ||
	    rev != VMCS12_REVISION)
		return nested_fail_invalid(vcpu);
	r = nested_vmx_on(vcpu);
	if (r)
		return r;
	n->vmxon_ptr = gpa;
	return succeed(vcpu);
}

static int handle_vmxoff(struct emys_vcpu *vcpu)
{
	if (!may_execute(vcpu))
		return EMYS_RESUME;
	nested_vmcs_release(vcpu);
	nested_vmx_off(vcpu);
	return succeed(vcpu);
}

/* -- the current VMCS -------------------------------------------------------------------- */

void nested_vmcs_release(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n = vcpu->nested;

	if (n->ptr == NESTED_NO_VMCS)
		return;
	nested_shadow_off(vcpu);
	nested_rare_changes(vcpu);
	n->controls_02 = false;
	/* Memory that is no more is L1's loss. */
	mem_write(vcpu->vm, n->ptr, n->v12, VMCS12_SIZE);
	n->ptr = NESTED_NO_VMCS;
}

static int handle_vmclear(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n = vcpu->nested;
	u32 clear = 0;
	u64 gpa;
	int end;

	if (!read_region(vcpu, VMXERR_VMCLEAR_ADDRESS, VMXERR_VMCLEAR_VMXON_PTR, &gpa, &end))
		return end;
	if (gpa == n->ptr)
		nested_vmcs_release(vcpu);
	mem_write(vcpu->vm, gpa + offsetof(struct vmcs12, launch_state), &clear, sizeof(clear));
	return succeed(vcpu);
}

static int handle_vmptrld(struct emys_vcpu *vcpu)
{
	struct nested_vcpu *n = vcpu->nested;
	u64 gpa;
	u32 rev;
	int end;

	if (!read_region(vcpu, VMXERR_VMPTRLD_ADDRESS, VMXERR_VMPTRLD_VMXON_PTR, &gpa, &end))
		return end;
	if (gpa == n->ptr)
		return succeed(vcpu);
	if (!read_revision(vcpu, gpa, &rev) || (rev & ~VMCS12_SHADOW) != VMCS12_REVISION ||
	    ((rev & VMCS12_SHADOW) && !(n->caps.proc2.may & SECONDARY_EXEC_SHADOW_VMCS)))
		return nested_fail(vcpu, VMXERR_VMPTRLD_REVISION);
	nested_vmcs_release(vcpu);
	if (mem_read(vcpu->vm, gpa, n->v12, VMCS12_SIZE))
		return nested_fail(vcpu, VMXERR_VMPTRLD_REVISION);
	n->ptr = gpa;
	n->rules = ~0u;
	nested_shadow_on(vcpu);
	return succeed(vcpu);
}

static int handle_vmptrst(struct emys_vcpu *vcpu)
{
	int r;

	if (!may_execute(vcpu))
		return EMYS_RESUME;
	r = write_operand(vcpu, &vcpu->nested->ptr, sizeof(u64));
	return r ? operand_failed(vcpu, r) : succeed(vcpu);
}

/* -- VMREAD, VMWRITE ---------------------------------------------------------------------- */

/* The field that the instruction names. */
static u64 field_of(struct emys_vcpu *vcpu)
{
	u64 field = vmx_gpr(vcpu, INFO_REG2(vcpu->vmx.exit.insn_info));

	return vmx_is_64bit(vcpu) ? field : (u32)field;
}

bool nested_vmread_exits(struct emys_vcpu *vcpu, bool write)
{
	vcpu->vmx.exit.insn_info = vmcs_read32(VMX_INSTRUCTION_INFO);
	return nested_field_exits(vcpu, field_of(vcpu), write);
}

/* Is there the VMCS that VMREAD and VMWRITE are about? */
static bool has_vmcs(struct emys_vcpu *vcpu)
{
	const struct nested_vcpu *n = vcpu->nested;

	return vcpu->vmx.l2 ? nested_has_linked(n->v12) : n->ptr != NESTED_NO_VMCS;
}

static u64 get_field(struct emys_vcpu *vcpu, u32 field, int off)
{
	struct vmcs12 *linked;
	u64 val = ~0ull;

	if (!vcpu->vmx.l2) {
		if (nested_is_rare(field))
			nested_rare_save(vcpu);
		return vmcs12_get(vcpu->nested->v12, field, off);
	}
	linked = nested_linked_get(vcpu);
	if (linked)
		val = vmcs12_get(linked, field, off);
	nested_linked_put(vcpu, linked);
	return val;
}

static void set_field(struct emys_vcpu *vcpu, u32 field, int off, u64 val)
{
	struct nested_vcpu *n = vcpu->nested;
	struct vmcs12 *linked;

	if (vcpu->vmx.l2) {
		linked = nested_linked_get(vcpu);
		if (linked)
			vmcs12_set(linked, field, off, val);
		nested_linked_put(vcpu, linked);
		return;
	}
	if (nested_is_rare(field))
		nested_rare_changes(vcpu);
	if (nested_is_control(field))
		n->controls_02 = false;
	vmcs12_set(n->v12, field, off, val);
	n->rules |= vmcs12_rules(field);
	/* One that L1 may only read there, or it would not have come here. */
	if (nested_shadow_reads(vcpu, field))
		nested_shadow_renew(vcpu);
}

static int handle_vmread(struct emys_vcpu *vcpu)
{
	u32 info = vcpu->vmx.exit.insn_info;
	bool wide = vmx_is_64bit(vcpu);
	u64 field, val;
	int off, r;

	if (!has_vmcs(vcpu))
		return nested_fail_invalid(vcpu);
	field = field_of(vcpu);
	off = field >> 32 ? -ENOENT : vmcs12_find(field);
	if (off < 0)
		return nested_fail(vcpu, VMXERR_FIELD_UNSUPPORTED);
	trace_emys_nested_field(vcpu->id, field, false);
	val = get_field(vcpu, field, off);
	if (!wide)
		val = (u32)val;
	if (INFO_IS_REG(info)) {
		vmx_set_gpr(vcpu, INFO_REG1(info), val);
		return succeed(vcpu);
	}
	r = write_operand(vcpu, &val, wide ? 8 : 4);
	return r ? operand_failed(vcpu, r) : succeed(vcpu);
}

static int handle_vmwrite(struct emys_vcpu *vcpu)
{
	u32 info = vcpu->vmx.exit.insn_info;
	bool wide = vmx_is_64bit(vcpu);
	u64 field, val = 0;
	int off, r;

	if (!has_vmcs(vcpu))
		return nested_fail_invalid(vcpu);
	/* The operand is read before the field is looked at. */
	if (INFO_IS_REG(info)) {
		val = vmx_gpr(vcpu, INFO_REG1(info));
		if (!wide)
			val = (u32)val;
	} else {
		r = read_operand(vcpu, &val, wide ? 8 : 4);
		if (r)
			return operand_failed(vcpu, r);
	}
	field = field_of(vcpu);
	off = field >> 32 ? -ENOENT : vmcs12_find(field);
	if (off < 0)
		return nested_fail(vcpu, VMXERR_FIELD_UNSUPPORTED);
	if (vmcs12_read_only(field) && !(vcpu->nested->caps.misc & NESTED_MISC_WRITE_ANY))
		return nested_fail(vcpu, VMXERR_FIELD_READ_ONLY);
	trace_emys_nested_field(vcpu->id, field, true);
	set_field(vcpu, field, off, val);
	return succeed(vcpu);
}

/* -- entries and invalidation -------------------------------------------------------------- */

static int handle_entry(struct emys_vcpu *vcpu, bool launch)
{
	struct nested_vcpu *n = vcpu->nested;

	if (!may_execute(vcpu))
		return EMYS_RESUME;
	if (n->ptr == NESTED_NO_VMCS || (n->v12->revision & VMCS12_SHADOW))
		return nested_fail_invalid(vcpu);
	if (vmx_intr_shadow(vcpu) & GUEST_INTR_STATE_MOV_SS)
		return nested_fail(vcpu, VMXERR_ENTRY_MOV_SS);
	if (launch && n->v12->launch_state)
		return nested_fail(vcpu, VMXERR_VMLAUNCH_NOT_CLEAR);
	if (!launch && !n->v12->launch_state)
		return nested_fail(vcpu, VMXERR_VMRESUME_NOT_LAUNCHED);
	return nested_enter(vcpu, launch);
}

static bool invept_has(const struct nested_caps *c, u64 type)
{
	return (type == VMX_EPT_EXTENT_CONTEXT && (c->ept_vpid & VMX_EPT_EXTENT_CONTEXT_BIT)) ||
	       (type == VMX_EPT_EXTENT_GLOBAL && (c->ept_vpid & VMX_EPT_EXTENT_GLOBAL_BIT));
}

/* Types 0 to 3 are bits 40 to 43 of IA32_VMX_EPT_VPID_CAP. */
static bool invvpid_has(const struct nested_caps *c, u64 type)
{
	return type < 4 && (c->ept_vpid >> (40 + type) & 1);
}

static int handle_invept(struct emys_vcpu *vcpu)
{
	struct { u64 eptp, zero; } desc;
	struct nested_vcpu *n = vcpu->nested;
	u64 type;
	int r;

	if (!may_execute(vcpu))
		return EMYS_RESUME;
	if (!(n->caps.ept_vpid & VMX_EPT_INVEPT_BIT))
		return fault_ud(vcpu);
	type = vmx_gpr(vcpu, INFO_REG2(vcpu->vmx.exit.insn_info));
	if (!vmx_is_64bit(vcpu))
		type = (u32)type;
	if (!invept_has(&n->caps, type))
		return nested_fail(vcpu, VMXERR_INV_OPERAND);
	r = read_operand(vcpu, &desc, sizeof(desc));
	if (r)
		return operand_failed(vcpu, r);
	if (type == VMX_EPT_EXTENT_CONTEXT && !nested_eptp_valid(vcpu, desc.eptp))
		return nested_fail(vcpu, VMXERR_INV_OPERAND);
	r = nested_invept(vcpu, type, desc.eptp);
	return r ? r : succeed(vcpu);
}

static int handle_invvpid(struct emys_vcpu *vcpu)
{
	struct { u64 vpid, gla; } desc;
	struct nested_vcpu *n = vcpu->nested;
	u64 type;
	int r;

	if (!may_execute(vcpu))
		return EMYS_RESUME;
	if (!(n->caps.ept_vpid >> 32 & VMX_VPID_INVVPID_BIT))
		return fault_ud(vcpu);
	type = vmx_gpr(vcpu, INFO_REG2(vcpu->vmx.exit.insn_info));
	if (!vmx_is_64bit(vcpu))
		type = (u32)type;
	if (!invvpid_has(&n->caps, type))
		return nested_fail(vcpu, VMXERR_INV_OPERAND);
	r = read_operand(vcpu, &desc, sizeof(desc));
	if (r)
		return operand_failed(vcpu, r);
	if (desc.vpid >> 16)
		return nested_fail(vcpu, VMXERR_INV_OPERAND);
	if (type == VMX_VPID_EXTENT_INDIVIDUAL_ADDR && !__is_canonical_address(desc.gla, 48))
		return nested_fail(vcpu, VMXERR_INV_OPERAND);
	if (type != VMX_VPID_EXTENT_ALL_CONTEXT && !desc.vpid)
		return nested_fail(vcpu, VMXERR_INV_OPERAND);
	/* All of L2's translations are tagged by one VPID, whatever L1 calls it. */
	n->vmcs02.tlb_cpu = -1;
	return succeed(vcpu);
}

int nested_slow_insn(struct emys_vcpu *vcpu)
{
	switch (vcpu->vmx.exit.reason) {
	case EXIT_REASON_VMON:
		return handle_vmxon(vcpu);
	case EXIT_REASON_VMOFF:
		return handle_vmxoff(vcpu);
	case EXIT_REASON_VMCLEAR:
		return handle_vmclear(vcpu);
	case EXIT_REASON_VMPTRLD:
		return handle_vmptrld(vcpu);
	case EXIT_REASON_VMPTRST:
		return handle_vmptrst(vcpu);
	case EXIT_REASON_VMREAD:
		return may_execute(vcpu) ? handle_vmread(vcpu) : EMYS_RESUME;
	case EXIT_REASON_VMWRITE:
		return may_execute(vcpu) ? handle_vmwrite(vcpu) : EMYS_RESUME;
	case EXIT_REASON_VMLAUNCH:
		return handle_entry(vcpu, true);
	case EXIT_REASON_VMRESUME:
		return handle_entry(vcpu, false);
	case EXIT_REASON_INVEPT:
		return handle_invept(vcpu);
	case EXIT_REASON_INVVPID:
		return handle_invvpid(vcpu);
	}
	return fault_ud(vcpu);
}

int nested_fast_insn(struct emys_vcpu *vcpu)
{
	u32 reason = vcpu->vmx.exit.reason;

	if (reason == EXIT_REASON_VMRESUME || reason == EXIT_REASON_VMLAUNCH)
		return nested_entry_is_quick(vcpu) ? nested_slow_insn(vcpu) : VMX_EXIT_PENDING;
	/* Without memory operands VMREAD and VMWRITE touch emys's own copy alone. */
	if (reason != EXIT_REASON_VMREAD && reason != EXIT_REASON_VMWRITE)
		return VMX_EXIT_PENDING;
	vcpu->vmx.exit.insn_info = vmcs_read32(VMX_INSTRUCTION_INFO);
	if (!INFO_IS_REG(vcpu->vmx.exit.insn_info))
		return VMX_EXIT_PENDING;
	return nested_slow_insn(vcpu);
}
