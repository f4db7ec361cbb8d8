// SPDX-License-Identifier: GPL-2.0-only
/* The guest-state area: registers and the rest. Segments are in check_seg.c. */
#include "rule.h"
#include "seg.h"

static bool ia32e(const struct vmcs12 *v)
{
	return v->vm_entry_controls & VM_ENTRY_IA32E_MODE;
}

static bool blocked(const struct vmcs12 *v, u32 how)
{
	return v->guest_interruptibility_info & how;
}

/* Is an event of @type injected? */
static bool injects(const struct vmcs12 *v, u32 type)
{
	return (v->vm_entry_intr_info_field & (INTR_INFO_VALID_MASK | INTR_INFO_INTR_TYPE_MASK)) ==
	       (INTR_INFO_VALID_MASK | type);
}

/* "Checks on Guest Control Registers, Debug Registers, and MSRs": the registers */
static const char *check_control(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	const struct nested_caps *caps = env->caps;
	bool free = vmcs12_proc2(v) & SECONDARY_EXEC_UNRESTRICTED_GUEST;
	u64 fixed0 = caps->cr0_fixed0 & ~(free ? (u64)(X86_CR0_PG | X86_CR0_PE) : 0);
	bool debug = v->vm_entry_controls & VM_ENTRY_LOAD_DEBUG_CONTROLS;
	const char *broken = NULL;

	NEED(fixed_ok(v->guest_cr0, fixed0, caps->cr0_fixed1),
	     "guest CR0: bits fixed in VMX operation");
	NEED(IMPLIES(v->guest_cr0 & X86_CR0_PG, v->guest_cr0 & X86_CR0_PE),
	     "guest CR0: PG with PE only");
	NEED(fixed_ok(v->guest_cr4, caps->cr4_fixed0, caps->cr4_fixed1),
	     "guest CR4: bits fixed in VMX operation");
	NEED(IMPLIES(v->guest_cr4 & RULE_CR4_CET, v->guest_cr0 & X86_CR0_WP),
	     "guest CR4: CET with CR0.WP only");
	NEED(IMPLIES(debug, !(v->guest_ia32_debugctl & ~env->debugctl)),
	     "guest DEBUGCTL: reserved bits");
	NEED(IMPLIES(ia32e(v), v->guest_cr0 & X86_CR0_PG), "guest CR0: PG in IA-32e mode");
	NEED(IMPLIES(ia32e(v), v->guest_cr4 & X86_CR4_PAE), "guest CR4: PAE in IA-32e mode");
	NEED(ia32e(v) || !(v->guest_cr4 & X86_CR4_PCIDE), "guest CR4: PCIDE in IA-32e mode only");
	NEED(phys_ok(v->guest_cr3, env), "guest CR3: within the physical width");
	NEED(IMPLIES(debug, !(v->guest_dr7 >> 32)), "guest DR7: bits 63:32 are 0");
	return broken;
}

/* and the MSRs */
static const char *check_msrs(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	u32 entry = v->vm_entry_controls;
	u64 efer = v->guest_ia32_efer;
	const char *broken = NULL;

	NEED(canonical(v->guest_sysenter_esp, env), "guest SYSENTER_ESP: canonical");
	NEED(canonical(v->guest_sysenter_eip, env), "guest SYSENTER_EIP: canonical");
	if (entry & VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL)
		NEED(!(v->guest_ia32_perf_global_ctrl & ~env->perf_global),
		     "guest PERF_GLOBAL_CTRL: reserved bits");
	if (entry & VM_ENTRY_LOAD_IA32_PAT)
		NEED(pat_ok(v->guest_ia32_pat), "guest PAT: memory types");
	if (entry & VM_ENTRY_LOAD_IA32_EFER) {
		NEED(!(efer & ~env->efer), "guest EFER: reserved bits");
		NEED(!!(efer & EFER_LMA) == ia32e(v),
		     "guest EFER: LMA is that of IA-32e mode guest");
		NEED(IMPLIES(v->guest_cr0 & X86_CR0_PG, !(efer & EFER_LMA) == !(efer & EFER_LME)),
		     "guest EFER: LMA is LME with paging");
	}
	if (entry & VM_ENTRY_LOAD_BNDCFGS) {
		NEED(!(v->guest_bndcfgs & 0xffc), "guest BNDCFGS: reserved bits");
		NEED(canonical(v->guest_bndcfgs & ~0xfffULL, env), "guest BNDCFGS: canonical");
	}
	return broken;
}

/* "Checks on Guest Descriptor-Table Registers" */
static const char *check_tables(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	const char *broken = NULL;

	NEED(canonical(v->guest_gdtr_base, env), "guest GDTR base: canonical");
	NEED(canonical(v->guest_idtr_base, env), "guest IDTR base: canonical");
	NEED(!(v->guest_gdtr_limit >> 16), "guest GDTR limit: bits 31:16 are 0");
	NEED(!(v->guest_idtr_limit >> 16), "guest IDTR limit: bits 31:16 are 0");
	return broken;
}

#define RFLAGS_RESERVED	0xffffffffffc08028ULL

/* "Checks on Guest RIP, RFLAGS, and SSP" */
static const char *check_rip(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	bool code64 = ia32e(v) && v->guest_cs_ar_bytes & SEG_L;
	u64 above = v->guest_rip >> env->linear_bits;
	const char *broken = NULL;

	NEED(code64 || !(v->guest_rip >> 32), "guest RIP: 32 bits outside 64-bit mode");
	/* not canonical: bit N-1 may differ */
	NEED(!code64 || !above || above == ~0ULL >> env->linear_bits,
	     "guest RIP: the bits above the linear width are the same");
	NEED(!(v->guest_rflags & RFLAGS_RESERVED), "guest RFLAGS: reserved bits are 0");
	NEED(v->guest_rflags & X86_EFLAGS_FIXED, "guest RFLAGS: bit 1 is 1");
	NEED(IMPLIES(v->guest_rflags & X86_EFLAGS_VM, !ia32e(v) && v->guest_cr0 & X86_CR0_PE),
	     "guest RFLAGS: VM in protected mode, not IA-32e mode");
	NEED(IMPLIES(injects(v, INTR_TYPE_EXT_INTR), v->guest_rflags & X86_EFLAGS_IF),
	     "guest RFLAGS: IF when an interrupt is injected");
	return broken;
}

static bool activity_known(u32 state, u64 misc)
{
	switch (state) {
	case GUEST_ACTIVITY_ACTIVE:
		return true;
	case GUEST_ACTIVITY_HLT:
		return misc & NESTED_MISC_HLT;
	case GUEST_ACTIVITY_SHUTDOWN:
		return misc & NESTED_MISC_SHUTDOWN;
	case GUEST_ACTIVITY_WAIT_SIPI:
		return misc & NESTED_MISC_WAIT_SIPI;
	default:
		return false;
	}
}

/* May the event of vmcs12 end the activity state? */
static bool activity_takes(u32 state, u32 info)
{
	u32 type = info & INTR_INFO_INTR_TYPE_MASK, vector = info & INTR_INFO_VECTOR_MASK;
	bool nmi = type == INTR_TYPE_NMI_INTR;
	bool check = type == INTR_TYPE_HARD_EXCEPTION && vector == 18;

	switch (state) {
	case GUEST_ACTIVITY_ACTIVE:
		return true;
	case GUEST_ACTIVITY_HLT:
		return nmi || check || type == INTR_TYPE_EXT_INTR ||
		       (type == INTR_TYPE_HARD_EXCEPTION && vector == 1) ||
		       (type == INTR_TYPE_OTHER_EVENT && vector == 0);
	case GUEST_ACTIVITY_SHUTDOWN:
		return nmi || check;
	default:
		return false;
	}
}

/* "Checks on Guest Non-Register State": activity state */
static const char *check_activity(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	u32 state = v->guest_activity_state, info = v->vm_entry_intr_info_field;
	const char *broken = NULL;

	NEED(activity_known(state, env->caps->misc), "activity state: supported");
	NEED(IMPLIES(state == GUEST_ACTIVITY_HLT, !seg_dpl(v->guest_ss_ar_bytes)),
	     "activity state: HLT at privilege level 0 only");
	NEED(IMPLIES(blocked(v, GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS),
		     state == GUEST_ACTIVITY_ACTIVE),
	     "activity state: active while blocked by STI or MOV SS");
	NEED(IMPLIES(info & INTR_INFO_VALID_MASK, activity_takes(state, info)),
	     "activity state: not one that blocks the injected event");
	return broken;
}

/* interruptibility state */
static const char *check_interruptibility(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	const u32 known = GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS | GUEST_INTR_STATE_SMI |
			  GUEST_INTR_STATE_NMI | GUEST_INTR_STATE_ENCLAVE_INTR;
	bool vnmi = v->pin_based_vm_exec_control & PIN_BASED_VIRTUAL_NMIS;
	const char *broken = NULL;

	NEED(!blocked(v, ~known), "interruptibility: bits 31:5 are 0");
	NEED(!blocked(v, GUEST_INTR_STATE_STI) || !blocked(v, GUEST_INTR_STATE_MOV_SS),
	     "interruptibility: not STI and MOV SS");
	NEED(IMPLIES(blocked(v, GUEST_INTR_STATE_STI), v->guest_rflags & X86_EFLAGS_IF),
	     "interruptibility: STI with RFLAGS.IF only");
	NEED(IMPLIES(injects(v, INTR_TYPE_EXT_INTR),
		     !blocked(v, GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)),
	     "interruptibility: neither STI nor MOV SS when an interrupt is injected");
	NEED(IMPLIES(injects(v, INTR_TYPE_NMI_INTR), !blocked(v, GUEST_INTR_STATE_MOV_SS)),
	     "interruptibility: no MOV SS when an NMI is injected");
	NEED(!blocked(v, GUEST_INTR_STATE_SMI), "interruptibility: no SMI outside SMM");
	NEED(IMPLIES(vnmi && injects(v, INTR_TYPE_NMI_INTR), !blocked(v, GUEST_INTR_STATE_NMI)),
	     "interruptibility: no virtual NMI when an NMI is injected");
	NEED(IMPLIES(blocked(v, GUEST_INTR_STATE_ENCLAVE_INTR),
		     env->sgx && !blocked(v, GUEST_INTR_STATE_MOV_SS)),
	     "interruptibility: enclave with SGX and without MOV SS only");
	return broken;
}

/* The manual leaves it to the processor; those that do refuse it must not see it. */
static const char *check_nmi(const struct vmcs12 *v)
{
	const char *broken = NULL;

	NEED(IMPLIES(injects(v, INTR_TYPE_NMI_INTR), !blocked(v, GUEST_INTR_STATE_STI)),
	     "interruptibility: no STI when an NMI is injected");
	return broken;
}

/* Bits of the pending debug exceptions */
#define PENDING_ANY		BIT_ULL(12)	/* an enabled breakpoint */
#define PENDING_BUS_LOCK	BIT_ULL(11)
#define PENDING_BS		BIT_ULL(14)	/* single step */
#define PENDING_RTM		BIT_ULL(16)
#define PENDING_KNOWN		(0xfULL | PENDING_ANY | PENDING_BS | PENDING_RTM)

#define DEBUGCTL_BTF		BIT_ULL(1)

/* pending debug exceptions */
static const char *check_debug(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	u64 pending = v->guest_pending_dbg_exceptions;
	u64 known = PENDING_KNOWN | (env->bus_lock ? PENDING_BUS_LOCK : 0);
	bool shadow = blocked(v, GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS) ||
		      v->guest_activity_state == GUEST_ACTIVITY_HLT;
	bool step = v->guest_rflags & X86_EFLAGS_TF && !(v->guest_ia32_debugctl & DEBUGCTL_BTF);
	const char *broken = NULL;

	NEED(!(pending & ~known), "pending debug exceptions: reserved bits are 0");
	NEED(IMPLIES(shadow && step, pending & PENDING_BS),
	     "pending debug exceptions: BS while TF is 1 and BTF is 0");
	NEED(IMPLIES(shadow && !step, !(pending & PENDING_BS)),
	     "pending debug exceptions: no BS while TF is 0 or BTF is 1");
	if (pending & PENDING_RTM) {
		NEED(pending == (PENDING_RTM | PENDING_ANY),
		     "pending debug exceptions: RTM with bit 12 and no other");
		NEED(env->rtm, "pending debug exceptions: RTM where there is RTM only");
		NEED(!blocked(v, GUEST_INTR_STATE_MOV_SS),
		     "pending debug exceptions: no RTM while blocked by MOV SS");
	}
	return broken;
}

/* VMCS link pointer, as far as it needs no memory */
static const char *check_link(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	const char *broken = NULL;

	if (v->vmcs_link_pointer == VMCS12_NONE)
		return NULL;
	NEED(page_ok(v->vmcs_link_pointer, env), "VMCS link pointer: a page within the width");
	NEED(v->vmcs_link_pointer != env->vmptr, "VMCS link pointer: not the current VMCS");
	return broken;
}

#define PDPTE_P		1ULL
#define PDPTE_RESERVED	0x1e6ULL

const char *vmcs12_check_pdptes(const u64 p[4], const struct vmcs12_env *env)
{
	const char *broken = NULL;
	int i;

	for (i = 0; i < 4; i++)
		NEED(IMPLIES(p[i] & PDPTE_P, !(p[i] & PDPTE_RESERVED) && phys_ok(p[i], env)),
		     "PDPTE: reserved bits of a present one are 0");
	return broken;
}

static const char *check_pdptrs(const struct vmcs12 *v, const struct vmcs12_env *env)
{
	const u64 p[4] = { v->guest_pdptr0, v->guest_pdptr1, v->guest_pdptr2, v->guest_pdptr3 };

	if (!vmcs12_pae(v) || !(vmcs12_proc2(v) & SECONDARY_EXEC_ENABLE_EPT))
		return NULL;
	return vmcs12_check_pdptes(p, env);
}

const char *vmcs12_check_guest_rules(const struct vmcs12 *v, const struct vmcs12_env *env,
				     u32 rules, u64 *qual)
{
	u64 why = VMCS12_FAIL_DEFAULT;
	const char *broken = NULL;

	if (rules & VMCS12_RULES_REGISTERS)
		broken = check_control(v, env) ?: check_msrs(v, env);
	if (!broken && rules & VMCS12_RULES_SEGMENTS)
		broken = seg_check(v, env) ?: check_tables(v, env);
	if (!broken && rules & VMCS12_RULES_FLOW) {
		broken = check_rip(v, env) ?: check_activity(v, env) ?:
			 check_interruptibility(v, env) ?: check_debug(v, env);
		if (!broken) {
			broken = check_nmi(v);
			why = VMCS12_FAIL_NMI;
		}
	}
	if (!broken && rules & VMCS12_RULES_REGISTERS) {
		broken = check_link(v, env);
		why = VMCS12_FAIL_LINK;
		if (!broken) {
			broken = check_pdptrs(v, env);
			why = VMCS12_FAIL_PDPTE;
		}
	}
	if (broken)
		*qual = why;
	return broken;
}

const char *vmcs12_check_guest(const struct vmcs12 *v, const struct vmcs12_env *env, u64 *qual)
{
	return vmcs12_check_guest_rules(v, env, VMCS12_RULES_GUEST, qual);
}
