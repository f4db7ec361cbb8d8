// SPDX-License-Identifier: GPL-2.0-only
/* What the VMX of a virtual CPU offers, as tables; and the VMM's say in it. */
#include <linux/kernel.h>
#include <asm/msr-index.h>

#include "caps.h"
#include "vmcs12.h"

#define X86_CR0_NEEDED	0x80000021ULL	/* PG, NE, PE */
#define X86_CR4_NEEDED	0x2000ULL	/* VMXE */

/*
 * Bits of each word that a CPU without TRUE MSRs forces to 1, and those of them that
 * TRUE MSRs let go. Source: SDM volume 3, "Reserved Controls and Default Settings".
 */
#define PIN_DEFAULT1	0x00000016u
#define PROC_DEFAULT1	0x0401e172u
#define EXIT_DEFAULT1	0x00036dffu
#define ENTRY_DEFAULT1	0x000011ffu
#define PROC_FREE	(CPU_BASED_CR3_LOAD_EXITING | CPU_BASED_CR3_STORE_EXITING)
#define EXIT_FREE	VM_EXIT_SAVE_DEBUG_CONTROLS
#define ENTRY_FREE	VM_ENTRY_LOAD_DEBUG_CONTROLS

/*
 * A bit that is offered. ALWAYS: the emulation alone makes it work, or what it asks
 * for is what every run of a guest has here. HARDWARE: vmcs02 has the same bit, so
 * the CPU must. What is in no table is not offered: nothing here acts on it.
 */
enum when { ALWAYS, HARDWARE };

struct offer {
	u64 bit;
	enum when when;
};

static const struct offer pin_offers[] = {
	/* decided by the exit's owner, whatever vmcs02 has */
	{ PIN_BASED_EXT_INTR_MASK, ALWAYS },
	{ PIN_BASED_NMI_EXITING, ALWAYS },
	/* blocking by NMI is kept by the CPU */
	{ PIN_BASED_VIRTUAL_NMIS, HARDWARE },
	/* the CPU's counts while L2 runs; while L2 is halted a timer of the host stands in */
	{ PIN_BASED_VMX_PREEMPTION_TIMER, HARDWARE },
	/* only of use where virtual interrupts are delivered without an exit */
	{ PIN_BASED_POSTED_INTR, HARDWARE },
};

static const struct offer proc_offers[] = {
	/* conditions that only the CPU sees when they come true */
	{ CPU_BASED_INTR_WINDOW_EXITING, HARDWARE },
	{ CPU_BASED_NMI_WINDOW_EXITING, HARDWARE },
	{ CPU_BASED_MONITOR_TRAP_FLAG, HARDWARE },
	/* instructions that must leave the guest, or must not */
	{ CPU_BASED_HLT_EXITING, HARDWARE },
	{ CPU_BASED_INVLPG_EXITING, HARDWARE },
	{ CPU_BASED_MWAIT_EXITING, HARDWARE },
	{ CPU_BASED_MONITOR_EXITING, HARDWARE },
	{ CPU_BASED_PAUSE_EXITING, HARDWARE },
	{ CPU_BASED_RDPMC_EXITING, HARDWARE },
	{ CPU_BASED_RDTSC_EXITING, HARDWARE },
	{ CPU_BASED_CR3_LOAD_EXITING, HARDWARE },
	{ CPU_BASED_CR3_STORE_EXITING, HARDWARE },
	{ CPU_BASED_CR8_LOAD_EXITING, HARDWARE },
	{ CPU_BASED_CR8_STORE_EXITING, HARDWARE },
	{ CPU_BASED_MOV_DR_EXITING, HARDWARE },
	{ CPU_BASED_UNCOND_IO_EXITING, HARDWARE },
	/* read by the emulation, when all accesses exit */
	{ CPU_BASED_USE_IO_BITMAPS, ALWAYS },
	{ CPU_BASED_USE_MSR_BITMAPS, ALWAYS },
	/* the offset of vmcs02 is the sum */
	{ CPU_BASED_USE_TSC_OFFSETTING, HARDWARE },
	/* L1's virtual-APIC page is vmcs02's */
	{ CPU_BASED_TPR_SHADOW, HARDWARE },
	{ CPU_BASED_ACTIVATE_SECONDARY_CONTROLS, ALWAYS },
};

static const struct offer proc2_offers[] = {
	/* EPT02 is composed; INVVPID reaches the tags of vmcs02, or all of the TLB */
	{ SECONDARY_EXEC_ENABLE_EPT, ALWAYS },
	{ SECONDARY_EXEC_ENABLE_VPID, ALWAYS },
	/* VMREAD and VMWRITE of L2 exit, and the bitmaps are read here */
	{ SECONDARY_EXEC_SHADOW_VMCS, ALWAYS },
	/* L0 writes L1's log when it sets a dirty flag in EPT12 */
	{ SECONDARY_EXEC_ENABLE_PML, ALWAYS },
	/* VMFUNC exits only where the CPU knows the control, else it faults */
	{ SECONDARY_EXEC_ENABLE_VMFUNC, HARDWARE },
	/* modes and instructions of L2 that the CPU allows or stops */
	{ SECONDARY_EXEC_UNRESTRICTED_GUEST, HARDWARE },
	{ SECONDARY_EXEC_DESC, HARDWARE },
	{ SECONDARY_EXEC_WBINVD_EXITING, HARDWARE },
	{ SECONDARY_EXEC_RDRAND_EXITING, HARDWARE },
	{ SECONDARY_EXEC_RDSEED_EXITING, HARDWARE },
	{ SECONDARY_EXEC_TSC_SCALING, HARDWARE },
	/* the same, and the CPUID decides too */
	{ SECONDARY_EXEC_ENABLE_RDTSCP, HARDWARE },
	{ SECONDARY_EXEC_ENABLE_INVPCID, HARDWARE },
	{ SECONDARY_EXEC_XSAVES, HARDWARE },
	/* pages of L1 that the CPU works on by itself while L2 runs */
	{ SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES, HARDWARE },
	{ SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE, HARDWARE },
	{ SECONDARY_EXEC_APIC_REGISTER_VIRT, HARDWARE },
	{ SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY, HARDWARE },
};

static const struct offer exit_offers[] = {
	/* state is copied between vmcs02, vmcs12 and vmcs01 by the emulation */
	{ VM_EXIT_SAVE_DEBUG_CONTROLS, ALWAYS },
	{ VM_EXIT_HOST_ADDR_SPACE_SIZE, ALWAYS },
	{ VM_EXIT_SAVE_IA32_EFER, ALWAYS },
	{ VM_EXIT_LOAD_IA32_EFER, ALWAYS },
	/* the interrupt is taken from L1's local APIC, which is emulated */
	{ VM_EXIT_ACK_INTR_ON_EXIT, ALWAYS },
	/* likewise, and it has to be there to be saved */
	{ VM_EXIT_SAVE_VMX_PREEMPTION_TIMER, HARDWARE },
	/* MSRs that the CPU switches for guests, and not all CPUs do */
	{ VM_EXIT_SAVE_IA32_PAT, HARDWARE },
	{ VM_EXIT_LOAD_IA32_PAT, HARDWARE },
	/* the CPUID decides too */
	{ VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL, HARDWARE },
};

static const struct offer entry_offers[] = {
	{ VM_ENTRY_LOAD_DEBUG_CONTROLS, ALWAYS },
	{ VM_ENTRY_IA32E_MODE, ALWAYS },
	{ VM_ENTRY_LOAD_IA32_EFER, ALWAYS },
	{ VM_ENTRY_LOAD_IA32_PAT, HARDWARE },
	{ VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL, HARDWARE },
};

static const struct offer ept_vpid_offers[] = {
	/* entries of EPT02 are the CPU's: it must know "execute only" */
	{ VMX_EPT_EXECUTE_ONLY_BIT, HARDWARE },
	/* the walk of EPT12 is in software */
	{ VMX_EPT_PAGE_WALK_4_BIT, ALWAYS },
	{ VMX_EPTP_WB_BIT, ALWAYS },
	{ VMX_EPT_2MB_PAGE_BIT, ALWAYS },
	{ VMX_EPT_1GB_PAGE_BIT, ALWAYS },
	{ VMX_EPT_AD_BIT, ALWAYS },
	/* instructions of L1 that exit */
	{ VMX_EPT_INVEPT_BIT, ALWAYS },
	{ VMX_EPT_EXTENT_CONTEXT_BIT, ALWAYS },
	{ VMX_EPT_EXTENT_GLOBAL_BIT, ALWAYS },
	{ (u64)VMX_VPID_INVVPID_BIT << 32, ALWAYS },
	{ (u64)VMX_VPID_EXTENT_INDIVIDUAL_ADDR_BIT << 32, ALWAYS },
	{ (u64)VMX_VPID_EXTENT_SINGLE_CONTEXT_BIT << 32, ALWAYS },
	{ (u64)VMX_VPID_EXTENT_GLOBAL_CONTEXT_BIT << 32, ALWAYS },
	{ (u64)VMX_VPID_EXTENT_SINGLE_NON_GLOBAL_BIT << 32, ALWAYS },
};

/* Single bits of IA32_VMX_MISC */
static const struct offer misc_offers[] = {
	/* follows from unrestricted guests; exits are emulated so in any case */
	{ NESTED_MISC_SAVE_LMA, ALWAYS },
	/* states of L2 that the run loop knows; shutdown is not among them */
	{ NESTED_MISC_HLT, ALWAYS },
	{ NESTED_MISC_WAIT_SIPI, ALWAYS },
	{ NESTED_MISC_WRITE_ANY, ALWAYS },
	/* vmcs02 injects what vmcs12 does */
	{ NESTED_MISC_ZERO_LEN, HARDWARE },
};

#define MISC_TIMER_RATE		0x1fULL		/* bits of the TSC per tick of the timer */
#define MISC_CR3_TARGETS	(4ULL << 16)
#define MISC_MSR_LIST_512	(0ULL << 25)
#define BASIC_WB		(6ULL << 50)	/* memory type of VMCS regions */

#define OFFERED(table, hw) offered(table, ARRAY_SIZE(table), hw)

static u64 offered(const struct offer *table, int n, u64 hw)
{
	u64 bits = 0;
	int i;

	for (i = 0; i < n; i++)
		if (table[i].when == ALWAYS || (hw & table[i].bit))
			bits |= table[i].bit;
	return bits;
}

static struct nested_ctl control(u32 default1, u32 free, u32 offer)
{
	return (struct nested_ctl){ .must = default1 & ~free, .may = default1 | offer };
}

void nested_caps_init(struct nested_caps *c, const struct nested_caps *hw)
{
	c->basic = VMCS12_REVISION | (u64)VMCS12_SIZE << 32 | BASIC_WB |
		   NESTED_BASIC_TRUE_CTLS | NESTED_BASIC_INOUT;
	c->pin = control(PIN_DEFAULT1, 0, OFFERED(pin_offers, hw->pin.may));
	c->proc = control(PROC_DEFAULT1, PROC_FREE, OFFERED(proc_offers, hw->proc.may));
	c->proc2 = control(0, 0, OFFERED(proc2_offers, hw->proc2.may));
	c->exit = control(EXIT_DEFAULT1, EXIT_FREE, OFFERED(exit_offers, hw->exit.may));
	c->entry = control(ENTRY_DEFAULT1, ENTRY_FREE, OFFERED(entry_offers, hw->entry.may));
	c->misc = OFFERED(misc_offers, hw->misc) | (hw->misc & MISC_TIMER_RATE) |
		  MISC_CR3_TARGETS | MISC_MSR_LIST_512;
	c->cr0_fixed0 = X86_CR0_NEEDED;
	c->cr0_fixed1 = hw->cr0_fixed1;
	c->cr4_fixed0 = X86_CR4_NEEDED;
	c->cr4_fixed1 = hw->cr4_fixed1;
	c->vmcs_enum = (u64)vmcs12_enum_max() << 1;
	c->ept_vpid = OFFERED(ept_vpid_offers, hw->ept_vpid);
	c->vmfunc = c->proc2.may & SECONDARY_EXEC_ENABLE_VMFUNC ? VMX_VMFUNC_EPTP_SWITCHING : 0;
}

static void give(struct nested_ctl *ctl, struct nested_ctl max, u32 bit, bool have)
{
	ctl->may &= ~bit;
	if (have)
		ctl->may |= max.may & bit;
	ctl->must &= ctl->may;
}

void nested_caps_cpuid(struct nested_caps *c, const struct nested_caps *max,
		       const struct nested_cpuid *cpuid)
{
	c->cr4_fixed1 = max->cr4_fixed1 & (cpuid->cr4 | X86_CR4_NEEDED);
	give(&c->proc2, max->proc2, SECONDARY_EXEC_ENABLE_RDTSCP, cpuid->rdtscp);
	give(&c->proc2, max->proc2, SECONDARY_EXEC_ENABLE_INVPCID, cpuid->invpcid);
	give(&c->proc2, max->proc2, SECONDARY_EXEC_XSAVES, cpuid->xsaves);
	give(&c->exit, max->exit, VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL, cpuid->perf_global);
	give(&c->entry, max->entry, VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL, cpuid->perf_global);
}

/* The word of controls behind an MSR, and what the plain MSR adds to its low half. */
static struct nested_ctl *control_of(struct nested_caps *c, u32 msr, u32 *plain)
{
	*plain = 0;
	switch (msr) {
	case MSR_IA32_VMX_PINBASED_CTLS:
		*plain = PIN_DEFAULT1;
		return &c->pin;
	case MSR_IA32_VMX_PROCBASED_CTLS:
		*plain = PROC_DEFAULT1;
		return &c->proc;
	case MSR_IA32_VMX_EXIT_CTLS:
		*plain = EXIT_DEFAULT1;
		return &c->exit;
	case MSR_IA32_VMX_ENTRY_CTLS:
		*plain = ENTRY_DEFAULT1;
		return &c->entry;
	case MSR_IA32_VMX_TRUE_PINBASED_CTLS:
		return &c->pin;
	case MSR_IA32_VMX_TRUE_PROCBASED_CTLS:
		return &c->proc;
	case MSR_IA32_VMX_TRUE_EXIT_CTLS:
		return &c->exit;
	case MSR_IA32_VMX_TRUE_ENTRY_CTLS:
		return &c->entry;
	case MSR_IA32_VMX_PROCBASED_CTLS2:
		return &c->proc2;
	default:
		return NULL;
	}
}

/* The MSR that is one value, or NULL. */
static u64 *value_of(struct nested_caps *c, u32 msr)
{
	switch (msr) {
	case MSR_IA32_VMX_BASIC:
		return &c->basic;
	case MSR_IA32_VMX_MISC:
		return &c->misc;
	case MSR_IA32_VMX_CR0_FIXED0:
		return &c->cr0_fixed0;
	case MSR_IA32_VMX_CR0_FIXED1:
		return &c->cr0_fixed1;
	case MSR_IA32_VMX_CR4_FIXED0:
		return &c->cr4_fixed0;
	case MSR_IA32_VMX_CR4_FIXED1:
		return &c->cr4_fixed1;
	case MSR_IA32_VMX_VMCS_ENUM:
		return &c->vmcs_enum;
	case MSR_IA32_VMX_EPT_VPID_CAP:
		return &c->ept_vpid;
	case MSR_IA32_VMX_VMFUNC:
		return &c->vmfunc;
	default:
		return NULL;
	}
}

int nested_caps_get(const struct nested_caps *c, u32 msr, u64 *val)
{
	struct nested_caps *caps = (struct nested_caps *)c;
	u32 plain;
	const struct nested_ctl *ctl = control_of(caps, msr, &plain);
	const u64 *value = value_of(caps, msr);

	if (ctl)
		*val = (u64)ctl->may << 32 | ctl->must | plain;
	else if (value)
		*val = *value;
	else
		return -ENOENT;
	return 0;
}

int nested_caps_put(struct nested_caps *c, u32 msr, u64 val)
{
	u32 plain;
	struct nested_ctl *ctl = control_of(c, msr, &plain);
	u64 *value = value_of(c, msr);

	if (ctl)
		*ctl = (struct nested_ctl){ .must = (u32)val, .may = val >> 32 };
	else if (value)
		*value = val;
	else
		return -ENOENT;
	return 0;
}

/* Are all bits of @val within @mask also in @of? */
static bool within(u64 val, u64 of, u64 mask)
{
	return !(val & ~of & mask);
}

static bool basic_ok(u64 val, u64 max)
{
	const u64 revision = GENMASK_ULL(30, 0), size = GENMASK_ULL(44, 32);
	/* features that may be taken away, and reserved bits */
	const u64 features = BIT_ULL(31) | GENMASK_ULL(47, 45) | BIT_ULL(49) | BIT_ULL(54) |
			     BIT_ULL(55) | GENMASK_ULL(63, 56);

	/* bit 48 limits addresses of regions to 32 bits: nothing here does */
	return within(val, max, features) && !(val & BIT_ULL(48)) &&
	       (val & revision) == (max & revision) && (val & size) >= (max & size);
}

static bool misc_ok(u64 val, u64 max, bool timer)
{
	const u64 features = BIT_ULL(5) | GENMASK_ULL(8, 6) | GENMASK_ULL(15, 9) |
			     GENMASK_ULL(31, 28);

	return within(val, max, features) &&
	       (!timer || (val & MISC_TIMER_RATE) == (max & MISC_TIMER_RATE)) &&
	       nested_misc_cr3_targets(val) <= nested_misc_cr3_targets(max) &&
	       nested_misc_msr_list_max(val) <= nested_misc_msr_list_max(max) &&
	       val >> 32 == max >> 32;
}

/* The VMM's value of @msr where the most that can be offered is @max */
static bool value_ok(const struct nested_caps *c, u32 msr, u64 val, u64 max)
{
	switch (msr) {
	case MSR_IA32_VMX_BASIC:
		return basic_ok(val, max);
	case MSR_IA32_VMX_MISC:
		return misc_ok(val, max, c->pin.may & PIN_BASED_VMX_PREEMPTION_TIMER);
	case MSR_IA32_VMX_TRUE_PINBASED_CTLS:
	case MSR_IA32_VMX_TRUE_PROCBASED_CTLS:
	case MSR_IA32_VMX_TRUE_EXIT_CTLS:
	case MSR_IA32_VMX_TRUE_ENTRY_CTLS:
	case MSR_IA32_VMX_PROCBASED_CTLS2:
		/* what must be 1 stays so, what must be 0 too */
		return within(max, val, GENMASK_ULL(31, 0)) &&
		       within(val, max, GENMASK_ULL(63, 32));
	case MSR_IA32_VMX_CR0_FIXED0:
	case MSR_IA32_VMX_CR4_FIXED0:
		return within(max, val, ~0ULL);
	case MSR_IA32_VMX_VMCS_ENUM:
		return true;
	case MSR_IA32_VMX_EPT_VPID_CAP:
	case MSR_IA32_VMX_VMFUNC:
		return within(val, max, ~0ULL);
	default:
		return false;
	}
}

int nested_caps_set(struct nested_caps *c, const struct nested_caps *max, u32 msr, u64 val)
{
	u64 most;

	if (nested_caps_get(max, msr, &most))
		return -ENOENT;
	if (!value_ok(c, msr, val, most))
		return -EINVAL;
	return nested_caps_put(c, msr, val);
}
