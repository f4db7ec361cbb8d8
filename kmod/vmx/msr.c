// SPDX-License-Identifier: GPL-2.0-only
/*
 * msr.c - the guest's MSRs that the CPU does not switch by itself.
 *
 * One switch for what has rules, one table for plain values. An MSR that is in
 * neither is unknown: #GP for the guest.
 *
 * Sources: Intel SDM volume 4, "Model-Specific Registers (MSRs)"; volume 3,
 * "Memory Type Range Registers (MTRRs)", "Machine-Check Architecture"; Linux
 * Documentation/virt/kvm/x86/msr.rst for the kvmclock MSRs.
 */
#include <linux/bits.h>
#include <linux/stddef.h>
#include <asm/apicdef.h>
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/mtrr.h>
#include <asm/trapnr.h>
#include <uapi/asm/kvm_para.h>

#include "emys.h"
#include "vmx/mce.h"
#include "vmx/vclock.h"

/* MTRRcap: variable ranges, fixed ranges, WC. */
#define MTRR_CAP	(EMYS_MTRR_VAR | BIT(8) | BIT(10))
#define MTRR_DEF_BITS	(0xffull | BIT(10) | BIT(11))
#define MTRR_VALID	BIT(11)
#define PAT_RESET	0x0007040600070406ull
#define UCODE_RESET	0x100000000ull

#define MISC_ENABLE_RESET	(MSR_IA32_MISC_ENABLE_FAST_STRING | \
				 MSR_IA32_MISC_ENABLE_BTS_UNAVAIL | \
				 MSR_IA32_MISC_ENABLE_PEBS_UNAVAIL)
#define MISC_ENABLE_RO		(MSR_IA32_MISC_ENABLE_BTS_UNAVAIL | \
				 MSR_IA32_MISC_ENABLE_PEBS_UNAVAIL | MSR_IA32_MISC_ENABLE_EMON)

#define ARCH_CAPS_PASS	(ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL | ARCH_CAP_RSBA | \
			 ARCH_CAP_SSB_NO | ARCH_CAP_MDS_NO | ARCH_CAP_PSCHANGE_MC_NO | \
			 ARCH_CAP_TAA_NO | ARCH_CAP_SBDR_SSDP_NO | ARCH_CAP_FBSDP_NO | \
			 ARCH_CAP_PSDP_NO | ARCH_CAP_FB_CLEAR | ARCH_CAP_RRSBA | \
			 ARCH_CAP_BHI_NO | ARCH_CAP_PBRSB_NO | ARCH_CAP_GDS_NO | ARCH_CAP_RFDS_NO)

#define SPEC_CTRL_BITS	(SPEC_CTRL_IBRS | SPEC_CTRL_STIBP | SPEC_CTRL_SSBD)

static bool canonical(u64 addr)
{
	return (u64)((s64)(addr << 16) >> 16) == addr;
}

static bool memory_type_ok(u8 type, bool pat)
{
	/* UC WC - - WT WP WB, and for the PAT UC- */
	return type <= 7 && (BIT(type) & (pat ? 0xf3 : 0x73));
}

/* Eight types, one per byte. */
static bool memory_types_ok(u64 val, bool pat)
{
	int i;

	for (i = 0; i < 64; i += 8)
		if (!memory_type_ok(val >> i, pat))
			return false;
	return true;
}

/* -- plain values -------------------------------------------------------------------- */

enum plain_rule {
	PLAIN_ANY,		/* whatever is in the mask */
	PLAIN_CANONICAL,
};

/*
 * MSRs that are a value in struct emys_msrs. mask: bits that may be set; the
 * guest needs the feature (offset of a bool in struct emys_features, 0 none).
 * user: the run section must load the new value.
 */
static const struct msr_plain {
	u32 index;
	u16 value, feature;
	u8 rule;
	bool user;
	u64 mask;
} msr_plains[] = {
#define V(field)	offsetof(struct emys_msrs, field)
#define NEED(field)	offsetof(struct emys_features, field)
	{ MSR_STAR, V(star), NEED(has_syscall), PLAIN_ANY, true, ~0ull },
	{ MSR_LSTAR, V(lstar), NEED(has_long_mode), PLAIN_CANONICAL, true, ~0ull },
	{ MSR_CSTAR, V(cstar), NEED(has_long_mode), PLAIN_CANONICAL, true, ~0ull },
	{ MSR_SYSCALL_MASK, V(fmask), NEED(has_long_mode), PLAIN_ANY, true, 0xffffffff },
	{ MSR_KERNEL_GS_BASE, V(kernel_gs_base), NEED(has_long_mode), PLAIN_CANONICAL, true,
	  ~0ull },
	{ MSR_IA32_FEAT_CTL, V(feat_ctl), 0, PLAIN_ANY, false, FEAT_CTL_LOCKED },
	{ MSR_IA32_MCG_STATUS, V(mcg_status), 0, PLAIN_ANY, false, ~0ull },
	{ MSR_IA32_POWER_CTL, V(power_ctl), 0, PLAIN_ANY, false, ~0ull },
#undef V
#undef NEED
};

static const struct msr_plain *plain_find(u32 msr)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(msr_plains); i++)
		if (msr_plains[i].index == msr)
			return &msr_plains[i];
	return NULL;
}

static u64 *plain_value(struct emys_vcpu *vcpu, const struct msr_plain *p)
{
	return (void *)&vcpu->msrs + p->value;
}

static bool plain_there(const struct emys_vcpu *vcpu, const struct msr_plain *p, bool host)
{
	return host || !p->feature || *((const bool *)&vcpu->feat + p->feature);
}

static int plain_write(struct emys_vcpu *vcpu, const struct msr_plain *p, u64 val, bool host)
{
	u64 mask = p->mask;

	if (p->index == MSR_IA32_FEAT_CTL && !host && vcpu->feat.has_vmx)
		mask |= FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX;
	/* A VMM may show bits of what the guest does not have: they enable nothing. */
	if (p->index == MSR_IA32_FEAT_CTL && host && nested_allowed(vcpu->vm))
		mask |= FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX | FEAT_CTL_VMX_ENABLED_INSIDE_SMX |
			FEAT_CTL_SGX_LC_ENABLED | FEAT_CTL_SGX_ENABLED | FEAT_CTL_LMCE_ENABLED;
	if (!plain_there(vcpu, p, host) || (val & ~mask))
		return -EPERM;
	if (p->rule == PLAIN_CANONICAL && !canonical(val))
		return -EPERM;
	/* Locked by itself until reset. */
	if (p->index == MSR_IA32_FEAT_CTL && !host && (vcpu->msrs.feat_ctl & FEAT_CTL_LOCKED))
		return -EPERM;
	*plain_value(vcpu, p) = val;
	if (p->user)
		vmx_user_msrs_changed(vcpu);
	return 0;
}

/* What reads as a constant and ignores writes: none of it does anything here. */
static bool msr_ignored(u32 msr, u64 *val)
{
	*val = 0;
	switch (msr) {
	case MSR_IA32_PERF_STATUS:
		*val = 1000 | 4ull << 40;
		return true;
	case MSR_IA32_BBL_CR_CTL3:
		*val = 0xbe702111;
		return true;
	case MSR_FSB_FREQ:
		*val = 3;
		return true;
	case MSR_EBC_FREQUENCY_ID:
		*val = 1 << 24;
		return true;
	case MSR_IA32_P5_MC_ADDR:
	case MSR_IA32_P5_MC_TYPE:
	case MSR_IA32_EBL_CR_POWERON:
	case MSR_IA32_LASTBRANCHFROMIP:
	case MSR_IA32_LASTBRANCHTOIP:
	case MSR_IA32_LASTINTFROMIP:
	case MSR_IA32_LASTINTTOIP:
	case MSR_IA32_BBL_CR_CTL:
	case MSR_IA32_UCODE_WRITE:
	case MSR_P6_PERFCTR0:
	case MSR_P6_PERFCTR1:
	case MSR_P6_EVNTSEL0:
	case MSR_P6_EVNTSEL1:
	case MSR_IA32_PERF_CTL:
	case MSR_RAPL_POWER_UNIT:
	case MSR_PP0_ENERGY_STATUS:
	case MSR_PP1_ENERGY_STATUS:
	case MSR_PKG_ENERGY_STATUS:
	case MSR_DRAM_ENERGY_STATUS:
	case MSR_SMI_COUNT:
		return true;
	default:
		return false;
	}
}

/* -- MTRRs --------------------------------------------------------------------------- */

static u64 *mtrr_slot(struct emys_vcpu *vcpu, u32 msr)
{
	struct emys_msrs *m = &vcpu->msrs;

	switch (msr) {
	case MSR_MTRRdefType:
		return &m->mtrr_def;
	case MSR_MTRRfix64K_00000:
		return &m->mtrr_fixed[0];
	case MSR_MTRRfix16K_80000:
	case MSR_MTRRfix16K_A0000:
		return &m->mtrr_fixed[1 + msr - MSR_MTRRfix16K_80000];
	case MSR_MTRRfix4K_C0000 ... MSR_MTRRfix4K_F8000:
		return &m->mtrr_fixed[3 + msr - MSR_MTRRfix4K_C0000];
	case MTRRphysBase_MSR(0) ... MTRRphysMask_MSR(EMYS_MTRR_VAR - 1):
		return &m->mtrr_var[msr - MTRRphysBase_MSR(0)];
	default:
		return NULL;
	}
}

static bool mtrr_ok(const struct emys_vcpu *vcpu, u32 msr, u64 val)
{
	u64 high = ~0ull << vcpu->feat.maxphyaddr;

	if (msr == MSR_MTRRdefType)
		return !(val & ~MTRR_DEF_BITS) && memory_type_ok(val, false);
	if (msr >= MSR_MTRRfix64K_00000 && msr <= MSR_MTRRfix4K_F8000)
		return memory_types_ok(val, false);
	if (val & high)
		return false;
	if (msr & 1)
		return !(val & (0xfff & ~MTRR_VALID));
	return !(val & 0xf00) && memory_type_ok(val, false);
}

/* -- machine check -------------------------------------------------------------------- */

static u64 *mce_slot(struct emys_vcpu *vcpu, u32 msr)
{
	u32 n = msr - MSR_IA32_MC0_CTL;

	return n < (vcpu->msrs.mcg_cap & 0xff) * 4 ? &vcpu->msrs.mce_banks[n] : NULL;
}

static bool mce_bank_msr(u32 msr)
{
	return msr >= MSR_IA32_MC0_CTL && msr < MSR_IA32_MC0_CTL + MCE_BANKS * 4;
}

static int mce_write(struct emys_vcpu *vcpu, u32 msr, u64 val, bool host)
{
	u64 *slot = mce_slot(vcpu, msr);

	if (!slot)
		return -EPERM;
	switch ((msr - MSR_IA32_MC0_CTL) & 3) {
	case 0:
		/* All or nothing; Linux clears bit 10 or bit 0 of bank 4 on old CPUs. */
		if (val && (val | BIT(10) | BIT(0)) != ~0ull)
			return -EPERM;
		break;
	case 1:
		if (!host && val)
			return -EPERM;
		break;
	default:
		break;
	}
	*slot = val;
	return 0;
}

int vmce_setup(struct emys_vcpu *vcpu, u64 mcg_cap)
{
	u32 banks = mcg_cap & 0xff, i;

	if (!banks || banks > MCE_BANKS)
		return -EINVAL;
	if (mcg_cap & ~(MCE_CAP_SUPPORTED | 0xff | 0xff0000))
		return -EINVAL;
	vcpu->msrs.mcg_cap = mcg_cap;
	vcpu->msrs.mcg_ctl = mcg_cap & MCG_CTL_P ? ~0ull : 0;
	for (i = 0; i < banks; i++)
		vcpu->msrs.mce_banks[i * 4] = ~0ull;
	return 0;
}

int vmce_inject(struct emys_vcpu *vcpu, const struct kvm_x86_mce *mce)
{
	struct emys_msrs *m = &vcpu->msrs;
	bool uc = mce->status & MCI_STATUS_UC;
	u64 *bank;

	if (mce->bank >= (m->mcg_cap & 0xff) || !(mce->status & MCI_STATUS_VAL))
		return -EINVAL;
	bank = &m->mce_banks[mce->bank * 4];
	/* Reporting of uncorrected errors is off, for all banks or for this one. */
	if (uc && (m->mcg_cap & MCG_CTL_P) && m->mcg_ctl != ~0ull)
		return 0;
	if (uc && bank[0] != ~0ull)
		return 0;
	if (!uc && (bank[1] & MCI_STATUS_VAL) && (bank[1] & MCI_STATUS_UC)) {
		bank[1] |= MCI_STATUS_OVER;
		return 0;
	}
	bank[2] = mce->addr;
	bank[3] = mce->misc;
	bank[1] = mce->status | (bank[1] & MCI_STATUS_VAL ? MCI_STATUS_OVER : 0);
	if (!uc)
		return 0;
	/* A second one while the first is handled, or none wanted: the CPU shuts down. */
	if ((m->mcg_status & MCG_STATUS_MCIP) || !(vmx_get_cr4(vcpu) & X86_CR4_MCE)) {
		vcpu->vmx.shutdown = true;
		return 0;
	}
	m->mcg_status = mce->mcg_status;
	vmx_queue_exception(vcpu, X86_TRAP_MC, false, 0);
	return 0;
}

/* -- mitigations ------------------------------------------------------------------------ */

/* What a guest may know of the CPU's immunity: what the host knows. */
static u64 arch_caps_host(void)
{
	u64 val = 0;

	if (boot_cpu_has(X86_FEATURE_ARCH_CAPABILITIES))
		rdmsrq(MSR_IA32_ARCH_CAPABILITIES, val);
	val &= ARCH_CAPS_PASS;
	if (!boot_cpu_has_bug(X86_BUG_L1TF))
		val |= ARCH_CAP_SKIP_VMENTRY_L1DFLUSH;
	if (!boot_cpu_has_bug(X86_BUG_CPU_MELTDOWN))
		val |= ARCH_CAP_RDCL_NO;
	if (!boot_cpu_has_bug(X86_BUG_SPEC_STORE_BYPASS))
		val |= ARCH_CAP_SSB_NO;
	if (!boot_cpu_has_bug(X86_BUG_MDS))
		val |= ARCH_CAP_MDS_NO;
	if (!boot_cpu_has_bug(X86_BUG_ITLB_MULTIHIT))
		val |= ARCH_CAP_PSCHANGE_MC_NO;
	return val;
}

static u64 spec_ctrl_allowed(void)
{
	u64 bits = 0;

	if (boot_cpu_has(X86_FEATURE_SPEC_CTRL))
		bits |= SPEC_CTRL_IBRS;
	if (boot_cpu_has(X86_FEATURE_INTEL_STIBP))
		bits |= SPEC_CTRL_STIBP;
	if (boot_cpu_has(X86_FEATURE_SPEC_CTRL_SSBD))
		bits |= SPEC_CTRL_SSBD;
	return bits & SPEC_CTRL_BITS;
}

static int spec_ctrl_write(struct emys_vcpu *vcpu, u64 val, bool host)
{
	if (!host && !vcpu->feat.has_spec_ctrl)
		return -EPERM;
	if (val & ~spec_ctrl_allowed())
		return -EPERM;
	vcpu->msrs.spec_ctrl = val;
	if (val && !vcpu->vmx.spec_ctrl_passed) {
		/* A guest that uses it uses it often. */
		vcpu->vmx.spec_ctrl_passed = true;
		vmx_msr_passthrough(vcpu, MSR_IA32_SPEC_CTRL, true, true);
	}
	return 0;
}

/* Commands: written, never read, of use only where they are executed. */
static int command_write(struct emys_vcpu *vcpu, u32 msr, u64 val, bool host)
{
	bool there = msr == MSR_IA32_PRED_CMD ? boot_cpu_has(X86_FEATURE_SPEC_CTRL) :
						boot_cpu_has(X86_FEATURE_FLUSH_L1D);

	if (!there || (val & ~1ull))
		return -EPERM;
	if (!host && msr == MSR_IA32_PRED_CMD && !vcpu->feat.has_ibpb)
		return -EPERM;
	if (val && !host)
		wrmsrq(msr, val);
	return 0;
}

/* -- time ------------------------------------------------------------------------------- */

/* WRMSR to the TSC moves TSC_ADJUST along; the VMM sets the two apart. */
static int tsc_write(struct emys_vcpu *vcpu, u64 val, bool host)
{
	u64 delta;

	if (host) {
		clock_write_tsc(vcpu, val);
		return 0;
	}
	delta = val - emys_guest_tsc(vcpu);
	vcpu->msrs.tsc_adjust += delta;
	clock_set_offset(vcpu, vcpu->vmx.tsc_offset + delta);
	return 0;
}

static int tsc_adjust_write(struct emys_vcpu *vcpu, u64 val, bool host)
{
	u64 delta = val - vcpu->msrs.tsc_adjust;

	if (!host) {
		if (!vcpu->feat.has_tsc_adjust)
			return -EPERM;
		clock_set_offset(vcpu, vcpu->vmx.tsc_offset + delta);
	}
	vcpu->msrs.tsc_adjust = val;
	return 0;
}

static bool kvmclock_there(const struct emys_vcpu *vcpu, u32 msr, bool host)
{
	u32 bit = msr == MSR_KVM_SYSTEM_TIME || msr == MSR_KVM_WALL_CLOCK ?
		  BIT(KVM_FEATURE_CLOCKSOURCE) : BIT(KVM_FEATURE_CLOCKSOURCE2);

	return host || (vcpu->feat.kvm_features & bit);
}

static int kvmclock_write(struct emys_vcpu *vcpu, u32 msr, u64 val, bool host)
{
	if (!kvmclock_there(vcpu, msr, host))
		return -EPERM;
	switch (msr) {
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_WALL_CLOCK_NEW:
		vcpu->msrs.kvm_wall_clock = val;
		if (val)
			emys_vcpu_request(vcpu, EMYS_REQ_WALL_CLOCK);
		break;
	default:
		vcpu->msrs.kvm_system_time = val;
		vcpu->msrs.kvm_clock_new = msr == MSR_KVM_SYSTEM_TIME_NEW;
		if (val & KVM_MSR_ENABLED)
			clock_request_page(vcpu);
		break;
	}
	return 0;
}

/* -- read ------------------------------------------------------------------------------- */

static int apic_read(struct emys_vcpu *vcpu, u32 msr, u64 *val, bool host)
{
	*val = 0;
	if (vcpu->lapic)
		return lapic_msr_read(vcpu, msr, val);
	return host && msr == MSR_IA32_TSC_DEADLINE ? 0 : -EPERM;
}

int msr_read(struct emys_vcpu *vcpu, u32 msr, u64 *val, bool host)
{
	const struct emys_features *f = &vcpu->feat;
	const struct emys_msrs *m = &vcpu->msrs;
	const struct msr_plain *p;
	u64 *slot;

	switch (msr) {
	case APIC_BASE_MSR ... APIC_BASE_MSR + 0xff:
	case MSR_IA32_TSC_DEADLINE:
		return apic_read(vcpu, msr, val, host);
	case MSR_IA32_TSC:
		*val = emys_guest_tsc(vcpu);
		return 0;
	case MSR_IA32_TSC_ADJUST:
		*val = m->tsc_adjust;
		return host || f->has_tsc_adjust ? 0 : -EPERM;
	case MSR_IA32_APICBASE:
		*val = vcpu->lapic ? vcpu->lapic->base : m->apic_base;
		return 0;
	case MSR_EFER:
		*val = m->efer;
		return 0;
	case MSR_IA32_CR_PAT:
		*val = m->pat;
		return 0;
	case MSR_TSC_AUX:
		*val = m->tsc_aux;
		return host || f->has_rdtscp || f->has_rdpid ? 0 : -EPERM;
	case MSR_IA32_MISC_ENABLE:
		*val = m->misc_enable;
		return 0;
	case MSR_IA32_SPEC_CTRL:
		*val = m->spec_ctrl;
		return host || f->has_spec_ctrl ? 0 : -EPERM;
	case MSR_IA32_ARCH_CAPABILITIES:
		*val = m->arch_caps;
		return host || f->has_arch_caps ? 0 : -EPERM;
	case MSR_IA32_UCODE_REV:
		*val = m->ucode_rev;
		return 0;
	case MSR_PLATFORM_INFO:
		*val = m->platform_info;
		return host || !READ_ONCE(vcpu->vm->platform_info_hidden) ? 0 : -EPERM;
	case MSR_MISC_FEATURES_ENABLES:
		*val = m->misc_features;
		return 0;
	case MSR_IA32_XSS:
		*val = m->xss;
		return host || f->has_xsaves ? 0 : -EPERM;
	case MSR_MTRRcap:
		*val = MTRR_CAP;
		return host || f->has_mtrr ? 0 : -EPERM;
	case MSR_IA32_MCG_CAP:
		*val = m->mcg_cap;
		return 0;
	case MSR_IA32_MCG_CTL:
		*val = m->mcg_ctl;
		return host || (m->mcg_cap & MCG_CTL_P) ? 0 : -EPERM;
	case MSR_KVM_SYSTEM_TIME:
	case MSR_KVM_SYSTEM_TIME_NEW:
		*val = m->kvm_system_time;
		return kvmclock_there(vcpu, msr, host) ? 0 : -EPERM;
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_WALL_CLOCK_NEW:
		*val = m->kvm_wall_clock;
		return kvmclock_there(vcpu, msr, host) ? 0 : -EPERM;
	case MSR_IA32_DEBUGCTLMSR:
		*val = 0;
		return 0;
	case MSR_IA32_VMX_BASIC ... MSR_IA32_VMX_VMFUNC:
		if (!host && !f->has_vmx)
			return -EPERM;
		return nested_msr_read(vcpu, msr, val);
	default:
		break;
	}

	p = plain_find(msr);
	if (p) {
		*val = *plain_value(vcpu, p);
		return plain_there(vcpu, p, host) ? 0 : -EPERM;
	}
	slot = mtrr_slot(vcpu, msr);
	if (slot) {
		*val = *slot;
		return host || f->has_mtrr ? 0 : -EPERM;
	}
	if (mce_bank_msr(msr)) {
		slot = mce_slot(vcpu, msr);
		*val = slot ? *slot : 0;
		return slot ? 0 : -EPERM;
	}
	switch (vmx_vmcs_msr_read(vcpu, msr, val)) {
	case 0:
		return 0;
	case 1:
		return msr_ignored(msr, val) ? 0 : -ENOENT;
	default:
		return -EPERM;
	}
}

/* -- write ------------------------------------------------------------------------------ */

static int apic_write(struct emys_vcpu *vcpu, u32 msr, u64 val, bool host)
{
	if (vcpu->lapic)
		return lapic_msr_write(vcpu, msr, val);
	return host && msr == MSR_IA32_TSC_DEADLINE ? 0 : -EPERM;
}

static int apic_base_write(struct emys_vcpu *vcpu, u64 val, bool host)
{
	if (vcpu->lapic) {
		if (lapic_set_base(vcpu, val, host))
			return -EPERM;
	} else {
		if (val & (~0ull << vcpu->feat.maxphyaddr))
			return -EPERM;
		vcpu->msrs.apic_base = val;
	}
	cpuid_update(vcpu);	/* CPUID.1:EDX.APIC follows the enable bit */
	return 0;
}

static int pat_write(struct emys_vcpu *vcpu, u64 val)
{
	if (!memory_types_ok(val, true))
		return -EPERM;
	vcpu->msrs.pat = val;
	/* The VMCS has a copy where the CPU switches it. */
	vmx_vmcs_msr_write(vcpu, MSR_IA32_CR_PAT, val);
	return 0;
}

static int misc_enable_write(struct emys_vcpu *vcpu, u64 val, bool host)
{
	u64 change = val ^ vcpu->msrs.misc_enable;

	if (!host && (change & MISC_ENABLE_RO))
		return -EPERM;
	if (!(change & MSR_IA32_MISC_ENABLE_MWAIT) ||
	    emys_quirk(vcpu->vm, KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT)) {
		vcpu->msrs.misc_enable = val;
		return 0;
	}
	/* "ENABLE MONITOR FSM": not without SSE3. The CPUID follows. */
	if (!vcpu->feat.has_sse3)
		return -EPERM;
	vcpu->msrs.misc_enable = val;
	cpuid_update(vcpu);
	return 0;
}

/* What the VMM says of the platform; only CPUID faulting means anything here. */
static int platform_info_write(struct emys_vcpu *vcpu, u64 val, bool host)
{
	if (!host || (vcpu->msrs.misc_features && !(val & MSR_PLATFORM_INFO_CPUID_FAULT)))
		return -EPERM;
	vcpu->msrs.platform_info = val;
	return 0;
}

static int misc_features_write(struct emys_vcpu *vcpu, u64 val)
{
	if (val & ~(u64)MSR_MISC_FEATURES_ENABLES_CPUID_FAULT)
		return -EPERM;
	if (val && !(vcpu->msrs.platform_info & MSR_PLATFORM_INFO_CPUID_FAULT))
		return -EPERM;
	vcpu->msrs.misc_features = val;
	return 0;
}

/* The value is read-only for the guest; the VMM may write what this host has at most. */
static int feature_write(u64 *slot, u64 val, u64 mask, bool host)
{
	if (!host || (val & ~mask))
		return -EPERM;
	*slot = val;
	return 0;
}

static bool is_canonical_msr(u32 msr)
{
	return msr == MSR_FS_BASE || msr == MSR_GS_BASE || msr == MSR_IA32_SYSENTER_ESP ||
	       msr == MSR_IA32_SYSENTER_EIP;
}

int msr_write(struct emys_vcpu *vcpu, u32 msr, u64 val, bool host)
{
	const struct emys_features *f = &vcpu->feat;
	struct emys_msrs *m = &vcpu->msrs;
	const struct msr_plain *p;
	u64 *slot, ignored;

	switch (msr) {
	case APIC_BASE_MSR ... APIC_BASE_MSR + 0xff:
	case MSR_IA32_TSC_DEADLINE:
		return apic_write(vcpu, msr, val, host);
	case MSR_IA32_TSC:
		return tsc_write(vcpu, val, host);
	case MSR_IA32_TSC_ADJUST:
		return tsc_adjust_write(vcpu, val, host);
	case MSR_IA32_APICBASE:
		return apic_base_write(vcpu, val, host);
	case MSR_EFER:
		return vmx_set_efer(vcpu, val, host) ? -EPERM : 0;
	case MSR_IA32_CR_PAT:
		return pat_write(vcpu, val);
	case MSR_TSC_AUX:
		if ((!host && !f->has_rdtscp && !f->has_rdpid) || val >> 32)
			return -EPERM;
		m->tsc_aux = val;
		vmx_user_msrs_changed(vcpu);
		return 0;
	case MSR_IA32_MISC_ENABLE:
		return misc_enable_write(vcpu, val, host);
	case MSR_IA32_SPEC_CTRL:
		return spec_ctrl_write(vcpu, val, host);
	case MSR_IA32_PRED_CMD:
	case MSR_IA32_FLUSH_CMD:
		return command_write(vcpu, msr, val, host);
	case MSR_IA32_ARCH_CAPABILITIES:
		return feature_write(&m->arch_caps, val, arch_caps_host(), host);
	case MSR_IA32_UCODE_REV:
		/* BIOS_SIGN: software writes 0 and executes CPUID to read the revision. */
		if (host)
			m->ucode_rev = val;
		return 0;
	case MSR_PLATFORM_INFO:
		return platform_info_write(vcpu, val, host);
	case MSR_MISC_FEATURES_ENABLES:
		return misc_features_write(vcpu, val);
	case MSR_IA32_XSS:
		if ((!host && !f->has_xsaves) || (val & ~f->xss_allowed))
			return -EPERM;
		m->xss = val;
		cpuid_update(vcpu);
		return 0;
	case MSR_MTRRcap:
		return host && val == MTRR_CAP ? 0 : -EPERM;
	case MSR_IA32_MCG_CAP:
		return host && val == m->mcg_cap ? 0 : -EPERM;
	case MSR_IA32_MCG_CTL:
		if (!(m->mcg_cap & MCG_CTL_P) && (!host || val))
			return -EPERM;
		if (val && val != ~0ull)
			return -EPERM;
		m->mcg_ctl = val;
		return 0;
	case MSR_KVM_SYSTEM_TIME:
	case MSR_KVM_SYSTEM_TIME_NEW:
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_WALL_CLOCK_NEW:
		return kvmclock_write(vcpu, msr, val, host);
	case MSR_IA32_DEBUGCTLMSR:
		/* Branch records and single-step on branches are not there; asking is harmless. */
		return val & ~(u64)(DEBUGCTLMSR_LBR | DEBUGCTLMSR_BTF) ? -EPERM : 0;
	case MSR_IA32_VMX_BASIC ... MSR_IA32_VMX_VMFUNC:
		return host ? nested_msr_write(vcpu, msr, val) : -EPERM;
	default:
		break;
	}

	p = plain_find(msr);
	if (p)
		return plain_write(vcpu, p, val, host);
	slot = mtrr_slot(vcpu, msr);
	if (slot) {
		if ((!host && !f->has_mtrr) || !mtrr_ok(vcpu, msr, val))
			return -EPERM;
		*slot = val;
		return 0;
	}
	if (mce_bank_msr(msr))
		return mce_write(vcpu, msr, val, host);
	if (is_canonical_msr(msr) && !canonical(val))
		return -EPERM;
	switch (vmx_vmcs_msr_write(vcpu, msr, val)) {
	case 0:
		return 0;
	case 1:
		return msr_ignored(msr, &ignored) ? 0 : -ENOENT;
	default:
		return -EPERM;
	}
}

/* INIT leaves MSRs alone, but for what the manual's table of reset states names. */
void msr_reset(struct emys_vcpu *vcpu, bool init)
{
	struct emys_msrs *m = &vcpu->msrs;

	if (init)
		return;
	memset(m, 0, sizeof(*m));
	pat_write(vcpu, PAT_RESET);
	m->misc_enable = MISC_ENABLE_RESET;
	m->platform_info = MSR_PLATFORM_INFO_CPUID_FAULT;
	m->ucode_rev = UCODE_RESET;
	m->arch_caps = arch_caps_host();
	m->mcg_cap = MCE_BANKS;
	m->apic_base = LAPIC_DEFAULT_BASE | MSR_IA32_APICBASE_ENABLE |
		       (vcpu->id == vcpu->vm->bsp_id ? MSR_IA32_APICBASE_BSP : 0);
	clock_vcpu_init(vcpu);
	vmx_user_msrs_changed(vcpu);
}

/* -- lists for userspace ------------------------------------------------------------------ */

/* The last of each list, and left out without nested VMX. What follows from others is in none. */
#define VMX_MSRS	MSR_IA32_VMX_BASIC, MSR_IA32_VMX_MISC, MSR_IA32_VMX_CR0_FIXED0, \
			MSR_IA32_VMX_CR4_FIXED0, MSR_IA32_VMX_VMCS_ENUM, \
			MSR_IA32_VMX_PROCBASED_CTLS2, MSR_IA32_VMX_EPT_VPID_CAP, \
			MSR_IA32_VMX_TRUE_PINBASED_CTLS, MSR_IA32_VMX_TRUE_PROCBASED_CTLS, \
			MSR_IA32_VMX_TRUE_EXIT_CTLS, MSR_IA32_VMX_TRUE_ENTRY_CTLS, \
			MSR_IA32_VMX_VMFUNC
#define VMX_MSRS_NR	12

/* Each can be read, and what was read written back, by the vCPU's ioctls. */
const u32 msr_list[] = {
	MSR_IA32_TSC, MSR_IA32_APICBASE, MSR_IA32_FEAT_CTL, MSR_IA32_TSC_ADJUST,
	MSR_IA32_SPEC_CTRL, MSR_IA32_UCODE_REV, MSR_PLATFORM_INFO, MSR_MISC_FEATURES_ENABLES,
	MSR_IA32_POWER_CTL, MSR_MTRRcap,
	MSR_IA32_ARCH_CAPABILITIES,
	MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
	MSR_IA32_MCG_CAP, MSR_IA32_MCG_STATUS, MSR_IA32_MCG_CTL,
	MSR_IA32_MISC_ENABLE, MSR_IA32_DEBUGCTLMSR,
	MTRRphysBase_MSR(0), MTRRphysMask_MSR(0), MTRRphysBase_MSR(1), MTRRphysMask_MSR(1),
	MTRRphysBase_MSR(2), MTRRphysMask_MSR(2), MTRRphysBase_MSR(3), MTRRphysMask_MSR(3),
	MTRRphysBase_MSR(4), MTRRphysMask_MSR(4), MTRRphysBase_MSR(5), MTRRphysMask_MSR(5),
	MTRRphysBase_MSR(6), MTRRphysMask_MSR(6), MTRRphysBase_MSR(7), MTRRphysMask_MSR(7),
	MSR_MTRRfix64K_00000, MSR_MTRRfix16K_80000, MSR_MTRRfix16K_A0000,
	MSR_MTRRfix4K_C0000, MSR_MTRRfix4K_C8000, MSR_MTRRfix4K_D0000, MSR_MTRRfix4K_D8000,
	MSR_MTRRfix4K_E0000, MSR_MTRRfix4K_E8000, MSR_MTRRfix4K_F0000, MSR_MTRRfix4K_F8000,
	MSR_IA32_CR_PAT, MSR_MTRRdefType, MSR_IA32_TSC_DEADLINE, MSR_IA32_XSS,
	MSR_EFER, MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK,
	MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_TSC_AUX,
	MSR_KVM_WALL_CLOCK, MSR_KVM_SYSTEM_TIME, MSR_KVM_WALL_CLOCK_NEW, MSR_KVM_SYSTEM_TIME_NEW,
	VMX_MSRS,
};

unsigned int msr_list_nr(void)
{
	return ARRAY_SIZE(msr_list) - (nested_offered() ? 0 : VMX_MSRS_NR);
}

const u32 msr_feature_list[] = {
	MSR_IA32_ARCH_CAPABILITIES, MSR_IA32_UCODE_REV, MSR_PLATFORM_INFO,
	MSR_IA32_PERF_CAPABILITIES,
	VMX_MSRS,
};

unsigned int msr_feature_list_nr(void)
{
	return ARRAY_SIZE(msr_feature_list) - (nested_offered() ? 0 : VMX_MSRS_NR);
}

int msr_feature_read(u32 msr, u64 *val)
{
	switch (msr) {
	case MSR_IA32_ARCH_CAPABILITIES:
		*val = arch_caps_host();
		return 0;
	case MSR_IA32_UCODE_REV:
		*val = UCODE_RESET;
		return 0;
	case MSR_PLATFORM_INFO:
		*val = MSR_PLATFORM_INFO_CPUID_FAULT;
		return 0;
	case MSR_IA32_PERF_CAPABILITIES:	/* a guest has no counters */
		*val = 0;
		return 0;
	default:
		return nested_msr_feature(msr, val);
	}
}
